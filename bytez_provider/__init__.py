"""Bytez models as Pulumi resources: what Pulumi says is loaded is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bytez_provider.dynamic.fleet import Fleet, FleetMember, ModelArgs, ModelDefaults
    from bytez_provider.dynamic.model import Model

__version__ = "0.1.0"
__all__ = ["Fleet", "FleetMember", "Model", "ModelArgs", "ModelDefaults", "__version__"]

_HOMES = {
    "Fleet": "bytez_provider.dynamic.fleet",
    "FleetMember": "bytez_provider.dynamic.fleet",
    "Model": "bytez_provider.dynamic.model",
    "ModelArgs": "bytez_provider.dynamic.fleet",
    "ModelDefaults": "bytez_provider.dynamic.fleet",
}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that the command line and the emulator do not wait for Pulumi.
    if name not in _HOMES:
        raise AttributeError(f"module 'bytez_provider' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
