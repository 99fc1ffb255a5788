"""`python -m bytez_provider.emulator` is `bytez-emulator`."""

from __future__ import annotations

import sys

from bytez_provider.emulator.command import main

if __name__ == "__main__":
    sys.exit(main())
