"""Looking at instances for all who wait at once, with as few requests as their number allows."""

from __future__ import annotations

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
"""A list is asked for at most twice a second, however many wait."""
_UNUSABLE_SECONDS = 60.0
"""So long the list is left alone after an answer that is no list."""
_UNANSWERED_SECONDS = 10.0
"""So long it is left alone after no answer; the statuses may well get one."""
_BELIEVED_SECONDS = 60.0
"""So long the list is taken at its word on a model whose own status has not been asked."""
_STATUSES_PER_ROUND = 16
"""Where the list is of no use, so many are asked for one by one in a round; then the others."""

Covers = Callable[[Instance], bool]
"""Tells whether an instance is the load that is meant."""


@dataclass(frozen=True)
class _Listing:
    """What came of asking for the list."""

    taken: float = float("-inf")
    instances: Mapping[str, Instance] = field(default_factory=dict)
    refused: BytezError | None = None
    """Set where the service wants fewer requests."""


class Poller:
    """The one way to ask again and again; safe to use from many threads.

    The list is believed as far as `wire.believed` goes, and about the very load that is meant.
    That this has failed, has been replaced or is gone, only the model's own status says; and now
    and then that is asked in any case, because a list may be old.
    """

    def __init__(self, client: BytezClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._counting = threading.Lock()
        self._waiting = 0
        # How many they were at most: as they are done, the others must not all turn impatient.
        self._crowd = 0
        self._listing = threading.Lock()
        self._last = _Listing()
        self._unusable_until = float("-inf")
        # When the own status of a model was last asked, and a share drawn by lot, see `_believed`.
        # The list was first believed then, too.
        self._asked: dict[str, tuple[float, float]] = {}
        self._turn = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count as one who waits: for one alone its status is asked, for several the list."""
        with self._counting:
            self._waiting += 1
            self._crowd = max(self._crowd, self._waiting)
        try:
            yield
        finally:
            with self._counting:
                self._waiting -= 1
                self._crowd = self._crowd if self._waiting else 0

    def look(
        self, model_id: str, covers: Covers, *, max_age_seconds: float = FRESH_SECONDS
    ) -> Instance | None:
        """Return the instance of a model, or None where it is not loaded.

        Args:
            model_id: The model.
            covers: Which load is meant. Another may be returned, and then not from the list.
            max_age_seconds: How old a list may be that answers for it.

        Raises:
            ApiError: No answer to this one try.
        """
        if self._waiting > 1:
            listed = self._list(max_age_seconds)
            found = self._believed(listed, model_id, covers, self._crowd)
            if found is not None:
                return found
        return self.status(model_id)

    def status(self, model_id: str) -> Instance | None:
        """Return what a model's own status says: the instance, or None where it is not loaded.

        Raises:
            ApiError: No answer to this one try.
        """
        self._asked[model_id] = self._by_lot()
        return self._client.status(model_id, tries=1)

    def look_at(
        self, loads: Mapping[str, Covers], stop: threading.Event
    ) -> dict[str, Instance | ApiError | None]:
        """Return what is known of each of many models, or the trouble in asking for it.

        Where the list does not answer for a model its status is asked, for some in each round;
        the others are left out of the answer until their turn comes.

        Args:
            loads: The models, and which load of each is meant.
            stop: Ends the round early.

        Raises:
            RateLimitedError: The service wants fewer requests.
        """
        listed = self._list(FRESH_SECONDS) if len(loads) > 1 else {}
        seen: dict[str, Instance | ApiError | None] = {}
        for model_id, covers in loads.items():
            found = self._believed(listed, model_id, covers, len(loads))
            if found is not None:
                seen[model_id] = found
        for model_id in self._next([model_id for model_id in loads if model_id not in seen]):
            if stop.is_set():
                break
            self._turn += 1
            try:
                seen[model_id] = self.status(model_id)
            except ApiError as error:
                seen[model_id] = error
                if isinstance(error, (UnreachableError, RateLimitedError)):
                    # The others would fare alike, after a silence of half a minute each.
                    break
        return seen

    def listed(self, max_age_seconds: float) -> Mapping[str, Instance]:
        """Return the instances of the list that are believed.

        Empty where the list is of no use or is refused. Never raises for what the service does.
        """
        try:
            return self._list(max_age_seconds)
        except RateLimitedError:
            return {}

    def _list(self, max_age_seconds: float) -> Mapping[str, Instance]:
        # One asks and the others wait for its answer: a hundred who wait are one request. So the
        # age counts from the answer, however long that was on its way.
        with self._listing:
            now = self._clock.monotonic()
            good_for = FRESH_SECONDS if self._last.refused else max_age_seconds
            if now - self._last.taken > good_for:
                if now < self._unusable_until:
                    return {}
                self._last = self._ask_for_list()
            if self._last.refused:
                raise self._last.refused.restated()
            return self._last.instances

    def _ask_for_list(self) -> _Listing:
        usable: dict[str, Instance] = {}
        left_alone_for = 0.0
        refused = None
        try:
            found = self._client.instances(tries=1)
        except RateLimitedError as error:
            refused = error
        except UnreachableError:
            left_alone_for = _UNANSWERED_SECONDS
        except ApiError:
            left_alone_for = _UNUSABLE_SECONDS
        else:
            usable = believed(found)
            if found and not any(map(is_whole, found)):
                left_alone_for = _UNUSABLE_SECONDS
        now = self._clock.monotonic()
        self._unusable_until = now + left_alone_for
        return _Listing(now, usable, refused)

    def _believed(
        self, listed: Mapping[str, Instance], model_id: str, covers: Covers, looked_at: int
    ) -> Instance | None:
        """Return what the list says of a load, where that is to be believed."""
        one = listed.get(model_id)
        if one is None or not covers(one):
            return None
        asked_at, share = self._asked.setdefault(model_id, self._by_lot())
        # For many more seldom, so that all the statuses asked for this are one a second; and not
        # for all at once, though all began at once.
        believed_for = max(_BELIEVED_SECONDS, looked_at) + (0.5 - share) * looked_at / 2
        return one if self._clock.monotonic() < asked_at + believed_for else None

    def _by_lot(self) -> tuple[float, float]:
        return self._clock.monotonic(), random.random()  # noqa: S311  (spreads load)

    def _next(self, model_ids: list[str]) -> list[str]:
        """Return those whose turn it is: who was asked in the last round comes last."""
        start = self._turn % max(len(model_ids), 1)
        return (model_ids[start:] + model_ids[:start])[:_STATUSES_PER_ROUND]
