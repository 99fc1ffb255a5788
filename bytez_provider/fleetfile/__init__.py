"""Fleets in YAML: read with every mistake named by its line, and written so that comments survive.

A fleet file:

    # yaml-language-server: $schema=fleet.schema.json
    defaults: {concurrency: 1}
    models:
      coder: {modelId: deepseek-ai/deepseek-coder-1.3b-instruct, concurrency: 2}
      math: {modelId: deepseek-ai/deepseek-math-7b-instruct}

`models` gives each model a name within the fleet: letters, digits, "-" and "_", and not `ready`.
A model has the properties of a `Model` as they are spelled in state; `defaults` has the same, less
modelId, for the models that do not say otherwise. Anchors and `<<` may be used, tags may not.
Values are read as YAML 1.2 has them: `yes` and `on` are text.

A key at the top that begins with `x-` is yours and is not read: a place for anchors. It must still
be YAML without tags and without a key that stands twice.

    x-small: &small {concurrency: 1, expirationPeriodSeconds: 600}
    models:
      coder: {<<: *small, modelId: deepseek-ai/deepseek-coder-1.3b-instruct}

An environment is an overlay: a file beside the first, `fleet.prod.yaml` for the environment "prod"
of `fleet.yaml`. It has the same form, and
- its `defaults`, and its properties of a model that the first file has, take the place of those
  of the same name, one by one; what a model says of itself comes before any default;
- a new name adds a model; `name: null` (or `~`) removes one.

Editors check and complete a file whose first line names the schema, as above, by its path or
address: `data/fleet.schema.json` in this package, and `data/fleet-overlay.schema.json` for an
overlay (`python -m tools.schema` makes both). In JSON, which has no comments, the key `$schema`
names it.
"""

from __future__ import annotations

from bytez_provider.fleetfile._layer import TAKEN_KEY
from bytez_provider.fleetfile._problems import Place
from bytez_provider.fleetfile._reading import FleetFile, read_fleet, unknown_models
from bytez_provider.fleetfile._writing import add_models, write_fleet

__all__ = [
    "TAKEN_KEY",
    "FleetFile",
    "Place",
    "add_models",
    "read_fleet",
    "unknown_models",
    "write_fleet",
]
