"""`doctor`: what answers, what is set and where, and what to do about the rest."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from bytez_provider import __version__
from bytez_provider.audit import Source, Standing, States
from bytez_provider.base.errors import (
    AuthenticationError,
    BytezError,
    CreditsError,
    RateLimitedError,
    UnreachableError,
    printable,
)
from bytez_provider.base.words import duration
from bytez_provider.cli import exits
from bytez_provider.cli.screen import Column, Screen
from bytez_provider.cli.session import Session
from bytez_provider.cli.sources import source_of_stack
from bytez_provider.cli.stack import INSTALL_PULUMI, is_in_project, pulumi_version
from bytez_provider.core.messages import named
from bytez_provider.core.ownership import ChangedError, Phase, Record, Store
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Instance, iso
from bytez_provider.service.settings import SET_KEY, ApiVersion

_PROBE = "openai-community/gpt2"
"""The model whose status is asked for: the seed's own example."""
_SKEW_SECONDS = 30
_NO_RECORD = "doctor.json"
_NO_VERSION = {"e_tag": '"0"', "version": "0"}
"""What a bucket has never given to anything that is in it."""
_EXTRAS = {
    "cli": ("typer", "rich"),
    "emulator": ("starlette", "uvicorn"),
    "policy": ("pulumi_policy",),
}
_COLUMNS = (Column(""), Column(""), Column("", folds=True))


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    verdict: Literal["ok", "warning", "failed"]
    observed: str
    action: str | None = None
    """What to do; None where all is well."""


def doctor(stack: str | None, screen: Screen) -> int:
    """Look at everything and tell all of it, also when some of it is not in order."""
    checks = list(_checks(stack, screen))
    failed = any(check.verdict == "failed" for check in checks)
    screen.document({"ok": not failed, "checks": [_document(check) for check in checks]})
    screen.table(_COLUMNS, [row for check in checks for row in _rows(check)])
    return exits.FOUND if failed else exits.DONE


def _document(check: Check) -> dict[str, Any]:
    return dataclasses.asdict(check)


def _rows(check: Check) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = [(check.verdict, check.name, check.observed)]
    if check.action:
        rows.append(("", "", f"-> {check.action}"))
    return rows


def _checks(stack: str | None, screen: Screen) -> Iterator[Check]:
    yield Check(
        "version", "ok", f"bytez-provider {__version__}, Python {platform.python_version()}"
    )
    try:
        session = Session(stack, screen)
    except BytezError as error:
        yield Check("settings", "failed", error.observed, error.action)
    else:
        yield from _settings(session)
        if session.settings.key is not None:
            yield from _service(session)
        yield from _journal(session)
    yield _pulumi()
    yield _extras()


# ------------------------------------------------------------------------------- settings


def _settings(session: Session) -> Iterator[Check]:
    settings = session.settings

    def source(name: str, variable: str | None = None) -> str:
        if session.stack_config.get(f"bytez:{name}", "").strip():
            return f"bytez:{name} of stack '{session.stack}'"
        if variable and os.environ.get(variable, "").strip():
            return variable
        return "the default"

    if settings.key is None:
        yield Check("key", "failed", "not set", f"Set it with {SET_KEY}, or as BYTEZ_KEY")
    else:
        yield Check("key", "ok", f"set in {source('key', 'BYTEZ_KEY')}")
    endpoint_source = source("endpoint", "BYTEZ_ENDPOINT")
    yield Check("endpoint", "ok", f"{settings.endpoint} ({endpoint_source})")
    yield Check("apiVersion", "ok", f"{settings.api_version} ({source('apiVersion')})")
    price = f"${settings.price_per_gb_second:f} a GB-second"
    yield Check("price", "ok", f"{price} ({source('pricePerGbSecond')})")


# -------------------------------------------------------------------------------- service


def _service(session: Session) -> Iterator[Check]:
    """Ask for a status first: the smallest question that needs a key."""
    start = session.clock.monotonic()
    try:
        session.client.status(_PROBE, tries=1)
    except BytezError as error:
        yield from _refusal(error, session)
        return
    milliseconds = (session.clock.monotonic() - start) * 1000
    yield Check("service", "ok", f"answers in {milliseconds:.0f} ms")
    yield Check("key accepted", "ok", "yes")
    yield _clock(session)
    yield _catalogue(session)
    yield _instances(session)


def _refusal(error: BytezError, session: Session) -> Iterator[Check]:
    """Tell why the service did not say what it was asked for."""
    if isinstance(error, UnreachableError):
        yield Check("service", "failed", error.observed, error.action)
    elif isinstance(error, RateLimitedError):
        yield Check("service", "warning", error.observed, error.action)
    elif isinstance(error, CreditsError):
        yield Check("service", "ok", "answers")
        yield Check("credits", "failed", error.observed, error.action)
    elif (spoken := _other_version(session)) is not None:
        yield Check(
            "API version spoken",
            "failed",
            f"the service answers to '{spoken}', not to '{session.settings.api_version}'",
            f"Run `pulumi config set bytez:apiVersion {spoken}`, and give --stack here",
        )
    elif isinstance(error, AuthenticationError):
        yield Check("service", "ok", "answers")
        yield Check("key accepted", "failed", error.observed, error.action)
    else:
        yield Check("service", "failed", error.observed, error.action)


def _other_version(session: Session) -> ApiVersion | None:
    """Return the other API version where that gets an answer."""
    other: ApiVersion = "2024-06" if session.settings.api_version == "2024-05" else "2024-05"
    settings = dataclasses.replace(session.settings, api_version=other)
    try:
        BytezClient(settings, clock=session.clock).status(_PROBE, tries=1)
    except BytezError:
        return None
    return other


def _clock(session: Session) -> Check:
    skew = (session.clock.now() - session.client.server_now()).total_seconds()
    if abs(skew) <= _SKEW_SECONDS:
        return Check("clock", "ok", f"within {_SKEW_SECONDS} s of the service's")
    direction = "ahead of" if skew > 0 else "behind"
    return Check(
        "clock",
        "warning",
        f"this machine's is {duration(abs(skew))} {direction} the service's",
        "Set this machine's clock. (Loads are timed by the service's all the same.)",
    )


def _catalogue(session: Session) -> Check:
    if session.settings.catalogue != "live":
        return Check(
            "catalogue", "ok", f"not asked: bytez:catalogue is {session.settings.catalogue}"
        )
    try:
        found = Catalogue(session.client.models(), is_live=True).entries()
    except BytezError as error:
        return Check("catalogue", "warning", error.observed, error.action)
    unknown = sum(entry.required_ram_gb is None for entry in found)
    return Check("catalogue", "ok", f"{len(found)} models, {unknown} of unknown RAM and cost")


def _instances(session: Session) -> Check:
    try:
        loaded = session.client.instances()
    except BytezError as error:
        return Check("instances", "warning", error.observed, error.action)
    return Check("instances", "ok", f"{len(loaded)} loaded")


# --------------------------------------------------------------------------- this machine


def _journal(session: Session) -> Iterator[Check]:
    """Look at the journal, and at what it has of loads that may be in no state."""
    try:
        journal = _kept(session.ledger.store)
        records = [one for one in session.ledger.records() if one.is_unfinished]
        held = session.held(records)
    except BytezError as error:
        yield Check("journal", "failed", error.observed, error.action)
        return
    yield journal
    yield _unfinished(session, records, held)


def _kept(store: Store) -> Check:
    """Say whether records can be kept where the journal is; nothing is left there.

    Raises:
        JournalError: They cannot, and whoever chose the place relies on it.
    """
    if store.is_shared:
        try:
            # Refused by a place that can be written: nothing of this name is there.
            store.write(_NO_RECORD, b"", _NO_VERSION, durable=False)
        except ChangedError:
            return Check("journal", "ok", store.place)
    else:
        folder = Path(store.place)
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            return Check("journal", "ok", store.place)
    action = "Make it writable, or name another place in BYTEZ_JOURNAL"
    return Check("journal", "warning", f"{store.place} cannot be written", action)


def _unfinished(session: Session, records: Sequence[Record], held: Collection[str]) -> Check:
    """Say what was begun and is in no state, as far as the state of the stack can be read."""
    states = States(_sources(session), session.settings.endpoint, session.settings.account)
    unanswered, unsaved, others = [], [], []
    for record in records:
        name = printable(record.model_id, limit=100)
        begun = f"{name} by {named(record.owner)} at {iso(record.began)}"
        standing = states.standing(record, _live(session, record), is_held=record.model_id in held)
        if standing is Standing.HELD:
            at = f" on machine '{printable(record.host, limit=60)}'" if record.host else ""
            others.append(f"at work now: {begun}{at}")
        elif standing is Standing.LEFT and states.sources:
            unsaved.append(begun)
        elif standing is not Standing.FINISHED and record.phase is Phase.REQUESTED:
            unanswered.append(begun)
        elif standing is Standing.UNTOLD:
            others.append(f"begun, and finished if the state of its stack names it: {begun}")
    left = [*unanswered, *unsaved]
    if not left:
        return Check("unfinished", "ok", "; ".join(others) or "nothing")
    # With the states of some stacks, that of another one is not unloaded.
    flags = [*([""] if unanswered else []), *(f" --stack {s.name}" for s in states.sources)]
    commands = " and ".join(
        f"`bytez-fleet unload --unfinished{flag}`" for flag in (flags if unsaved else [""])
    )
    return Check(
        "unfinished",
        "failed",
        "; ".join([f"begun and not finished: {', '.join(left)}", *others]),
        f"Where no `pulumi up` is running now, run it again, or run {commands}",
    )


def _live(session: Session, record: Record) -> Instance | None:
    """Return what runs, where nothing else can say whether a state names it."""
    if record.created is not None or session.settings.key is None:
        return None
    try:
        return session.live(record.model_id)
    except BytezError:
        return None


def _sources(session: Session) -> list[Source]:
    """Return the state of the stack, or of the selected one; none where it cannot be read."""
    if session.stack is None and not is_in_project():
        return []
    try:
        return [source_of_stack(session, session.stack)]
    except BytezError:
        return []


def _pulumi() -> Check:
    version = pulumi_version()
    if version is None:
        action = f"Install it from {INSTALL_PULUMI}"
        return Check("pulumi", "warning", "none on PATH that answers", action)
    return Check("pulumi", "ok", version)


def _extras() -> Check:
    missing = [name for name, modules in _EXTRAS.items() if not all(map(_is_there, modules))]
    if not missing:
        return Check("extras", "ok", ", ".join(_EXTRAS))
    return Check("extras", "ok", f"not installed, for those who want them: {', '.join(missing)}")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        # The parent of a dotted name is missing.
        return False
