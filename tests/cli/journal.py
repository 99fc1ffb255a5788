"""Writes the journal as deployments of stacks do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from bytez_provider.base.clock import SystemClock
from bytez_provider.base.urns import MODEL_TYPE
from bytez_provider.core.ownership import Folder, Hold, Ledger, Named, Owner
from bytez_provider.service.schemas import Asked, Instance, iso, moment_of
from bytez_provider.service.settings import Key
from tests.cli.fleet import KEY, Fleet


def resource(name: str, stack: str = "dev", *, kept_in: str | None = None) -> Owner:
    """Return a resource of a stack of the project `fleet`."""
    urn = f"urn:pulumi:{stack}::fleet::{MODEL_TYPE}::{name}"
    return Owner(urn=urn, stack=kept_in, place=f"file:///{kept_in}" if kept_in else "")


class Journal:
    """The journal of an account."""

    def __init__(self, fleet: Fleet, key: str = KEY) -> None:
        account = Key(key).fingerprint()
        store = Folder(fleet.journal)
        self.emulator = fleet.emulator
        self.ledger = Ledger(
            store, endpoint=fleet.emulator.url, account=account, clock=SystemClock()
        )

    def models(self) -> list[str]:
        """Return the models that have records."""
        return sorted(one.model_id for one in self.ledger.records())

    def asking(
        self, who: Owner, model_id: str, began: datetime | None = None
    ) -> AbstractContextManager[Hold]:
        """Hold a record while a request is out; it remains if there is no answer."""
        return self.ledger.requesting(
            model_id,
            who,
            began=began or self.emulator.now() - timedelta(minutes=5),
            asked=Asked(1),
        )

    def asks(self, who: Owner, model_id: str, began: datetime | None = None) -> None:
        """Keep a request without an answer."""
        with self.asking(who, model_id, began):
            pass

    def accepts(self, who: Owner, model_id: str, created: str | None = None) -> None:
        """Keep an accepted load, identified if `created` is given."""
        seen = moment_of(created) if created else None
        began = seen - timedelta(seconds=1) if seen else None
        with self.asking(who, model_id, began) as request:
            request.accepted()
        self.ledger.identify(model_id, who, seen)

    def confirms(self, who: Owner, model_id: str, created: str) -> None:
        """Keep a load that a state names."""
        self.ledger.deploys(is_preview=False)
        named = Named(moment_of(created))
        self.ledger.confirm(model_id, who, named, asked=Asked(1), is_kept=True)

    def adopts(self, who: Owner, model_id: str, created: str) -> str:
        """Keep that a resource took over a load; return its `adoptedAt`."""
        live = Instance(model_id=model_id, status="RUNNING", created=moment_of(created))
        judged = self.ledger.judge(model_id, live, who, None)
        adoption = self.ledger.adopt(
            judged,
            live,
            who,
            now=self.emulator.now(),
            asked=Asked(1),
        )
        return adoption.adopted_at


def long_ago(fleet: Fleet) -> str:
    """Return the `created` of a load that is gone."""
    return iso(fleet.emulator.now() - timedelta(hours=1))
