"""YAML text as a tree in which every key and every value knows where it stands.

Made from ruamel's events rather than its objects: those know the place of a key, but not of the
second one of two that are the same, nor of what `<<` brought in; and what they make of aliases can
be larger than any memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from bytez_provider.fleetfile._problems import Place, Problems, quoted, visible

_DEEPEST = 32
_MOST_VALUES = 100_000
"""Of a file, those that `<<` brings in counted each time: some 20,000 models."""
_LONGEST_NUMBER = 40

_NULL = re.compile(r"(?:~|null|Null|NULL)?\Z")
_BOOLEAN = re.compile(r"(?:(true|True|TRUE)|false|False|FALSE)\Z")
_WHOLE = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FRACTION = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")


class Broken(Exception):  # noqa: N818  (told as a problem, never shown as it is)
    """The text cannot be read on from here."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Scalar:
    """Text, or a number, or true, false or null."""

    place: Place
    text: str
    is_plain: bool
    """Whether it stands without quotes, and so may be something else than text."""

    @property
    def value(self) -> str | int | float | bool | None:
        """What it means by the core schema of YAML 1.2."""
        if not self.is_plain:
            return self.text
        if _NULL.match(self.text):
            return None
        if boolean := _BOOLEAN.match(self.text):
            return boolean[1] is not None
        if _WHOLE.match(self.text):
            return _whole(self.text)
        if _FRACTION.match(self.text):
            return float(self.text)
        return math.nan if _INFINITE.match(self.text) else self.text

    @property
    def kind(self) -> str:
        """What kind of value it is, in words."""
        if self.value is None:
            return "nothing"
        if isinstance(self.value, str):
            return "text"
        return "true or false" if isinstance(self.value, bool) else "a number"

    @property
    def shown(self) -> str:
        """How a message names it: text in quotes, all else as it is written."""
        if isinstance(self.value, str):
            return quoted(self.text)
        return visible(self.text) or "null"


@dataclass(frozen=True, eq=False)
class Listing:
    """A list."""

    place: Place
    items: list[Node] = field(default_factory=list)
    shown = "a list"


@dataclass(frozen=True, eq=False)
class Mapping:
    """A mapping; what `<<` names is in it."""

    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)
    shown = "a mapping"


Node = Scalar | Listing | Mapping


class Entry(NamedTuple):
    """A value of a mapping, and where its key stands."""

    place: Place
    node: Node


def tree_of(text: str, file: str, problems: Problems) -> Node | None:
    """Return the tree of a YAML document; None where there is nothing in it.

    What can be passed over (a key that stands twice, a tag) goes to `problems`.

    Raises:
        Broken: it is not YAML, not one document, or deeper or larger than any fleet.
    """
    builder = _Builder(file, problems)
    for event in _events(text, file):
        builder.take(event)
    return builder.root


def _events(text: str, file: str) -> Iterator[Any]:
    last = Place(file, 1, 1)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            yield event
            last = _place(file, event.end_mark)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Broken(_place(file, mark) if mark else last, _in_our_words(error)) from None
    except Exception:  # noqa: BLE001  (some broken files end in a ValueError or the like of ruamel)
        raise Broken(last, "what follows is not YAML") from None


def _place(file: str, mark: Any) -> Place:
    return Place(file, mark.line + 1, mark.column + 1)


def _in_our_words(error: MarkedYAMLError) -> str:
    problem = visible(" ".join(str(error.problem or "").split()), limit=120)
    if r"'\t'" in problem:
        return "a tab stands here, and YAML is indented with spaces"
    while_doing = visible(" ".join(str(error.context or "").split()), limit=80)
    if while_doing and error.context_mark:
        while_doing += f" from line {error.context_mark.line + 1}"
    return "this is not YAML: " + ", ".join(said for said in (problem, while_doing) if said)


@dataclass(eq=False)
class _Frame:
    """A list or mapping that is not at its end yet."""

    node: Listing | Mapping
    key: Node | None = None
    own: dict[str, Place] = field(default_factory=dict)
    """The keys that stand in it, `<<` too, but not what that brings in."""


class _Builder:
    def __init__(self, file: str, problems: Problems) -> None:
        self.root: Node | None = None
        self._file = file
        self._problems = problems
        self._frames: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0
        self._values = 0

    def take(self, event: Any) -> None:
        """Go on by one event."""
        place = _place(self._file, event.start_mark)
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise Broken(place, "a second document begins here, and a fleet file holds one")
        elif isinstance(event, AliasEvent):
            self._add(self._named(event.anchor, place))
        elif isinstance(event, ScalarEvent):
            self._refuse_tag(event, place)
            scalar = Scalar(place, event.value, is_plain=event.implicit[0])
            self._anchor(event, scalar)
            self._add(scalar)
        elif isinstance(event, CollectionStartEvent):
            self._refuse_tag(event, place)
            opened = Mapping(place) if isinstance(event, MappingStartEvent) else Listing(place)
            self._anchor(event, opened)
            self._frames.append(_Frame(opened))
            if len(self._frames) > _DEEPEST:
                raise Broken(place, f"more than {_DEEPEST} lists and mappings within each other")
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self._add(self._frames.pop().node)

    def _refuse_tag(self, event: Any, place: Place) -> None:
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._problems.add(place, f"the tag {quoted(tag)} is not read; leave it out")

    def _anchor(self, event: Any, node: Node) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _named(self, anchor: str, place: Place) -> Node:
        if anchor not in self._anchors:
            raise Broken(place, f"no anchor {quoted('&' + anchor)} stands before this")
        return replace(self._anchors[anchor], place=place)

    def _add(self, node: Node) -> None:
        self._count(1, node.place)
        if not self._frames:
            self.root = node
            return
        frame = self._frames[-1]
        if isinstance(frame.node, Listing):
            frame.node.items.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            key, frame.key = frame.key, None
            self._put(frame, frame.node, key, node)

    def _put(self, frame: _Frame, mapping: Mapping, key: Node, value: Node) -> None:
        if not isinstance(key, Scalar):
            self._problems.add(key.place, f"a key must be a name, not {key.shown}")
        elif key.text in frame.own:
            first = frame.own[key.text].line
            self._problems.add(
                key.place, f"{quoted(key.text)} stands here twice, first in line {first}"
            )
        else:
            frame.own[key.text] = key.place
            if isinstance(value, Scalar) and value.is_plain and not value.text:
                # Nothing stands there, and to ruamel that is where the next thing begins.
                value = replace(value, place=key.place)
            if key.is_plain and key.text == "<<":
                self._merge(mapping, value)
            else:
                mapping.entries[key.text] = Entry(key.place, value)

    def _merge(self, mapping: Mapping, value: Node) -> None:
        """Bring in the entries of a mapping or of several; what is there already stays."""
        for source in value.items if isinstance(value, Listing) else [value]:
            if not isinstance(source, Mapping):
                self._problems.add(
                    source.place, f"'<<' takes a mapping or a list of them, not {source.shown}"
                )
            elif any(source.entries is frame_entries for frame_entries in self._open()):
                self._problems.add(source.place, "'<<' names the mapping that it stands in")
            else:
                self._count(len(source.entries), source.place)
                for name, entry in source.entries.items():
                    mapping.entries.setdefault(name, entry)

    def _open(self) -> Iterator[dict[str, Entry]]:
        return (frame.node.entries for frame in self._frames if isinstance(frame.node, Mapping))

    def _count(self, more: int, place: Place) -> None:
        self._values += more
        if self._values > _MOST_VALUES:
            raise Broken(place, f"more than {_MOST_VALUES} values")


def _whole(text: str) -> int | float:
    if text.startswith(("0o", "0x")):
        return int(text, 0) if len(text) <= _LONGEST_NUMBER else math.inf
    # Python takes a time that grows with the square of their number to read digits.
    return int(text) if len(text) <= _LONGEST_NUMBER else float(text)
