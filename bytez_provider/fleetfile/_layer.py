"""One file: what it says, each thing judged where it stands, whatever another file says over it."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from bytez_provider.core.declared import ModelInputs, problems_of
from bytez_provider.core.inputs import INPUTS
from bytez_provider.fleetfile._problems import Place, Problems, named, nearest, quoted
from bytez_provider.fleetfile._tree import Broken, Mapping, Node, Scalar, tree_of

LARGEST_BYTES = 1 << 20
MODEL_ID = "modelId"
PROPERTIES = tuple(one.in_state for one in INPUTS.values())
"""The properties of a model, as they are spelled in state."""
KEY_PATTERN = "^[A-Za-z0-9_-]+$"
"""A model's key: it becomes part of the name of a resource."""
TAKEN_KEY = "ready"
"""The key that the readiness of a fleet would have."""

OWN_PREFIX = "x-"
"""How a key at the top begins that is the user's own, such as a place for anchors: not read."""
SCHEMA_KEY = "$schema"
"""Names the schema of the file to editors; JSON has no comment to do it in."""

_SECTIONS = ("defaults", "models")
_ALMOST_OWN = re.compile(r"[xX][\W_]*(?=\w)")
_KEY = re.compile(KEY_PATTERN.removesuffix("$") + r"\Z")
_FORBIDDEN = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SOME_ID = "owner/name"


class Setting(NamedTuple):
    """A property that is given."""

    place: Place
    value: object
    is_valid: bool


@dataclass(frozen=True)
class Declared:
    """A model's entry."""

    place: Place
    settings: dict[str, Setting] | None
    """None where an overlay removes the model."""


@dataclass(frozen=True)
class Layer:
    """A fleet file, or the overlay of one."""

    file: str
    defaults: dict[str, Setting] = field(default_factory=dict)
    models: dict[str, Declared] = field(default_factory=dict)


def read_layer(path: Path, problems: Problems, *, is_overlay: bool) -> Layer | None:
    """Read a file; None where it cannot be read on. What is wrong goes to `problems`."""
    text = read_text(path, problems)
    return (
        layer_of(text, named(path), problems, is_overlay=is_overlay) if text is not None else None
    )


def layer_of(text: str, file: str, problems: Problems, *, is_overlay: bool) -> Layer | None:
    """Return what a text says, as `read_layer` does."""
    try:
        root = tree_of(text, file, problems)
    except Broken as broken:
        problems.add(broken.place, broken.reason)
        return None
    start = root.place if root else Place(file, 1, 1)
    sections = _mapping(root, problems, "a fleet file is a mapping with 'models'")
    if sections is None:
        return None
    for name, (place, node) in sections.entries.items():
        if name == SCHEMA_KEY:
            _refuse_no_text(name, node, problems)
        elif name not in _SECTIONS and not name.startswith(OWN_PREFIX):
            meant = _meant_section(name)
            hint = "" if meant else f"; a key of your own begins with '{OWN_PREFIX}'"
            problems.add(place, f"{quoted(name)} is no part of a fleet file{hint}", meant)
    defaults = models = None
    if "defaults" in sections.entries:
        defaults = sections.entries["defaults"].node
    if "models" in sections.entries:
        models = sections.entries["models"].node
    elif not is_overlay:
        problems.add(start, "'models' is missing; a fleet without any says 'models: {}'")
    return Layer(
        file=file,
        defaults=_defaults(defaults, problems),
        models=_models(models, problems, is_overlay=is_overlay),
    )


def read_text(path: Path, problems: Problems) -> str | None:
    """Return the text of a file, without a byte order mark; None where there is none to be had."""
    shown = f"'{named(path)}'"
    try:
        # Asked first: to open a pipe is to wait for who writes it.
        if not stat.S_ISREG(path.stat().st_mode):
            problems.add_of_file(path, f"{shown} is not a file")
            return None
        with path.open("rb") as opened:
            data = opened.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        problems.add_of_file(path, f"there is no file {shown}")
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        problems.add_of_file(path, f"{shown} cannot be read ({why})")
        return None
    if len(data) > LARGEST_BYTES:
        problems.add_of_file(path, f"{shown} is larger than {LARGEST_BYTES >> 20} MiB")
        return None
    return _decoded(data, named(path), problems)


def _decoded(data: bytes, file: str, problems: Problems) -> str | None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        problems.add(_end_of(before, file), f"byte 0x{data[error.start]:02x} is not UTF-8")
        return None
    if forbidden := _FORBIDDEN.search(text):
        place = _end_of(text[: forbidden.start()], file)
        problems.add(place, f"the character U+{ord(forbidden[0]):04X} may not stand in YAML")
        return None
    return text


def _end_of(text: str, file: str) -> Place:
    lines = re.split("\r\n|\r|\n", text)
    return Place(file, len(lines), len(lines[-1]) + 1)


# --------------------------------------------------------------------------------- sections


def _defaults(node: Node | None, problems: Problems) -> dict[str, Setting]:
    mapping = _mapping(node, problems, "'defaults' is a mapping of properties to values")
    if mapping is None:
        return {}
    if MODEL_ID in mapping.entries:
        place = mapping.entries.pop(MODEL_ID).place
        problems.add(place, f"'{MODEL_ID}' is given for each model, not in 'defaults'")
    return _settings(mapping, problems)


def _models(node: Node | None, problems: Problems, *, is_overlay: bool) -> dict[str, Declared]:
    mapping = _mapping(node, problems, "'models' is a mapping of names to models")
    models = {}
    for key, (place, entry) in mapping.entries.items() if mapping else ():
        if key == TAKEN_KEY:
            problems.add(
                place, f"no model may be named '{TAKEN_KEY}', the name of the fleet's readiness"
            )
        elif not _KEY.match(key):
            problems.add(
                place, f"{quoted(key)} cannot name a model; letters, digits, '-' and '_' can"
            )
        if is_overlay and _is_null(entry):
            models[key] = Declared(place, None)
            continue
        what = f"a model is a mapping, as in {{{MODEL_ID}: {_SOME_ID}}}"
        properties = _mapping(entry, problems, what)
        if properties is not None:
            models[key] = Declared(place, _settings(properties, problems))
    return models


def _settings(mapping: Mapping, problems: Problems) -> dict[str, Setting]:
    settings = {}
    for name, (place, node) in mapping.entries.items():
        if name in PROPERTIES:
            reason = _reason_against(name, node)
            if reason:
                problems.add(node.place, f"{name} {reason}")
            value = node.value if isinstance(node, Scalar) else None
            settings[name] = Setting(node.place, value, is_valid=not reason)
            continue
        meant = nearest(name, PROPERTIES)
        problems.add(place, f"{quoted(name)} is not a property of a model", meant)
        if meant == [MODEL_ID]:
            # It is misspelled, and so not missing as well.
            settings.setdefault(MODEL_ID, Setting(place, None, is_valid=False))
    return settings


# ------------------------------------------------------------------------------------ parts


def _meant_section(name: str) -> list[str]:
    """Return the key that was likely meant: x_common is x-common."""
    if (mark := _ALMOST_OWN.match(name)) and len(mark[0]) > 1:
        return [OWN_PREFIX + name[mark.end() :]]
    return nearest(name, (*_SECTIONS, SCHEMA_KEY))


def _refuse_no_text(name: str, node: Node, problems: Problems) -> None:
    if not (isinstance(node, Scalar) and isinstance(node.value, str)):
        problems.add(node.place, f"'{name}' is text, and this is {node.shown}")


def _mapping(node: Node | None, problems: Problems, what: str) -> Mapping | None:
    """Return a mapping; an empty one for what is left empty, None for anything else."""
    if node is None or _is_null(node):
        return Mapping(node.place if node else Place("", 1, 1))
    if isinstance(node, Mapping):
        return node
    problems.add(node.place, f"{what}, and this is {node.shown}")
    return None


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _reason_against(name: str, node: Node) -> str | None:
    """Return why a property cannot have a value, in the words of the schema; None if it can."""
    # Anything else is no value of any property, and could be larger than can be shown.
    value = node.value if isinstance(node, Scalar) else object()
    try:
        ModelInputs.model_validate({MODEL_ID: _SOME_ID, name: value})
    except ValidationError as error:
        # The schema shows a value as Python writes it, and here it stands in YAML.
        reason = problems_of(error)[0][1].partition(", not ")[0]
        told = f"{reason}, not {node.shown}"
        if name == MODEL_ID and isinstance(node, Scalar) and not isinstance(value, str):
            told += f", which YAML reads as {node.kind}"
        return told
    return None
