"""Each mistake is reported with its line, its column and what may have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bytez_provider.base.errors import ErrorCode, InvalidFileError
from bytez_provider.fleetfile import read_fleet, unknown_models
from bytez_provider.service.catalogue import Catalogue, bundled_catalogue
from bytez_provider.service.schemas import CatalogueEntry
from tests.fleetfile.conftest import Mistakes, Write


def model(properties: str) -> str:
    return f"models:\n  a: {{modelId: a/b, {properties}}}\n"


MISTAKES: list[tuple[str | bytes, str]] = [
    # The form.
    ("", "1:1"),
    ("- a", "1:1"),
    ("models: [a]", "1:9"),
    ("defaults: 1\nmodels: {}", "1:11"),
    ("models:\n  a: openai-community/gpt2", "2:6"),
    ("models: {}\ndefault: {}", "2:1"),
    ("models: {}\nx_common: {}", "2:1"),
    ("models: {}\n$schema: 1", "2:10"),
    # Keys of the user's own are YAML too.
    ("models: {}\nx-a: {b: 1, b: 2}", "2:13"),
    ("models: {}\nx-a: !t 1", "2:6"),
    ("x-a: &a {concurrency: -1}\nmodels: {a: {<<: *a, modelId: a/b}}", "1:23"),
    # Names.
    ("models:\n  a:", "2:3"),
    ("defaults:\n  modelId: a/b\nmodels: {}", "2:3"),
    ("models:\n  ready: {modelId: a/b}", "2:3"),
    ("models: {a.b: {modelId: a/b}}", "1:10"),
    ('models: {"a\\n": {modelId: a/b}}', "1:10"),
    ("? [a]\n: b\nmodels: {}", "1:3"),
    ("models:\n  a: {modelId: a/b}\n\n  a: {modelId: a/d}\n", "4:3"),
    ("models: {<<: {}, <<: {}}", "1:18"),
    # Properties.
    (model("concurency: 2"), "2:21"),
    (model("colour: red"), "2:21"),
    ("models: {a: {\xa0modelId: a/b}}", "1:14"),
    (model("concurrency: -1"), "2:34"),
    (model("concurrency: '2'"), "2:34"),
    (model("concurrency: [2]"), "2:34"),
    (model("concurrency: 1_000"), "2:34"),
    ("models:\n  a:\n    modelId: a/b\n    concurrency:\n", "4:5"),
    ("defaults: {concurrency: &n -1}\nmodels: {}", "1:25"),
    (model("adopt: yes"), "2:28"),
    (model("onExpiry: restart"), "2:31"),
    (model("expirationPeriodSeconds: 59"), "2:46"),
    (model("expectedHoursPerDay: 24.5"), "2:42"),
    ("models: {a: {modelId: 123}}", "1:23"),
    ('models: {a: {modelId: "a/b\\n"}}', "1:23"),
    ("models:\n  a: {modelId: a/b}\n  b: {modelId: a/b}\n", "3:16"),
    # Anchors, merges and tags.
    ("models: *m", "1:9"),
    ("models: {<<: 1}", "1:14"),
    ("models: &m {<<: *m}", "1:17"),
    ("models: !!python/object:os.system {}", "1:9"),
    ("defaults: {expectedHoursPerDay: &n 2.5}\n" + model("concurrency: *n"), "3:34"),
    # Not YAML.
    ("models:\n\ta: 1", "2:1"),
    ("models: {}\n---\nmodels: {}", "2:1"),
    ("a: b: c", "1:5"),
    ("models: {", "1:10"),
    ('"\\UFFFFFFFF"', "1:1"),
    (b"models: {}\n#\xc3\xbc \xff", "2:4"),
    ("models: {}\r\n# \x1b[31m", "2:3"),
]


@pytest.mark.parametrize(("text", "place"), MISTAKES)
def test_a_mistake_has_its_line_and_column(
    mistakes: Mistakes, text: str | bytes, place: str
) -> None:
    (found,) = mistakes(text)
    assert found.partition(": ")[0] == place


def test_what_is_said_of_each_mistake(mistakes: Mistakes) -> None:
    said = dict.fromkeys(mistakes(text)[0].partition(": ")[2] for text, _ in MISTAKES)
    assert list(said) == snapshot(
        [
            "'models' is missing: for an empty fleet, write 'models: {}'",
            "a fleet file must be a mapping with 'models', not a list",
            "'models' must be a mapping of names to models, not a list",
            "'defaults' must be a mapping of properties to values, not 1",
            "a model must be a mapping such as {modelId: owner/name}, not 'openai-community/gpt2'",
            "unknown key 'default'; did you mean 'defaults'?",
            "unknown key 'x_common': a key of your own must begin with 'x-'",
            "'$schema' must be text, not 1",
            "duplicate key 'b', first on line 2",
            "tags are not supported: remove '!t'",
            "concurrency must be a whole number of at least 0, not -1",
            "'a' has no 'modelId'",
            "'modelId' cannot have a default: set it for each model",
            "'ready' cannot name a model: the fleet's readiness has that name",
            "'a.b' cannot name a model: use letters, digits, '-' and '_'",
            "'a<U+000A>' cannot name a model: use letters, digits, '-' and '_'",
            "a key must be a name, not a list",
            "duplicate key 'a', first on line 2",
            "duplicate key '<<', first on line 1",
            "a model has no property 'concurency'; did you mean 'concurrency'?",
            "a model has no property 'colour'",
            "a model has no property '<U+00A0>modelId'; did you mean 'modelId'?",
            "concurrency must be a whole number of at least 0, not '2'",
            "concurrency must be a whole number of at least 0, not a list",
            "concurrency must be a whole number of at least 0, not '1_000'",
            "concurrency must be a whole number of at least 0, not null",
            "adopt must be true or false, not 'yes'",
            "onExpiry must be 'reload' or 'accept', not 'restart'",
            "expirationPeriodSeconds must be a whole number of seconds from 60 to 604800, not 59",
            "expectedHoursPerDay must be a number of hours from 0 to 24, not 24.5",
            (
                "modelId must be a model id of the form 'owner/name', as 'openai-community/gpt2', "
                "not 123"
            ),
            (
                "modelId must be a model id of the form 'owner/name', as 'openai-community/gpt2', "
                "not 'a/b<U+000A>'"
            ),
            "'b' is the same model as 'a' (fleet.yaml:2), and the service loads a model only once",
            "there is no anchor '&m' before this",
            "'<<' takes a mapping or a list of mappings, not 1",
            "'<<' refers to the mapping that contains it",
            "tags are not supported: remove '!!python/object:os.system'",
            "concurrency must be a whole number of at least 0, not 2.5",
            "YAML is indented with spaces, not with a tab",
            "a fleet file is one YAML document, and a second starts",
            "this is not YAML: mapping values are not allowed here",
            (
                "this is not YAML: expected the node content, but found '<stream end>', while "
                "parsing a flow node from line 1"
            ),
            "the text after this is not YAML",
            "byte 0xff is not UTF-8",
            "YAML does not allow the character U+001B",
        ]
    )


def test_a_mistake_merged_in_twice_is_reported_once(mistakes: Mistakes) -> None:
    (found,) = mistakes(
        "models:\n"
        "  a: &a {modelId: a/b, adopt: 1}\n"
        "  b: {<<: *a, modelId: a/c}\n"
        "  c: {<<: *a, modelId: a/d}\n"
    )
    assert found.startswith("2:31: ")


def test_all_mistakes_are_reported_in_the_order_of_the_file(mistakes: Mistakes) -> None:
    found = mistakes(
        "models:\n  b: {modelId: 1}\n  c:\n  a: {modelId: a/b, x: 1}\n  c: {}\nmore: 1\ndefaults: 1"
    )
    assert [one.split(": ")[0] for one in found] == ["2:16", "3:3", "4:21", "5:3", "6:1", "7:11"]


def test_an_invalid_id_is_not_reported_as_a_duplicate_too(mistakes: Mistakes) -> None:
    assert len(mistakes("models: {a: {modelId: x}, b: {modelId: x}}")) == 2


# ------------------------------------------------------------------------------ the sentence


@pytest.mark.parametrize(
    ("count", "others"), [(1, ""), (2, "; 1 more problem"), (500, "; at least 99 more problems")]
)
def test_the_error_names_the_first_mistake_and_counts_the_others(
    write: Write, count: int, others: str
) -> None:
    write("", "fleet.eu.yaml")
    text = "models:\n" + "".join(f"  m{i}: {{modelId: a/b{i}, adpt: 1}}\n" for i in range(count))
    with pytest.raises(InvalidFileError) as caught:
        read_fleet(write(text), "eu")
    assert caught.value.code is ErrorCode.INVALID_FILE
    assert str(caught.value).replace(others, "") == snapshot(
        "could not read 'fleet.yaml': fleet.yaml:2: a model has no property 'adpt' (did you "
        "mean 'adopt'?). Nothing was changed. Correct it, then run `bytez-fleet validate "
        "fleet.yaml --environment eu`."
    )
    assert others in str(caught.value)
    assert len(caught.value.problems) == min(count, 100)


def test_a_missing_file(write: Write) -> None:
    write("", "other.yaml")
    with pytest.raises(InvalidFileError) as caught:
        read_fleet(Path("fleet.yaml"))
    assert str(caught.value) == snapshot(
        "could not read 'fleet.yaml': there is no file 'fleet.yaml'. Nothing was changed. "
        "Check the name, and that the file can be read."
    )
    assert caught.value.problems[0].line is None


def test_what_is_not_a_file(write: Write) -> None:
    for path in (write("models: {}") / "fleet.yaml", Path()):
        with pytest.raises(InvalidFileError) as caught:
            read_fleet(path)
        assert caught.value.problems[0].line is None


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b", "x" * 5000])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        read_fleet(Path(name))
    assert str(caught.value).isprintable()


# -------------------------------------------------------------------------- unknown models


def live(*names: str) -> Catalogue:
    return Catalogue([CatalogueEntry(model_id=name) for name in names], is_live=True)


def test_an_unknown_model_is_a_problem_with_similar_names(write: Write) -> None:
    fleet = read_fleet(write("models:\n  a: {modelId: openai-comunity/gpt2}\n"))
    (problem,) = unknown_models(fleet, live("openai-community/gpt2", "microsoft/phi-1"))
    assert not problem.is_warning
    assert str(problem) == snapshot(
        "fleet.yaml:2: 'openai-comunity/gpt2' is not in the Bytez catalogue; did you mean "
        "'openai-community/gpt2'?"
    )
    assert unknown_models(fleet, live("openai-comunity/gpt2")) == []
    assert unknown_models(fleet, Catalogue([], is_live=False)) == []


def test_an_unknown_model_is_a_warning_if_the_service_was_not_asked(write: Write) -> None:
    fleet = read_fleet(write("models:\n  a: {modelId: nobody/nothing-like-it}\n"))
    (problem,) = unknown_models(fleet, bundled_catalogue())
    assert problem.is_warning
    assert problem.message == snapshot(
        "'nobody/nothing-like-it' is not in the catalogue that came with this package"
    )


def test_names_of_a_catalogue_are_shown_without_controls(write: Write) -> None:
    fleet = read_fleet(write("models:\n  a: {modelId: a/bcdefgh}\n"))
    (problem,) = unknown_models(fleet, live("a/bcde\x1b[31mfgh"))
    assert problem.meant == ("a/bcde fgh",)
