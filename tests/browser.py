"""Pages in a real browser."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_SECONDS = 120
_FLAGS = (
    *("--headless", "--no-sandbox", "--no-first-run", "--hide-scrollbars"),
    *("--disable-gpu", "--disable-quic", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
_POLICY = re.compile('<meta http-equiv="Content-Security-Policy"[^>]*>')
_DARK = "--blink-settings=preferredColorScheme=0"
PHONE, DESKTOP = 390, 1280
"""Widths in CSS pixels."""


class Browser:
    """Opens pages, each with a profile of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = next(filter(None, map(shutil.which, _NAMES)), None)
        if found is None:
            missing = "no chromium on PATH (Debian: apt-get install chromium)"
            if os.environ.get("BYTEZ_BROWSER_REQUIRED") == "1":
                pytest.fail(missing)
            pytest.skip(missing)
        self.program = found

    def measure(self, page: str, script: str, *, width: int = 1280, dark: bool = False) -> Any:
        """Open a copy of a page, and return what `script` (a function body) returns as JSON.

        The copy has no policy, so that text of others could run too. It is in a frame, because no
        window is as narrow as a phone. `width` is in CSS pixels.
        """
        runs = (
            f"<script>addEventListener('load', () => {{ const found = (() => {{{script}}})();"
            "const at = parent.document.createElement('pre'); at.id = 'measured';"
            "at.textContent = JSON.stringify(found); parent.document.body.append(at); });</script>"
        )
        copy = _POLICY.sub("", page).replace("</body>", f"{runs}</body>")
        frame = (
            "<!doctype html><style>:root { color-scheme: light dark }</style>"
            f'<iframe style="border:0;width:{width}px;height:900px" srcdoc="{html.escape(copy)}">'
            "</iframe>"
        )
        shown = self._run(frame, "--dump-dom", f"--window-size={width + 50},1000", dark=dark)
        found = re.search(r'<pre id="measured">(.*?)</pre>', shown, re.DOTALL)
        assert found, shown[-2000:]
        return json.loads(html.unescape(found[1]))

    def dom(self, page: str, *flags: str, dark: bool = False) -> str:
        """Open the unchanged page, and return its DOM."""
        return self._run(page, "--dump-dom", *flags, dark=dark)

    def picture(self, page: str, *, width: int, dark: bool = False) -> bytes:
        """Open the unchanged page, and return its picture as a PNG."""
        file = self.folder / "picture.png"
        self._run(page, f"--screenshot={file}", f"--window-size={width},900", dark=dark)
        return file.read_bytes()

    def _run(self, page: str, *arguments: str, dark: bool = False) -> str:
        file, profile = self.folder / "page.html", self.folder / "profile"
        shutil.rmtree(profile, ignore_errors=True)
        file.write_text(page, encoding="utf-8")
        flags = [*_FLAGS, *([_DARK] if dark else []), f"--user-data-dir={profile}"]
        done = subprocess.run(
            [self.program, *flags, *arguments, file.as_uri()],
            capture_output=True,
            encoding="utf-8",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
