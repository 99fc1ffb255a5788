"""Saved plans, in both forms of `pulumi preview --json`.

The digest is one document (`steps`, `diagnostics`, `changeSummary`). The streaming form, asked for
with PULUMI_ENABLE_STREAMING_JSON_PREVIEW=true, is the engine's events, one a line; only that one
has policy results and times, only the digest says what depends on what. Neither form is documented
as stable: what is not understood is passed over, and what is not a plan at all is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bytez_provider.errors import InvalidFileError, printable
from bytez_provider.lifecycle import tells_gone
from bytez_provider.review._plan import Complaint, Plan, Refreshed, ResourceState, Step, Violation

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
    events = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
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
    diagnostics = _dicts(document.get("diagnostics"))
    # Of a model that a refresh found gone the digest keeps the state; our own note says it.
    gone = {_text(one, "urn") for one in diagnostics if tells_gone(_text(one, "message"))}
    refreshed: dict[str, Refreshed] = {}
    steps: dict[str, Step] = {}
    depends_on: dict[str, frozenset[str]] = {}
    deleted_with: dict[str, str] = {}
    for one in told:
        op, urn = _text(one, "op"), _text(one, "urn")
        old, new = _state(one.get("oldState")), _state(one.get("newState"))
        # The last step of a resource is what it is to be.
        depends_on[urn] = _dependencies(one.get("newState") or one.get("oldState"))
        deleted_with[urn] = _text(_mapping(one.get("oldState")), "deletedWith")
        if op == "refresh" and old is not None:
            refreshed[urn] = Refreshed(old, None if urn in gone else new)
        elif urn and not _is_leftover(op, one.get("oldState")):
            _put(steps, Step(op, urn, old, new, _names(one, "diffReasons", "replaceReasons")))
    changes = document.get("changeSummary")
    same = changes.get("same") if isinstance(changes, dict) else None
    shown = sum(step.op == "same" for step in steps.values())
    refreshed = _by_new_name(steps, refreshed)
    for urn, refresh in refreshed.items():
        if urn not in steps and refresh.after is not None:
            # The digest leaves out what stays as it is.
            steps[urn] = Step("same", urn, refresh.after, refresh.after)
    return Plan(
        steps=_finished(steps, refreshed),
        refreshed=refreshed,
        is_refreshed=bool(refreshed),
        complaints=[
            Complaint(_text(one, "urn"), _less_prefix(_text(one, "message")))
            for one in diagnostics
            if _text(one, "severity") == "error"
        ],
        depends_on=depends_on,
        deleted_with={urn: other for urn, other in deleted_with.items() if other},
        has_all=bool(refreshed) or not isinstance(same, int) or shown >= same,
    )


def _less_prefix(message: str) -> str:
    return message.strip().removeprefix("error:").strip()


# ---------------------------------------------------------------------------------- events


def from_events(events: Iterable[Mapping[str, Any]]) -> Plan:
    """Read the events of the engine, in the form in which it writes them as JSON."""
    refreshed: dict[str, Refreshed] = {}
    steps: dict[str, Step] = {}
    complaints, violations = [], []
    made_at = None
    for event in events:
        made_at = made_at or _moment(event.get("timestamp"))
        before = _metadata(event, "resourcePreEvent")
        after = _metadata(event, "resOutputsEvent")
        if before is not None and _text(before, "op") != "refresh":
            step = _step(before)
            if step.urn and not _is_leftover(step.op, before.get("old")):
                _put(steps, step)
        elif after is not None:
            urn, old = _text(after, "urn"), _state(after.get("old"))
            if urn and urn not in steps and old is not None:
                refreshed[urn] = Refreshed(old, _state(after.get("new")))
        diagnostic = event.get("diagnosticEvent")
        if isinstance(diagnostic, dict) and _text(diagnostic, "severity") == "error":
            message = _text(diagnostic, "message").strip()
            complaints.append(Complaint(_text(diagnostic, "urn"), message))
        policy = event.get("policyEvent")
        if isinstance(policy, dict):
            violations.append(_violation(policy))
    refreshed = _by_new_name(steps, refreshed)
    return Plan(
        steps=_finished(steps, refreshed),
        refreshed=refreshed,
        is_refreshed=bool(refreshed),
        violations=list(dict.fromkeys(violations)),
        complaints=complaints,
        made_at=made_at,
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
    return ResourceState(
        urn=_text(told, "urn"),
        type=_text(told, "type"),
        inputs=_mapping(told.get("inputs")),
        outputs=_mapping(told.get("outputs")),
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


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""
