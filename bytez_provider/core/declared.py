"""What programs declare of models and fleets, and what Pulumi's state keeps of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, ValidationError

from bytez_provider.base.document import CamelCase
from bytez_provider.base.errors import printable
from bytez_provider.core.inputs import EXPIRY_MAX_SECONDS, EXPIRY_MIN_SECONDS, INPUTS
from bytez_provider.service.schemas import Asked, Count, Instance, Phase, phase_of


def _as(name: str) -> BeforeValidator:
    return BeforeValidator(INPUTS[name].check)


class _Bag(CamelCase):
    """Properties as Pulumi keeps them in state."""

    model_config = ConfigDict(extra="forbid")

    def bag(self) -> dict[str, Any]:
        """Return the properties as Pulumi keeps them: camelCase, no Nones."""
        return self.model_dump(by_alias=True, exclude_none=True)


class ModelInputs(_Bag):
    """What a user declares of one model.

    Raises:
        pydantic.ValidationError: See `problems_of`.
    """

    model_id: Annotated[str, _as("model_id")]
    concurrency: Annotated[int, _as("concurrency")] = 1
    max_concurrency: Annotated[int | None, _as("max_concurrency")] = None
    expiration_period_seconds: Annotated[int | None, _as("expiration_period_seconds")] = None
    adopt: Annotated[bool, _as("adopt")] = False
    on_expiry: Annotated[Literal["reload", "accept"], _as("on_expiry")] = "reload"
    expected_hours_per_day: Annotated[float | None, _as("expected_hours_per_day")] = None

    @property
    def asked(self) -> Asked:
        """What the service is asked for."""
        return Asked(self.concurrency, self.expiration_period_seconds, self.max_concurrency)


class MemberInputs(ModelInputs):
    """What a Fleet declares of one of its models; the fleet's readiness waits for it."""

    readiness: Literal["fleet"] = "fleet"


def declared(bag: dict[str, Any]) -> ModelInputs:
    """Read the inputs of a Model resource, on its own or in a fleet.

    Raises:
        pydantic.ValidationError: See `problems_of`.
    """
    kind = MemberInputs if "readiness" in bag else ModelInputs
    return kind.model_validate(bag)


def as_declared(live: Instance, idle_seconds: int) -> dict[str, Any]:
    """Return the settings of an instance as a program would declare them, by their names.

    Defaults are left out, and so is an idle period that cannot be declared.

    Args:
        live: The instance.
        idle_seconds: The service's own idle period.
    """
    least = 1 if live.concurrency is None else live.concurrency
    if live.max_concurrency is None:
        least = least or 1  # Only in a range, zero is a setting.
    found: dict[str, Any] = {"concurrency": least}
    if live.max_concurrency not in (None, 0, Asked(least).most):
        found["max_concurrency"] = live.max_concurrency
    period = live.expiration_period_seconds
    if period in range(EXPIRY_MIN_SECONDS, EXPIRY_MAX_SECONDS + 1) and period != idle_seconds:
        found["expiration_period_seconds"] = period
    return found


class Granted(_Bag):
    """Settings of our load that the service did not take as they were asked."""

    concurrency: Count = None
    max_concurrency: Count = None
    expiration_period_seconds: Count = None


class ModelState(ModelInputs):
    """What Pulumi's state keeps of one model.

    Nothing here changes from minute to minute: every refresh would show it as a change.
    """

    # A state from a later version must be readable.
    model_config = ConfigDict(extra="ignore")

    readiness: Literal["fleet"] | None = None
    status: str | None = None
    """RUNNING, DEPLOYING, FAILED, NOT_LOADED, or another word of the service. A fleet's model has
    only the words that the next `up` acts on: FAILED and NOT_LOADED."""
    created: str | None = None
    """Identifies the load, as the service wrote it."""
    adopted_at: str | None = None
    """Server time of the adoption, if there was one. Differs between the holders of a load."""
    granted: Granted | None = None
    read_only: bool | None = None
    """True if the stack only reads somebody else's load (`Model.get` of a Python program)."""
    read_at: str | None = None
    """Server time at which it was read by its id: by an import, which takes the load over, or by a
    `get`, which does not. Pulumi does not say which."""
    required_ram_gb: float | None = None
    benchmarked: bool | None = None
    endpoint: str
    api_version: str | None = None
    """The version of the API that has the load; None for those of 2024, which share their loads."""
    account: str
    """First 12 hex digits of a keyed hash of the key: for equality only."""

    @property
    def taken_at(self) -> str | None:
        """When the resource took the load over; None if it began the load."""
        return self.adopted_at or self.read_at

    @property
    def phase(self) -> Phase:
        """What the status means."""
        return phase_of(self.status or "")

    def inputs(self) -> ModelInputs:
        """Return the declared half."""
        kind = MemberInputs if self.readiness else ModelInputs
        return kind(**{name: getattr(self, name) for name in kind.model_fields})


class MemberOfFleet(_Bag):
    """One model that a readiness waits for."""

    # As `ModelState`, of which it is a part.
    model_config = ConfigDict(extra="ignore")

    model_id: str
    created: str = ""
    """Identifies the load; "" if the service does not say."""
    accept_idle: bool = False
    """Whether the model counts as ready if it is not loaded."""


class ReadinessInputs(_Bag):
    """What a Fleet's readiness waits for, by the models' keys in the fleet."""

    fleet: str
    members: dict[str, MemberOfFleet]


class ReadinessState(ReadinessInputs):
    """What Pulumi's state keeps of a readiness."""

    model_config = ConfigDict(extra="ignore")

    ready: bool
    """False only after an interrupted wait."""
    statuses: dict[str, str]
    """The last known status of each model, by its key."""


def problems_of(error: ValidationError) -> list[tuple[str, str]]:
    """Return `(property, reason)` for each thing wrong, the property spelled as in state.

    Both are on one line, whatever a program, a file or a state contains.
    """
    problems = []
    for detail in error.errors(include_url=False):
        place = printable(".".join(str(part) for part in detail["loc"]), limit=100)
        if detail["type"] == "extra_forbidden":
            names = ", ".join(one.in_state for one in INPUTS.values())
            problems.append((place, f"is not an argument; the arguments are {names}"))
        elif detail["type"] == "missing":
            problems.append((place, "is missing"))
        else:
            problems.append((place, printable(detail["msg"].removeprefix("Value error, "))))
    return problems
