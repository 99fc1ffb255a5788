"""`python -m tools.schema` writes the schemas again; a test fails if that is needed."""

from __future__ import annotations

from tools.schema.generate import FOLDER, schemas

for name, text in schemas().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"written: {name}")
