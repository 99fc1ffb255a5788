"""A policy pack, taken out of Pulumi's SDK before it begins to serve an engine."""

from __future__ import annotations

import contextlib
import os
import runpy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi_policy.policy as _sdk
from pulumi_policy import EnforcementLevel, Policy, PolicyPack

from bytez_provider.base.errors import InvalidInputError, printable
from bytez_provider.policies.testing._resources import Resource
from bytez_provider.policies.testing._run import PolicyViolation, Run

_service: Any = _sdk.analyzer_pb2_grpc  # type: ignore[attr-defined]


class _CaughtError(BaseException):
    """Carries a pack's service out of its constructor, which would serve for ever."""

    def __init__(self, servicer: Any) -> None:
        super().__init__()
        self.servicer = servicer


class Pack:
    """A policy pack, to be run on resources.

    Args:
        policies: Its policies.
        enforcement_level: The level of the policies that have none, advisory if None.
        initial_config: As that of `pulumi_policy.PolicyPack`.
    """

    def __init__(
        self,
        policies: list[Policy],
        *,
        enforcement_level: EnforcementLevel | None = None,
        initial_config: dict[str, EnforcementLevel | dict[str, Any]] | None = None,
    ) -> None:
        self._servicer = _service_of(
            lambda: PolicyPack("pack", policies, enforcement_level, initial_config), "pack"
        )

    @classmethod
    def from_folder(cls, folder: str | Path) -> Pack:
        """Return the pack that the program in a folder (`__main__.py`) makes.

        Raises:
            InvalidInputError: The program ends without a PolicyPack.
        """
        pack = cls.__new__(cls)
        where = Path(folder).resolve()
        with contextlib.ExitStack() as leaving:
            leaving.callback(os.chdir, Path.cwd())
            os.chdir(where)
            pack._servicer = _service_of(
                lambda: runpy.run_path(str(where), run_name="__main__"), str(folder)
            )
        return pack

    def preview(
        self,
        resources: Sequence[Resource],
        *,
        config: Mapping[str, Any] | Path | None = None,
        stack: str = "dev",
        project: str = "project",
        stack_tags: Mapping[str, str] | None = None,
    ) -> list[PolicyViolation]:
        """Run the policies as `pulumi preview` does.

        Args:
            resources: What the program declares.
            config: The policy config: a file, or what would be in it.
            stack: The stack's name.
            project: The project's name.
            stack_tags: The stack's tags.

        Returns:
            The violations, of one resource after the other and then of the stack. A policy that
            touched what is unknown is an advisory one, as Pulumi reports it.

        Raises:
            InvalidInputError: The config cannot be read, or breaks a policy's schema.
        """
        run = Run(self._servicer, stack, project, preview=True)
        return run.violations(resources, config, stack_tags or {})

    def up(
        self,
        resources: Sequence[Resource],
        *,
        config: Mapping[str, Any] | Path | None = None,
        stack: str = "dev",
        project: str = "project",
        stack_tags: Mapping[str, str] | None = None,
    ) -> list[PolicyViolation]:
        """Run the policies as `pulumi up` does after its preview; arguments as for `preview`.

        Pulumi stops at the first resource with a mandatory violation. Here all are looked at.

        Raises:
            InvalidInputError: As for `preview`.
        """
        run = Run(self._servicer, stack, project, preview=False)
        return run.violations(resources, config, stack_tags or {})


def _service_of(make: Callable[[], object], subject: str) -> Any:
    """Return the service of the pack that `make` constructs."""

    def catch(servicer: object, _server: object) -> None:
        raise _CaughtError(servicer)

    serve = _service.add_AnalyzerServicer_to_server
    _service.add_AnalyzerServicer_to_server = catch
    try:
        make()
    except _CaughtError as caught:
        return caught.servicer
    finally:
        _service.add_AnalyzerServicer_to_server = serve
    raise InvalidInputError(
        verb="load the policy pack",
        subject=printable(subject),
        observed="its program ended without a PolicyPack",
        state="No policy was run",
        action="Construct one in its `__main__.py`",
    )
