"""A fleet file and its overlay, made into what a fleet declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bytez_provider.base.errors import Problem, printable
from bytez_provider.core.declared import ModelInputs
from bytez_provider.fleetfile._layer import MODEL_ID, Declared, Layer, Setting, read_layer
from bytez_provider.fleetfile._problems import MOST_PROBLEMS, Place, Problems, nearest, quoted

if TYPE_CHECKING:
    # Only asked when it is handed in: a program that reads a fleet asks no service.
    from bytez_provider.service.catalogue import Catalogue

_ENVIRONMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")


@dataclass(frozen=True)
class FleetFile:
    """What a fleet file declares, its overlay applied."""

    path: Path
    models: dict[str, ModelInputs]
    """The models by their keys, with the defaults, in the order of the file; what an overlay
    adds comes last."""
    lines: dict[str, Place]
    """Where the key of each model stands, in the overlay for what that adds."""
    id_lines: dict[str, Place]
    """Where the model id of each stands."""


def read_fleet(path: Path, environment: str | None = None) -> FleetFile:
    """Read a fleet file.

    Args:
        path: The file, as `fleet.yaml`.
        environment: The one whose overlay is laid over it: "prod" for `fleet.prod.yaml`. The
            overlay's `defaults` and its properties of a model replace those of the same name one
            by one, a new key adds a model, and `key: null` removes one. What a model says of
            itself, in either file, comes before any default.

    Raises:
        InvalidFileError: a file is missing, is not YAML or larger than 1 MiB, or declares what
            cannot be; its `problems` are all that is wrong, up to 100.
    """
    problems = Problems(path, environment)
    if environment is not None and not _ENVIRONMENT.match(environment):
        problems.add_of_file(
            path,
            f"{quoted(environment)} cannot name an environment; letters, digits, '.', '-' and '_' "
            "can",
        )
        raise problems.error()
    base = read_layer(path, problems, is_overlay=False)
    over: Layer | None = Layer(file="")
    if environment is not None:
        overlay = path.parent / f"{path.stem}.{environment}{path.suffix}"
        over = read_layer(overlay, problems, is_overlay=True)
    if base is None or over is None:
        raise problems.error()
    return fleet_of(path, base, over, problems)


def fleet_of(path: Path, base: Layer, over: Layer, problems: Problems) -> FleetFile:
    """Return what a file and its overlay declare together.

    Raises:
        InvalidFileError: something is wrong with it, or was.
    """
    entries = _merged(base, over, problems)
    _refuse_without_id(entries, base, problems)
    _refuse_same_id(entries, problems)
    if problems:
        raise problems.error()
    return FleetFile(
        path=path,
        models={key: _inputs(settings) for key, (_, settings) in entries.items()},
        lines={key: place for key, (place, _) in entries.items()},
        id_lines={key: settings[MODEL_ID].place for key, (_, settings) in entries.items()},
    )


def unknown_models(fleet: FleetFile, catalogue: Catalogue) -> list[Problem]:
    """Return a problem for each model that the catalogue does not have, with the nearest names.

    Only a warning where the catalogue is not the service's own: it may be older than the model.
    None where there is no catalogue at all.
    """
    problems: list[Problem] = []
    if not catalogue.entries():
        return problems
    source = "the Bytez catalogue" if catalogue.is_live else "the catalogue of this package"
    for key, inputs in fleet.models.items():
        if catalogue.find(inputs.model_id) is None and len(problems) < MOST_PROBLEMS:
            problems.append(
                Problem(
                    *fleet.id_lines[key],
                    reason=f"{quoted(inputs.model_id)} is not in {source}",
                    meant=tuple(
                        printable(name, limit=100) for name in catalogue.nearest(inputs.model_id)
                    ),
                    is_warning=not catalogue.is_live,
                )
            )
    return problems


_Entries = dict[str, tuple[Place, dict[str, Setting]]]


def _merged(base: Layer, over: Layer, problems: Problems) -> _Entries:
    """Return where each model stands and all its settings, both files taken together."""
    declared = dict(base.models)
    for key, entry in over.models.items():
        known = declared.get(key)
        if entry.settings is not None:
            declared[key] = _over(known, entry)
        elif known is not None:
            del declared[key]
        else:
            problems.add(
                entry.place,
                f"there is no {quoted(key)} in {base.file} to remove",
                nearest(key, base.models),
            )
    defaults = {**base.defaults, **over.defaults}
    return {
        key: (entry.place, {**defaults, **(entry.settings or {})})
        for key, entry in declared.items()
    }


def _over(known: Declared | None, entry: Declared) -> Declared:
    if known is None:
        return entry
    return Declared(known.place, {**(known.settings or {}), **(entry.settings or {})})


def _refuse_without_id(entries: _Entries, base: Layer, problems: Problems) -> None:
    for key, (place, settings) in entries.items():
        if MODEL_ID in settings:
            continue
        if key in base.models:
            problems.add(place, f"{quoted(key)} has no '{MODEL_ID}'")
        else:
            problems.add(
                place,
                f"{quoted(key)} has no '{MODEL_ID}', and {base.file} has no model of this name",
                nearest(key, base.models),
            )


def _refuse_same_id(entries: _Entries, problems: Problems) -> None:
    """Refuse two models of one id: the service holds one instance a model."""
    first: dict[object, tuple[str, Place]] = {}
    for key, (_, settings) in entries.items():
        model_id = settings.get(MODEL_ID)
        if model_id is None or not model_id.is_valid:
            continue
        if model_id.value not in first:
            first[model_id.value] = (key, model_id.place)
            continue
        other, place = first[model_id.value]
        problems.add(
            model_id.place,
            f"{quoted(key)} has the model of {quoted(other)} ({place.file}:{place.line}), and the "
            "service holds one instance a model",
        )


def _inputs(settings: Mapping[str, Setting]) -> ModelInputs:
    return ModelInputs.model_validate({name: one.value for name, one in settings.items()})
