"""The figures as people read them: Markdown and a plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from benchmarks.alone import MANY
from benchmarks.figures import Figures, promises, ratio
from benchmarks.native import SIZES, TIMES
from benchmarks.plot import Panel, Row, svg
from benchmarks.service import BOOT_SECONDS
from benchmarks.trial import Provider

_Cell = str | float | None


def plot(figures: Figures) -> str:
    """Return the plot as SVG."""
    return svg(
        [
            Panel("Cold boot: the first pulumi up", "s", _rows(figures, "boot_seconds", 1)),
            Panel("Unchanged pulumi up", "s", _rows(figures, "unchanged_up_seconds", 1)),
            Panel("State a model", "KB", _rows(figures, "state_bytes_per_model", 1000)),
        ]
    )


def _rows(figures: Figures, name: str, divisor: float) -> list[Row]:
    def shown(provider: Provider, models: int) -> float | None:
        value = figures.value(provider, models, name)
        return None if value is None else value / divisor

    return [
        Row(
            f"{models} model{'s' if models > 1 else ''}",
            shown("fleet", models),
            shown("naive", models),
        )
        for models in figures.sizes()
    ]


def markdown(figures: Figures) -> str:
    """Return the report."""
    parts = ["# Benchmarks", _about(figures)]
    if figures.trials:
        parts.append("![bars of the medians below](benchmarks.svg)")
    parts += ["## What must hold", _promises(figures)]
    if figures.trials:
        for title, section in _SECTIONS.items():
            parts += [f"## {title}", section(figures)]
    parts += _alone(figures)
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(figures: Figures) -> str:
    on = figures.machine
    how = f"medians of {figures.runs}, by turns" if figures.runs > 1 else "one run each"
    return (
        f"Made by `make bench` on {on['cores']} cores ({on['system']}), Python {on['python']}, "
        f"pulumi {on['pulumi']} with SDK {on['pulumi_sdk']}, a file backend, the default "
        f"`--parallel`, and the emulator on 127.0.0.1 in a process of its own, where a boot takes "
        f"{BOOT_SECONDS} s; {how}. "
        "`Fleet` is ours; naive is [a class in the program](../benchmarks/naive/__main__.py), as "
        "tutorials on dynamic providers have it. No `up` refreshes. Seconds are this machine's; "
        "the ratios are the provider's."
    )


def _promises(figures: Figures) -> str:
    rows = [
        (
            one.what,
            f"{'at least' if one.at_least else 'at most'} {one.limit:g}",
            f"{one.measured:g}",
            "yes" if one.holds else "**no**",
        )
        for one in promises(figures)
    ]
    return _table(("", "limit", "measured", "holds"), rows)


def _boot(figures: Figures) -> str:
    one = figures.value("fleet", 1, "boot_seconds")
    rows = []
    for models in figures.sizes():
        ours, naive = _pair(figures, models, "boot_seconds")
        rows.append((models, ours, naive, _times(naive, ours), _times(ours, one)))
    header = ("models", "Fleet, s", "naive, s", "naive / Fleet", "Fleet / its one model")
    return _table(header, rows)


def _unchanged(figures: Figures) -> str:
    rows = []
    for models in figures.sizes():
        up, naive_up = _pair(figures, models, "unchanged_up_seconds")
        look, naive_look = _pair(figures, models, "unchanged_preview_seconds")
        rows.append(
            (models, up, naive_up, _times(up, naive_up), look, naive_look, _times(look, naive_look))
        )
    up_header = ("`up`: Fleet, s", "naive, s", "Fleet / naive")
    return _table(("models", *up_header, "`preview`: Fleet, s", *up_header[1:]), rows)


def _refresh(figures: Figures) -> str:
    rows = []
    for models in figures.sizes():
        ours, naive = _pair(figures, models, "refresh_seconds")
        asked, naive_asked = _pair(figures, models, "refresh_requests")
        rows.append((models, ours, naive, _times(ours, naive), _count(asked), _count(naive_asked)))
    header = ("models", "Fleet, s", "naive, s", "Fleet / naive", "requests: Fleet", "naive")
    return _table(header, rows)


def _requests(figures: Figures) -> str:
    names = ("loads", "statuses", "lists", "catalogues")
    rows: list[Sequence[_Cell]] = []
    for models in figures.sizes():
        for provider in ("fleet", "naive"):
            found = figures.of(provider, models)
            if found is not None:
                shown = "Fleet" if provider == "fleet" else provider
                besides = found["besides_per_second"]
                rows.append((models, shown, *(_count(found[name]) for name in names), besides))
    paths = ("`/model/load`", "`/model/status`", "`/model/instances`", "`/model/list`")
    return (
        _table(("models", "", *paths, "besides, a second"), rows)
        + "\n\nBesides: beyond one load and two statuses a model, between the first request and "
        "the last."
    )


def _size(figures: Figures) -> str:
    rows = []
    for models in figures.sizes():
        state, naive_state = _pair(figures, models, "state_bytes_per_model")
        memory, naive_memory = _pair(figures, models, "peak_memory_mb")
        rows.append(
            (
                models,
                _count(state),
                _count(naive_state),
                _times(state, naive_state),
                memory,
                naive_memory,
                _times(memory, naive_memory),
            )
        )
    header = ("state a model: Fleet, bytes", "naive, bytes", "Fleet / naive")
    more = ("peak memory: Fleet, MB", "naive, MB", "Fleet / naive")
    return _table(("models", *header, *more), rows)


_SECTIONS: dict[str, Callable[[Figures], str]] = {
    "Cold boot": _boot,
    "Unchanged": _unchanged,
    "Refresh": _refresh,
    "Requests of a cold boot": _requests,
    "State, and memory of the provider process": _size,
}


def _alone(figures: Figures) -> list[str]:
    parts = []
    plain = figures.alone.get("plain_models")
    if plain is not None:
        header = ("one, s", f"{MANY}, s", f"{MANY} / one")
        plain_row = (plain["one_seconds"], plain[f"{MANY}_seconds"], f"{plain['ratio']:.2f}")
        parts += ["## Plain Models with `--parallel 64`", _table(header, [plain_row])]
    plugin = figures.alone.get("native")
    if plugin is not None:
        columns = ("", "models", "first `up`, s", "unchanged `up`, s", "`preview`, s")
        timed = [
            (title, str(models), *(f"{plugin[f'{face}_{models}_{what}']:.2f}" for what in TIMES))
            for face, title in (("native", "YAML, by the plugin"), ("python", "a Python program"))
            for models in SIZES
        ]
        parts += ["## The plugin and a Python program", _table(columns, timed)]
    for name, title in (
        ("interrupt", "Ctrl-C in mid-boot"),
        ("review", "Review of a plan that replaces 1,000 models"),
    ):
        seconds = figures.alone.get(name)
        if seconds is not None:
            row = (f"{seconds['seconds']:.2f}", f"{seconds['worst_seconds']:.2f}")
            parts += [f"## {title}", _table(("median, s", "worst, s"), [row])]
    took = figures.alone.get("import")
    if took is not None:
        names = ("pulumi_ms", "added_ms", "naive_added_ms")
        header = ("Pulumi, ms", "ours adds, ms", "the naive one's `requests` adds, ms")
        parts += ["## Import", _table(header, [[_count(took[name]) for name in names]])]
    return parts


def _pair(figures: Figures, models: int, name: str) -> tuple[float | None, float | None]:
    return figures.value("fleet", models, name), figures.value("naive", models, name)


def _times(part: float | None, whole: float | None) -> str | None:
    found = ratio(part, whole)
    return None if found is None else f"{found:.2f}"


def _count(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[_Cell]]) -> str:
    lines = [header, ["---"] * len(header), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: _Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return str(value)
