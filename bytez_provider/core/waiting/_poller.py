"""Polling on behalf of every wait of a process, with as few requests as possible."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from bytez_provider.base.clock import Clock
from bytez_provider.base.errors import ApiError, BytezError, RateLimitedError, UnreachableError
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Instance
from bytez_provider.service.wire import believed, is_whole

FRESH_SECONDS = 0.5
"""The list is requested at most twice a second, however many waits there are."""
_UNUSABLE_SECONDS = 60.0
"""How long the list is not requested after an answer that is not a list."""
_UNANSWERED_SECONDS = 10.0
"""How long the list is not requested after no answer; the statuses may still be answered."""
_BELIEVED_SECONDS = 60.0
"""How long the list alone is believed about a model."""
_STATUSES_PER_ROUND = 16
"""How many statuses are requested in a round if the list does not help."""

Covers = Callable[[Instance], bool]
"""Returns whether an instance is the load that is meant."""
Found = Instance | ApiError | None
"""An instance, None for a model that is not loaded, or the error of the request."""


@dataclass(frozen=True)
class _Listing:
    """The last request for the list."""

    taken: float = -math.inf
    instances: Mapping[str, Instance] = field(default_factory=dict)
    refused: BytezError | None = None
    """The rate limit that the service answered with."""


class Poller:
    """The only way to ask repeatedly; safe to use from many threads.

    The list is believed only as far as `wire.believed` goes, and only about the load that is
    meant. Whether that load failed, was replaced or is gone, only the model's own status says.
    The status is also requested from time to time, because a list may be outdated.
    """

    def __init__(self, client: BytezClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._counting = threading.Lock()
        # The crowd is the highest count: as its loads end, the others must not poll faster.
        self._waiting = self._crowd = 0
        self._listing = threading.Lock()
        self._last = _Listing()
        self._unusable_until = -math.inf
        # For each model: when its own status was last requested, and a random number.
        self._asked: dict[str, tuple[float, float]] = {}
        self._turn = 0

    @contextmanager
    def waiting(self, count: int = 1) -> Iterator[None]:
        """Count loads that are waited for: for one its status is requested, for more the list."""
        with self._counting:
            self._waiting += count
            self._crowd = max(self._crowd, self._waiting)
        try:
            yield
        finally:
            with self._counting:
                self._waiting -= count
                self._crowd = self._crowd if self._waiting else 0

    def look(
        self,
        loads: Mapping[str, Covers],
        *,
        stop: threading.Event | None = None,
        max_age_seconds: float = FRESH_SECONDS,
    ) -> dict[str, Found]:
        """Return what is known of each model.

        If the list does not answer for a model, its status is requested: for a limited number of
        models in each round. The others are left out of the answer until it is their turn.

        Args:
            loads: The models, and which load of each is meant. Another load may be returned, but
                never from the list.
            stop: Ends the round early.
            max_age_seconds: How old the list may be.

        Raises:
            RateLimitedError: The service wants fewer requests.
        """
        listed = self._list(max_age_seconds) if self._waiting > 1 else {}
        seen: dict[str, Found] = {}
        for model_id, covers in loads.items():
            found = self._believed(listed, model_id, covers)
            if found is not None:
                seen[model_id] = found
        for model_id in self._next([model_id for model_id in loads if model_id not in seen]):
            if stop is not None and stop.is_set() and len(loads) > 1:
                break
            self._turn += 1
            answer = seen[model_id] = self.status(model_id)
            if isinstance(answer, ApiError) and answer.is_passing:
                break  # The others would probably fail too, each after a long silence.
        return seen

    def status(self, model_id: str) -> Found:
        """Return the model's own status, from a single request."""
        self._asked[model_id] = self._now_and_share()
        try:
            return self._client.status(model_id, tries=1)
        except ApiError as error:
            return error

    def listed(self, max_age_seconds: float) -> Mapping[str, Instance]:
        """Return the instances of the list that are believed; empty if the list is of no use."""
        try:
            return self._list(max_age_seconds)
        except RateLimitedError:
            return {}

    def _list(self, max_age_seconds: float) -> Mapping[str, Instance]:
        # One thread asks and the others wait for its answer: a hundred waits are one request. So
        # the age counts from the answer, however long that took.
        with self._listing:
            now = self._clock.monotonic()
            good_for = FRESH_SECONDS if self._last.refused else max_age_seconds
            if now - self._last.taken > good_for:
                if now < self._unusable_until:
                    return {}
                self._last = self._request_list()
            if self._last.refused:
                raise self._last.refused.restated()
            return self._last.instances

    def _request_list(self) -> _Listing:
        try:
            found = self._client.instances(tries=1)
        except RateLimitedError as error:
            return _Listing(self._clock.monotonic(), refused=error)
        except UnreachableError:
            found, avoided_for = [], _UNANSWERED_SECONDS
        except ApiError:
            found, avoided_for = [], _UNUSABLE_SECONDS
        else:
            is_usable = not found or any(map(is_whole, found))
            avoided_for = 0.0 if is_usable else _UNUSABLE_SECONDS
        now = self._clock.monotonic()
        self._unusable_until = now + avoided_for
        return _Listing(now, believed(found))

    def _believed(
        self, listed: Mapping[str, Instance], model_id: str, covers: Covers
    ) -> Instance | None:
        """Return what the list says of a load, if that is to be believed."""
        one = listed.get(model_id)
        if one is None or not covers(one):
            return None
        asked_at, share = self._asked.setdefault(model_id, self._now_and_share())
        # The more loads, the longer: all these statuses are about one request a second. Spread, so
        # that loads which began together are not checked together.
        believed_for = max(_BELIEVED_SECONDS, self._crowd) + (0.5 - share) * self._crowd / 2
        return one if self._clock.monotonic() < asked_at + believed_for else None

    def _now_and_share(self) -> tuple[float, float]:
        return self._clock.monotonic(), random.random()  # noqa: S311  (spreads load)

    def _next(self, model_ids: list[str]) -> list[str]:
        """Return the models whose turn it is: those asked in the last round come last."""
        if not model_ids:
            return []
        start = self._turn % len(model_ids)
        return (model_ids[start:] + model_ids[:start])[:_STATUSES_PER_ROUND]
