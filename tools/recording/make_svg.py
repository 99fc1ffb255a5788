"""Makes docs/demo.svg, the picture in the README, from a real run of the demo.

    .venv/bin/python tools/recording/make_svg.py

Run it again when the demo or its output changes, and look at the result before it is committed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "demo.svg"
COLUMNS, ROWS = 104, 28
MOST_BYTES = 300_000


def main() -> int:
    """Record, draw and write; return the exit code."""
    # Started as a file, Python looks for modules beside it; these are named from the top.
    sys.path.insert(0, str(ROOT))
    from tools.recording.capture import CommandFailedError, capture
    from tools.recording.frames import Pace, frames
    from tools.recording.svg import draw

    command = [sys.executable, str(ROOT / "tools" / "demo" / "run.py")]
    try:
        written = capture(command, columns=COLUMNS, rows=ROWS, folder=ROOT)
    except CommandFailedError as error:
        print(f"the demo failed:\n{error}", file=sys.stderr)
        return 1
    text = "".join(piece.text for piece in written)
    for private in (str(ROOT), str(Path.home()), tempfile.gettempdir()):
        if private in text:
            print(f"the demo shows '{private}', a path of this machine", file=sys.stderr)
            return 1
    pace = Pace(least=0.4, most=0.9, hold=1.8, hold_before="/9] ", last=6.0)
    screens = frames(written, columns=COLUMNS, rows=ROWS, pace=pace)
    poster = _poster([[run.text for row in frame.rows for run in row] for frame in screens])
    picture = draw(screens, columns=COLUMNS, poster=poster, title="make demo")
    if len(picture.encode()) > MOST_BYTES:
        print(f"the picture has {len(picture.encode())} bytes; raise Pace.least", file=sys.stderr)
        return 1
    PICTURE.write_text(picture, encoding="utf-8")
    seconds = sum(frame.seconds for frame in screens)
    print(f"{PICTURE.name}: {len(screens)} frames, {seconds:.0f} s, {len(picture) // 1000} kB")
    return 0


def _poster(texts: list[list[str]]) -> int:
    """Return the frame that says most: the last one with models on their way."""
    return max(i for i, text in enumerate(texts) if any("DEPLOYING" in run for run in text))


if __name__ == "__main__":
    sys.exit(main())
