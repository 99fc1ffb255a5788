"""`validate` and `export`: fleet files, checked, or written from what runs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from bytez_provider.audit import Facts, undeclared
from bytez_provider.base.errors import InvalidFileError, InvalidInputError, Problem, printable
from bytez_provider.base.files import replace_file
from bytez_provider.base.properties import PropertiesError
from bytez_provider.base.urns import NATIVE_MODEL_TYPE
from bytez_provider.base.words import counted, gigabytes
from bytez_provider.cli.screen import DONE, USAGE, Screen
from bytez_provider.cli.session import Session
from bytez_provider.cli.stacks import Wanted, facts_of
from bytez_provider.core.declared import ModelInputs, as_declared
from bytez_provider.core.fleets import READY_KEY
from bytez_provider.fleetfile import (
    FleetFile,
    add_models,
    read_fleet,
    unknown_models,
    write_fleet,
)
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.schemas import Phase

_NAME_LIMIT = 200


# ------------------------------------------------------------------------------------ validate


def validate(session: Session, paths: Iterable[Path], *, environment: str | None) -> int:
    """Check fleet files, all of them even if one is invalid.

    A model that the service does not have is a problem. If only the catalogue of this package can
    be asked, it is a warning.
    """
    files = [_checked(session, path, environment) for path in paths]
    valid = all(file["valid"] for file in files)
    session.screen.document({"valid": valid, "files": files})
    return DONE if valid else USAGE


def _checked(session: Session, path: Path, environment: str | None) -> dict[str, Any]:
    name = printable(str(path), limit=_NAME_LIMIT)
    size: dict[str, Any] = {"models": None, "requiredRamGb": None, "unknownRam": None}
    try:
        fleet = read_fleet(path, environment)
    except InvalidFileError as error:
        problems, valid = list(error.problems), False
    else:
        with session.screen.showing_progress("asking which models there are"):
            catalogue = session.catalogue.get()
        problems = unknown_models(fleet, catalogue)
        valid = all(problem.is_warning for problem in problems)
        size = _size(fleet, catalogue)
    for problem in problems:
        session.screen.say(_line(problem))
    if valid:
        session.screen.say(f"{name}: {_summary(size)}")
    documents = [_document(problem) for problem in problems]
    return {"path": name, "valid": valid, **size, "problems": documents}


def _size(fleet: FleetFile, catalogue: Catalogue) -> dict[str, Any]:
    """Return how large a fleet is; the sum has the models whose RAM is known."""
    total = 0.0
    unknown = []
    for inputs in fleet.models.values():
        entry = catalogue.find(inputs.model_id)
        if entry is None or entry.required_ram_gb is None:
            unknown.append(printable(inputs.model_id, limit=_NAME_LIMIT))
        else:
            total += entry.required_ram_gb * inputs.asked.most
    return {"models": len(fleet.models), "requiredRamGb": round(total, 6), "unknownRam": unknown}


def _summary(size: dict[str, Any]) -> str:
    unknown = size["unknownRam"]
    known = len(unknown) < size["models"] or not unknown
    parts = [f"{gigabytes(size['requiredRamGb'])} GB RAM"] if known else []
    parts += [f"unknown RAM: {', '.join(unknown)}"] if unknown else []
    return ", ".join([counted(size["models"], "model"), *parts])


def _line(problem: Problem) -> str:
    where = f"{problem.line}:{problem.column}:" if problem.line else ""
    kind = " warning:" if problem.is_warning else ""
    return f"{problem.file}:{where}{kind} {problem.message}"


def _document(problem: Problem) -> dict[str, Any]:
    return {
        "path": problem.file,
        "line": problem.line,
        "column": problem.column,
        "severity": "warning" if problem.is_warning else "error",
        "message": problem.message,
        "meant": list(problem.meant),
    }


# -------------------------------------------------------------------------------------- export


def export(path: Path, wanted: Wanted, screen: Screen, *, add: bool) -> int:
    """Write what runs and no state names to a fleet file, or add it to one."""
    name = printable(str(path), limit=_NAME_LIMIT)
    if not add:
        _refuse_existing(path, "Give --add to add what it does not have, or name another file")
    there: Mapping[str, ModelInputs] = read_fleet(path).models if add else {}
    facts = facts_of(Session(wanted.keyed_by, screen), wanted)
    models = _keyed(_exported(facts, there.values(), screen), {*there, READY_KEY})
    if models:
        (add_models if add else write_fleet)(path, models)
    documents = {key: one.bag() for key, one in models.items()}
    screen.document({"path": name if models else None, "models": documents})
    if not models:
        screen.say("nothing to export")
        return DONE
    screen.say(f"{name}: {counted(len(models), 'model')}")
    screen.note(
        "in Python, declare it, and the next `pulumi up` takes over what runs without a load; for "
        "other languages, use --format pulumi-import:"
    )
    screen.hint(f"bytez.Fleet.from_yaml({'adopted'!r}, {name!r})")
    return DONE


def export_import_file(path: Path, wanted: Wanted, screen: Screen) -> int:
    """Write what runs and no state names to a file that `pulumi import --file` reads."""
    name = printable(str(path), limit=_NAME_LIMIT)
    _refuse_existing(path, "Name another file")
    facts = facts_of(Session(wanted.keyed_by, screen), wanted)
    taken = {model.name for source in facts.sources for model in source.models}
    resources = [
        {"type": NATIVE_MODEL_TYPE, "name": key, "id": one.model_id}
        for key, one in _keyed(_exported(facts, (), screen), taken).items()
    ]
    if resources:
        _write(path, json.dumps({"resources": resources}, indent=2) + "\n")
    screen.document({"path": name if resources else None, "resources": resources})
    if not resources:
        screen.say("nothing to export")
        return DONE
    screen.say(f"{name}: {counted(len(resources), 'model')}")
    screen.note("import it, and add the program that this prints to your own:")
    chosen = [f"--stack={wanted.keyed_by}"] if wanted.keyed_by else []
    screen.hint(shlex.join(["pulumi", "import", "--file", name, *chosen]))
    return DONE


def _refuse_existing(path: Path, action: str) -> None:
    if path.exists():
        raise InvalidInputError(
            verb="export to",
            subject=printable(str(path), limit=_NAME_LIMIT),
            observed="this file exists",
            action=action,
        )


def _write(path: Path, text: str) -> None:
    try:
        replace_file(path, text.encode("utf-8"), mode=0o666)
    except OSError as error:
        raise InvalidFileError(
            verb="write",
            subject=printable(str(path), limit=_NAME_LIMIT),
            observed=f"the system says: {error.strerror}",
            action="Name another file",
        ) from None


def _exported(facts: Facts, there: Iterable[ModelInputs], screen: Screen) -> list[ModelInputs]:
    """Return what can be taken over without a load, and note why the rest cannot."""
    known = {one.model_id for one in there}
    found = []
    for live in undeclared(facts):
        model_id = printable(live.model_id, limit=_NAME_LIMIT)
        if live.model_id in known:
            continue
        if facts.naming(live.model_id):
            screen.note(f"{model_id} is left out: a stack declares it, but not this load of it")
        elif live.phase is Phase.FAILED:
            screen.note(f"{model_id} is left out: it FAILED, so to take it over is to load it")
        else:
            try:
                settings = as_declared(live, facts.prices.idle_seconds)
                found.append(ModelInputs(model_id=live.model_id, adopt=True, **settings))
            except PropertiesError:
                screen.warn(f"{model_id} is left out: its name is not a valid model name")
    return found


def _keyed(found: Iterable[ModelInputs], there: Collection[str]) -> dict[str, ModelInputs]:
    """Give each model a key that no other one has, and that is not there yet."""
    keyed: dict[str, ModelInputs] = {}
    for one in found:
        taken = {*there, *keyed}
        wanted = [_as_key(one.model_id.partition("/")[2]), _as_key(one.model_id)]
        numbered = (f"{wanted[1]}-{number}" for number in range(2, len(taken) + 3))
        keyed[next(key for key in (*wanted, *numbered) if key not in taken)] = one
    return keyed


def _as_key(name: str) -> str:
    return re.sub("[^a-z0-9_-]+", "-", name.lower())
