"""Rules for the Bytez models of a stack, and Pulumi policies made from them.

    from pulumi_policy import EnforcementLevel, PolicyPack

    from bytez_provider.policies import policies

    PolicyPack("bytez", policies=policies(), enforcement_level=EnforcementLevel.MANDATORY)

`MODEL_TYPES` has the types of Bytez models, for policies of your own: that of programs in Python,
and that of all others. `bytez_provider.policies.rules` has the rules as plain functions.
`bytez_provider.policies.testing` runs the policies of any pack without an engine, for tests.
Policies need the extra `policy` of this package, the rules do not. See docs/policies.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bytez_provider.base.urns import MODEL_TYPES

if TYPE_CHECKING:
    from bytez_provider.policies.pack import policies

__all__ = ["MODEL_TYPES", "policies"]


def __getattr__(name: str) -> object:
    # Loaded on first use, so that the rules work without pulumi_policy.
    if name != "policies":
        raise AttributeError(f"module 'bytez_provider.policies' has no attribute '{name}'")
    from bytez_provider.policies.pack import policies

    return policies
