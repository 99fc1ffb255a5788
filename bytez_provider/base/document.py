"""Base classes of what is read from JSON, kept in state, or printed for programs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class CamelCase(BaseModel):
    """snake_case in Python, camelCase everywhere else."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        protected_namespaces=(),
    )


class Document(CamelCase):
    """A part of what a command prints for programs; its schema is published."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
