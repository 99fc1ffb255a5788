"""The document of an audit: plain data, and the source of its published schema.

Every text in it is one line without control characters. Amounts are US dollars, RAM is in GB. A
key is always there; what is not known is null, and no sum has it in as nothing.
"""

from __future__ import annotations

from typing import Literal

from bytez_provider.base.document import Document

Kind = Literal["orphan", "unfinished", "notRunning", "duplicate", "drift", "idle"]
KINDS: tuple[Kind, ...] = ("orphan", "unfinished", "notRunning", "duplicate", "drift", "idle")
"""Findings come in this order."""


class SourceRead(Document):
    """A state that was read."""

    kind: Literal["stack", "state"]
    """A stack, asked of Pulumi, or the file of a saved export."""
    name: str
    """The stack or the file, as it was named."""
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
    """A command that mends a finding."""

    command: str
    """To be typed in a shell; of several commands of a finding, any one is enough."""
    effect: str
    """What the command does."""


class Finding(Document):
    """Something that is not in order."""

    kind: Kind
    """orphan: loaded, and no state given names this load; unfinished: a deployment began it and
    did not finish it; notRunning: declared, and FAILED, booting or not loaded; duplicate: declared
    more than once; drift: runs otherwise than declared; idle: runs, and is not used."""
    model_id: str
    """The model, as owner/name."""
    declared_by: list[Owner]
    """The resources that it is about."""
    detail: str
    """What was seen."""
    quoted: str | None
    """What the service says of it, in its own words."""
    mends: list[Mend]
    """What to do; empty where no command of a safe spelling does it."""


class AuditedModel(Document):
    """A model that is loaded, or declared."""

    model_id: str
    """The model, as owner/name."""
    status: str
    """The word of the service, or NOT_LOADED."""
    declared_by: list[Owner]
    """The resources whose load this is; of a model that is not loaded, those that declare it."""
    concurrency: int | None
    """Instances that are loaded."""
    inferences: int | None
    """Runs since it was loaded."""
    created: str | None
    """When the load was accepted, in server time; identifies the load."""
    age_seconds: int | None
    """Seconds since then."""
    idle_since: str | None
    """When it last ran, or became RUNNING; of one that is RUNNING only."""
    idle_seconds_left: int | None
    """Seconds until the service unloads it if nobody runs it."""
    required_ram_gb: float | None
    """GPU RAM of one instance."""
    ram_gb: float | None
    """GPU RAM of all instances that are loaded; of one that FAILED, null."""
    dollars_per_hour: float | None
    """What an hour costs; of one that FAILED, null: it costs nothing from then on."""
    dollars_so_far: float | None
    """What the load has cost since it was created, in billed minutes."""


class LeftOut(Document):
    """A resource of another account or endpoint, of which this audit tells nothing."""

    model_id: str
    """The model, as owner/name."""
    declared_by: Owner
    """The resource."""
    differs: Literal["endpoint", "account"]
    """What of it is not that of this audit."""


class NotJudged(Document):
    """A resource of which the state hides something that this audit would have judged."""

    model_id: str
    """The model, as owner/name."""
    declared_by: Owner
    """The resource."""
    properties: list[str]
    """The properties that the state keeps as a secret, or without a known value."""


class Totals(Document):
    """Sums of what is loaded, without what is not known; null where nothing of a sum is."""

    models: int
    """Models that are loaded."""
    ram_gb: float | None
    """GPU RAM of all their instances."""
    dollars_per_hour: float | None
    """What an hour of all costs."""
    undeclared_dollars_per_hour: float | None
    """What an hour of those costs that no state given declares."""
    dollars_so_far: float | None
    """What all have cost since each was created."""
    unknown_cost: list[str]
    """The models that a sum above leaves out, since a cost or the RAM of theirs is unknown."""


class Audit(Document):
    """What is loaded in an account, beside what stacks declare."""

    version: Literal[1]
    """The version of this form."""
    time: str
    """The server time that all of this is of."""
    endpoint: str
    """The address of the service."""
    price_per_gb_second: str
    """The price in all costs, in US dollars."""
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
    """Resources of another account or endpoint."""
    not_judged: list[NotJudged]
    """Resources of which not everything can be read, and so not everything is judged."""
