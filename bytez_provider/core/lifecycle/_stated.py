"""The load that the state of a resource names."""

from __future__ import annotations

from bytez_provider.core import messages
from bytez_provider.core.declared import ModelState
from bytez_provider.core.lifecycle._operation import Operation
from bytez_provider.core.ownership import Judgement, Named
from bytez_provider.core.waiting import NOT_FOUND_GRACE_SECONDS, SHOWN_GRACE_SECONDS
from bytez_provider.service.schemas import NOT_LOADED, Instance, Phase, moment_of


def named_by(old: ModelState) -> Named | None:
    """Return the load that a state names; None if it names none."""
    if old.status == NOT_LOADED:
        return None
    return Named(moment_of(old.created), old.taken_at)


class Stated:
    """The load that a resource means: the one that its state names, or else the journal."""

    def __init__(self, op: Operation, old: ModelState) -> None:
        self._op = op
        self._old = old
        self.named = named_by(old)
        self.claim = op.ledger.claim(old.model_id, op.who, self.named)
        is_booting = old.status != NOT_LOADED and old.phase is Phase.BOOTING
        has_age = self.claim.created is not None or self.claim.accepted_at is not None
        self._may_be_young = has_age and is_booting
        # A fleet's load was shown before it came into state.
        self._was_shown = old.readiness == "fleet" and self.claim.created is not None

    @property
    def is_young(self) -> bool:
        """Whether "not found" proves nothing: it was accepted a moment ago, and may boot."""
        is_young = self._op.waiter.age(self.claim) < NOT_FOUND_GRACE_SECONDS
        return self._may_be_young and is_young

    @property
    def may_lag(self) -> bool:
        """Whether "not found" may only mean that the service does not show the load yet."""
        return self.is_young and not self._was_shown

    def look_again(self) -> Instance | None:
        """Look again for a young load that was shown before, and now is not found."""
        if not self.is_young or self.may_lag:
            return None
        return self._op.waiter.until_shown(
            self._old.model_id,
            self.claim,
            limit_seconds=SHOWN_GRACE_SECONDS,
            caller=self._op.caller,
        )

    def judge(
        self, verb: str, live: Instance | None, *, only_if_unnamed: bool = False
    ) -> Judgement:
        """Decide whose the load is that runs.

        Raises:
            AccountChangedError: It was looked for in another account than the state's.
        """
        judged = self._op.ledger.judge(
            self._old.model_id, live, self._op.who, self.named, only_if_unnamed=only_if_unnamed
        )
        if live is not None and self.named is not None and not self.named.is_surely(live):
            self.refuse_other_account(verb)
        return judged

    def refuse_other_account(self, verb: str) -> None:
        """Refuse to take "not found" for "gone" if another account was asked.

        Raises:
            AccountChangedError: The key or the endpoint is not the state's.
        """
        old, now = self._old, self._op.settings
        if now.accept_account_change or self.named is None:
            return
        if old.endpoint != now.endpoint:
            raise messages.other_account(verb, old, messages.Changed.ENDPOINT)
        if old.api_version != self._op.api.in_state:
            raise messages.other_account(verb, old, messages.Changed.API_VERSION)
        if old.account != now.account:
            raise messages.other_account(verb, old, messages.Changed.KEY)
