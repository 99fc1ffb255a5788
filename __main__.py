"""Runs examples/quickstart, so that plain `pulumi up` works in a fresh checkout.

The `main` of Pulumi.yaml could name that folder, but Pulumi would then look for the virtualenv of
a dynamic provider below it (https://github.com/pulumi/pulumi/issues/7061).
"""

from __future__ import annotations

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).resolve().parent / "examples" / "quickstart"))
