"""What the user allows for one deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Consent:
    """What the user allows for one deployment, through the environment."""

    adopt: frozenset[str] = frozenset()
    account_change: bool = False

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Consent:
        """Read `BYTEZ_ADOPT` (model ids, comma between) and `BYTEZ_ACCEPT_ACCOUNT_CHANGE`."""
        named = (part.strip() for part in environ.get("BYTEZ_ADOPT", "").split(","))
        return cls(
            adopt=frozenset(name for name in named if name),
            account_change=environ.get("BYTEZ_ACCEPT_ACCOUNT_CHANGE") == "1",
        )
