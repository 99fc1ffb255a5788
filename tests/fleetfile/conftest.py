"""Fleet files in a folder of their own, which is the working folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bytez_provider.base.errors import InvalidFileError
from bytez_provider.fleetfile import read_fleet

Write = Callable[..., Path]
Mistakes = Callable[..., list[str]]
# Each example writes over the file of the one before it.
QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file, `fleet.yaml` unless named otherwise, and return its name."""
    monkeypatch.chdir(tmp_path)

    def written(text: str | bytes, name: str = "fleet.yaml") -> Path:
        # As bytes, to keep the line endings of the test.
        Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
        return Path(name)

    return written


@pytest.fixture
def mistakes(write: Write) -> Mistakes:
    """Return the mistakes in a text and its overlay, each as `line:column: message`."""

    def found(text: str | bytes, overlay: str | None = None) -> list[str]:
        path = write(text)
        if overlay is not None:
            write(overlay, "fleet.prod.yaml")
        with pytest.raises(InvalidFileError) as caught:
            read_fleet(path, None if overlay is None else "prod")
        return [
            f"{problem.file.removeprefix('fleet.').removesuffix('yaml')}{problem.line}:"
            f"{problem.column}: {problem.message}"
            for problem in caught.value.problems
        ]

    return found
