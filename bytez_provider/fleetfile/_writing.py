"""New fleet files, and additions that keep everything else in a file.

JSON remains JSON: YAML readers take it, but other tools that read the file may take nothing else.
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
from bytez_provider.core.inputs import INPUTS
from bytez_provider.fleetfile._problems import Problems, named, quoted
from bytez_provider.fleetfile._reading import MODEL_ID, Layer, fleet_of, layer_of, read_fleet

_BOM = "\ufeff"
_UNFOLDED = 1 << 20
_COMMENT = re.compile(r"(?:^|\s)(#.*?)\s*$", re.MULTILINE)
_JSON_INDENT = re.compile(r'\n([ \t]+)"')


def write_fleet(path: Path, models: Mapping[str, ModelInputs]) -> None:
    """Write a new fleet file, with the properties that are not at their defaults.

    Raises:
        InvalidInputError: The file exists, or cannot be written.
        InvalidFileError: The models are not a fleet: an invalid key, or one model twice.
    """
    if path.exists():
        raise _refused("write", path, "the file exists", "Name another file, or move this one")
    document = {"models": {key: _properties(one, {}) for key, one in models.items()}}
    if path.suffix == ".json":
        text = json.dumps(document, indent=2) + "\n"
    else:
        written = StringIO()
        _yaml().dump(document, written)
        text = written.getvalue()
    _replace(path, text, dict(models))


def add_models(path: Path, models: Mapping[str, ModelInputs]) -> None:
    """Add models at the end of a fleet file; comments, order, quotes and anchors remain.

    Raises:
        InvalidFileError: The file is invalid, or would be with the additions.
        InvalidInputError: A key is taken, the file cannot be written, or comments would be lost.
    """
    fleet = read_fleet(path)
    for key in models:
        if key in fleet.models:
            observed = f"line {fleet.lines[key].line} already has a model {quoted(key)}"
            raise _refused("add to", path, observed, "Choose another key")
    # As bytes: Python would change the line endings.
    text = path.read_bytes().decode()
    mark = _BOM if text.startswith(_BOM) else ""
    ends = "\r\n" if "\r\n" in text else "\n"
    new = _with_added(text.removeprefix(mark).replace("\r\n", "\n"), models, path)
    _replace(path, mark + new.replace("\n", ends), {**fleet.models, **models})


def _with_added(text: str, models: Mapping[str, ModelInputs], path: Path) -> str:
    layer = layer_of(text, named(path), Problems(path)) or Layer()
    defaults = {name: setting.value for name, setting in layer.defaults.items()}
    added = {key: _properties(inputs, defaults) for key, inputs in models.items()}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return _with_added_yaml(text, added, layer, path)
    document["models"] = {**(document["models"] or {}), **added}
    indent = _JSON_INDENT.search(text)
    new = json.dumps(document, indent=indent[1] if indent else None, ensure_ascii=False)
    return new + text[len(text.rstrip()) :]


def _with_added_yaml(
    text: str, added: Mapping[str, dict[str, Any]], layer: Layer, path: Path
) -> str:
    yaml = _yaml()
    yaml.explicit_start = bool(re.search("^---", text, re.MULTILINE))
    indents = [declared.place.column - 1 for declared in layer.models.values()]
    if indents and indents[0]:
        yaml.map_indent = indents[0]
    written = StringIO()
    try:
        document = yaml.load(text)
        _keep_anchors(document)
        if not layer.models:
            document["models"] = CommentedMap()
        document["models"].update(added)
        yaml.dump(document, written)
    except YAMLError:
        raise _unsafe(path) from None
    new = written.getvalue()
    if Counter(_COMMENT.findall(text)) - Counter(_COMMENT.findall(new)):
        raise _unsafe(path)
    return new


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _UNFOLDED
    return yaml


def _properties(inputs: ModelInputs, defaults: Mapping[str, object]) -> dict[str, Any]:
    """Return what to write so that a model reads as this under the defaults of a file."""
    unset = ModelInputs.of({**defaults, MODEL_ID: inputs.model_id})
    return {
        INPUTS[name].in_state: int(value) if isinstance(value, float) and value % 1 == 0 else value
        for name, value in vars(inputs).items()
        if name == "model_id" or value != getattr(unset, name)
    }


def _keep_anchors(node: object) -> None:
    """Make ruamel write anchors that nothing refers to: the user may want them later."""
    if isinstance(node, (CommentedMap, CommentedSeq)):
        if (anchor := node.yaml_anchor()) is not None:
            anchor.always_dump = True
        for child in node.values() if isinstance(node, CommentedMap) else node:
            _keep_anchors(child)


def _replace(path: Path, text: str, expected: dict[str, ModelInputs]) -> None:
    """Write a file, but only if it reads back as expected."""
    problems = Problems(path)
    try:
        layer = layer_of(text.removeprefix(_BOM), named(path), problems)
        if layer is None:
            raise problems.error()
        models = fleet_of(path, layer, Layer(), problems).models
    except InvalidFileError as error:
        raise error.restated(verb="write", action="Change the models to write") from None
    if models != expected:
        raise _unsafe(path)
    try:
        replace_file(path, text.encode(), mode=0o666)
    except OSError as error:
        observed = f"the system reports: {error.strerror}"
        raise _refused("write", path, observed, "Name a file that can be written") from None


def _unsafe(path: Path) -> InvalidInputError:
    return _refused(
        "add to",
        path,
        "an addition would lose a part of its text",
        "Write one property per line, without braces, or add the models by hand",
    )


def _refused(verb: str, path: Path, observed: str, action: str) -> InvalidInputError:
    return InvalidInputError(verb=verb, subject=named(path), observed=observed, action=action)
