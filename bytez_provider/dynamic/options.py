"""Which of Pulumi's resource options a model and a fleet take; the others are refused.

Pulumi says nothing about an option that cannot work, and hands on only some of a component's
options to its children. So each option is taken, handed on or refused here. Pulumi itself hands on
these of a fleet: parent, depends_on, protect, retain_on_delete, aliases, transformations,
transforms, state_migrations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final, NamedTuple

import pulumi
from pulumi.runtime import get_config, is_config_secret

from bytez_provider.base.errors import ConfigError, InvalidInputError
from bytez_provider.base.urns import MODEL_TYPE
from bytez_provider.service.settings import refuse_plain_key


class Refusal(NamedTuple):
    """Why an option is refused, and what to do about it."""

    reason: str
    action: str


HANDED_ON: Final = (
    "custom_timeouts",
    "ignore_changes",
    "additional_secret_outputs",
    "hide_diffs",
    "hooks",
    "replacement_trigger",
    "replace_with",
)
"""Options of a fleet that it hands on to its models, because Pulumi does not."""

REFUSED: Final[Mapping[str, Refusal]] = {
    "import_": Refusal(
        "Pulumi cannot import a resource of a dynamic provider",
        "Leave the option out; `adopt=True` takes over a load that exists",
    ),
    "id": Refusal(
        "the arguments of a model that is only read have no effect",
        "Leave the option out; `bytez.Model.get` reads a model that this stack does not manage",
    ),
    "urn": Refusal(
        "the arguments of a model that is only read have no effect",
        "Leave the option out; `bytez.Model.get` reads a model that this stack does not manage",
    ),
    "version": Refusal(
        "the provider comes with the Python package",
        "Leave the option out, and pin the version of the package instead",
    ),
    "plugin_download_url": Refusal(
        "the provider comes with the Python package",
        "Leave the option out",
    ),
    "env_var_mappings": Refusal(
        "Pulumi takes it for provider resources only",
        "Leave the option out",
    ),
    "replace_on_changes": Refusal(
        "it has no effect on a resource of a dynamic provider; a change of `model_id`, "
        "`concurrency` or `expiration_period_seconds` always replaces a model",
        "Leave the option out; `replacement_trigger` replaces a model for any other reason",
    ),
    "deleted_with": Refusal(
        "the deletion of another resource does not unload a model, which would stay loaded and "
        "paid for",
        "Leave the option out; `retain_on_delete` leaves a model loaded on purpose",
    ),
}
"""Options that cannot work, each with the reason and the way out."""

_PACKAGE = "pulumi-python"
_DISABLED = "pulumi:disable-default-providers"
_OF_PROPERTIES = ("ignore_changes", "additional_secret_outputs", "hide_diffs")
_PROVIDER_KEY = "__provider"
_FIRST_NAME = re.compile(r"[^.\[]*")


def checked(
    verb: str,
    name: str,
    opts: pulumi.ResourceOptions | None,
    properties: Mapping[str, str],
) -> pulumi.ResourceOptions:
    """Return the options of a model, or of a fleet for its models, as Pulumi wants them.

    Args:
        verb: What is tried, for an error.
        name: The resource's name, for an error.
        opts: The options as the program gives them.
        properties: The names in state of a model's properties, by their Python names.

    Raises:
        InvalidInputError: An option cannot work.
    """
    if opts is None:
        return pulumi.ResourceOptions()
    for observed, action in _problems(opts, properties):
        raise InvalidInputError(verb=verb, subject=name, observed=observed, action=action)
    # Of the options that name properties this is the only one that Pulumi does not translate.
    hidden = [properties.get(one, one) for one in getattr(opts, "hide_diffs", None) or ()]
    if not hidden:
        return opts
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hide_diffs=hidden))


def handed_on(opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """Return the options of a fleet that its models need to be given."""
    return pulumi.ResourceOptions(**{one: getattr(opts, one) for one in HANDED_ON})


def refuse_config(verb: str, name: str) -> None:
    """Refuse a stack's config under which no model may be declared.

    Raises:
        PlainTextKeyError: `bytez:key` is in plain text.
        ConfigError: The default provider, which models need, is disabled.
    """
    refuse_plain_key(is_set=bool(get_config("bytez:key")), is_secret=is_config_secret("bytez:key"))
    disabled = {"*", _PACKAGE} & set(_listed(get_config(_DISABLED)))
    if disabled:
        raise ConfigError(
            verb=verb,
            subject=name,
            observed=f"`{_DISABLED}` has '{min(disabled)}', and models need the default provider of"
            f" {_PACKAGE}: Pulumi hands the stack's `bytez:` settings to no other",
            action=f"Name the packages there one by one, without {_PACKAGE}",
        )


def _problems(opts: pulumi.ResourceOptions, properties: Mapping[str, str]) -> Iterator[Refusal]:
    """Yield what is wrong with options, and what to do about it."""
    if opts.delete_before_replace is False:
        yield Refusal(
            "`delete_before_replace=False` is set, and the service holds one instance a model, so "
            "a new one cannot stand beside the old one",
            "Leave the option out; to swap models without a gap, declare the new model beside the "
            "old one, and remove the old one in a later `up`",
        )
    for option, (reason, action) in REFUSED.items():
        if getattr(opts, option, None) is not None:
            yield Refusal(f"`{option}` is set, and {reason}", action)
    if _has_own_provider(opts):
        yield Refusal(
            f"it is given a provider of its own for {_PACKAGE}, and Pulumi hands the stack's "
            "`bytez:` settings to the default provider only, so a key could go to another address "
            "than the one configured",
            f"Leave that provider out; if `{_DISABLED}` has '*', name the packages there one by "
            f"one, without {_PACKAGE}",
        )
    for option in _OF_PROPERTIES:
        for one in getattr(opts, option, None) or ():
            yield from _misnamed(option, one, properties)


def _has_own_provider(opts: pulumi.ResourceOptions) -> bool:
    given = opts.providers or ()
    providers = [*(given.values() if isinstance(given, Mapping) else given), opts.provider]
    if any(one is not None and one.package == _PACKAGE for one in providers):
        return True
    parent = opts.parent
    return isinstance(parent, pulumi.Resource) and parent.get_provider(MODEL_TYPE) is not None


def _misnamed(option: str, path: str, properties: Mapping[str, str]) -> Iterator[Refusal]:
    """Yield a problem where a path begins with the name of no property."""
    match = _FIRST_NAME.match(path)
    name = match.group() if match else ""
    if name in {*properties, *properties.values(), _PROVIDER_KEY} or "*" in name:
        return
    near = get_close_matches(name, properties, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    yield Refusal(
        f"`{option}` names '{path}', and a model has no such property{hint}",
        f"Name one of {', '.join(properties)}",
    )


def _listed(value: str | None) -> list[str]:
    """Return the texts of a JSON list; none where it is something else."""
    try:
        listed = json.loads(value or "[]")
    except ValueError:
        return []
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
