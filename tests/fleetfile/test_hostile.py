"""Files made to do harm, and files that nobody would think of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytez_provider.base.errors import InvalidFileError, Problem
from bytez_provider.fleetfile import Place, read_fleet
from tests.fleetfile.conftest import QUICK, Write

MEBIBYTE = 1 << 20


def problems_of(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(InvalidFileError) as caught:
        read_fleet(path)
    error = caught.value
    for said in (str(error), *(problem.message for problem in error.problems)):
        assert said.isprintable()
        assert len(said) < 1000
    assert error.problems
    return error.problems


def test_a_file_may_have_a_mebibyte_and_no_more(write: Write) -> None:
    text = "models: {}\n#".ljust(MEBIBYTE, "#")
    assert read_fleet(write(text)).models == {}
    (problem,) = problems_of(write(text + "#"))
    assert problem.message == "'fleet.yaml' is larger than 1 MiB"


def test_reading_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fleet.yaml")
    (problem,) = problems_of(tmp_path / "fleet.yaml")
    assert problem.message.endswith("is not a file")


def test_aliases_of_aliases_are_never_unrolled(write: Write) -> None:
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    (problem,) = problems_of(
        write("models:\n  a:\n    modelId:\n" + "".join(f"      {line}\n" for line in lines))
    )
    assert (problem.line, problem.message.rpartition(", ")[2]) == (4, "not a list")


def test_merges_of_merges_are_bounded(write: Write) -> None:
    lines = ["m0: &m0 {" + ", ".join(f"k{i}: 1" for i in range(1000)) + "}"]
    lines += [f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}]}}" for i in range(1, 40)]
    (problem,) = problems_of(write("\n".join(lines)))
    assert problem.message == "more than 100000 values"


@pytest.mark.parametrize("text", ["[" * 5000, "{" * 5000, "- " * 5000, "? " * 5000, "{a: " * 5000])
def test_depth_is_bounded(write: Write, text: str) -> None:
    (problem,) = problems_of(write(text))
    assert problem.message == "more than 32 nested lists and mappings"


def test_a_chain_of_merges_may_be_long(write: Write) -> None:
    text = "models:\n  m0: &m0 {modelId: a/b0, concurrency: 3}\n" + "".join(
        f"  m{i}: &m{i} {{<<: *m{i - 1}, modelId: a/b{i}}}\n" for i in range(1, 1500)
    )
    assert {one.concurrency for one in read_fleet(write(text)).models.values()} == {3}


@pytest.mark.parametrize("number", ["9" * 100_000, "0x" + "f" * 100_000, "9" * 100_000 + ".5"])
def test_long_numbers_are_refused_quickly(write: Write, number: str) -> None:
    (problem,) = problems_of(write(f"models: {{a: {{modelId: a/b, concurrency: {number}}}}}"))
    assert len(problem.message) < 200


def test_a_mapping_may_contain_itself(write: Write) -> None:
    (problem, *_) = problems_of(write("models: &m {a: *m, b: {modelId: a/b}}"))
    assert (problem.line, problem.column) == (1, 13)


def test_escapes_do_not_reach_the_terminal(write: Write) -> None:
    text = 'models: {"a\\e[31m\\u202e\\n": {"\\a": 1, modelId: "\\e]0;title\\a", adopt: "\\x9b"}}'
    assert len(problems_of(write(text))) == 4
    problems_of(write("- a", "\x1b[31mfleet.yaml"))


# ------------------------------------------------------------------------------- any text

PIECES = st.sampled_from(
    [
        *("models", "defaults", "modelId", "concurrency", "adopt", "onExpiry", "a", "b", "a/b"),
        *(": ", ":", "- ", "? ", "{", "}", "[", "]", ", ", "\n", "\n  ", "\n    ", "\r\n", "\t"),
        *("&x ", "*x", "<<: ", "<<", "!!str ", "! ", "!t ", "!<", "%YAML 1.1\n", "%TAG ! !\n"),
        *("---\n", "...\n", "#", " # c\n", "|\n", ">-\n", "|2+\n", "'", '"', "\\", "\\U", "\\x4"),
        *("~", "1", "0x", "1e5", ".inf", "yes", "true", "@", "`", "\ufeff", "\x85", "\u2028", "ü"),
    ]
)
GOOD = (
    "defaults: &d {concurrency: 1}\n"
    "models:\n"
    "  coder: &c\n"
    "    modelId: a/coder  # the first\n"
    "    adopt: true\n"
    "  math: {<<: *c, modelId: 'a/math', expectedHoursPerDay: 2.5}\n"
)


def read_or_refuse(path: Path) -> None:
    try:
        read_fleet(path)
    except InvalidFileError:
        problems_of(path)


@QUICK
@given(text=st.lists(PIECES, max_size=30).map("".join))
def test_pieces_of_yaml_are_read_or_refused(write: Write, text: str) -> None:
    read_or_refuse(write(text))


@QUICK
@given(data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-16")))
def test_bytes_are_read_or_refused(write: Write, data: bytes) -> None:
    read_or_refuse(write(data))


@QUICK
@given(
    text=st.lists(PIECES, max_size=12).map("".join), at=st.integers(0, 200), gone=st.integers(0, 5)
)
def test_a_changed_file_is_read_or_refused(write: Write, text: str, at: int, gone: int) -> None:
    read_or_refuse(write(GOOD[:at] + text + GOOD[at + gone :]))


# ------------------------------------------------------------------------------- any fleet

KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True).filter(lambda key: key != "ready")
SPACE = st.sampled_from(["", "\n", "# comment\n", "\r\n", "   # comment\n\n"])
FORMS = st.sampled_from(
    [
        "  {key}: {{modelId: a/b{i}}}\n",
        "  {key}: # why\n    adopt: true\n\n    modelId: a/b{i}\n",
        "  '{key}':\r\n    modelId:\n      a/b{i}\r\n",
        '  ? "{key}"\n  : {{adopt: false,\n    "modelId": a/b{i}}}\n',
    ]
)


@QUICK
@given(data=st.data(), keys=st.lists(KEYS, unique=True, max_size=5))
def test_every_key_and_id_is_where_the_reader_says(
    write: Write, data: st.DataObject, keys: list[str]
) -> None:
    text = data.draw(SPACE) + ("models:\n" if keys else "models: {}\n")
    for i, key in enumerate(keys):
        text += data.draw(SPACE) + data.draw(FORMS).format(key=key, i=i)
    fleet = read_fleet(write(text))
    lines = text.split("\n")

    def after(place: Place) -> str:
        return lines[place.line - 1][place.column - 1 :].lstrip("'\"")

    assert list(fleet.models) == keys
    for i, key in enumerate(keys):
        assert after(fleet.lines[key]).startswith(key)
        assert after(fleet.id_lines[key]).startswith(f"a/b{i}")
