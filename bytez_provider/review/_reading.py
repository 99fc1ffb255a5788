"""Plans of Pulumi: read from a file, in both forms of `pulumi preview --json`, or made here.

The digest is one document (`steps`, `diagnostics`, `changeSummary`). The streaming form, asked for
with PULUMI_ENABLE_STREAMING_JSON_PREVIEW=true, is the engine's events, one a line. Only the events
have policy results and times; only the digest says what depends on what. Neither form is
documented as stable: unknown parts are skipped, and what is not a plan at all is refused.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bytez_provider.base.errors import ConfigError, InvalidFileError, printable
from bytez_provider.base.urns import MODEL_TYPES, READINESS_TYPES
from bytez_provider.review._document import GapCode
from bytez_provider.review._plan import (
    Complaint,
    Missing,
    Plan,
    Planned,
    ResourceState,
    Step,
    Violation,
    listed,
    mapping,
)

_REPLACING = ("replace", "create-replacement", "delete-replaced", "import-replacement")
_HOW = "Save one with `pulumi preview --json`"


# ----------------------------------------------------------------------------------- a file


def read_plan(path: Path) -> Plan:
    """Read a saved plan, in either form.

    Raises:
        InvalidFileError: it cannot be read, or is not a plan.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise _unreadable(path, why, "Name a file that can be read") from None
    document = _parsed(text)
    if isinstance(document, dict) and not _is_event(document):
        if not isinstance(document.get("steps"), list):
            raise _unreadable(path, "it has no `steps`", _HOW)
        return from_digest(document)
    return from_events(_events_in(text, path))


def _events_in(text: str, path: Path) -> list[dict[str, Any]]:
    if not text.strip():
        raise _unreadable(path, "it is empty", _HOW)
    events: list[dict[str, Any]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        event = _parsed(line)
        if event is None and events and number == len(lines) and line.startswith("{"):
            break  # The file ends in the middle of an event; the plan reports that as a gap.
        if not isinstance(event, dict) or not _is_event(event):
            raise _unreadable(path, f"line {number} is neither a plan nor an event of one", _HOW)
        events.append(event)
    return events


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_event(document: Mapping[str, Any]) -> bool:
    return any(name.endswith("Event") for name in document)


def _unreadable(path: Path, why: str, action: str) -> InvalidFileError:
    return InvalidFileError(
        verb="read the plan", subject=printable(str(path), limit=200), observed=why, action=action
    )


# ------------------------------------------------------------------------------ the two forms


def from_digest(document: Mapping[str, Any]) -> Plan:
    """Read the document of `pulumi preview --json`."""
    steps = [Step.model_validate(one) for one in listed(document.get("steps"), dict)]
    draft = _Draft(steps)
    complaints = _complaints(listed(document.get("diagnostics"), dict))
    if complaints:
        draft.leave_out_unreached("failed")
    else:
        shown = {step.urn for step in steps if step.op == "same"}
        draft.settle(_number_of_same(document), len(shown))
    # The last step of a resource has its final state.
    final = {step.urn: step for step in steps}
    states = {urn: step.new or step.old for urn, step in final.items()}
    return draft.plan(
        complaints=complaints,
        depends_on={
            urn: state.dependencies | state.property_dependencies if state else frozenset()
            for urn, state in states.items()
        },
        deleted_with={
            urn: step.old.deleted_with
            for urn, step in final.items()
            if step.old and step.old.deleted_with
        },
    )


def from_events(events: Iterable[Mapping[str, Any]]) -> Plan:
    """Read the events of the engine, as it writes them in JSON."""
    events = list(events)
    draft = _Draft(_steps_in(events))
    complaints = _complaints(_payloads(events, "diagnosticEvent"))
    violations = [Violation.model_validate(one) for one in _payloads(events, "policyEvent")]
    # The policies of the stack as a whole run only after the program has run to its end.
    is_only_policy = (
        bool(_payloads(events, "policyAnalyzeStackSummaryEvent"))
        and any(one.is_mandatory for one in violations)
        and not any(one.urn for one in complaints)
    )
    if not _payloads(events, "summaryEvent"):
        draft.leave_out_unreached("cutOff")
    elif complaints and not is_only_policy:
        draft.leave_out_unreached("failed")
    return draft.plan(
        complaints=complaints,
        violations=list(dict.fromkeys(violations)),
        made_at=next(filter(None, (_moment(one.get("timestamp")) for one in events)), None),
    )


def _steps_in(events: Iterable[Mapping[str, Any]]) -> Iterator[Step]:
    """Yield the steps: each as it begins, but a refresh as it ends, with what it found."""
    for event in events:
        for kind, is_refresh in (("resourcePreEvent", False), ("resOutputsEvent", True)):
            step = Step.model_validate(mapping(mapping(event.get(kind)).get("metadata")))
            if (step.op == "refresh") is is_refresh:
                yield step


class _Draft:
    """A plan while it is read: what each form says is brought to one meaning here."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps: dict[str, Step] = {}
        self._refreshed: dict[str, tuple[ResourceState, ResourceState | None]] = {}
        """What each was before a refresh, and after it: None if it is gone."""
        self._skipped: list[str] = []
        self._missing: list[Missing] = []
        for step in steps:
            if step.urn:
                self._add(step)
        self._is_refreshed = bool(self._refreshed)
        # A refresh does not know `aliases` yet: it has the URNs of the state.
        renamed = {step.old.urn: step.urn for step in self._steps.values() if step.old is not None}
        self._refreshed = {renamed.get(urn, urn): one for urn, one in self._refreshed.items()}

    def _add(self, step: Step) -> None:
        """Add a step. The parts of a replacement become one step."""
        op, urn = step.op, step.urn
        if op == "refresh":
            if step.old is not None:
                self._refreshed[urn] = step.old, step.new
            return
        if op == "delete" and step.old is not None and step.old.delete:
            return
        if urn not in self._refreshed and _is_skipped(step):
            self._skipped.append(urn)
            return
        known = self._steps.get(urn)
        if known is not None and not (known.op == "delete" and op == "create"):
            # Some versions show a resource that a refresh found gone as deleted and created.
            is_replaced = op in _REPLACING or known.op in _REPLACING
            both = {
                "op": "replace" if is_replaced else op,
                "old": known.old or step.old,
                "new": step.new or known.new,
                "diffs": known.changed | step.changed,
            }
            step = step.model_copy(update=both)
        self._steps[urn] = step

    def leave_out_unreached(self, code: GapCode) -> None:
        """Leave out what has no step: a refresh alone does not say what the program does."""
        urns = tuple(urn for urn in self._refreshed if urn not in self._steps)
        for urn in urns:
            del self._refreshed[urn]
        self._missing.append(Missing(code, urns))

    def settle(self, same: int | None, shown: int) -> None:
        """Decide whether a refreshed resource without a step is unchanged, or gone.

        The digest shows a refresh as it began, and without --show-sames it does not show what is
        unchanged. A resource that was found gone is created if it is still declared, and has no
        step if it is not. The number of unchanged resources is known, and so is that a component
        or a provider is never found gone. If only such resources were refreshed as ask for it
        themselves, the others may be unchanged too, and their number says nothing.

        Args:
            same: How many resources are unchanged, shown or not; None if that is not known.
            shown: How many of them are shown.
        """
        stepless = {
            urn: before for urn, (before, _) in self._refreshed.items() if urn not in self._steps
        }
        can_go = [urn for urn, state in stepless.items() if state.can_go]
        unchanged = len(can_go) if same is None else same - shown - (len(stepless) - len(can_go))
        refreshed = [before for before, _ in self._refreshed.values()]
        is_by_itself = bool(refreshed) and all(one.refresh_before_update for one in refreshed)
        if unchanged > len(can_go):
            self._missing.append(Missing("samesLeftOut"))
            if self._refreshed and not is_by_itself:
                self._missing.append(Missing("notRefreshed"))
        is_unclear = 0 < unchanged < len(can_go)
        if is_by_itself and same is not None:
            is_unclear = unchanged > 0 and bool(can_go)
        if is_unclear:
            self._missing.append(Missing("goneUnclear", tuple(can_go)))
        for urn, state in stepless.items():
            if urn not in can_go or (unchanged > 0 and not is_unclear):
                self._steps[urn] = Step(op="same", urn=urn, old=state, new=state)
            elif is_unclear:
                del self._refreshed[urn]
            else:
                self._refreshed[urn] = state, None

    def plan(self, **more: Any) -> Plan:
        """Return the plan."""
        targeted = [Missing("targeted", tuple(self._skipped))] if self._skipped else []
        unrefreshed = tuple(
            urn
            for urn, step in self._steps.items()
            if step.type in MODEL_TYPES and step.old is not None and not step.old.external
            if urn not in self._refreshed
            if not (step.op == "create" or step.op.startswith("read"))
        )
        if self._refreshed and unrefreshed:
            self._missing.append(Missing("notRefreshed", unrefreshed))
        known = [self._change(step) for step in self._steps.values()]
        gone = [
            Planned("refresh", urn, before, None, None)
            for urn, (before, after) in self._refreshed.items()
            if after is None and urn not in self._steps
        ]
        return Plan(
            resources=known + gone,
            is_refreshed=self._is_refreshed,
            missing=(*targeted, *self._missing),
            **more,
        )

    def _change(self, step: Step) -> Planned:
        was, after = self._refreshed.get(step.urn, (step.old, step.old))
        # A digest may show a refresh as it began; the step after it has what the refresh found.
        now = step.old or after
        if after is None or step.op == "create":
            # It is created although the state has it: the refresh found it gone.
            now = None
        will = step.new if step.op != "delete" else None
        return Planned(step.op, step.urn, was, now, will, step.changed)


def _is_skipped(step: Step) -> bool:
    """Return whether --target or --exclude keeps a step from being made.

    Pulumi calls such a step "same". What Pulumi compares comes from the program, and has no
    outputs yet. What it skips is a copy of the state, or, if it would be new, has no id.
    """
    old, new = step.old, step.new
    is_ours = step.type in (*MODEL_TYPES, *READINESS_TYPES)
    if step.op != "same" or not is_ours or not old or not new:
        return False
    return not old.id or (bool(new.outputs) and not new.id)


def _number_of_same(document: Mapping[str, Any]) -> int | None:
    """Return how many resources are unchanged, shown or not; None if it does not say."""
    changes = mapping(document.get("changeSummary"))
    same = changes.get("same", 0)  # A kind of step with no resource is left out.
    return same if changes and isinstance(same, int) else None


def _complaints(diagnostics: Iterable[Mapping[str, Any]]) -> list[Complaint]:
    read = map(Complaint.model_validate, diagnostics)
    return [one for one in read if one.severity == "error"]


def _moment(timestamp: object) -> datetime | None:
    if isinstance(timestamp, bool) or not isinstance(timestamp, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(timestamp, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def _payloads(events: Iterable[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [event[kind] for event in events if isinstance(event.get(kind), dict)]


# --------------------------------------------------------------------------------- a preview


def run_preview(
    stack: str | None,
    *,
    refresh: bool,
    policy_packs: Sequence[Path] = (),
    policy_pack_configs: Sequence[Path] = (),
) -> Plan:
    """Preview a stack of the project in the current folder; a preview that fails is a plan too.

    Not by the Automation API: it changes which stack the user has selected, and it cannot
    overrule the refresh that a project's `refresh: always` asks for.

    Args:
        stack: Its name; None for the selected one.
        refresh: Whether to look at what really runs. If not, the project's setting is overruled;
            native models are refreshed in any case.
        policy_packs: Folders of policy packs to run.
        policy_pack_configs: The configuration of each, in the same order.

    Raises:
        ConfigError: there is no Pulumi, or it made no plan.
    """
    environment = {"PULUMI_DEBUG_COMMANDS": "true", "PULUMI_SKIP_UPDATE_CHECK": "true"}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "events.jsonl"
        command = ["pulumi", "--non-interactive", "preview", "--json", "--show-sames"]
        command.append(f"--event-log={log}")
        # A flag here wins over the project's options.
        command.append(f"--refresh={'true' if refresh else 'false'}")
        command += [f"--stack={stack}"] if stack else []
        command += [f"--policy-pack={pack}" for pack in policy_packs]
        command += [f"--policy-pack-config={config}" for config in policy_pack_configs]
        try:
            # Not `run`, which kills the command after a Ctrl-C: the preview ends by itself.
            with subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            ) as process:
                output, errors = process.communicate()
        except OSError:
            raise _no_plan(stack, "`pulumi` is not on PATH") from None
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    # A preview that fails says why in its events, or else on stderr.
    if not lines:
        written = [line for line in errors.splitlines() if line.strip()]
        first = next((one for one in written if one.startswith("error:")), " ".join(written))
        reason = printable(first.removeprefix("error:")) or "nothing"
        raise _no_plan(stack, f"`pulumi preview` says: {reason}")
    plan = from_events(json.loads(line) for line in lines)
    digest = _parsed(output)
    if not isinstance(digest, dict):
        return plan
    # Only the digest says what depends on what, and what is deleted with what.
    other = from_digest(digest)
    return dataclasses.replace(plan, depends_on=other.depends_on, deleted_with=other.deleted_with)


def _no_plan(stack: str | None, observed: str) -> ConfigError:
    return ConfigError(
        verb="preview the stack",
        subject=printable(stack or "", limit=100),
        observed=observed,
        action="Fix that, or give a saved plan with --plan",
    )
