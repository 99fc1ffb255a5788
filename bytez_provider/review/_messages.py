"""The sentences of a review. Everything else in it works with codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from bytez_provider.base.errors import printable
from bytez_provider.review._document import FailureCode, FindingCode, GapCode, NoteCode, ReasonCode

_Code_co = TypeVar("_Code_co", bound=str, covariant=True)
_Code = TypeVar("_Code", bound=str)

WITHHELD: Final = "not shown, because it may quote a secret; the output of the preview has it"


@dataclass(frozen=True)
class Remark(Generic[_Code_co]):
    """A code and the facts that its sentence shows, which may be text of others."""

    code: _Code_co
    facts: Mapping[str, str]


def remark(code: _Code, **facts: str) -> Remark[_Code]:
    """Return a remark."""
    return Remark(code, facts)


def reason(one: Remark[ReasonCode]) -> str:
    """Return why something happens to a model, or how it has drifted."""
    return _filled(_REASONS[one.code], one.facts, limit=200)


def failure(one: Remark[FailureCode]) -> str:
    """Return why the `up` will fail."""
    return _filled(_FAILURES[one.code], one.facts, limit=300)


def finding(code: FindingCode, **facts: str) -> str:
    """Return what a limit does not allow."""
    return _FINDINGS[code].format_map(facts)


def not_known(gap_text: str) -> str:
    """Return why a limit cannot be checked."""
    return f"not known, because {gap_text}"


def _filled(text: str, facts: Mapping[str, str], *, limit: int) -> str:
    shown = {name: printable(value, limit=limit) for name, value in facts.items()}
    return printable(text.format_map(shown), limit=limit)


_LEFT_RUNNING = "it keeps running and is paid for, but no stack has it"
_REASONS: Mapping[ReasonCode, str] = {
    "unloaded": "was unloaded since the last up",
    "failed": "has FAILED since the last up",
    "loadedByOthers": "was unloaded since the last up, and loaded by somebody else",
    "loadedLater": "was loaded again by its own resource, after this state was saved",
    "changedOutside": "was changed outside Pulumi: {changes}",
    "heldByOther": "belongs to {owner}, according to the journal",
    "changed": "{input} {before} to {after}",
    "secretChanged": "{input} changes, but is a secret",
    "renamed": "renamed from {name}",
    "movedIntoFleet": "moved into a fleet",
    "movedOutOfFleet": "moved out of its fleet",
    "bootFailed": "it had FAILED",
    "stillBooting": "the last up did not wait for its boot",
    "unknownValue": "an outage, unless the new value is the same",
    "interrupted": "an interrupted up has started its load",
    "adopted": "takes over the load that runs",
    "takenOver": "takes over the load of '{name}'",
    "takenOverOrReloaded": "takes over the load of '{name}', unless that is unloaded first",
    "settingsDiffer": "loaded again, because {inputs} differs",
    "settingsHidden": "an outage, unless {inputs}, which is hidden, is the same",
    "adoptHidden": "it is already loaded, and the value of adopt is hidden",
    "foundFailed": "the existing load has FAILED",
    "notLoaded": "it is not loaded",
    "ownLoadUnclear": "left alone: the state does not say which load is its own",
    "givenUp": "'{name}' takes over its load",
    "retained": f"retain_on_delete: {_LEFT_RUNNING}",
    "deletedWith": f"deleted_with {{name}}: {_LEFT_RUNNING}",
}
_FAILURES: Mapping[FailureCode, str] = {
    "protected": "it is protected, and would be {done}",
    "previewError": "{message}",
    "programError": "the program failed: {message}",
    "declaredTwice": "the stack has {model} as {name}, and a model can be loaded only once",
    "oldLoadRetained": "retain_on_delete keeps the old load, and a model can be loaded only once",
    "renamedUnseen": "the stack has this model loaded as {name}: add that name to `aliases`",
    "renamedInFleet": "the stack has this model loaded as {name}: set `adopt=True` on it for one "
    "up, or use `pulumi state rename`",
    "notReleased": "the stack has {model} as {name}, which is removed later: set `adopt=True` on "
    "it for one up, or run `pulumi up --refresh`",
    "alreadyLoaded": "it is already loaded, but not by this stack: adopt it, or unload it first",
    "alreadyLoadedByOther": "it is already loaded by {owner}: adopt it, or unload it first",
    "mandatoryPolicy": "a mandatory policy is broken",
    "unexplained": "the preview failed, and the plan does not say why",
}
GAPS: Final[Mapping[GapCode, str]] = {
    "targeted": "the plan was made with --target, --exclude or --target-replace, and does not "
    "show changes elsewhere",
    "failed": "the preview failed, and the plan ends there",
    "cutOff": "the end of the plan is missing",
    "samesLeftOut": "the plan leaves out what does not change, or what --target left out; "
    "`pulumi preview --json --show-sames` shows it",
    "goneUnclear": "the plan does not say which of these a refresh found gone; "
    "`pulumi preview --json --show-sames` does",
    "notRefreshed": "the refresh left models out, and the plan does not show whether they expired",
    "notComparable": "a secret, or a value not known yet, may differ between the branches",
}
NOTES: Final[Mapping[NoteCode, str]] = {
    "branchesCompared": "This compares the plan of this branch with the plan of its target branch. "
    "Both were made without the stack's state, so they do not show what really runs.",
    "withoutRefresh": "The plan was made without a refresh, so it does not show what has expired "
    "or was changed since the last `up`.",
    "noKey": "No key is set, so the service was not asked what runs now.",
    "noAnswer": "The service gave no answer, so this does not show what runs now.",
    "noJournal": "The journal could not be read, so only the state says whose a load is.",
    "bundledCatalogue": "RAM and cost come from the catalogue in this package.",
    "noCatalogue": "The catalogue is off, so RAM and cost are known only for models in the state.",
    "noPolicyResults": "This form of a plan has no policy results.",
}
_FINDINGS: Mapping[FindingCode, str] = {
    "increase": "{amount} a month more if always loaded, allowed: {most}",
    "monthly": "{amount} a month if always loaded, allowed: {most}",
    "replace": "{name} is unavailable for about {minutes} minutes ({reasons})",
    "drift": "{name} {drift}",
    "violation": "{name}: {message} ({policy})",
    "unknown-cost": "{name} has an unknown cost, which is in no total",
}
