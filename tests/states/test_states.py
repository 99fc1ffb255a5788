"""A stack of an earlier version goes on with the present code: nothing is lost or loaded twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bytez_provider import __version__
from bytez_provider.emulator import Emulator
from tests.e2e.helpers import GPT2, PHI
from tests.e2e.stack import Stack
from tests.states.cases import ANY_ENDPOINT, CASES, HERE, SERVICE, STATE, Case, emulator

RECORDINGS = sorted(path.parent for path in HERE.glob(f"*/*/{STATE}"))


def changed(emulated: Emulator, since: int) -> list[tuple[str, str | None]]:
    """Return method and model of each request that changed something."""
    return [
        (one.method, one.model)
        for one in emulated.requests()[since:]
        if one.method in ("PUT", "PATCH", "DELETE") or one.path in ("/model/load", "/model/delete")
    ]


def loaded(emulated: Emulator) -> set[str]:
    """Return the models that are loaded, in the API of any year."""
    return {one["modelId"] for one in emulated.instances()}


def goes_on(stack: Stack, case: Case, emulated: Emulator) -> None:
    """Refresh, keep, change and destroy the stack, and check what the service was asked."""
    stack.program(case.program(concurrency=1))
    stack.refresh().ok()
    assert loaded(emulated) == {GPT2, PHI}
    stack.up().ok()
    assert changed(emulated, 0) == [], "an unchanged program changes nothing"
    assert stack.models()["gpt2"]["status"] == "RUNNING"

    stack.program(case.program(concurrency=2))
    stack.up().ok()
    asked = changed(emulated, 0)
    assert len(asked) == (1 if case.in_place else 2), asked
    assert {model for _, model in asked} == {GPT2}
    assert loaded(emulated) == {GPT2, PHI}

    stack.destroy().ok()
    assert loaded(emulated) == set()
    assert stack.models() == {}


@pytest.mark.parametrize(
    "recording", RECORDINGS, ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_the_present_code_goes_on_with_it(recording: Path, tmp_path: Path) -> None:
    case = CASES[recording.name]
    service = tmp_path / SERVICE
    shutil.copy(recording / SERVICE, service)
    with emulator(service) as emulated:
        stack = case.stack(tmp_path / "stack", emulated)
        try:
            state = stack.folder / STATE
            text = (recording / STATE).read_text(encoding="utf-8")
            state.write_text(text.replace(ANY_ENDPOINT, emulated.url), encoding="utf-8")
            stack.run("stack", "import", "--file", str(state)).ok()
            goes_on(stack, case, emulated)
        finally:
            stack.end()


def test_every_case_of_this_version_is_recorded() -> None:
    here = {path.name for path in RECORDINGS if path.parent.name == __version__}
    assert here == set(CASES)


def test_a_recording_names_no_file_of_a_machine() -> None:
    for recording in RECORDINGS:
        text = (recording / STATE).read_text(encoding="utf-8")
        assert not any(word in text for word in ("sourcePosition", "stackTrace", "virtualenv"))
