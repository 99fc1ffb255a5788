"""The models that can be loaded: the table of the vendor doc, row by row, and what a user adds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One row of the table. A name may occur twice (vendor doc)."""

    name: str
    required_ram: float | None
    """GB of GPU RAM for one instance; None if the table says N/A."""
    benchmarked: bool


def vendor_catalogue() -> tuple[Row, ...]:
    """Return the vendor doc's table in its order, with implausible figures and duplicates."""
    text = files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8")
    return read_rows(json.loads(text))


def read_rows(entries: Any) -> tuple[Row, ...]:
    """Return the rows of a list of `{name, requiredRAM, benchmarked}`, as `/model/list` has them.

    Raises:
        ValueError: something else is in the list; names the first.
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
    """Return the RAM in GB of each model; a duplicate without a figure does not count."""
    ram: dict[str, float | None] = {}
    for row in rows:
        if ram.get(row.name) is None:
            ram[row.name] = row.required_ram
    return ram
