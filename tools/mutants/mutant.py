"""A mutant: the code with one guard taken out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class MisfitError(Exception):
    """The code has changed, and the mutant with it must."""


@dataclass(frozen=True)
class Mutant:
    """A guard, taken out.

    Attributes:
        guard: What guards, in words; unique.
        path: The file, from the root.
        old: The lines with the guard, which occur in the file once.
        new: The same lines without it.
        tests: Tests that are to notice, as pytest is given them.
    """

    guard: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, root: Path) -> str:
        """Return the text of the file with the guard taken out.

        Raises:
            MisfitError: Its lines do not occur, or occur more than once.
        """
        text = (root / self.path).read_text(encoding="utf-8")
        found = text.count(self.old)
        if found != 1:
            raise MisfitError(f"'{self.guard}': its lines occur {found} times in {self.path}")
        return text.replace(self.old, self.new)
