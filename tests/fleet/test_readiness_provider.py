"""`ReadinessProvider` by direct calls, with the bags that Pulumi's host hands it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot
from pulumi.dynamic import Config, ConfigureRequest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.output import Unknown

from bytez_provider.base.errors import MissingKeyError
from bytez_provider.dynamic.providers import ModelProvider, ReadinessProvider
from bytez_provider.emulator import Emulator
from tests.lifecycle.machine import GPT2, KEY, PHI

UNKNOWN = Unknown()  # type: ignore[no-untyped-call]
PICKLED = "gASVNAAAAAAAAACMF2J5dGV6X3Byb3ZpZGVyLnByb3ZpZGVylIwRUmVhZGluZXNzUHJvdmlkZXKUk5QpgZQu"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Boots end at once: the providers' own clock is the machine's."""
    with Emulator(keys=[KEY], clock="manual", boot_seconds=0) as running:
        yield running


@pytest.fixture
def request_(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ConfigureRequest:
    """What the host configures a provider with."""
    for name in ("BYTEZ_KEY", "BYTEZ_ADOPT", "BYTEZ_ACCEPT_ACCOUNT_CHANGE", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BYTEZ_ENDPOINT", emulator.url)
    monkeypatch.setenv("BYTEZ_JOURNAL", str(tmp_path / "journal"))
    return ConfigureRequest(config=Config({"bytez:key": KEY}, "shop"))


@pytest.fixture
def models(request_: ConfigureRequest) -> Iterator[ModelProvider]:
    """The provider of the fleet's models, in the same process."""
    provider = ModelProvider()
    provider.configure(request_)
    yield provider
    provider._lifecycle._account.client.close()


@pytest.fixture
def provider(request_: ConfigureRequest, models: ModelProvider) -> ReadinessProvider:
    """A readiness provider with a key."""
    provider = ReadinessProvider()
    provider.configure(request_)
    assert provider._readiness._lifecycle is models._lifecycle
    return provider


@pytest.fixture
def states(models: ModelProvider) -> dict[str, dict[str, Any]]:
    """Return the outputs of two models of a fleet, which run."""
    return {"gpt2": loaded(models, GPT2), "phi": loaded(models, PHI)}


@pytest.fixture
def news(states: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what a program declares of their readiness."""
    return declared(**states)


def loaded(models: ModelProvider, model_id: str) -> dict[str, Any]:
    """Load a model of a fleet; return its outputs."""
    bag = {"modelId": model_id, "concurrency": 1.0, "readiness": "fleet"}
    return models.create(bag).outs or {}


def declared(**states: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of the readiness of models."""
    members = {
        key: {"modelId": outs["modelId"], "created": outs["created"]}
        for key, outs in states.items()
    }
    return {"__provider": PICKLED, "fleet": "chat", "members": members}


class TestStorageFormat:
    def test_the_pickled_provider_is_what_every_state_holds(self) -> None:
        """Never change it: a state written with it must be read for ever."""
        assert serialize_provider(ReadinessProvider()) == PICKLED

    def test_a_state_of_a_later_version_is_readable(
        self, provider: ReadinessProvider, news: dict[str, Any]
    ) -> None:
        olds = provider.create(news).outs or {}
        later = {**olds, "shiny": {"a": 1.0}}
        later["members"] = {key: {**one, "shiny": 1.0} for key, one in olds["members"].items()}
        assert provider.diff("chat", later, news).changes is False
        assert provider.read("chat", later).id == "chat"


PHI_MEMBER = {"modelId": PHI, "created": "2030-01-01T00:00:00.000Z"}


class TestDiff:
    def test_the_same_is_no_change(self, provider: ReadinessProvider, news: dict[str, Any]) -> None:
        olds = {**(provider.create(news).outs or {}), "__provider": PICKLED}
        change = provider.diff("chat", olds, news)
        assert (change.changes, change.replaces) == (False, None)
        assert provider.diff("chat", {**olds, "ready": False}, news).changes is True

    @pytest.mark.parametrize(
        "changed",
        [
            {"phi": PHI_MEMBER},
            {"opt": {"modelId": "facebook/opt-1.3b", "created": ""}},
            {"phi": None},
            {"phi": {"acceptIdle": True}},
            # Before a delete-before-replace of a model the engine asks with unknown values.
            UNKNOWN,
            {"gpt2": UNKNOWN},
            {"gpt2": {"created": UNKNOWN}},
        ],
        ids=[
            *("another load", "one more", "one less", "idle is accepted"),
            *("unknown members", "an unknown member", "an unknown load"),
        ],
    )
    def test_another_or_an_unknown_member_is_an_update_and_never_a_replacement(
        self, provider: ReadinessProvider, news: dict[str, Any], changed: Any
    ) -> None:
        olds = provider.create(news).outs or {}
        members: Any = changed
        if isinstance(changed, dict):
            members = {**news["members"]}
            for key, one in changed.items():
                members[key] = {**members.get(key, {}), **one} if isinstance(one, dict) else one
            members = {key: one for key, one in members.items() if one is not None}
        change = provider.diff("chat", olds, {**news, "members": members})
        assert (change.changes, change.replaces) == (True, None)

    def test_a_declaration_that_is_unknown_throughout_is_an_update(
        self, provider: ReadinessProvider, news: dict[str, Any]
    ) -> None:
        olds = provider.create(news).outs or {}
        change = provider.diff("chat", olds, dict.fromkeys(news, UNKNOWN))
        assert (change.changes, change.replaces) == (True, None)


class TestOperations:
    def test_create_is_named_after_the_fleet_and_its_outputs_are_plain(
        self, provider: ReadinessProvider, news: dict[str, Any]
    ) -> None:
        created = provider.create(news)
        assert created.id == "chat"
        assert created.outs == {
            "fleet": "chat",
            "members": {key: {**one, "acceptIdle": False} for key, one in news["members"].items()},
            "ready": True,
            "statuses": {"gpt2": "RUNNING", "phi": "RUNNING"},
        }
        assert json.loads(json.dumps(created.outs)) == created.outs

    def test_read_is_as_it_was(self, provider: ReadinessProvider, news: dict[str, Any]) -> None:
        olds = provider.create(news).outs or {}
        found = provider.read("chat", {**olds, "__provider": PICKLED})
        assert (found.id, found.outs) == ("chat", olds)

    def test_read_of_what_is_gone_is_an_empty_id(
        self, provider: ReadinessProvider, emulator: Emulator, states: dict[str, dict[str, Any]]
    ) -> None:
        olds = provider.create(declared(gpt2=states["gpt2"])).outs or {}
        emulator.unload_by_somebody_else(GPT2)
        found = provider.read("chat", olds)
        assert (found.id, found.outs) == ("", {})

    def test_delete_sends_nothing(
        self, provider: ReadinessProvider, emulator: Emulator, news: dict[str, Any]
    ) -> None:
        olds = provider.create(news).outs or {}
        seen = len(emulator.requests())
        provider.delete("chat", olds)
        assert len(emulator.requests()) == seen
        assert len(emulator.instances()) == 2

    def test_without_a_key_it_says_how_to_set_one(
        self, request_: ConfigureRequest, models: ModelProvider, news: dict[str, Any]
    ) -> None:
        keyless = ReadinessProvider()
        keyless.configure(ConfigureRequest(config=Config({}, "shop")))
        with pytest.raises(MissingKeyError) as caught:
            keyless.create(news)
        assert str(caught.value) == snapshot(
            "could not bring up the fleet 'chat': no API key is set. Its models are "
            "left as they are, and are in state. Set one with `pulumi config set "
            "--secret bytez:key <key>`, or in the environment as BYTEZ_KEY, then run "
            "`pulumi up` again, which waits for them."
        )
