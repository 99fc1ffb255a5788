"""Makes docs/demo.svg, the picture in the README, from a real run of the demo.

    .venv/bin/python -m tools.demo.picture

Run it again when the demo or its output changes, and look at the result before you commit it.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "demo.svg"
COLUMNS = 100
SHOWN = re.compile(
    r"^(\[\d/|\$ |MODEL|together|nothing is|Once upon)|DEPLOYING, limit|created .*RUNNING"
    r"| RUNNING  |^    [+-].* \w+ed$|^    [+-] \d|=> |\d unchanged"
)
"""Which lines of the output fit in one picture: each step, its commands and what came of them."""
STYLES = {
    r"^\[\d/\d\] .*": "bold cyan",
    r"^\$ .*": "bold",
    r"RUNNING": "green",
    r"DEPLOYING|=>": "yellow",
}
FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""The fonts that rich would fetch from elsewhere; a viewer has a monospaced one."""


def main() -> int:
    """Run the demo and draw it; return the exit code."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "demo" / "run.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    private = [
        path for path in (ROOT, Path.home(), tempfile.gettempdir()) if str(path) in done.stdout
    ]
    if done.returncode or private:
        print(f"the demo failed or shows a path of this machine {private}:\n{done.stdout}")
        return 1
    PICTURE.write_text(picture(done.stdout), encoding="utf-8")
    return 0


def picture(output: str) -> str:
    """Draw the lines of the demo that are worth a look."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print("$ make demo", style="bold", highlight=False)
    for line in filter(SHOWN.search, output.splitlines()):
        text = Text(line)
        for pattern, style in STYLES.items():
            text.highlight_regex(pattern, style)
        if line.startswith("["):
            console.print()
        console.print(text, no_wrap=True, overflow="ellipsis")
    drawn = console.export_svg(title="make demo", unique_id="demo")
    return FONTS.sub("", drawn).replace("Fira Code", "ui-monospace")


if __name__ == "__main__":
    sys.exit(main())
