"""The operations on one account: schemas in, schemas out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bytez_provider.base.properties import PropertiesError
from bytez_provider.core import messages
from bytez_provider.core.declared import ModelInputs, ModelState, declared
from bytez_provider.core.inputs import INPUTS, RESCALING
from bytez_provider.core.lifecycle import _load, _read, _unload
from bytez_provider.core.lifecycle._diff import Difference, diff
from bytez_provider.core.lifecycle._operation import Account
from bytez_provider.core.lifecycle._stated import named_by
from bytez_provider.core.ownership import Claim, Ledger
from bytez_provider.core.waiting import Caller, Waiter
from bytez_provider.service.catalogue import CatalogueSource
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import CatalogueEntry, Instance
from bytez_provider.service.settings import Settings


@dataclass(frozen=True)
class Checked:
    """The inputs as they will be kept, or what is wrong with them."""

    inputs: ModelInputs | None
    problems: list[tuple[str, str]]
    """The property, spelled as in state, and the reason."""


class Lifecycle:
    """The operations on one account; safe to use from many threads."""

    def __init__(
        self,
        *,
        settings: Settings,
        client: BytezClient,
        catalogue: CatalogueSource,
        ledger: Ledger,
        waiter: Waiter,
    ) -> None:
        self._account = Account(
            settings=settings, client=client, catalogue=catalogue, ledger=ledger, waiter=waiter
        )

    def deploys(self, *, is_preview: bool | None) -> None:
        """Say whether this process only previews; see `Ledger.deploys`."""
        self._account.ledger.deploys(is_preview=is_preview)

    def check(
        self,
        news: Mapping[str, Any],
        old_model_id: str | None,
        caller: Caller,
        unknown: frozenset[str] = frozenset(),
    ) -> Checked:
        """Normalise a declaration, or say what is wrong with it.

        Args:
            news: What is known of the declaration, camelCase.
            old_model_id: The model id in the resource's state, None for a new resource.
            caller: Who asks.
            unknown: The properties that a preview does not know yet.
        """
        is_named = "modelId" not in unknown
        try:
            inputs = declared({**news} if is_named else {**news, "modelId": "unknown/unknown"})
        except PropertiesError as error:
            return Checked(None, error.problems)
        problems = self._account.api.problems(inputs.asked)
        if problems and unknown.isdisjoint(RESCALING):
            return Checked(inputs, problems)
        self._note_rounded(inputs, caller)
        twin = self._account.ledger.declare(inputs.model_id, caller.urn) if is_named else None
        if twin is not None:
            reason = messages.declared_twice(inputs.model_id, twin)
            return Checked(inputs, [("modelId", reason)])
        model_id = inputs.model_id
        if not is_named or model_id == old_model_id:
            return Checked(inputs, [])  # It was loaded once, and costs no request now.
        stranger = self._account.catalogue.about(model_id).unknown(model_id)
        if stranger is not None and stranger.is_certain:
            return Checked(inputs, [("modelId", str(stranger))])
        if stranger is not None:
            caller.warn(str(stranger))
        return Checked(inputs, [])

    def _note_rounded(self, inputs: ModelInputs, caller: Caller) -> None:
        asked = inputs.expiration_period_seconds
        taken = self._account.api.taken(inputs.asked).expiration_period_seconds
        if asked is not None and taken is not None and taken != asked:
            caller.note(messages.rounded(inputs.model_id, asked, taken))

    def diff(
        self, old: ModelState, news: Mapping[str, Any], unknown: frozenset[str], caller: Caller
    ) -> Difference:
        """Compare a checked declaration with the state; see `check` for the arguments.

        If the resource keeps its load, no other resource's delete ends it from now on. Two name
        one load if a deployment was killed between a take-over and the delete of the older one.
        """
        new, api = declared({"modelId": old.model_id, **news}), self._account.api
        hidden = frozenset(one.name for one in INPUTS.values() if one.in_state in unknown)
        change = diff(old, new, hidden, rescales=api.rescales)
        named = named_by(old)
        if old.api_version != api.in_state and named is not None:
            caller.warn(messages.other_version(old))
        if change.replaces:
            caller.warn(f"'{old.model_id}' {messages.OUTAGE}")
        elif named is not None:
            _read.confirm(self._account.begin(caller), old, named, is_kept=True)
        return change

    def create(self, inputs: ModelInputs, caller: Caller) -> ModelState:
        """Load a model and wait until it is RUNNING.

        Returns:
            The state; with status DEPLOYING if the deployment was cancelled in mid-boot.

        Raises:
            BytezError: It is not RUNNING; the sentence says what state things are in.
        """
        return _load.create(self._account.begin(caller), inputs)

    def update(self, old: ModelState, inputs: ModelInputs, caller: Caller) -> ModelState:
        """Apply what needs no replacement, and finish a load that is not RUNNING.

        Raises:
            BytezError: As for `create`.
        """
        return _load.update(self._account.begin(caller), old, inputs)

    def read(self, old: ModelState, caller: Caller) -> ModelState | None:
        """Return the state as it is now; None if the load is gone.

        Raises:
            AccountChangedError: Not found, but asked with another key or endpoint.
            ApiError: No answer: the state is left as it was.
        """
        return _read.read(self._account.begin(caller), old)

    def get(self, model_id: str) -> ModelState:
        """Return the state of a model that this stack only reads (`Model.get`).

        Raises:
            NotLoadedError: It is not loaded.
        """
        return _read.get(self._account, model_id)

    def find(self, model_id: str, caller: Caller) -> ModelState:
        """Return the state of a model that is read by its id: an import takes the load over.

        Raises:
            InvalidInputError: It is no model id.
            NotLoadedError: It is not loaded.
        """
        return _read.find(self._account.begin(caller), model_id)

    def foresee(self, model_id: str) -> dict[str, Any]:
        """Return the outputs of a model that a preview already knows, as Pulumi keeps them."""
        found = _load.state_of(self._account, ModelInputs(model_id=model_id), Claim(), None)
        outputs = ("requiredRamGb", "benchmarked", "endpoint", "account")
        return {name: value for name, value in found.bag().items() if name in outputs}

    def catalogue(self) -> list[CatalogueEntry]:
        """Return the models that the service can load, as far as they are known."""
        return self._account.catalogue.get().entries()

    def instances(self) -> list[Instance]:
        """Return what is loaded in the account, whoever loaded it.

        Raises:
            ApiError: No answer.
        """
        return self._account.client.instances()

    def glance(self, model_id: str, created: datetime | None) -> Instance | None:
        """Return the instance of a fleet's model, for a whole fleet with few requests."""
        return _read.glance(self._account, model_id, created)

    def delete(self, old: ModelState, caller: Caller) -> bool:
        """Unload the load that the state names, and wait until the status agrees.

        Already gone is success. Somebody else's load, or one that another resource holds, is left
        alone; then it returns False.

        Raises:
            UnloadError: It is still loaded at the limit.
            AccountChangedError: Not found, but asked with another key or endpoint.
            ApiError: No answer.
        """
        return _unload.delete(self._account.begin(caller), old)

    def unload_failed(self, model_id: str, claim: Claim, urn: str | None, caller: Caller) -> bool:
        """Unload a fleet's model that FAILED; return whether it still did and was unloaded.

        Raises:
            BytezError: It may still be there.
        """
        who = self._account.ledger.who(urn)
        return _unload.unload_failed(self._account.begin(caller, who), model_id, claim)
