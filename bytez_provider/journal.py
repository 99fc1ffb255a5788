"""Which loads this machine began and has not finished, and who holds an adopted one.

One small file a load, so that a killed deployment leaves a trace that the next one finds. A
journal that cannot be written or read costs that trace, never the deployment: it is one warning a
process, and what the disk did not take, this process remembers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bytez_provider.errors import printable
from bytez_provider.schemas import iso, moment_of
from bytez_provider.urns import project_of, stack_of


@dataclass(frozen=True)
class Note:
    """A load that was begun for a resource.

    Attributes:
        urn: The resource it was begun for.
        model_id: The model.
        began: Server time just before the first request.
        concurrency: What was asked for; what runs may differ, where the service rounds.
        expiration_period_seconds: What was asked for, None for nothing.
        created: What identifies the load, once it is known.
    """

    urn: str
    model_id: str
    began: datetime
    concurrency: int
    expiration_period_seconds: int | None = None
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
    from platformdirs import user_state_path

    return user_state_path("bytez-provider", appauthor=False)


def _at_once(do: Callable[[], None]) -> None:
    do()


class Journal:
    """The notes of one account at one endpoint; safe to use from many threads."""

    def __init__(
        self,
        folder: Path,
        *,
        endpoint: str,
        account: str,
        warn: Callable[[str], None],
        once_saved: Callable[[Callable[[], None]], None] = _at_once,
    ) -> None:
        """Make a journal; nothing is read yet.

        Args:
            folder: Where the files are.
            endpoint: The service.
            account: The account; each has notes of its own.
            warn: Shows a warning.
            once_saved: Does something when what a call is about to answer is in Pulumi's state.
        """
        self._folder = folder
        self._once_saved = once_saved
        self._owner = {"endpoint": endpoint, "account": account}
        self._warn = warn
        self._complained = threading.Event()
        # What the disk did not take; None is "removed".
        self._unsaved: dict[str, dict[str, Any] | None] = {}
        self._own: set[str] = set()

    # ---------------------------------------------------------------------- unfinished loads

    def note(self, urn: str | None) -> Note | None:
        """Return the unfinished load of a resource; None without a URN: never resume unnamed."""
        return None if urn is None else _note_of(self._read(self._file("load", urn)))

    def note_about(self, model_id: str, urn: str | None) -> Note | None:
        """Return the unfinished load of a resource, where it is about this model.

        A killed deployment may have noted another under this URN, before a resource was renamed.
        """
        note = self.note(urn)
        return note if note is not None and note.model_id == model_id else None

    def write(self, note: Note) -> None:
        """Keep a note, in place of an earlier one of the same resource.

        Not without a URN: nothing could find it again, or tell whose it is.
        """
        if not note.urn:
            return
        name = self._file("load", note.urn)
        self._own.add(name)
        self._save(
            name,
            {
                "urn": note.urn,
                "modelId": note.model_id,
                "began": iso(note.began),
                "concurrency": note.concurrency,
                "expirationPeriodSeconds": note.expiration_period_seconds,
                "created": iso(note.created) if note.created else None,
            },
        )

    def finish(self, model_id: str, urn: str | None) -> None:
        """Forget the load of a resource as soon as Pulumi's state names it, and not before."""
        if self.note_about(model_id, urn) is not None:
            self._once_saved(lambda: self.forget(model_id, urn))

    def identify(self, model_id: str, urn: str | None, created: datetime | None) -> None:
        """Let a note stand for the load that it turned out to be about, and for no later one."""
        note = self.note_about(model_id, urn)
        if note is not None:
            self.write(dataclasses.replace(note, created=created))

    def clear(self, urn: str | None) -> None:
        """Forget the load of a resource: there is none, or Pulumi's state names it."""
        if urn is not None:
            self._remove(self._file("load", urn))

    def forget(self, model_id: str, urn: str | None) -> None:
        """Forget the load of a resource, where it is about this model."""
        if self.note_about(model_id, urn) is not None:
            self.clear(urn)

    def forget_named(
        self, model_id: str, created: datetime | None, urn: str | None, *, of_stack: bool
    ) -> None:
        """Forget the very load that the state of a resource names: who was killed could not do it.

        Args:
            model_id: The model.
            created: What identifies the load; of one that nothing identifies nothing is forgotten.
            urn: The resource.
            of_stack: Also what was noted for others of its stack: it may have been renamed.
        """
        if created is None or urn is None:
            return
        notes = [self.note(urn)]
        if of_stack:
            notes += [one for one in self.of_other_processes() if _stack(one.urn) == _stack(urn)]
        for note in notes:
            if note is not None and (note.model_id, note.created) == (model_id, created):
                self.clear(note.urn)

    def forget_earlier(self, accepted: Note) -> None:
        """Forget what killed deployments noted of the same model for other resources.

        It was not loaded, so their loads are gone; and they would take this one for their own,
        where it is made soon after theirs.
        """
        for note in self.of_other_processes():
            if note.model_id == accepted.model_id and note.urn != accepted.urn:
                self.clear(note.urn)

    def put_back(self, note: Note | None, urn: str | None) -> None:
        """Say again what was said before a call, or nothing."""
        if note is None:
            self.clear(urn)
        else:
            self.write(note)

    def unfinished(self) -> list[Note]:
        """Return all loads begun and not finished, oldest first."""
        return self._notes(self._names())

    def of_other_processes(self) -> list[Note]:
        """Return the unfinished loads that this process did not note, oldest first.

        Its own are left unread: of a large stack there are many, and each load asks.
        """
        return self._notes(self._names() - self._own)

    def _names(self) -> set[str]:
        names = {name for name in self._unsaved if name.startswith("load-")}
        try:
            names.update(path.name for path in self._folder.glob("load-*.json"))
        except OSError as error:
            self._complain("read", error)
        return names

    def _notes(self, names: set[str]) -> list[Note]:
        notes = [_note_of(self._read(name)) for name in names]
        return sorted((note for note in notes if note), key=lambda note: (note.began, note.urn))

    # ------------------------------------------------------------------------------- holders

    def holder(self, model_id: str) -> Holder | None:
        """Return who last adopted an instance of the model."""
        kept = self._read(self._file("holder", model_id))
        if kept is None or not isinstance(kept.get("adoptedAt"), str):
            return None
        return Holder(created=moment_of(kept.get("created")), adopted_at=kept["adoptedAt"])

    def holder_of(self, model_id: str, created: datetime | None) -> Holder | None:
        """Return who adopted this very load last."""
        holder = self.holder(model_id)
        return holder if holder is not None and holder.created == created else None

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
        if name in self._unsaved:
            return self._unsaved[name]
        try:
            kept = json.loads((self._folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            self._complain("read", error)
            return None
        if not isinstance(kept, dict):
            self._complain("read", ValueError(f"{name} holds no note"))
            return None
        # The listing of unfinished loads meets the notes of other accounts too.
        return kept if all(kept.get(k) == v for k, v in self._owner.items()) else None

    def _save(self, name: str, content: dict[str, Any]) -> None:
        content = {**self._owner, **content}
        temporary = None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".tmp")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file)
            Path(temporary).replace(self._folder / name)
        except OSError as error:
            self._unsaved[name] = content
            self._complain("write", error)
            if temporary is not None:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink(missing_ok=True)
        else:
            self._unsaved.pop(name, None)

    def _remove(self, name: str) -> None:
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            self._unsaved[name] = None
            self._complain("write", error)
        else:
            self._unsaved.pop(name, None)

    def _complain(self, verb: str, error: Exception) -> None:
        if self._complained.is_set():
            return
        self._complained.set()
        reason = getattr(error, "strerror", None) or str(error)
        self._warn(
            f"could not {verb} the journal in {self._folder}: {printable(str(reason))}. "
            "A deployment that is killed now may not be picked up by the next one. "
            "Mend the folder, or name another in BYTEZ_JOURNAL."
        )


def _note_of(kept: dict[str, Any] | None) -> Note | None:
    if kept is None:
        return None
    urn, model_id, concurrency = (kept.get(name) for name in ("urn", "modelId", "concurrency"))
    began, asked = moment_of(kept.get("began")), kept.get("expirationPeriodSeconds")
    if not (isinstance(urn, str) and isinstance(model_id, str) and isinstance(concurrency, int)):
        return None
    if began is None or not (asked is None or isinstance(asked, int)):
        return None
    created = moment_of(kept.get("created"))
    return Note(urn, model_id, began, concurrency, asked, created)


def _stack(urn: str) -> tuple[str, str]:
    return project_of(urn), stack_of(urn)
