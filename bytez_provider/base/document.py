"""Base classes of what is read from JSON, kept in state, or printed for programs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class CamelCase(BaseModel):
    """snake_case in Python, camelCase everywhere else."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        protected_namespaces=(),
        defer_build=True,
    )


class Document(CamelCase):
    """A part of what a command prints for programs; its schema is published.

    A field with a default is only printed if it was given: only some versions of the API have it.
    """

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    def printed(self) -> dict[str, Any]:
        """Return the document as JSON has it."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
