"""Rules over the Bytez models of a stack, and a Pulumi policy pack made of them.

The rules are plain functions, in `bytez_provider.policies.rules`: declared models in, violations
out. `policies` makes Pulumi policies of them, which each user's own pack may hold beside others:

    from pulumi_policy import EnforcementLevel, PolicyPack

    from bytez_provider.policies import policies

    PolicyPack("bytez", policies=policies(), enforcement_level=EnforcementLevel.MANDATORY)

`bytez_provider.policies.testing` runs a pack's policies without an engine, for tests. Policies
need the extra `policy` of this package; the rules alone do not. docs/policies.md has it all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bytez_provider.policies.pack import policies

__all__ = ["policies"]


def __getattr__(name: str) -> object:
    # Loaded on first use, so that the rules can be had without pulumi_policy.
    if name != "policies":
        raise AttributeError(f"module 'bytez_provider.policies' has no attribute '{name}'")
    from bytez_provider.policies.pack import policies

    return policies
