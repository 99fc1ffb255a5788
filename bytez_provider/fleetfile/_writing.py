"""Fleet files written: new ones, and additions that leave what is there as it is.

What is JSON stays JSON: a YAML reader takes both, and other tools that read the file may not.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from bytez_provider.base.errors import InvalidFileError, InvalidInputError
from bytez_provider.base.files import replace_file
from bytez_provider.core.declared import ModelInputs
from bytez_provider.fleetfile._layer import MODEL_ID, Layer, layer_of
from bytez_provider.fleetfile._problems import Problems, named, quoted
from bytez_provider.fleetfile._reading import fleet_of, read_fleet

_UNFOLDED = 1 << 20
_COMMENT = re.compile(r"(?:^|\s)(#.*?)\s*$", re.MULTILINE)
_INDENT = re.compile(r'\n([ \t]+)"')
"""What stands before the first key of a JSON document that is not all on one line."""


def write_fleet(path: Path, models: Mapping[str, ModelInputs]) -> None:
    """Write a new fleet file, with the properties that are not at their defaults.

    Raises:
        InvalidInputError: the file is there already, or cannot be written.
        InvalidFileError: the models are no fleet: a key that cannot be one, two of one id.
    """
    if path.exists():
        raise InvalidInputError(
            verb="write",
            subject=named(path),
            observed="there is a file of this name",
            action="Name another one, or move it away",
        )
    document = {"models": {key: _properties(one, {}) for key, one in models.items()}}
    if path.suffix == ".json":
        text = json.dumps(document, indent=2) + "\n"
    else:
        written = StringIO()
        _yaml().dump(document, written)
        text = written.getvalue()
    _check(path, text, dict(models))
    _replace(path, text)


def add_models(path: Path, models: Mapping[str, ModelInputs]) -> None:
    """Add models at the end of a fleet file.

    Comments, order, quotes, anchors and the user's own `x-` keys stay; JSON stays JSON.

    Raises:
        InvalidFileError: the file, or the file with them added, is not a valid fleet file.
        InvalidInputError: a key is taken, the file cannot be written, or its form is such that
            comments in it would be lost.
    """
    fleet = read_fleet(path)
    for key in models:
        if key in fleet.models:
            raise InvalidInputError(
                verb="add to",
                subject=named(path),
                observed=f"line {fleet.lines[key].line} has a model {quoted(key)} already",
                action="Choose another key",
            )
    # Not as text: what Python makes of the ends of lines is what must not change.
    old = path.read_bytes().decode()
    new = _with_added(old, models, path)
    _check(path, new, {**fleet.models, **models})
    _replace(path, new)


def _properties(inputs: ModelInputs, defaults: Mapping[str, object]) -> dict[str, Any]:
    """Return what must be written for a model to read as this, under a file's defaults."""
    unsaid = ModelInputs.model_validate({**defaults, MODEL_ID: inputs.model_id})
    known = unsaid.model_dump(by_alias=True)
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in inputs.model_dump(by_alias=True).items()
        if name == MODEL_ID or value != known[name]
    }


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _UNFOLDED
    return yaml


def _with_added(text: str, models: Mapping[str, ModelInputs], path: Path) -> str:
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    ends = "\r\n" if "\r\n" in text else "\n"
    text = text.removeprefix(mark).replace("\r\n", "\n")
    layer = layer_of(text, named(path), Problems(path, None), is_overlay=False) or Layer("")
    defaults = {name: setting.value for name, setting in layer.defaults.items()}
    added = {key: _properties(inputs, defaults) for key, inputs in models.items()}
    if (document := _json_object(text)) is not None:
        document["models"] = {**(document["models"] or {}), **added}
        return mark + _as_json(document, like=text).replace("\n", ends)
    yaml = _yaml()
    yaml.explicit_start = bool(re.search("^---", text, re.MULTILINE))
    indents = [declared.place.column - 1 for declared in layer.models.values()]
    if indents and indents[0]:
        yaml.map_indent = indents[0]
    written = StringIO()
    try:
        loaded = yaml.load(text)
        _keep_anchors(loaded)
        if not layer.models:
            loaded["models"] = CommentedMap()
        for key, properties in added.items():
            loaded["models"][key] = properties
        yaml.dump(loaded, written)
    except YAMLError:
        raise _unsafe(path) from None
    new = written.getvalue()
    if Counter(_COMMENT.findall(text)) - Counter(_COMMENT.findall(new)):
        raise _unsafe(path)
    return mark + new.replace("\n", ends)


def _json_object(text: str) -> dict[str, Any] | None:
    """Return what a text says as JSON; None where it is YAML only."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _as_json(document: dict[str, Any], *, like: str) -> str:
    """Return JSON that is indented as another text is."""
    indent = _INDENT.search(like)
    text = json.dumps(document, indent=indent[1] if indent else None, ensure_ascii=False)
    return text + like[len(like.rstrip()) :]


def _keep_anchors(node: object) -> None:
    """Have the anchors that nothing refers to written too: they may stand there for later use."""
    if isinstance(node, (CommentedMap, CommentedSeq)):
        if (anchor := node.yaml_anchor()) is not None:
            anchor.always_dump = True
        for child in node.values() if isinstance(node, CommentedMap) else node:
            _keep_anchors(child)


def _unsafe(path: Path) -> InvalidInputError:
    return InvalidInputError(
        verb="add to",
        subject=named(path),
        observed="it is written in a form in which something would be lost",
        action="Write one property a line, without braces, or add the models by hand",
    )


def _check(path: Path, text: str, expected: dict[str, ModelInputs]) -> None:
    """Refuse to write what would not read back as it is meant."""
    problems = Problems(path, None)
    try:
        layer = layer_of(text.removeprefix("\ufeff"), named(path), problems, is_overlay=False)
        if layer is None:
            raise problems.error()
        models = fleet_of(path, layer, Layer(""), problems).models
    except InvalidFileError as error:
        raise error.restated(verb="write", action="Change what is to be written") from None
    if models != expected:
        raise _unsafe(path)


def _replace(path: Path, text: str) -> None:
    try:
        replace_file(path, text.encode(), mode=0o666)
    except OSError as error:
        raise InvalidInputError(
            verb="write",
            subject=named(path),
            observed=f"the system says: {error.strerror}",
            action="Name a file that can be written",
        ) from None
