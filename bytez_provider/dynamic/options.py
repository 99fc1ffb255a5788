"""Which of Pulumi's resource options a model and a fleet accept.

Pulumi reports nothing for an option that cannot work, and hands on only some of a component's
options to its children. So each option is accepted, handed on or refused here. Pulumi itself hands
on these of a fleet: parent, depends_on, protect, retain_on_delete, aliases, transformations,
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
from bytez_provider.base.marks import PROVIDER_KEY
from bytez_provider.base.urns import MODEL_TYPE
from bytez_provider.core.inputs import INPUTS, Change
from bytez_provider.service.settings import refuse_plain_key


class Refusal(NamedTuple):
    """Why an option is refused, and what to do instead."""

    reason: str
    action: str


_ONLY_READ = Refusal(
    "the arguments of a model that is only read have no effect",
    "Remove the option; `bytez.Model.get` reads a model that this stack does not manage",
)

HANDED_ON: Final = (
    "custom_timeouts",
    "ignore_changes",
    "additional_secret_outputs",
    "hide_diffs",
    "hooks",
    "replacement_trigger",
    "replace_with",
)
"""Options that a fleet hands on to its models, because Pulumi does not."""

REFUSED: Final[Mapping[str, Refusal]] = {
    "import_": Refusal(
        "Pulumi cannot import a resource of a dynamic provider",
        "Remove the option; `adopt=True` takes over an existing load",
    ),
    "id": _ONLY_READ,
    "urn": _ONLY_READ,
    "version": Refusal(
        "the provider is a part of the Python package",
        "Remove the option, and pin the version of the package instead",
    ),
    "plugin_download_url": Refusal(
        "the provider is a part of the Python package", "Remove the option"
    ),
    "env_var_mappings": Refusal(
        "Pulumi accepts it only for provider resources", "Remove the option"
    ),
    "replace_on_changes": Refusal(
        "it has no effect on a resource of a dynamic provider; a change of "
        f"{', '.join(f'`{one.name}`' for one in INPUTS.values() if one.change is Change.REPLACE)} "
        "always replaces a model",
        "Remove the option; `replacement_trigger` replaces a model for any other reason",
    ),
    "deleted_with": Refusal(
        "the deletion of another resource does not unload a model, which would remain loaded at "
        "your cost",
        "Remove the option; `retain_on_delete` leaves a model loaded on purpose",
    ),
}
"""Options that cannot work."""

_PACKAGE = "pulumi-python"
_DISABLED = "pulumi:disable-default-providers"
_OF_PROPERTIES = ("ignore_changes", "additional_secret_outputs", "hide_diffs")


def checked(
    verb: str, name: str, opts: pulumi.ResourceOptions | None, properties: Mapping[str, str]
) -> pulumi.ResourceOptions:
    """Return the options of a model, or of a fleet for its models, as Pulumi needs them.

    Args:
        verb: For an error: what is being done.
        name: For an error: the resource's name.
        opts: The options from the program.
        properties: The names in state of a model's properties, by their Python names.

    Raises:
        InvalidInputError: An option cannot work.
    """
    if opts is None:
        return pulumi.ResourceOptions()
    for observed, action in _problems(opts, properties):
        raise InvalidInputError(verb=verb, subject=name, observed=observed, action=action)
    # The only option with names of properties that Pulumi does not translate.
    hidden = [properties.get(one, one) for one in getattr(opts, "hide_diffs", None) or ()]
    if not hidden:
        return opts
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(hide_diffs=hidden))


def handed_on(opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """Return the options that a fleet must give to its models."""
    return pulumi.ResourceOptions(**{one: getattr(opts, one) for one in HANDED_ON})


def refuse_config(verb: str, name: str) -> None:
    """Refuse a stack's config that does not allow models.

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
            observed=f"`{_DISABLED}` contains '{min(disabled)}', but models need the default "
            f"provider of {_PACKAGE}: only that one gets the stack's `bytez:` settings",
            action=f"List the packages in it one by one, without {_PACKAGE}",
        )


def _problems(opts: pulumi.ResourceOptions, properties: Mapping[str, str]) -> Iterator[Refusal]:
    if opts.delete_before_replace is False:
        yield Refusal(
            "`delete_before_replace=False` is set, but the service loads a model only once, so a "
            "new load cannot exist beside the old one",
            "Remove the option; to change models without a gap, declare the new model beside the "
            "old one, and remove the old one in a later `up`",
        )
    for option, (reason, action) in REFUSED.items():
        if getattr(opts, option, None) is not None:
            yield Refusal(f"`{option}` is set, but {reason}", action)
    if _has_own_provider(opts):
        yield Refusal(
            f"it has its own provider for {_PACKAGE}, but only the default provider gets the "
            "stack's `bytez:` settings, so the API key could go to another address than the one "
            "configured",
            f"Remove that provider; if `{_DISABLED}` contains '*', list the packages in it one by "
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
    name = re.split(r"[.\[]", path, maxsplit=1)[0]
    if name in {*properties, *properties.values(), PROVIDER_KEY} or "*" in name:
        return
    near = get_close_matches(name, properties, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    yield Refusal(
        f"`{option}` names '{path}', but a model has no such property{hint}",
        f"Name one of {', '.join(properties)}",
    )


def _listed(value: str | None) -> list[str]:
    """Return the texts in a JSON list; none if it is something else."""
    try:
        listed = json.loads(value or "[]")
    except ValueError:
        return []
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
