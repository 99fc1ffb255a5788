"""What check, diff, create, read, update and delete do, free of Pulumi.

- `_lifecycle`: the operations, as the providers and the command line call them
- `_diff`: which change is a replacement, what has drifted
- `_operation`: what an operation works with; `_stated`: the load that a state names
- `_load`, `_read`, `_unload`: the operations themselves

Whose a load is, `core.ownership` decides. The sentences are in `core.messages`. The rules:

- Somebody else's load is not touched without `adopt`.
- From before the first request until the load is gone, the journal has a record of it.
- An operation that fails unloads what it began, or says that it could not.
"""

from __future__ import annotations

from bytez_provider.core.lifecycle._diff import Difference, diff, drift_of
from bytez_provider.core.lifecycle._lifecycle import Checked, Lifecycle

__all__ = ["Checked", "Difference", "Lifecycle", "diff", "drift_of"]
