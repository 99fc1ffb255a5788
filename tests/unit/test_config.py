"""Which value counts, what is refused, and that the key stays where it is."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from decimal import Decimal

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


def test_without_anything_the_vendors_own_values_count() -> None:
    settings = read_settings({}, {})
    assert settings == Settings(
        endpoint="https://api.bytez.com",
        api_version="2024-05",
        key=None,
        catalogue="live",
        price_per_gb_second=Decimal("0.0000166667"),
    )
    assert settings == Settings()


def test_stack_config_wins() -> None:
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


def test_the_environment_counts_where_stack_config_is_silent() -> None:
    environ = {"BYTEZ_KEY": f" {SECRET}\n", "BYTEZ_ENDPOINT": f" {ELSEWHERE} "}
    for stack_config in ({}, {"bytez:key": "", "bytez:endpoint": " "}):
        settings = read_settings(stack_config, environ)
        assert settings == Settings(ELSEWHERE, key=Key(SECRET))


def test_an_empty_value_is_unset() -> None:
    stack_config = dict.fromkeys(
        ["bytez:key", "bytez:endpoint", "bytez:apiVersion", "bytez:catalogue"], " "
    )
    assert read_settings(stack_config, {"BYTEZ_KEY": "", "BYTEZ_ENDPOINT": ""}) == Settings()


def test_what_belongs_to_others_is_ignored() -> None:
    assert read_settings({"aws:region": "x", "bytez:colour": "red"}, {"PATH": "/"}) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [
        ("apiVersion", "2024-6", "2024-05, 2024-06"),
        ("apiVersion", "2024-07", "2024-05, 2024-06"),
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


@pytest.mark.parametrize("value", ["0.0000166667", "1e-5", " 1000 ", "3"])
def test_a_price_is_a_positive_number(value: str) -> None:
    settings = read_settings({"bytez:pricePerGbSecond": value}, {})
    assert settings.price_per_gb_second == Decimal(value.strip())


@pytest.mark.parametrize(
    "value", ["0", "-1", "-0", "NaN", "sNaN", "Infinity", "1e9999", "1000.01", "$1", "a", "1,5"]
)
def test_any_other_price_is_refused(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({"bytez:pricePerGbSecond": value}, {})
    assert f"bytez:pricePerGbSecond is '{value}'" in str(caught.value)
    assert "more than 0 and at most 1000, as 0.0000166667." in str(caught.value)


@pytest.mark.parametrize("name", ["apiVersion", "catalogue", "pricePerGbSecond"])
@pytest.mark.parametrize("source", ["bytez:key", "BYTEZ_KEY"])
def test_a_key_pasted_into_the_wrong_setting_is_not_told(name: str, source: str) -> None:
    given = {source: SECRET, f"bytez:{name}": f"my-{SECRET}"}
    with pytest.raises(ConfigError) as caught:
        read_settings(given, given)
    assert f"bytez:{name} is 'my-***'" in str(caught.value)


# --------------------------------------------------------------------------------- endpoints


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://api.bytez.com", "https://api.bytez.com"),
        ("https://api.bytez.com/", "https://api.bytez.com"),
        ("HTTPS://API.Bytez.com:443//", "https://api.bytez.com"),
        ("https://gateway.example:8443/bytez/v1/", "https://gateway.example:8443/bytez/v1"),
        ("https://gateway.example/Path", "https://gateway.example/Path"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.9.8.7:80", "http://127.9.8.7"),
        ("http://localhost:8080/", "http://localhost:8080"),
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


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("http://api.bytez.com", "plain http to another machine"),
        ("http://10.0.0.1", "plain http to another machine"),
        ("http://0.0.0.0:80", "plain http to another machine"),
        ("http://127.0.0.1.evil.example", "plain http to another machine"),
        ("http://localhost.evil.example", "plain http to another machine"),
        ("http://127.1", "plain http to another machine"),
        ("http://2130706433", "plain http to another machine"),
        ("http://[::2]", "plain http to another machine"),
        ("http://[::ffff:7f00:1]", "plain http to another machine"),
        ("ftp://127.0.0.1", "not an http or https address"),
        ("file://localhost/etc", "not an http or https address"),
        ("https://user:pass@api.bytez.com", "has a user or password in it"),
        ("https://api.bytez.com@evil.example", "has a user or password in it"),
        ("https://api.bytez.com?key=x", "has a query or fragment in it"),
        ("https://api.bytez.com/#", "has a query or fragment in it"),
        ("api.bytez.com", "not an address that can be used"),
        ("https://", "not an address that can be used"),
        ("https:///model", "not an address that can be used"),
        ("https://a b", "not an address that can be used"),
        ("https://a\nb", "not an address that can be used"),
        ("https://a\x00b", "not an address that can be used"),
        ("https://api.bytez.com\\@evil.example", "not an address that can be used"),
        ("https://ex\u00e4mple.org", "not an address that can be used"),
        ("https://evil\u2044example", "not an address that can be used"),
        ("https://[::1", "not an address that can be used"),
        ("https://[v1.x]", "not an address that can be used"),
        ("https://host:port", "not an address that can be used"),
        ("https://host:99999", "not an address that can be used"),
        ("https://-host", "not an address that can be used"),
        ("https://host%2eexample", "not an address that can be used"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_refused(written: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        normal_endpoint(written, "BYTEZ_ENDPOINT")
    message = str(caught.value)
    assert message.startswith("could not read the configuration: BYTEZ_ENDPOINT")
    assert problem in message
    assert message.endswith("Set it to an address such as https://api.bytez.com.")
    assert "pass" not in message.replace("password", "")
    assert message.isprintable()


def test_the_setting_that_is_wrong_is_named() -> None:
    with pytest.raises(ConfigError, match=": bytez:endpoint is not"):
        read_settings({"bytez:endpoint": "nowhere"}, {})
    with pytest.raises(ConfigError, match=": BYTEZ_ENDPOINT is not"):
        read_settings({}, {"BYTEZ_ENDPOINT": "nowhere"})


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:1", True),
        ("http://localhost", True),
        ("http://[::1]:1", True),
        ("https://127.0.0.1", True),
        ("https://api.bytez.com", False),
        ("https://localhost.example", False),
        ("https://[::2]", False),
    ],
)
def test_loopback_is_known(endpoint: str, expected: bool) -> None:
    assert Settings(endpoint).on_loopback is expected


# ----------------------------------------------------------------------------------- trust

IN_ENVIRONMENT = {"BYTEZ_KEY": SECRET}


def test_a_key_of_the_environment_does_not_go_where_only_stack_config_says() -> None:
    with pytest.raises(UntrustedEndpointError) as caught:
        read_settings({"bytez:endpoint": ELSEWHERE}, IN_ENVIRONMENT)
    assert str(caught.value) == (
        "could not read the configuration: the stack's config sends requests to"
        " https://gateway.example/bytez, and the key in the environment is not given to an"
        " endpoint that only stack config names. Nothing was changed. If you trust it, set"
        " BYTEZ_TRUSTED_ENDPOINTS=https://gateway.example/bytez in the environment."
    )


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:1",
        "http://localhost:1",
        "https://[::1]",
        DEFAULT_ENDPOINT,
        "https://API.bytez.com:443/v2",
    ],
)
def test_loopback_and_the_vendor_are_trusted(endpoint: str) -> None:
    assert read_settings({"bytez:endpoint": endpoint}, IN_ENVIRONMENT).key == Key(SECRET)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://api.bytez.com:8443",
        "https://api.bytez.com.evil.example",
        "https://xapi.bytez.com",
        "https://127.0.0.1.evil.example",
    ],
)
def test_what_only_looks_like_them_is_not(endpoint: str) -> None:
    with pytest.raises(UntrustedEndpointError):
        read_settings({"bytez:endpoint": endpoint}, IN_ENVIRONMENT)


@pytest.mark.parametrize(
    "trusted",
    [ELSEWHERE, f"https://a.example, {ELSEWHERE}/ ,", "HTTPS://Gateway.example:443/bytez"],
)
def test_a_listed_endpoint_is_trusted(trusted: str) -> None:
    environ = {**IN_ENVIRONMENT, "BYTEZ_TRUSTED_ENDPOINTS": trusted}
    assert read_settings({"bytez:endpoint": ELSEWHERE}, environ).endpoint == ELSEWHERE


@pytest.mark.parametrize(
    "trusted", ["", ",", "https://gateway.example", "https://gateway.example/bytez/v2"]
)
def test_another_listed_endpoint_is_another(trusted: str) -> None:
    environ = {**IN_ENVIRONMENT, "BYTEZ_TRUSTED_ENDPOINTS": trusted}
    with pytest.raises(UntrustedEndpointError):
        read_settings({"bytez:endpoint": ELSEWHERE}, environ)


def test_a_listed_endpoint_that_is_no_address_is_told() -> None:
    environ = {**IN_ENVIRONMENT, "BYTEZ_TRUSTED_ENDPOINTS": "gateway.example"}
    with pytest.raises(ConfigError, match="an entry of BYTEZ_TRUSTED_ENDPOINTS is not"):
        read_settings({"bytez:endpoint": ELSEWHERE}, environ)


def test_stack_config_cannot_trust_itself() -> None:
    with pytest.raises(UntrustedEndpointError):
        read_settings(
            {"bytez:endpoint": ELSEWHERE, "BYTEZ_TRUSTED_ENDPOINTS": ELSEWHERE}, IN_ENVIRONMENT
        )


def test_key_and_endpoint_of_one_source_go_together() -> None:
    both = read_settings({"bytez:endpoint": ELSEWHERE, "bytez:key": SECRET}, {})
    assert (both.endpoint, both.key) == (ELSEWHERE, Key(SECRET))
    both = read_settings({}, {**IN_ENVIRONMENT, "BYTEZ_ENDPOINT": ELSEWHERE})
    assert (both.endpoint, both.key) == (ELSEWHERE, Key(SECRET))
    mixed = read_settings({"bytez:key": SECRET}, {"BYTEZ_ENDPOINT": ELSEWHERE})
    assert (mixed.endpoint, mixed.key) == (ELSEWHERE, Key(SECRET))


def test_a_key_of_stack_config_is_not_the_environments() -> None:
    settings = read_settings(
        {"bytez:endpoint": ELSEWHERE, "bytez:key": SECRET}, {"BYTEZ_KEY": "environment-key"}
    )
    assert settings.key == Key(SECRET)


def test_without_a_key_there_is_nothing_to_keep() -> None:
    assert read_settings({"bytez:endpoint": ELSEWHERE}, {}).endpoint == ELSEWHERE


# ------------------------------------------------------------------------------------- key


def test_a_key_does_not_show() -> None:
    key = Key(SECRET)
    settings = Settings(key=key)
    for shown in (
        str(key),
        repr(key),
        f"{key}",
        f"{key!r:>40}",
        str([key]),
        repr(settings),
        str(settings),
    ):
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
    "text", ["", " ", "two words", "two\nlines", "nul\x00", "esc\x1b", "del\x7f", "schlüssel", "٣"]
)
def test_a_key_is_visible_ascii(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Key(text)
    assert "the API key is empty, or has a blank" in str(caught.value)
    assert text.strip() == "" or text not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_the_account_tells_keys_apart_and_nothing_else() -> None:
    account = Settings(key=Key(SECRET)).account
    # Kept in every state: it never changes.
    assert account == "2e4bbba2c1dd"
    assert Settings(key=Key(SECRET + "x")).account != account
    assert Settings().account == ""


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"key {SECRET}!", "key ***!"),
        (f"{SECRET}{SECRET}", "******"),
        (SECRET.upper(), "***"),
        ("nothing", "nothing"),
        (SECRET[:-1], SECRET[:-1]),
    ],
)
def test_an_echo_is_hidden(text: str, hidden: str) -> None:
    assert Key(SECRET).hide_in(text) == hidden
    assert Key(SECRET).appears_in(text) is ("***" in hidden)


def test_of_a_short_key_only_whole_words_are_hidden() -> None:
    assert Key("k").hide_in("unknown key k, 'k' or k-k") == "unknown key ***, '***' or ***-***"


# ----------------------------------------------------------------------------- missing, plain


def test_a_missing_key_is_told_with_both_ways_to_set_it() -> None:
    with pytest.raises(MissingKeyError) as caught:
        Settings().require_key("load", "a/b")
    assert str(caught.value) == (
        "could not load 'a/b': no API key is set. Nothing was changed. Set one with `pulumi"
        " config set --secret bytez:key <key>`, or in the environment as BYTEZ_KEY."
    )
    assert Settings(key=Key(SECRET)).require_key("load") == Key(SECRET)


def test_a_key_in_plain_text_is_refused_with_what_mends_it() -> None:
    with pytest.raises(PlainTextKeyError) as caught:
        refuse_plain_key(is_set=True, is_secret=False)
    assert "`pulumi config set --secret bytez:key <key>`" in str(caught.value)
    refuse_plain_key(is_set=True, is_secret=True)
    refuse_plain_key(is_set=False, is_secret=False)
