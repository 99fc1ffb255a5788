"""Figures, tables and bars of the benchmarks."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from benchmarks.figures import Figures, medians, promises
from benchmarks.memory import Peak
from benchmarks.plot import Panel, Row, svg
from benchmarks.report import markdown
from benchmarks.service import Requests
from benchmarks.trial import Provider, Trial, besides_per_second

MACHINE: dict[str, str | int] = {"cores": 2} | dict.fromkeys(
    ("system", "python", "pulumi", "pulumi_sdk"), "3.11"
)


def trial(provider: Provider, models: int, boot_seconds: float, **other: float | None) -> Trial:
    found = Trial(
        provider=provider,
        models=models,
        boot_seconds=boot_seconds,
        loads=models,
        statuses=2 * models,
        lists=9,
        catalogues=1,
        besides_per_second=1.5,
        peak_memory_mb=66.0,
        unchanged_up_seconds=2.0,
        unchanged_preview_seconds=2.0,
        refresh_seconds=1.5,
        refresh_requests=1,
        state_bytes_per_model=2900.0,
    )
    return dataclasses.replace(found, **other)  # type: ignore[arg-type]


@pytest.fixture
def figures() -> Figures:
    """Two runs up to 64 models, the naive provider with 64 only."""
    found = Figures(MACHINE, runs=2)
    for more in (0.0, 0.2):
        found.trials += [
            trial("fleet", 1, 7.0 + more),
            trial("fleet", 64, 9.0 + more, refresh_requests=2),
            trial("naive", 64, 90.0 + more, state_bytes_per_model=17000.0),
        ]
    found.alone["interrupt"] = {"seconds": 0.3, "worst_seconds": 2.5}
    found.alone["review"] = {"seconds": 0.8, "worst_seconds": 0.9}
    return found


class TestFigures:
    def test_the_median_of_each(self) -> None:
        found = medians([trial("fleet", 1, seconds) for seconds in (9.0, 7.0, 7.5)])
        assert (found["boot_seconds"], found["lists"]) == (7.5, 9)
        assert "models" not in found

    def test_promises_are_judged_where_they_were_measured(self, figures: Figures) -> None:
        found = {one.what: one.measured for one in promises(figures)}
        assert found["boot of 64 models, times one model"] == 1.28
        assert found["boot of 64 models, times faster than naive"] == 9.9
        assert found["loads while 64 boot"] == 64
        assert found["bytes of state a model, times naive"] == 0.17
        assert not any("256" in what or "import" in what for what in found)

    def test_a_bound_may_be_the_least_or_the_most(self, figures: Figures) -> None:
        broken = [one.what for one in promises(figures) if not one.holds]
        assert broken == ["seconds from Ctrl-C in mid-boot to the prompt"]
        figures.trials += [trial("naive", 64, 9.0)] * 3
        broken = [one.what for one in promises(figures) if not one.holds]
        assert "boot of 64 models, times faster than naive" in broken

    def test_requests_besides_one_load_and_two_statuses_a_model(self) -> None:
        asked = Counter({"/model/load": 4, "/model/status": 8, "/model/instances": 10})
        assert besides_per_second(Requests(asked, span_seconds=5.0), models=4) == 2
        assert besides_per_second(Requests(Counter(), span_seconds=0.0), models=4) == 0

    def test_the_peak_is_the_kernel_s(self) -> None:
        peak = Peak()
        for kilobytes in (2048, 1024):
            peak.take(f"Name:\tpython\nVmPeak:\t9 kB\nVmHWM:\t  {kilobytes} kB\nVmRSS:\t 1 kB\n")
        assert peak.mb == 2


class TestReport:
    @pytest.mark.parametrize(
        "row",
        [
            "64 | 9.1 | 90.1 | 9.90 | 1.28",
            "64 | 2,900 | 17,000 | 0.17 | 66.0 | 66.0 | 1.00",
            "seconds from Ctrl-C in mid-boot to the prompt | at most 2 | 2.5 | **no**",
        ],
    )
    def test_it_has_the_seconds_their_ratio_and_what_does_not_hold(
        self, figures: Figures, row: str
    ) -> None:
        assert f"| {row} |" in markdown(figures)


class TestPlot:
    def test_bars_are_as_long_as_their_figures(self) -> None:
        image = svg([Panel("a < b", "s", [Row("1 model", 5.0, 20.0), Row("8 models", 10.0, None)])])
        root = ET.fromstring(image)  # noqa: S314 - made a line above
        bars = list(root.iter("{http://www.w3.org/2000/svg}rect"))[2:]
        widths = [float(bar.attrib["width"]) for bar in bars]
        assert [bar.attrib["class"] for bar in bars] == ["ours", "naive", "ours"]
        assert widths == [width * widths[0] for width in (1, 4, 2)]
        assert "20.0 s, 4.0 times ours" in image
