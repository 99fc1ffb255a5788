"""The picture in the README, and the tools that make it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tools.recording.capture import CommandFailedError, Written, capture
from tools.recording.frames import Frame, Pace, frames
from tools.recording.svg import draw

PACE = Pace(least=0.5, most=2.0, hold=3.0, hold_before="step", last=4.0)


def text_of(frame: Frame) -> list[str]:
    """Return the lines of a frame that have something on them."""
    return [" ".join(run.text for run in row) for row in frame.rows if row]


def play(*written: tuple[float, str]) -> list[tuple[list[str], float]]:
    """Return the text of each frame, and how long it stands."""
    found = frames([Written(*one) for one in written], columns=20, rows=3, pace=PACE)
    return [(text_of(frame), frame.seconds) for frame in found]


def test_picture_is_small_and_says_nothing_of_the_machine(root: Path) -> None:
    text = (root / "docs" / "demo.svg").read_text(encoding="utf-8")
    ET.fromstring(text)  # noqa: S314  (our own)
    assert len(text.encode()) < 300_000
    assert set(re.findall(r"https?://[^\s\"'<)]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"/(home|root|tmp|work|Users|private|var)/", text)
    assert "<script" not in text


def test_picture_shows_the_demo_as_it_is_told_now(root: Path) -> None:
    """A step that was reworded since wants a new recording."""
    picture = (root / "docs" / "demo.svg").read_text(encoding="utf-8")
    lines = "".join(ET.fromstring(picture).itertext())  # noqa: S314  (our own)
    story = (root / "tools" / "demo" / "story.py").read_text(encoding="utf-8")
    told = re.findall(r'self\._say\(\s*"([^"{]+)"', story)
    assert len(told) >= 6
    for sentence in told:
        assert sentence in lines


def test_quick_changes_are_one_frame_and_silence_is_cut() -> None:
    assert play((0.0, "a"), (0.1, "b"), (9.0, "c")) == [(["ab"], 2.0), (["abc"], 4.0)]


def test_screen_stands_before_a_step() -> None:
    assert play((0.0, "a"), (0.1, "\r\nstep")) == [(["a"], 3.0), (["a", "step"], 4.0)]


def test_redrawn_row_is_seen_redrawn() -> None:
    shown = play((0.0, "one\r\n"), (1.0, "\x1b[1Atwo\x1b[K\r\n"))
    assert [lines for lines, _ in shown] == [["one"], ["two"]]


def test_colours_and_markup_are_kept() -> None:
    written = [Written(0.0, "\x1b[1;31m<b> & \x1b[0mplain")]
    picture = draw(
        frames(written, columns=20, rows=3, pace=PACE), columns=20, poster=0, title="a & b"
    )
    texts = [
        (one.text, one.get("class"), one.get("fill"))
        for one in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314
    ]
    assert ("<b> &", "b", "#ff7b72") in texts
    assert ("plain", None, None) in texts


def test_terminal_answers_what_pulumi_asks(tmp_path: Path) -> None:
    """A question without an answer would cost seconds at each command."""
    program = (
        "import sys, termios, tty; tty.setraw(0); "
        "sys.stdout.write('\\x1b[6n'); sys.stdout.flush(); "
        "print(repr(sys.stdin.read(6)), sys.stdout.isatty())"
    )
    command = [sys.executable, "-c", program]
    written = capture(command, columns=80, rows=24, folder=tmp_path)
    assert "'\\x1b[1;1R' True" in "".join(piece.text for piece in written)


def test_failed_command_is_no_recording(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('broken'); raise SystemExit(2)"]
    with pytest.raises(CommandFailedError, match="broken"):
        capture(command, columns=80, rows=24, folder=tmp_path)
