"""YAML as nodes that know their places.

Built from ruamel's events, not from its objects: those lose the second of two equal keys and the
origin of what `<<` merges in, and aliases can make them larger than any memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from bytez_provider.fleetfile._problems import Place, Problems, quoted, visible

_DEEPEST = 32
_MOST_VALUES = 100_000
"""In one file, with everything that `<<` merges in: some 20,000 models."""
_LONGEST_NUMBER = 40


def _whole(text: str) -> int | float:
    # Python needs time in the square of the length to read an integer.
    if len(text) > _LONGEST_NUMBER:
        return math.inf
    return int(text, 0 if text.startswith(("0o", "0x")) else 10)


_CORE_SCHEMA: list[tuple[re.Pattern[str], Callable[[str], Any]]] = [
    (re.compile("|~|null|Null|NULL"), lambda _: None),
    (re.compile("true|True|TRUE"), lambda _: True),
    (re.compile("false|False|FALSE"), lambda _: False),
    (re.compile("[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), _whole),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda _: math.nan),
]
"""Plain scalars of YAML 1.2: what they look like, and what they mean. All others are text."""


class Broken(Exception):  # noqa: N818  (reported as a problem, never raised to a user)
    """A file cannot be read at all, or not beyond a place."""

    def __init__(self, at: Place | Path, reason: str) -> None:
        super().__init__(reason)
        self.at = at
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Node:
    """A value in a YAML document."""

    place: Place
    value: Any
    """A dict of `Entry` (merges included), a list of `Node`, or the meaning of a scalar.
    Aliases share the value of their anchor."""
    text: str = ""
    """A scalar as it is written."""
    is_plain: bool = False
    """Whether it is a scalar without quotes."""

    @property
    def is_scalar(self) -> bool:
        """Whether it is neither a mapping nor a list."""
        return not isinstance(self.value, (dict, list))

    @property
    def shown(self) -> str:
        """How messages show it: text in quotes, other scalars as they are written."""
        if not self.is_scalar:
            return "a mapping" if isinstance(self.value, dict) else "a list"
        return quoted(self.text) if isinstance(self.value, str) else visible(self.text) or "null"


class Entry(NamedTuple):
    """A value in a mapping, and where its key starts."""

    place: Place
    node: Node


def read_yaml(text: str, file: str, problems: Problems) -> Node | None:
    """Return the root of a YAML document, or None if the document is empty.

    Duplicate keys, tags and unusable merges go to `problems`, and reading goes on.

    Raises:
        Broken: It is not one YAML document, or it is deeper or larger than any fleet.
    """
    return _Reader(text, file, problems).document()


class _Reader:
    def __init__(self, text: str, file: str, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._events = self._parsed(text)
        self._anchors: dict[str, Node] = {}
        self._open: list[Any] = []
        """The lists and mappings around the current event."""
        self._values = 0

    def document(self) -> Node | None:
        starts = 0
        root = None
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                starts += 1
                if starts > 1:
                    place = self._place(event.start_mark)
                    raise Broken(place, "a fleet file is one YAML document, and a second starts")
                root = self._node()
        return root

    def _parsed(self, text: str) -> Iterator[Any]:
        last = Place(self._file, 1, 1)
        try:
            for event in YAML(typ="safe", pure=True).parse(text):
                yield event
                last = self._place(event.end_mark)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise Broken(self._place(mark) if mark else last, _explained(error)) from None
        except Exception:  # noqa: BLE001  (ruamel raises ValueError and others for some files)
            raise Broken(last, "the text after this is not YAML") from None

    def _place(self, mark: Any) -> Place:
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _node(self) -> Node | None:
        """Return the next node; None at the end of the list or mapping."""
        event = next(self._events)
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            return None
        place = self._place(event.start_mark)
        self._count(1, place)
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise Broken(place, f"there is no anchor {quoted('&' + event.anchor)} before this")
            return replace(self._anchors[event.anchor], place=place)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._problems.add(place, f"tags are not supported: remove {quoted(tag)}")
        if isinstance(event, ScalarEvent):
            is_plain = event.implicit[0]
            value = _meaning(event.value) if is_plain else event.value
            node = Node(place, value, event.value, is_plain)
        else:
            node = Node(place, {} if isinstance(event, MappingStartEvent) else [])
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        if not isinstance(event, ScalarEvent):
            self._fill(node)
        return node

    def _fill(self, node: Node) -> None:
        self._open.append(node.value)
        if len(self._open) > _DEEPEST:
            raise Broken(node.place, f"more than {_DEEPEST} nested lists and mappings")
        if isinstance(node.value, dict):
            self._fill_mapping(node.value)
        else:
            while (item := self._node()) is not None:
                node.value.append(item)
        self._open.pop()

    def _fill_mapping(self, entries: dict[str, Entry]) -> None:
        lines: dict[str, int] = {}
        while (key := self._node()) is not None:
            value = self._node()
            assert value is not None  # noqa: S101  (the parser gives each key a value)
            if not key.is_scalar:
                self._problems.add(key.place, f"a key must be a name, not {key.shown}")
                continue
            if key.text in lines:
                self._problems.add(
                    key.place,
                    f"duplicate key {quoted(key.text)}, first on line {lines[key.text]}",
                )
                continue
            lines[key.text] = key.place.line
            if value.is_plain and not value.text:
                # ruamel says that an empty value starts where the next thing does.
                value = replace(value, place=key.place)
            if key.is_plain and key.text == "<<":
                self._merge(entries, value)
            else:
                entries[key.text] = Entry(key.place, value)

    def _merge(self, entries: dict[str, Entry], value: Node) -> None:
        """Add the entries of a mapping, or of several, that are not there yet."""
        for source in value.value if isinstance(value.value, list) else [value]:
            if not isinstance(source.value, dict):
                self._problems.add(
                    source.place, f"'<<' takes a mapping or a list of mappings, not {source.shown}"
                )
            elif any(source.value is one for one in self._open):
                self._problems.add(source.place, "'<<' refers to the mapping that contains it")
            else:
                self._count(len(source.value), source.place)
                for name, entry in source.value.items():
                    entries.setdefault(name, entry)

    def _count(self, more: int, place: Place) -> None:
        self._values += more
        if self._values > _MOST_VALUES:
            raise Broken(place, f"more than {_MOST_VALUES} values")


def _meaning(text: str) -> str | int | float | bool | None:
    for pattern, read in _CORE_SCHEMA:
        if pattern.fullmatch(text):
            value: int | float | bool | None = read(text)
            return value
    return text


def _explained(error: MarkedYAMLError) -> str:
    problem = visible(" ".join(str(error.problem or "").split()), limit=120)
    if r"'\t'" in problem:
        return "YAML is indented with spaces, not with a tab"
    context = visible(" ".join(str(error.context or "").split()), limit=80)
    if context and error.context_mark:
        context += f" from line {error.context_mark.line + 1}"
    return "this is not YAML: " + ", ".join(filter(None, (problem, context)))
