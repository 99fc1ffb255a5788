"""What a fleet may consist of, whichever face declares it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bytez_provider.base.errors import InvalidInputError

READY_KEY: Final = "ready"
"""The key that no model may have: the readiness of a fleet is named `<fleet>-ready`."""


def child_name(fleet: str, key: str) -> str:
    """Return the name of the resource of a fleet's model, or of its readiness."""
    return f"{fleet}-{key}"


def refuse_unusable(fleet: str, models: Mapping[str, str]) -> None:
    """Refuse keys and models that a fleet cannot have.

    Args:
        fleet: The name of the fleet.
        models: The model ids by key, as far as they are known.

    Raises:
        InvalidInputError: A key is reserved, or two keys are the same model.
    """
    keys_of: dict[str, str] = {}
    for key, model_id in models.items():
        earlier = keys_of.setdefault(model_id, key)
        if key == READY_KEY:
            observed = f"'{READY_KEY}' is reserved for its readiness and cannot be a model's key"
            action = "Use another key"
        elif earlier != key:
            observed = (
                f"'{earlier}' and '{key}' are both {model_id}, and the service loads a model only "
                "once"
            )
            action = "Remove one of them, and raise the other's concurrency"
        else:
            continue
        raise InvalidInputError(
            verb="declare the fleet", subject=fleet, observed=observed, action=action
        )
