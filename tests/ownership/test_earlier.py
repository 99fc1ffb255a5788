"""Records of the earlier format: carried over, and removed when they are replaced."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bytez_provider.core.ownership import Folder, Ledger, Named, Owner, Phase, Record, Verdict
from bytez_provider.service.schemas import Asked, Instance
from tests.clocks import FakeClock

MODEL, OTHER_MODEL = "openai-community/gpt2", "microsoft/phi-1"
URN = "urn:pulumi:dev::fleet::pulumi-python:dynamic/bytez:Model::gpt2"
ENDPOINT, ACCOUNT = "https://api.bytez.com", "0123456789ab"
BEGAN = datetime(2024, 5, 27, 23, 35, tzinfo=timezone.utc)
CREATED = BEGAN + timedelta(seconds=1)
LATER = BEGAN + timedelta(hours=1)
ADOPTED = "2024-05-27T23:40:00.000Z"

NOTE: dict[str, Any] = {
    "endpoint": ENDPOINT,
    "account": ACCOUNT,
    "urn": URN,
    "modelId": MODEL,
    "began": BEGAN.isoformat(),
    "concurrency": 2,
    "expirationPeriodSeconds": 600,
    "created": CREATED.isoformat(),
}
LATER_NOTE = {**NOTE, "began": LATER.isoformat(), "concurrency": 3}
HOLDER: dict[str, Any] = {
    "endpoint": ENDPOINT,
    "account": ACCOUNT,
    "modelId": MODEL,
    "created": CREATED.isoformat(),
    "adoptedAt": ADOPTED,
}
CARRIED = Record(
    model_id=MODEL,
    owner=Owner(urn=URN),
    phase=Phase.ACCEPTED,
    began=BEGAN,
    concurrency=2,
    expiration_period_seconds=600,
    created=CREATED,
)


class Kept:
    """A folder that an earlier version has written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(Folder(folder), endpoint=ENDPOINT, account=ACCOUNT, clock=FakeClock())

    def write(self, name: str, content: object) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).write_text(json.dumps(content))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.json"))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def carried(**changed: Any) -> Record:
    return CARRIED.but(**changed)


@pytest.mark.parametrize(
    ("files", "record"),
    [
        ([NOTE], CARRIED),
        ([{**NOTE, "created": None}], carried(phase=Phase.REQUESTED, created=None)),
        ([LATER_NOTE, NOTE], carried(began=LATER, concurrency=3)),
        ([NOTE, LATER_NOTE], carried(began=LATER, concurrency=3)),
        ([NOTE, HOLDER], carried(adopted_at=ADOPTED)),
        ([NOTE, {**HOLDER, "created": BEGAN.isoformat()}], CARRIED),
    ],
    ids=[
        *("a note", "a note without an answer", "a later note first", "a later note last"),
        *("a note and its holder", "a note and the holder of another load"),
    ],
)
def test_notes_and_holders_of_a_model_make_one_record(
    kept: Kept, files: list[dict[str, Any]], record: Record
) -> None:
    for number, content in enumerate(files):
        kept.write(f"{'load' if 'urn' in content else 'holder'}-{number}.json", content)
    before = kept.names()
    assert kept.ledger.records() == [record]
    assert kept.ledger.record(MODEL) == record
    assert kept.names() == before, "a look writes nothing"


def test_a_holder_has_an_unknown_owner(kept: Kept) -> None:
    kept.write("holder-1.json", HOLDER)
    (record,) = kept.ledger.records()
    assert (record.owner.urn, record.adopted_at, record.created) == ("", ADOPTED, CREATED)
    live = Instance(model_id=MODEL, status="RUNNING", created=CREATED)
    who = kept.ledger.who(URN)
    judged = kept.ledger.judge(MODEL, live, who, Named(CREATED))
    assert judged.verdict is Verdict.OTHER_RESOURCE, "the older resource must leave it alone"
    assert kept.ledger.judge(MODEL, live, who, Named(CREATED, ADOPTED)).is_ours


@pytest.mark.parametrize(
    "content",
    [
        "torn",
        [NOTE],
        {**NOTE, "account": "another"},
        {**NOTE, "endpoint": "http://127.0.0.1:1"},
        {**NOTE, "began": "yesterday"},
        {**NOTE, "urn": None},
        {**NOTE, "concurrency": "two"},
        {k: v for k, v in NOTE.items() if k != "modelId"},
    ],
)
def test_anything_else_is_ignored(kept: Kept, content: object) -> None:
    kept.write("load-1.json", content)
    (kept.folder / "load-2.json").write_bytes(b"\xff{")
    assert kept.ledger.records() == []


def test_a_new_record_removes_what_it_replaces_and_nothing_else(kept: Kept) -> None:
    kept.write("load-1.json", NOTE)
    kept.write("load-2.json", {**NOTE, "began": BEGAN.replace(year=2023).isoformat()})
    kept.write("holder-1.json", HOLDER)
    kept.write("load-3.json", {**NOTE, "modelId": OTHER_MODEL})
    kept.write("load-4.json", {**NOTE, "account": "another"})
    who = kept.ledger.who(URN)
    kept.ledger.confirm(MODEL, who, Named(CREATED), asked=Asked(2, 600), is_kept=True)
    kept.ledger.deploys(is_preview=False)
    record = kept.ledger.record(MODEL)
    assert record is not None
    assert record.phase is Phase.CONFIRMED
    old = [name for name in kept.names() if not name.startswith("record-")]
    assert old == ["load-3.json", "load-4.json"]


def test_a_forgotten_record_is_removed(kept: Kept) -> None:
    kept.write("load-1.json", NOTE)
    kept.ledger.forget(CARRIED)
    assert kept.names() == []


def test_a_nameless_resource_ends_no_record(kept: Kept) -> None:
    kept.write("holder-1.json", HOLDER)
    kept.ledger.end(MODEL, kept.ledger.who(None))
    assert kept.names() == ["holder-1.json"]
