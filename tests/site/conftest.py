"""Programs of the pages run under the mocks of the other tests."""

from tests.programs import engine

__all__ = ["engine"]
