"""Unloading: what the service is told, the wait until it agrees, and what is said of it after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bytez_provider.base.errors import (
    NOTHING_CHANGED,
    ApiError,
    BytezError,
    UnloadError,
    UnreachableError,
    printable,
)
from bytez_provider.base.words import duration
from bytez_provider.core.lifecycle._told import left_alone, worked_on
from bytez_provider.core.ownership import Claim, HeldError, Judgement, Ledger, Named, Owner
from bytez_provider.core.waiter import Caller, Waiter
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Instance

UNLOAD_LIMIT_SECONDS = 2 * 60.0


class Unloading:
    """The unloads of one account, and which resources they were of."""

    def __init__(self, *, client: BytezClient, ledger: Ledger, waiter: Waiter) -> None:
        self._client = client
        self._ledger = ledger
        self._waiter = waiter
        # Resources unloaded by this deployment: a create that follows is a replacement's.
        self._unloaded: set[str] = set()

    def unload(
        self,
        live: Instance,
        judged: Judgement,
        who: Owner,
        limit_seconds: float = UNLOAD_LIMIT_SECONDS,
    ) -> None:
        """Unload the load that was judged to be ours; wait until the status agrees.

        Raises:
            HeldError: Another deployment works on it, or was quicker; nothing was sent.
            UnloadError: It is still loaded at the limit.
            ApiError: No answer.
        """
        with self._ledger.unloading(judged, live, who):
            self._unload(live.model_id, Claim(live.created), limit_seconds)

    def _unload(self, model_id: str, claim: Claim, limit_seconds: float) -> None:
        try:
            self._client.delete(model_id)
        except UnreachableError as error:
            if not error.maybe_done:
                raise
            # The request may have had its effect: the status will tell.
        try:
            left = self._waiter.until_unloaded(model_id, claim, limit_seconds=limit_seconds)
        except ApiError as error:
            raise error.restated(
                verb="unload", state="It was told to unload, and may still be running"
            ) from None
        if left is not None:
            raise UnloadError(
                verb="unload",
                subject=model_id,
                observed=f"it is still {printable(left.status, limit=40)} "
                f"{duration(limit_seconds)} after it was told to unload",
                state="It may go on costing money until it expires",
                action="Run the same command again in a minute",
            )

    def roll_back(self, model_id: str, claim: Claim, caller: Caller) -> tuple[str, str | None]:
        """Unload a load that came to nothing; return the state of things, and an action if due."""
        who = self._ledger.who(caller.urn)
        try:
            live = self._client.status(model_id)
            if live is None and claim.created is not None:
                live = self._waiter.until_sure(model_id, claim)
            if live is None and claim.created is None:
                # It was accepted and never shown, and may show at any time: unloaded unseen.
                self._unload(model_id, claim, UNLOAD_LIMIT_SECONDS)
            elif live is not None and claim.covers(live):
                judged = self._ledger.judge(model_id, live, who, Named(live.created))
                if not judged.is_ours:
                    return left_alone(live, judged), None
                self.unload(live, judged, who)
        except HeldError as held:
            return _not_stopped(model_id, worked_on("unload", held.record).observed)
        except BytezError as error:
            return _not_stopped(model_id, error.observed)
        self._ledger.end(model_id, who)
        return "It was unloaded: nothing is left running", None

    def tell(self, caller: Caller) -> None:
        """Take note of a resource whose load was unloaded: what follows in its stead says so."""
        if caller.urn is not None:
            self._unloaded.add(caller.urn)

    @contextmanager
    def told(self, caller: Caller, model_id: str) -> Iterator[None]:
        """Tell every error as one of the load, and what this deployment unloaded before it."""
        try:
            yield
        except BytezError as error:
            state = error.state
            if caller.urn in self._unloaded:
                gone = "the old one is already unloaded"
                state = gone.capitalize() if state == NOTHING_CHANGED else f"{state}; {gone}"
            if error.verb == "unload":
                raise error.restated(state=state) from None
            raise error.restated(verb="load", subject=model_id, state=state) from None


def _not_stopped(model_id: str, observed: str) -> tuple[str, str | None]:
    state = f"Unloading it failed too ({observed}), so it may still be running and cost money"
    return state, f"Stop it with `bytez-fleet unload {model_id} --yes`"
