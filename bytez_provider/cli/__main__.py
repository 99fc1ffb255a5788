"""`python -m bytez_provider.cli` is `bytez-fleet`."""

from __future__ import annotations

import sys

from bytez_provider.cli import main

if __name__ == "__main__":
    sys.exit(main())
