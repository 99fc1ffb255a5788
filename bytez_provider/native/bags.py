"""Property bags as the engine sends them: structs with secrets and unknown values in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from bytez_provider.base.marks import SECRET_KIND, SIGNATURE, UNKNOWN


@dataclass(frozen=True)
class Bag:
    """The properties of a resource, without the wrapping of secrets.

    Attributes:
        values: The properties by name in state, `UNKNOWN` where a preview does not know one.
        secrets: The names of those that are secret, or have something secret in them.
    """

    values: Mapping[str, Any]
    secrets: frozenset[str] = frozenset()

    @classmethod
    def of(cls, struct: Struct) -> Bag:
        """Read a struct; numbers are floats, as on the wire."""
        read = {name: _read(value) for name, value in struct.fields.items()}
        secrets = frozenset(name for name, (_, is_secret) in read.items() if is_secret)
        return cls({name: value for name, (value, _) in read.items()}, secrets)

    @cached_property
    def known(self) -> dict[str, Any]:
        """The properties whose whole value is known."""
        return {name: one for name, one in self.values.items() if not holds_unknown(one)}

    @property
    def unknown(self) -> frozenset[str]:
        """The names of the others."""
        return frozenset(self.values) - self.known.keys()

    def struct(self, values: Mapping[str, Any]) -> Struct:
        """Write properties; what is secret in this bag is secret in them too."""
        return struct_of(values, self.secrets)


def struct_of(values: Mapping[str, Any], secrets: Iterable[str] = ()) -> Struct:
    """Write properties as a struct, with the names of those that are secret."""
    hidden = {
        name: {SIGNATURE: SECRET_KIND, "value": values[name]} for name in secrets if name in values
    }
    struct = Struct()
    struct.update({**values, **hidden})
    return struct


def entries_of(value: Value) -> dict[str, Bag]:
    """Read a map of property bags; all of a bag is secret if the bag or the map is."""
    inner, is_secret = _unwrapped(value)
    found = {}
    for name, one in inner.struct_value.fields.items():
        entry, is_own = _unwrapped(one)
        bag = Bag.of(entry.struct_value)
        found[name] = Bag(bag.values, frozenset(bag.values)) if is_secret or is_own else bag
    return found


def holds_unknown(value: object) -> bool:
    """Return whether a value is unknown, or something within it is."""
    if isinstance(value, Mapping):
        return any(map(holds_unknown, value.values()))
    if isinstance(value, list):
        return any(map(holds_unknown, value))
    return value == UNKNOWN


def _unwrapped(value: Value) -> tuple[Value, bool]:
    fields = value.struct_value.fields if value.HasField("struct_value") else {}
    if SIGNATURE in fields and fields[SIGNATURE].string_value == SECRET_KIND:
        return fields["value"], True
    return value, False


def _read(value: Value) -> tuple[Any, bool]:
    """Return a value as Python's, and whether there is a secret in it."""
    value, is_secret = _unwrapped(value)
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        read = {name: _read(one) for name, one in value.struct_value.fields.items()}
        inner = {name: one for name, (one, _) in read.items()}
        return inner, is_secret or any(hidden for _, hidden in read.values())
    if kind == "list_value":
        items = [_read(one) for one in value.list_value.values]
        return [one for one, _ in items], is_secret or any(hidden for _, hidden in items)
    return None if kind in (None, "null_value") else getattr(value, kind), is_secret
