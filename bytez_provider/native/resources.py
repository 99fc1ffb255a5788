"""What the plugin does for each kind of resource: property bags in, property bags out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bytez_provider.base.marks import UNKNOWN
from bytez_provider.base.properties import camel
from bytez_provider.core.declared import ModelState, ReadinessInputs, declared
from bytez_provider.core.inputs import DEFAULTS, without_defaults
from bytez_provider.core.lifecycle import Lifecycle
from bytez_provider.core.readiness import Readiness
from bytez_provider.core.rooms import model_state, readiness_state
from bytez_provider.engine import Call
from bytez_provider.native.bags import Bag
from bytez_provider.service.schemas import RUNNING

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """A resource as it is: its id, outputs and inputs."""

    id: str
    outs: Values
    inputs: Values


class Resource(ABC):
    """One kind of resource. Every method but `check` raises `BytezError`."""

    def check(self, _olds: Bag, news: Bag, _call: Call) -> tuple[Values, list[tuple[str, str]]]:
        """Return the inputs as they are kept, and what is wrong: property and reason."""
        return news.values, []

    @abstractmethod
    def diff(self, olds: Bag, news: Bag, call: Call) -> dict[str, str]:
        """Return the properties that ask for an operation, each with Pulumi's kind of change."""

    @abstractmethod
    def foresee(self, news: Bag, olds: Values | None) -> Values:
        """Return the outputs that a preview knows; `olds` are those of a resource that is there."""

    @abstractmethod
    def create(self, news: Bag, call: Call) -> Found:
        """Make the resource."""

    @abstractmethod
    def read(self, id_: str, state: Bag, inputs: Bag, call: Call) -> Found | None:
        """Return the resource as it is now; None if it is gone."""

    @abstractmethod
    def update(self, olds: Bag, news: Bag, call: Call) -> Values:
        """Apply what needs no replacement; return the outputs."""

    def delete(self, _state: Bag, _call: Call) -> None:
        """Remove the resource."""
        return


class Models(Resource):
    """Models: each is loaded for as long as a stack declares it."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def check(self, olds: Bag, news: Bag, call: Call) -> tuple[Values, list[tuple[str, str]]]:
        """Normalise the inputs; see `Lifecycle.check`."""
        old_id = olds.known.get("modelId")
        checked = self._lifecycle.check(news.known, old_id, call, news.unknown)
        kept = checked.inputs.bag() if checked.inputs is not None else {}
        return {**kept, **{name: news.values[name] for name in news.unknown}}, checked.problems

    def diff(self, olds: Bag, news: Bag, call: Call) -> dict[str, str]:
        """Compare; the load of a resource that is kept is confirmed in the journal."""
        change = self._lifecycle.diff(model_state(olds.known), news.known, news.unknown, call)
        # The engine does not say whether this is a preview.
        self._lifecycle.deploys(is_preview=None)
        return {
            camel(name): _kind(camel(name), olds.known, news) + also
            for names, also in ((change.updates, ""), (change.replaces, "_REPLACE"))
            for name in names
        }

    def foresee(self, news: Bag, olds: Values | None) -> Values:
        """Return what the catalogue knows, and of a running load everything."""
        if olds is not None and olds.get("status", RUNNING) == RUNNING:
            return {**olds, **news.values}
        model_id = news.known.get("modelId")
        outs = self._lifecycle.foresee(model_id) if model_id else {}
        later = {"status": UNKNOWN, "created": UNKNOWN}
        return {**(olds or {}), **outs, **later, **news.values}

    def create(self, news: Bag, call: Call) -> Found:
        """Load the model and wait until it is RUNNING."""
        state = self._lifecycle.create(declared(news.known), call)
        return Found(state.model_id, state.bag(), news.known)

    def read(self, id_: str, state: Bag, _inputs: Bag, call: Call) -> Found | None:
        """Return the model as it is now; an import and a `get` have only its id."""
        if "endpoint" in state.known:
            found = self._lifecycle.read(model_state(state.known), call)
        else:
            found = self._lifecycle.find(id_, call)
        return Found(id_, found.bag(), _as_declared(found)) if found is not None else None

    def update(self, olds: Bag, news: Bag, call: Call) -> Values:
        """Apply inputs that need no replacement, and finish a load that is not RUNNING."""
        state = model_state(olds.known)
        return self._lifecycle.update(state, declared(news.known), call).bag()

    def delete(self, state: Bag, call: Call) -> None:
        """Unload the load that the state names."""
        self._lifecycle.delete(model_state(state.known), call)


class Readinesses(Resource):
    """The readiness of fleets: each waits for its models, and loads none of them."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    def diff(self, olds: Bag, news: Bag, _call: Call) -> dict[str, str]:
        """Say whether there is something to wait for; never a replacement."""
        old = readiness_state(olds.known)
        waits = self._readiness.diff(old, None if news.unknown else news.known)
        return {"members" if old.ready else "ready": "UPDATE"} if waits else {}

    def foresee(self, news: Bag, _olds: Values | None) -> Values:
        """Return the inputs: the rest is known once all models are RUNNING."""
        return {**news.values, "ready": UNKNOWN, "statuses": UNKNOWN}

    def create(self, news: Bag, call: Call) -> Found:
        """Wait until all models are RUNNING."""
        inputs = ReadinessInputs.of(news.known)
        return Found(inputs.fleet, self._readiness.wait(inputs, call).bag(), news.known)

    def read(self, id_: str, state: Bag, inputs: Bag, _call: Call) -> Found | None:
        """Return the readiness as it is now; None if the fleet is not ready."""
        found = self._readiness.read(readiness_state(state.known))
        return Found(id_, found.bag(), inputs.values) if found is not None else None

    def update(self, _olds: Bag, news: Bag, call: Call) -> Values:
        """Wait until all models are RUNNING."""
        return self.create(news, call).outs


def _as_declared(state: ModelState) -> Values:
    """Return the inputs of a state; of one that was read by its id, what a program would say."""
    bag = state.inputs().bag()
    return bag if state.read_at is None else without_defaults(bag)


def _kind(name: str, olds: Values, news: Bag) -> str:
    if name not in news.unknown and olds.get(name) is None:
        return "ADD"
    is_left_out = name in DEFAULTS and name not in news.unknown and news.known.get(name) is None
    return "DELETE" if is_left_out else "UPDATE"
