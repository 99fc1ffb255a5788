"""Each of Pulumi's resource options is taken, handed on or refused."""

from __future__ import annotations

import inspect
from typing import Any

import pulumi
import pytest

from bytez_provider.base.errors import InvalidInputError
from bytez_provider.dynamic.options import HANDED_ON, REFUSED, checked, handed_on

# A fleet's reach its models by Pulumi itself, as the engine and the SDK were seen to do.
BY_PULUMI = {
    "parent",
    "depends_on",
    "protect",
    "retain_on_delete",
    "aliases",
    "transformations",
    "transforms",
    "state_migrations",
}
# Refused where they are one value, or name one package.
IN_PART = {"delete_before_replace", "provider", "providers"}
PROPERTIES = {"model_id": "modelId", "concurrency": "concurrency"}


def refusal(**options: Any) -> str:
    """Return the sentence that refuses options."""
    with pytest.raises(InvalidInputError) as caught:
        checked("declare", "chat", pulumi.ResourceOptions(**options), PROPERTIES)
    return str(caught.value)


def test_every_option_of_this_sdk_is_decided_once() -> None:
    """A new option of Pulumi's fails here, until it is known whether it can work."""
    fields = set(inspect.signature(pulumi.ResourceOptions).parameters)
    decided = [*BY_PULUMI, *IN_PART, *HANDED_ON, *REFUSED]
    assert fields - set(decided) == set()
    assert len(decided) == len(set(decided))


@pytest.mark.parametrize("option", REFUSED)
def test_an_option_that_cannot_work_is_refused_in_one_sentence(option: str) -> None:
    # An empty text is as good as given: Pulumi takes `id=""` for an id.
    said = refusal(**{option: ""})
    assert said.startswith(f"could not declare 'chat': `{option}` is set, but ")
    assert ". Nothing was changed. Remove the option" in said


@pytest.mark.parametrize("option", ["ignore_changes", "additional_secret_outputs", "hide_diffs"])
def test_a_property_that_a_model_does_not_have_is_refused(option: str) -> None:
    said = refusal(**{option: ["model_id", "concurency"]})
    assert f"`{option}` names 'concurency', but a model has no such property" in said
    assert "did you mean 'concurrency'?" in said
    for known in ("modelId", "model_id", "*", "__provider", 'concurrency["a"]', "concurrency[0].b"):
        named: dict[str, Any] = {option: [known]}
        checked("declare", "chat", pulumi.ResourceOptions(**named), PROPERTIES)


def test_the_programs_own_options_are_not_touched() -> None:
    opts = pulumi.ResourceOptions(hide_diffs=["model_id"])
    usable = checked("declare", "chat", opts, PROPERTIES)
    # Pulumi translates the names of every other option itself.
    assert usable.hide_diffs == ["model_id", "modelId"]
    assert opts.hide_diffs == ["model_id"]


def test_what_is_handed_on_is_handed_on_as_it_is() -> None:
    given: dict[str, Any] = {option: object() for option in HANDED_ON}
    opts = pulumi.ResourceOptions(**given, protect=True)
    taken = handed_on(opts)
    assert {option: getattr(taken, option) for option in HANDED_ON} == given
    assert taken.protect is None
