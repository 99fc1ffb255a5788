"""Runs examples/quickstart, so that plain `pulumi up` works in a fresh checkout.

`main` in Pulumi.yaml could name that folder, but then Pulumi would look for the virtualenv of a
dynamic provider below that folder (https://github.com/pulumi/pulumi/issues/7061).
"""

from __future__ import annotations

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).resolve().parent / "examples" / "quickstart"))
