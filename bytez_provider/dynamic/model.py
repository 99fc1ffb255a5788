"""`Model`: a loaded Bytez model, as a program declares it."""

# Without `from __future__ import annotations`: Pulumi evaluates the annotations for each resource,
# and compiling them from strings takes a millisecond per model.

import inspect
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import Resource

from bytez_provider.base.errors import BytezError, InvalidInputError
from bytez_provider.core.inputs import INPUTS, REQUIRED
from bytez_provider.dynamic.options import checked, refuse_config
from bytez_provider.dynamic.providers import PREVIEW, ModelProvider

if TYPE_CHECKING:
    from typing_extensions import Self

# Names in state by names in Python. Only a fleet's models have `readiness`.
_IN_STATE = {
    **{one.name: one.in_state for one in INPUTS.values()},
    "readiness": "readiness",
    "status": "status",
    "created": "created",
    "adopted_at": "adoptedAt",
    "granted": "granted",
    "required_ram_gb": "requiredRamGb",
    "benchmarked": "benchmarked",
    "endpoint": "endpoint",
    "api_version": "apiVersion",
    "account": "account",
}
_IN_PYTHON = {state: python for python, state in _IN_STATE.items()}


class Model(Resource, module="bytez", name="Model"):
    """A Bytez model that is loaded for as long as the stack declares it.

    A change of `model_id` replaces the load: the old one is unloaded first, and the model is not
    available for one boot, 6 to 15 minutes. So does a change of `concurrency` or
    `expiration_period_seconds`, because the APIs of 2024 cannot change a load. With
    bytez:apiVersion 2025-04 these two and `max_concurrency` are changed in place. A change of
    another argument affects nothing that runs.

    `customTimeouts` limit the boot (create and update, 30 minutes if unset) and the unload
    (delete, 2 minutes).

    To policies, review and audit, a subclass with your own defaults is a Model too.
    """

    model_id: pulumi.Output[str]
    """The model as `owner/name`; also the resource's id."""
    concurrency: pulumi.Output[int]
    """Instances behind the model's address; each is paid for."""
    max_concurrency: pulumi.Output[int | None] = pulumi.property(_IN_STATE["max_concurrency"])
    """The most instances when many requests come at a time; `concurrency` if None."""
    # With its name in state, Pulumi finds the type and converts the engine's float.
    expiration_period_seconds: pulumi.Output[int | None] = pulumi.property(
        _IN_STATE["expiration_period_seconds"]
    )
    """Idle seconds after which the service unloads the model; the service's own (1800) if None."""
    adopt: pulumi.Output[bool]
    """Whether to take over a load of the model that already exists."""
    on_expiry: pulumi.Output[str]
    """"reload": the next `up` loads a model again that is no longer loaded; "accept": it does not.
    """
    expected_hours_per_day: pulumi.Output[float | None]
    """Hours a day that the model is expected to be loaded, 0 to 24; only for the cost in reviews.
    """
    status: pulumi.Output[str]
    """RUNNING; DEPLOYING after an interrupted wait; FAILED; NOT_LOADED if expiry is accepted."""
    created: pulumi.Output[str | None]
    """When the load was accepted, ISO 8601 in UTC. Identifies the load."""
    adopted_at: pulumi.Output[str | None]
    """When the load was taken over, ISO 8601 in UTC; None if this resource made it."""
    granted: pulumi.Output[dict[str, int] | None]
    """The settings that the service reports, if they differ from those requested."""
    required_ram_gb: pulumi.Output[float | None]
    """GPU RAM of one instance in GB, from the catalogue; None if it is unknown."""
    benchmarked: pulumi.Output[bool | None]
    """Whether the catalogue calls the model benchmarked."""
    endpoint: pulumi.Output[str]
    """The address of the API where it is loaded."""
    api_version: pulumi.Output[str | None]
    """The version of the API that has the load; None for those of 2024."""
    account: pulumi.Output[str]
    """A hash that only distinguishes accounts."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give a subclass the type of `Model`: policies, review and audit know only that type."""
        if {"module", "name"} & kwargs.keys():
            error = InvalidInputError(
                verb="define the class",
                subject=cls.__name__,
                observed="it sets `module=` or `name=`, but a subclass of Model must have the type "
                "of Model, the only one that policies, review and audit know",
                action="Remove them",
            )
            raise pulumi.RunError(str(error)) from None
        super().__init_subclass__(module="bytez", name="Model", **kwargs)
        # Pulumi ignores the annotations of base classes. Without the types of outputs, whole
        # numbers would be floats.
        models = (one for one in reversed(cls.__mro__) if issubclass(one, Model))
        cls.__annotations__ = {
            name: hint for one in models for name, hint in inspect.get_annotations(one).items()
        }

    def __init__(
        self,
        resource_name: str,
        *,
        model_id: pulumi.Input[str],
        concurrency: pulumi.Input[int] = 1,
        max_concurrency: pulumi.Input[int] | None = None,
        expiration_period_seconds: pulumi.Input[int] | None = None,
        adopt: pulumi.Input[bool] = False,
        on_expiry: pulumi.Input[str] = "reload",
        expected_hours_per_day: pulumi.Input[float] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a model.

        Args:
            resource_name: The name of the resource in the stack.
            model_id: The model, as `owner/name`. A change replaces.
            concurrency: Instances behind the model's address, at least 1. A change replaces, or is
                made in place with bytez:apiVersion 2025-04.
            max_concurrency: The most instances when many requests come at a time, of which
                `concurrency` is then the least number, 0 included. Needs bytez:apiVersion 2025-04.
            expiration_period_seconds: Idle seconds after which the service unloads it, 60 to
                604800; the service's own (1800, or 600 with bytez:apiVersion 2025-04) if None.
                Changed as `concurrency` is.
            adopt: Take over a load of the model that already exists, instead of refusing.
            on_expiry: What to do with a model that is no longer loaded: "reload" or "accept".
            expected_hours_per_day: Only for the cost in reviews, 0 to 24.
            opts: Pulumi's resource options. `delete_before_replace` is always on. Properties may
                be named as in Python or as in state.

        Raises:
            pulumi.RunError: An option cannot work, the API key in the config is plain text, or
                the default provider is disabled.
        """
        given = {
            "model_id": model_id,
            "concurrency": concurrency,
            "max_concurrency": max_concurrency,
            "expiration_period_seconds": expiration_period_seconds,
            "adopt": adopt,
            "on_expiry": on_expiry,
            "expected_hours_per_day": expected_hours_per_day,
        }
        self._register(resource_name, given, usable_options("declare", resource_name, opts))

    @classmethod
    def get(
        cls,
        resource_name: str,
        id: pulumi.Input[str],  # noqa: A002  (Pulumi's own name for it)
        opts: pulumi.ResourceOptions | None = None,
    ) -> "Self":
        """Read a loaded model that this stack does not manage; it fails if it is not loaded.

        Args:
            resource_name: The name of the resource in the stack.
            id: The model, as `owner/name`.
            opts: Pulumi's resource options.

        Raises:
            pulumi.RunError: As for `Model`.
        """
        model = cls.__new__(cls)
        by_id = pulumi.ResourceOptions(id=id)
        opts = usable_options("read", resource_name, opts)
        model._register(resource_name, {}, pulumi.ResourceOptions.merge(opts, by_id))
        return model

    @classmethod
    def _in_fleet(
        cls, resource_name: str, given: dict[str, Any], opts: pulumi.ResourceOptions
    ) -> "Model":
        """Declare a model that does not wait until it is RUNNING: its fleet does."""
        model = cls.__new__(cls)
        defaults = {
            n: one.default for n, one in INPUTS.items() if one.default not in (None, REQUIRED)
        }
        model._register(resource_name, {**defaults, **given, "readiness": "fleet"}, opts)
        return model

    def _register(
        self, resource_name: str, given: dict[str, Any], opts: pulumi.ResourceOptions
    ) -> None:
        ours = pulumi.ResourceOptions(delete_before_replace=True)
        if type(self) is not Model:
            # Pulumi's own type for a subclass, from before `__init_subclass__` set it.
            ours.aliases = [pulumi.Alias(type_="pulumi-python:dynamic:Resource")]
        # Without the marker, the provider could not recognize a preview.
        marker = {PREVIEW: True} if given and pulumi.runtime.is_dry_run() else {}
        super().__init__(
            ModelProvider(),
            resource_name,
            {**dict.fromkeys(_IN_STATE), **given, **marker},
            pulumi.ResourceOptions.merge(opts, ours),
        )

    def translate_input_property(self, prop: str) -> str:
        """Return the name in state of a Python name."""
        return _IN_STATE.get(prop, prop)

    def translate_output_property(self, prop: str) -> str:
        """Return the Python name of a name in state."""
        return _IN_PYTHON.get(prop, prop)


def usable_options(
    verb: str, name: str, opts: pulumi.ResourceOptions | None
) -> pulumi.ResourceOptions:
    """Check the options of a model or a fleet before anything is registered, and return them.

    Raises:
        pulumi.RunError: An option cannot work, or no model may be declared under this config.
    """
    try:
        refuse_config(verb, name)
        return checked(verb, name, opts, _IN_STATE)
    except BytezError as error:
        # Of other errors Pulumi shows the traceback.
        raise pulumi.RunError(str(error)) from None
