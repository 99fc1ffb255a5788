"""`ModelProvider` by direct calls, with the bags that Pulumi's host hands it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.output import Unknown
from pulumi.runtime import rpc

from bytez_provider.base.errors import (
    AlreadyLoadedError,
    ConfigError,
    InvalidInputError,
    MissingKeyError,
    NotLoadedError,
)
from bytez_provider.dynamic.providers import ModelProvider
from bytez_provider.emulator import Emulator
from tests.provider.conftest import KEY, MakeProvider

GPT2 = "openai-community/gpt2"
UNKNOWN = Unknown()  # type: ignore[no-untyped-call]
PICKLED = "gASVMAAAAAAAAACMF2J5dGV6X3Byb3ZpZGVyLnByb3ZpZGVylIwNTW9kZWxQcm92aWRlcpSTlCmBlC4="


def sent(bag: dict[str, Any]) -> dict[str, Any]:
    """Return a bag as the host gets it: numbers are floats, Nones are gone, `__provider` is in."""
    loop = asyncio.new_event_loop()
    try:
        properties = loop.run_until_complete(
            rpc.serialize_properties({"__provider": PICKLED, **bag}, {})
        )
    finally:
        loop.close()
    received = rpc.deserialize_properties(properties, True)
    assert isinstance(received, dict)
    return received


def declared(**given: Any) -> dict[str, Any]:
    """Return a program's inputs, as `check` gets them."""
    return sent({"modelId": GPT2, "concurrency": 1, "adopt": False, **given})


def created(provider: ModelProvider, **given: Any) -> dict[str, Any]:
    """Return the outputs of a checked and created model, as later calls get them."""
    inputs = provider.check({}, declared(**given)).inputs
    return sent(provider.create(sent(inputs)).outs or {})


class TestStorageFormat:
    def test_the_pickled_provider_is_what_every_state_holds(self) -> None:
        """Never change it: a state written with it must be read for ever."""
        assert serialize_provider(ModelProvider()) == PICKLED
        assert len(PICKLED) <= 80

    def test_it_is_no_secret(self) -> None:
        assert ModelProvider.serialize_as_secret_always is False


class TestConfigure:
    def test_without_a_key_a_preview_works(self, configured: MakeProvider) -> None:
        checked = configured({}).check({}, declared())
        assert (checked.failures, checked.inputs["modelId"]) == ([], GPT2)

    def test_without_a_key_a_create_says_how_to_set_one(self, configured: MakeProvider) -> None:
        provider = configured({})
        with pytest.raises(MissingKeyError) as caught:
            provider.create(declared())
        assert str(caught.value) == (
            f"could not load '{GPT2}': no API key is set. Nothing was changed. Set one with "
            "`pulumi config set --secret bytez:key <key>`, or in the environment as BYTEZ_KEY."
        )

    def test_the_key_may_be_in_the_environment(
        self, configured: MakeProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BYTEZ_KEY", KEY)
        assert configured({}).create(declared()).id == GPT2

    @pytest.mark.parametrize("name", ["apiVersion", "catalogue", "pricePerGbSecond", "endpoint"])
    def test_each_setting_of_the_stack_is_read(self, configured: MakeProvider, name: str) -> None:
        with pytest.raises(ConfigError, match=name):
            configured({f"bytez:{name}": "\\wrong"})

    def test_the_projects_own_settings_are_not_ours(self, configured: MakeProvider) -> None:
        assert configured({"fleet:key": KEY})._lifecycle._account.settings.key is None

    def test_consent_is_read_from_the_environment(
        self, configured: MakeProvider, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        emulator.load_by_somebody_else(GPT2)
        with pytest.raises(AlreadyLoadedError):
            configured({"bytez:key": KEY}).create(declared())
        monkeypatch.setenv("BYTEZ_ADOPT", f" microsoft/phi-1, {GPT2} ,")
        outs = configured({"bytez:key": KEY}).create(declared()).outs
        assert outs is not None
        assert outs["status"] == "RUNNING"


class TestCheck:
    def test_numbers_come_as_floats_and_leave_as_whole_numbers(
        self, provider: ModelProvider
    ) -> None:
        news = declared(concurrency=2, expirationPeriodSeconds=600)
        assert isinstance(news["concurrency"], float)
        checked = provider.check({}, news)
        assert checked.failures == []
        assert checked.inputs == {
            "modelId": GPT2,
            "concurrency": 2,
            "expirationPeriodSeconds": 600,
            "adopt": False,
            "onExpiry": "reload",
        }
        assert isinstance(checked.inputs["concurrency"], int)

    def test_that_it_is_a_preview_goes_no_further(self, provider: ModelProvider) -> None:
        checked = provider.check({}, declared(isPreview=True))
        assert checked.failures == []
        assert checked.inputs == provider.check({}, declared()).inputs

    @pytest.mark.parametrize(
        "name", ["modelId", "concurrency", "expirationPeriodSeconds", "adopt", "onExpiry"]
    )
    def test_an_unknown_value_remains_unknown(self, provider: ModelProvider, name: str) -> None:
        news = declared(**{name: UNKNOWN})
        checked = provider.check({}, news)
        assert checked.failures == []
        assert isinstance(checked.inputs[name], Unknown)
        sent(checked.inputs)

    @pytest.mark.parametrize(
        "given", [{"modelId": UNKNOWN, "concurrency": 0}, {"concurrency": [UNKNOWN]}]
    )
    def test_what_is_known_beside_or_around_it_is_still_checked(
        self, provider: ModelProvider, given: dict[str, Any]
    ) -> None:
        checked = provider.check({}, declared(**given))
        assert [failure.property for failure in checked.failures] == ["concurrency"]
        sent(checked.inputs)

    def test_its_own_answer_is_fit_to_be_checked_again(self, provider: ModelProvider) -> None:
        once = provider.check({}, declared(concurrency=3)).inputs
        assert provider.check(sent(once), sent(once)).inputs == once


class TestDiff:
    def test_a_replacement_deletes_first_and_is_named_as_in_state(
        self, provider: ModelProvider
    ) -> None:
        olds = created(provider)
        news = sent(provider.check({}, declared(concurrency=2, expirationPeriodSeconds=600)).inputs)
        change = provider.diff(GPT2, olds, news)
        assert change.replaces == ["concurrency", "expirationPeriodSeconds"]
        assert change.delete_before_replace is True

    @pytest.mark.parametrize(
        "name", ["modelId", "concurrency", "expirationPeriodSeconds", "adopt", "onExpiry"]
    )
    def test_an_unknown_is_a_change_and_never_a_replacement(
        self, provider: ModelProvider, name: str
    ) -> None:
        olds = created(provider)
        news = sent(provider.check({}, declared(**{name: UNKNOWN})).inputs)
        change = provider.diff(GPT2, olds, news)
        assert (change.changes, change.replaces) == (True, [])

    def test_everything_unknown_does_not_crash(self, provider: ModelProvider) -> None:
        news = dict.fromkeys(("modelId", "concurrency", "adopt", "onExpiry"), UNKNOWN)
        change = provider.diff(GPT2, created(provider), sent(news))
        assert (change.changes, change.replaces) == (True, [])

    def test_a_state_of_a_later_version_is_readable(self, provider: ModelProvider) -> None:
        olds = {**created(provider), "shinyNewOutput": {"a": 1.0}}
        news = sent(provider.check({}, declared()).inputs)
        assert provider.diff(GPT2, olds, news).changes is False


class TestCreate:
    def test_the_id_is_the_model_and_the_outputs_are_plain(self, provider: ModelProvider) -> None:
        result = provider.create(sent(provider.check({}, declared(concurrency=2)).inputs))
        assert result.id == GPT2
        outs = result.outs
        assert outs is not None
        assert json.loads(json.dumps(outs)) == outs
        assert outs.keys() == {
            "modelId",
            "concurrency",
            "adopt",
            "onExpiry",
            "status",
            "created",
            "requiredRamGb",
            "benchmarked",
            "endpoint",
            "account",
        }
        assert (outs["concurrency"], outs["requiredRamGb"]) == (2, 0.5)
        assert isinstance(outs["concurrency"], int)
        assert KEY not in json.dumps(outs)


class TestRead:
    def test_a_refresh_corrects_state_and_inputs(
        self, provider: ModelProvider, emulator: Emulator
    ) -> None:
        olds = created(provider)
        (instance,) = emulator.instances()
        emulator.set_faults(
            [{"do": {"respond": {"status": 200, "body": {**instance, "concurrency": 3}}}}]
        )
        result = provider.read(GPT2, olds)
        assert result.id == GPT2
        assert result.outs is not None
        assert result.inputs is not None
        assert (result.outs["concurrency"], result.inputs["concurrency"]) == (3, 3)
        assert "__provider" not in result.outs
        assert result.inputs.keys() == {"modelId", "concurrency", "adopt", "onExpiry"}

    def test_an_unchanged_refresh_changes_nothing(self, provider: ModelProvider) -> None:
        olds = created(provider)
        result = provider.read(GPT2, olds)
        assert sent(result.outs or {}) == olds

    def test_gone_is_an_empty_id(self, provider: ModelProvider, emulator: Emulator) -> None:
        olds = created(provider)
        emulator.unload_by_somebody_else(GPT2)
        result = provider.read(GPT2, olds)
        assert (result.id, result.outs) == ("", {})

    def test_by_id_it_reads_what_anybody_loaded(
        self, provider: ModelProvider, emulator: Emulator
    ) -> None:
        emulator.load_by_somebody_else(GPT2, concurrency=4)
        result = provider.read(GPT2, sent({}))
        assert result.outs is not None
        assert (result.id, result.outs["modelId"], result.outs["concurrency"]) == (GPT2, GPT2, 4)
        # A refresh of what was read by id has the outputs too.
        again = provider.read(GPT2, sent(result.outs))
        assert again.outs == result.outs

    def test_by_id_what_is_not_loaded_is_an_error(self, provider: ModelProvider) -> None:
        """An empty answer would be empty outputs and exit code 0."""
        with pytest.raises(NotLoadedError):
            provider.read(GPT2, sent({}))


class TestUpdate:
    def test_it_returns_everything(self, provider: ModelProvider) -> None:
        olds = created(provider)
        news = sent(provider.check({}, declared(adopt=True, expectedHoursPerDay=8)).inputs)
        outs = provider.update(GPT2, olds, news).outs
        assert outs is not None
        assert sent(outs) == {**olds, "adopt": True, "expectedHoursPerDay": 8.0}

    def test_what_is_no_longer_declared_is_no_longer_there(self, provider: ModelProvider) -> None:
        olds = created(provider, expectedHoursPerDay=8)
        outs = provider.update(GPT2, olds, sent(provider.check({}, declared()).inputs)).outs
        assert outs is not None
        assert "expectedHoursPerDay" not in outs


class TestStateThatIsNone:
    """Edited by hand, or written by an attacker."""

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("concurrency", "\x1b[31mmany", "its concurrency must be a whole number of at least 0"),
            ("modelId", "../../etc", "its modelId must be a model id of the form"),
            ("endpoint", None, "its endpoint is missing"),
        ],
    )
    def test_it_is_one_sentence_and_nothing_is_sent(
        self, provider: ModelProvider, emulator: Emulator, name: str, value: object, said: str
    ) -> None:
        """Once it was a traceback of twenty lines that quoted the state."""
        good = created(provider)
        news = sent(provider.check({}, declared()).inputs)
        olds = {k: v for k, v in {**good, name: value}.items() if v is not None}
        seen = len(emulator.requests())
        for operation in (
            lambda: provider.diff(GPT2, olds, news),
            lambda: provider.update(GPT2, olds, news),
            lambda: provider.delete(GPT2, olds),
        ):
            with pytest.raises(InvalidInputError) as caught:
                operation()
            message = str(caught.value)
            assert message.startswith("could not read the state of '")
            assert said in message
            assert message.isprintable()
            assert caught.value.__cause__ is None
        assert len(emulator.requests()) == seen
