"""One cluster of the 2025-04 API, as a function of time.

An event (a run, a PATCH) first settles what time alone has changed, then changes something. Between
two events everything follows from the fields: reading changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from bytez_provider.emulator.load import Capacity, Fate, Load, Phase

LOADING = timedelta(seconds=5)
"""How long a new cluster has no instance yet: the status is `loading` (choice)."""
CALM = timedelta(seconds=60)
"""How long instances that nobody uses remain, after the last run or PATCH (choice)."""
MOST_INSTANCES = 10
"""The highest `capacity.max` (vendor doc)."""
_SECOND = timedelta(seconds=1)

Power = Literal["on", "off"]


@dataclass(frozen=True)
class Settings:
    """What a user sets."""

    timeout_minutes: int
    """Minutes without a request until the cluster ends."""
    capacity: Capacity

    def granted(self, most: int) -> Settings:
        """Return what an account gets of them whose plan has that many instances."""
        return replace(self, capacity=Capacity(*(min(one, most) for one in self.capacity)))


@dataclass
class Instance:
    """One instance, from its start on."""

    started: datetime
    ready: datetime
    """When its boot ends."""

    def seconds(self, end: datetime) -> int:
        """Return the seconds until `end`, rounded up (choice: the boot is billed)."""
        return max(-((self.started - end) // _SECOND), 0)


@dataclass
class Cluster:
    """One cluster, from acceptance on."""

    model_id: str
    settings: Settings
    created: datetime
    boot_seconds: float
    fate: Fate
    """Of the latest start."""
    stops_when_idle: bool
    """Whether an idle cluster is switched off and stays, instead of being deleted."""
    began: datetime
    """When it was last started."""
    active: datetime
    """When a run last began or ended, or a PATCH came. Idle times count from it."""
    instances: list[Instance] = field(default_factory=list)
    """From the oldest to the newest."""
    spent_seconds: int = 0
    """Billed seconds of instances that have ended."""
    in_flight: int = 0
    """Runs that wait for their answers."""
    inferences: int = 0
    last_run: datetime | None = None
    off: datetime | None = None
    deleted: datetime | None = None
    gone: datetime | None = None
    """When the service stops showing a deleted cluster; later than `deleted` with a fault."""

    @classmethod
    def of_load(cls, load: Load, now: datetime, *, stops_when_idle: bool) -> Cluster:
        """Return the cluster that a load of the 2024 APIs becomes with its first PATCH."""
        count = min(load.count(now), MOST_INSTANCES)
        return cls(
            load.model_id,
            Settings(load.timeout_minutes, load.capacity),
            load.created,
            load.boot_seconds,
            load.fate,
            stops_when_idle,
            began=load.created,
            active=load.last_run or load.created,
            instances=[Instance(now, load.booted or now) for _ in range(count)],
            inferences=load.inferences,
            last_run=load.last_run,
        )

    # ------------------------------------------------------------------------- reading

    @property
    def booted(self) -> datetime | None:
        """When the boot after the latest start ends; None if it never does."""
        if self.fate.boot == "never":
            return None
        return self.began + timedelta(seconds=self.boot_seconds)

    @property
    def capacity(self) -> Capacity:
        """The numbers of instances that it may have."""
        return self.settings.capacity

    @property
    def timeout_minutes(self) -> int:
        """Minutes without a request until the cluster ends."""
        return self.settings.timeout_minutes

    @property
    def expiration_seconds(self) -> int:
        """The timeout, as the 2024 APIs have it."""
        return self.settings.timeout_minutes * 60

    @property
    def concurrency(self) -> int:
        """The most instances, as the 2024 APIs have it (choice)."""
        return self.settings.capacity.max

    def phase(self, now: datetime) -> Phase:
        """Return where it is; a deleted cluster stays where it was when it was deleted."""
        at = min(now, self.deleted or now)
        if self._off(at) is not None:
            return "off"
        if self.booted is not None and at >= self.booted:
            return "failed" if self.fate.boot == "failed" else "up"
        return "loading" if at < self.began + LOADING else "booting"

    def expires(self, now: datetime) -> datetime | None:
        """Return when it ends unless somebody runs it; None if it is not up, or busy."""
        return self._idle() if self.phase(now) == "up" else None

    def modified(self, now: datetime) -> datetime:
        """Return when it last changed."""
        at = min(now, self.deleted or now)
        provisioned = self.began + min(LOADING, timedelta(seconds=self.boot_seconds))
        moments = (provisioned, self.booted, self.active, self._off(at))
        return max([self.created, *(one for one in moments if one is not None and one <= at)])

    def exists(self, now: datetime) -> bool:
        """Return whether the service knows it. A failed cluster and one that is off exist."""
        if self.gone is not None:
            return now < self.gone
        idle = self._idle()
        return self.stops_when_idle or idle is None or now < idle

    def is_listed(self, now: datetime) -> bool:
        """Return whether it counts as loaded for the 2024 APIs, which know no `off` (choice)."""
        return self.exists(now) and self.phase(now) != "off"

    def count(self, now: datetime) -> int:
        """Return how many instances it has, those that boot included."""
        # A deleted cluster answers as before until it is gone.
        return sum(end in (None, self.deleted) for end in self._ends(now))

    def billed_seconds(self, now: datetime) -> int:
        """Return the instance seconds until `now`, all instances together."""
        ends = zip(self.instances, self._ends(now), strict=True)
        return self.spent_seconds + sum(one.seconds(end or now) for one, end in ends)

    def refusal(self, now: datetime) -> str | None:
        """Return why it cannot answer a run, however long the run waits."""
        if self.deleted is not None:
            return "Cluster is shutting down"
        if self.phase(now) == "off":
            return "Cluster is off"
        if self.phase(now) == "failed":
            return self.fate.error or ""
        return None if self.capacity.max else "Cluster has no instance, because its max is 0"

    def up(self, now: datetime) -> datetime | None:
        """Return when an instance is up; None if never."""
        ends = zip(self.instances, self._ends(now), strict=True)
        ready = min((one.ready for one, end in ends if end is None), default=None)
        return None if self.booted is None or ready is None else max(ready, self.booted)

    # ------------------------------------------------------------------------- events

    def start(self, now: datetime, fate: Fate) -> None:
        """Start the desired number of instances; there must be none."""
        self.off, self.fate, self.began, self.active = None, fate, now, now
        self._grow(now, self.capacity.clamp(self.capacity.desired))

    def begin(self, now: datetime, fate: Fate) -> None:
        """Begin a run, which starts what it needs; end it with `finish`."""
        self.settle(now)
        if self.off is not None:
            self.start(now, fate)
        self.in_flight += 1
        self.active = now
        if self.phase(now) != "failed":
            self._grow(now, self._wanted())

    def finish(self, now: datetime, *, is_answered: bool) -> None:
        """End a run."""
        self.settle(now)
        self.in_flight -= 1
        self.active = now
        if is_answered:
            self.inferences += 1
            self.last_run = now

    def update(self, now: datetime, settings: Settings, power: Power | None, fate: Fate) -> None:
        """Change the settings in place, and switch the cluster if `power` says so.

        Args:
            now: The moment.
            settings: All of the new settings.
            power: "on" starts a cluster that is off or failed; None leaves it as it is.
            fate: Of the boot, if the cluster is started.
        """
        self.settle(now)
        self.settings, self.active = settings, now
        if power == "off":
            self._shrink(now, 0)
            self.off = self.off or now
        elif power == "on" and self.phase(now) in ("off", "failed"):
            self.start(now, fate)
        elif self.phase(now) not in ("off", "failed"):
            self._shrink(now, settings.capacity.max)
            self._grow(now, settings.capacity.min)

    def settle(self, now: datetime) -> None:
        """Write down what time alone has changed."""
        off, ends = self._off(now), self._ends(now)
        self.spent_seconds = self.billed_seconds(now) - sum(
            one.seconds(now) for one, end in zip(self.instances, ends, strict=True) if end is None
        )
        self.instances = [one for one, end in zip(self.instances, ends, strict=True) if end is None]
        self.off = off

    def cut_runs(self, now: datetime) -> None:
        """Forget the runs in flight: the service was restarted."""
        if self.in_flight:
            self.settle(now)
            self.in_flight, self.active = 0, now

    # ------------------------------------------------------------------------- time

    def _wanted(self) -> int:
        """Return the number of instances for the runs in flight."""
        return self.capacity.clamp(self.in_flight)

    def _calm_since(self) -> datetime | None:
        """Return from when on idle times count; None if the boot failed or does not end."""
        if self.booted is None or self.fate.boot == "failed":
            return None
        return max(self.active, self.booted)

    def _idle(self) -> datetime | None:
        """Return when the cluster ends or is switched off because nobody uses it."""
        since = self._calm_since()
        if since is None or self.in_flight or self.off is not None:
            return None
        return since + timedelta(minutes=self.timeout_minutes)

    def _off(self, now: datetime) -> datetime | None:
        """Return since when it is off; None if it is not."""
        idle = self._idle() if self.stops_when_idle else None
        return self.off or (idle if idle is not None and idle <= now else None)

    def _ends(self, now: datetime) -> list[datetime | None]:
        """Return for each instance when it ended; None if it has not."""
        failed = self.booted if self.fate.boot == "failed" else None
        calm = self._calm_since()
        stops = [self.off, self.deleted, self._idle(), failed]
        ends = []
        for number in range(len(self.instances)):
            is_spare = calm is not None and number >= self._wanted()
            moments = [*stops, calm + CALM if calm is not None and is_spare else None]
            ends.append(min((one for one in moments if one and one <= now), default=None))
        return ends

    def _grow(self, now: datetime, least: int) -> None:
        ready = now + timedelta(seconds=self.boot_seconds)
        missing = max(least - len(self.instances), 0)
        self.instances += [Instance(now, ready) for _ in range(missing)]

    def _shrink(self, now: datetime, most: int) -> None:
        """End the newest instances."""
        self.spent_seconds += sum(one.seconds(now) for one in self.instances[most:])
        del self.instances[most:]
