"""A fleet from fleet.yaml; in the stack `prod`, fleet.prod.yaml overrides it."""

from __future__ import annotations

import pulumi

import bytez_provider as bytez

environment = "prod" if pulumi.get_stack() == "prod" else None
batch = bytez.Fleet.from_yaml("batch", "fleet.yaml", environment=environment)

pulumi.export("statuses", batch.statuses)
pulumi.export("gigabytes", batch.total_required_ram_gb)
