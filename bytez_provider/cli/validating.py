"""`validate`: everything wrong with fleet files, each with its line, as compilers tell it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bytez_provider.base.errors import InvalidFileError, Problem, printable
from bytez_provider.base.words import gigabytes
from bytez_provider.cli import exits
from bytez_provider.cli.session import Session
from bytez_provider.fleetfile import FleetFile, read_fleet, unknown_models
from bytez_provider.service.catalogue import Catalogue


def validate(session: Session, paths: Iterable[Path], *, environment: str | None) -> int:
    """Check fleet files, all of them also when one is invalid.

    A model that the service does not have is a problem; where only the catalogue of this package
    can be asked, it is a warning.
    """
    told = [_checked(session, path, environment) for path in paths]
    valid = all(file["valid"] for file in told)
    session.screen.document({"valid": valid, "files": told})
    return exits.DONE if valid else exits.USAGE


def _checked(session: Session, path: Path, environment: str | None) -> dict[str, Any]:
    name = printable(str(path), limit=200)
    facts: dict[str, Any] = {"models": None, "requiredRamGb": None, "unknownRam": None}
    try:
        fleet = read_fleet(path, environment)
    except InvalidFileError as error:
        problems = list(error.problems)
        valid = False
    else:
        with session.screen.showing_progress("asking which models there are"):
            catalogue = session.catalogue.get()
        problems = unknown_models(fleet, catalogue)
        valid = all(problem.is_warning for problem in problems)
        facts = _facts(fleet, catalogue)
    for problem in problems:
        session.screen.say(_line(problem))
    if valid:
        session.screen.say(f"{name}: {_summary(facts)}")
    documents = [_document(problem) for problem in problems]
    return {"path": name, "valid": valid, **facts, "problems": documents}


def _facts(fleet: FleetFile, catalogue: Catalogue) -> dict[str, Any]:
    """Return how large a fleet is; the sum is of the models whose RAM is known."""
    total = 0.0
    unknown = []
    for inputs in fleet.models.values():
        entry = catalogue.find(inputs.model_id)
        if entry is None or entry.required_ram_gb is None:
            unknown.append(printable(inputs.model_id, limit=200))
        else:
            total += entry.required_ram_gb * inputs.concurrency
    return {"models": len(fleet.models), "requiredRamGb": round(total, 6), "unknownRam": unknown}


def _summary(facts: dict[str, Any]) -> str:
    number = "1 model" if facts["models"] == 1 else f"{facts['models']} models"
    unknown = facts["unknownRam"]
    if not unknown:
        return f"{number}, {gigabytes(facts['requiredRamGb'])} GB RAM"
    names = ", ".join(unknown)
    if len(unknown) == facts["models"]:
        return f"{number}, unknown RAM ({names})"
    return f"{number}, {gigabytes(facts['requiredRamGb'])} GB RAM and what is unknown of {names}"


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
