"""The command `bytez-emulator`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args, get_type_hints

from bytez_provider.emulator.catalogue import Row, read_rows
from bytez_provider.emulator.rules import API_VERSIONS, ClusterRules

if TYPE_CHECKING:
    from bytez_provider.emulator.server import Emulator

KEYS_VARIABLE = "BYTEZ_EMULATOR_KEYS"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report a mistake in one line, without the usage."""
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, and return 0.

    Raises:
        SystemExit: 1 if the port cannot be used, 2 for wrong usage or an invalid file.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        emulator = _emulator(options)
    except ImportError as error:
        parser.error(f"{error.name} is missing; install bytez-provider[emulator]")
    except ValueError as error:
        parser.error(str(error))
    end = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda _signum, _frame: end.set())
    try:
        emulator.start()
    except OSError as error:
        parser.exit(1, f"{parser.prog}: port {options.port}: {error.strerror}\n")
    sys.stdout.write(f"listening on {emulator.url}\n")
    sys.stdout.flush()
    end.wait()
    emulator.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bytez-emulator",
        description="A Bytez server on this machine, for tests, demos and offline work.",
        epilog=f"More keys: {KEYS_VARIABLE}, separated by commas. Without any, every key passes.",
    )
    add = parser.add_argument
    add("--port", type=_port, default=0, help="loopback port; 0, the default, takes a free one")
    add("--key-file", type=Path, metavar="FILE", help="keys that pass, one per line")
    add(
        "--models", type=Path, metavar="FILE", help="more models, a JSON list as /model/list has it"
    )
    add(
        "--boot-seconds",
        type=float,
        metavar="S",
        help="emulated seconds from load to RUNNING (403)",
    )
    add(
        "--cluster-boot-seconds",
        type=float,
        metavar="S",
        help="the same for an instance of a cluster (the same number if given, else 40)",
    )
    add(
        "--speed",
        type=float,
        default=1,
        metavar="X",
        help="emulated seconds a real second (1)",
    )
    add(
        "--clock",
        choices=("real", "manual"),
        default="real",
        help="manual: time stands still until POST /_emulator/clock (real)",
    )
    add("--state", type=Path, metavar="FILE", help="keeps the loads across restarts")
    add("--faults", type=Path, metavar="FILE", help="fault script, a JSON list of rules")
    add(
        "--not-loaded",
        choices=("404", "stopped"),
        default="404",
        help='status of a model that is not loaded: an error 404, or 200 with "stopped" (404)',
    )
    add(
        "--api",
        choices=API_VERSIONS,
        action="append",
        help="an API version that is answered; may be given again (all)",
    )
    _add_cluster_rules(parser)
    return parser


def _add_cluster_rules(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("clusters of the 2025-04 API").add_argument
    for rule in fields(ClusterRules):
        choices = get_args(get_type_hints(ClusterRules)[rule.name])
        add(
            f"--cluster-{rule.name.replace('_', '-')}",
            choices=choices or None,
            metavar=None if choices else rule.metadata["metavar"],
            type=type(rule.default),
            default=rule.default,
            help=f"{rule.metadata['help']} ({rule.default})",
        )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


def _emulator(options: argparse.Namespace) -> Emulator:
    # Imported here, so that `main` can report a missing extra.
    from bytez_provider.emulator.server import Emulator

    return Emulator(
        keys=_keys(options.key_file),
        models=_models(options.models),
        boot_seconds=options.boot_seconds,
        cluster_boot_seconds=options.cluster_boot_seconds,
        speed=options.speed,
        clock=options.clock,
        state=options.state,
        faults=_faults(options.faults),
        not_loaded=options.not_loaded,
        clusters=ClusterRules(
            **{rule.name: getattr(options, f"cluster_{rule.name}") for rule in fields(ClusterRules)}
        ),
        apis=options.api or API_VERSIONS,
        port=options.port,
    )


def _keys(key_file: Path | None) -> list[str]:
    keys = os.environ.get(KEYS_VARIABLE, "").split(",")
    if key_file is not None:
        in_file = [line.strip() for line in _text(key_file, "key file").splitlines()]
        if not any(in_file):
            # Otherwise an empty file would let every key pass.
            raise ValueError(f"key file '{key_file}' has no key")
        keys += in_file
    return [key.strip() for key in keys if key.strip()]


def _faults(path: Path | None) -> Any:
    return [] if path is None else _json(path, "fault script")


def _models(path: Path | None) -> Sequence[Row]:
    return () if path is None else read_rows(_json(path, "model file"))


def _json(path: Path, what: str) -> Any:
    try:
        return json.loads(_text(path, what))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{what} '{path}' is not JSON: {error.msg} in line {error.lineno}"
        ) from None


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"could not read {what} '{path}': {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"could not read {what} '{path}': it is not text") from None
