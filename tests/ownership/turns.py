"""Threads that run one at a time, in an order that a seed decides."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

from bytez_provider.core.ownership import Store
from bytez_provider.core.ownership._stores import Stored


class Killed(BaseException):
    """The process of an actor was killed."""


class Turns:
    """Lets one actor run at a time, from one of its steps to the next; `seed` decides which."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - it must be repeatable
        self._changed = threading.Condition()
        self._waiting: set[str] = set()
        self._running: set[str] = set()
        self._current: str | None = None
        self._dies_at: dict[str, int] = {}
        self._pause: tuple[str, int] | None = None
        self._steps: dict[str, int] = {}
        self.order: list[str] = []

    def dies(self, actor: str, at: int) -> None:
        """Kill an actor at one of its steps, counted from 1."""
        self._dies_at[actor] = at

    def pauses(self, actor: str, at: int) -> None:
        """Let an actor run first, and pause at one of its steps until all others are done."""
        self._pause = (actor, at)

    def run(self, actors: dict[str, Callable[[], Any]]) -> dict[str, Any]:
        """Run all to their ends; return what each returned or raised."""
        outcomes: dict[str, Any] = {}

        def play(name: str, act: Callable[[], Any]) -> None:
            try:
                self.step(name)
                outcomes[name] = act()
            except Killed as dead:
                outcomes[name] = dead
            except Exception as error:  # noqa: BLE001 - it is the outcome
                outcomes[name] = error
            finally:
                with self._changed:
                    self._running.discard(name)
                    self._choose()

        self._running = set(actors)
        threads = [threading.Thread(target=play, args=one, daemon=True) for one in actors.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), f"it hangs after {self.order}"
        return outcomes

    def step(self, actor: str) -> None:
        """Wait until it is this actor's turn.

        Raises:
            Killed: It was killed.
        """
        with self._changed:
            if actor not in self._running:
                return
            self._steps[actor] = self._steps.get(actor, 0) + 1
            self._waiting.add(actor)
            if self._current in (None, actor):
                self._choose()
            while self._current != actor:
                self._changed.wait()
            self._waiting.discard(actor)
        if self._steps[actor] >= self._dies_at.get(actor, 10**9):
            raise Killed(actor)

    def _may_go_on(self) -> set[str]:
        if self._pause is None:
            return self._waiting
        actor, at = self._pause
        others = self._waiting - {actor}
        is_first = actor in self._waiting and self._steps[actor] < at
        return {actor} if is_first or not others else others

    def _choose(self) -> None:
        """Choose who runs, once all that live wait."""
        if self._waiting == self._running and self._waiting:
            self._current = self._random.choice(sorted(self._may_go_on()))
            self.order.append(self._current)
        else:
            self._current = None
        self._changed.notify_all()


class SteppingStore:
    """A store at each use of which another actor may run."""

    def __init__(self, store: Store, step: Callable[[], None]) -> None:
        self._store = store
        self._step = step
        self.place = store.place
        self.is_shared = store.is_shared

    def read(self, name: str) -> Stored:
        """Take a step first."""
        self._step()
        return self._store.read(name)

    def write(self, name: str, content: bytes | None, version: object, *, durable: bool) -> Stored:
        """Take a step first."""
        self._step()
        return self._store.write(name, content, version, durable=durable)

    def read_all(self) -> dict[str, Stored]:
        """Take a step first."""
        self._step()
        return self._store.read_all()
