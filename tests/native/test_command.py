"""The start of the plugin's process."""

import subprocess
import sys

_START = """
import importlib.util, sys
{before}
from bytez_provider.native.command import skip_sdk
skip_sdk()
import bytez_provider.native.serving
print("pulumi.automation" in sys.modules, "pulumi.runtime.proto.provider_pb2" in sys.modules)
"""


def start(before: str = "") -> list[str]:
    """Return whether a fresh process imports the whole SDK, and whether the protocol."""
    code = [sys.executable, "-c", _START.format(before=before)]
    return subprocess.run(code, check=True, capture_output=True, text=True).stdout.split()


def test_the_plugin_imports_the_protocol_without_the_sdk() -> None:
    assert start() == ["False", "True"]


def test_an_sdk_that_is_already_imported_is_kept() -> None:
    assert start("import pulumi") == ["True", "True"]


def test_an_sdk_with_its_protocol_elsewhere_is_imported_as_a_whole() -> None:
    # An empty folder comes first, as in a package that is spread over two.
    nowhere = "spec.submodule_search_locations[:] = ['/nowhere']"
    before = (
        "find = importlib.util.find_spec\n"
        "def moved(name):\n"
        "    spec = find(name)\n"
        f"    {nowhere}\n"
        "    return spec\n"
        "importlib.util.find_spec = moved"
    )
    assert start(before) == ["True", "True"]
