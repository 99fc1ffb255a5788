"""An account with every kind of finding, and one full of hostile text."""

from __future__ import annotations

from datetime import timedelta

from bytez_provider.audit import Audit, Source, assess
from bytez_provider.core.ownership import Owner
from bytez_provider.service.schemas import iso
from tests.audit.account import (
    CODER,
    GPT2,
    NOW,
    PHI,
    UNPRICED,
    ago,
    declared,
    facts,
    live,
    of_stack,
    record,
)

OWNER = "abhishekchohan/SOLAR-10.7B-Instruct-Forest-DPO-v1"
MATH = "deepseek-ai/deepseek-math-7b-instruct"
BLOOM, OPT = "bigscience/bloom-560m", "facebook/opt-1.3b"
GPT2_LARGE = "openai-community/gpt2-large"

EVIL = (
    "<script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "</code></pre><h1>big</h1>",
    '" onmouseover="document.title=\'ran\'" x="',
    "`](javascript:alert(1)) **bold** `",
    "a | b | c\n| d |",
    "![x](https://evil.example/x.png) [y](https://evil.example) @team #1 <https://evil.example>",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07\r\n\u202eback",
    "[bold red]loud[/]\n## heading\n\n- item",
    "</style><style>body{display:none}</style>",
    "{{ 7*7 }} ${x} %s &lt;b&gt;",
)
"""Names that would change a page, a comment or a terminal."""


def story() -> Audit:
    """Return an audit with every kind of finding and every kind of model."""
    running = [
        live(PHI, concurrency=3),
        live(GPT2, created=ago(600), inferences=0, expiresAt=NOW + timedelta(seconds=1603)),
        live(CODER, concurrency=12, inferences=0, expiresAt=NOW + timedelta(seconds=250)),
        live(MATH, status="FAILED", error="CUDA out of memory", modified=ago(3200), expiresAt=None),
        live(OPT, created=ago(400), status="DEPLOYING", inferences=0, expiresAt=None),
        live(UNPRICED, created=ago(7265)),
        live(OWNER, created=ago(86400), inferences=12_345),
    ]
    dev = [
        declared("phi", PHI, outputs={"concurrency": 2.0}),
        declared("chat", GPT2),
        declared("coder", CODER, outputs={"concurrency": 12.0}),
        declared("math", MATH),
        declared("bloom", BLOOM),
        declared("away", "ai-forever/mGPT", outputs={"onExpiry": "accept", "status": "NOT_LOADED"}),
        declared("theirs", OPT, outputs={"account": "another"}),
        declared("hidden", GPT2_LARGE, unreadable=frozenset({"concurrency", "onExpiry"})),
    ]
    prod = [
        declared(
            "coder", CODER, stack="prod", outputs={"concurrency": 12.0, "adoptedAt": iso(ago(60))}
        )
    ]
    sources = [
        Source("stack", "dev", dev, of_stack()),
        Source("state", "saved/prod.json", prod, of_stack("prod")),
    ]
    return assess(
        facts(
            running,
            records=[record(OPT, ago(401), name="opt")],
            sources=sources,
            flags=[("--stack", "dev"), ("--state", "saved/prod.json")],
        )
    )


def evil_story(names: tuple[str, ...] = EVIL) -> Audit:
    """Return an audit in which service, states, journal and files use these names everywhere."""
    running, state, records, sources = [], [], [], []
    for number, name in enumerate(names):
        running += [
            live(name, status=name, error=name),
            live(f"{name}/{number}", status="FAILED", error=name, modified=ago(60)),
        ]
        state += [
            declared(name, name, urn=f"urn:pulumi:{name}::{name}::x::{name}"),
            declared(name, f"{name}/{number}", stack=name),
            declared(f"{name}-{number}", f"{name}-gone", stack=name),
            declared(f"{name}-{number}", name, stack=f"{name}-2", outputs={"account": name}),
        ]
        owner = Owner(urn=f"urn:pulumi:{name}::p::t::{name}", place=name)
        records.append(record(f"{name}-begun", owner=owner, host=name))
        records.append(record(f"{name}/{number}", owner=owner, created=ago(3600), host=name))
        sources.append(Source("state", name, [declared(name, name, stack=f"{name}-3")], owner))
    sources.append(Source("stack", "dev", state))
    endpoint = f"https://{names[0]}"
    for source in sources:
        for model in source.models:
            model.outputs["endpoint"] = endpoint  # type: ignore[index]
    given = facts(running, records=records, sources=sources, endpoint=endpoint)
    return assess(given)
