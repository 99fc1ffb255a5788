"""A review as Markdown: one comment on a pull request, found again by its first line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from bytez_provider.base.errors import printable
from bytez_provider.base.markup import COMMENT_LIMIT, code, fitted, table
from bytez_provider.base.words import between, counted, dollars, gigabytes, instances, partly, span
from bytez_provider.review._document import BrokenRule, Review, ReviewedModel, Total
from bytez_provider.service.schemas import NOT_LOADED

_ROWS = 40
"""Of one section: a comment that is too long is cut between sections."""
_HEAD_ITEMS = 10
"""Of one list in the head, which is never cut."""
_SECTIONS = (
    ("Loaded", "load"),
    ("Adopted: keeps running", "adopt"),
    ("Unloaded", "unload"),
    ("Removed from the stack, not unloaded", "forget"),
    ("Rescaled in place: no downtime", "rescale"),
    ("Updated: no request is sent", "update"),
    ("Waits for the boot", "wait"),
)
_ANYWAY = {
    "load": "loaded again",
    "replace": "**replaced**",
    "wait": "waited for",
    "forget": "forgotten",
    "adopt": "adopted",
    "rescale": "rescaled in place",
}
_MONTH = "$ a month, at most"


def markdown(review: Review, *, link: str | None = None, limit: int = COMMENT_LIMIT) -> str:
    """Return the comment. The same review gives the same bytes.

    Args:
        review: What to show.
        link: Where the whole review is, for a comment that has to be cut.
        limit: Characters of a comment at the host.
    """
    where = f"at {_address(link)}" if link else "in the log of the job that made this"
    pointer = f"_Cut here: this is longer than a comment may be. The whole review is {where}._"
    return fitted(list(_sections(review)), pointer, limit=limit)


def _address(link: str) -> str:
    shown = printable(link, limit=500)
    safe = shown.startswith("https://") and not set(shown) & set(" <>()[]\"'`|\\")
    return f"<{shown}>" if safe else code(shown)


def _plain(name: str) -> str:
    """Return a name that cannot end an HTML comment."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name)


def _sections(review: Review) -> Iterator[str]:
    changed = [one for one in review.models if not one.is_anyway]
    yield "\n\n".join(_head(review))
    yield _costs(review)
    yield from _listed(
        "Replaced: each is an outage",
        ("model", "change", "unavailable", "dependents", _MONTH),
        map(_replaced, (one for one in changed if one.action == "replace")),
    )
    rules = ("model", "level", "what to change", "rule")
    yield from _listed("Broken rules", rules, map(_rule, review.broken_rules))
    for title, action in _SECTIONS:
        which = (one for one in changed if one.action == action)
        yield from _listed(title, ("model", "what", "GB RAM", _MONTH), map(_changed, which))
    yield from _listed(
        "Happens even without this change",
        ("model", "what", "why", "unavailable"),
        map(_anyway, (one for one in review.models if one.is_anyway)),
    )
    yield from _listed(
        "What runs now",
        ("model", "declared", "now", "age", "idle time left"),
        map(_live, (one for one in review.models if one.live)),
    )
    yield "### Notes\n\n" + "\n".join(f"- {note}" for note in _notes(review))


def _head(review: Review) -> Iterator[str]:
    project, stack = review.project, review.stack
    yield (
        f"<!-- bytez-fleet review of {_plain(project)}/{_plain(stack)} -->\n"
        f"## Bytez models of {code(project)}, stack {code(stack)}"
    )
    for failure in review.failures[:_HEAD_ITEMS]:
        yield f"> **This `up` will fail:** {code(failure)}"
    if review.failures[_HEAD_ITEMS:]:
        yield f"> **{len(review.failures) - _HEAD_ITEMS} more reasons are not shown here.**"
    if review.gaps:
        gaps = (
            f"{one.text}: {_codes(one.models, _HEAD_ITEMS)}" if one.models else one.text
            for one in review.gaps
        )
        yield f"> **This review is partial:** {'; '.join(gaps)}."
    yield " ".join(_summary(review))


def _summary(review: Review) -> Iterator[str]:
    counts = review.counts
    changes = [
        counted(number, thing)
        for number, thing in (
            (counts.loads, "load"),
            (counts.replacements, "replacement"),
            (counts.unloads, "unload"),
            (counts.forgotten, "other removal"),
            (counts.adoptions, "adoption"),
            (counts.rescales, "in-place rescale"),
            (counts.updates, "in-place update"),
        )
        if number
    ]
    rest = "in a partial plan" if counts.unchanged is None else f"{counts.unchanged} unchanged"
    yield f"**{', '.join(changes) or 'No change'}**, {rest}."
    if counts.replacements:
        minutes = counted(review.boot_minutes, "minute")
        yield f"**Each replacement is unavailable for about {minutes}.**"
    if left := [one.name for one in review.models if one.is_left_running]:
        yield f"**Left running and paid for, but in no stack: {_codes(left)}.**"
    if counts.anyway:
        verb = "happens" if counts.anyway == 1 else "happen"
        yield f"{counted(counts.anyway, 'more step')} {verb} even without this change."
    if review.other_changes:
        yield f"{counted(review.other_changes, 'step')} for other resources."
    if review.broken_rules:
        yield f"**{counted(len(review.broken_rules), 'broken rule')}.**"


def _costs(review: Review) -> str:
    before, after, more = review.before, review.after, review.increase
    # A model that does not change makes no difference, also if its cost is unknown.
    changed = [one for one in review.models if one.action != "keep"]
    unknown = sum(
        any(one and one.dollars_per_hour is None for one in (model.before, model.after))
        for model in changed
    )

    ram = after.required_ram_gb - before.required_ram_gb
    hour, floor, ceiling, ram_gb = (
        partly(one, unknown, len(changed))
        for one in (
            *map(_signed, (review.increase_per_hour, more.floor, more.ceiling)),
            f"{'+' if ram > 0 else ''}{ram:.2f}",
        )
    )
    names = [
        "an hour, all loaded",
        "a month at least: loaded once",
        f"a month as expected, for {after.expected_models} of {after.models} models",
        "a month at most: always loaded",
        "GB RAM",
    ]
    differences = [hour, floor, _signed(more.expected), ceiling, ram_gb]
    rows = list(zip(names, amounts(before), amounts(after), differences, strict=True))
    if not (before.expected_models or after.expected_models):
        del rows[2]
    title = "### Cost" if review.is_complete else "### Cost of what is in this plan"
    text = f"{title}\n\n" + table(["", "before", "after", "difference"], rows, numbers=3)
    any_unknown = max(before.unknown_models, after.unknown_models)
    peak = partly(gigabytes(review.peak_ram_gb), any_unknown, len(review.models))
    text += f"\n\nDuring the `up`, at most {peak} GB RAM are in use at one time."
    if review.minutes_to_apply:
        about = "about" if review.has_order else "at least"
        text += f" It takes {about} {counted(review.minutes_to_apply, 'minute')}."
    if review.unknown_cost:
        text += f"\n\n**Unknown cost, in no total:** {_codes(review.unknown_cost)}."
    return text


def amounts(total: Total) -> list[str]:
    """Return an hour, a month at least, as expected and at most, and the RAM."""
    hour, floor, ceiling, ram = (
        partly(amount, total.unknown_models, total.models)
        for amount in (
            between(*total.an_hour),
            dollars(total.dollars_per_month.floor),
            between(*total.always_loaded),
            gigabytes(total.required_ram_gb),
        )
    )
    return [hour, floor, between(*total.expected), ceiling, ram]


def _signed(amount: float | None) -> str:
    text = dollars(amount)
    return f"+{text}" if amount is not None and amount > 0 else text


def _listed(title: str, headings: Sequence[str], cells: Iterable[list[str]]) -> Iterator[str]:
    """Yield the sections of a list, each with a table of at most `_ROWS` rows."""
    rows = list(cells)
    numbers = sum(heading.startswith(("$", "GB")) for heading in headings)
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        part = f" ({start + 1} to {start + len(some)} of {len(rows)})" if rows[_ROWS:] else ""
        yield f"### {title}{part}\n\n" + table(headings, some, numbers=numbers)


def _codes(names: Sequence[str], most: int = _ROWS) -> str:
    """Return names of others, the first ones if there are many."""
    shown = ", ".join(map(code, names[:most]))
    return f"{shown} and {len(names) - most} more" if names[most:] else shown


def _named(model: ReviewedModel) -> str:
    model_id = model.declared.model_id if model.declared else None
    return f"{code(model.name)} {code(model_id)}" if model_id else code(model.name)


def _why(model: ReviewedModel) -> str:
    return ", ".join(map(code, model.reasons)) or (code(model.drift) if model.drift else "")


def _outage(model: ReviewedModel) -> str:
    minutes = model.unavailable_minutes
    if not minutes:
        return "-" if minutes is None else "not at all"
    return f"**about {counted(minutes, 'minute')}**"


def _month_change(model: ReviewedModel) -> str:
    return " → ".join(
        between(*one.always_loaded) for one in (model.before, model.after) if one is not None
    )


def _replaced(model: ReviewedModel) -> list[str]:
    names = model.dependents
    dependents = "unknown" if names is None else _codes(names) or "none"
    return [f"**{_named(model)}**", _why(model), _outage(model), dependents, _month_change(model)]


def _changed(model: ReviewedModel) -> list[str]:
    declared = model.declared
    number = "unknown"
    if declared and declared.concurrency is not None:
        number = instances(declared.concurrency, declared.max_concurrency, None)
    what = _why(model) if model.reasons else f"concurrency {number}"
    ram = declared.all_ram_gb if declared else None
    return [_named(model), what, gigabytes(ram), _month_change(model)]


def _anyway(model: ReviewedModel) -> list[str]:
    done = _ANYWAY.get(model.action, "updated")
    return [_named(model), done, _why(model) or "-", _outage(model)]


def _rule(rule: BrokenRule) -> list[str]:
    name = code(rule.name) if rule.name else "the stack"
    level = "**mandatory**" if rule.is_mandatory else "advisory"
    return [name, level, code(rule.message, limit=600), code(rule.policy)]


def _live(model: ReviewedModel) -> list[str]:
    live, before = model.live, model.before
    wanted = "-"
    if before:
        wanted = f"concurrency {instances(before.concurrency, before.max_concurrency, None)}"
    if live is None or live.status == NOT_LOADED:
        return [_named(model), wanted, "not loaded", "-", "-"]
    number = instances(live.concurrency, live.max_concurrency, live.instances)
    number = "" if live.concurrency is None else f", concurrency {number}"
    stranger = ", **somebody else's load**" if live.is_declared_load is False else ""
    now = f"{code(live.status)}{number}{stranger}"
    return [_named(model), wanted, now, span(live.age_seconds), span(live.idle_seconds_left)]


def _notes(review: Review) -> Iterator[str]:
    yield from review.notes
    if asleep := [one.name for one in review.models if one.is_asleep and one.action == "keep"]:
        yield f"Not loaded and in no total, because their expiry is accepted: {_codes(asleep)}."
    if hidden := review.unreadable:
        some = [f"{code(name)} ({', '.join(inputs)})" for name, inputs in hidden.items()][:_ROWS]
        more = f" and {len(hidden) - _ROWS} more" if len(hidden) > _ROWS else ""
        yield f"Hidden, because secret or not known yet: {', '.join(some)}{more}."
    commit = f"Commit {code(review.commit)}, planned" if review.commit else "Planned"
    if review.dollars_per_gb_second is None:
        price = "that of an instance in the catalogue, or else of the smallest one with enough RAM"
        source = f"vendor price list of {review.price_date}"
    else:
        price = f"${review.dollars_per_gb_second:.10f}".rstrip("0") + " a GB-second"
        source = f"vendor price list of {review.price_date}, or `bytez:pricePerGbSecond`"
    yield (
        f"{commit} at {review.planned_at or 'an unknown time'}. Price: {price} ({source}). A month "
        f"has 730 hours, a boot takes {counted(review.boot_minutes, 'minute')}. Every instance is "
        "billed, also while it boots."
    )
