"""Fleets in YAML: each mistake reported with its line, comments kept when a file is written.

    # yaml-language-server: $schema=fleet.schema.json
    defaults: {concurrency: 1}
    x-small: &small {expirationPeriodSeconds: 600}
    models:
      coder: {modelId: deepseek-ai/deepseek-coder-1.3b-instruct, concurrency: 2}
      math: {<<: *small, modelId: deepseek-ai/deepseek-math-7b-instruct}

The keys of `models` are names within the fleet: letters, digits, "-" and "_", but not `ready`.
Properties are those of a `Model`, spelled as in state. `defaults` apply to each model that does
not set the property itself. Anchors and `<<` work, tags do not. Values are those of YAML 1.2:
`yes` and `on` are text. A key at the top that begins with `x-` is yours and is not read.

An overlay is a file of the same form for one environment: `fleet.prod.yaml` for the environment
"prod" of `fleet.yaml`. Its defaults and properties replace those of the same name, one by one; a
new name adds a model, and `name: null` removes one.

Editors complete and check a file whose first line names its schema: `data/fleet.schema.json` in
this package, or `data/fleet-overlay.schema.json` for an overlay. JSON has the key `$schema`.
"""

from __future__ import annotations

from bytez_provider.fleetfile._problems import Place
from bytez_provider.fleetfile._reading import FleetFile, read_fleet, unknown_models
from bytez_provider.fleetfile._writing import add_models, write_fleet

__all__ = [
    "FleetFile",
    "Place",
    "add_models",
    "read_fleet",
    "unknown_models",
    "write_fleet",
]
