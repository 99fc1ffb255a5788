"""The models that can be loaded: the seed document's table, row by row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the seed's table. A name may stand there twice (seed)."""

    name: str
    required_ram: float | None
    """GB of GPU RAM for one instance; None where the table says N/A."""
    benchmarked: bool


def seed_catalogue() -> tuple[Row, ...]:
    """Return the table in its own order, implausible figures and doubles included (seed)."""
    text = files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8")
    return tuple(
        Row(row["name"], row["requiredRAM"], row["benchmarked"]) for row in json.loads(text)
    )


def ram_by_model(rows: Sequence[Row]) -> Mapping[str, float | None]:
    """Return the RAM in GB of each model; of a name that stands twice, the figure counts."""
    ram: dict[str, float | None] = {}
    for row in rows:
        if ram.get(row.name) is None:
            ram[row.name] = row.required_ram
    return ram
