"""Files that we write: read back as they were meant, and what people wrote stays."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bytez_provider.base.errors import InvalidFileError, InvalidInputError
from bytez_provider.core.declared import ModelInputs
from bytez_provider.fleetfile import add_models, read_fleet, write_fleet
from tests.fleetfile.conftest import Write

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
MODELS = st.lists(
    PROPERTIES.map(ModelInputs.model_validate), unique_by=lambda one: one.model_id, max_size=4
)
KEYS = st.sampled_from(["a", "null", "true", "1", "0x1F", "1e3", "-", "---", "yes", "A-b_c"])
QUICK = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_a_new_file_says_what_is_not_a_default(write: Write) -> None:
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


def test_a_file_that_is_there_is_not_written_over(write: Write) -> None:
    path = write("mine")
    with pytest.raises(InvalidInputError) as caught:
        write_fleet(path, NEW)
    assert str(caught.value) == (
        "could not write 'fleet.yaml': there is a file of this name. Nothing was changed. Name "
        "another one, or move it away."
    )
    assert path.read_text() == "mine"


@pytest.mark.parametrize("key", ["ready", "a b", "~", ""])
def test_a_key_that_cannot_be_is_not_written(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidFileError, match="could not write"):
        write_fleet(tmp_path / "fleet.yaml", {key: PLAIN})
    assert list(tmp_path.iterdir()) == []


def test_two_of_one_id_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match="one instance a model"):
        write_fleet(tmp_path / "fleet.yaml", {"a": PLAIN, "b": PLAIN})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
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


def test_what_is_there_stays_as_it_is(write: Write) -> None:
    path = write(OLD)
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


def test_what_is_added_reads_back_under_the_defaults_of_the_file(write: Write) -> None:
    path = write(OLD)
    before = read_fleet(path).models
    add_models(path, NEW)
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
def test_comments_survive_in_other_forms(write: Write, old: str) -> None:
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


def test_the_users_own_keys_and_anchors_stay(write: Write) -> None:
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
def test_json_stays_json(write: Write, old: str, new: str) -> None:
    path = write(old, "fleet.json")
    add_models(path, {"plain": PLAIN})
    assert path.read_bytes().decode() == new


def test_a_new_file_of_json_is_json(write: Write) -> None:
    write("", "other")
    write_fleet(Path("fleet.json"), NEW)
    assert json.loads(Path("fleet.json").read_text())["models"]["plain"] == {"modelId": "a/plain"}
    assert read_fleet(Path("fleet.json")).models == NEW


def test_a_file_whose_comments_would_be_lost_is_left_alone(write: Write) -> None:
    text = "models: {a: {modelId: a/b}, # first\n  b: {modelId: a/c}}\n"
    path = write(text)
    with pytest.raises(InvalidInputError, match="in which something would be lost"):
        add_models(path, NEW)
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ({"math": PLAIN}, "could not add to 'fleet.yaml': line 10 has a model 'math' already"),
        ({"x": ModelInputs(model_id="a/math")}, "'x' has the model of 'math' (fleet.yaml:10)"),
        ({"ready": PLAIN}, "no model may be named 'ready'"),
    ],
)
def test_what_cannot_be_added_leaves_the_file_alone(
    write: Write, models: dict[str, ModelInputs], told: str
) -> None:
    path = write(OLD)
    with pytest.raises(InvalidInputError) as caught:
        add_models(path, models)
    assert told in str(caught.value)
    assert path.read_text() == OLD
    assert [one.name for one in Path().iterdir()] == ["fleet.yaml"]


def test_an_invalid_file_is_not_added_to(write: Write) -> None:
    with pytest.raises(InvalidFileError, match="'models' is missing"):
        add_models(write("{}"), NEW)


def test_a_file_keeps_its_mode_and_its_link(write: Write) -> None:
    write(OLD, "real.yaml").chmod(0o640)
    Path("fleet.yaml").symlink_to("real.yaml")
    add_models(Path("fleet.yaml"), NEW)
    assert Path("fleet.yaml").is_symlink()
    assert stat.S_IMODE(Path("real.yaml").stat().st_mode) == 0o640
    assert "full" in read_fleet(Path("real.yaml")).models
