"""A Bytez server for tests, demos and offline work.

It imports the client's code nowhere, so that one wrong field name cannot pass on both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bytez_provider.emulator.rules import ClusterRules as ClusterRules
    from bytez_provider.emulator.server import Emulator as Emulator

__all__ = ["ClusterRules", "Emulator"]


def __getattr__(name: str) -> Any:
    # Imported on use, so that the command can report a missing extra.
    if name == "Emulator":
        from bytez_provider.emulator.server import Emulator

        return Emulator
    if name == "ClusterRules":
        from bytez_provider.emulator.rules import ClusterRules

        return ClusterRules
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
