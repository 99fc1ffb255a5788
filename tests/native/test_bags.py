"""Property bags: secrets and unknown values, in and out of structs."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct, Value
from pulumi.runtime import rpc

from bytez_provider.base.marks import UNKNOWN
from bytez_provider.native.bags import Bag, entries_of, struct_of


def secret(value: Any) -> dict[str, Any]:
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}


def struct(**values: Any) -> Struct:
    return ParseDict(values, Struct())


def test_the_marks_are_those_of_pulumi() -> None:
    assert rpc.UNKNOWN == UNKNOWN
    assert MessageToDict(struct_of({"key": "k"}, ["key"])) == {"key": secret("k")}


def test_a_secret_is_read_plain_and_written_as_a_secret() -> None:
    bag = Bag.of(struct(a=secret("x"), b={"c": secret(1)}, d=[secret(2)], e=None))
    assert bag.values == {"a": "x", "b": {"c": 1}, "d": [2], "e": None}
    assert bag.secrets == {"a", "b", "d"}
    written = MessageToDict(bag.struct({"a": "y", "f": 1}))
    assert written == {"a": secret("y"), "f": 1}


def test_what_is_unknown_at_any_depth_is_unknown() -> None:
    bag = Bag.of(struct(a=UNKNOWN, b={"c": [UNKNOWN]}, d=secret(UNKNOWN), e=1))
    assert (bag.known, sorted(bag.unknown)) == ({"e": 1}, ["a", "b", "d"])


def test_an_entry_of_a_secret_map_is_secret_throughout() -> None:
    models = {"a": {"x": 1, "y": secret(2)}, "b": secret({"x": 3})}
    open_ = entries_of(ParseDict(models, Value()))
    assert {key: (bag.values, sorted(bag.secrets)) for key, bag in open_.items()} == {
        "a": ({"x": 1, "y": 2}, ["y"]),
        "b": ({"x": 3}, ["x"]),
    }
    hidden = entries_of(ParseDict(secret(models), Value()))
    assert hidden["a"].secrets == {"x", "y"}
