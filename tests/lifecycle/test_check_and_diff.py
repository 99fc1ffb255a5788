"""check normalises or refuses; diff says what a change asks for."""

from __future__ import annotations

from typing import Any

import pytest

from bytez_provider.core.declared import Granted, ModelState
from bytez_provider.core.lifecycle import NOT_LOADED, Lifecycle, diff
from bytez_provider.core.ownership import Folder, Ledger
from bytez_provider.core.waiter import Waiter
from bytez_provider.service.catalogue import CatalogueSource
from bytez_provider.service.client import BytezClient
from bytez_provider.service.settings import CatalogueMode, Key, Settings
from tests.clocks import EmulatorClock
from tests.lifecycle.caller import OTHER_URN, URN
from tests.lifecycle.machine import GPT2, KEY, PHI, Machine, Process, inputs


def checking(
    machine: Machine, catalogue: CatalogueMode = "live", key: str | None = KEY
) -> Lifecycle:
    """Return the operations over a catalogue."""
    settings = Settings(
        endpoint=machine.emulator.url, key=Key(key) if key else None, catalogue=catalogue
    )
    clock = EmulatorClock(machine.emulator)
    client = BytezClient(settings, clock=clock)
    ledger = Ledger(Folder(machine.folder), endpoint="x", account="y", clock=clock)
    return Lifecycle(
        settings=settings,
        client=client,
        catalogue=CatalogueSource(settings, client),
        ledger=ledger,
        waiter=Waiter(client, clock),
    )


class TestCheck:
    def test_whole_numbers_come_as_floats_and_are_kept_as_such(self, process: Process) -> None:
        given = {"modelId": GPT2, "concurrency": 2.0, "expirationPeriodSeconds": 600.0}
        checked = process.lifecycle.check(given, None)
        assert checked.problems == []
        assert checked.inputs is not None
        bag = checked.inputs.bag()
        assert (bag["concurrency"], bag["expirationPeriodSeconds"]) == (2, 600)
        assert isinstance(bag["concurrency"], int)

    def test_defaults_are_filled_in(self, process: Process) -> None:
        checked = process.lifecycle.check({"modelId": GPT2}, None)
        assert checked.inputs is not None
        assert checked.inputs.bag() == {
            "modelId": GPT2,
            "concurrency": 1,
            "adopt": False,
            "onExpiry": "reload",
        }

    @pytest.mark.parametrize(
        ("name", "value", "reason"),
        [
            ("concurrency", True, "must be a whole number of at least 1, not True"),
            ("concurrency", 1.5, "must be a whole number of at least 1, not 1.5"),
            ("concurrency", 0, "must be a whole number of at least 1, not 0"),
            ("concurrency", -3.0, "must be a whole number of at least 1, not -3"),
            ("concurrency", "2", "must be a whole number of at least 1, not '2'"),
            ("concurrency", float("nan"), "must be a whole number of at least 1, not nan"),
            ("concurrency", float("inf"), "must be a whole number of at least 1, not inf"),
            ("expirationPeriodSeconds", 59, "from 60 to 604800, not 59"),
            ("expirationPeriodSeconds", 604801, "from 60 to 604800, not 604801"),
            ("expirationPeriodSeconds", True, "from 60 to 604800, not True"),
            ("modelId", "gpt2", "of the form 'owner/name'"),
            ("modelId", "a/b/c", "of the form 'owner/name'"),
            ("modelId", "a/b\n", "of the form 'owner/name'"),
            ("modelId", 7, "of the form 'owner/name'"),
            ("onExpiry", "ignore", "must be 'reload' or 'accept', not 'ignore'"),
            ("adopt", "yes", "must be true or false, not 'yes'"),
            ("expectedHoursPerDay", 25, "must be a number of hours from 0 to 24, not 25"),
            ("concurency", 2, "is not an argument; the arguments are modelId, concurrency,"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(
        self, process: Process, name: str, value: object, reason: str
    ) -> None:
        checked = process.lifecycle.check({"modelId": GPT2, name: value}, None)
        ((where, why),) = checked.problems
        assert where == name
        assert reason in why

    def test_a_missing_model_is_refused(self, process: Process) -> None:
        assert process.lifecycle.check({}, None).problems == [("modelId", "is missing")]

    def test_every_mistake_is_told(self, process: Process) -> None:
        checked = process.lifecycle.check({"modelId": "x", "concurrency": 0}, None)
        assert [name for name, _ in checked.problems] == ["modelId", "concurrency"]


class TestTwins:
    def test_a_second_resource_of_a_model_is_refused_by_the_name_of_the_first(
        self, process: Process
    ) -> None:
        """The service holds one load of a model."""
        assert process.lifecycle.check({"modelId": GPT2}, None, URN).problems == []
        checked = process.lifecycle.check({"modelId": GPT2}, None, OTHER_URN)
        ((name, reason),) = checked.problems
        assert name == "modelId"
        assert reason == (
            f"'{GPT2}' is declared by 'gpt2' too, and the service holds one load of a model: "
            "remove one of the two"
        )

    def test_the_same_resource_again_or_another_model_is_not(self, process: Process) -> None:
        """A replacement is checked twice."""
        for model_id, urn in ((GPT2, URN), (GPT2, URN), (PHI, OTHER_URN), (GPT2, None)):
            assert process.lifecycle.check({"modelId": model_id}, None, urn).problems == []


class TestCheckAgainstTheCatalogue:
    TYPO = "openai-community/gpt-2"

    def test_an_unknown_model_is_refused_with_the_nearest_names(self, machine: Machine) -> None:
        checked = checking(machine).check({"modelId": self.TYPO}, None)
        ((name, reason),) = checked.problems
        assert name == "modelId"
        assert reason.startswith(
            f"'{self.TYPO}' is not in the Bytez catalogue; did you mean '{GPT2}'"
        )

    def test_a_changed_one_is_refused(self, machine: Machine) -> None:
        assert checking(machine).check({"modelId": self.TYPO}, GPT2).problems != []

    def test_an_unchanged_one_is_a_warning(self, machine: Machine) -> None:
        checked = checking(machine).check({"modelId": self.TYPO}, self.TYPO)
        assert checked.problems == []
        assert checked.inputs is not None
        assert len(checked.warnings) == 1

    @pytest.mark.parametrize("why", ["no key", "no answer", "bundled"])
    def test_against_the_copy_in_the_package_it_is_a_warning(
        self, machine: Machine, why: str
    ) -> None:
        if why == "no answer":
            machine.emulator.set_faults([{"do": {"respond": {"status": 503, "body": ""}}}])
        lifecycle = checking(
            machine,
            catalogue="bundled" if why == "bundled" else "live",
            key=None if why == "no key" else KEY,
        )
        checked = lifecycle.check({"modelId": self.TYPO}, None)
        assert checked.problems == []
        (warning,) = checked.warnings
        assert "is not in the catalogue that came with this package" in warning

    def test_without_a_catalogue_every_name_will_do(self, machine: Machine) -> None:
        checked = checking(machine, catalogue="off").check({"modelId": "who/knows"}, None)
        assert (checked.problems, checked.warnings) == ([], [])
        assert machine.emulator.requests() == []

    def test_the_catalogue_is_asked_once_a_process(self, machine: Machine) -> None:
        lifecycle = checking(machine)
        for model_id in (GPT2, PHI, self.TYPO):
            lifecycle.check({"modelId": model_id}, None)
        assert len(machine.emulator.requests("/model/list")) == 1


def state(**given: Any) -> ModelState:
    settled = {"status": "RUNNING", "endpoint": "https://api.bytez.com", "account": "a"}
    return ModelState(**{"model_id": GPT2, **settled, **given})


class TestDiff:
    def test_the_same_is_no_change(self) -> None:
        change = diff(state(), inputs(), frozenset())
        assert (change.needed, change.replaces) == (False, [])

    @pytest.mark.parametrize(
        "changed",
        [
            {"model_id": PHI},
            {"concurrency": 2},
            {"expiration_period_seconds": 600},
        ],
        ids=lambda changed: next(iter(changed)),
    )
    def test_what_the_service_cannot_change_in_place_replaces(
        self, changed: dict[str, Any]
    ) -> None:
        change = diff(state(), inputs(**changed), frozenset())
        assert (change.needed, change.replaces) == (True, list(changed))

    def test_an_expiry_that_is_no_longer_declared_replaces(self) -> None:
        change = diff(state(expiration_period_seconds=600), inputs(), frozenset())
        assert change.replaces == ["expiration_period_seconds"]

    @pytest.mark.parametrize(
        "changed",
        [{"adopt": True}, {"on_expiry": "accept"}, {"expected_hours_per_day": 8.0}],
        ids=lambda changed: next(iter(changed)),
    )
    def test_what_does_not_concern_the_service_updates(self, changed: dict[str, Any]) -> None:
        change = diff(state(), inputs(**changed), frozenset())
        assert (change.needed, change.replaces) == (True, [])

    @pytest.mark.parametrize("status", ["DEPLOYING", "FAILED", "WARMING"])
    def test_what_is_not_running_updates(self, status: str) -> None:
        change = diff(state(status=status), inputs(), frozenset())
        assert (change.needed, change.replaces) == (True, [])

    def test_an_accepted_expiry_stays(self) -> None:
        idle = state(status=NOT_LOADED, on_expiry="accept")
        assert not diff(idle, inputs(on_expiry="accept"), frozenset()).needed

    def test_an_expiry_that_is_no_longer_accepted_updates(self) -> None:
        idle = state(status=NOT_LOADED, on_expiry="accept")
        assert diff(idle, inputs(), frozenset()).needed

    @pytest.mark.parametrize("name", ["model_id", "concurrency", "adopt"])
    def test_an_unknown_value_is_a_change_and_never_a_replacement(self, name: str) -> None:
        """What stands in its place is a default, and says nothing."""
        stands_in: dict[str, Any] = {"model_id": PHI, "concurrency": 1, "adopt": True}
        given: dict[str, Any] = {"concurrency": 4, name: stands_in[name]}
        new = inputs(**given)
        change = diff(state(concurrency=4), new, frozenset([name]))
        assert (change.needed, change.replaces) == (True, [])

    def test_what_was_granted_is_not_compared(self) -> None:
        rounded = state(concurrency=3, granted=Granted(concurrency=4))
        assert not diff(rounded, inputs(concurrency=3), frozenset()).needed
