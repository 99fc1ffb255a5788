"""What is not in order: one function a kind of finding.

A detail is in our own words and numbers. What others said, which a comment or a page must quote,
stands in fields of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from pydantic.alias_generators import to_camel

from bytez_provider.audit import _mends
from bytez_provider.audit._document import KINDS, Finding, Kind, Mend, Owner
from bytez_provider.audit._facts import Facts
from bytez_provider.audit._states import Declared, Standing
from bytez_provider.base.errors import printable
from bytez_provider.base.words import counted, duration
from bytez_provider.core.lifecycle import drift_of
from bytez_provider.core.ownership import Record, Verdict
from bytez_provider.service.schemas import Instance, Phase, iso
from bytez_provider.stack.states import StackModel

NAME_LIMIT = 200

NEVER_RUN_SECONDS = 600
"""A model that has not run for so long since it was RUNNING idles."""
UNUSED_SECONDS = 3600
"""A model that has run, and has not for so long, idles."""
SHORT_SECONDS = 300
"""Idle time left that is small; of a short idle period, the last quarter."""

JUDGED = (
    *("concurrency", "expirationPeriodSeconds", "onExpiry"),
    *("granted", "status", "created", "endpoint", "account"),
)
"""The properties in a state by which a model is judged."""

_WHERE = ("endpoint", "account")
_BOOTING_WORDS = ("STARTED", "DEPLOYING")


def findings_of(facts: Facts) -> list[Finding]:
    """Return all that is not in order, by kind, then by model."""
    found = [
        *_orphans(facts),
        *_unfinished(facts),
        *_not_running(facts),
        *_duplicates(facts),
        *_drifted(facts),
        *_idle(facts),
    ]
    # Stable: what is equal in these stays in the order in which it was found.
    return sorted(found, key=lambda one: (KINDS.index(one.kind), one.model_id))


def owner_of(declared: Declared) -> Owner:
    """Return a resource as a document tells of it."""
    model = declared.model
    return Owner(
        stack=printable(declared.stack, limit=NAME_LIMIT),
        project=printable(model.project, limit=NAME_LIMIT),
        name=printable(model.name, limit=NAME_LIMIT),
        urn=printable(model.urn, limit=4 * NAME_LIMIT),
    )


def idle_since(live: Instance) -> datetime | None:
    """Return when a RUNNING model last ran, or became RUNNING; None where that is not known."""
    if live.phase is not Phase.RUNNING:
        return None
    if live.expires_at is not None and live.expiration_period_seconds is not None:
        return live.expires_at - timedelta(seconds=live.expiration_period_seconds)
    return live.modified


def seconds_between(start: datetime | None, end: datetime | None) -> int | None:
    """Return whole seconds, 0 where the end comes first; None where one of them is not known."""
    if start is None or end is None:
        return None
    return max(0, round((end - start).total_seconds()))


def is_undeclared(facts: Facts, live: Instance) -> bool:
    """Tell whether no state given names this load, nor is it known as unfinished or at work."""
    record = facts.record_of(live)
    is_known = record is not None and _standing(facts, record) in (Standing.HELD, Standing.LEFT)
    return not owners_of(facts, live) and not is_known


def owners_of(facts: Facts, live: Instance) -> list[Declared]:
    """Return the resources whose load an instance is, also one that took it over unseen."""
    return [*facts.owners(live), *_adopter(facts, live)]


# ----------------------------------------------------------------------------------- loaded


def _orphans(facts: Facts) -> Iterator[Finding]:
    for live in facts.live_by_id.values():
        owners = facts.owners(live)
        pending = [one for one in owners if one.model.pending_deletion]
        if is_undeclared(facts, live):
            yield _orphan(facts, live)
        elif owners and len(pending) == len(owners):
            yield _finding(
                "orphan",
                live.model_id,
                pending,
                f"{_loaded(facts, live)}; it was replaced, and has not been unloaded since",
                _mends.up(pending[0].stack, "unloads it"),
            )


def _orphan(facts: Facts, live: Instance) -> Finding:
    model_id = live.model_id
    others = [one for one in facts.declared_of(model_id) if one.model.is_managed]
    loaded = "; ".join(filter(None, [_loaded(facts, live), _unused(facts, live)]))
    record = facts.record_of(live)
    has_it = [_in_journal(facts, record)] if record is not None else []
    keep: list[Mend] = []
    if others:
        # The load of a stack is gone, and somebody made this one; see `_not_running`.
        detail = f"{loaded}; a stack declares the model, and did not make this load"
        keep = _mends.up(others[0].stack, "takes it over, without a load", adopting=model_id)
    elif record is not None and facts.states.source_of(record.owner) is None:
        detail = f"{loaded}; no stack given declares it; the journal names a resource of another"
    else:
        detail = f"{loaded}; no stack given declares it"
        if has_it:
            detail += " any more; the journal names the resource that did"
        keep = _mends.export(facts, "writes it to a fleet file, to be taken over from there")
    mends = [*_mends.unload(facts, model_id, "unloads it"), *keep]
    return _finding("orphan", model_id, has_it, detail, mends)


def _unfinished(facts: Facts) -> Iterator[Finding]:
    for record in sorted(facts.records, key=lambda one: one.model_id):
        if _standing(facts, record) is not Standing.LEFT:
            continue
        live = facts.live_by_id.get(record.model_id)
        owner = _in_journal(facts, record)
        began = _ago(facts, record.began)
        detail = f"a deployment began a load {began} and has not finished it"
        mends: list[Mend] = []
        if live is None:
            detail += "; it is not loaded now"
            effect = "clears its record"
        elif facts.record_of(live) is None:
            detail += "; what is loaded now is not that load"
            effect = "clears its record"
        else:
            detail += f"; {_loaded(facts, live)}"
            effect = "unloads what is unfinished"
            mends = _mends.up(owner.stack, "goes on with it")
        mends += _mends.unload_unfinished(facts, effect)
        yield _finding("unfinished", record.model_id, [owner], detail, mends)


def _standing(facts: Facts, record: Record) -> Standing:
    live = facts.live_by_id.get(record.model_id)
    is_held = record.model_id in facts.held
    return facts.states.standing(record, live, is_held=is_held)


def _in_journal(facts: Facts, record: Record) -> Declared:
    """Return the resource that has a load by the journal."""
    resource = StackModel(urn=record.owner.urn, model_id=record.model_id)
    source = facts.states.source_of(record.owner)
    is_stack = source is not None and source.kind == "stack"
    name = source.name if source is not None and is_stack else resource.stack
    return Declared(resource, name, record.owner)


# --------------------------------------------------------------------------------- declared


def _not_running(facts: Facts) -> Iterator[Finding]:
    for declared in facts.declared:
        if not declared.model.is_managed:
            continue
        model_id = declared.model.model_id
        live = facts.live_by_id.get(model_id)
        if model_id in facts.held or (live and _is_taken_over(facts, declared, live)):
            continue  # A deployment is at work; or see `_duplicates`.
        if live is None or not facts.belongs(declared, live):
            yield from _gone(facts, declared, live)
        elif live.phase is not Phase.RUNNING and not _is_begun(facts, declared, live):
            yield _not_up(facts, declared, live)


def _gone(facts: Facts, declared: Declared, live: Instance | None) -> Iterator[Finding]:
    model, model_id = declared.model, declared.model.model_id
    told = {**model.inputs, **model.outputs}
    if told.get("onExpiry") == "accept":
        return  # As declared: it may be away.
    if model.unreadable & {"onExpiry", *_WHERE}:
        return  # Whether it may be away cannot be known, or whether it should be here at all.
    made = f"the load made {_ago(facts, model.created)}" if model.created else "its load"
    if live is None:
        detail = f"not loaded: {made} has expired, or was unloaded"
        mends = _mends.up(declared.stack, "loads it again")
    else:
        owner = facts.judged(declared, live).owner
        who = "somebody else" if owner is None else "another resource, by the journal,"
        detail = f"{made} is gone, and {who} made the one that there is"
        mends = _mends.up(declared.stack, "takes that one over, without a load", adopting=model_id)
    yield _finding("notRunning", model_id, [declared], detail, mends)


def _not_up(facts: Facts, declared: Declared, live: Instance) -> Finding:
    has_failed = live.phase is Phase.FAILED
    word = live.status.strip().upper()
    if has_failed:
        detail, quoted = "the service reported FAILED", live.error
        effect = "unloads it and loads it again"
    else:
        age = seconds_between(live.created, facts.now)
        detail = "still booting" if age is None else f"still booting after {duration(age)}"
        quoted = None if word in _BOOTING_WORDS else word
        effect = "waits until it is RUNNING"
    mends = _mends.up(declared.stack, effect)
    return _finding("notRunning", live.model_id, [declared], detail, mends, quoted=quoted)


def _is_taken_over(facts: Facts, declared: Declared, live: Instance) -> bool:
    """Tell whether a state names a load that is another resource's by the journal."""
    is_named = declared.judged(live, None).verdict is Verdict.OURS
    return is_named and not facts.belongs(declared, live)


def _is_begun(facts: Facts, declared: Declared, live: Instance) -> bool:
    """Tell whether a deployment began a load for a resource and did not finish; see there."""
    judged = facts.judged(declared, live)
    record = judged.record
    return judged.verdict is Verdict.OURS_LATER and record is not None and record.is_unfinished


def _duplicates(facts: Facts) -> Iterator[Finding]:
    for model_id in dict.fromkeys(one.model.model_id for one in facts.declared):
        claims = [one for one in facts.declared_of(model_id) if one.model.is_managed]
        live = facts.live_by_id.get(model_id)
        adopter = _adopter(facts, live) if live is not None else []
        claimants = [*claims, *adopter]
        if len({one.model.urn for one in claims}) + len(adopter) < 2:
            continue
        keeper = adopter[0] if adopter else _keeper(facts, claims)
        detail = (
            f"{counted(len(claimants), 'resource')} declare it, and the service holds one load a "
            "model: what one of them unloads or replaces, the others lose"
        )
        if adopter:
            detail += "; by the journal, one of them took it over, and its state was not given"
        mends = [
            mend
            for one in claims
            if one is not keeper
            for mend in _mends.forget(
                one, "forgets it there without an unload; take it out of that program first"
            )
        ]
        yield _finding("duplicate", model_id, claimants, detail, mends)


def _adopter(facts: Facts, live: Instance) -> list[Declared]:
    """Return the resource that took a load over by the journal, where no state given has it."""
    record = facts.record_of(live)
    claims = [one for one in facts.declared_of(live.model_id) if one.model.is_managed]
    if record is None or any(one.who.is_same(record.owner) for one in claims):
        return []
    is_taken = any(_is_taken_over(facts, one, live) for one in claims)
    return [_in_journal(facts, record)] if is_taken else []


def _keeper(facts: Facts, claims: list[Declared]) -> Declared:
    """Return the resource that has the best claim: of those whose load it is, the last adopter."""
    live = facts.live_by_id.get(claims[0].model.model_id)

    def rank(one: Declared) -> tuple[bool, str]:
        belongs = live is not None and facts.belongs(one, live)
        return belongs, str(one.model.outputs.get("adoptedAt") or "")

    return max(claims, key=rank)


def _drifted(facts: Facts) -> Iterator[Finding]:
    for declared in facts.declared:
        live = facts.live_by_id.get(declared.model.model_id)
        state = declared.model.state
        if live is None or state is None or not declared.model.is_managed:
            continue
        if live.phase is Phase.FAILED or not facts.belongs(declared, live):
            continue
        judged = facts.judged(declared, live)
        if judged.verdict is Verdict.OURS_LATER:
            if judged.record is not None and not judged.record.is_unfinished:
                # A state that was put back to what it was before.
                detail = "this resource made the load after this state was saved"
                mends = _mends.up(declared.stack, "has the state name this load")
                yield _finding("drift", live.model_id, [declared], detail, mends)
            continue
        drift = _judged(declared.model, drift_of(state, live))
        parts = []
        if "concurrency" in drift:
            parts.append(f"runs at concurrency {drift['concurrency']}, not {state.concurrency}")
        if "expiration_period_seconds" in drift:
            parts.append(
                f"is unloaded after {drift['expiration_period_seconds']} s idle, "
                f"not {state.expiration_period_seconds} s"
            )
        if parts:
            effect = "replaces it as it is declared: it is unavailable for one boot"
            mends = _mends.up(declared.stack, effect)
            yield _finding("drift", live.model_id, [declared], " and ".join(parts), mends)


def _judged(model: StackModel, drift: Mapping[str, int]) -> dict[str, int]:
    """Return the drift of what the state lets us read: a secret is no default."""
    if model.unreadable & {"granted", *_WHERE}:
        return {}
    return {name: value for name, value in drift.items() if to_camel(name) not in model.unreadable}


def _idle(facts: Facts) -> Iterator[Finding]:
    for live in facts.live_by_id.values():
        owners = [one for one in facts.owners(live) if one.model.is_managed]
        unused = _unused(facts, live)
        if not owners or not unused:
            continue
        detail = unused
        left = seconds_between(facts.now, live.expires_at)
        if left is not None:
            detail += f"; it is unloaded in {duration(left)} unless it is run"
        mends = [
            *_mends.run(facts, live.model_id, "puts that off"),
            *_mends.unload(facts, live.model_id, "ends its cost until the next up of its stack"),
        ]
        yield _finding("idle", live.model_id, owners, detail, mends)


# ------------------------------------------------------------------------------------ words


def _finding(
    kind: Kind,
    model_id: str,
    resources: Iterable[Declared],
    detail: str,
    mends: list[Mend],
    *,
    quoted: str | None = None,
) -> Finding:
    return Finding(
        kind=kind,
        model_id=printable(model_id, limit=NAME_LIMIT),
        declared_by=[owner_of(one) for one in resources],
        detail=detail,
        quoted=printable(quoted) or None if quoted else None,
        mends=mends,
    )


def _unused(facts: Facts, live: Instance) -> str:
    """Say since when a model idles; "" where it does not."""
    since = idle_since(live)
    if since is None:
        return ""
    idle = (facts.now - since).total_seconds()
    limit = NEVER_RUN_SECONDS if live.inferences == 0 else UNUSED_SECONDS
    if idle < limit and not _is_short(facts, live):
        return ""
    if live.inferences == 0:
        return f"not run once since it was RUNNING, {_ago(facts, since)}"
    return f"last run {_ago(facts, since)}"


def _is_short(facts: Facts, live: Instance) -> bool:
    """Tell whether little idle time is left."""
    left = seconds_between(facts.now, live.expires_at)
    period = live.expiration_period_seconds
    return left is not None and period is not None and left <= min(SHORT_SECONDS, period / 4)


def _loaded(facts: Facts, live: Instance) -> str:
    state = {Phase.FAILED: "FAILED", Phase.RUNNING: "loaded"}.get(live.phase, "booting")
    if live.created is None:
        return f"{state}, since a time that the service does not tell"
    return f"{state} since {iso(live.created)} ({_age(facts, live.created)})"


def _ago(facts: Facts, moment: datetime) -> str:
    return f"{_age(facts, moment)} ago ({iso(moment)})"


def _age(facts: Facts, moment: datetime) -> str:
    return duration((facts.now - moment).total_seconds())
