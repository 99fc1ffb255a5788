"""Which loads this machine began and has not finished, and who holds an adopted one.

One small file a load, so that a killed deployment leaves a trace that the next one finds. A
journal that cannot be written or read costs that trace, never the deployment: it is a warning,
and what this process wrote it still remembers.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bytez_provider.errors import printable
from bytez_provider.schemas import iso, moment_of


@dataclass(frozen=True)
class Note:
    """A load that was begun for a resource.

    Attributes:
        urn: The resource it was begun for.
        model_id: The model.
        began: Server time just before the first request.
        created: What identifies the load, once it is known.
    """

    urn: str
    model_id: str
    began: datetime
    created: datetime | None = None


@dataclass(frozen=True)
class Holder:
    """Who took an instance over: of several resources that name one load, the last adopter."""

    created: datetime | None
    adopted_at: str


def journal_folder(environ: Mapping[str, str]) -> Path:
    """Return `BYTEZ_JOURNAL`, or the platform's folder for a program's state."""
    chosen = environ.get("BYTEZ_JOURNAL")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_state_path  # noqa: PLC0415  (only when nothing is chosen)

    return user_state_path("bytez-provider", appauthor=False)


class Journal:
    """The notes of one account at one endpoint; safe to use from many threads."""

    def __init__(
        self, folder: Path, *, endpoint: str, account: str, warn: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._owner = {"endpoint": endpoint, "account": account}
        self._warn = warn
        # What this process wrote, also where the disk did not take it; None is "cleared".
        self._written: dict[str, dict[str, Any] | None] = {}

    # ---------------------------------------------------------------------- unfinished loads

    def note(self, urn: str | None) -> Note | None:
        """Return the unfinished load of a resource; None without a URN: never resume unnamed."""
        return None if urn is None else _note_of(self._read(self._file("load", urn)))

    def write(self, note: Note) -> None:
        """Keep a note, in place of an earlier one of the same resource."""
        self._save(
            self._file("load", note.urn),
            {
                "urn": note.urn,
                "modelId": note.model_id,
                "began": iso(note.began),
                "created": iso(note.created) if note.created else None,
            },
        )

    def clear(self, urn: str | None) -> None:
        """Forget the load of a resource: it is finished, or Pulumi's state names it."""
        if urn is not None:
            self._remove(self._file("load", urn))

    def unfinished(self) -> list[Note]:
        """Return all loads begun and not finished, oldest first."""
        names = {name for name in self._written if name.startswith("load-")}
        try:
            names.update(path.name for path in self._folder.glob("load-*.json"))
        except OSError as error:
            self._complain("read", error)
        notes = [_note_of(self._read(name)) for name in names]
        return sorted((note for note in notes if note), key=lambda note: (note.began, note.urn))

    # ------------------------------------------------------------------------------- holders

    def holder(self, model_id: str) -> Holder | None:
        """Return who last adopted an instance of the model."""
        kept = self._read(self._file("holder", model_id))
        if kept is None or not isinstance(kept.get("adoptedAt"), str):
            return None
        return Holder(created=moment_of(kept.get("created")), adopted_at=kept["adoptedAt"])

    def hold(self, model_id: str, holder: Holder) -> None:
        """Note that the instance was taken over, so that its older resources leave it alone."""
        self._save(
            self._file("holder", model_id),
            {
                "modelId": model_id,
                "created": iso(holder.created) if holder.created else None,
                "adoptedAt": holder.adopted_at,
            },
        )

    def release(self, model_id: str) -> None:
        """Forget the holder: the instance is gone."""
        self._remove(self._file("holder", model_id))

    # --------------------------------------------------------------------------------- files

    def _file(self, kind: str, subject: str) -> str:
        parts = "\n".join((self._owner["endpoint"], self._owner["account"], subject))
        return f"{kind}-{hashlib.sha256(parts.encode()).hexdigest()[:32]}.json"

    def _read(self, name: str) -> dict[str, Any] | None:
        if name in self._written:
            return self._written[name]
        try:
            kept = json.loads((self._folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._complain("read", error)
            return None
        if not isinstance(kept, dict):
            self._complain("read", ValueError(f"{name} is not a note"))
            return None
        # The listing of unfinished loads meets the notes of other accounts too.
        return kept if all(kept.get(k) == v for k, v in self._owner.items()) else None

    def _save(self, name: str, content: dict[str, Any]) -> None:
        content = {**self._owner, **content}
        self._written[name] = content
        temporary = None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".tmp")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file)
            Path(temporary).replace(self._folder / name)
        except OSError as error:
            self._complain("write", error)
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)

    def _remove(self, name: str) -> None:
        self._written[name] = None
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            self._complain("write", error)

    def _complain(self, verb: str, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        self._warn(
            f"could not {verb} the journal in {self._folder}: {printable(str(reason))}. "
            "A deployment that is killed now may not be picked up by the next one. "
            "Make the folder writable, or name another in BYTEZ_JOURNAL."
        )


def _note_of(kept: dict[str, Any] | None) -> Note | None:
    if kept is None:
        return None
    began = moment_of(kept.get("began"))
    urn, model_id = kept.get("urn"), kept.get("modelId")
    if began is None or not isinstance(urn, str) or not isinstance(model_id, str):
        return None
    return Note(urn=urn, model_id=model_id, began=began, created=moment_of(kept.get("created")))
