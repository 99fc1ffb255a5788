"""The world's model: which loads there are, whose each is, and which ended of themselves.

Kept from what the machine itself does in the part of somebody else, and from comparing what is
really loaded before and after each deployment; never from what the provider says.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.fixtures import START
from bytez_provider.emulator.world import WorldError
from bytez_provider.service.schemas import moment_of

OTHERS = "somebody else"
BOOT_SECONDS = 4.0

Identity = tuple[str, str]
"""What tells a load from all others: its model and its `created`."""


@dataclass
class Load:
    """A load that there is.

    Attributes:
        owner: The stack whose deployment made it or took it over last; or `OTHERS`.
        answer: What the service would truly say of it.
        told: Whether its owner's user was told that it may be running.
        journal: Where its owner's deployment kept what it began.
        allowed: The stacks that were allowed to take it over, and began to: what was killed
            then goes on without being allowed again. By stack, the journals.
        formers: Earlier owners, with journals that do not know of the take-over since.
    """

    owner: str
    answer: dict[str, Any]
    told: bool = False
    journal: str = ""
    allowed: dict[str, set[str]] = field(default_factory=dict)
    formers: set[tuple[str, str]] = field(default_factory=set)

    def hand_over(self, stack: str, journal: str) -> None:
        """Give the load a new owner, which one journal knows."""
        formers = {*self.formers, (self.owner, self.journal)}
        self.formers = {(one, known) for one, known in formers if known != journal}
        self.owner, self.journal, self.told = stack, journal, False

    @property
    def model_id(self) -> str:
        """The model."""
        return str(self.answer["modelId"])

    @property
    def created(self) -> str:
        """When it was accepted."""
        return str(self.answer["created"])

    def runs_at(self, concurrency: int) -> bool:
        """Tell whether it is RUNNING, at that concurrency."""
        return bool(
            self.answer["status"] == "RUNNING" and self.answer["concurrency"] == concurrency
        )

    def expired_by(self, now: datetime) -> bool:
        """Tell whether it has been idle for its period, at the latest at a moment."""
        if self.answer["status"] == "FAILED":
            return False
        expires = moment_of(self.answer["expiresAt"])
        if expires is None:  # As long as it boots: at the earliest a period after that.
            created = moment_of(self.created)
            assert created is not None
            period = self.answer["expirationPeriodSeconds"]
            expires = created + timedelta(seconds=BOOT_SECONDS + period)
        return expires <= now


@dataclass(frozen=True)
class Ended:
    """A load that is no more, though its time was not over."""

    load: Load
    by: str
    """The stack whose deployment was under way, or `OTHERS`."""


class Books:
    """What is loaded, and whose it is.

    Attributes:
        loads: All loads that there are.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.loads: dict[Identity, Load] = {}
        self.unloaded_by_others: set[Identity] = set()

    # -------------------------------------------------------------- what somebody else does

    def somebody_loads(self, model_id: str, concurrency: int) -> None:
        """Load a model in the part of somebody else, where the service takes the load."""
        with contextlib.suppress(WorldError):
            created = self._emulator.load_by_somebody_else(model_id, concurrency)
            self.loads[model_id, created] = Load(OTHERS, self._real()[model_id, created])

    def somebody_unloads(self, model_id: str) -> None:
        """Unload a model in the part of somebody else, whoever loaded it."""
        live = self.of_model(model_id)
        if live is not None:
            self._emulator.unload_by_somebody_else(model_id)
            self.unloaded_by_others.add((model_id, str(live["created"])))

    def somebody_runs(self, model_id: str) -> None:
        """Use a model, which puts its expiry off."""
        live = self.of_model(model_id)
        if live is not None and live["status"] == "RUNNING":
            with self._emulator.changing() as (world, now):
                world.run(model_id, now)

    # ----------------------------------------------------------------------- what has become

    def take_stock(self, by: str, journal: str = "") -> list[Ended]:
        """Enter what has changed since the last time; return which loads were ended.

        Args:
            by: Whose doing it is if it was not somebody else's: the stack that was deployed.
            journal: Where that deployment kept what it began.
        """
        now, real = self._emulator.now(), self._real()
        ended = []
        for identity, load in list(self.loads.items()):
            if identity in real:
                load.answer = real[identity]
                continue
            del self.loads[identity]
            if identity not in self.unloaded_by_others and not load.expired_by(now):
                ended.append(Ended(load, by))
        for identity, answer in real.items():
            self.loads.setdefault(identity, Load(by, answer, journal=journal))
        return ended

    def of_model(self, model_id: str) -> dict[str, Any] | None:
        """Return what the service would truly say of the load of a model."""
        return next((one for (name, _), one in self._real().items() if name == model_id), None)

    def lingering(self) -> frozenset[str]:
        """Return the models that were unloaded, and of which the service says they are loaded."""
        with self._emulator.reading() as (world, now):
            told = {load.model_id for load in world.instances(now)}
        return frozenset(told) - {model_id for model_id, _ in self._real()}

    def _real(self) -> dict[Identity, dict[str, Any]]:
        return {(one["modelId"], one["created"]): one for one in self._emulator.instances()}


def begin_anew(emulator: Emulator) -> None:
    """Let an emulator be as it was at its start, but for the day: its time never runs back."""
    emulator.reset()
    emulator.set_faults([])
    day = timedelta(days=1)
    days = -(-(emulator.now() - START) // day)
    emulator.advance((START + days * day - emulator.now()).total_seconds())
