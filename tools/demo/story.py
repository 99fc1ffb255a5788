"""What the demo shows, step by step. Each step checks its own result."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bytez_provider.emulator import Emulator
from tools.demo.project import CommandError, Project
from tools.demo.service import BOOT_SECONDS, SPEED, emulated_bytez

CHAT = "openai-community/gpt2"
MODELS = (CHAT, "deepseek-ai/deepseek-coder-1.3b-instruct", "roneneldan/TinyStories-8M")
PROMPT = "Once upon a time there was a"
IDLE_MINUTES = 31

UP = ("pulumi", "up", "--yes", "--skip-preview")
_KEY = "demo-key-of-the-emulator"


class DemoError(Exception):
    """A step did not do what it announced."""


def run_story(root: Path) -> None:
    """Run the whole story from the repository at `root`.

    Raises:
        DemoError: A step failed. Nothing is left behind.
    """
    with (
        tempfile.TemporaryDirectory(prefix="bytez-demo-") as folder,
        emulated_bytez(_KEY) as emulator,
    ):
        project = Project(root, Path(folder), endpoint=emulator.url, key=_KEY)
        try:
            Story(project, emulator).run()
        except CommandError as error:
            raise DemoError(str(error)) from None
    _say_how_to_go_on(root)


class Story:
    """The steps, in order, each with its expected result."""

    def __init__(self, project: Project, emulator: Emulator) -> None:
        self._project = project
        self._emulator = emulator
        self._steps: tuple[Callable[[], None], ...] = (
            self._preview,
            self._up,
            self._look,
            self._ask,
            self._change,
            self._expire,
            self._unchanged,
            self._destroy,
            self._nothing_left,
        )
        self._number = 0

    def run(self) -> None:
        """Run the steps.

        Raises:
            DemoError: A step did not have its expected result.
            CommandError: A command of a step failed.
        """
        print(
            "The real Pulumi, and an emulated Bytez on this machine: no key, no account.\n"
            f"A boot takes {BOOT_SECONDS} s; meanwhile emulated time runs {SPEED} times as fast.",
            flush=True,
        )
        self._project.run_unseen("pulumi", "stack", "init", "dev")
        for step in self._steps:
            self._number += 1
            step()

    # --------------------------------------------------------------------------------- steps

    def _preview(self) -> None:
        self._say("Preview: what Pulumi would load. Nothing is loaded yet.")
        self._run("pulumi", "preview")
        self._expect({}, "a preview loads nothing")

    def _up(self) -> None:
        self._say("Up: all three boot at once, each with its progress in its own row.")
        self._run(*UP)
        self._expect(dict.fromkeys(MODELS, 1), "three models run")

    def _look(self) -> None:
        self._say("What is loaded, according to Bytez itself.")
        self._run("bytez-fleet", "instances")

    def _ask(self) -> None:
        self._say("A prompt and its streamed answer. It is the emulator that answers, not a model.")
        self._run("bytez-fleet", "run", CHAT, PROMPT)
        if not sys.stdout.isatty():
            print(flush=True)  # In a pipe the text of a model has no line end.
        runs = {one["modelId"]: one["inferences"] for one in self._emulator.instances()}
        self._check(runs.get(CHAT) == 1, f"{CHAT} was run once")

    def _change(self) -> None:
        before, after = "concurrency=1", "concurrency=2"
        self._say(f"A change: {before} becomes {after}. Bytez cannot rescale: down for one boot.")
        self._project.edit(before, after)
        self._run("pulumi", "preview", "--diff")
        self._run(*UP)
        self._expect({**dict.fromkeys(MODELS, 1), CHAT: 2}, f"{CHAT} runs at concurrency 2")
        self._check(self._loads() == 4, "only the changed model was loaded again")

    def _expire(self) -> None:
        self._say(
            f"{IDLE_MINUTES} idle minutes pass, and Bytez unloads all. The next up reloads them."
        )
        self._emulator.advance(IDLE_MINUTES * 60)
        self._expect({}, "idle models expire")
        self._run("bytez-fleet", "instances")
        self._run(*UP)
        self._expect({**dict.fromkeys(MODELS, 1), CHAT: 2}, "the next up loads them again")

    def _unchanged(self) -> None:
        self._say("Up again: everything is as declared, so nothing happens.")
        loads = self._loads()
        self._run(*UP)
        self._check(self._loads() == loads, "an unchanged up loads nothing")

    def _destroy(self) -> None:
        self._say("Destroy: Pulumi unloads each model, and waits until Bytez confirms it.")
        self._run("pulumi", "destroy", "--yes", "--skip-preview")

    def _nothing_left(self) -> None:
        self._say("Nothing is left running. What it would have cost, by the emulator's ledger:")
        self._run("bytez-fleet", "instances")
        self._expect({}, "nothing is left running")
        self._print_ledger()

    # ------------------------------------------------------------------------------- helpers

    def _say(self, sentence: str) -> None:
        line = f"[{self._number}/{len(self._steps)}] {sentence}"
        print(f"\n{_bright(line)}", flush=True)

    def _run(self, *command: str) -> None:
        words = (f'"{word}"' if " " in word else word for word in command)
        print(f"$ {' '.join(words)}", flush=True)
        self._project.run(*command)

    def _expect(self, concurrency: dict[str, int], what: str) -> None:
        """Check which models run, and at what concurrency."""
        found = {
            one["modelId"]: one["concurrency"]
            for one in self._emulator.instances()
            if one["status"] == "RUNNING"
        }
        everything = len(self._emulator.instances())
        self._check(found == concurrency and everything == len(found), f"{what}: {found} run")

    def _check(self, is_so: bool, what: str) -> None:
        if not is_so:
            raise DemoError(f"step {self._number} failed; expected: {what}.")

    def _loads(self) -> int:
        return sum(int(charge["loads"]) for charge in self._emulator.ledger().values())

    def _print_ledger(self) -> None:
        print(f"{'model':42} {'loads':>5} {'GB-seconds':>11} {'dollars':>9}")
        ledger = self._emulator.ledger()
        for model_id, charge in ledger.items():
            dollars, gb_seconds = float(charge["dollars"]), float(charge["gbSeconds"])
            print(f"{model_id:42} {charge['loads']:5} {gb_seconds:11,.0f} {dollars:9.4f}")
        total = sum(float(charge["dollars"]) for charge in ledger.values())
        print(f"{'together':42} {self._loads():5} {'':11} {total:9.4f}", flush=True)


def _bright(text: str) -> str:
    wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\x1b[1;36m{text}\x1b[0m" if wanted else text


def _say_how_to_go_on(root: Path) -> None:
    found = shutil.which("pulumi")
    is_own = found is None or root in Path(found).parents
    path = 'PATH="$PWD/.tools/pulumi/bin:$PATH" ' if is_own else ""
    print(
        f"\n{_bright('The real service, in this folder (see README.md for what is unverified):')}\n"
        f"  export {path}BYTEZ_KEY=<your key>\n"
        "  pulumi stack init dev\n"
        "  pulumi up",
        flush=True,
    )
