"""`doctor`: what is set and where, what answers, and what to do about the rest."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bytez_provider import __version__
from bytez_provider.audit import Standing
from bytez_provider.base.errors import (
    BytezError,
    CreditsError,
    ErrorCode,
    RateLimitedError,
    UnreachableError,
    printable,
)
from bytez_provider.base.words import duration
from bytez_provider.cli.screen import DONE, FOUND, Screen
from bytez_provider.cli.session import Session, at_host
from bytez_provider.cli.stacks import INSTALL_PULUMI, own_source, pulumi_version
from bytez_provider.core.messages import resource_of
from bytez_provider.core.ownership import ChangedError, Phase, Record, Store
from bytez_provider.service.apis import APIS
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.client import BytezClient
from bytez_provider.service.pricing import prices_of
from bytez_provider.service.schemas import Instance, iso
from bytez_provider.service.settings import SET_KEY, ApiVersion

_PROBE = "openai-community/gpt2"
"""The model whose status is asked for (vendor doc: its own example)."""
_SKEW_SECONDS = 30
_NO_RECORD = "doctor.json"
_NO_VERSION = {"e_tag": '"0"', "version": "0"}
"""A version that no object in a bucket has."""
_COLUMNS = ("", "", "...")

_REFUSED = {ErrorCode.CREDITS: "credits", ErrorCode.AUTHENTICATION: "key accepted"}
"""The check that fails although the service answers."""

_Verdict = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    name: str
    verdict: _Verdict
    observed: str
    action: str | None = None
    """What to do; None if all is well."""
    code: str | None = None
    """The `ErrorCode` value of the error that was met."""


def doctor(stack: str | None, screen: Screen) -> int:
    """Check everything, and show all of it even if some of it is not in order."""
    checks = list(_checks(stack, screen))
    failed = any(check.verdict == "failed" for check in checks)
    screen.document({"ok": not failed, "checks": [dataclasses.asdict(check) for check in checks]})
    rows: list[tuple[str, str, str]] = []
    for check in checks:
        rows.append((check.verdict, check.name, check.observed))
        if check.action:
            rows.append(("", "", f"-> {check.action}"))
    screen.table(_COLUMNS, rows)
    return FOUND if failed else DONE


def _checks(stack: str | None, screen: Screen) -> Iterator[Check]:
    python = platform.python_version()
    yield Check("version", "ok", f"bytez-provider {__version__}, Python {python}")
    try:
        session = Session(stack, screen)
    except BytezError as error:
        yield _of("settings", error)
    else:
        yield from _settings(session)
        if session.settings.key is not None:
            yield from _service(session)
        yield from _journal(session)
    yield _pulumi()


def _of(name: str, error: BytezError, verdict: _Verdict = "failed") -> Check:
    return Check(name, verdict, error.observed, error.action, error.code.value)


# ------------------------------------------------------------------------------------ settings


def _settings(session: Session) -> Iterator[Check]:
    settings = session.settings

    def source(name: str, variable: str | None = None) -> str:
        if session.stack_config.get(f"bytez:{name}", "").strip():
            return f"bytez:{name} of stack '{session.stack}'"
        if variable and os.environ.get(variable, "").strip():
            return variable
        return "the default"

    if settings.key is None:
        action = f"Set it with {SET_KEY}, or as BYTEZ_KEY"
        yield Check("key", "failed", "not set", action, ErrorCode.MISSING_KEY.value)
    else:
        yield Check("key", "ok", f"set in {source('key', 'BYTEZ_KEY')}")
    yield Check("endpoint", "ok", f"{settings.endpoint} ({source('endpoint', 'BYTEZ_ENDPOINT')})")
    yield Check("API version", "ok", f"{settings.api_version} ({source('apiVersion')})")
    price = f"${settings.price_per_gb_second:f} per GB-second ({source('pricePerGbSecond')})"
    prices = prices_of(settings)
    if prices.per_gb_second is None:
        price = f"that of each size of an instance (the vendor's of {prices.date})"
    yield Check("price", "ok", price)


# ------------------------------------------------------------------------------------- service


def _service(session: Session) -> Iterator[Check]:
    """Ask for a status first, the smallest question that needs a key."""
    start = session.clock.monotonic()
    try:
        session.client.status(_PROBE, tries=1)
    except BytezError as error:
        yield from _refusal(error, session)
        return
    milliseconds = (session.clock.monotonic() - start) * 1000
    yield Check("service", "ok", f"answers in {milliseconds:.0f} ms")
    yield Check("key accepted", "ok", "yes")
    versions = sorted([session.settings.api_version, *_other_versions(session)])
    yield Check("API versions", "ok", f"answers to {', '.join(versions)}")
    yield _clock(session)
    yield _catalogue(session)
    yield _instances(session)


def _refusal(error: BytezError, session: Session) -> Iterator[Check]:
    """Yield why the service did not return the status."""
    is_of_this_version = isinstance(error, (UnreachableError, RateLimitedError, CreditsError))
    if not is_of_this_version and (others := _other_versions(session)):
        yield Check(
            "API version answered",
            "failed",
            f"the service answers to the {' and the '.join(others)} API, not to the "
            f"{session.settings.api_version} API",
            f"Run `pulumi config set bytez:apiVersion {others[0]}`, and give --stack here",
            error.code.value,
        )
    elif error.code in _REFUSED:
        yield Check("service", "ok", "answers")
        yield _of(_REFUSED[error.code], error)
    else:
        yield _of("service", error, "warning" if error.code is ErrorCode.RATE_LIMITED else "failed")


def _other_versions(session: Session) -> list[ApiVersion]:
    """Return the other API versions that the service answers to; a status changes nothing."""
    found: list[ApiVersion] = []
    for other in APIS:
        if other != session.settings.api_version:
            settings = dataclasses.replace(session.settings, api_version=other)
            with contextlib.suppress(BytezError):
                BytezClient(settings, clock=session.clock).status(_PROBE, tries=1)
                found.append(other)
    return found


def _clock(session: Session) -> Check:
    skew = (session.clock.now() - session.client.server_now()).total_seconds()
    if abs(skew) <= _SKEW_SECONDS:
        return Check("clock", "ok", f"within {_SKEW_SECONDS} s of the service's")
    direction = "ahead of" if skew > 0 else "behind"
    return Check(
        "clock",
        "warning",
        f"{duration(abs(skew))} {direction} the service's",
        "Set this machine's clock. (Loads are timed by the service's clock.)",
    )


def _catalogue(session: Session) -> Check:
    setting = session.settings.catalogue
    if setting != "live":
        return Check("catalogue", "ok", f"not asked for: bytez:catalogue is {setting}")
    try:
        found = Catalogue(session.client.models(), is_live=True).entries()
    except BytezError as error:
        return _of("catalogue", error, "warning")
    unknown = sum(entry.required_ram_gb is None for entry in found)
    return Check("catalogue", "ok", f"{len(found)} models, {unknown} with unknown RAM and cost")


def _instances(session: Session) -> Check:
    try:
        return Check("instances", "ok", f"{len(session.client.instances())} loaded")
    except BytezError as error:
        return _of("instances", error, "warning")


# -------------------------------------------------------------------------------- this machine


def _journal(session: Session) -> Iterator[Check]:
    try:
        journal = _kept(session.ledger.store)
        records = [one for one in session.ledger.records() if one.is_unfinished]
        held = session.held(records)
    except BytezError as error:
        yield _of("journal", error)
        return
    yield journal
    yield _unfinished(session, records, held)


def _kept(store: Store) -> Check:
    """Check whether the journal can be written, and leave nothing in it.

    Raises:
        JournalError: A shared journal cannot be written.
    """
    can_write = True
    if store.is_shared:
        try:
            # A bucket that can be written refuses this, because it has no object of this version.
            store.write(_NO_RECORD, b"", _NO_VERSION, durable=False)
            can_write = False
        except ChangedError:
            pass
    else:
        folder = Path(store.place)
        there = next(place for place in (folder, *folder.parents) if place.exists())
        can_write = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    if can_write:
        return Check("journal", "ok", store.place)
    action = "Make it writable, or name another place in BYTEZ_JOURNAL"
    return Check(
        "journal", "warning", f"{store.place} cannot be written", action, ErrorCode.JOURNAL.value
    )


def _unfinished(session: Session, records: Sequence[Record], held: Collection[str]) -> Check:
    """Check what was begun and is in no state, as far as the state of the stack can be read."""
    try:
        states = session.states(own_source(session), held)
    except BytezError:
        states = session.states([], held)
    unanswered, unsaved, others = [], [], []
    for record in records:
        name = printable(record.model_id, limit=100)
        begun = f"{name} by {resource_of(record.owner)} at {iso(record.began)}"
        standing = states.standing(record, _live(session, record))
        if standing is Standing.HELD:
            others.append(f"in progress: {begun}{at_host(record)}")
        elif standing is Standing.LEFT and states.sources:
            unsaved.append(begun)
        elif standing is not Standing.FINISHED and record.phase is Phase.REQUESTED:
            unanswered.append(begun)
        elif standing is Standing.UNDECIDED:
            others.append(f"begun, and finished if the state of its stack names it: {begun}")
    left = [*unanswered, *unsaved]
    if not left:
        return Check("unfinished", "ok", "; ".join(others) or "nothing")
    # A command with the states of some stacks leaves alone the loads of others.
    flags = [f" --stack {source.name}" for source in states.sources] if unsaved else []
    commands = " and ".join(
        f"`bytez-fleet unload --unfinished{flag}`"
        for flag in ([""] if unanswered or not flags else []) + flags
    )
    return Check(
        "unfinished",
        "failed",
        "; ".join([f"begun and not finished: {', '.join(left)}", *others]),
        f"If no `pulumi up` is running now, run it again, or run {commands}",
    )


def _live(session: Session, record: Record) -> Instance | None:
    """Return what runs, if nothing else can show whether a state names it."""
    if record.created is not None or session.settings.key is None:
        return None
    try:
        return session.live(record.model_id)
    except BytezError:
        return None


def _pulumi() -> Check:
    version = pulumi_version()
    if version is None:
        return Check("pulumi", "warning", "not on PATH", f"Install it from {INSTALL_PULUMI}")
    return Check("pulumi", "ok", version)
