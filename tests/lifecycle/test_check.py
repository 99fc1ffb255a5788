"""check: a declaration is normalised or refused."""

from __future__ import annotations

from typing import Any

import pytest
from inline_snapshot import snapshot

from bytez_provider.core.lifecycle import Checked
from tests.lifecycle.caller import OTHER_URN, URN, FakeCaller
from tests.lifecycle.machine import GPT2, KEY, PHI, Machine, Process, always


def check(process: Process, news: dict[str, Any], old: str | None = None) -> Checked:
    return process.lifecycle.check(news, old, FakeCaller(None))


class TestCheck:
    def test_every_mistake_is_reported_by_name(self, process: Process) -> None:
        assert check(process, {}).problems == [("modelId", "is missing")]
        wrong = {
            "modelId": "x",
            "concurrency": -1,
            "expirationPeriodSeconds": 59,
            "adopt": "yes",
            "onExpiry": "ignore",
            "expectedHoursPerDay": 25,
            "concurency": 2,
        }
        assert [name for name, _ in check(process, wrong).problems] == list(wrong)

    def test_a_second_resource_of_a_model_is_refused_by_the_name_of_the_first(
        self, process: Process
    ) -> None:
        """The same resource may be checked twice: a replacement is."""
        for model_id, urn in ((GPT2, URN), (GPT2, URN), (PHI, OTHER_URN), (GPT2, None)):
            checked = process.lifecycle.check({"modelId": model_id}, None, FakeCaller(urn))
            assert checked.problems == []
        ((name, reason),) = process.lifecycle.check(
            {"modelId": GPT2}, None, FakeCaller(OTHER_URN)
        ).problems
        assert name == "modelId"
        assert reason == snapshot(
            "'openai-community/gpt2' is also declared by 'gpt2', and the service holds one load of "
            "a model: remove one of the two"
        )


class TestCheckAgainstTheCatalogue:
    TYPO = "openai-community/gpt-2"

    @pytest.mark.parametrize("old", [None, GPT2])
    def test_an_unknown_model_is_refused_with_the_nearest_names(
        self, machine: Machine, old: str | None
    ) -> None:
        ((name, reason),) = check(
            machine.process(catalogue="live"), {"modelId": self.TYPO}, old
        ).problems
        assert name == "modelId"
        assert f"did you mean '{GPT2}'" in reason

    @pytest.mark.parametrize("why", ["no key", "no answer", "bundled"])
    def test_an_unknown_model_that_may_exist_is_a_warning(self, machine: Machine, why: str) -> None:
        if why == "no answer":
            machine.faults(always(respond={"status": 503, "body": ""}))
        process = machine.process(
            catalogue="bundled" if why == "bundled" else "live",
            key=None if why == "no key" else KEY,
        )
        caller = FakeCaller()
        assert process.lifecycle.check({"modelId": self.TYPO}, None, caller).problems == []
        assert len(caller.warnings) == 1

    def test_a_name_that_has_not_changed_is_not_looked_up(self, machine: Machine) -> None:
        caller, process = FakeCaller(), machine.process(catalogue="live")
        assert process.lifecycle.check({"modelId": self.TYPO}, self.TYPO, caller).problems == []
        assert caller.warnings == []
        assert machine.emulator.requests() == []

    def test_without_a_catalogue_every_name_is_accepted(self, machine: Machine) -> None:
        caller = FakeCaller()
        checked = machine.process(catalogue="off").lifecycle.check(
            {"modelId": "who/knows"}, None, caller
        )
        assert (checked.problems, caller.warnings) == ([], [])
        assert machine.emulator.requests() == []

    def test_the_catalogue_is_requested_once_per_process(self, machine: Machine) -> None:
        process = machine.process(catalogue="live")
        for model_id in (GPT2, PHI, self.TYPO):
            check(process, {"modelId": model_id})
        assert len(machine.emulator.requests("/model/list")) == 1
