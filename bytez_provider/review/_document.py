"""The JSON document of a review, from which every rendering is made.

camelCase; money in US dollars, RAM in GB, times with their unit in the name. A key is always
there; an unknown value is null, and never 0. `data/review.schema.json` is the schema.
Programs read the codes: a code keeps its meaning, while the sentence beside it may change.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from bytez_provider.base.document import Document

Action = Literal[
    "load", "adopt", "replace", "rescale", "unload", "forget", "update", "wait", "keep"
]
GapCode = Literal[
    "targeted", "failed", "cutOff", "samesLeftOut", "goneUnclear", "notRefreshed", "notComparable"
]
DriftCode = Literal[
    "unloaded", "failed", "loadedByOthers", "loadedLater", "changedOutside", "heldByOther"
]
_ChangeCode = Literal["changed", "secretChanged", "renamed", "movedIntoFleet", "movedOutOfFleet"]
_BootCode = Literal["bootFailed", "stillBooting", "switchedOff", "foundFailed", "interrupted"]
_TakeOverCode = Literal["adopted", "adoptHidden", "takenOver", "takenOverOrReloaded", "rescaled"]
_OutageCode = Literal["unknownValue", "settingsDiffer", "settingsHidden"]
_LeftCode = Literal["notLoaded", "ownLoadUnclear", "givenUp", "retained", "deletedWith"]
ReasonCode = Literal[DriftCode, _ChangeCode, _BootCode, _TakeOverCode, _OutageCode, _LeftCode]
_StackCode = Literal["declaredTwice", "renamedUnseen", "renamedInFleet", "notReleased"]
_RefusedCode = Literal["protected", "oldLoadRetained", "alreadyLoaded", "alreadyLoadedByOther"]
_PreviewCode = Literal["previewError", "programError", "mandatoryPolicy", "unexplained"]
FailureCode = Literal[_StackCode, _RefusedCode, _PreviewCode]
_PlanNote = Literal["branchesCompared", "withoutRefresh", "noPolicyResults"]
_SourceNote = Literal["noKey", "noAnswer", "noJournal", "bundledCatalogue", "noCatalogue"]
NoteCode = Literal[_PlanNote, _SourceNote]
FindingCode = Literal["increase", "monthly", "replace", "drift", "violation", "unknown-cost"]
_Amount = Annotated[float, BeforeValidator(lambda amount: round(float(amount), 6))]
"""Dollars or GB, without the noise of a sum of floats."""


class Gap(Document):
    """What a review cannot judge, because the plan leaves it out."""

    code: GapCode
    text: str
    """What the code means."""
    models: list[str]
    """Names of the models that are left out; empty if the plan does not say, or if only other
    resources are."""


class Month(Document):
    """What a month of 730 hours costs."""

    floor: _Amount
    """One boot and one idle period: loaded once, never used."""
    expected: _Amount | None
    """At the declared hours a day; null if none are declared."""
    ceiling: _Amount
    """Loaded all month."""

    def less(self, other: Month) -> Month:
        """Return the difference; none is expected unless both sides are about the same models."""
        expected = None
        if self.expected is not None and other.expected is not None:
            expected = self.expected - other.expected
        return Month(
            floor=self.floor - other.floor,
            expected=expected,
            ceiling=self.ceiling - other.ceiling,
        )


class AtLeast(Document):
    """What the least number of instances costs, where the number has a range."""

    dollars_per_hour: _Amount
    dollars_per_month: Month


class DeclaredModel(Document):
    """A model as a program declares it."""

    model_id: str | None
    """Null if it is not known before the `up`."""
    concurrency: int | None
    """Null if it is not known before the `up`. With `maxConcurrency` the least number."""
    max_concurrency: int | None = None
    """The most instances; only in an API that has a range."""
    expiration_period_seconds: int | None
    """Null for the service's own, unless it is in `unreadable`."""
    expected_hours_per_day: float | None
    """Null if none are declared, unless it is in `unreadable`."""
    unreadable: list[str]
    """The inputs that are set to a secret or to a value not known before the `up`: null here."""
    required_ram_gb: float | None
    """Of one instance."""
    dollars_per_hour: _Amount | None
    """Of all instances, as all below; null if RAM, concurrency or idle period is unknown."""
    dollars_per_month: Month | None
    """`floor` is that of the least number of instances."""
    at_least: AtLeast | None = None
    """Only if there may be more instances than the least number."""

    @property
    def all_ram_gb(self) -> float | None:
        """The RAM of all instances; None if it is unknown."""
        if self.required_ram_gb is None or self.concurrency is None:
            return None
        return self.required_ram_gb * (self.max_concurrency or self.concurrency)

    @property
    def always_loaded(self) -> tuple[float | None, float | None]:
        """US dollars for a month of being loaded, at least and at most; None if unknown."""
        return _bounds(self, "ceiling")


class LiveModel(Document):
    """A model as it runs now."""

    status: str
    """NOT_LOADED if it does not run."""
    concurrency: int | None
    max_concurrency: int | None = None
    """The most instances; only in an API that has a range, as `instances`."""
    instances: int | None = None
    """Instances that there are; null if the service does not say."""
    age_seconds: int | None
    idle_seconds_left: int | None
    is_declared_load: bool | None
    """Whether it is the resource's own load, by its state and the journal; null if neither says."""


class BrokenRule(Document):
    """A policy that the plan breaks."""

    pack: str
    policy: str
    is_mandatory: bool
    """Whether it stops the `up`."""
    message: str
    is_withheld: bool
    """Whether `message` was replaced, because the policy's own message may quote a secret."""
    name: str | None
    """The resource; null for the stack."""


class ReviewedModel(Document):
    """What happens to one model."""

    name: str
    urn: str
    action: Action
    is_anyway: bool
    """Whether the next `up` would do it without this change too."""
    is_asleep: bool
    """Whether an accepted expiry has unloaded it: it costs nothing now, nor later if it is kept."""
    is_left_running: bool
    """Whether it leaves the stack but keeps running, and is paid for."""
    reasons: list[str]
    """Why: what changes, or what has happened to it."""
    reason_codes: list[ReasonCode]
    """The code of each of `reasons`, in the same order."""
    before: DeclaredModel | None
    """At the last `up`; null for a new one."""
    after: DeclaredModel | None
    """Null for one that is removed."""
    unavailable_minutes: int | None
    """How long nothing serves; null if something does, or nothing did before; 0 for a rescale."""
    dependents: list[str] | None
    """Names of what depends on a replaced model; null if the plan does not say."""
    failure: str | None
    """Why the `up` will fail at it."""
    failure_code: FailureCode | None
    drift: str | None
    """How what runs differs from what was declared."""
    drift_code: DriftCode | None
    live: LiveModel | None
    """Null if the service was not asked."""
    broken_rules: list[BrokenRule]

    @property
    def declared(self) -> DeclaredModel | None:
        """As it is declared after the change, or was before it."""
        return self.after or self.before

    @property
    def paid_before(self) -> DeclaredModel | None:
        """What is paid for before the change; None for nothing."""
        return None if self.is_asleep else self.before

    @property
    def paid_after(self) -> DeclaredModel | None:
        """What is paid for after the change; None for nothing."""
        return None if self.is_asleep and self.action == "keep" else self.after


class Total(Document):
    """What all models cost together, without those of unknown cost."""

    models: int
    required_ram_gb: _Amount
    dollars_per_hour: _Amount
    dollars_per_month: Month
    at_least: AtLeast | None = None
    """Only if a model may have more instances than the least number."""
    expected_models: int
    """How many models the expected figure covers."""
    unknown_models: int
    """How many have an unknown cost, which is in no figure."""

    @property
    def an_hour(self) -> tuple[float, float]:
        """US dollars for an hour, at least and at most."""
        least = self.at_least.dollars_per_hour if self.at_least else self.dollars_per_hour
        return least, self.dollars_per_hour

    @property
    def expected(self) -> tuple[float | None, float | None]:
        """US dollars for a month as expected, at least and at most; None without any."""
        return _bounds(self, "expected")

    @property
    def always_loaded(self) -> tuple[float | None, float | None]:
        """US dollars for a month of being loaded, at least and at most."""
        return _bounds(self, "ceiling")


def _bounds(
    cost: DeclaredModel | Total, name: Literal["expected", "ceiling"]
) -> tuple[float | None, float | None]:
    month = cost.dollars_per_month
    least = cost.at_least.dollars_per_month if cost.at_least else month
    return (getattr(least, name), getattr(month, name)) if month else (None, None)


class Counts(Document):
    """How many models this change does something to, apart from what would happen anyway."""

    loads: int
    adoptions: int
    replacements: int
    unloads: int
    forgotten: int
    """Leave the stack without an unload: no longer loaded, or left running."""
    rescales: int | None = None
    """Changes of the settings of a load while it runs; only in an API that can do it."""
    updates: int
    """Changes that send nothing."""
    unchanged: int | None
    """Null if the plan does not have all of the stack."""
    anyway: int
    """What the next `up` would do without this change too, in none of the counts above."""


class Finding(Document):
    """Something that a limit or `--fail-on` does not allow."""

    code: FindingCode
    """The limit, or the value of `--fail-on`."""
    name: str | None
    """The resource; null for the stack."""
    text: str


class Review(Document):
    """A review of one plan of one stack."""

    version: Literal[1]
    project: str
    stack: str
    commit: str | None
    planned_at: str | None
    """When the plan was made, ISO 8601 in UTC; null if it does not say."""
    is_refreshed: bool
    has_live_facts: bool
    has_policy_results: bool
    """Whether this form of a plan carries them."""
    is_complete: bool
    """Whether all of the stack is in the plan; if not, `gaps` says why, and `before`, `after` and
    `peakRamGb` cover only what is in the plan."""
    gaps: list[Gap]
    """What the plan leaves out; none of it is called unchanged."""
    has_order: bool
    """Whether the plan says what depends on what; if not, `minutesToApply` is the least."""
    compares: Literal["state", "branches"]
    """With what: the stack's state, or the plan of another branch."""
    catalogue: Literal["live", "bundled", "off"]
    dollars_per_gb_second: float | None
    """Null in an API in which each size of an instance has its price."""
    price_date: str
    boot_minutes: int
    counts: Counts
    other_changes: int
    """Steps for other resources than models."""
    models: list[ReviewedModel]
    before: Total
    after: Total
    increase: Month
    """After less before."""
    increase_per_hour: _Amount
    unknown_cost: list[str]
    """Names of the models, as declared after, whose cost is unknown and in no sum."""
    peak_ram_gb: _Amount
    """The most that is loaded at one time during the `up`, of known RAM."""
    minutes_to_apply: int
    """Boots only; boots run side by side if neither model depends on the other."""
    broken_rules: list[BrokenRule]
    """All, also those of models."""
    failures: list[str]
    """Why the `up` will fail, or the preview has."""
    failure_codes: list[FailureCode]
    """The code of each of `failures`, in the same order."""
    findings: list[Finding]
    """What the limits and `--fail-on` of this command do not allow."""
    notes: list[str]
    """What a reader must know of this review; never quotes a plan, a server or a file."""
    note_codes: list[NoteCode]
    """The code of each of `notes`, in the same order."""

    @property
    def unreadable(self) -> dict[str, list[str]]:
        """The inputs that the plan hides, by the names of the models after the change."""
        return {
            one.name: one.after.unreadable
            for one in self.models
            if one.after and one.after.unreadable
        }
