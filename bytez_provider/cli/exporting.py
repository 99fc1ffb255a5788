"""`export`: a fleet file of what runs, from which an `up` takes it over without a load."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bytez_provider.audit import Facts, undeclared
from bytez_provider.base.errors import InvalidInputError, printable
from bytez_provider.base.words import counted
from bytez_provider.cli import exits
from bytez_provider.cli.screen import Screen
from bytez_provider.cli.session import Session
from bytez_provider.cli.sources import Wanted, facts_of
from bytez_provider.core.declared import ModelInputs
from bytez_provider.core.inputs import EXPIRY_MAX_SECONDS, EXPIRY_MIN_SECONDS
from bytez_provider.fleetfile import TAKEN_KEY, add_models, read_fleet, write_fleet
from bytez_provider.service.pricing import IDLE_SECONDS
from bytez_provider.service.schemas import Instance, Phase


def export(path: Path, wanted: Wanted, screen: Screen, *, add: bool) -> int:
    """Write what runs and no state names to a fleet file.

    Args:
        path: The file.
        wanted: The states.
        screen: Where to tell of it.
        add: Whether the file is there already, and gets what it does not have.

    Raises:
        BytezError: a state or the service cannot be read, or the file cannot be written.
    """
    if path.exists() and not add:
        raise InvalidInputError(
            verb="export to",
            subject=printable(str(path), limit=200),
            observed="there is a file of this name",
            action="Say --add to add to it what it does not have, or name another file",
        )
    there: Mapping[str, ModelInputs] = read_fleet(path).models if add else {}
    facts = facts_of(Session(wanted.keyed_by, screen), wanted)
    found = _taken_over(facts, there.values(), screen)
    models = _keyed(found, there)
    if models:
        (add_models if add else write_fleet)(path, models)
    name = printable(str(path), limit=200)
    documents = {key: one.bag() for key, one in models.items()}
    screen.document({"path": name if models else None, "models": documents})
    if not models:
        screen.say("nothing to export: all that runs is declared")
        return exits.DONE
    screen.say(f"{name}: {counted(len(models), 'model')}, to be taken over as they run")
    screen.note("declare them, and the next `pulumi up` takes them over without a load:")
    screen.hint(f"bytez.Fleet.from_yaml({'adopted'!r}, {name!r})")
    return exits.DONE


def _taken_over(facts: Facts, there: Iterable[ModelInputs], screen: Screen) -> list[ModelInputs]:
    """Return what can be taken over without a load, and say of the rest why it cannot."""
    known = {one.model_id for one in there}
    found = []
    for live in undeclared(facts):
        model_id = printable(live.model_id, limit=200)
        if live.model_id in known:
            continue
        if facts.declared_of(live.model_id):
            screen.note(f"{model_id} is left out: a stack declares it, but not this load of it")
        elif live.phase is Phase.FAILED:
            screen.note(f"{model_id} is left out: it FAILED, so that taking it over would load it")
        else:
            try:
                found.append(_inputs(live))
            except ValidationError:
                screen.warn(f"{model_id} is left out: its name cannot be that of a model")
    return found


def _inputs(live: Instance) -> ModelInputs:
    """Return the declaration of a load as it runs.

    Raises:
        ValidationError: its name cannot be declared.
    """
    declared: dict[str, Any] = {"modelId": live.model_id, "adopt": True}
    if live.concurrency:
        declared["concurrency"] = live.concurrency
    period = live.expiration_period_seconds
    # Of another length it cannot be declared, and an undeclared one is taken over as it is.
    if period is not None and EXPIRY_MIN_SECONDS <= period <= EXPIRY_MAX_SECONDS:
        declared |= {"expirationPeriodSeconds": period} if period != IDLE_SECONDS else {}
    return ModelInputs.model_validate(declared)


def _keyed(
    found: Iterable[ModelInputs], there: Mapping[str, ModelInputs]
) -> dict[str, ModelInputs]:
    """Give each model a key that neither another one nor the file has."""
    keyed: dict[str, ModelInputs] = {}
    for one in found:
        taken = {*there, *keyed, TAKEN_KEY}
        wanted = [_as_key(one.model_id.partition("/")[2]), _as_key(one.model_id)]
        numbered = (f"{wanted[1]}-{number}" for number in range(2, len(taken) + 3))
        key = next(key for key in (*wanted, *numbered) if key not in taken)
        keyed[key] = one
    return keyed


def _as_key(name: str) -> str:
    return re.sub("[^a-z0-9_-]+", "-", name.lower())
