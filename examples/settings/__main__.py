"""Every input of a model, each where it is of use."""

from __future__ import annotations

import pulumi

import bytez_provider as bytez

# A slow model: it may boot for 45 minutes, and remains loaded for two idle hours.
writer = bytez.Model(
    "writer",
    model_id="microsoft/phi-1",
    concurrency=2,
    expiration_period_seconds=2 * 60 * 60,
    expected_hours_per_day=10,
    opts=pulumi.ResourceOptions(
        custom_timeouts=pulumi.CustomTimeouts(create="45m", update="45m", delete="5m")
    ),
)

# Needed once a night: after it expires it may remain unloaded until its declaration changes.
nightly = bytez.Model(
    "nightly",
    model_id="deepseek-ai/deepseek-coder-1.3b-instruct",
    on_expiry="accept",
)

# Somebody may have loaded it by hand: take it over instead of refusing.
shared = bytez.Model("shared", model_id="openai-community/gpt2", adopt=True)

pulumi.export("writer", pulumi.Output.format("{0} since {1}", writer.status, writer.created))
pulumi.export("nightly", nightly.status)
pulumi.export("shared", shared.status)
