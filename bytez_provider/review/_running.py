"""A preview of a stack, run through Pulumi's Automation API."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bytez_provider.base.errors import ConfigError, printable
from bytez_provider.review._plan import Plan
from bytez_provider.review._reading import from_digest, from_events


def run_preview(
    stack: str | None,
    *,
    refresh: bool,
    policy_packs: Sequence[Path] = (),
    policy_pack_configs: Sequence[Path] = (),
) -> Plan:
    """Preview a stack of the project in the current folder; a preview that fails is a plan too.

    Not by `Stack.preview`: to have a `Stack` changes which stack the user has selected, and it
    cannot be told to leave out the refresh that a project's `refresh: always` asks for.

    Args:
        stack: Its name; None for the selected one.
        refresh: Whether to look at what really runs; without, the project's setting is overruled.
        policy_packs: Folders of policy packs to run.
        policy_pack_configs: The configuration of each, in the same order.

    Raises:
        ConfigError: there is no Pulumi, or it made no plan.
    """
    from pulumi.automation import CommandError, InvalidVersionError, PulumiCommand

    errors: list[str] = []
    output: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "events.jsonl"
        arguments = ["preview", "--json", "--show-sames", f"--event-log={log}"]
        # A flag here wins over the project's options.
        arguments.append(f"--refresh={'true' if refresh else 'false'}")
        arguments += [f"--stack={stack}"] if stack else []
        arguments += [f"--policy-pack={pack}" for pack in policy_packs]
        arguments += [f"--policy-pack-config={config}" for config in policy_pack_configs]
        environment = {"PULUMI_DEBUG_COMMANDS": "true", "PULUMI_SKIP_UPDATE_CHECK": "true"}
        try:
            with _quiet_when_interrupted():
                PulumiCommand(skip_version_check=True).run(
                    arguments, ".", environment, output.append, errors.append
                )
        except CommandError:
            pass  # A preview that fails has told why in its events, or else on stderr.
        except (OSError, InvalidVersionError):
            raise _no_plan(stack, "`pulumi` is not on PATH") from None
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    if not lines:
        told = [line for line in errors if line.strip()]
        said = next((line for line in told if line.startswith("error:")), " ".join(told))
        reason = printable(said.removeprefix("error:")) or "nothing"
        raise _no_plan(stack, f"`pulumi preview` says: {reason}")
    plan = from_events(json.loads(line) for line in lines)
    try:
        digest = json.loads("\n".join(output))
    except ValueError:
        return plan
    # Only the digest says what depends on what, and what is deleted with what.
    other = from_digest(digest)
    return dataclasses.replace(plan, depends_on=other.depends_on, deleted_with=other.deleted_with)


@contextmanager
def _quiet_when_interrupted() -> Iterator[None]:
    """Keep quiet the threads that read what Pulumi prints: a Ctrl-C closes it under their hands."""
    before = threading.excepthook
    threading.excepthook = lambda _failed: None
    try:
        yield
    except Exception:
        threading.excepthook = before
        raise
    # After a Ctrl-C it stays: they may notice at any moment until the process ends.
    threading.excepthook = before


def _no_plan(stack: str | None, observed: str) -> ConfigError:
    return ConfigError(
        verb="preview the stack",
        subject=printable(stack or "", limit=100),
        observed=observed,
        action="Mend that, or give a saved plan with --plan",
    )
