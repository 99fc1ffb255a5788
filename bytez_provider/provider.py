"""The path by which every state names the providers: it never changes.

Pulumi pickles a dynamic provider by the name of its class and keeps that with each resource.
"""

from __future__ import annotations

from bytez_provider.dynamic.providers import ModelProvider, ReadinessProvider

__all__ = ["ModelProvider", "ReadinessProvider"]
