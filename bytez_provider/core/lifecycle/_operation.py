"""What an operation works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bytez_provider.base.errors import BytezError, LifecycleError
from bytez_provider.core import messages
from bytez_provider.core.ownership import HeldError, Ledger, Owner
from bytez_provider.core.waiting import Caller, Waiter
from bytez_provider.service.catalogue import CatalogueSource
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Instance
from bytez_provider.service.settings import Settings
from bytez_provider.service.wire import Api


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account at one endpoint, in one process."""

    settings: Settings
    client: BytezClient
    catalogue: CatalogueSource
    ledger: Ledger
    waiter: Waiter
    unloaded: set[str] = field(default_factory=set)
    """The URNs whose load this process unloaded: a create after that is a replacement's."""

    @property
    def api(self) -> Api:
        """What the API can do."""
        return self.client.api

    def begin(self, caller: Caller, who: Owner | None = None) -> Operation:
        """Begin an operation of the caller's resource, or of another one."""
        who = who or self.ledger.who(caller.urn)
        return Operation(**vars(self), caller=caller, who=who)


@dataclass(frozen=True, kw_only=True)
class Operation(Account):
    """One operation: the account, who asks, and which resource it is for."""

    caller: Caller
    who: Owner

    @property
    def is_stopped(self) -> bool:
        """Whether the caller wants it to end now."""
        return self.caller.stop() is not None

    def status(self, model_id: str) -> Instance | None:
        """Ask what runs of a model before it is loaded; a Ctrl-C ends the retries."""
        return self.client.status(model_id, stop=self.caller.wake)

    def remember_unload(self) -> None:
        """Remember that the resource's load was unloaded, for the errors of what follows."""
        self.unloaded.add(self.who.urn)

    @contextmanager
    def loading(self, model_id: str) -> Iterator[None]:
        """Give every error of a load the same form.

        It names the load, and says if the old load of a replacement is already unloaded.
        """
        try:
            try:
                yield
            except HeldError as held:
                raise messages.worked_on("load", held.record) from None
            except LifecycleError:
                raise
            except BytezError as error:
                raise messages.of_load(error, model_id) from None
        except BytezError as error:
            if self.who.urn in self.unloaded:
                raise messages.after_unload(error) from None
            raise

    @contextmanager
    def keeping_state(self, verb: str, model_id: str) -> Iterator[None]:
        """Give every error before the first change the form of one that leaves the state alone."""
        try:
            yield
        except LifecycleError:
            raise
        except BytezError as error:
            raise messages.of_state(error, verb, model_id) from None
