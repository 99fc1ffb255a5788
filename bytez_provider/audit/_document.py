"""The document of an audit: plain data, and the source of its published schema.

Every text is one line without control characters. Amounts are US dollars, RAM is in GB. A key is
always there: an unknown value is null, and is left out of every sum.
"""

from __future__ import annotations

from typing import Literal

from bytez_provider.base.document import Document

Kind = Literal["orphan", "unfinished", "notRunning", "duplicate", "drift", "idle"]

Differs = Literal["endpoint", "account", "apiVersion"]


class SourceRead(Document):
    """A state that was read."""

    kind: Literal["stack", "state"]
    """A stack, read through Pulumi, or a file with a saved export."""
    name: str
    """The stack or the file, as the command line named it."""
    models: int
    """How many models it declares in this account."""


class Owner(Document):
    """A resource that declares a model."""

    stack: str
    """The name of the stack."""
    project: str
    """The name of the project."""
    name: str
    """The name of the resource."""
    urn: str
    """Identifies the resource to Pulumi."""


class Mend(Document):
    """A command that fixes a finding."""

    command: str
    """For a shell. If a finding has several commands, each one alone is enough."""
    effect: str
    """What the command does."""


class Finding(Document):
    """Something that is not in order."""

    kind: Kind
    """orphan: loaded, and no given state names this load; unfinished: a deployment began it and
    did not finish it; notRunning: declared, and FAILED, booting or not loaded; duplicate: declared
    more than once; drift: runs with other settings than declared; idle: runs, and nobody uses
    it."""
    model_id: str
    """The model, as owner/name."""
    declared_by: list[Owner]
    """The resources concerned."""
    detail: str
    """What was seen."""
    quoted: str | None
    """What the service says about it, in its own words."""
    mends: list[Mend]
    """What to do; empty if no command can be written safely."""


class AuditedModel(Document):
    """A model that is loaded, or declared."""

    model_id: str
    """The model, as owner/name."""
    status: str
    """The status that the service reports, or NOT_LOADED."""
    declared_by: list[Owner]
    """The resources that own this load; if the model is not loaded, those that declare it."""
    concurrency: int | None
    """Loaded instances; with `maxConcurrency` the least number of them."""
    max_concurrency: int | None = None
    """The most instances; only in an API that has a range, as `instances`."""
    instances: int | None = None
    """Instances that there are now."""
    inferences: int | None
    """Runs since it was loaded."""
    created: str | None
    """When the load was accepted, in server time; identifies the load."""
    age_seconds: int | None
    """Seconds since then."""
    idle_since: str | None
    """When it last ran or became RUNNING; only for a model that is RUNNING."""
    idle_seconds_left: int | None
    """Seconds until the service unloads it if nobody runs it."""
    required_ram_gb: float | None
    """GPU RAM of one instance."""
    ram_gb: float | None
    """GPU RAM of all loaded instances; null if it FAILED."""
    dollars_per_hour: float | None
    """Cost of an hour; null if it FAILED, because a failed load costs nothing more."""
    dollars_so_far: float | None
    """Cost of the load since it was created, as it is billed, at the number of instances that it
    has; null if that has a range."""


class LeftOut(Document):
    """A resource of another account, endpoint or API version, which this audit does not judge."""

    model_id: str
    """The model, as owner/name."""
    declared_by: Owner
    """The resource."""
    differs: Differs
    """What is not that of this audit."""


class NotJudged(Document):
    """A resource whose state hides properties that this audit would have judged."""

    model_id: str
    """The model, as owner/name."""
    declared_by: Owner
    """The resource."""
    properties: list[str]
    """The properties that the state keeps as a secret or without a known value."""


class Totals(Document):
    """Sums of what is loaded, without unknown values; null if every value of a sum is unknown."""

    models: int
    """Loaded models."""
    ram_gb: float | None
    """GPU RAM of all their instances."""
    dollars_per_hour: float | None
    """Cost of an hour of all of them."""
    undeclared_dollars_per_hour: float | None
    """Cost of an hour of those that no given state declares."""
    dollars_so_far: float | None
    """Cost of all of them, each since it was created."""
    unknown_cost: list[str]
    """Models that a sum above leaves out, because a cost or their RAM is unknown."""


class Audit(Document):
    """What is loaded in an account, compared with what stacks declare."""

    version: Literal[1]
    """The version of this format."""
    time: str
    """Server time of the audit."""
    endpoint: str
    """The address of the service."""
    price_per_gb_second: str | None
    """The price behind all costs, in US dollars; null in an API in which each size of an instance
    has its price."""
    price_date: str
    """When the vendor's own price was read."""
    sources: list[SourceRead]
    """The states that were read."""
    totals: Totals
    """Sums of what is loaded."""
    findings: list[Finding]
    """What is not in order."""
    models: list[AuditedModel]
    """Every model that is loaded or declared, by name."""
    left_out: list[LeftOut]
    """Resources of another account, endpoint or API version."""
    not_judged: list[NotJudged]
    """Resources that were judged only in part, because the state hides properties."""
