"""Any settings and properties whatsoever: they are read, or refused on one line without the key."""

from __future__ import annotations

from urllib.parse import urlsplit

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bytez_provider.base.errors import ConfigError
from bytez_provider.base.properties import PropertiesError
from bytez_provider.core.declared import (
    ModelInputs,
    ModelState,
    ReadinessInputs,
    ReadinessState,
    declared,
)
from bytez_provider.service.settings import (
    DEFAULT_ENDPOINT,
    Key,
    Settings,
    normal_endpoint,
    read_settings,
)

SECRET = "bytez-3f9c1a7be2"
LONGEST_MESSAGE = 500
MANY = settings(max_examples=200, deadline=None)

# --------------------------------------------------------------------------------- settings

PIECES = st.sampled_from(
    [
        *("http://", "https://", "HTTPS:", "//", "/", "\\", "@", "#", "?", ":", ",", ".", "[", "]"),
        *("127.0.0.1", "127.1", "localhost", "[::1]", "::1", "api.bytez.com", "evil.example"),
        *(":443", ":80", ":0", ":99999", "0x7f000001", "%2e", "xn--", " ", "\t", "\n", "\x00"),
        *("\x1b[2J", "\u202e", "\u2028", "\ud800", "ü", "。", "2024-05", "2024-06", "live", "off"),
        *("1e-5", "0", "-1", "NaN", "1e999999999999999999999", "1e-99999999999999999999", "1_0"),
        SECRET,
    ]
)
VALUES = st.lists(PIECES, max_size=6).map("".join) | st.text(max_size=8)
STACK_NAMES = ("key", "endpoint", "apiVersion", "catalogue", "pricePerGbSecond")
STACK_CONFIG = st.dictionaries(
    st.sampled_from([f"bytez:{name}" for name in STACK_NAMES] + ["aws:region"]), VALUES
)
ENVIRONMENT = st.dictionaries(
    st.sampled_from(["BYTEZ_KEY", "BYTEZ_ENDPOINT", "BYTEZ_TRUSTED_ENDPOINTS", "PATH"]), VALUES
)


def settings_or_error(
    stack_config: dict[str, str], environ: dict[str, str]
) -> Settings | ConfigError:
    try:
        return read_settings(stack_config, environ)
    except ConfigError as error:
        return error


@MANY
@given(stack_config=STACK_CONFIG, environ=ENVIRONMENT)
@example(stack_config={"bytez:apiVersion": SECRET}, environ={})
@example(stack_config={"bytez:endpoint": f"https://evil.example/{SECRET}"}, environ={})
@example(stack_config={"bytez:pricePerGbSecond": SECRET}, environ={})
def test_any_settings_are_read_or_refused_on_one_line(
    stack_config: dict[str, str], environ: dict[str, str]
) -> None:
    """Also with the key pasted into any wrong place."""
    found = settings_or_error(stack_config, {**environ, "BYTEZ_KEY": SECRET})
    if isinstance(found, ConfigError):
        message = str(found)
        assert message.isprintable()
        assert len(message) <= LONGEST_MESSAGE
        assert SECRET not in message
        return
    assert normal_endpoint(found.endpoint, "x") == found.endpoint
    assert found.price_per_gb_second > 0
    assert SECRET not in repr(found).replace(found.endpoint, "")


@MANY
@given(stack_config=STACK_CONFIG, environ=ENVIRONMENT)
def test_a_key_of_the_environment_goes_where_the_environment_says(
    stack_config: dict[str, str], environ: dict[str, str]
) -> None:
    """Not where only stack config says so, which a pull request can change; never unencrypted."""
    found = settings_or_error(stack_config, {**environ, "BYTEZ_KEY": SECRET})
    if isinstance(found, ConfigError) or found.key != Key(SECRET):
        return
    parts = urlsplit(found.endpoint)
    assert parts.scheme == "https" or found.on_loopback
    if stack_config.get("bytez:key", "").strip() == SECRET:
        return
    said = [entry.strip() for entry in environ.get("BYTEZ_TRUSTED_ENDPOINTS", "").split(",")]
    if not stack_config.get("bytez:endpoint", "").strip():
        said.append(environ.get("BYTEZ_ENDPOINT", "").strip())
    normal = [normal_endpoint(entry, "x") for entry in said if _is_address(entry)]
    of_vendor = found.endpoint.startswith(f"{DEFAULT_ENDPOINT}/") or (
        found.endpoint == DEFAULT_ENDPOINT
    )
    assert found.on_loopback or of_vendor or found.endpoint in normal


def _is_address(text: str) -> bool:
    try:
        normal_endpoint(text, "x")
    except ConfigError:
        return False
    return True


# --------------------------------------------------------------------------- property bags

NAMES = st.sampled_from(
    [
        *("modelId", "concurrency", "expirationPeriodSeconds", "adopt", "onExpiry", "readiness"),
        *("expectedHoursPerDay", "status", "created", "granted", "endpoint", "account", "fleet"),
        *("members", "ready", "statuses", "model_id", "\x1b[31m\n", "\ud800", "x" * 5000),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | VALUES
    | st.sampled_from(["openai-community/gpt2", "a/b", "fleet", "y" * 100_000, 1e308, 10**400])
)
BAGS = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(NAMES | VALUES, inner, max_size=3)
        ),
        max_leaves=5,
    ),
    max_size=6,
)


@MANY
@given(bag=BAGS)
def test_any_declaration_is_read_or_has_problems_of_one_line(bag: dict[str, object]) -> None:
    try:
        inputs = declared(bag)
    except PropertiesError as error:
        problems = error.problems
        assert problems
        for place, reason in problems:
            assert place.isprintable()
            assert reason.isprintable()
            assert len(place) + len(reason) <= LONGEST_MESSAGE
        return
    assert type(inputs).of(inputs.bag()) == inputs
    assert isinstance(inputs, ModelInputs)


@MANY
@given(bag=BAGS)
def test_any_state_is_read_or_refused(bag: dict[str, object]) -> None:
    for kind in (ModelState, ReadinessInputs, ReadinessState):
        try:
            state = kind.of(bag)
        except PropertiesError as error:
            for place, reason in error.problems:
                assert (place + reason).isprintable()
        else:
            assert kind.of(state.bag()).bag() == state.bag()
