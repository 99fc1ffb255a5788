"""The picture of the demo in the README."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from tools.demo.picture import picture


def words_of(svg: str) -> str:
    return " ".join("".join(ET.fromstring(svg).itertext()).split())  # noqa: S314  (our own)


def test_the_picture_is_small_and_names_nothing_of_the_machine(root: Path) -> None:
    text = (root / "docs" / "demo.svg").read_text(encoding="utf-8")
    assert len(text.encode()) < 100_000
    assert "<script" not in text
    assert "@font-face" not in text
    assert not re.search(r"/(home|root|tmp|work|Users|private|var)/", text)


def test_the_picture_shows_the_current_steps_of_the_demo(root: Path) -> None:
    """If you reword a step, run `python -m tools.demo.picture` again."""
    shown = words_of((root / "docs" / "demo.svg").read_text(encoding="utf-8"))
    story = (root / "tools" / "demo" / "story.py").read_text(encoding="utf-8")
    steps = re.findall(r'self\._say\(\s*f?"(?:\{IDLE_MINUTES\} )?([^"{]+)', story)
    assert len(steps) == 9
    for sentence in steps:
        assert " ".join(sentence.split()) in shown


def test_only_steps_commands_and_results_are_drawn() -> None:
    drawn = picture("[1/9] Up: <b> & more\n$ pulumi up\n@ updating....\n    + 4 created\n")
    shown = words_of(drawn)
    assert "[1/9] Up: <b> & more $ pulumi up + 4 created" in shown
    assert "updating" not in shown
