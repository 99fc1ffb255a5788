"""What is wrong, told by line, column and what may have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytez_provider.base.errors import InvalidFileError, InvalidInputError, Problem
from bytez_provider.fleetfile import read_fleet, unknown_models
from bytez_provider.service.catalogue import Catalogue, bundled_catalogue
from bytez_provider.service.schemas import CatalogueEntry
from tests.fleetfile.conftest import Mistakes, Write

ID = "modelId must be a model id of the form 'owner/name', as 'openai-community/gpt2'"
WHOLE = "concurrency must be a whole number of at least 1"
NAMES = "cannot name a model; letters, digits, '-' and '_' can"


def model(properties: str) -> str:
    return f"models:\n  a: {{modelId: a/b, {properties}}}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # ------------------------------------------------------------------------- the form
        ("", "1:1: 'models' is missing; a fleet without any says 'models: {}'"),
        ("# a\n\ndefaults: {}", "3:1: 'models' is missing; a fleet without any says 'models: {}'"),
        ("- a", "1:1: a fleet file is a mapping with 'models', and this is a list"),
        ("hello", "1:1: a fleet file is a mapping with 'models', and this is 'hello'"),
        ("models: [a]", "1:9: 'models' is a mapping of names to models, and this is a list"),
        (
            "defaults: 1\nmodels: {}",
            "1:11: 'defaults' is a mapping of properties to values, and this is 1",
        ),
        (
            "models:\n  a: openai-community/gpt2",
            (
                "2:6: a model is a mapping, as in {modelId: owner/name}, and this is "
                "'openai-community/gpt2'"
            ),
        ),
        (
            "models: {}\ndefault: {}",
            "2:1: 'default' is no part of a fleet file; did you mean 'defaults'?",
        ),
        (
            "models: {}\ncommon: {}",
            "2:1: 'common' is no part of a fleet file; a key of your own begins with 'x-'",
        ),
        (
            "models: {}\nx_common: {}",
            "2:1: 'x_common' is no part of a fleet file; did you mean 'x-common'?",
        ),
        (
            "models: {}\n$Schema: a",
            "2:1: '$Schema' is no part of a fleet file; did you mean '$schema'?",
        ),
        ("models: {}\n$schema: 1", "2:10: '$schema' is text, and this is 1"),
        ("models: {}\nx-a: 1\nx-a: 2", "3:1: 'x-a' stands here twice, first in line 2"),
        ("models: {}\nx-a: {b: 1, b: 2}", "2:13: 'b' stands here twice, first in line 2"),
        ("models: {}\nx-a: !t 1", "2:6: the tag '!t' is not read; leave it out"),
        (
            "defaults: {x-a: 1}\nmodels: {}",
            "1:12: 'x-a' is not a property of a model",
        ),
        (
            "x-a: &a {concurrency: 0}\nmodels: {a: {<<: *a, modelId: a/b}}",
            "1:23: concurrency must be a whole number of at least 1, not 0",
        ),
        # ------------------------------------------------------------------------- the keys
        ("models:\n  a:", "2:3: 'a' has no 'modelId'"),
        ("models:\n  a: {adopt: true}", "2:3: 'a' has no 'modelId'"),
        (
            "defaults:\n  modelId: a/b\nmodels: {}",
            "2:3: 'modelId' is given for each model, not in 'defaults'",
        ),
        (
            "models:\n  ready: {modelId: a/b}",
            "2:3: no model may be named 'ready', the name of the fleet's readiness",
        ),
        ("models: {a b: {modelId: a/b}}", f"1:10: 'a b' {NAMES}"),
        ("models: {a.b: {modelId: a/b}}", f"1:10: 'a.b' {NAMES}"),
        ("models: {'': {modelId: a/b}}", f"1:10: '' {NAMES}"),
        ('models: {"a\\n": {modelId: a/b}}', f"1:10: 'a<U+000A>' {NAMES}"),
        ("models: {grün: {modelId: a/b}}", f"1:10: 'grün' {NAMES}"),
        ("? [a]\n: b\nmodels: {}", "1:3: a key must be a name, not a list"),
        (
            "models:\n  a: {modelId: a/b}\n  b: {modelId: a/c}\n  a: {modelId: a/d}\n",
            "4:3: 'a' stands here twice, first in line 2",
        ),
        (model("adopt: true, adopt: false"), "2:34: 'adopt' stands here twice, first in line 2"),
        ("models: {}\nmodels: {}", "2:1: 'models' stands here twice, first in line 1"),
        ("models: {<<: {}, <<: {}}", "1:18: '<<' stands here twice, first in line 1"),
        # -------------------------------------------------------------------- the properties
        (
            model("concurency: 2"),
            "2:21: 'concurency' is not a property of a model; did you mean 'concurrency'?",
        ),
        (
            model("on_expiry: accept"),
            "2:21: 'on_expiry' is not a property of a model; did you mean 'onExpiry'?",
        ),
        (model("colour: red"), "2:21: 'colour' is not a property of a model"),
        (
            "models: {a: {model_id: a/b}}",
            "1:14: 'model_id' is not a property of a model; did you mean 'modelId'?",
        ),
        (model("concurrency: 0"), f"2:34: {WHOLE}, not 0"),
        (model("concurrency: 1.5"), f"2:34: {WHOLE}, not 1.5"),
        (model("concurrency: two"), f"2:34: {WHOLE}, not 'two'"),
        (model("concurrency: '2'"), f"2:34: {WHOLE}, not '2'"),
        (model("concurrency: true"), f"2:34: {WHOLE}, not true"),
        (model("concurrency: [2]"), f"2:34: {WHOLE}, not a list"),
        (model("concurrency: {}"), f"2:34: {WHOLE}, not a mapping"),
        (model("concurrency: ~"), f"2:34: {WHOLE}, not ~"),
        (model("concurrency: .nan"), f"2:34: {WHOLE}, not .nan"),
        (model("concurrency: 1_000"), f"2:34: {WHOLE}, not '1_000'"),
        (model("concurrency: -0x10"), f"2:34: {WHOLE}, not '-0x10'"),
        ("models:\n  a:\n    modelId: a/b\n    concurrency:\n", f"4:5: {WHOLE}, not null"),
        (model("adopt: yes"), "2:28: adopt must be true or false, not 'yes'"),
        (model("onExpiry: restart"), "2:31: onExpiry must be 'reload' or 'accept', not 'restart'"),
        (
            model("expirationPeriodSeconds: 59"),
            (
                "2:46: expirationPeriodSeconds must be a whole number of seconds "
                "from 60 to 604800, not 59"
            ),
        ),
        (
            model("expectedHoursPerDay: 24.5"),
            "2:42: expectedHoursPerDay must be a number of hours from 0 to 24, not 24.5",
        ),
        ("models: {a: {modelId: gpt2}}", f"1:23: {ID}, not 'gpt2'"),
        ("models: {a: {modelId: 123}}", f"1:23: {ID}, not 123, which YAML reads as a number"),
        ("models: {a: {modelId: ~}}", f"1:23: {ID}, not ~, which YAML reads as nothing"),
        (
            "models: {a: {modelId: true}}",
            f"1:23: {ID}, not true, which YAML reads as true or false",
        ),
        ("models: {a: {modelId: 2024-01-31}}", f"1:23: {ID}, not '2024-01-31'"),
        ('models: {a: {modelId: "a/b\\n"}}', f"1:23: {ID}, not 'a/b<U+000A>'"),
        (
            "models: {a: {\xa0modelId: a/b}}",
            "1:14: '<U+00A0>modelId' is not a property of a model; did you mean 'modelId'?",
        ),
        (
            "models:\n  a: {modelId: a/b}\n  b: {modelId: a/b}\n",
            (
                "3:16: 'b' has the model of 'a' (fleet.yaml:2), and the service holds one "
                "instance a model"
            ),
        ),
        # ------------------------------------------------------------ anchors, merges and tags
        ("models: *m", "1:9: no anchor '&m' stands before this"),
        ("models: {<<: 1}", "1:14: '<<' takes a mapping or a list of them, not 1"),
        ("models: &m {<<: *m}", "1:17: '<<' names the mapping that it stands in"),
        ("models: !!map {}", "1:9: the tag '!!map' is not read; leave it out"),
        (
            "models: !!python/object:os.system {}",
            "1:9: the tag '!!python/object:os.system' is not read; leave it out",
        ),
        (
            "defaults: {concurrency: &n 0}\nmodels: {}",
            f"1:25: {WHOLE}, not 0",
        ),
        # -------------------------------------------------------------------------- not YAML
        ("models:\n\ta: 1", "2:1: a tab stands here, and YAML is indented with spaces"),
        (
            "models: {}\n---\nmodels: {}",
            "2:1: a second document begins here, and a fleet file holds one",
        ),
        ("a: b: c", "1:5: this is not YAML: mapping values are not allowed here"),
        ('"\\UFFFFFFFF"', "1:1: what follows is not YAML"),
        (b"models: {}\n# caf\xe9", "2:6: byte 0xe9 is not UTF-8"),
        (b"models: {}\n#\xc3\xbc \xff", "2:4: byte 0xff is not UTF-8"),
        ("models: {}\n# \x00", "2:3: the character U+0000 may not stand in YAML"),
        ("models: {}\r\n# \x1b[31m", "2:3: the character U+001B may not stand in YAML"),
    ],
)
def test_one_mistake(mistakes: Mistakes, text: str | bytes, problem: str) -> None:
    assert mistakes(text) == [problem]


def test_an_alias_is_judged_where_it_is_used(mistakes: Mistakes) -> None:
    text = "defaults: {expectedHoursPerDay: &n 2.5}\n" + model("concurrency: *n")
    assert mistakes(text) == [f"3:34: {WHOLE}, not 2.5"]


def test_what_is_merged_in_twice_is_told_once_where_it_stands(mistakes: Mistakes) -> None:
    text = (
        "models:\n"
        "  a: &a {modelId: a/b, adopt: 1}\n"
        "  b: {<<: *a, modelId: a/c}\n"
        "  c: {<<: *a, modelId: a/d}\n"
    )
    assert mistakes(text) == ["2:31: adopt must be true or false, not 1"]


def test_all_mistakes_are_told_in_the_order_of_the_file(mistakes: Mistakes) -> None:
    found = mistakes(
        "models:\n  b: {modelId: 1}\n  c:\n  a: {modelId: a/b, x: 1}\n  c: {}\nmore: 1\ndefaults: 1"
    )
    assert [one.split(": ")[0] for one in found] == ["2:16", "3:3", "4:21", "5:3", "6:1", "7:11"]


def test_an_id_that_cannot_be_is_not_doubled_too(mistakes: Mistakes) -> None:
    assert len(mistakes("models: {a: {modelId: x}, b: {modelId: x}}")) == 2


def test_no_more_than_a_hundred_are_told(write: Write) -> None:
    path = write("models:\n" + "".join(f"  m{i}:\n" for i in range(500)))
    with pytest.raises(InvalidFileError, match="'m0' has no 'modelId'; there are at least 99 more"):
        read_fleet(path)


# ------------------------------------------------------------------------------ the sentence


def test_the_sentence_of_one_problem(write: Write) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_fleet(write(model("concurency: 2")))
    assert str(caught.value) == (
        "could not read 'fleet.yaml': fleet.yaml:2: 'concurency' is not a property of a model, "
        "perhaps 'concurrency' is meant. Nothing was changed. Correct it, and check it with "
        "`bytez-fleet validate fleet.yaml`."
    )


@pytest.mark.parametrize(("count", "rest"), [(2, "there is 1 more"), (3, "there are 2 more")])
def test_the_sentence_of_several_problems(write: Write, count: int, rest: str) -> None:
    text = "models:\n" + "".join(f"  m{i}: {{}}\n" for i in range(count))
    write("", "fleet.eu.yaml")
    with pytest.raises(InvalidFileError) as caught:
        read_fleet(write(text), "eu")
    assert str(caught.value) == (
        f"could not read 'fleet.yaml': fleet.yaml:2: 'm0' has no 'modelId'; {rest}. Nothing was "
        "changed. Correct it, and check it with "
        "`bytez-fleet validate fleet.yaml --environment eu`."
    )
    assert len(caught.value.problems) == count


def test_a_problem_is_a_line_of_its_own() -> None:
    problem = Problem("fleet.yaml", 12, 3, "'x' is wrong", meant=("a", "b", "c"))
    assert str(problem) == "fleet.yaml:12: 'x' is wrong; did you mean 'a', 'b' or 'c'?"
    assert str(Problem("x.yaml", None, None, "there is no file 'x.yaml'")) == (
        "there is no file 'x.yaml'"
    )


# ------------------------------------------------------------------------ files as such


def test_a_file_that_is_not_there(write: Write) -> None:
    write("", "other.yaml")
    with pytest.raises(InvalidFileError) as caught:
        read_fleet(Path("fleet.yaml"))
    assert caught.value.observed == "there is no file 'fleet.yaml'"
    assert caught.value.problems[0].line is None


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match="is not a file"):
        read_fleet(tmp_path)


def test_a_file_in_a_file(write: Write) -> None:
    with pytest.raises(InvalidFileError, match=r"cannot be read \(Not a directory\)"):
        read_fleet(write("models: {}") / "fleet.yaml")


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b", "x" * 5000])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        read_fleet(Path(name))
    assert str(caught.value).isprintable()


# -------------------------------------------------------------------------- unknown models


def live(*names: str) -> Catalogue:
    return Catalogue([CatalogueEntry(model_id=name) for name in names], is_live=True)


def test_an_unknown_model_is_a_problem_with_the_nearest_names(write: Write) -> None:
    fleet = read_fleet(write("models:\n  a: {modelId: openai-comunity/gpt2}\n"))
    (problem,) = unknown_models(fleet, live("openai-community/gpt2", "microsoft/phi-1"))
    assert not problem.is_warning
    assert (problem.line, problem.column) == (2, 16)
    assert problem.message == (
        "'openai-comunity/gpt2' is not in the Bytez catalogue; did you mean "
        "'openai-community/gpt2'?"
    )


def test_an_unknown_model_is_a_warning_where_the_service_was_not_asked(write: Write) -> None:
    fleet = read_fleet(write("models:\n  a: {modelId: nobody/nothing-like-it}\n"))
    (problem,) = unknown_models(fleet, bundled_catalogue())
    assert problem.is_warning
    assert problem.message == "'nobody/nothing-like-it' is not in the catalogue of this package"


def test_known_models_are_no_problem(write: Write) -> None:
    fleet = read_fleet(write("models:\n  a: {modelId: openai-community/gpt2}\n"))
    assert unknown_models(fleet, live("openai-community/gpt2")) == []


def test_without_a_catalogue_no_model_is_unknown(write: Write) -> None:
    fleet = read_fleet(write("models:\n  a: {modelId: nobody/nothing}\n"))
    assert unknown_models(fleet, Catalogue([], is_live=False)) == []


def test_names_of_a_catalogue_are_shown_without_controls(write: Write) -> None:
    fleet = read_fleet(write("models:\n  a: {modelId: a/bcdefgh}\n"))
    (problem,) = unknown_models(fleet, live("a/bcde\x1b[31mfgh"))
    assert problem.meant == ("a/bcde fgh",)
