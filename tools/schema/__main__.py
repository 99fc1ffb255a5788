"""`python -m tools.schema` writes the schemas of fleet files again; a test says when it must."""

from __future__ import annotations

from tools.schema.generate import FOLDER, schemas

for name, text in schemas().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"written: {name}")
