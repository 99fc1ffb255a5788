"""Files that we write read back as they were meant, and keep what people wrote."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bytez_provider.base.errors import BytezError, ErrorCode, InvalidFileError, InvalidInputError
from bytez_provider.core.declared import ModelInputs
from bytez_provider.fleetfile import add_models, read_fleet, write_fleet
from tests.fleetfile.conftest import QUICK, Write

FULL = ModelInputs(
    model_id="a/full",
    concurrency=2,
    expiration_period_seconds=600,
    adopt=True,
    on_expiry="accept",
    expected_hours_per_day=8,
)
PLAIN = ModelInputs(model_id="a/plain")
NEW = {"full": FULL, "plain": PLAIN}

PROPERTIES = st.fixed_dictionaries(
    {"modelId": st.from_regex(r"[a-z0-9]{1,3}/[A-Z0-9][a-z0-9._-]{0,3}", fullmatch=True)},
    optional={
        "concurrency": st.integers(1, 50),
        "expirationPeriodSeconds": st.none() | st.integers(60, 604800),
        "adopt": st.booleans(),
        "onExpiry": st.sampled_from(["reload", "accept"]),
        "expectedHoursPerDay": st.none() | st.floats(0, 24),
    },
)
MODELS = st.lists(PROPERTIES.map(ModelInputs.of), unique_by=lambda one: one.model_id, max_size=4)
KEYS = st.sampled_from(["a", "null", "true", "1", "0x1F", "1e3", "-", "---", "yes", "A-b_c"])


def test_a_new_file_has_what_is_not_a_default(write: Write) -> None:
    path = Path("new.yaml")
    write("", "other")
    write_fleet(path, NEW)
    assert path.read_text() == (
        "models:\n"
        "  full:\n"
        "    modelId: a/full\n"
        "    concurrency: 2\n"
        "    expirationPeriodSeconds: 600\n"
        "    adopt: true\n"
        "    onExpiry: accept\n"
        "    expectedHoursPerDay: 8\n"
        "  plain:\n"
        "    modelId: a/plain\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(Path("other").stat().st_mode)


@QUICK
@given(models=MODELS, data=st.data())
def test_what_is_written_is_read_back(
    tmp_path: Path, models: list[ModelInputs], data: st.DataObject
) -> None:
    keys = data.draw(st.lists(KEYS, min_size=len(models), max_size=len(models), unique=True))
    path = tmp_path / "fleet.yaml"
    path.unlink(missing_ok=True)
    declared = dict(zip(keys, models, strict=True))
    write_fleet(path, declared)
    assert read_fleet(path).models == declared
    assert list(read_fleet(path).models) == keys


def test_an_existing_file_is_not_overwritten(write: Write) -> None:
    path = write("mine")
    with pytest.raises(InvalidInputError) as caught:
        write_fleet(path, NEW)
    assert str(caught.value) == snapshot(
        "could not write 'fleet.yaml': the file exists. Nothing was changed. Name another "
        "file, or move this one."
    )
    assert path.read_text() == "mine"


@pytest.mark.parametrize("models", [{"ready": PLAIN}, {"a b": PLAIN}, {"a": PLAIN, "b": PLAIN}])
def test_an_invalid_fleet_is_not_written(tmp_path: Path, models: dict[str, ModelInputs]) -> None:
    with pytest.raises(InvalidFileError, match="could not write"):
        write_fleet(tmp_path / "fleet.yaml", models)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No such file or directory"):
        write_fleet(tmp_path / "no" / "fleet.yaml", NEW)


# ---------------------------------------------------------------------------------- adding

OLD = """\
# yaml-language-server: $schema=fleet.schema.json
# Ours.

defaults:   # for all
    concurrency: 2   # two
    expirationPeriodSeconds: 600

models:
    # the first
    math: {modelId: 'a/math', concurrency: 0x3}  # three
    coder:
        modelId: "a/coder"     # d

        expectedHoursPerDay: 8.0
"""


def test_an_addition_keeps_the_rest_and_fits_the_defaults(write: Write) -> None:
    path = write(OLD)
    before = read_fleet(path).models
    add_models(path, NEW)
    assert path.read_text() == OLD + (
        "    full:\n"
        "        modelId: a/full\n"
        "        adopt: true\n"
        "        onExpiry: accept\n"
        "        expectedHoursPerDay: 8\n"
        "    plain:\n"
        "        modelId: a/plain\n"
        "        concurrency: 1\n"
        "        expirationPeriodSeconds:\n"
    )
    assert read_fleet(path).models == {**before, **NEW}


@pytest.mark.parametrize(
    "old",
    [
        "models: {}  # none\n",
        "models:\n# none yet\n",
        "---\n# top\nmodels:\n  a: {modelId: a/b}\n# end\n",
        "models: {a: {modelId: a/b}}  # one\n",
        "\ufeffmodels:\r\n  a: &x  # why\r\n    modelId: a/b\r\n  b: {<<: *x, modelId: a/c}\r\n",
        "# one\nmodels:\n\n  a:\n    # id\n    modelId: >-\n      a/b\n\n\n  # last\n",
        "models:\n  a: {modelId: a/b}\ndefaults: {adopt: true} # after\n",
    ],
)
def test_comments_remain_in_other_forms(write: Write, old: str) -> None:
    path = write(old)
    before = read_fleet(path).models
    add_models(path, NEW)
    new = path.read_bytes().decode()
    assert read_fleet(path).models == {**before, **NEW}
    assert [line.partition("#")[2] for line in old.splitlines() if "#" in line] == [
        line.partition("#")[2] for line in new.splitlines() if "#" in line
    ]
    assert new.count("\r\n") == (new.count("\n") if "\r\n" in old else 0)
    assert new.startswith("\ufeff") == old.startswith("\ufeff")
    assert new.startswith("---") == old.startswith("---")


def test_the_users_own_keys_and_anchors_remain(write: Write) -> None:
    old = (
        "$schema: fleet.schema.json\n"
        "x-small: &small {concurrency: 2}  # used\n"
        "x-later: &later\n"
        "  note: &text nobody uses these yet\n"
        "models:\n"
        "  a:\n"
        "    <<: *small\n"
        "    modelId: a/b\n"
    )
    path = write(old)
    add_models(path, {"plain": PLAIN})
    assert path.read_text() == old + "  plain:\n    modelId: a/plain\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            '{\n\t"$schema": "é",\n\t"models": {}\n}\n',
            (
                '{\n\t"$schema": "é",\n\t"models": {\n\t\t"plain": {\n\t\t\t"modelId": "a/plain"\n'
                "\t\t}\n\t}\n}\n"
            ),
        ),
        (
            '{"x-a": [1, null], "models": {"a": {"modelId": "a/b"}}, "defaults": {"adopt": true}}',
            (
                '{"x-a": [1, null], "models": {"a": {"modelId": "a/b"}, '
                '"plain": {"modelId": "a/plain", "adopt": false}}, "defaults": {"adopt": true}}'
            ),
        ),
        ('{"models": null}\r\n', '{"models": {"plain": {"modelId": "a/plain"}}}\r\n'),
    ],
)
def test_json_remains_json(write: Write, old: str, new: str) -> None:
    path = write(old, "fleet.json")
    add_models(path, {"plain": PLAIN})
    assert path.read_bytes().decode() == new


def test_a_new_file_of_json_is_json(write: Write) -> None:
    write("", "other")
    write_fleet(Path("fleet.json"), NEW)
    assert json.loads(Path("fleet.json").read_text())["models"]["plain"] == {"modelId": "a/plain"}
    assert read_fleet(Path("fleet.json")).models == NEW


@pytest.mark.parametrize(
    ("old", "models", "code"),
    [
        # ruamel would drop the comment.
        ("models: {a: {modelId: a/b}, # a\n  b: {modelId: a/c}}\n", NEW, ErrorCode.INVALID_INPUT),
        (OLD, {"math": PLAIN}, ErrorCode.INVALID_INPUT),
        (OLD, {"x": ModelInputs(model_id="a/math")}, ErrorCode.INVALID_FILE),
        (OLD, {"ready": PLAIN}, ErrorCode.INVALID_FILE),
        ("{}", NEW, ErrorCode.INVALID_FILE),
    ],
)
def test_an_impossible_addition_leaves_the_file_alone(
    write: Write, old: str, models: dict[str, ModelInputs], code: ErrorCode
) -> None:
    path = write(old)
    with pytest.raises(BytezError) as caught:
        add_models(path, models)
    assert caught.value.code is code
    assert path.read_text() == old
    assert [one.name for one in Path().iterdir()] == ["fleet.yaml"]


def test_a_taken_key_is_named_with_its_line(write: Write) -> None:
    with pytest.raises(InvalidInputError) as caught:
        add_models(write(OLD), {"math": PLAIN})
    assert str(caught.value) == snapshot(
        "could not add to 'fleet.yaml': line 10 already has a model 'math'. Nothing was "
        "changed. Choose another key."
    )


def test_a_file_keeps_its_mode_and_its_link(write: Write) -> None:
    write(OLD, "real.yaml").chmod(0o640)
    Path("fleet.yaml").symlink_to("real.yaml")
    add_models(Path("fleet.yaml"), NEW)
    assert Path("fleet.yaml").is_symlink()
    assert stat.S_IMODE(Path("real.yaml").stat().st_mode) == 0o640
    assert "full" in read_fleet(Path("real.yaml")).models
