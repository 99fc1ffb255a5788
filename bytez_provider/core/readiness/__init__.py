"""Waiting for a whole fleet at once: what its one readiness resource does, free of Pulumi.

It loads nothing, and unloads nothing that works: only a model that FAILED. A model that is still
booting at the limit is left to boot, and the next `up` waits for it.
"""

from __future__ import annotations

from bytez_provider.core.readiness._readiness import Readiness

__all__ = ["Readiness"]
