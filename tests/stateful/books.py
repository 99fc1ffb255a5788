"""The oracle's model of the account: which loads exist, whose they are, and which expired.

It follows from what the machine does as somebody else, and from what is really loaded before and
after each deployment; never from what the provider reports.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bytez_provider.emulator import Emulator
from bytez_provider.emulator.cluster import Settings
from bytez_provider.emulator.fixtures import START
from bytez_provider.emulator.load import Capacity, Fate
from bytez_provider.emulator.world import WorldError
from bytez_provider.service.schemas import iso, moment_of
from bytez_provider.service.settings import ApiVersion

OTHERS = "somebody else"
BOOT_SECONDS = 4.0
_BOOTS = Fate()
_WORDS = {"on": "RUNNING", "failed": "FAILED"}
"""The words of 2024 for the status of a cluster; for any other it is DEPLOYING."""

Identity = tuple[str, str]
"""What identifies a load: its model and its `created`."""


@dataclass
class Load:
    """A load that exists."""

    owner: str
    """The stack whose deployment made it or took it over last, or `OTHERS`."""
    answer: dict[str, Any]
    """The true answer of the service, in the words of 2024."""
    is_reported: bool = False
    """Whether a message to its owner's user said that it may be running."""
    journal: str = ""
    """The journal of its owner's deployment."""
    allowed: dict[str, set[str]] = field(default_factory=dict)
    """The stacks that were allowed to take it over, and were killed: they go on without being
    allowed again. Their journals, by stack."""
    formers: set[tuple[str, str]] = field(default_factory=set)
    """Earlier owners, with journals that do not know the take-over since."""

    def hand_over(self, stack: str, journal: str) -> None:
        """Give the load a new owner, which only one journal knows."""
        formers = {*self.formers, (self.owner, self.journal)}
        self.formers = {(one, known) for one, known in formers if known != journal}
        self.owner, self.journal, self.is_reported = stack, journal, False

    @property
    def model_id(self) -> str:
        """The model."""
        return str(self.answer["modelId"])

    @property
    def created(self) -> str:
        """When it was accepted."""
        return str(self.answer["created"])

    @property
    def is_running(self) -> bool:
        """Whether it is RUNNING."""
        return bool(self.answer["status"] == "RUNNING")

    @property
    def settings(self) -> tuple[int, int | None, int]:
        """Concurrency, the most of it (None in the APIs of 2024), and idle seconds."""
        names = ("concurrency", "maxConcurrency", "expirationPeriodSeconds")
        least, most, seconds = (self.answer[name] for name in names)
        return least, most, seconds

    def expired_by(self, now: datetime) -> bool:
        """Return whether it has been idle for its period by a moment."""
        if self.answer["status"] == "FAILED":
            return False
        expires = moment_of(self.answer["expiresAt"])
        if expires is None:  # It is booting: at the earliest a period after that.
            created = moment_of(self.created)
            assert created is not None
            period = self.answer["expirationPeriodSeconds"]
            expires = created + timedelta(seconds=BOOT_SECONDS + period)
        return expires <= now


@dataclass(frozen=True)
class Ended:
    """A load that was ended before it expired."""

    load: Load
    by: str
    """The stack that was deployed, or `OTHERS`."""


class Books:
    """What is loaded, and whose it is.

    Attributes:
        loads: The loads that exist.
        rescaled: Those whose settings the last deployment changed.
    """

    def __init__(self, emulator: Emulator, api: ApiVersion) -> None:
        self._emulator = emulator
        self._has_clusters = api == "2025-04"
        self.loads: dict[Identity, Load] = {}
        self.rescaled: list[Load] = []
        self.unloaded_by_others: set[Identity] = set()

    # ---------------------------------------------------------------------- somebody else

    def somebody_loads(self, model_id: str, concurrency: int) -> None:
        """Load a model as somebody else, if the service accepts it."""
        with contextlib.suppress(WorldError):
            if self._has_clusters:
                with self._emulator.changing() as (world, now):
                    world.create(model_id, now, _fixed(concurrency), _BOOTS)
            else:
                self._emulator.load_by_somebody_else(model_id, concurrency)
            self._enter_as_others(model_id)

    def somebody_unloads(self, model_id: str) -> None:
        """Unload a model as somebody else, no matter who loaded it."""
        live = self.of_model(model_id)
        if live is not None:
            self._emulator.unload_by_somebody_else(model_id)
            self.unloaded_by_others.add((model_id, str(live["created"])))

    def somebody_runs(self, model_id: str, *, may_load: bool) -> None:
        """Use a model, which delays its expiry.

        Of a cluster that does not exist it makes one, with the settings of the service.
        """
        live = self.of_model(model_id)
        if not self._has_clusters:
            if live is not None and live["status"] == "RUNNING":
                with self._emulator.changing() as (world, now):
                    world.run(model_id, now)
        elif live is not None or may_load:
            with contextlib.suppress(WorldError):
                with self._emulator.changing() as (world, now):
                    load = world.begin_run(model_id, now, self._emulator.clusters.created, _BOOTS)
                    up = load.up(now)
                    load.finish(now, is_answered=up is not None and up <= now)
                if live is None:
                    self._enter_as_others(model_id)

    def somebody_rescales(self, model_id: str, concurrency: int) -> None:
        """Change the settings of a cluster as somebody else, no matter who made it."""
        with contextlib.suppress(WorldError):
            with self._emulator.changing() as (world, now):
                world.update(model_id, now, lambda _old: _fixed(concurrency), None, _BOOTS)
            for identity, answer in self._real().items():
                if identity in self.loads and identity[0] == model_id:
                    self.loads[identity].answer = answer

    def _enter_as_others(self, model_id: str) -> None:
        for identity, answer in self._real().items():
            if identity[0] == model_id:
                self.loads[identity] = Load(OTHERS, answer)

    # ------------------------------------------------------------------------------ state

    def take_stock(self, by: str, journal: str = "") -> list[Ended]:
        """Enter what has changed since the last time; return the loads that were ended.

        Args:
            by: The stack that was deployed, and so has made or ended them.
            journal: The journal of that deployment.
        """
        now, real = self._emulator.now(), self._real()
        ended = []
        self.rescaled = []
        for identity, load in list(self.loads.items()):
            if identity in real:
                before, load.answer = load.settings, real[identity]
                if load.settings != before:
                    self.rescaled.append(load)
                continue
            del self.loads[identity]
            if identity not in self.unloaded_by_others and not load.expired_by(now):
                ended.append(Ended(load, by))
        for identity, answer in real.items():
            self.loads.setdefault(identity, Load(by, answer, journal=journal))
        return ended

    def of_model(self, model_id: str) -> dict[str, Any] | None:
        """Return the service's true answer for a model."""
        return next((one for (name, _), one in self._real().items() if name == model_id), None)

    def lingering(self) -> frozenset[str]:
        """Return the models that are unloaded, and that the service still reports as loaded."""
        with self._emulator.reading() as (world, now):
            shown = {load.model_id for load in world.instances(now)}
        return frozenset(shown) - {model_id for model_id, _ in self._real()}

    def _real(self) -> dict[Identity, dict[str, Any]]:
        answers = map(in_words_of_2024, self._emulator.instances())
        return {(one["modelId"], one["created"]): one for one in answers}


def _fixed(concurrency: int) -> Settings:
    return Settings(10, Capacity(concurrency, concurrency, concurrency))


def in_words_of_2024(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a load or a cluster, as the emulator has it, in the words of the APIs of 2024."""
    if "capacity" not in answer:
        return {**answer, "maxConcurrency": None}
    modified, seconds = moment_of(answer["modified"]), answer["timeout"] * 60
    assert modified is not None
    status = _WORDS.get(answer["status"], "DEPLOYING")
    return {
        "modelId": answer["modelId"],
        "status": status,
        "concurrency": answer["capacity"]["min"],
        "maxConcurrency": answer["capacity"]["max"],
        "expirationPeriodSeconds": seconds,
        "expiresAt": iso(modified + timedelta(seconds=seconds)) if status == "RUNNING" else None,
        "created": answer["created"],
    }


def reset(emulator: Emulator) -> None:
    """Reset an emulator, on a later day: its time never goes back."""
    emulator.reset()
    emulator.set_faults([])
    day = timedelta(days=1)
    days = -(-(emulator.now() - START) // day)
    emulator.advance((START + days * day - emulator.now()).total_seconds())
