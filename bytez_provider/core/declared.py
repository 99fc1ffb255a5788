"""What programs declare of models and fleets, and what Pulumi's state keeps of them."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import Any, ClassVar, Literal

from bytez_provider.base.properties import (
    Check,
    Properties,
    flag,
    mapping_of,
    number,
    optional,
    prop,
    text,
)
from bytez_provider.core.inputs import EXPIRY_MAX_SECONDS, EXPIRY_MIN_SECONDS, INPUTS, REQUIRED
from bytez_provider.service.schemas import Asked, Instance, Phase, count, phase_of


def _input(name: str) -> Any:
    one = INPUTS[name]
    return prop(one.check, MISSING if one.default is REQUIRED else one.default)


def _word(*words: str) -> Check:
    def check(value: object) -> object:
        if value not in words:
            raise ValueError(f"must be {' or '.join(map(repr, words))}")
        return value

    return check


@dataclass(frozen=True, kw_only=True)
class ModelInputs(Properties):
    """What a user declares of one model."""

    only_known: ClassVar[bool] = True

    model_id: str = _input("model_id")
    concurrency: int = _input("concurrency")
    max_concurrency: int | None = _input("max_concurrency")
    expiration_period_seconds: int | None = _input("expiration_period_seconds")
    adopt: bool = _input("adopt")
    on_expiry: Literal["reload", "accept"] = _input("on_expiry")
    expected_hours_per_day: float | None = _input("expected_hours_per_day")

    @property
    def asked(self) -> Asked:
        """What the service is asked for."""
        return Asked(self.concurrency, self.expiration_period_seconds, self.max_concurrency)


@dataclass(frozen=True, kw_only=True)
class MemberInputs(ModelInputs):
    """What a Fleet declares of one of its models; the fleet's readiness waits for it."""

    readiness: Literal["fleet"] = prop(_word("fleet"), "fleet")


def declared(bag: dict[str, Any]) -> ModelInputs:
    """Read the inputs of a Model resource, on its own or in a fleet.

    Raises:
        PropertiesError: They are no such inputs.
    """
    return (MemberInputs if "readiness" in bag else ModelInputs).of(bag)


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


@dataclass(frozen=True, kw_only=True)
class Granted(Properties):
    """Settings of our load that the service did not take as they were asked."""

    concurrency: int | None = prop(count, None)
    max_concurrency: int | None = prop(count, None)
    expiration_period_seconds: int | None = prop(count, None)


@dataclass(frozen=True, kw_only=True)
class ModelState(ModelInputs):
    """What Pulumi's state keeps of one model.

    Nothing here changes from minute to minute: every refresh would show it as a change.
    """

    # A state from a later version must be readable.
    only_known: ClassVar[bool] = False

    readiness: Literal["fleet"] | None = prop(optional(_word("fleet")), None)
    status: str | None = prop(optional(text), None)
    """RUNNING, DEPLOYING, FAILED, NOT_LOADED, or another word of the service. A fleet's model has
    only the words that the next `up` acts on: FAILED and NOT_LOADED."""
    created: str | None = prop(optional(text), None)
    """Identifies the load, as the service wrote it."""
    adopted_at: str | None = prop(optional(text), None)
    """Server time of the adoption, if there was one. Differs between the holders of a load."""
    granted: Granted | None = prop(optional(Granted.of), None)
    read_only: bool | None = prop(optional(flag), None)
    """True if the stack only reads somebody else's load (`Model.get` of a Python program)."""
    read_at: str | None = prop(optional(text), None)
    """Server time at which it was read by its id: by an import, which takes the load over, or by a
    `get`, which does not. Pulumi does not say which."""
    required_ram_gb: float | None = prop(optional(number), None)
    benchmarked: bool | None = prop(optional(flag), None)
    endpoint: str = prop(text)
    api_version: str | None = prop(optional(text), None)
    """The version of the API that has the load; None for those of 2024, which share their loads."""
    account: str = prop(text)
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
        return kind(**{name: getattr(self, name) for name in INPUTS})


@dataclass(frozen=True, kw_only=True)
class MemberOfFleet(Properties):
    """One model that a readiness waits for."""

    model_id: str = prop(text)
    created: str = prop(text, "")
    """Identifies the load; "" if the service does not say."""
    accept_idle: bool = prop(flag, False)
    """Whether the model counts as ready if it is not loaded."""


@dataclass(frozen=True, kw_only=True)
class ReadinessInputs(Properties):
    """What a Fleet's readiness waits for, by the models' keys in the fleet."""

    only_known: ClassVar[bool] = True

    fleet: str = prop(text)
    members: dict[str, MemberOfFleet] = prop(mapping_of(MemberOfFleet.of))


@dataclass(frozen=True, kw_only=True)
class ReadinessState(ReadinessInputs):
    """What Pulumi's state keeps of a readiness."""

    only_known: ClassVar[bool] = False

    ready: bool = prop(flag)
    """False only after an interrupted wait."""
    statuses: dict[str, str] = prop(mapping_of(text))
    """The last known status of each model, by its key."""
