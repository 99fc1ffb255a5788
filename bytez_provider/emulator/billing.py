"""What one model has cost, in either kind of price."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from bytez_provider.emulator.cluster import Cluster
from bytez_provider.emulator.load import Load
from bytez_provider.emulator.meters import meter_of

PRICE_PER_GB_SECOND = Decimal("0.0000166667")
"""US dollars for a load of the 2024 APIs (vendor doc of 2024-06)."""


@dataclass
class Totals:
    """The sums of one model's loads."""

    loads: int = 0
    instance_seconds: int = 0
    """Billed seconds times concurrency of the loads of the 2024 APIs; 0 if there were none."""
    cluster_seconds: int | None = None
    """Instance seconds of the clusters of the 2025-04 API; None if there were none."""

    def add(self, load: Load | Cluster, now: datetime) -> None:
        """Add a load, up to `now`."""
        self.loads += 1
        if isinstance(load, Load):
            self.instance_seconds += load.billed_seconds(now) * load.concurrency
        else:
            self.cluster_seconds = (self.cluster_seconds or 0) + load.billed_seconds(now)


@dataclass(frozen=True)
class Charge:
    """What one model has cost."""

    model_id: str
    totals: Totals
    """All loads and clusters up to now."""
    gb_seconds: Decimal | None
    """None if the catalogue does not know the model's RAM."""
    dollars: Decimal | None
    """None if a load of the 2024 APIs has no price, because the RAM is unknown."""

    @property
    def loads(self) -> int:
        """How many loads and clusters there were."""
        return self.totals.loads


def charge_of(model_id: str, totals: Totals, ram: float | None) -> Charge:
    """Return the charge for the sums of a model that needs `ram` GB."""
    gb_seconds = None if ram is None else Decimal(str(ram)) * totals.instance_seconds
    clusters = meter_of(ram).price * (totals.cluster_seconds or 0)
    if gb_seconds is not None:
        dollars: Decimal | None = gb_seconds * PRICE_PER_GB_SECOND + clusters
    else:
        dollars = None if totals.instance_seconds else clusters
    return Charge(model_id, replace(totals), gb_seconds, dollars)
