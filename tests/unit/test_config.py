"""Which setting wins, what is refused, and that the key is not shown or sent elsewhere."""

from __future__ import annotations

import copy
import dataclasses
import html
import json
import pickle
from decimal import Decimal
from urllib.parse import quote, quote_plus

import dill  # type: ignore[import-untyped]
import pytest

from bytez_provider.base.errors import (
    ConfigError,
    MissingKeyError,
    PlainTextKeyError,
    UntrustedEndpointError,
)
from bytez_provider.service.settings import (
    DEFAULT_ENDPOINT,
    Key,
    Settings,
    normal_endpoint,
    read_settings,
    refuse_plain_key,
)

SECRET = "bytez-3f9c1a7be2"
ELSEWHERE = "https://gateway.example/bytez"


# ------------------------------------------------------------------------------- precedence


def test_without_any_setting_the_vendors_own_values_count() -> None:
    price = Decimal("0.0000166667")
    assert Settings() == Settings("https://api.bytez.com", "2024-05", None, "live", price)
    assert read_settings({}, {}) == Settings()
    empty = dict.fromkeys(["bytez:key", "bytez:endpoint", "bytez:apiVersion"], " ")
    assert read_settings(empty, {"BYTEZ_KEY": "", "BYTEZ_ENDPOINT": " "}) == Settings()
    assert read_settings({"aws:region": "x", "bytez:colour": "red"}, {"PATH": "/"}) == Settings()


def test_stack_config_wins_over_the_environment() -> None:
    settings = read_settings(
        {
            "bytez:key": SECRET,
            "bytez:endpoint": "http://127.0.0.1:1",
            "bytez:apiVersion": "2024-06",
            "bytez:catalogue": "bundled",
            "bytez:pricePerGbSecond": "0.5",
        },
        {"BYTEZ_KEY": "other-key-1", "BYTEZ_ENDPOINT": "http://127.0.0.1:2"},
    )
    assert settings == Settings(
        "http://127.0.0.1:1", "2024-06", Key(SECRET), "bundled", Decimal("0.5")
    )


def test_the_environment_counts_if_stack_config_has_no_value() -> None:
    environ = {
        "BYTEZ_KEY": f" {SECRET}\n",
        "BYTEZ_ENDPOINT": f" {ELSEWHERE} ",
        "BYTEZ_ADOPT": "a/b, ,c/d",
        "BYTEZ_ACCEPT_ACCOUNT_CHANGE": "1",
    }
    adopt = frozenset({"a/b", "c/d"})
    expected = Settings(ELSEWHERE, key=Key(SECRET), adopt=adopt, accept_account_change=True)
    assert read_settings({"bytez:key": "", "bytez:endpoint": " "}, environ) == expected


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        ("apiVersion", "2024-6", "2024-05, 2024-06, 2025-04"),
        ("catalogue", "on", "live, bundled, off"),
    ],
)
def test_a_choice_is_one_of_its_values(name: str, value: str, choices: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({f"bytez:{name}": value}, {})
    assert str(caught.value) == (
        f"could not read the configuration: bytez:{name} is '{value}'. Nothing was changed."
        f" Set it to one of {choices}."
    )


def test_the_old_name_of_the_api_version_is_refused_with_the_new_one() -> None:
    with pytest.raises(ConfigError, match="bytez:dialect is now bytez:apiVersion"):
        read_settings({"bytez:dialect": "june"}, {})


def test_a_price_is_a_positive_number() -> None:
    for value in ("0.0000166667", "1e-5", " 1000 ", "3"):
        settings = read_settings({"bytez:pricePerGbSecond": value}, {})
        assert settings.price_per_gb_second == Decimal(value.strip())


@pytest.mark.parametrize(
    "value", ["0", "-1", "-0", "NaN", "sNaN", "Infinity", "1e9999", "1000.01", "$1", "1,5"]
)
def test_any_other_price_is_refused(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({"bytez:pricePerGbSecond": value}, {})
    assert caught.value.observed == f"bytez:pricePerGbSecond is '{value}'"
    assert "more than 0 and at most 1000, as 0.0000166667" in caught.value.action


@pytest.mark.parametrize("name", ["apiVersion", "catalogue", "pricePerGbSecond"])
@pytest.mark.parametrize("source", ["bytez:key", "BYTEZ_KEY"])
def test_a_key_pasted_into_the_wrong_setting_is_not_shown(name: str, source: str) -> None:
    given = {source: SECRET, f"bytez:{name}": f"my-{SECRET}"}
    with pytest.raises(ConfigError) as caught:
        read_settings(given, given)
    assert caught.value.observed == f"bytez:{name} is 'my-***'"


# --------------------------------------------------------------------------------- endpoints


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("HTTPS://API.Bytez.com:443//", "https://api.bytez.com"),
        ("https://gateway.example:8443/bytez/v1/", "https://gateway.example:8443/bytez/v1"),
        ("https://gateway.example/Path", "https://gateway.example/Path"),
        ("http://127.9.8.7:80", "http://127.9.8.7"),
        ("http://LOCALHOST:8080/", "http://localhost:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("https://[2001:DB8::1]/", "https://[2001:db8::1]"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://my_gateway", "https://my_gateway"),
    ],
)
def test_an_endpoint_has_one_spelling(written: str, kept: str) -> None:
    assert normal_endpoint(written, "bytez:endpoint") == kept
    assert normal_endpoint(kept, "bytez:endpoint") == kept
    is_near = any(name in kept for name in ("//127.", "localhost", "[::1]"))
    assert Settings(kept).on_loopback is is_near


PLAIN = "plain http to another machine"
NO_ADDRESS = "not an address that can be used"


@pytest.mark.parametrize(
    ("problem", "written"),
    [
        *[
            (PLAIN, f"http://{host}")
            for host in (
                *("api.bytez.com", "10.0.0.1", "0.0.0.0:80", "127.0.0.1.evil.example", "127.1"),
                *("localhost.evil.example", "2130706433", "[::2]", "[::ffff:7f00:1]"),
            )
        ],
        *[
            ("not an http or https address", written)
            for written in ("ftp://api.bytez.com", "file://api.bytez.com/etc", "//api.bytez.com")
        ],
        ("contains a user or password", "https://user:pass@api.bytez.com"),
        ("contains a user or password", "https://api.bytez.com@evil.example"),
        ("contains a query or fragment", "https://api.bytez.com?key=x"),
        ("contains a query or fragment", "https://api.bytez.com/#"),
        *[
            (NO_ADDRESS, written)
            for written in (
                *("api.bytez.com", "https://", "https:///model", "https://a b", "https://a\nb"),
                *("https://a\x00b", "https://api.bytez.com\\@evil.example"),
                *("https://ex\u00e4mple.org", "https://evil\u2044example", "https://[::1"),
                *("https://[v1.x]", "https://host:port", "https://host:99999", "https://-host"),
                "https://host%2eexample",
            )
        ],
    ],
)
def test_an_endpoint_that_cannot_be_used_is_refused(written: str, problem: str) -> None:
    for source, stack, environ in (
        ("bytez:endpoint", {"bytez:endpoint": written}, {}),
        ("BYTEZ_ENDPOINT", {}, {"BYTEZ_ENDPOINT": written}),
    ):
        with pytest.raises(ConfigError) as caught:
            read_settings(stack, environ)
        message = str(caught.value)
        assert message.startswith(f"could not read the configuration: {source} ")
        assert problem in message
        assert message.endswith("Set it to an address such as https://api.bytez.com.")
        assert "pass" not in message.replace("password", "")
        assert message.isprintable()


# ----------------------------------------------------------------------------------- trust

IN_ENVIRONMENT = {"BYTEZ_KEY": SECRET}


def test_a_key_of_the_environment_does_not_go_where_only_stack_config_says() -> None:
    with pytest.raises(UntrustedEndpointError) as caught:
        read_settings({"bytez:endpoint": ELSEWHERE}, IN_ENVIRONMENT)
    assert str(caught.value) == (
        "could not read the configuration: stack config sends requests to"
        " https://gateway.example/bytez, and the key in the environment is not given to an"
        " endpoint that only stack config names. Nothing was changed. If you trust it, set"
        " BYTEZ_TRUSTED_ENDPOINTS=https://gateway.example/bytez in the environment."
    )


@pytest.mark.parametrize(
    ("endpoint", "listed", "is_trusted"),
    [
        *[
            (endpoint, "", True)
            for endpoint in (
                *("http://127.0.0.1:1", "http://localhost:1", "https://[::1]"),
                *(DEFAULT_ENDPOINT, "https://API.bytez.com:443/v2"),
            )
        ],
        *[
            (endpoint, "", False)
            for endpoint in (
                *("https://api.bytez.com:8443", "https://api.bytez.com.evil.example"),
                *("https://xapi.bytez.com", "https://127.0.0.1.evil.example"),
            )
        ],
        (ELSEWHERE, ELSEWHERE, True),
        (ELSEWHERE, f"https://a.example, {ELSEWHERE}/ ,", True),
        (ELSEWHERE, "HTTPS://Gateway.example:443/bytez", True),
        *[
            (ELSEWHERE, other, False)
            for other in (",", "https://gateway.example", f"{ELSEWHERE}/v2")
        ],
    ],
)
def test_only_loopback_the_vendor_and_listed_endpoints_are_trusted(
    endpoint: str, listed: str, is_trusted: bool
) -> None:
    # Stack config cannot trust itself.
    config = {"bytez:endpoint": endpoint, "BYTEZ_TRUSTED_ENDPOINTS": endpoint}
    environ = {**IN_ENVIRONMENT, "BYTEZ_TRUSTED_ENDPOINTS": listed}
    if is_trusted:
        assert read_settings(config, environ).key == Key(SECRET)
    else:
        with pytest.raises(UntrustedEndpointError):
            read_settings(config, environ)


def test_a_listed_endpoint_that_is_no_address_is_refused() -> None:
    environ = {**IN_ENVIRONMENT, "BYTEZ_TRUSTED_ENDPOINTS": "gateway.example"}
    with pytest.raises(ConfigError, match="an entry of BYTEZ_TRUSTED_ENDPOINTS is not"):
        read_settings({"bytez:endpoint": ELSEWHERE}, environ)


@pytest.mark.parametrize(
    ("stack", "environ"),
    [
        ({"bytez:endpoint": ELSEWHERE, "bytez:key": SECRET}, {}),
        ({"bytez:endpoint": ELSEWHERE, "bytez:key": SECRET}, {"BYTEZ_KEY": "environment-key"}),
        ({}, {**IN_ENVIRONMENT, "BYTEZ_ENDPOINT": ELSEWHERE}),
        ({"bytez:key": SECRET}, {"BYTEZ_ENDPOINT": ELSEWHERE}),
    ],
)
def test_a_key_of_stack_config_or_an_endpoint_of_the_environment_is_used(
    stack: dict[str, str], environ: dict[str, str]
) -> None:
    settings = read_settings(stack, environ)
    assert (settings.endpoint, settings.key) == (ELSEWHERE, Key(SECRET))


# ------------------------------------------------------------------------------------- key


def test_a_key_does_not_show() -> None:
    key = Key(SECRET)
    settings = Settings(key=key)
    for shown in (f"{key}", f"{key!r:>40}", str([key]), repr(settings), str(settings)):
        assert SECRET not in shown
        assert "***" in shown
    assert not hasattr(key, "__dict__")
    assert key.reveal() == SECRET


def test_a_key_is_not_pickled_or_copied() -> None:
    for holder in (Key(SECRET), Settings(key=Key(SECRET)), [Key(SECRET)]):
        for dump in (pickle.dumps, dill.dumps, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled") as caught:
                dump(holder)
            assert SECRET not in str(caught.value)
    with pytest.raises(TypeError):
        copy.copy(Key(SECRET))
    with pytest.raises(TypeError):
        dataclasses.asdict(Settings(key=Key(SECRET)))


def test_keys_are_equal_by_their_text() -> None:
    assert Key(SECRET) == Key(f"\t{SECRET}\r\n")
    assert hash(Key(SECRET)) == hash(Key(SECRET))
    assert Key(SECRET) != Key(SECRET + "x")
    assert Key(SECRET) != SECRET


@pytest.mark.parametrize(
    "text", ["", " ", "two words", "two\nlines", "nul\x00", "del\x7f", "schlüssel", "٣"]
)
def test_a_key_is_visible_ascii(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Key(text)
    assert "the API key is empty, or contains a blank" in caught.value.observed
    assert text.strip() == "" or text not in str(caught.value)
    assert caught.value.__context__ is None


def test_the_account_differs_between_keys_and_says_nothing_else() -> None:
    account = Settings(key=Key(SECRET)).account
    # Kept in every state: it never changes.
    assert account == "2e4bbba2c1dd"
    assert Settings(key=Key(SECRET + "x")).account != account
    assert Settings().account == ""


ODD = "bytez-key-8f\"1/<d>&'c0%7a"
"""Has what JSON, HTML and addresses escape."""


@pytest.mark.parametrize(
    "echo",
    [
        *(ODD, ODD.upper(), f"{ODD}{ODD}"),
        *(quote(ODD, safe=""), quote(ODD, safe="").lower(), quote_plus(ODD)),
        "".join(f"%{ord(letter):02X}" for letter in ODD),
        *(json.dumps(ODD)[1:-1], json.dumps(ODD)[1:-1].replace("/", "\\/")),
        "".join(f"\\u{ord(letter):04X}" for letter in ODD),
        html.escape(ODD),
        "".join(f"&#{ord(letter)};" for letter in ODD),
        "".join(f"&#x{ord(letter):X};" for letter in ODD),
        "".join(f"&#{ord(letter)}" for letter in ODD),
    ],
)
def test_an_echo_of_a_key_is_hidden_in_every_form(echo: str) -> None:
    assert Key(ODD).hide_in(f"key {echo}!").replace("*", "") == "key !"
    assert Key(ODD).appears_in(echo)


def test_another_text_is_no_echo() -> None:
    assert not Key(ODD).appears_in(ODD[:-1])
    # Only whole words of a short key, as tests have it.
    hidden = Key("k").hide_in("unknown key k, 'k' or k-k")
    assert hidden == "unknown key ***, '***' or ***-***"


def test_a_missing_key_names_both_ways_to_set_it() -> None:
    with pytest.raises(MissingKeyError) as caught:
        Settings().require_key("load", "a/b")
    assert str(caught.value) == (
        "could not load 'a/b': no API key is set. Nothing was changed. Set one with `pulumi"
        " config set --secret bytez:key <key>`, or in the environment as BYTEZ_KEY."
    )
    assert Settings(key=Key(SECRET)).require_key("load") == Key(SECRET)


def test_a_key_in_plain_text_is_refused_with_the_command_that_encrypts_it() -> None:
    with pytest.raises(PlainTextKeyError) as caught:
        refuse_plain_key(is_set=True, is_secret=False)
    assert "`pulumi config set --secret bytez:key <key>`" in caught.value.action
    refuse_plain_key(is_set=True, is_secret=True)
    refuse_plain_key(is_set=False, is_secret=False)


# ------------------------------------------------------------------------------------ slips


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("bytez:dialct", "bytez:dialect"),
        ("bytez:apiversion", "bytez:apiVersion"),
        ("bytez:catalog", "bytez:catalogue"),
        ("bytez:endpont", "bytez:endpoint"),
        ("BYTEZ_ENDPONT", "BYTEZ_ENDPOINT"),
        ("BYTEZ_JOURNEL", "BYTEZ_JOURNAL"),
        ("BYTEZ_TRUSTED_ENDPOINT", "BYTEZ_TRUSTED_ENDPOINTS"),
    ],
)
def test_a_slip_in_a_name_is_refused_with_the_setting_that_was_meant(name: str, meant: str) -> None:
    config, environ = ({name: "x"}, {}) if name.startswith("bytez:") else ({}, {name: "x"})
    with pytest.raises(ConfigError) as caught:
        read_settings(config, environ)
    assert str(caught.value) == (
        f"could not read the configuration: {name} is not a setting, and {meant} is. Nothing was "
        f"changed. Rename it to {meant}, or remove it."
    )


@pytest.mark.parametrize(
    "name",
    [
        "BYTEZ_API_KEY",
        "BYTEZ_EMULATOR_KEYS",
        "BYTEZ_BROWSER_REQUIRED",
        "BYTEZ_LIVE_KEY",
        "OTHER_KEYS",
    ],
)
def test_variables_of_others_are_none(name: str) -> None:
    assert read_settings({}, {name: "x"}) == Settings()


@pytest.mark.parametrize("name", ["bytez:replicas", "bytez:region", "other:endpont", "bytez:k"])
def test_settings_of_a_project_of_this_name_are_none(name: str) -> None:
    assert read_settings({name: "x"}, {}) == Settings()


def test_a_log_is_asked_for_by_its_only_level() -> None:
    assert read_settings({}, {"BYTEZ_LOG": "debug"}).is_logged
    assert not read_settings({}, {"BYTEZ_LOG": " "}).is_logged
    with pytest.raises(ConfigError, match="BYTEZ_LOG is 'trace'"):
        read_settings({}, {"BYTEZ_LOG": "trace"})
