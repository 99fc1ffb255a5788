"""Programs of the pages under Pulumi's mocks."""

from __future__ import annotations

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, set_mocks

from bytez_provider.service.catalogue import bundled_catalogue


class Recorder(Mocks):
    """Takes every resource as it is declared, and keeps it."""

    def __init__(self) -> None:
        self.declared: list[MockResourceArgs] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, object]]:
        """Return the inputs as outputs."""
        self.declared.append(args)
        return args.resource_id or f"{args.name}-id", dict(args.inputs)

    def call(self, args: MockCallArgs) -> tuple[dict[str, object], None]:
        """Answer no function call: there is none."""
        raise AssertionError(f"no program of ours calls {args.token}")


def run_with_mocks(program: str) -> None:
    """Run a program; it must declare models, and only those that the catalogue has."""
    recorder = Recorder()
    set_mocks(recorder, preview=False)
    code = compile(program, "docs", "exec")

    @pulumi.runtime.test  # type: ignore[untyped-decorator]  # Pulumi's has no types
    def run() -> None:
        exec(code, {"__name__": "__main__"})  # noqa: S102  (our own docs)

    run()
    models = [one for one in recorder.declared if one.typ.endswith("bytez:Model")]
    assert models
    known = {entry.model_id for entry in bundled_catalogue().entries()}
    assert {one.inputs.get("modelId", one.resource_id) for one in models} <= known
