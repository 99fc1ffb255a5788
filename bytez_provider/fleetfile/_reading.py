"""A fleet file and its overlay, read, checked and put together."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bytez_provider.base.errors import Problem
from bytez_provider.core.declared import ModelInputs
from bytez_provider.core.fleets import READY_KEY
from bytez_provider.core.inputs import INPUTS, UnfitError
from bytez_provider.fleetfile._problems import (
    MOST_PROBLEMS,
    Place,
    Problems,
    named,
    nearest,
    quoted,
)
from bytez_provider.fleetfile._yaml import Broken, Entry, Node, read_yaml

if TYPE_CHECKING:
    # Only for the types: a program that reads a fleet file needs no catalogue.
    from bytez_provider.service.catalogue import Catalogue

LARGEST_BYTES = 1 << 20
MODEL_ID = INPUTS["model_id"].in_state
KEY_PATTERN = "^[A-Za-z0-9_-]+$"
"""A model's key becomes a part of the name of a resource."""
OWN_PREFIX = "x-"
"""Begins a key at the top that is the user's own and is not read: a place for anchors."""
SCHEMA_KEY = "$schema"
"""Names the schema for editors in JSON, which has no comments."""

_SECTIONS = ("defaults", "models")
_PROPERTIES = {one.in_state: one for one in INPUTS.values()}
_ENVIRONMENT = re.compile("[A-Za-z0-9_-][A-Za-z0-9._-]*")
_FORBIDDEN = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class FleetFile:
    """What a fleet file and its overlay declare."""

    path: Path
    models: dict[str, ModelInputs]
    """The models by key, with their defaults, in the order of the file; then those that the
    overlay adds."""
    lines: dict[str, Place]
    """Where the key of each model is: in the overlay if that adds the model."""
    id_lines: dict[str, Place]
    """Where the model id of each model is."""


class Declared(NamedTuple):
    """A model that a file declares."""

    place: Place
    settings: dict[str, Node] | None
    """None if an overlay removes the model."""


@dataclass(frozen=True)
class Layer:
    """What one file says: a fleet file, or an overlay."""

    file: str = ""
    defaults: dict[str, Node] = field(default_factory=dict)
    models: dict[str, Declared] = field(default_factory=dict)


def read_fleet(path: Path, environment: str | None = None) -> FleetFile:
    """Read a fleet file.

    Args:
        path: The file, for example `fleet.yaml`.
        environment: Lays an overlay over it: `fleet.prod.yaml` for "prod". The overlay's
            `defaults` and its properties of a model replace the file's, one by one; a new key
            adds a model, and `key: null` removes one. What either file sets for a model itself
            comes before any default.

    Raises:
        InvalidFileError: A file is missing, is not YAML, is larger than 1 MiB, or declares
            something invalid. Its `problems` are all that is wrong, up to 100.
    """
    problems = Problems(path, environment)
    over: Layer | None = Layer()
    if environment is not None and not _ENVIRONMENT.fullmatch(environment):
        allowed = "use letters, digits, '.', '-' and '_'"
        problems.add(path, f"{quoted(environment)} cannot name an environment: {allowed}")
        raise problems.error()
    base = layer_of(path, named(path), problems)
    if environment is not None:
        overlay = path.parent / f"{path.stem}.{environment}{path.suffix}"
        over = layer_of(overlay, named(overlay), problems, is_overlay=True)
    if base is None or over is None:
        raise problems.error()
    return fleet_of(path, base, over, problems)


def fleet_of(path: Path, base: Layer, over: Layer, problems: Problems) -> FleetFile:
    """Return what a file and its overlay declare together.

    Raises:
        InvalidFileError: There are problems, old or new.
    """
    models = _merged(base, over, problems)
    _check_ids(models, base, problems)
    if problems:
        raise problems.error()
    return FleetFile(
        path=path,
        models={
            key: ModelInputs.of({name: one.value for name, one in settings.items()})
            for key, (_, settings) in models.items()
        },
        lines={key: place for key, (place, _) in models.items()},
        id_lines={key: settings[MODEL_ID].place for key, (_, settings) in models.items()},
    )


def unknown_models(fleet: FleetFile, catalogue: Catalogue) -> list[Problem]:
    """Return a problem for each model that the catalogue does not have, with similar names.

    If the catalogue is not the service's own, each is only a warning: the model may be newer.
    """
    problems: list[Problem] = []
    for key, inputs in fleet.models.items():
        unknown = catalogue.unknown(inputs.model_id)
        if unknown is not None and len(problems) < MOST_PROBLEMS:
            reason, meant = unknown.reason, unknown.meant
            is_warning = not unknown.is_certain
            problems.append(Problem(*fleet.id_lines[key], reason, meant, is_warning=is_warning))
    return problems


# ------------------------------------------------------------------------------ two layers

_Models = dict[str, tuple[Place, dict[str, Node]]]


def _merged(base: Layer, over: Layer, problems: Problems) -> _Models:
    """Return where each model is declared, and all its settings."""
    declared = dict(base.models)
    for key, (place, settings) in over.models.items():
        known = declared.get(key)
        if settings is not None:
            inherited = (known.settings or {}) if known else {}
            declared[key] = Declared(known.place if known else place, {**inherited, **settings})
        elif known is not None:
            del declared[key]
        else:
            reason = f"{base.file} has no model {quoted(key)} to remove"
            problems.add(place, reason, nearest(key, base.models))
    defaults = {**base.defaults, **over.defaults}
    return {
        key: (place, {**defaults, **(settings or {})})
        for key, (place, settings) in declared.items()
    }


def _check_ids(models: _Models, base: Layer, problems: Problems) -> None:
    """Report each model without an id, and each with the id of another one."""
    first: dict[object, tuple[str, Place]] = {}
    for key, (place, settings) in models.items():
        model_id = settings.get(MODEL_ID)
        if model_id is None:
            reason, meant = f"{quoted(key)} has no '{MODEL_ID}'", []
            if key not in base.models:
                reason += f", and {base.file} has no model of that name"
                meant = nearest(key, base.models)
            problems.add(place, reason, meant)
        elif model_id.value is not None:
            other, there = first.setdefault(model_id.value, (key, model_id.place))
            if other != key:
                problems.add(
                    model_id.place,
                    f"{quoted(key)} is the same model as {quoted(other)} "
                    f"({there.file}:{there.line}), and the service loads a model only once",
                )


# ------------------------------------------------------------------------------- one layer


def layer_of(
    source: Path | str, file: str, problems: Problems, *, is_overlay: bool = False
) -> Layer | None:
    """Return what a file, or a text, declares; None if it cannot be read.

    Problems go to `problems`, under the name `file`.
    """
    try:
        text = _text_of(source) if isinstance(source, Path) else source
        root = read_yaml(text, file, problems) or Node(Place(file, 1, 1), None)
    except Broken as broken:
        problems.add(broken.at, broken.reason)
        return None
    sections = _entries(root, problems, "a fleet file must be a mapping with 'models'")
    if sections is None:
        return None
    for name, (place, node) in sections.items():
        if name == SCHEMA_KEY:
            if not isinstance(node.value, str):
                problems.add(node.place, f"'{name}' must be text, not {node.shown}")
        elif name not in _SECTIONS and not name.startswith(OWN_PREFIX):
            meant = nearest(name, (*_SECTIONS, SCHEMA_KEY))
            hint = "" if meant else f": a key of your own must begin with '{OWN_PREFIX}'"
            problems.add(place, f"unknown key {quoted(name)}{hint}", meant)
    if "models" not in sections and not is_overlay:
        problems.add(root.place, "'models' is missing: for an empty fleet, write 'models: {}'")
    return Layer(
        file=file,
        defaults=_defaults(sections.get("defaults"), problems),
        models=_models(sections.get("models"), problems, is_overlay=is_overlay),
    )


def _text_of(path: Path) -> str:
    """Return the text of a file, without a byte order mark."""
    shown = f"'{named(path)}'"
    try:
        # Checked first, because opening a pipe waits for its writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Broken(path, f"{shown} is not a file")
        with path.open("rb") as opened:
            data = opened.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise Broken(path, f"there is no file {shown}") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Broken(path, f"{shown} cannot be read ({why})") from None
    if len(data) > LARGEST_BYTES:
        raise Broken(path, f"{shown} is larger than {LARGEST_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        raise Broken(
            _end_of(before, path), f"byte 0x{data[error.start]:02x} is not UTF-8"
        ) from None
    if forbidden := _FORBIDDEN.search(text):
        place = _end_of(text[: forbidden.start()], path)
        raise Broken(place, f"YAML does not allow the character U+{ord(forbidden[0]):04X}")
    return text


def _end_of(text: str, path: Path) -> Place:
    lines = re.split("\r\n|\r|\n", text)
    return Place(named(path), len(lines), len(lines[-1]) + 1)


def _defaults(entry: Entry | None, problems: Problems) -> dict[str, Node]:
    if entry is None:
        return {}
    what = "'defaults' must be a mapping of properties to values"
    entries = _entries(entry.node, problems, what) or {}
    if MODEL_ID in entries:
        reason = f"'{MODEL_ID}' cannot have a default: set it for each model"
        problems.add(entries[MODEL_ID].place, reason)
    return _settings({k: one for k, one in entries.items() if k != MODEL_ID}, problems)


def _models(entry: Entry | None, problems: Problems, *, is_overlay: bool) -> dict[str, Declared]:
    if entry is None:
        return {}
    models = {}
    entries = _entries(entry.node, problems, "'models' must be a mapping of names to models")
    for key, (place, node) in (entries or {}).items():
        if key == READY_KEY:
            problems.add(place, f"'{key}' cannot name a model: the fleet's readiness has that name")
        elif not re.fullmatch(KEY_PATTERN, key):
            problems.add(
                place, f"{quoted(key)} cannot name a model: use letters, digits, '-' and '_'"
            )
        if is_overlay and node.value is None:
            models[key] = Declared(place, None)
            continue
        what = f"a model must be a mapping such as {{{MODEL_ID}: owner/name}}"
        properties = _entries(node, problems, what)
        if properties is not None:
            models[key] = Declared(place, _settings(properties, problems))
    return models


def _settings(entries: Mapping[str, Entry], problems: Problems) -> dict[str, Node]:
    """Return the properties that are set; the value of an invalid one is None."""
    settings = {}
    for name, (place, node) in entries.items():
        if name in _PROPERTIES:
            reason = _reason_against(name, node)
            if reason:
                problems.add(node.place, reason)
            settings[name] = replace(node, value=None) if reason else node
            continue
        meant = nearest(name, _PROPERTIES)
        problems.add(place, f"a model has no property {quoted(name)}", meant)
        if meant == [MODEL_ID]:
            # One problem is enough: do not report the id as missing too.
            settings.setdefault(MODEL_ID, Node(place, None))
    return settings


def _reason_against(name: str, node: Node) -> str | None:
    try:
        # No property is a mapping or a list, and through aliases these can be too large to show.
        _PROPERTIES[name].check(node.value if node.is_scalar else object())
    except UnfitError as unfit:
        return f"{name} must be {unfit.must_be}, not {node.shown}"
    return None


def _entries(node: Node, problems: Problems, what: str) -> dict[str, Entry] | None:
    """Return the entries of a mapping: none if it is left empty, None if it is something else."""
    if node.value is None:
        return {}
    if isinstance(node.value, dict):
        return node.value
    problems.add(node.place, f"{what}, not {node.shown}")
    return None
