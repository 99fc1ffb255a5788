"""The models that can be loaded: the seed document's table row by row, and what a user adds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One line of the seed's table. A name may stand there twice (seed)."""

    name: str
    required_ram: float | None
    """GB of GPU RAM for one instance; None where the table says N/A."""
    benchmarked: bool


def seed_catalogue() -> tuple[Row, ...]:
    """Return the table in its own order, implausible figures and doubles included (seed)."""
    text = files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8")
    return read_rows(json.loads(text))


def read_rows(entries: Any) -> tuple[Row, ...]:
    """Return the rows that a list of the seed's form `{name, requiredRAM, benchmarked}` holds.

    Raises:
        ValueError: It holds something else; names the first.
    """
    if not isinstance(entries, list):
        raise ValueError("models must be a list")
    return tuple(_row(number, entry) for number, entry in enumerate(entries, 1))


def _row(number: int, entry: Any) -> Row:
    match entry:
        case {"name": str() as name, "requiredRAM": ram, "benchmarked": bool() as benchmarked}:
            if name.count("/") == 1 and (ram is None or _is_figure(ram)):
                return Row(name, ram, benchmarked)
    raise ValueError(
        f"model {number} must be {{'name': 'owner/name', 'requiredRAM': GB or null, "
        "'benchmarked': true or false}"
    )


def _is_figure(ram: Any) -> bool:
    is_number = isinstance(ram, int | float) and not isinstance(ram, bool)
    return is_number and 0 <= ram < math.inf


def ram_by_model(rows: Sequence[Row]) -> Mapping[str, float | None]:
    """Return the RAM in GB of each model; of a name that stands twice, the figure counts."""
    ram: dict[str, float | None] = {}
    for row in rows:
        if ram.get(row.name) is None:
            ram[row.name] = row.required_ram
    return ram
