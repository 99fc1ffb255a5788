"""The command `pulumi-resource-bytez`, which Pulumi's engine starts for each provider."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def main() -> None:
    """Serve the engine until it is gone."""
    skip_sdk()
    from bytez_provider.native.serving import serve

    serve()


def skip_sdk() -> None:
    """Have Pulumi's protocol imported alone: the SDK for programs takes half of a plugin's start.

    An SDK whose protocol is elsewhere is imported as a whole.
    """
    spec = importlib.util.find_spec("pulumi")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (Path(folder) / "runtime" / "proto").is_dir() and "pulumi" not in sys.modules:
            for name, place in (("pulumi", folder), ("pulumi.runtime", f"{folder}/runtime")):
                package = sys.modules[name] = ModuleType(name)
                package.__path__ = [place]


if __name__ == "__main__":
    main()
