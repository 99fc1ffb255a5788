"""Looking at instances for all who wait at once, with as few requests as their number allows."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bytez_provider.client import BytezClient
from bytez_provider.clock import Clock
from bytez_provider.errors import ApiError, RateLimitedError, UnreachableError
from bytez_provider.schemas import Instance
from bytez_provider.wire import UNKNOWN_STATUS

FRESH_SECONDS = 0.5
"""A list is asked for at most twice a second, however many wait."""
_UNUSABLE_SECONDS = 60.0
"""So long the list is left alone after an answer that is no list."""
_STATUSES_PER_ROUND = 16
"""Where the list is of no use, so many are asked for one by one in a round; then the others."""


@dataclass(frozen=True)
class _Snapshot:
    taken: float
    instances: dict[str, Instance]


class Poller:
    """The one way to ask again and again; safe to use from many threads.

    `/model/instances` is undocumented (client): it answers for a model only where it shows it with
    a status and a `created`. That a model is not on it says nothing; its own status does.
    """

    def __init__(self, client: BytezClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = 0
        self._snapshot: _Snapshot | None = None
        self._unusable_until = float("-inf")
        self._turn = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count as one who waits: for one alone its status is asked, for several the list."""
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def look(self, model_id: str, *, max_age_seconds: float = FRESH_SECONDS) -> Instance | None:
        """Return the instance of a model, or None where it is not loaded.

        Args:
            model_id: The model.
            max_age_seconds: How old a list may be that answers for it.

        Raises:
            ApiError: No answer to this one try.
        """
        if self._waiting > 1:
            listed = self.listed(max_age_seconds).get(model_id)
            if listed is not None:
                return listed
        return self._client.status(model_id, tries=1)

    def look_at(self, model_ids: Collection[str]) -> dict[str, Instance | ApiError | None]:
        """Return what is known of each of many models, or the trouble in asking for it.

        Where the list does not show a model its status is asked, for some in each round; the
        others are left out of the answer until their turn comes.
        """
        seen: dict[str, Instance | ApiError | None] = {}
        listed = self.listed(FRESH_SECONDS) if len(model_ids) > 1 else {}
        unlisted = []
        for model_id in model_ids:
            if model_id in listed:
                seen[model_id] = listed[model_id]
            else:
                unlisted.append(model_id)
        for model_id in self._next(unlisted):
            try:
                seen[model_id] = self._client.status(model_id, tries=1)
            except ApiError as error:
                seen[model_id] = error
        return seen

    def listed(self, max_age_seconds: float) -> dict[str, Instance]:
        """Return the instances that the list shows well enough; empty where it is of no use.

        Raises:
            UnreachableError: The service does not answer; a status would not come either.
            RateLimitedError: The service wants fewer requests.
        """
        # One asks and the others wait for its answer: a hundred who wait are one request.
        with self._lock:
            now = self._clock.monotonic()
            if self._snapshot and now - self._snapshot.taken <= max_age_seconds:
                return self._snapshot.instances
            if now < self._unusable_until:
                return {}
            try:
                found = self._client.instances(tries=1)
            except (UnreachableError, RateLimitedError):
                raise
            except ApiError:
                self._unusable_until = now + _UNUSABLE_SECONDS
                return {}
            usable = {
                one.model_id: one for one in found if one.created and one.status != UNKNOWN_STATUS
            }
            self._snapshot = _Snapshot(now, usable)
            return usable

    def _next(self, model_ids: list[str]) -> list[str]:
        """Return those whose turn it is, a different part of them each time."""
        if len(model_ids) <= _STATUSES_PER_ROUND:
            return model_ids
        start = self._turn % len(model_ids)
        self._turn += _STATUSES_PER_ROUND
        return (model_ids + model_ids)[start : start + _STATUSES_PER_ROUND]
