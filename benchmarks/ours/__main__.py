"""The same models as the naive program's, as one Fleet."""

from __future__ import annotations

from pathlib import Path

import bytez_provider as bytez

names = Path("models.txt").read_text(encoding="utf-8").split()
bytez.Fleet(
    "fleet",
    models={f"model-{number}": bytez.ModelArgs(model_id=name) for number, name in enumerate(names)},
)
