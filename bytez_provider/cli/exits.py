"""The exit codes of `bytez-fleet`."""

from __future__ import annotations

from bytez_provider.base.errors import BytezError, ConfigError, InvalidInputError

DONE = 0
FAILED = 1
USAGE = 2
"""Wrong usage, and settings or input that cannot be."""
FOUND = 3
"""What was looked for was found: something that is not in order."""
INTERRUPTED = 130


def code_of(error: BytezError) -> int:
    """Return the exit code that an error ends with: was it asked wrongly, or did it fail."""
    return USAGE if isinstance(error, (InvalidInputError, ConfigError)) else FAILED
