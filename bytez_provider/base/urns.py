"""The types of our resources, which are storage formats, and the parts of a URN.

urn:pulumi:<stack>::<project>::<type>::<name>. The type includes those of all parents, with `$`
between them; a name may contain "::". A text that is no URN has parts too: "", or itself as name.
"""

from __future__ import annotations

from typing import Final

MODEL_TYPE: Final = "pulumi-python:dynamic/bytez:Model"
NATIVE_MODEL_TYPE: Final = "bytez:index:Model"
READINESS_TYPE: Final = "pulumi-python:dynamic/bytez:Readiness"
NATIVE_READINESS_TYPE: Final = "bytez:index:Readiness"
FLEET_TYPE: Final = "bytez:index:Fleet"
STACK_TYPE: Final = "pulumi:pulumi:Stack"

MODEL_TYPES: Final = (MODEL_TYPE, NATIVE_MODEL_TYPE)
READINESS_TYPES: Final = (READINESS_TYPE, NATIVE_READINESS_TYPE)

DYNAMIC_PROVIDER_TYPE: Final = "pulumi:providers:pulumi-python"
NATIVE_PROVIDER_TYPE: Final = "pulumi:providers:bytez"


def stack_of(urn: str) -> str:
    """Return the name of the stack."""
    return urn.removeprefix("urn:pulumi:").split("::", 1)[0]


def project_of(urn: str) -> str:
    """Return the name of the project."""
    return [*urn.split("::", 2), ""][1]


def type_of(urn: str) -> str:
    """Return the type of the resource, without those of its parents."""
    return [*urn.split("::", 3), "", ""][2].rpartition("$")[2]


def name_of(urn: str) -> str:
    """Return the name of the resource."""
    return urn.split("::", 3)[-1]


def explicit_provider(provider: str) -> str:
    """Return the URN of a provider that a program declares, which may have its own account.

    Args:
        provider: Its URN, with or without "::" and its id.

    Returns:
        "" for a default provider, which has the settings of the stack.
    """
    name = name_of(provider).split("::", 1)[0]
    if name in ("", "default") or name.startswith("default_"):
        return ""
    return "::".join(provider.split("::", 4)[:4])
