"""Saved plans, in both forms of `pulumi preview --json`.

The digest is one document (`steps`, `diagnostics`, `changeSummary`). The streaming form, asked for
with PULUMI_ENABLE_STREAMING_JSON_PREVIEW=true, is the engine's events, one a line; only that one
has policy results and times, only the digest says what depends on what. Neither form is documented
as stable: what is not understood is passed over, and what is not a plan at all is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bytez_provider.base.errors import InvalidFileError, printable
from bytez_provider.base.urns import MODEL_TYPE, READINESS_TYPE
from bytez_provider.review._document import GapCode
from bytez_provider.review._plan import (
    Complaint,
    Missing,
    Plan,
    Refreshed,
    ResourceState,
    Step,
    Violation,
)
from bytez_provider.stack.marks import masked

_REPLACING = ("replace", "create-replacement", "delete-replaced", "import-replacement")
_HOW = "Save one with `pulumi preview --json`"


def read_plan(path: Path) -> Plan:
    """Read a saved plan, whichever form it has.

    Raises:
        InvalidFileError: it cannot be read, or is not a plan.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise _unreadable(path, why, "Name a file that can be read") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and _is_event(document):
        return from_events([document])
    if isinstance(document, dict):
        if not isinstance(document.get("steps"), list):
            raise _unreadable(path, "it has no `steps`", _HOW)
        return from_digest(document)
    return from_events(_events_of(text, path))


def _events_of(text: str, path: Path) -> list[dict[str, Any]]:
    if not text.strip():
        raise _unreadable(path, "it is empty", _HOW)
    events: list[dict[str, Any]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if event is None and events and number == len(lines) and line.startswith("{"):
            break  # Cut off in the middle of an event: the end is missing, and the plan says so.
        if not isinstance(event, dict) or not _is_event(event):
            raise _unreadable(path, f"line {number} is neither a plan nor an event of one", _HOW)
        events.append(event)
    return events


def _is_event(document: Mapping[str, Any]) -> bool:
    return any(name.endswith("Event") for name in document)


def _unreadable(path: Path, why: str, action: str) -> InvalidFileError:
    return InvalidFileError(
        verb="read the plan", subject=printable(str(path), limit=200), observed=why, action=action
    )


# ---------------------------------------------------------------------------------- digest


def from_digest(document: Mapping[str, Any]) -> Plan:
    """Read the document of `pulumi preview --json`."""
    told = _dicts(document.get("steps"))
    refreshed: dict[str, Refreshed] = {}
    steps: dict[str, Step] = {}
    skipped: list[str] = []
    depends_on: dict[str, frozenset[str]] = {}
    deleted_with: dict[str, str] = {}
    for one in told:
        op, urn = _text(one, "op"), _text(one, "urn")
        old, new = _state(one.get("oldState")), _state(one.get("newState"))
        # The last step of a resource is what it is to be.
        depends_on[urn] = _dependencies(one.get("newState") or one.get("oldState"))
        deleted_with[urn] = _text(_mapping(one.get("oldState")), "deletedWith")
        if op == "refresh" and old is not None:
            refreshed[urn] = Refreshed(old, new)
        elif urn and not _is_leftover(op, one.get("oldState")):
            step = Step(op, urn, old, new, _names(one, "diffReasons", "replaceReasons"))
            if urn not in refreshed and _is_skipped(step):
                skipped.append(urn)
            else:
                _put(steps, step)
    complaints = [
        Complaint(_text(one, "urn"), _less_prefix(_text(one, "message")))
        for one in _dicts(document.get("diagnostics"))
        if _text(one, "severity") == "error"
    ]
    refreshed = _by_new_name(steps, refreshed)
    missing = [Missing("targeted", tuple(skipped))] if skipped else []
    is_refreshed = bool(refreshed)
    if complaints:
        missing.append(_not_reached(steps, refreshed, "failed"))
    else:
        same = {_text(one, "urn") for one in told if one.get("op") == "same"}
        missing += _settle(steps, refreshed, _number_of_same(document), len(same))
    return Plan(
        steps=_finished(steps, refreshed),
        refreshed=refreshed,
        is_refreshed=is_refreshed,
        complaints=complaints,
        depends_on=depends_on,
        deleted_with={urn: other for urn, other in deleted_with.items() if other},
        missing=(*missing, *_not_refreshed(steps, refreshed)),
    )


def _number_of_same(document: Mapping[str, Any]) -> int | None:
    """Return how many resources stay as they are, shown or not; None where it does not say."""
    changes = document.get("changeSummary")
    if not isinstance(changes, dict) or not changes:
        return None
    same = changes.get("same", 0)  # What there is none of is not in it.
    return same if isinstance(same, int) else None


def _settle(
    steps: dict[str, Step], refreshed: dict[str, Refreshed], same: int | None, shown: int
) -> list[Missing]:
    """Add what a refresh was told of and no step is: it stays as it is, or it is gone.

    The digest shows a refresh as it began, and without --show-sames not what stays. A resource
    that was found gone, and is still declared, is created; one that no longer is has no step. How
    many stay is known, and so is that a component or a provider is never found gone.

    Args:
        steps: The steps that are shown.
        refreshed: What the refresh was asked of; what is gone, or cannot be told, changes in it.
        same: How many resources stay, shown or not; None where that is not known.
        shown: How many of them are shown.
    """
    stepless = {urn: one.before for urn, one in refreshed.items() if urn not in steps}
    can_go = [urn for urn, state in stepless.items() if state.can_go]
    staying = len(can_go) if same is None else same - shown - (len(stepless) - len(can_go))
    missing = []
    if staying > len(can_go):
        missing.append(Missing("samesLeftOut"))
        if refreshed:
            missing.append(Missing("notRefreshed"))
    if 0 < staying < len(can_go):
        missing.append(Missing("goneUnclear", tuple(can_go)))
        for urn in can_go:
            del refreshed[urn]
    for urn, state in stepless.items():
        if urn in refreshed and (staying > 0 or urn not in can_go):
            steps[urn] = Step("same", urn, state, state)
        elif urn in refreshed:
            refreshed[urn] = Refreshed(state, None)
    return missing


def _less_prefix(message: str) -> str:
    return message.strip().removeprefix("error:").strip()


# ---------------------------------------------------------------------------------- events


def from_events(events: Iterable[Mapping[str, Any]]) -> Plan:
    """Read the events of the engine, in the form in which it writes them as JSON."""
    told = list(events)
    refreshed: dict[str, Refreshed] = {}
    steps: dict[str, Step] = {}
    skipped: list[str] = []
    for event in told:
        before = _metadata(event, "resourcePreEvent")
        after = _metadata(event, "resOutputsEvent")
        if before is not None and _text(before, "op") != "refresh":
            step = _step(before)
            if step.urn not in refreshed and _is_skipped(step):
                skipped.append(step.urn)
            elif step.urn and not _is_leftover(step.op, before.get("old")):
                _put(steps, step)
        elif after is not None and _text(after, "op") == "refresh":
            urn, old = _text(after, "urn"), _state(after.get("old"))
            if urn and old is not None:
                refreshed[urn] = Refreshed(old, _state(after.get("new")))
    complaints = [
        Complaint(_text(one, "urn"), _text(one, "message").strip())
        for one in _payloads(told, "diagnosticEvent")
        if _text(one, "severity") == "error"
    ]
    violations = [_violation(one) for one in _payloads(told, "policyEvent")]
    refreshed = _by_new_name(steps, refreshed)
    missing = [Missing("targeted", tuple(skipped))] if skipped else []
    is_refreshed = bool(refreshed)
    if not _has(told, "summaryEvent"):
        missing.append(_not_reached(steps, refreshed, "cutOff"))
    elif complaints and not _only_a_policy_failed(told, complaints, violations):
        missing.append(_not_reached(steps, refreshed, "failed"))
    return Plan(
        steps=_finished(steps, refreshed),
        refreshed=refreshed,
        is_refreshed=is_refreshed,
        violations=list(dict.fromkeys(violations)),
        complaints=complaints,
        made_at=next(filter(None, (_moment(one.get("timestamp")) for one in told)), None),
        missing=(*missing, *_not_refreshed(steps, refreshed)),
    )


def _step(metadata: Mapping[str, Any]) -> Step:
    return Step(
        _text(metadata, "op"),
        _text(metadata, "urn"),
        _state(metadata.get("old")),
        _state(metadata.get("new")),
        _names(metadata, "diffs", "keys"),
    )


def _metadata(event: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    payload = event.get(kind)
    metadata = payload.get("metadata") if isinstance(payload, dict) else None
    return metadata if isinstance(metadata, dict) else None


def _only_a_policy_failed(
    events: Iterable[Mapping[str, Any]],
    complaints: Iterable[Complaint],
    violations: Iterable[Violation],
) -> bool:
    """Tell whether a preview failed at its end, with all of its steps made.

    The policies of the stack as a whole are asked only after the program has run to its end.
    """
    return (
        _has(events, "policyAnalyzeStackSummaryEvent")
        and any(one.is_mandatory for one in violations)
        and not any(one.urn for one in complaints)
    )


def _has(events: Iterable[Mapping[str, Any]], kind: str) -> bool:
    return any(True for _ in _payloads(events, kind))


def _payloads(events: Iterable[Mapping[str, Any]], kind: str) -> Iterator[Mapping[str, Any]]:
    return (event[kind] for event in events if isinstance(event.get(kind), dict))


def _violation(policy: Mapping[str, Any]) -> Violation:
    return Violation(
        pack=_text(policy, "policyPackName"),
        policy=_text(policy, "policyName"),
        is_mandatory=_text(policy, "enforcementLevel") != "advisory",
        message=_text(policy, "message").strip(),
        urn=_text(policy, "resourceUrn"),
    )


def _moment(timestamp: object) -> datetime | None:
    if isinstance(timestamp, bool) or not isinstance(timestamp, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(timestamp, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


# ------------------------------------------------------------------------------------ both


def _is_leftover(op: str, old: object) -> bool:
    """Tell whether a step ends what an earlier replacement left: no instance of its own."""
    return op == "delete" and isinstance(old, dict) and old.get("delete") is True


def _is_skipped(step: Step) -> bool:
    """Tell whether --target or --exclude keeps a step from being made, which Pulumi calls "same".

    What Pulumi compares comes from the program, and has no outputs yet. What it leaves alone is a
    copy of the state; what it does not create is in no state, and has no id.
    """
    old, new = step.old, step.new
    if step.op != "same" or step.type not in (MODEL_TYPE, READINESS_TYPE):
        return False
    if old is None or new is None:
        return False
    return not old.id or (bool(new.outputs) and not new.id)


def _not_reached(
    steps: Mapping[str, Step], refreshed: dict[str, Refreshed], code: GapCode
) -> Missing:
    """Take out what a preview did not get to: a refresh alone does not say what becomes of it."""
    urns = tuple(urn for urn in refreshed if urn not in steps)
    for urn in urns:
        del refreshed[urn]
    return Missing(code, urns)


def _not_refreshed(
    steps: Mapping[str, Step], refreshed: Mapping[str, Refreshed]
) -> Iterator[Missing]:
    """Yield the models that a refresh left out, where there was one."""
    urns = tuple(
        urn
        for urn, step in steps.items()
        if step.type == MODEL_TYPE and step.old is not None and not step.old.is_external
        if urn not in refreshed and not (step.op == "create" or step.op.startswith("read"))
    )
    if refreshed and urns:
        yield Missing("notRefreshed", urns)


def _put(steps: dict[str, Step], step: Step) -> None:
    """Add a step; the parts of a replacement are made into one."""
    known = steps.get(step.urn)
    if known is None:
        steps[step.urn] = step
    elif step.op in _REPLACING or known.op in _REPLACING:
        steps[step.urn] = _joined("replace", known, step)
    elif known.op == "delete" and step.op == "create":
        # A refresh that found it gone, as some versions tell it in the digest.
        steps[step.urn] = step
    else:
        steps[step.urn] = _joined(step.op, known, step)


def _joined(op: str, one: Step, other: Step) -> Step:
    return Step(
        op, one.urn, one.old or other.old, other.new or one.new, one.changed | other.changed
    )


def _by_new_name(
    steps: Mapping[str, Step], refreshed: Mapping[str, Refreshed]
) -> dict[str, Refreshed]:
    """Return what a refresh found by the URNs of the steps: it knows nothing yet of `aliases`."""
    renamed = {step.old.urn: step.urn for step in steps.values() if step.old is not None}
    return {renamed.get(urn, urn): refresh for urn, refresh in refreshed.items()}


def _finished(steps: Mapping[str, Step], refreshed: dict[str, Refreshed]) -> list[Step]:
    """Return the steps; what is to be created though the refresh showed it is gone."""
    for urn, step in steps.items():
        known = refreshed.get(urn)
        if known is not None and step.op == "create":
            refreshed[urn] = Refreshed(known.before, None)
    return [step for step in steps.values() if step.op != "refresh"]


def _state(told: object) -> ResourceState | None:
    if not isinstance(told, dict):
        return None
    kind = _text(told, "type")
    return ResourceState(
        urn=_text(told, "urn"),
        type=kind,
        id=_text(told, "id"),
        inputs=_masked(told.get("inputs")),
        outputs=_masked(told.get("outputs")),
        can_go=told.get("custom") is True and not kind.startswith("pulumi:providers:"),
        is_protected=told.get("protect") is True,
        is_retained=told.get("retainOnDelete") is True,
        is_external=told.get("external") is True,
    )


def _dependencies(told: object) -> frozenset[str]:
    if not isinstance(told, dict):
        return frozenset()
    lists = [told.get("dependencies"), *_mapping(told.get("propertyDependencies")).values()]
    return frozenset(
        urn for some in lists if isinstance(some, list) for urn in some if isinstance(urn, str)
    )


def _names(told: Mapping[str, Any], *lists: str) -> frozenset[str]:
    some = [told.get(name) for name in lists]
    return frozenset(
        name for one in some if isinstance(one, list) for name in one if isinstance(name, str)
    )


def _masked(bag: object) -> Mapping[str, Any]:
    return {name: masked(value) for name, value in _mapping(bag).items()}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""
