"""`bytez-fleet unload --unfinished`, as a user of a stack runs it on one machine."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from bytez_provider.cli import screen, session
from bytez_provider.cli.app import run_app
from bytez_provider.core.ownership import Presence, _ledger
from bytez_provider.emulator import Emulator
from bytez_provider.service.settings import ApiVersion, read_settings
from tests.clocks import EmulatorClock
from tests.stateful.engine import Resource
from tests.stateful.program import MODEL_TYPE, READINESS_TYPE


def unload_unfinished(
    emulator: Emulator,
    environ: Mapping[str, str],
    root: str,
    state: Mapping[str, Resource],
    file: Path,
    machine: str,
    api: ApiVersion,
) -> None:
    """Unload unfinished loads, given the state of a stack (`root` is its URN) in a file."""
    # Without Pulumi, nothing else says what the stack config has.
    config = {"bytez:apiVersion": api}
    stack: dict[str, object] = {"urn": root, "type": "pulumi:pulumi:Stack"}
    resources = [stack]
    resources += [
        {
            "urn": one.urn,
            "type": MODEL_TYPE if one.is_model else READINESS_TYPE,
            "id": one.id,
            "inputs": one.inputs,
            "outputs": one.outputs,
        }
        for one in state.values()
        # A resource that is deleted and not yet created again names nothing.
        if not one.pending_replacement
    ]
    file.write_text(json.dumps({"deployment": {"resources": resources}}), encoding="utf-8")
    command = ["unload", "--unfinished", "--state", str(file)]
    presence = Presence(machine=machine, host=machine)
    own = EmulatorClock(emulator)
    try:
        with (
            mock.patch.dict(os.environ, environ),
            mock.patch.object(sys, "argv", ["bytez-fleet", *command]),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()) as errors,
            mock.patch.object(session, "SystemClock", return_value=own),
            mock.patch.object(session, "read_settings", lambda _, own: read_settings(config, own)),
            mock.patch.object(_ledger, "Presence", return_value=presence),
        ):
            code = run_app()
    finally:
        presence.leave()
    assert code == screen.DONE, errors.getvalue()
