"""The emulated Bytez of the demo, and its clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bytez_provider.emulator import Emulator

BOOT_SECONDS = 403
"""The one boot that the vendor's document shows."""
SPEED = 90
"""Emulated seconds in a real one while a model boots."""
_TICK_SECONDS = 0.1


@contextmanager
def emulated_bytez(key: str) -> Iterator[Emulator]:
    """Run an emulator whose clock runs fast while a model boots and stands still otherwise.

    So a boot takes a few seconds, and idle models do not expire on a slow machine.
    """
    with Emulator(keys=(key,), clock="manual", boot_seconds=BOOT_SECONDS) as emulator:
        ended = threading.Event()
        hurry = threading.Thread(target=_hurry, args=(emulator, ended), daemon=True)
        hurry.start()
        try:
            yield emulator
        finally:
            ended.set()
            hurry.join()


def _hurry(emulator: Emulator, ended: threading.Event) -> None:
    while not ended.wait(_TICK_SECONDS):
        if any(one["status"] == "DEPLOYING" for one in emulator.instances()):
            emulator.advance(SPEED * _TICK_SECONDS)
