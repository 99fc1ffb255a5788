"""A review as Markdown: one comment on a pull request, found again by its first line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from bytez_provider.base.errors import printable
from bytez_provider.base.markup import COMMENT_LIMIT, code, fitted, table
from bytez_provider.base.words import counted, dollars, gigabytes, partly, span
from bytez_provider.review._document import (
    BrokenRule,
    Gap,
    Review,
    ReviewedModel,
    unreadable_of,
)
from bytez_provider.review._fate import LEFT_RUNNING

_ROWS = 40
"""Of one section: what is cut is cut by sections."""

_FAILURES = 10
_NAMES = 10

_Cells = Callable[[ReviewedModel], Sequence[str]]


def markdown(review: Review, *, link: str | None = None, limit: int = COMMENT_LIMIT) -> str:
    """Return the comment. The same review gives the same bytes.

    Args:
        review: What to say.
        link: Where the whole review is, for a comment that had to be cut.
        limit: Characters of a comment at the host.
    """
    where = f"at {_address(link)}" if link else "in the log of the job that made this"
    pointer = f"_Cut here: it is longer than a comment may be. The whole review is {where}._"
    return fitted(list(_sections(review)), pointer, limit=limit)


def marker(review: Review) -> str:
    """Return what the first line of every review of a stack has, to find its comment by."""
    return f"<!-- bytez-fleet review of {_plain(review.project)}/{_plain(review.stack)} -->"


def _plain(name: str) -> str:
    """Return a name in which a comment of HTML cannot end."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name)


def _address(link: str) -> str:
    shown = printable(link, limit=500)
    # What is no plain address is shown, and not linked.
    safe = shown.startswith("https://") and not set(shown) & set(" <>()[]\"'`|\\")
    return f"<{shown}>" if safe else code(shown)


def _sections(review: Review) -> Iterator[str]:
    yield "\n\n".join(_head(review))
    yield _costs(review)
    changed = [one for one in review.models if not one.is_anyway]
    yield from _listed(
        "Replaced: each is an outage",
        [one for one in changed if one.action == "replace"],
        ("model", "change", "unavailable", "depends on it", "$ a month, at most"),
        _replaced,
    )
    yield from _rules(review)
    for title, action in (
        ("Loaded", "load"),
        ("Taken over as it runs", "adopt"),
        ("Unloaded", "unload"),
        ("Removed, and not unloaded", "forget"),
        ("Changed, and nothing is sent", "update"),
        ("Waited for", "wait"),
    ):
        yield from _listed(
            title,
            [one for one in changed if one.action == action],
            ("model", "what", "GB RAM", "$ a month, at most"),
            _changed,
        )
    yield from _listed(
        "What would happen anyway, without this change",
        [one for one in review.models if one.is_anyway],
        ("model", "what", "why", "unavailable"),
        _anyway,
    )
    yield from _running(review)
    yield _foot(review)


def _head(review: Review) -> Iterator[str]:
    yield f"{marker(review)}\n## Bytez models of {code(review.project)}, stack {code(review.stack)}"
    # The head is never cut, so it is kept short.
    for failure in review.failures[:_FAILURES]:
        yield f"> **This `up` will fail:** {code(failure)}"
    if review.failures[_FAILURES:]:
        yield f"> **And for {len(review.failures) - _FAILURES} more reasons.**"
    if review.gaps:
        gaps = "; ".join(map(_gap, review.gaps))
        yield f"> **This review is partial:** {gaps}."
    yield _summary(review)


def _gap(gap: Gap) -> str:
    """Return what is left out; the head is never cut, so that many names are not all said."""
    names = ", ".join(map(code, gap.models[:_NAMES]))
    more = f" and {len(gap.models) - _NAMES} more" if gap.models[_NAMES:] else ""
    return f"{gap.text}: {names}{more}" if names else gap.text


def _summary(review: Review) -> str:
    counts = review.counts
    told = [
        counted(number, thing)
        for number, thing in (
            (counts.loads, "load"),
            (counts.replacements, "replacement"),
            (counts.unloads, "unload"),
            (counts.forgotten, "removal without an unload"),
            (counts.adoptions, "take-over"),
            (counts.updates, "in-place update"),
        )
        if number
    ]
    rest = "in a plan that is partial"
    if counts.unchanged is not None:
        rest = f"{counts.unchanged} unchanged"
    sentences = [f"**{', '.join(told) or 'No change'}**, {rest}."]
    if counts.replacements:
        minutes = review.boot_minutes
        sentences.append(f"**Each replacement is unavailable about {minutes} minutes.**")
    left = [one for one in review.models if one.action == "forget" and _is_left_running(one)]
    if left:
        names = ", ".join(code(one.name) for one in left[:_ROWS])
        sentences.append(f"**Left running, and paid for, by no stack: {names}.**")
    if counts.anyway:
        verb = "happens" if counts.anyway == 1 else "happen"
        sentences.append(f"{counted(counts.anyway, 'step')} more {verb} with or without it.")
    if review.other_changes:
        sentences.append(f"{counted(review.other_changes, 'step')} for other resources.")
    if review.broken_rules:
        sentences.append(f"**{counted(len(review.broken_rules), 'broken rule')}.**")
    return " ".join(sentences)


def _costs(review: Review) -> str:
    before, after, more = review.before, review.after, review.increase
    least, most = before.dollars_per_month, after.dollars_per_month

    def row(name: str, one: str, other: str, by: str) -> list[str]:
        sides = (
            partly(amount, total.unknown_models, total.models)
            for amount, total in ((one, before), (other, after))
        )
        return [name, *sides, _grown(review, by)]

    def costs(name: str, one: float, other: float, by: float) -> list[str]:
        return row(name, dollars(one), dollars(other), _signed(by))

    rows = [
        costs(
            "an hour, all loaded",
            before.dollars_per_hour,
            after.dollars_per_hour,
            review.increase_per_hour,
        ),
        costs("a month at least: loaded once", least.floor, most.floor, more.floor),
        costs("a month at most: always loaded", least.ceiling, most.ceiling, more.ceiling),
    ]
    if (least.expected, most.expected) != (None, None):
        of = f"of {after.expected_models} of {after.models} models"
        sides = [dollars(least.expected), dollars(most.expected), _signed(more.expected)]
        rows.insert(2, [f"a month as expected, {of}", *sides])
    ram = after.required_ram_gb - before.required_ram_gb
    rows.append(
        row(
            "GB RAM",
            gigabytes(before.required_ram_gb),
            gigabytes(after.required_ram_gb),
            f"{'+' if ram > 0 else ''}{ram:.2f}",
        )
    )
    of = "" if review.is_complete else ", of what is in this plan alone"
    text = f"### Cost{of}\n\n" + table(["", "before", "after", "difference"], rows, numbers=3)
    unknown = max(before.unknown_models, after.unknown_models)
    peak = partly(gigabytes(review.peak_ram_gb), unknown, len(review.models))
    text += f"\n\nAt most {peak} GB RAM at one time during the `up`"
    if review.minutes_to_apply:
        about = "about" if review.has_order else "at least"
        text += f", which takes {about} {review.minutes_to_apply} minutes"
    text += "."
    if review.unknown_cost:
        names = ", ".join(map(code, review.unknown_cost[:_ROWS]))
        rest = len(review.unknown_cost) - _ROWS
        others = f" and {rest} more" if rest > 0 else ""
        text += f"\n\n**Unknown cost, in no sum:** {names}{others}."
    return text


def _grown(review: Review, amount: str) -> str:
    """Return a difference; what stays makes none, whatever it costs."""
    changed = [one for one in review.models if one.action != "keep"]
    unknown = [
        one
        for one in changed
        if any(each and each.dollars_per_hour is None for each in (one.before, one.after))
    ]
    return partly(amount, len(unknown), len(changed))


def _listed(
    title: str, models: Sequence[ReviewedModel], headings: Sequence[str], cells: _Cells
) -> Iterator[str]:
    """Yield the sections of a list of models, each of so many rows."""
    numbers = sum(heading.startswith(("$", "GB")) for heading in headings)
    for start in range(0, len(models), _ROWS):
        some = models[start : start + _ROWS]
        part = f" ({start + 1} to {start + len(some)} of {len(models)})" if models[_ROWS:] else ""
        rows = [cells(one) for one in some]
        yield f"### {title}{part}\n\n" + table(headings, rows, numbers=numbers)


def _named(model: ReviewedModel) -> str:
    declared = model.after or model.before
    model_id = declared.model_id if declared else None
    return f"{code(model.name)} {code(model_id)}" if model_id else code(model.name)


def _replaced(model: ReviewedModel) -> list[str]:
    dependents = "not told" if model.dependents is None else ", ".join(map(code, model.dependents))
    if model.dependents and len(model.dependents) > _ROWS:
        some = ", ".join(map(code, model.dependents[:_ROWS]))
        dependents = f"{some} and {len(model.dependents) - _ROWS} more"
    return [
        f"**{_named(model)}**",
        _why(model),
        f"**about {model.unavailable_minutes} minutes**",
        dependents or "nothing",
        _month_change(model),
    ]


def _changed(model: ReviewedModel) -> list[str]:
    declared = model.after or model.before
    ram = concurrency = None
    if declared is not None:
        concurrency = declared.concurrency
        if declared.required_ram_gb is not None and concurrency is not None:
            ram = declared.required_ram_gb * concurrency
    what = _why(model) if model.reasons else f"concurrency {concurrency or 'not known'}"
    return [_named(model), what, gigabytes(ram), _month_change(model)]


def _anyway(model: ReviewedModel) -> list[str]:
    done = {
        "load": "loaded again",
        "replace": "**replaced**",
        "wait": "waited for",
        "forget": "forgotten",
        "adopt": "taken over",
    }
    minutes = model.unavailable_minutes
    return [
        _named(model),
        done.get(model.action, "updated"),
        _why(model) or "-",
        "-" if minutes is None else f"**about {minutes} minutes**",
    ]


def _is_left_running(model: ReviewedModel) -> bool:
    return any(reason.endswith(LEFT_RUNNING) for reason in model.reasons)


def _why(model: ReviewedModel) -> str:
    return ", ".join(map(code, model.reasons)) or (code(model.drift) if model.drift else "")


def _month_change(model: ReviewedModel) -> str:
    return " → ".join(
        dollars(one.dollars_per_month.ceiling if one.dollars_per_month else None)
        for one in (model.before, model.after)
        if one is not None
    )


def _rules(review: Review) -> Iterator[str]:
    if not review.has_policy_results or not review.broken_rules:
        return

    def row(rule: BrokenRule) -> list[str]:
        level = "**mandatory**" if rule.is_mandatory else "advisory"
        name = code(rule.name) if rule.name else "the stack"
        return [name, level, code(rule.message, limit=600), code(rule.policy)]

    rules = review.broken_rules
    for start in range(0, len(rules), _ROWS):
        rows = [row(rule) for rule in rules[start : start + _ROWS]]
        yield "### Broken rules\n\n" + table(("model", "level", "what to change", "rule"), rows)


def _running(review: Review) -> Iterator[str]:
    live = [one for one in review.models if one.live is not None]
    yield from _listed(
        "What runs now",
        live,
        ("model", "declared", "now", "age", "idle time left"),
        _live,
    )


def _live(model: ReviewedModel) -> list[str]:
    live = model.live
    declared = model.before
    wanted = "-" if declared is None else f"concurrency {declared.concurrency or '?'}"
    if live is None or live.status == "NOT_LOADED":
        return [_named(model), wanted, "not loaded", "-", "-"]
    stranger = ", **somebody else's load**" if live.is_declared_load is False else ""
    number = "" if live.concurrency is None else f", concurrency {live.concurrency}"
    return [
        _named(model),
        wanted,
        f"{code(live.status)}{number}{stranger}",
        span(live.age_seconds),
        span(live.idle_seconds_left),
    ]


def _foot(review: Review) -> str:
    lines = [f"- {note}" for note in review.notes]
    asleep = [code(one.name) for one in review.models if one.is_asleep and one.action == "keep"]
    if asleep:
        more = f" and {len(asleep) - _ROWS} more" if asleep[_ROWS:] else ""
        names = ", ".join(asleep[:_ROWS])
        lines.append(f"- Not loaded, and in no sum, since their expiry is accepted: {names}{more}.")
    lines += _hidden(review)
    of = f"Commit {code(review.commit)}, planned" if review.commit else "Planned"
    at = f"at {review.planned_at}" if review.planned_at else "at a time that the plan does not tell"
    price = f"${review.dollars_per_gb_second:.10f}".rstrip("0")
    lines.append(
        f"- {of} {at}. {price} a GB-second (the vendor's price list of {review.price_date}, or "
        f"`bytez:pricePerGbSecond`); a month has 730 hours, a boot {review.boot_minutes} minutes; "
        "each instance is paid for, its boot included."
    )
    return "### Notes\n\n" + "\n".join(lines)


def _hidden(review: Review) -> Iterator[str]:
    """Yield which inputs the plan hides."""
    hidden = unreadable_of(review)
    if hidden:
        some = [f"{code(name)} ({', '.join(inputs)})" for name, inputs in hidden.items()][:_ROWS]
        more = f" and {len(hidden) - _ROWS} more" if len(hidden) > _ROWS else ""
        yield f"- Hidden, as a secret or a value not known yet: {', '.join(some)}{more}."


def _signed(amount: float | None) -> str:
    text = dollars(amount)
    return f"+{text}" if amount is not None and amount > 0 else text
