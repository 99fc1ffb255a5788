"""Reading the body of PUT and PATCH of the 2025-04 API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bytez_provider.emulator.calls import RefusedError
from bytez_provider.emulator.cluster import MOST_INSTANCES, Power, Settings
from bytez_provider.emulator.load import Capacity

MOST_MINUTES = 1440
"""The highest timeout (vendor client)."""


def read_settings(body: Mapping[str, Any], base: Settings) -> Settings:
    """Return the settings of a body; `base` has the values of what it leaves out.

    A null counts as left out (vendor client: one sends `null` and `{}`).

    Raises:
        RefusedError: 400, in one sentence (choice).
    """
    timeout = _whole(body.get("timeout"), "timeout", 1, MOST_MINUTES)
    return Settings(
        base.timeout_minutes if timeout is None else timeout,
        _capacity(body.get("capacity"), base.capacity),
    )


def read_power(body: Mapping[str, Any]) -> Power | None:
    """Return the `status` of a PATCH, a switch (vendor client); None if it is left out.

    Raises:
        RefusedError: 400, it is neither "on" nor "off" (choice).
    """
    status = body.get("status")
    if status not in (None, "on", "off"):
        raise RefusedError(400, "status must be 'on' or 'off'")
    return status


def _capacity(given: Any, base: Capacity) -> Capacity:
    """Return a capacity. Numbers that are left out give way to those that are given (choice)."""
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise RefusedError(400, "capacity must be an object with min, desired and max")
    least, desired, most = (
        _whole(given.get(name), f"capacity.{name}", 0, MOST_INSTANCES) for name in Capacity._fields
    )
    if most is None:
        most = max(one for one in (base.max, least, desired) if one is not None)
    if least is None:
        least = min(one for one in (base.min, most, desired) if one is not None)
    if desired is None:
        desired = Capacity(least, 0, most).clamp(base.desired)
    if least > most:
        raise RefusedError(400, "capacity.min must not be above capacity.max")
    if not least <= desired <= most:
        raise RefusedError(400, "capacity.desired must be from capacity.min to capacity.max")
    if most > MOST_INSTANCES:
        # Only the kept concurrency of a load of the 2024 APIs.
        raise RefusedError(400, f"capacity.max must be at most {MOST_INSTANCES}")
    return Capacity(least, desired, most)


def _whole(value: Any, name: str, least: int, most: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RefusedError(400, f"{name} must be a whole number from {least} to {most}")
    return value
