"""The rooms, and who may import whom: one way only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import bytez_provider

PACKAGE = Path(bytez_provider.__file__).parent
ROOMS: Mapping[str, tuple[str, ...]] = {
    "base": (
        "errors",
        "clock",
        "words",
        "urns",
        "marks",
        "files",
        "markup",
        "properties",
        "document",
    ),
    "service": ("settings", "schemas", "wire", "apis", "client", "catalogue", "pricing"),
    "core": (
        "inputs",
        "fleets",
        "declared",
        "ownership",
        "caller",
        "waiting",
        "messages",
        "lifecycle",
        "readiness",
        "rooms",
    ),
    "fleetfile": (),
    "engine": (),
    "dynamic": ("host", "providers", "options", "model", "fleet"),
    "native": ("bags", "fleet", "resources", "provider", "serving", "command"),
    "provider": (),
    "stack": ("declared", "states", "moving"),
    "policies": (),
    "review": (),
    "audit": (),
    "cli": (),
}
"""The rooms from the bottom to the top, and what is in those that hold several."""
ORDER = [f"{room}.{part}".rstrip(".") for room, parts in ROOMS.items() for part in ("", *parts)]
ONLY_FOR = {
    "requests": {"service.client"},
    "urllib3": {"service.client"},
    "pulumi": {
        "engine",
        "dynamic.providers",
        "dynamic.host",
        "dynamic.options",
        "dynamic.model",
        "dynamic.fleet",
        "native.fleet",
        "native.provider",
        "native.serving",
        "policies",
    },
    "pulumi_policy": {"policies"},
    "starlette": {"emulator"},
    "uvicorn": {"emulator"},
    "obstore": {"core.ownership"},
    "typer": {"cli"},
    "rich": {"cli"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def place_of(dotted: str) -> str:
    """Return the room, and the part of it, that a dotted name in the package belongs to."""
    room, _, rest = dotted.partition(".")
    part = rest.partition(".")[0]
    return f"{room}.{part}" if part in ROOMS.get(room, ()) else room


def room_of(file: Path) -> str:
    """Return the place of a file; "" for the package's own `__init__`."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return place_of(".".join(part for part in parts if part != "__init__"))


@cache
def imports_of(file: Path) -> tuple[tuple[str, int], ...]:
    """Return each dotted name that a file imports, within functions too, and its line."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}:{node.lineno} imports relatively"
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return tuple(found)


def rooms_imported(file: Path) -> Iterator[tuple[str, int]]:
    for name, line in imports_of(file):
        package, _, rest = name.partition(".")
        place = place_of(rest)
        if package == "bytez_provider" and (place in ORDER or place == "emulator"):
            yield place, line


def test_every_file_has_its_place() -> None:
    known = {*ORDER, "emulator", ""}
    assert {room_of(file) for file in FILES} <= known
    # What is in a room of several is one of them.
    several = {room for room, parts in ROOMS.items() if parts}
    inside = [file for file in FILES if room_of(file) in several and file.stem != "__init__"]
    assert not inside


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    """The emulator stands alone: else a wrong field name could pass on both sides of the wire."""
    room = room_of(file)
    for other, line in rooms_imported(file):
        if room == "emulator":
            may = other in ("emulator", "base", "base.files")
        elif other == "emulator":
            may = room in ("", "cli")
        else:
            may = room == "" or ORDER.index(other) <= ORDER.index(room)
        assert may, f"{file.name}:{line} imports {other}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_library_is_imported_only_where_it_may_be(file: Path) -> None:
    for name, line in imports_of(file):
        rooms = ONLY_FOR.get(name.partition(".")[0])
        assert rooms is None or room_of(file) in rooms, f"{file.name}:{line} imports {name}"


HEAVY = {"requests", "urllib3", "pydantic", "pulumi", "typer", "rich", "starlette", "uvicorn"}


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("bytez_provider", HEAVY),
        *[
            (f"bytez_provider.{room}", {"requests", "pydantic", "pulumi"})
            for room in ("base.errors", "base.clock", "service.settings", "core.inputs")
        ],
        ("bytez_provider.emulator.server", {"requests", "pulumi"}),
    ],
)
def test_an_import_loads_only_what_it_needs(name: str, missing: set[str]) -> None:
    code = f"import sys, {name}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert missing.isdisjoint(run.stdout.split())
