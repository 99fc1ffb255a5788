"""What `make coverage` makes of coverage's report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import bytez_provider
from tools.coverage.rooms import ROOMS, Room, rooms_of, table

OF_THE_PROMISE = {"lifecycle", "provider", "client", "waiter", "ownership", "host"}


def told(
    statements: int, run: int, branches: int = 0, branches_run: int = 0, **missing: list[Any]
) -> dict[str, Any]:
    """Return what coverage tells of a file."""
    return {
        "summary": {
            "num_statements": statements,
            "covered_lines": run,
            "num_branches": branches,
            "covered_branches": branches_run,
        },
        "missing_lines": missing.get("lines", []),
        "missing_branches": missing.get("jumps", []),
    }


def room(name: str, files: dict[str, dict[str, Any]]) -> Room:
    return next(one for one in rooms_of({"files": files}) if one.name == name)


def test_each_room_is_one_and_those_of_the_promise_are_among_them() -> None:
    package = Path(bytez_provider.__file__).parent
    for name in ROOMS:
        assert (package / name).is_dir() or (package / f"{name}.py").is_file()
    assert set(ROOMS) >= OF_THE_PROMISE


def test_the_files_of_a_package_are_one_room() -> None:
    found = room(
        "client",
        {
            "bytez_provider/service/client/_call.py": told(10, 9, 4, 4, lines=[7]),
            "bytez_provider/service/client/_client.py": told(30, 30, 4, 3, jumps=[[3, -1]]),
            "bytez_provider/clientele.py": told(100, 0),
            "bytez_provider/cli/client.py": told(100, 0),
        },
    )
    assert found.percent == (97.5, 87.5)
    assert found.missing == {
        "bytez_provider/service/client/_call.py": ["7"],
        "bytez_provider/service/client/_client.py": ["3->-1"],
    }


@pytest.mark.parametrize(
    ("file", "is_enough"),
    [
        (told(100, 95, 100, 95), True),
        (told(100, 95), True),
        (told(100, 94, 100, 100), False),
        (told(100, 100, 100, 94), False),
    ],
)
def test_both_statements_and_branches_count(file: dict[str, Any], is_enough: bool) -> None:
    assert room("host", {"bytez_provider/dynamic/host.py": file}).is_enough is is_enough


def test_the_table_says_what_is_missing_where_it_is_not_enough() -> None:
    files = {
        "bytez_provider/dynamic/host.py": told(100, 94, lines=[3, 4, 5, 6, 7, 8]),
        "bytez_provider/core/waiter.py": told(100, 99, lines=[9]),
    }
    said = table(rooms_of({"files": files}))
    assert "host            94.0 %   100.0 %" in said
    assert (
        "host has less than 95 %; not run:\n  bytez_provider/dynamic/host.py: 3, 4, 5, 6, 7, 8"
        in said
    )
    assert "waiter has" not in said
