"""A Bytez server for tests, demos and offline work.

It stands alone: it imports nothing else of this package, so that one wrong field name cannot
pass on both sides of the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bytez_provider.emulator.server import Emulator as Emulator

__all__ = ["Emulator"]


def __getattr__(name: str) -> Any:
    # Late, so that the command can say which extra is missing instead of failing on import.
    if name == "Emulator":
        from bytez_provider.emulator.server import Emulator

        return Emulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
