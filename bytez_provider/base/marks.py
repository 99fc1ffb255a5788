"""What Pulumi writes instead of a value that cannot be read.

A state and the engine's events mark a secret by a mapping with a key of Pulumi's own, the digest of
a preview by a word. `--show-secrets` puts the plain value into that mapping: it is still a secret,
and none of our documents may show it.
"""

from __future__ import annotations

import json
from typing import Final

SECRET: Final = "[secret]"  # noqa: S105 - a placeholder
"""A secret, as Pulumi shows one."""

# Pulumi's own constants.
UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""A value that is not known before the `up`."""
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""The key of a mapping that stands for a value which is not plain; its value says of which kind."""
SECRET_KIND: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a mark
REFERENCE_KIND: Final = "5cf8f73096256a8f31e491e813e4eb8e"
"""A value that refers to a resource by its URN."""
PROVIDER_KEY: Final = "__provider"
"""The property of a dynamic resource that is its pickled provider."""


def secret(value: object) -> dict[str, str]:
    """Return a secret in plain text, as `pulumi stack import` reads and then encrypts it."""
    return {SIGNATURE: SECRET_KIND, "plaintext": json.dumps(value)}


def masked(value: object) -> object:
    """Return a value with `SECRET` for each secret in it, also for one that is shown in plain."""
    try:
        return _masked(value)
    except RecursionError:
        return SECRET


def is_hidden(value: object) -> bool:
    """Return whether a masked value, or a part of it, is a secret or not known yet."""
    if isinstance(value, dict):
        return any(map(is_hidden, value.values()))
    if isinstance(value, list):
        return any(map(is_hidden, value))
    return value in (SECRET, UNKNOWN)


def _masked(value: object) -> object:
    if isinstance(value, dict):
        if SIGNATURE in value:
            return SECRET
        return {name: _masked(one) for name, one in value.items()}
    return [_masked(one) for one in value] if isinstance(value, list) else value
