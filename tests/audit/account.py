"""The facts of an account, as an audit gets them: no server, no Pulumi."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from bytez_provider.audit import Audit, Facts, Finding, Source, assess
from bytez_provider.base.urns import MODEL_TYPE
from bytez_provider.core.ownership import Owner, Phase, Record
from bytez_provider.service.catalogue import bundled_catalogue
from bytez_provider.service.pricing import PRICES
from bytez_provider.service.schemas import Instance, iso
from bytez_provider.stack.states import StackModel

NOW = datetime(2024, 5, 28, 12, 0, 0, tzinfo=timezone.utc)
ENDPOINT = "https://api.bytez.com"
ACCOUNT = "0123456789ab"
GPT2, PHI = "openai-community/gpt2", "microsoft/phi-1"
CODER = "deepseek-ai/deepseek-coder-1.3b-instruct"
UNPRICED = "openai-community/gpt2-medium"
"""A model whose RAM the catalogue does not know."""


def ago(seconds: float) -> datetime:
    """Return a moment before now."""
    return NOW - timedelta(seconds=seconds)


def urn(name: str, stack: str = "dev", kind: str = MODEL_TYPE) -> str:
    """Return the URN of a Model resource."""
    return f"urn:pulumi:{stack}::fleet::{kind}::{name}"


def live(model_id: str = GPT2, created: datetime | None = None, **more: Any) -> Instance:
    """Return a load, by default an hour old and run a minute ago."""
    seen = {
        "status": "RUNNING",
        "concurrency": 1,
        "inferences": 7,
        "expirationPeriodSeconds": 1800,
        "expiresAt": ago(60 - 1800),
        "created": created or ago(3600),
    }
    return Instance.of({**seen, "modelId": model_id, **more})


def declared(
    name: str = "chat",
    model_id: str = GPT2,
    created: datetime | None = None,
    *,
    stack: str = "dev",
    outputs: dict[str, Any] | None = None,
    **more: Any,
) -> StackModel:
    """Return a model in a state: by default it names the load of `live`."""
    kept = {
        "modelId": model_id,
        "concurrency": 1.0,
        "adopt": False,
        "onExpiry": "reload",
        "status": "RUNNING",
        "created": iso(created or ago(3600)),
        "endpoint": ENDPOINT,
        "account": ACCOUNT,
        **(outputs or {}),
    }
    given = {"urn": urn(name, stack), "inputs": {"modelId": model_id}, **more}
    return StackModel(model_id=model_id, outputs=kept, **given)


def of_stack(stack: str = "dev", place: str | None = None) -> Owner:
    """Return the stack whose records a state decides about."""
    return Owner(urn=urn("x", stack), stack=place)


def record(model_id: str = GPT2, began: datetime | None = None, **more: Any) -> Record:
    """Return the record of a load begun an hour ago, by a deployment that was killed."""
    name, stack = more.pop("name", "chat"), more.pop("stack", "dev")
    owner = Owner(urn=urn(name, stack), stack=more.pop("place", None))
    given = {"owner": owner, "phase": Phase.ACCEPTED, "concurrency": 1, **more}
    return Record(model_id=model_id, began=began or ago(3601), **given)


def facts(
    running: Sequence[Instance] = (),
    state: Sequence[StackModel] = (),
    records: Sequence[Record] = (),
    **more: Any,
) -> Facts:
    """Return an account, compared with the state of the stack dev."""
    given: dict[str, Any] = {
        "now": NOW,
        "endpoint": ENDPOINT,
        "account": ACCOUNT,
        "api_version": "2024-05",
        "prices": PRICES["2024-05"],
        "catalogue": bundled_catalogue(),
        "live": running,
        "records": records,
        "sources": [Source("stack", "dev", state, of_stack())],
        "flags": [("--stack", "dev")],
        "keyed_by": "dev",
    }
    return Facts(**{**given, **more})


def kinds(audit: Audit) -> list[tuple[str, str]]:
    """Return kind and model of each finding."""
    return [(one.kind, one.model_id) for one in audit.findings]


def only(given: Facts) -> Finding:
    """Return the only finding."""
    (finding,) = assess(given).findings
    return finding


def commands(finding: Finding) -> list[str]:
    """Return the commands that mend a finding."""
    return [mend.command for mend in finding.mends]
