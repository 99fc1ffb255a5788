"""What is wrong with a file, collected, and the error that tells it."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from bytez_provider.base.errors import InvalidFileError, Problem

MOST_PROBLEMS = 100
"""So many are told; who made more has made one mistake many times."""

_COMPARED_LENGTH = 100


class Place(NamedTuple):
    """Where a key or a value stands."""

    file: str
    """The file, as it was named to us."""
    line: int
    """From 1."""
    column: int
    """In characters, from 1."""


class Problems:
    """The problems of a fleet file and its overlay, each told once."""

    def __init__(self, path: Path, environment: str | None) -> None:
        self._path = path
        self._environment = environment
        self._found: dict[Problem, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, place: Place, reason: str, meant: Iterable[str] = ()) -> None:
        """Note what is wrong at a place.

        Raises:
            InvalidFileError: it is enough.
        """
        self._add(Problem(*place, reason, tuple(meant)))

    def add_of_file(self, path: Path, reason: str) -> None:
        """Note what is wrong with a file as a whole; the reason names it."""
        self._add(Problem(named(path), None, None, reason))

    def _add(self, problem: Problem) -> None:
        self._found[problem] = None
        if len(self._found) >= MOST_PROBLEMS:
            raise self.error()

    def error(self) -> InvalidFileError:
        """Return the error that tells them all; there must be one."""
        files = list(dict.fromkeys(problem.file for problem in self._found))
        problems = sorted(
            self._found, key=lambda one: (files.index(one.file), one.line or 0, one.column or 0)
        )
        first = problems[0]
        perhaps = f", perhaps '{first.meant[0]}' is meant" if first.meant else ""
        where = f"{first.file}:{first.line}: " if first.line else ""
        others = len(problems) - 1
        if others + 1 >= MOST_PROBLEMS:
            rest = f"; there are at least {others} more"
        else:
            rest = f"; there {'are' if others > 1 else 'is'} {others} more" if others else ""
        action = f"Correct it, and check it with `{self._command()}`"
        if first.line is None:
            action = "Give another name, or mend what is in the way"
        return InvalidFileError(
            verb="read",
            subject=named(self._path),
            observed=f"{where}{first.reason}{perhaps}{rest}",
            action=action,
            problems=tuple(problems),
        )

    def _command(self) -> str:
        words = ["bytez-fleet", "validate", named(self._path)]
        if self._environment is not None:
            words += ["--environment", self._environment]
        return shlex.join(words)


def named(path: Path) -> str:
    """Return a path as it is shown."""
    return visible(str(path), limit=200)


def quoted(text: str) -> str:
    """Return text of a file as it is shown."""
    return f"'{visible(text)}'"


def visible(text: str, *, limit: int = 60) -> str:
    """Return text in which nothing is unseen: a name may differ by a no-break space alone."""
    shown = "".join(one if one.isprintable() else f"<U+{ord(one):04X}>" for one in text[:limit])
    return shown if len(text) <= limit else shown + "…"


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Return the name that was likely meant, or nothing; model_id is modelId."""
    by_letters = {_letters(one): one for one in names}
    return [by_letters[one] for one in difflib.get_close_matches(_letters(name), by_letters, n=1)]


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name[:_COMPARED_LENGTH]).lower()
