"""Key, endpoint, API version, catalogue and price, from stack config and environment.

Both are given as plain mappings, so that a program, the provider host and the command line read
them by the same rules. Nothing here shows the key: see `Key`.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, NoReturn, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

from bytez_provider.base.errors import (
    ConfigError,
    MissingKeyError,
    PlainTextKeyError,
    UntrustedEndpointError,
    printable,
)

DEFAULT_ENDPOINT: Final = "https://api.bytez.com"
"""The vendor's address (seed)."""
DEFAULT_PRICE_PER_GB_SECOND: Final = Decimal("0.0000166667")
"""US dollars per GB-second of GPU RAM (the vendor's price of June 2024)."""
SET_KEY: Final = "`pulumi config set --secret bytez:key <key>`"
"""The command that sets the key in stack config as it must be set."""

_VERB = "read the configuration"
_HIGHEST_PRICE = Decimal(1000)
_HIDDEN = "***"
_SHORT_KEY = 8
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
_LOOPBACK_V4 = ipaddress.IPv4Network("127.0.0.0/8")

ApiVersion = Literal["2024-05", "2024-06"]
CatalogueMode = Literal["live", "bundled", "off"]

_API_VERSIONS: Mapping[str, ApiVersion] = {"2024-05": "2024-05", "2024-06": "2024-06"}
_CATALOGUES: Mapping[str, CatalogueMode] = {"live": "live", "bundled": "bundled", "off": "off"}


# ------------------------------------------------------------------------------------ key


class Key:
    """An API key that is not shown, logged or pickled by accident.

    Args:
        text: The key; blanks and line ends around it are dropped, as a file or a paste adds them.

    Raises:
        ConfigError: the key is empty or holds anything but visible ASCII characters. A header can
            carry no other, and the libraries' own complaint would quote the key.
    """

    __slots__ = ("_echo", "_text")

    def __init__(self, text: str) -> None:
        text = text.strip()
        if not text or not all("!" <= character <= "~" for character in text):
            raise ConfigError(
                verb=_VERB,
                observed="the API key is empty, or has a blank, a control or a non-ASCII character"
                " within",
                action=f"Copy the key again and set it with {SET_KEY} or as BYTEZ_KEY",
            )
        self._text = text
        self._echo = _echo_pattern(text)

    def reveal(self) -> str:
        """Return the key itself, for the one place that puts it on the wire."""
        return self._text

    def fingerprint(self) -> str:
        """Return 12 hex digits that tell keys apart and tell nothing else about them."""
        digest = hmac.new(self._text.encode(), b"bytez-provider account", hashlib.sha256)
        return digest.hexdigest()[:12]

    def appears_in(self, text: str) -> bool:
        """Return whether `text` holds the key, plainly or escaped as `hide_in` knows."""
        return self._echo.search(text) is not None

    def hide_in(self, text: str) -> str:
        """Return `text` with the key blotted out, URL-encoded, JSON- and HTML-escaped forms too."""
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
        # Whatever is pickled by a dynamic provider ends in plain text in every state.
        raise TypeError("a Bytez API key cannot be pickled or copied")


def _echo_pattern(key: str) -> re.Pattern[str]:
    def forms(character: str) -> str:
        code = ord(character)
        escaped = [
            re.escape(character),
            f"%{code:02x}",
            rf"\\u{code:04x}",
            # A browser, and a page's title as we read it, do without the semicolon.
            f"&#0*{code};?",
            f"&#x0*{code:x};?",
        ]
        if not character.isalnum():
            escaped += [re.escape("\\" + character), re.escape(html.escape(character))]
        return f"(?:{'|'.join(escaped)})"

    pattern = "".join(forms(character) for character in key)
    if len(key) < _SHORT_KEY:
        # A key of a test, such as "k": blotting every k out would leave no readable message.
        pattern = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"
    return re.compile(pattern, re.IGNORECASE)


def refuse_plain_key(*, is_set: bool, is_secret: bool) -> None:
    """Refuse a `bytez:key` that stack config holds in plain text.

    For the program, which still knows which settings are secret; the host no longer does.

    Args:
        is_set: Whether stack config has a `bytez:key`.
        is_secret: Whether Pulumi lists it among the stack's secret settings.

    Raises:
        PlainTextKeyError: it is set and not secret.
    """
    if is_set and not is_secret:
        raise PlainTextKeyError(
            verb=_VERB,
            observed="bytez:key is set in plain text",
            action=f"Encrypt it with {SET_KEY}",
        )


# ------------------------------------------------------------------------------- settings


@dataclass(frozen=True)
class Settings:
    """What a client needs to know. Made by `read_settings`, which holds the rules."""

    endpoint: str = DEFAULT_ENDPOINT
    """Normalised: no trailing slash, no default port, lower-case host."""
    api_version: ApiVersion = "2024-05"
    key: Key | None = None
    catalogue: CatalogueMode = "live"
    price_per_gb_second: Decimal = DEFAULT_PRICE_PER_GB_SECOND
    """US dollars."""
    adopt: frozenset[str] = frozenset()
    """Models whose load may be taken over in this deployment, whatever is declared."""
    accept_account_change: bool = False
    """Whether loads that were made with another key or endpoint may be given up."""

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
            MissingKeyError: there is none; told as the failure to `verb` `subject`.
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
    """Read the settings; stack config wins over the environment, an empty value is unset.

    Args:
        stack_config: Stack config by full names: `bytez:key`, `bytez:endpoint`, `bytez:apiVersion`,
            `bytez:catalogue`, `bytez:pricePerGbSecond`. Other names are ignored.
        environ: The environment: `BYTEZ_KEY`, `BYTEZ_ENDPOINT`, `BYTEZ_TRUSTED_ENDPOINTS`,
            `BYTEZ_ADOPT` (model ids, comma between), `BYTEZ_ACCEPT_ACCOUNT_CHANGE` (1).

    Raises:
        ConfigError: a value cannot be used.
        UntrustedEndpointError: a key from the environment would go to an endpoint that only the
            stack's config names: a pull request must not send the key elsewhere.
    """

    def setting(name: str) -> str:
        return stack_config.get(f"bytez:{name}", "").strip()

    def shown(value: str) -> str:
        # A key that was pasted into the wrong setting is a key all the same.
        for key in (stack_key, environment_key):
            value = value.replace(key, _HIDDEN) if len(key) >= _SHORT_KEY else value
        return printable(value, limit=100)

    if setting("dialect"):
        raise ConfigError(
            verb=_VERB,
            observed="bytez:dialect is now bytez:apiVersion",
            action="Set bytez:apiVersion to 2024-05 for seed or to 2024-06 for june, and "
            "run `pulumi config rm bytez:dialect`",
        )
    stack_key, environment_key = setting("key"), environ.get("BYTEZ_KEY", "").strip()
    stack_endpoint = setting("endpoint")
    if stack_endpoint:
        endpoint = normal_endpoint(stack_endpoint, "bytez:endpoint")
    elif environ.get("BYTEZ_ENDPOINT", "").strip():
        endpoint = normal_endpoint(environ["BYTEZ_ENDPOINT"].strip(), "BYTEZ_ENDPOINT")
    else:
        endpoint = DEFAULT_ENDPOINT
    if stack_endpoint and environment_key and not stack_key:
        _refuse_untrusted(endpoint, environ.get("BYTEZ_TRUSTED_ENDPOINTS", ""), shown)
    key = stack_key or environment_key
    return Settings(
        endpoint=endpoint,
        api_version=_choice(
            "bytez:apiVersion", setting("apiVersion"), _API_VERSIONS, "2024-05", shown
        ),
        key=Key(key) if key else None,
        catalogue=_choice("bytez:catalogue", setting("catalogue"), _CATALOGUES, "live", shown),
        price_per_gb_second=_price(setting("pricePerGbSecond"), shown),
        adopt=frozenset(filter(None, map(str.strip, environ.get("BYTEZ_ADOPT", "").split(",")))),
        accept_account_change=environ.get("BYTEZ_ACCEPT_ACCOUNT_CHANGE") == "1",
    )


_T = TypeVar("_T", bound=str)
_Shown = Callable[[str], str]
"""What of a value can be told."""


def _choice(name: str, value: str, choices: Mapping[str, _T], default: str, shown: _Shown) -> _T:
    chosen = choices.get(value or default)
    if chosen is None:
        raise ConfigError(
            verb=_VERB,
            observed=f"{name} is '{shown(value)}'",
            action=f"Set it to one of {', '.join(choices)}",
        )
    return chosen


def _price(value: str, shown: _Shown) -> Decimal:
    if not value:
        return DEFAULT_PRICE_PER_GB_SECOND
    try:
        price = Decimal(value)
    except InvalidOperation:
        price = Decimal("NaN")
    if not (price.is_finite() and 0 < price <= _HIGHEST_PRICE):
        raise ConfigError(
            verb=_VERB,
            observed=f"bytez:pricePerGbSecond is '{shown(value)}'",
            action="Set it to US dollars per GB-second, more than 0 and at most"
            f" {_HIGHEST_PRICE}, as {DEFAULT_PRICE_PER_GB_SECOND}",
        )
    return price


# ------------------------------------------------------------------------------- endpoint


def normal_endpoint(text: str, source: str) -> str:
    """Return an endpoint in the one spelling that is compared, shown and kept in state.

    Args:
        text: The address as written.
        source: The setting that it comes from, for the message.

    Raises:
        ConfigError: it is not an https address (http on loopback), or has a user, a query, a
            fragment or characters that clients read differently.
    """
    parts = _split(text)
    if parts is None:
        problem = f"{source} is not an address that can be used"
    elif "@" in parts.netloc:
        # Not quoted: what stands before the @ is a secret as a rule.
        problem = f"{source} has a user or password in it"
    elif "?" in text or "#" in text:
        problem = f"{source} has a query or fragment in it"
    elif parts.scheme not in _DEFAULT_PORTS:
        problem = f"{source} is not an http or https address"
    elif parts.scheme == "http" and not _is_loopback(parts):
        problem = f"{source} is plain http to another machine, and would send the key readably"
    else:
        return _origin(parts) + parts.path.rstrip("/")
    raise ConfigError(
        verb=_VERB,
        observed=problem,
        action=f"Set it to an address such as {DEFAULT_ENDPOINT}",
    )


def _split(text: str) -> SplitResult | None:
    """Split an address; None where a part of it is broken, or read differently by others."""
    if not text.isascii() or not text.isprintable() or set(text) & set(' \\"<>^`{|}'):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port  # Read for its check alone.
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
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address in _LOOPBACK_V4
    return address == ipaddress.IPv6Address("::1")


def _refuse_untrusted(endpoint: str, trusted_list: str, shown: _Shown) -> None:
    parts = urlsplit(endpoint)
    if _is_loopback(parts) or _origin(parts) == DEFAULT_ENDPOINT:
        return
    for entry in filter(None, map(str.strip, trusted_list.split(","))):
        if normal_endpoint(entry, "an entry of BYTEZ_TRUSTED_ENDPOINTS") == endpoint:
            return
    raise UntrustedEndpointError(
        verb=_VERB,
        observed=f"the stack's config sends requests to {shown(endpoint)}, and the"
        " key in the environment is not given to an endpoint that only stack config names",
        action=f"If you trust it, set BYTEZ_TRUSTED_ENDPOINTS={shown(endpoint)} in the environment",
    )
