"""What is not in order: one function for each kind of finding, and the commands that fix it.

A detail is in our own words. Text of others stands in fields of its own, which comments and pages
quote.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import get_args

from bytez_provider.audit._document import Finding, Kind, Mend, Owner
from bytez_provider.audit._facts import Declared, Facts, Standing
from bytez_provider.base.errors import printable
from bytez_provider.base.properties import camel
from bytez_provider.base.words import counted, duration
from bytez_provider.core.lifecycle import drift_of
from bytez_provider.core.ownership import Record, Verdict
from bytez_provider.service.apis import APIS
from bytez_provider.service.schemas import DEPLOYING, Instance, Phase, iso, seconds_between
from bytez_provider.service.wire import Api
from bytez_provider.stack.states import StackModel

NEVER_RUN_SECONDS = 600
"""A model is idle if it was not run for so long after it became RUNNING."""
UNUSED_SECONDS = 3600
"""A model that was run is idle if its last run is so long ago."""
SHORT_SECONDS = 300
"""A model is idle if so little idle time is left, or a quarter of a short idle period."""

EXPORTED = "fleet.yaml"
"""The file that `export` commands name."""

_BOOTING_WORDS = ("STARTED", DEPLOYING)
_UP = (Phase.RUNNING, Phase.OFF)
"""A model that is OFF is loaded too: it costs nothing, and boots when it is run."""
_NAME_LIMIT = 200
_WHERE = ("endpoint", "account", "apiVersion")
_JUDGED = (
    *("concurrency", "maxConcurrency", "expirationPeriodSeconds", "onExpiry"),
    *("granted", "status", "created", *_WHERE),
)
"""The properties in a state by which a model is judged."""


def findings_of(facts: Facts) -> list[Finding]:
    """Return all that is not in order, by kind, then by model."""
    checks = (_orphans, _unfinished, _not_running, _duplicates, _drifted, _idle)
    order = get_args(Kind)
    found = [finding for check in checks for finding in check(facts)]
    return sorted(found, key=lambda one: (order.index(one.kind), one.model_id))


# ------------------------------------------------------------------ what an assessment needs too


def shown(name: str) -> str:
    """Return a name that others chose as one printable line."""
    return printable(name, limit=_NAME_LIMIT)


def resource(declared: Declared) -> Owner:
    """Return a resource as the document has it."""
    model = declared.model
    return Owner(
        stack=shown(declared.stack),
        project=shown(model.project),
        name=shown(model.name),
        urn=printable(model.urn, limit=4 * _NAME_LIMIT),
    )


def hidden_in(model: StackModel) -> list[str]:
    """Return the properties that matter and that the state hides."""
    return [name for name in _JUDGED if name in model.unreadable]


def idle_since(live: Instance) -> datetime | None:
    """Return when a RUNNING model last ran or became RUNNING; None if that is unknown."""
    if live.phase is not Phase.RUNNING:
        return None
    if live.expires_at is not None and live.expiration_period_seconds is not None:
        return live.expires_at - timedelta(seconds=live.expiration_period_seconds)
    return live.modified


def owners_of(facts: Facts, live: Instance) -> list[Declared]:
    """Return the resources that own a load, including an adopter whose state was not read."""
    return [*facts.owners(live), *_unread_adopter(facts, live)]


def is_undeclared(facts: Facts, live: Instance) -> bool:
    """Return whether no given state names a load, and it is not unfinished or worked on."""
    record = facts.record_of(live)
    is_known = record and facts.standing_of(record) in (Standing.HELD, Standing.LEFT)
    return not owners_of(facts, live) and not is_known


# ------------------------------------------------------------------------------------- loaded


def _orphans(facts: Facts) -> Iterator[Finding]:
    for live in facts.live_by_id.values():
        owners = facts.owners(live)
        pending = [one for one in owners if one.model.pending_deletion]
        if is_undeclared(facts, live):
            yield _orphan(facts, live)
        elif owners and len(pending) == len(owners):
            detail = f"{_loaded(facts, live)}; it was replaced and not unloaded"
            mends = _up(pending[0], "unloads it")
            yield _finding("orphan", live.model_id, pending, detail, mends)


def _orphan(facts: Facts, live: Instance) -> Finding:
    model_id, record = live.model_id, facts.record_of(live)
    claims = facts.claims(model_id)
    has_it = [_in_journal(facts, record)] if record is not None else []
    keep: list[Mend] = []
    if claims:
        # The stack's own load is gone, and somebody made this one; see `_gone`.
        why = "a stack declares the model but did not make this load"
        keep = _up(claims[0], "takes it over without a new load", adopting=model_id)
    elif record is not None and facts.source_of(record.owner) is None:
        why = "no given stack declares it; by the journal, a stack that was not given owns it"
    else:
        why = "no given stack declares it"
        if record is not None:
            why += " any more; the journal names the resource that did"
        effect = "writes it to a fleet file, from which a stack can take it over"
        keep = _command(effect, "bytez-fleet", "export", EXPORTED, *_given(facts))
    unused = _unused_since(facts, live)
    details = [_loaded(facts, live), *([_last_run(facts, live, unused)] if unused else []), why]
    mends = [*_unload(facts, model_id, "unloads it"), *keep]
    return _finding("orphan", model_id, has_it, "; ".join(details), mends)


def _unfinished(facts: Facts) -> Iterator[Finding]:
    for record in facts.records:
        if facts.standing_of(record) is not Standing.LEFT:
            continue
        live = facts.live_by_id.get(record.model_id)
        owner = _in_journal(facts, record)
        effect, mends = "clears its record", []
        if live is None:
            now = "it is not loaded now"
        elif facts.record_of(live) is None:
            now = "another load of the model runs now"
        else:
            now = _loaded(facts, live)
            effect, mends = "unloads what is unfinished", _up(owner, "continues the load")
        detail = f"a deployment began a load {_ago(facts, record.began)} and did not finish it; "
        mends += _command(effect, "bytez-fleet", "unload", "--unfinished", *_given(facts))
        yield _finding("unfinished", record.model_id, [owner], detail + now, mends)


def _in_journal(facts: Facts, record: Record) -> Declared:
    """Return the resource that owns a load by the journal."""
    model = StackModel(urn=record.owner.urn, model_id=record.model_id)
    source = facts.source_of(record.owner)
    name = source.name if source is not None and source.kind == "stack" else model.stack
    return Declared(model, name, record.owner)


def _idle(facts: Facts) -> Iterator[Finding]:
    for live in facts.live_by_id.values():
        owners = [one for one in facts.owners(live) if one.model.is_managed]
        unused = _unused_since(facts, live)
        if not owners or unused is None:
            continue
        detail = _last_run(facts, live, unused)
        left = seconds_between(facts.now, live.expires_at)
        if left is not None:
            detail += f"; the service unloads it in {duration(left)} unless it is run"
        run = ("bytez-fleet", "run", _exact(live.model_id), "Hello", *_keyed(facts))
        mends = [
            *_command("postpones that", *run),
            *_unload(facts, live.model_id, "ends its cost until the next up of its stack"),
        ]
        yield _finding("idle", live.model_id, owners, detail, mends)


def _unused_since(facts: Facts, live: Instance) -> datetime | None:
    """Return since when a model is idle; None if it is not."""
    since = idle_since(live)
    if since is None:
        return None
    left, period = seconds_between(facts.now, live.expires_at), live.expiration_period_seconds
    is_short = left is not None and period is not None and left <= min(SHORT_SECONDS, period / 4)
    limit = NEVER_RUN_SECONDS if live.inferences == 0 else UNUSED_SECONDS
    return since if is_short or (facts.now - since).total_seconds() >= limit else None


# ----------------------------------------------------------------------------------- declared


def _not_running(facts: Facts) -> Iterator[Finding]:
    for declared in facts.declared:
        model_id = declared.model.model_id
        live = facts.live_by_id.get(model_id)
        if not declared.model.is_managed or model_id in facts.held:
            continue
        if live is not None and _is_taken_over(facts, declared, live):
            continue  # See `_duplicates`.
        if live is None or not facts.belongs(declared, live):
            yield from _gone(facts, declared, live)
        elif live.phase not in _UP and not _is_unfinished(facts, declared, live):
            yield _not_up(facts, declared, live)


def _gone(facts: Facts, declared: Declared, live: Instance | None) -> Iterator[Finding]:
    model, model_id = declared.model, declared.model.model_id
    if {**model.inputs, **model.outputs}.get("onExpiry") == "accept":
        return
    if model.unreadable & {"onExpiry", *_WHERE}:
        return  # It may be meant to be away, or to be elsewhere.
    made = f"the load made {_ago(facts, model.created)}" if model.created else "its load"
    if live is None:
        detail = f"not loaded: {made} has expired or was unloaded"
        mends = _up(declared, "loads it again")
    else:
        owner = facts.judged(declared, live).owner
        who = "somebody else" if owner is None else "another resource, by the journal,"
        detail = f"{made} is gone, and {who} made the load that runs now"
        mends = _up(declared, "takes over that load without a new one", adopting=model_id)
    yield _finding("notRunning", model_id, [declared], detail, mends)


def _not_up(facts: Facts, declared: Declared, live: Instance) -> Finding:
    if live.phase is Phase.FAILED:
        detail, quoted = "the service reported FAILED", live.error
        effect = "unloads it and loads it again"
    else:
        age = seconds_between(live.created, facts.now)
        detail = "still booting" if age is None else f"still booting after {duration(age)}"
        quoted = None if live.word in _BOOTING_WORDS else live.word
        effect = "waits until it is RUNNING"
    mends = _up(declared, effect)
    return _finding("notRunning", live.model_id, [declared], detail, mends, quoted=quoted)


def _is_taken_over(facts: Facts, declared: Declared, live: Instance) -> bool:
    """Return whether a state names a load that by the journal another resource owns."""
    is_named = declared.judged(live, None).verdict is Verdict.OURS
    return is_named and not facts.belongs(declared, live)


def _is_unfinished(facts: Facts, declared: Declared, live: Instance) -> bool:
    """Return whether a deployment began the load for a resource and did not finish it."""
    judged = facts.judged(declared, live)
    record = judged.record
    return judged.verdict is Verdict.OURS_LATER and record is not None and record.is_unfinished


def _duplicates(facts: Facts) -> Iterator[Finding]:
    for model_id in dict.fromkeys(one.model.model_id for one in facts.declared):
        claims = facts.claims(model_id)
        live = facts.live_by_id.get(model_id)
        adopter = _unread_adopter(facts, live) if live is not None else []
        if len({one.model.urn for one in claims}) + len(adopter) < 2:
            continue
        claimants = [*claims, *adopter]
        keeper = adopter[0] if adopter else _keeper(facts, claims, live)
        detail = (
            f"{counted(len(claimants), 'resource')} declare it, but the service holds one load of "
            "a model: if one of them unloads or replaces it, the others lose it"
        )
        if adopter:
            detail += "; by the journal, one took it over, and its state was not given"
        mends = [mend for one in claims if one is not keeper for mend in _forget(one)]
        yield _finding("duplicate", model_id, claimants, detail, mends)


def _unread_adopter(facts: Facts, live: Instance) -> list[Declared]:
    """Return the resource that took over a load by the journal, if no given state has it."""
    record = facts.record_of(live)
    claims = facts.claims(live.model_id)
    if record is None or any(one.who.is_same(record.owner) for one in claims):
        return []
    is_taken = any(_is_taken_over(facts, one, live) for one in claims)
    return [_in_journal(facts, record)] if is_taken else []


def _keeper(facts: Facts, claims: Iterable[Declared], live: Instance | None) -> Declared:
    """Return the resource with the best claim: among the owners, the last one that adopted."""

    def rank(one: Declared) -> tuple[bool, str]:
        belongs = live is not None and facts.belongs(one, live)
        return belongs, str(one.model.outputs.get("adoptedAt") or "")

    return max(claims, key=rank)


def _drifted(facts: Facts) -> Iterator[Finding]:
    for declared in facts.declared:
        live = facts.live_by_id.get(declared.model.model_id)
        if live is None or live.phase is Phase.FAILED or not declared.model.is_managed:
            continue
        verdict = facts.judged(declared, live).verdict
        if verdict is Verdict.OURS_LATER and not _is_unfinished(facts, declared, live):
            detail = "this resource made the load after this state was saved"
            mends = _up(declared, "updates the state to name this load")
            yield _finding("drift", live.model_id, [declared], detail, mends)
        elif verdict in (Verdict.OURS, Verdict.UNSURE):
            detail = " and ".join(_drift(declared.model, live, APIS[facts.api_version]))
            mends = _up(declared, _as_declared(facts))
            if detail:
                yield _finding("drift", live.model_id, [declared], detail, mends)


def _as_declared(facts: Facts) -> str:
    if APIS[facts.api_version].rescales:
        return "rescales it as declared, without an outage"
    return "replaces it as declared, with an outage of one boot"


def _drift(model: StackModel, live: Instance, api: Api) -> Iterator[str]:
    """Yield each setting that differs from what is declared, as far as the state shows it."""
    state = model.state
    if state is None or model.unreadable & {"granted", *_WHERE}:
        return
    drift = {
        name: value
        for name, value in drift_of(state, live, api).items()
        if camel(name) not in model.unreadable
    }
    if "concurrency" in drift:
        yield f"runs at concurrency {drift['concurrency']}, not {state.concurrency}"
    if "max_concurrency" in drift:
        most = state.asked.most
        yield f"has at most {counted(drift['max_concurrency'], 'instance')}, not {most}"
    if "expiration_period_seconds" in drift:
        period, declared = drift["expiration_period_seconds"], state.expiration_period_seconds
        yield f"is unloaded after {period} s idle, not {declared} s"


# ----------------------------------------------------------------------------------- commands


def _exact(name: str) -> str | None:
    """Return a name that others chose, for a command.

    None if it could be a flag, or if a shell, a terminal or Markdown would not show it as it is.
    """
    is_plain = name == printable(name, limit=1000) and not set(name) & set("`|")
    return name if is_plain and name and not name.startswith("-") else None


def _command(effect: str, *words: str | None, before: str = "") -> list[Mend]:
    """Return a command; none if a word of it is None."""
    known = [word for word in words if word is not None]
    if len(known) < len(words):
        return []
    return [Mend(command=before + shlex.join(known), effect=effect)]


def _up(declared: Declared, effect: str, *, adopting: str | None = None) -> list[Mend]:
    refresh = [] if declared.model.is_native else ["--refresh"]
    words = ("pulumi", "up", *refresh, "--stack", _exact(declared.stack))
    if adopting is None:
        return _command(effect, *words)
    before = f"BYTEZ_ADOPT={shlex.quote(adopting)} "
    return _command(effect, *words, before=before) if _exact(adopting) else []


def _unload(facts: Facts, model_id: str, effect: str) -> list[Mend]:
    live = facts.live_by_id.get(model_id)
    is_owned = facts.naming(model_id) or (live is not None and facts.record_of(live) is not None)
    yes = ["--yes"] if is_owned else []
    return _command(effect, "bytez-fleet", "unload", _exact(model_id), *yes, *_keyed(facts))


def _forget(declared: Declared) -> list[Mend]:
    # The readiness of a fleet depends on its models; the next `up` makes it again.
    dependents = ["--target-dependents"] if declared.model.readiness == "fleet" else []
    force = ["--force"] if declared.model.protect else []
    effect = "forgets it there without an unload; remove it from that program first"
    words = ("pulumi", "state", "delete", _exact(declared.model.urn), *dependents, *force)
    return _command(effect, *words, "--yes", "--stack", _exact(declared.stack))


def _given(facts: Facts) -> list[str | None]:
    """Return the flags that named the states."""
    return [word for flag, *names in facts.flags for word in (flag, *map(_exact, names))]


def _keyed(facts: Facts) -> list[str | None]:
    """Return the flags that give a command its key."""
    return ["--stack", _exact(facts.keyed_by)] if facts.keyed_by else []


# -------------------------------------------------------------------------------------- words


def _finding(
    kind: Kind,
    model_id: str,
    resources: Iterable[Declared],
    detail: str,
    mends: Sequence[Mend],
    *,
    quoted: str | None = None,
) -> Finding:
    return Finding(
        kind=kind,
        model_id=shown(model_id),
        declared_by=[resource(one) for one in resources],
        detail=detail,
        quoted=printable(quoted) or None if quoted else None,
        mends=list(mends),
    )


def _last_run(facts: Facts, live: Instance, since: datetime) -> str:
    if live.inferences == 0:
        return f"not run since it became RUNNING {_ago(facts, since)}"
    return f"last run {_ago(facts, since)}"


def _loaded(facts: Facts, live: Instance) -> str:
    state = {Phase.FAILED: "FAILED", **dict.fromkeys(_UP, "loaded")}.get(live.phase, "booting")
    if live.created is None:
        return f"{state}, since a time that the service does not report"
    return f"{state} since {iso(live.created)} ({_age(facts, live.created)})"


def _ago(facts: Facts, moment: datetime) -> str:
    return f"{_age(facts, moment)} ago ({iso(moment)})"


def _age(facts: Facts, moment: datetime) -> str:
    return duration((facts.now - moment).total_seconds())
