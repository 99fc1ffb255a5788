"""Pages whose commands are typed as they are written, in one shell for each page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.site.blocks import COMMANDS, blocks

PROJECT = """\
cat > Pulumi.yaml <<'EOF'
name: models
runtime: {name: python, options: {virtualenv: .venv}}
options: {refresh: always}
EOF
cat > __main__.py <<'EOF'
import bytez_provider as bytez
MODEL
EOF
"""
EMPTY = PROJECT.replace("MODEL", "")
GPT2 = PROJECT.replace("MODEL", 'bytez.Model("chat", model_id="openai-community/gpt2")')
PROD = f"{GPT2}pulumi stack init prod\npulumi up --skip-preview\n"
PLAN = "pulumi preview --json --show-sames > plan.json\n"
FOUND_CODES = ("bytez-fleet audit", "bytez-fleet review")
"""Commands that exit with 3 if they find something."""

_LISTENS = "until (echo > /dev/tcp/127.0.0.1/@PORT@) 2> /dev/null; do sleep 0.1; done"


@dataclass(frozen=True)
class Walk:
    """How a page is walked.

    Attributes:
        before: Commands that make what the page assumes.
        replace: What a reader replaces, and by what. The test knows the values between at signs.
        writes_files: Whether its programs are files of the project; if not, each stands alone.
        somebody_loads: Models that somebody else has loaded before, with their concurrency.
        accounts: How many accounts it uses.
        bucket: The bucket that must exist.
    """

    before: str
    replace: Mapping[str, str] = field(default_factory=dict)
    writes_files: bool = True
    somebody_loads: Mapping[str, int] = field(default_factory=dict)
    accounts: int = 1
    bucket: str = ""


WALKS: Mapping[str, Walk] = {
    "README.md": Walk(PROD + PLAN, writes_files=False),
    "docs/adopting.md": Walk(
        f"{EMPTY}pulumi stack init dev\npulumi up --skip-preview\n",
        somebody_loads={"openai-community/gpt2": 2, "microsoft/phi-1": 1},
    ),
    "docs/audit.md": Walk(
        f"{PROD}pulumi stack export > prod.json\n",
        somebody_loads={"microsoft/phi-1": 1},
    ),
    "docs/clusters.md": Walk(f"{EMPTY}pulumi stack init dev\n", writes_files=False),
    "docs/cost-limits.md": Walk(f"{GPT2}pulumi stack init dev\nmkdir policy-pack\n"),
    "docs/review.md": Walk(PROD + PLAN),
    "docs/shared-journal.md": Walk(
        f"{GPT2}pulumi stack init dev\n",
        {"<id>": "id", "<secret>": "secret"},
        bucket="my-bucket",
    ),
    "docs/tutorial.md": Walk(
        "",
        {
            "8765": "@PORT@",
            "--boot-seconds 8": "--boot-seconds 1",
            "pulumi login --local": 'pulumi login "$PULUMI_BACKEND_URL"',
        },
    ),
    "docs/two-accounts.md": Walk(
        EMPTY,
        {
            "<key of the first account>": "@KEY@",
            "<key of the second account>": "@KEY2@\npulumi config set bytez:endpoint @SECOND@",
        },
        accounts=2,
    ),
}


@dataclass(frozen=True)
class Step:
    """A block of a page, as text for a shell, and what its output must contain."""

    script: str
    shows: tuple[str, ...] = ()


def steps(page: str) -> list[Step]:
    """Return what a reader of a page does, in order."""
    walk = WALKS[page]
    found = [Step(walk.before)]
    for block in blocks(page):
        if not block.is_run_here:
            continue
        if block.language in COMMANDS:
            found.append(_typed(block.code))
        elif walk.writes_files:
            name = shlex.quote(block.name)
            assert block.name, f"{page}: a program without the name of its file"
            found.append(Step(f"cat > {name} <<'EOF'\n{block.code}EOF\n"))
    return found


def _typed(code: str) -> Step:
    lines, shows = [], []
    for line in code.splitlines():
        if not line.startswith("$ "):
            shows.append(line.strip())
            continue
        command = line.removeprefix("$ ")
        if command.startswith(FOUND_CODES):
            command, _, comment = command.partition("  #")
            command += f" || test $? -eq 3 #{comment}"
        lines.append(command)
        if command.endswith("&"):
            lines.append(_LISTENS)
    return Step("\n".join(lines) + "\n", tuple(shows))
