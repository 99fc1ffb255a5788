"""What a review says, as data: the JSON document, and what every rendering is made from.

camelCase; money in US dollars, RAM in GB, times with their unit in the name. A key is always
there; what is not known is null, and never 0. `data/review.schema.json` is the schema.
"""

from __future__ import annotations

from typing import Literal

from bytez_provider.base.document import Document

Action = Literal["load", "adopt", "replace", "unload", "forget", "update", "wait", "keep"]


GapCode = Literal[
    "targeted",
    "failed",
    "cutOff",
    "samesLeftOut",
    "goneUnclear",
    "notRefreshed",
    "notComparable",
]


class Gap(Document):
    """What a review cannot judge, because the plan leaves it out."""

    code: GapCode
    """targeted: made with --target, --exclude or --target-replace; failed: the preview failed
    half way; cutOff: the end of the plan is missing; samesLeftOut: what stays as it is is not in
    the plan; goneUnclear: the plan does not tell which of these a refresh found gone;
    notRefreshed: the refresh left these out; notComparable: a secret, or a value not known yet,
    stands on both branches."""
    text: str
    """The same in a sentence."""
    models: list[str]
    """Names of the models that it is about; empty where the plan does not tell, or where it is
    about other resources alone."""


class Month(Document):
    """What a month of 730 hours costs."""

    floor: float
    """One boot and one idle period: loaded once, never used."""
    expected: float | None
    """At the declared hours a day; null where none are declared."""
    ceiling: float
    """Loaded all month."""


class DeclaredModel(Document):
    """A model as a program declares it."""

    model_id: str | None
    """Null where it is not known before the `up`."""
    concurrency: int | None
    """As above."""
    expiration_period_seconds: int | None
    """Null for the service's own, unless it is in `unreadable`."""
    expected_hours_per_day: float | None
    """Null where none are declared, unless it is in `unreadable`."""
    unreadable: list[str]
    """The inputs that are set, and whose value is a secret or not known before the `up`: null
    here."""
    required_ram_gb: float | None
    """Of one instance."""
    dollars_per_hour: float | None
    """Of all instances, as all below; null where RAM, concurrency or idle period is unknown."""
    dollars_per_month: Month | None


class LiveModel(Document):
    """A model as it runs now."""

    status: str
    """NOT_LOADED where it does not."""
    concurrency: int | None
    age_seconds: int | None
    idle_seconds_left: int | None
    is_declared_load: bool | None
    """Whether it is the resource's own load, by its state and the journal; null where neither
    says."""


class BrokenRule(Document):
    """A policy that the plan breaks."""

    pack: str
    policy: str
    is_mandatory: bool
    """Whether it stops the `up`."""
    message: str
    name: str | None
    """The resource; null where it is the stack."""


class ReviewedModel(Document):
    """What happens to one model."""

    name: str
    urn: str
    action: Action
    is_anyway: bool
    """Whether the next `up` would do it without this change too."""
    is_asleep: bool
    """Whether an expiry that is accepted has unloaded it: it costs nothing now, and if kept, then
    too."""
    reasons: list[str]
    """Why: what changes, or what has happened to it."""
    before: DeclaredModel | None
    """As of the last `up`; null for a new one."""
    after: DeclaredModel | None
    """Null for one that goes."""
    unavailable_minutes: int | None
    """How long nothing serves; null where something does, or did not before."""
    dependents: list[str] | None
    """Names of what depends on it, of a replacement; null where the plan does not tell."""
    failure: str | None
    """Why the `up` will fail at it."""
    drift: str | None
    """How what runs is not what was declared."""
    live: LiveModel | None
    """Null where it was not asked."""
    broken_rules: list[BrokenRule]


class Total(Document):
    """What all models cost together, those of unknown cost left out."""

    models: int
    required_ram_gb: float
    dollars_per_hour: float
    dollars_per_month: Month
    expected_models: int
    """How many the expected figure is of."""
    unknown_models: int
    """How many have an unknown cost, which is in no figure."""


class Counts(Document):
    """How many models this change does something to, apart from what would happen anyway."""

    loads: int
    adoptions: int
    replacements: int
    unloads: int
    forgotten: int
    """Leave the stack without an unload: not loaded any more, or left running."""
    updates: int
    """Changes that send nothing."""
    unchanged: int | None
    """Null where not all of the stack is in the plan."""
    anyway: int
    """What the next `up` would do without this change too, in none of the counts above."""


class Review(Document):
    """A review of one plan of one stack."""

    version: Literal[1] = 1
    project: str
    stack: str
    commit: str | None
    planned_at: str | None
    """When the plan was made, ISO 8601 in UTC; null where it does not tell."""
    is_refreshed: bool
    has_live_facts: bool
    has_policy_results: bool
    """Whether this form of a plan carries them."""
    is_complete: bool
    """Whether all of the stack is in the plan; if not, `gaps` says why, and `before`, `after` and
    `peakRamGb` are of what is in the plan alone."""
    gaps: list[Gap]
    """What the plan leaves out; none of it is called unchanged."""
    has_order: bool
    """Whether the plan tells what depends on what; if not, `minutesToApply` is the least."""
    compares: Literal["state", "branches"]
    """With what: the stack's state, or the plan of another branch."""
    catalogue: Literal["live", "bundled", "off"]
    dollars_per_gb_second: float
    price_date: str
    boot_minutes: int
    counts: Counts
    other_changes: int
    """Steps for resources that are no models."""
    models: list[ReviewedModel]
    before: Total
    after: Total
    increase: Month
    """After less before."""
    increase_per_hour: float
    unknown_cost: list[str]
    """Names of the models, as declared after, whose cost is unknown and in no sum."""
    peak_ram_gb: float
    """The most that is loaded at one time during the `up`, of known RAM."""
    minutes_to_apply: int
    """Of boots alone, side by side where nothing depends on another."""
    broken_rules: list[BrokenRule]
    """All, those of models among them."""
    failures: list[str]
    """Why the `up` will fail, or the preview has."""
    notes: list[str]
    """What a reader must know of this review, in our words alone."""


def unreadable_of(review: Review) -> dict[str, list[str]]:
    """Return the inputs that the plan hides of what is to be, by the names of the models."""
    return {
        one.name: one.after.unreadable
        for one in review.models
        if one.after and one.after.unreadable
    }
