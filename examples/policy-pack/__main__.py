"""Every rule of bytez_provider, mandatory; policies.json turns rules on."""

from __future__ import annotations

from pulumi_policy import EnforcementLevel, PolicyPack

from bytez_provider.policies import policies

PolicyPack("bytez", policies=policies(), enforcement_level=EnforcementLevel.MANDATORY)
