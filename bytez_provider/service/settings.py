"""Key, endpoint, API version, catalogue and price, from stack config and environment.

Both are plain mappings, so that a program, the provider host and the command line read them by the
same rules. Nothing here shows the key: see `Key`.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import html
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, NoReturn, cast, get_args
from urllib.parse import SplitResult, urlsplit

from bytez_provider.base.errors import (
    ConfigError,
    MissingKeyError,
    PlainTextKeyError,
    UntrustedEndpointError,
    printable,
)

DEFAULT_ENDPOINT: Final = "https://api.bytez.com"
"""The vendor's address (vendor doc)."""
DEFAULT_PRICE_PER_GB_SECOND: Final = Decimal("0.0000166667")
"""US dollars per GB-second of GPU RAM (the vendor's price of June 2024)."""
SET_KEY: Final = "`pulumi config set --secret bytez:key <key>`"
"""The command that sets the key in stack config, encrypted."""

_VERB = "read the configuration"
_HIGHEST_PRICE = Decimal(1000)
_HIDDEN = "***"
_SHORT_KEY = 8
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
_LOOPBACK_V4 = ipaddress.IPv4Network("127.0.0.0/8")

ApiVersion = Literal["2024-05", "2024-06", "2025-04"]
CatalogueMode = Literal["live", "bundled", "off"]


# ------------------------------------------------------------------------------------ key


class Key:
    """An API key that is not shown, logged or pickled by accident.

    Args:
        text: The key; blanks and line ends around it are removed, as a file or a paste adds them.

    Raises:
        ConfigError: The key is empty or holds anything but visible ASCII characters. A header can
            carry no other, and the libraries' own complaint would quote the key.
    """

    __slots__ = ("_echo", "_text")

    def __init__(self, text: str) -> None:
        text = text.strip()
        if not text or not all("!" <= character <= "~" for character in text):
            raise ConfigError(
                verb=_VERB,
                observed="the API key is empty, or contains a blank, a control character or a"
                " non-ASCII character",
                action=f"Copy the key again and set it with {SET_KEY} or as BYTEZ_KEY",
            )
        self._text = text
        self._echo = _echo_pattern(text)

    def reveal(self) -> str:
        """Return the key itself, for the one place that puts it on the wire."""
        return self._text

    def fingerprint(self) -> str:
        """Return 12 hex digits that differ between keys and say nothing else about them."""
        digest = hmac.new(self._text.encode(), b"bytez-provider account", hashlib.sha256)
        return digest.hexdigest()[:12]

    def appears_in(self, text: str) -> bool:
        """Return whether `text` holds the key, in any form that `hide_in` knows."""
        return self._echo.search(text) is not None

    def hide_in(self, text: str) -> str:
        """Return `text` without the key, also where it is URL-encoded, JSON- or HTML-escaped."""
        return self._echo.sub(_HIDDEN, text)

    def __repr__(self) -> str:
        return _HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        # What a dynamic provider pickles is in plain text in every state.
        raise TypeError("a Bytez API key cannot be pickled or copied")


def _echo_pattern(key: str) -> re.Pattern[str]:
    def forms(character: str) -> str:
        code = ord(character)
        escaped = [
            re.escape(character),
            f"%{code:02x}",
            rf"\\u{code:04x}",
            # Browsers do without the semicolon, and so do we when we read a page's title.
            f"&#0*{code};?",
            f"&#x0*{code:x};?",
        ]
        if not character.isalnum():
            escaped += [re.escape("\\" + character), re.escape(html.escape(character))]
        return f"(?:{'|'.join(escaped)})"

    pattern = "".join(forms(character) for character in key)
    if len(key) < _SHORT_KEY:
        # The key of a test, such as "k": without every k no message would be readable.
        pattern = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"
    return re.compile(pattern, re.IGNORECASE)


def refuse_plain_key(*, is_set: bool, is_secret: bool) -> None:
    """Refuse a `bytez:key` that stack config holds in plain text.

    For the program, which still knows which settings are secret; the provider host does not.

    Raises:
        PlainTextKeyError: It is set, and Pulumi does not list it among the stack's secrets.
    """
    if is_set and not is_secret:
        raise PlainTextKeyError(
            verb=_VERB,
            observed="bytez:key is set in plain text",
            action=f"Encrypt it with {SET_KEY}",
        )


# ------------------------------------------------------------------------------- settings

SETTINGS: Final[Mapping[str, str]] = {
    "key": "The API key, as a secret. The environment may have it instead, as BYTEZ_KEY.",
    "endpoint": f"The address of the API; {DEFAULT_ENDPOINT} if left out.",
    "apiVersion": "The API version of the endpoint: 2024-05, the default, 2024-06, or 2025-04, "
    "which can rescale in place.",
    "catalogue": "Where the list of models comes from: live, the default, bundled or off.",
    "pricePerGbSecond": "US dollars for a second of one GB of GPU RAM; "
    f"{DEFAULT_PRICE_PER_GB_SECOND} if left out.",
    "journal": "Where the journal is: an absolute folder, or a bucket such as s3://bucket/folder. "
    "By default a folder of this machine.",
}
"""What each setting is, by its name: `bytez:<name>` in stack config."""


ENVIRONMENT: Final = (
    "BYTEZ_KEY",
    "BYTEZ_ENDPOINT",
    "BYTEZ_JOURNAL",
    "BYTEZ_TRUSTED_ENDPOINTS",
    "BYTEZ_ADOPT",
    "BYTEZ_ACCEPT_ACCOUNT_CHANGE",
    "BYTEZ_ACCEPT_NO_JOURNAL",
    "BYTEZ_LOG",
)
"""The variables of the environment that are read."""

_FORMER: Final = "dialect"
_LONGEST_NAME: Final = 100
_ALIKE: Final = 0.8
"""How alike two names are if one is a slip of the other. Variables of other tools, such as
`BYTEZ_API_KEY`, are less alike, and so are settings of a project that is named `bytez` too."""


@dataclass(frozen=True)
class Settings:
    """What a client needs to know; `read_settings` makes it."""

    endpoint: str = DEFAULT_ENDPOINT
    """Normalised: no trailing slash, no default port, lower-case host."""
    api_version: ApiVersion = "2024-05"
    key: Key | None = None
    catalogue: CatalogueMode = "live"
    price_per_gb_second: Decimal = DEFAULT_PRICE_PER_GB_SECOND
    """US dollars."""
    adopt: frozenset[str] = frozenset()
    """Models whose load this deployment may take over, whatever is declared."""
    accept_account_change: bool = False
    """Whether loads that were made with another key or endpoint may be given up."""
    journal: str = ""
    """Where the journal is, as it is written; "" for the default."""
    accept_no_journal: bool = False
    """Whether to deploy if the journal is a bucket that fails."""
    is_logged: bool = False
    """Whether each request and its answer are logged."""

    @property
    def account(self) -> str:
        """12 hex digits of a keyed hash of the key, for equality only; "" without a key."""
        return self.key.fingerprint() if self.key else ""

    @property
    def on_loopback(self) -> bool:
        """Whether the endpoint is this machine."""
        return _is_loopback(urlsplit(self.endpoint))

    def require_key(self, verb: str, subject: str = "") -> Key:
        """Return the key.

        Raises:
            MissingKeyError: There is none, so that it could not `verb` the `subject`.
        """
        if self.key is None:
            raise MissingKeyError(
                verb=verb,
                subject=subject,
                observed="no API key is set",
                action=f"Set one with {SET_KEY}, or in the environment as BYTEZ_KEY",
            )
        return self.key


def read_settings(stack_config: Mapping[str, str], environ: Mapping[str, str]) -> Settings:
    """Read the settings. Stack config wins over the environment; an empty value is unset.

    Args:
        stack_config: Stack config by full names, `bytez:` and a name of `SETTINGS`. Other names are
            ignored, if they are no slips of these.
        environ: The environment: `BYTEZ_KEY`, `BYTEZ_ENDPOINT`, `BYTEZ_JOURNAL`,
            `BYTEZ_TRUSTED_ENDPOINTS`, `BYTEZ_ADOPT` (model ids, separated by commas),
            `BYTEZ_ACCEPT_ACCOUNT_CHANGE` (1), `BYTEZ_ACCEPT_NO_JOURNAL` (1), `BYTEZ_LOG` (debug).
            Other names as above.

    Raises:
        ConfigError: A value cannot be used, or a name is a slip.
        UntrustedEndpointError: A key from the environment would go to an endpoint that only stack
            config names: a pull request must not send the key elsewhere.
    """
    _refuse_slips("bytez:", (*SETTINGS, _FORMER), stack_config)
    _refuse_slips("", ENVIRONMENT, (name for name in environ if name.startswith("BYTEZ_")))

    def setting(name: str) -> str:
        return stack_config.get(f"bytez:{name}", "").strip()

    stack_key, environment_key = setting("key"), environ.get("BYTEZ_KEY", "").strip()

    def refuse(name: str, action: str) -> ConfigError:
        # A key that was pasted into the wrong setting is still a key.
        shown = _without(stack_key, _without(environment_key, setting(name)))
        observed = f"bytez:{name} is '{printable(shown, limit=100)}'"
        return ConfigError(verb=_VERB, observed=observed, action=action)

    def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
        chosen = setting(name) or default
        if chosen not in choices:
            raise refuse(name, f"Set it to one of {', '.join(choices)}")
        return chosen

    if setting(_FORMER):
        raise ConfigError(
            verb=_VERB,
            observed="bytez:dialect is now bytez:apiVersion",
            action="Set bytez:apiVersion to 2024-05 for seed or to 2024-06 for june, and "
            "run `pulumi config rm bytez:dialect`",
        )
    endpoint = DEFAULT_ENDPOINT
    if stack_endpoint := setting("endpoint"):
        endpoint = normal_endpoint(stack_endpoint, "bytez:endpoint")
    elif own_endpoint := environ.get("BYTEZ_ENDPOINT", "").strip():
        endpoint = normal_endpoint(own_endpoint, "BYTEZ_ENDPOINT")
    if stack_endpoint and environment_key and not stack_key:
        _refuse_untrusted(endpoint, environ.get("BYTEZ_TRUSTED_ENDPOINTS", ""), environment_key)
    price = _price(setting("pricePerGbSecond"))
    if price is None:
        action = (
            "Set it to US dollars per GB-second, more than 0 and at most"
            f" {_HIGHEST_PRICE}, as {DEFAULT_PRICE_PER_GB_SECOND}"
        )
        raise refuse("pricePerGbSecond", action)
    version = choice("apiVersion", "2024-05", get_args(ApiVersion))
    key = stack_key or environment_key
    return Settings(
        endpoint=endpoint,
        api_version=cast(ApiVersion, version),
        key=Key(key) if key else None,
        catalogue=cast(CatalogueMode, choice("catalogue", "live", get_args(CatalogueMode))),
        price_per_gb_second=price,
        adopt=frozenset(_listed(environ.get("BYTEZ_ADOPT", ""))),
        accept_account_change=environ.get("BYTEZ_ACCEPT_ACCOUNT_CHANGE") == "1",
        journal=setting("journal") or environ.get("BYTEZ_JOURNAL", "").strip(),
        accept_no_journal=environ.get("BYTEZ_ACCEPT_NO_JOURNAL") == "1",
        is_logged=_is_logged(environ.get("BYTEZ_LOG", "").strip()),
    )


def _refuse_slips(prefix: str, known: Iterable[str], given: Iterable[str]) -> None:
    """Refuse a name that is almost one of the known ones: it would be ignored."""
    names = [prefix + name for name in known]
    for one in given:
        if one in names or not one.startswith(prefix):
            continue
        near = [name for name in names if _likeness(one, name) >= _ALIKE]
        if near:
            nearest = max(near, key=lambda name: _likeness(one, name))
            raise ConfigError(
                verb=_VERB,
                observed=f"{printable(one, limit=100)} is not a setting, and {nearest} is",
                action=f"Rename it to {nearest}, or remove it",
            )


def _likeness(one: str, other: str) -> float:
    from difflib import SequenceMatcher  # Most settings have no slip.

    # Without what all names have in common.
    short = (re.sub("^(bytez:|BYTEZ_)", "", name)[:_LONGEST_NAME] for name in (one, other))
    return SequenceMatcher(None, next(short), next(short)).ratio()


def _is_logged(level: str) -> bool:
    if level not in ("", "debug"):
        raise ConfigError(
            verb=_VERB,
            observed=f"BYTEZ_LOG is '{printable(level, limit=100)}'",
            action="Set it to debug, or remove it",
        )
    return level == "debug"


def _price(value: str) -> Decimal | None:
    try:
        price = Decimal(value) if value else DEFAULT_PRICE_PER_GB_SECOND
    except InvalidOperation:
        return None
    return price if price.is_finite() and 0 < price <= _HIGHEST_PRICE else None


def _without(key: str, text: str) -> str:
    return text.replace(key, _HIDDEN) if len(key) >= _SHORT_KEY else text


def _listed(text: str) -> Iterator[str]:
    """Return the entries of a list that is separated by commas."""
    return filter(None, map(str.strip, text.split(",")))


# ------------------------------------------------------------------------------- endpoint


def normal_endpoint(text: str, source: str) -> str:
    """Return an endpoint in the one spelling that is compared, shown and kept in state.

    Args:
        text: The address as written.
        source: The setting that it comes from, for the message.

    Raises:
        ConfigError: It is not an https address (http on loopback), or has a user, a query, a
            fragment or characters that clients read differently.
    """
    parts = _split(text)
    if parts is None:
        problem = f"{source} is not an address that can be used"
    elif "@" in parts.netloc:
        # Not quoted: the part before the @ is usually a secret.
        problem = f"{source} contains a user or password"
    elif "?" in text or "#" in text:
        problem = f"{source} contains a query or fragment"
    elif parts.scheme not in _DEFAULT_PORTS:
        problem = f"{source} is not an http or https address"
    elif parts.scheme == "http" and not _is_loopback(parts):
        problem = f"{source} is plain http to another machine, and would send the key unencrypted"
    else:
        return _origin(parts) + parts.path.rstrip("/")
    raise ConfigError(
        verb=_VERB,
        observed=problem,
        action=f"Set it to an address such as {DEFAULT_ENDPOINT}",
    )


def _split(text: str) -> SplitResult | None:
    """Split an address; None if a part of it is broken, or others read it differently."""
    if not text.isascii() or not text.isprintable() or set(text) & set(' \\"<>^`{|}'):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port  # Reading it checks it.
        host = parts.hostname or ""
        if "[" in parts.netloc:
            ipaddress.IPv6Address(host)
            return parts
    except ValueError:
        return None
    return parts if _HOST_NAME.match(host) else None


def _origin(parts: SplitResult) -> str:
    host = cast(str, parts.hostname)
    host = f"[{host}]" if ":" in host else host
    port = parts.port if parts.port != _DEFAULT_PORTS[parts.scheme] else None
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        # Not `is_loopback`, which is true of some IPv4 addresses within IPv6 too.
        return address in _LOOPBACK_V4 or address == ipaddress.IPv6Address("::1")
    return host == "localhost"


def _refuse_untrusted(endpoint: str, trusted_list: str, key: str) -> None:
    parts = urlsplit(endpoint)
    if _is_loopback(parts) or _origin(parts) == DEFAULT_ENDPOINT:
        return
    source = "an entry of BYTEZ_TRUSTED_ENDPOINTS"
    if any(normal_endpoint(entry, source) == endpoint for entry in _listed(trusted_list)):
        return
    shown = printable(_without(key, endpoint), limit=100)
    raise UntrustedEndpointError(
        verb=_VERB,
        observed=f"stack config sends requests to {shown}, and the key in the environment is not"
        " given to an endpoint that only stack config names",
        action=f"If you trust it, set BYTEZ_TRUSTED_ENDPOINTS={shown} in the environment",
    )
