"""What an audit finds, and which command it says."""

from __future__ import annotations

import random
import shlex
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bytez_provider.audit import Source, assess, markdown, page
from bytez_provider.core.ownership import Phase
from bytez_provider.service.catalogue import Catalogue
from bytez_provider.service.schemas import CatalogueEntry, Instance, iso
from tests.audit.account import (
    CODER,
    ENDPOINT,
    GPT2,
    NOW,
    PHI,
    UNPRICED,
    ago,
    commands,
    declared,
    facts,
    kinds,
    live,
    of_stack,
    only,
    record,
    urn,
)

UP = "pulumi up --refresh --stack dev"


class TestOrder:
    def test_what_runs_as_declared_is_no_finding(self) -> None:
        audit = assess(facts([live()], [declared()]))
        assert audit.findings == []
        (model,) = audit.models
        assert (model.model_id, model.status) == (GPT2, "RUNNING")
        assert [owner.name for owner in model.declared_by] == ["chat"]
        assert (model.age_seconds, model.idle_seconds_left) == (3600, 1740)
        assert model.idle_since == iso(ago(60))

    def test_nothing_at_all_is_no_finding(self) -> None:
        audit = assess(facts())
        assert (audit.findings, audit.models, audit.totals.models) == ([], [], 0)

    def test_the_same_facts_in_any_order_give_the_same_audit(self) -> None:
        running = [live(), live(PHI), live(CODER, concurrency=3), live(UNPRICED)]
        state = [
            declared("a", PHI),
            declared("b", CODER),
            declared("c", CODER),
            declared("d", "ai-forever/mGPT"),
            declared("e", outputs={"account": "other"}),
        ]
        records = [record("bigscience/bloom-560m", name="x"), record(CODER, name="y")]
        first = assess(facts(running, state, records))
        shuffled = random.Random(5)  # noqa: S311 - any order will do
        for _ in range(5):
            for part in (running, state, records):
                shuffled.shuffle(part)
            assert assess(facts(running, state, records)) == first
        assert len(first.findings) >= 5


class TestOrphan:
    def test_a_load_that_no_state_names(self) -> None:
        finding = only(facts([live(), live(PHI)], [declared()]))
        assert (finding.kind, finding.model_id, finding.declared_by) == ("orphan", PHI, [])
        assert finding.detail == (
            "loaded since 2024-05-28T11:00:00.000Z (1h00m); no stack given declares it"
        )
        assert commands(finding) == [
            f"bytez-fleet unload {PHI} --stack dev",
            "bytez-fleet export fleet.yaml --stack dev",
        ]

    def test_one_that_nobody_uses_says_so(self) -> None:
        unused = live(inferences=0, expiresAt=NOW + timedelta(seconds=300))
        detail = only(facts([unused])).detail
        assert "not run once since it was RUNNING, 25m ago (2024-05-28T11:35:00.000Z)" in detail

    def test_a_load_made_anew_is_not_the_stacks(self) -> None:
        audit = assess(facts([live(created=ago(600))], [declared(created=ago(3600))]))
        assert kinds(audit) == [("orphan", GPT2), ("notRunning", GPT2)]
        orphan, gone = audit.findings
        assert orphan.declared_by == []
        assert commands(orphan) == [
            f"bytez-fleet unload {GPT2} --yes --stack dev",
            f"BYTEZ_ADOPT={GPT2} {UP}",
        ]
        assert "is gone, and somebody else made the one that there is" in gone.detail
        assert commands(gone) == [f"BYTEZ_ADOPT={GPT2} {UP}"]
        (model,) = audit.models
        assert model.declared_by == []

    def test_what_a_program_only_reads_it_does_not_declare(self) -> None:
        assert only(facts([live()], [declared(external=True)])).kind == "orphan"

    def test_what_was_replaced_and_not_unloaded_is_told_with_its_stack(self) -> None:
        replaced = declared(pending_deletion=True)
        finding = only(facts([live()], [replaced]))
        assert (finding.kind, finding.declared_by[0].name) == ("orphan", "chat")
        assert "it was replaced, and has not been unloaded since" in finding.detail
        assert commands(finding) == [UP]

    def test_where_the_service_tells_no_created_the_name_counts(self) -> None:
        untold = Instance(model_id=GPT2, status="RUNNING", concurrency=1)
        audit = assess(facts([untold], [declared()]))
        assert audit.findings == []
        assert audit.totals.unknown_cost == [GPT2]

    def test_a_state_that_does_not_know_its_load_yet_has_it(self) -> None:
        begun = declared(outputs={"created": None, "status": "DEPLOYING"})
        assert assess(facts([live()], [begun])).findings == []

    def test_a_key_from_the_environment_needs_no_flag(self) -> None:
        given = facts([live()], flags=[("--state", "it's.json"), ("--all",)], keyed_by=None)
        assert commands(only(given)) == [
            f"bytez-fleet unload {GPT2}",
            "bytez-fleet export fleet.yaml --state 'it'\"'\"'s.json' --all",
        ]


class TestNotRunning:
    def test_one_that_is_not_loaded(self) -> None:
        finding = only(facts([], [declared()]))
        assert finding.kind == "notRunning"
        assert finding.detail == (
            "not loaded: the load made 1h00m ago (2024-05-28T11:00:00.000Z) has expired, or was "
            "unloaded"
        )
        assert commands(finding) == [UP]
        (model,) = assess(facts([], [declared()])).models
        assert (model.status, model.dollars_per_hour) == ("NOT_LOADED", None)
        assert model.declared_by[0].urn == urn("chat")

    def test_one_that_may_be_away_is_no_finding(self) -> None:
        accepted = declared(outputs={"onExpiry": "accept"})
        audit = assess(facts([], [accepted]))
        assert audit.findings == []
        assert [model.status for model in audit.models] == ["NOT_LOADED"]

    def test_one_that_is_known_to_be_away_does_not_own_what_runs_now(self) -> None:
        away = declared(outputs={"onExpiry": "accept", "status": "NOT_LOADED"})
        assert kinds(assess(facts([live()], [away]))) == [("orphan", GPT2)]

    def test_one_that_failed_quotes_the_service(self) -> None:
        failed = live(status="FAILED", error="CUDA out of \x1b[31mmemory", modified=ago(3000))
        audit = assess(facts([failed], [declared()]))
        (finding,) = audit.findings
        assert (finding.kind, finding.detail) == ("notRunning", "the service reported FAILED")
        assert finding.quoted == "CUDA out of memory"
        (model,) = audit.models
        assert (model.ram_gb, model.dollars_per_hour) == (None, None)
        # It costs until it failed, ten minutes after it was created.
        assert model.dollars_so_far == pytest.approx(0.5 * 600 * 0.0000166667, abs=1e-6)
        assert audit.totals.dollars_per_hour == 0
        assert audit.totals.unknown_cost == []

    def test_one_that_boots_says_for_how_long(self) -> None:
        booting = live(created=ago(300), status="DEPLOYING", expiresAt=None, inferences=0)
        finding = only(facts([booting], [declared(created=ago(300))]))
        assert (finding.detail, finding.quoted) == ("still booting after 5m", None)
        assert finding.mends[0].effect == "waits until it is RUNNING"

    def test_a_word_that_nobody_knows_is_still_going_and_quoted(self) -> None:
        finding = only(facts([live(status="Warming\nup")], [declared()]))
        assert (finding.kind, finding.quoted) == ("notRunning", "WARMING UP")


class TestIdle:
    @pytest.mark.parametrize(
        ("told", "is_idle"),
        [
            # Not run since it was RUNNING, ten minutes ago or less.
            ({"inferences": 0, "expiresAt": ago(599 - 1800)}, False),
            ({"inferences": 0, "expiresAt": ago(600 - 1800)}, True),
            # Run, and the next five minutes end it.
            ({"expiresAt": ago(1499 - 1800)}, False),
            ({"expiresAt": ago(1500 - 1800)}, True),
            # Of a short period only the last quarter is the end of it.
            ({"expirationPeriodSeconds": 60, "expiresAt": ago(44 - 60)}, False),
            ({"expirationPeriodSeconds": 60, "expiresAt": ago(45 - 60)}, True),
            # Of a long one an hour without a run is enough.
            ({"expirationPeriodSeconds": 86400, "expiresAt": ago(3599 - 86400)}, False),
            ({"expirationPeriodSeconds": 86400, "expiresAt": ago(3600 - 86400)}, True),
            # Where the service does not say when it expires, it says when it last changed.
            ({"expiresAt": None, "modified": ago(3600)}, True),
            ({"expiresAt": None, "modified": None}, False),
        ],
    )
    def test_by_how_long_it_has_not_been_run(self, told: dict[str, Any], is_idle: bool) -> None:
        found = kinds(assess(facts([live(**told)], [declared()])))
        assert found == ([("idle", GPT2)] if is_idle else [])

    def test_since_when_and_how_long_it_has_left(self) -> None:
        finding = only(facts([live(expiresAt=NOW + timedelta(seconds=200))], [declared()]))
        assert finding.detail == (
            "last run 26m40s ago (2024-05-28T11:33:20.000Z); it is unloaded in 3m20s unless it is "
            "run"
        )
        assert commands(finding) == [
            f"bytez-fleet run {GPT2} Hello --stack dev",
            f"bytez-fleet unload {GPT2} --yes --stack dev",
        ]


class TestDrift:
    def test_concurrency_and_expiry(self) -> None:
        state = declared(outputs={"expirationPeriodSeconds": 1800})
        changed = live(concurrency=3, expirationPeriodSeconds=600, expiresAt=ago(60 - 600))
        finding = only(facts([changed], [state]))
        assert finding.kind == "drift"
        assert finding.detail == (
            "runs at concurrency 3, not 1 and is unloaded after 600 s idle, not 1800 s"
        )
        assert commands(finding) == [UP]
        assert "unavailable for one boot" in finding.mends[0].effect

    def test_what_the_service_granted_is_no_drift(self) -> None:
        state = declared(outputs={"concurrency": 4, "granted": {"concurrency": 2}})
        assert assess(facts([live(concurrency=2)], [state])).findings == []

    def test_an_expiry_that_nobody_declared_is_no_drift(self) -> None:
        told = live(expirationPeriodSeconds=300, expiresAt=ago(60 - 300))
        assert assess(facts([told], [declared()])).findings == []


class TestHidden:
    """What a state keeps as a secret is not the default, and nobody calls it wrong."""

    @pytest.mark.parametrize(
        ("hidden", "running"),
        [
            ({"concurrency"}, [live(concurrency=4)]),
            (
                {"expirationPeriodSeconds"},
                [live(expirationPeriodSeconds=600, expiresAt=ago(60 - 600))],
            ),
            ({"granted"}, [live(concurrency=4)]),
            ({"onExpiry"}, []),
            ({"account"}, []),
            ({"endpoint", "concurrency"}, [live(concurrency=4)]),
        ],
    )
    def test_it_is_not_judged_and_said_to_be_so(
        self, hidden: set[str], running: list[Instance]
    ) -> None:
        kept = declared(unreadable=frozenset({*hidden, "expectedHoursPerDay"}))
        seen = {name: value for name, value in kept.outputs.items() if name not in hidden}
        audit = assess(facts(running, [replace(kept, outputs=seen)]))
        assert audit.findings == []
        (told,) = audit.not_judged
        assert (told.declared_by.name, set(told.properties)) == ("chat", hidden)
        shown = "Not judged, because the state hides it (a secret, or a value not known yet): `dev"
        assert shown in markdown(audit)
        assert '<p id="not-judged">' in page(audit)

    def test_the_rest_of_it_is_judged(self) -> None:
        state = declared(
            outputs={"expirationPeriodSeconds": 1800}, unreadable=frozenset({"concurrency"})
        )
        changed = live(concurrency=4, expirationPeriodSeconds=600, expiresAt=ago(60 - 600))
        assert only(facts([changed], [state])).detail == "is unloaded after 600 s idle, not 1800 s"
        assert kinds(assess(facts([], [state]))) == [("notRunning", GPT2)]

    def test_what_is_read_by_nobody_is_not_mentioned(self) -> None:
        quiet = declared(unreadable=frozenset({"expectedHoursPerDay", "adopt", "modelId"}))
        read_only = declared("b", PHI, external=True, unreadable=frozenset({"concurrency"}))
        assert assess(facts([live()], [quiet, read_only])).not_judged == []


class TestDuplicate:
    def test_two_stacks_that_declare_one_model(self) -> None:
        ours = declared("chat")
        theirs = declared("talk", stack="prod", outputs={"adoptedAt": iso(ago(60))})
        sources = [Source("stack", "dev", [ours]), Source("state", "prod.json", [theirs])]
        finding = only(facts([live()], sources=sources))
        assert finding.kind == "duplicate"
        assert [owner.stack for owner in finding.declared_by] == ["dev", "prod"]
        # The last adopter keeps it; the other one forgets it, and unloads nothing.
        assert commands(finding) == [f"pulumi state delete {urn('chat')} --yes --stack dev"]

    def test_a_protected_one_of_a_fleet_is_forgotten_with_what_depends_on_it(self) -> None:
        fleets = declared("chat-gpt2", outputs={"readiness": "fleet"}, protect=True)
        keeper = declared("talk", outputs={"adoptedAt": iso(ago(60))})
        finding = only(facts([live()], [fleets, keeper]))
        assert commands(finding) == [
            f"pulumi state delete {urn('chat-gpt2')} --target-dependents --force --yes --stack dev"
        ]

    def test_the_same_stack_given_twice_is_one(self) -> None:
        sources = [
            Source("stack", "dev", [declared()]),
            Source("state", "old.json", [declared(created=ago(9999)), declared("talk", PHI)]),
        ]
        audit = assess(facts([live()], sources=sources))
        # As given first; what only the second has, counts.
        assert kinds(audit) == [("notRunning", PHI)]

    def test_a_stack_is_named_as_the_command_line_named_it(self) -> None:
        sources = [Source("stack", "team/fleet/dev", [declared()])]
        assert commands(only(facts([], sources=sources))) == [
            "pulumi up --refresh --stack team/fleet/dev"
        ]


class TestUnfinished:
    def test_a_load_that_a_killed_deployment_began(self) -> None:
        finding = only(facts([live()], records=[record()]))
        assert finding.kind == "unfinished"
        assert finding.declared_by[0].name == "chat"
        assert finding.detail == (
            "a deployment began a load 1h00m ago (2024-05-28T10:59:59.000Z) and has not finished "
            "it; loaded since 2024-05-28T11:00:00.000Z (1h00m)"
        )
        assert commands(finding) == [UP, "bytez-fleet unload --unfinished --stack dev"]

    @pytest.mark.parametrize(
        ("running", "told"),
        [([], "it is not loaded now"), ([live(created=ago(60))], "what is loaded now is not")],
    )
    def test_a_record_of_a_load_that_is_gone_is_cleared(
        self, running: list[Instance], told: str
    ) -> None:
        audit = assess(facts(running, records=[record(created=ago(3600))]))
        (finding,) = (one for one in audit.findings if one.kind == "unfinished")
        assert told in finding.detail
        assert finding.mends[0].effect == "clears its record"
        assert commands(finding) == ["bytez-fleet unload --unfinished --stack dev"]

    @pytest.mark.parametrize(
        "given",
        [
            # A state given names the load, by the name that it had before, or of another stack.
            {"state": [declared("other")]},
            {"sources": [Source("state", "prod.json", [declared(stack="prod")], of_stack("prod"))]},
            # A state was seen to name it, once.
            {"state": [declared()], "records": [record(created=ago(3600), phase=Phase.CONFIRMED)]},
            # A living process works on it.
            {"held": {GPT2}},
        ],
    )
    def test_what_is_finished_or_worked_on_is_none(self, given: dict[str, Any]) -> None:
        records = [record(created=ago(3600))]
        assert assess(facts([live()], **{"records": records, **given})).findings == []

    def test_a_load_begun_later_than_the_state_knows_is_its_own(self) -> None:
        later = record(created=ago(600))
        audit = assess(facts([live(created=ago(600))], [declared(created=ago(9999))], [later]))
        assert kinds(audit) == [("unfinished", GPT2)]
        assert [one.name for one in audit.models[0].declared_by] == ["chat"]

    def test_a_state_that_was_put_back_is_told_as_older_than_its_load(self) -> None:
        later = record(created=ago(600), concurrency=3, phase=Phase.CONFIRMED)
        running = live(created=ago(600), concurrency=3)
        finding = only(facts([running], [declared(created=ago(9999))], [later]))
        assert (finding.kind, finding.detail) == (
            "drift",
            "this resource made the load after this state was saved",
        )
        assert commands(finding) == [UP]


class TestJournal:
    """What the journal has of loads that no state given names."""

    def test_an_orphan_names_its_owner_and_is_only_unloaded_with_yes(self) -> None:
        theirs = record(stack="prod", created=ago(3600))
        finding = only(facts([live()], records=[theirs]))
        assert finding.kind == "orphan"
        assert [(one.stack, one.name) for one in finding.declared_by] == [("prod", "chat")]
        assert "the journal names a resource of another" in finding.detail
        assert commands(finding) == [f"bytez-fleet unload {GPT2} --yes --stack dev"]

    def test_what_its_stack_let_go_of_is_an_orphan(self) -> None:
        let_go = record(created=ago(3600), phase=Phase.CONFIRMED)
        finding = only(facts([live()], records=[let_go]))
        assert finding.kind == "orphan"
        assert "no stack given declares it any more" in finding.detail
        assert commands(finding) == [
            f"bytez-fleet unload {GPT2} --yes --stack dev",
            "bytez-fleet export fleet.yaml --stack dev",
        ]

    def test_a_load_that_another_stack_took_over_is_declared_twice(self) -> None:
        taken = iso(ago(60))
        adopted = record(stack="prod", created=ago(3600), adopted_at=taken)
        ours = declared()
        theirs = declared("chat", stack="prod", outputs={"adoptedAt": taken})
        one_state = facts([live()], [ours], [adopted])
        finding = only(one_state)
        assert finding.kind == "duplicate"
        assert [one.stack for one in finding.declared_by] == ["dev", "prod"]
        assert "its state was not given" in finding.detail
        assert [one.stack for one in assess(one_state).models[0].declared_by] == ["prod"]
        assert commands(finding) == [f"pulumi state delete {urn('chat')} --yes --stack dev"]
        sources = [
            Source("stack", "dev", [ours], of_stack()),
            Source("stack", "prod", [theirs], of_stack("prod")),
        ]
        audit = assess(facts([live()], records=[adopted], sources=sources))
        (finding,) = audit.findings
        assert (finding.kind, len(finding.declared_by)) == ("duplicate", 2)
        # The load stands under the stack that has it.
        assert [one.stack for one in audit.models[0].declared_by] == ["prod"]

    def test_two_stacks_of_one_name_are_told_apart_by_where_they_are_kept(self) -> None:
        theirs = record(created=ago(3600), place="there")
        here = [Source("stack", "dev", [], of_stack(place="here"))]
        finding = only(facts([live()], records=[theirs], sources=here))
        assert finding.kind == "orphan"
        here = [Source("stack", "dev", [], of_stack(place="there"))]
        assert only(facts([live()], records=[theirs], sources=here)).kind == "unfinished"


class TestLeftOut:
    def test_another_account_or_endpoint_is_said_to_be_left_out(self) -> None:
        state = [
            declared("a", outputs={"account": "another"}),
            declared("b", outputs={"endpoint": "https://elsewhere.example"}),
            declared("c", PHI, outputs={"account": "another"}, external=True),
        ]
        audit = assess(facts([], state))
        assert audit.findings == []
        assert [(one.declared_by.name, one.differs) for one in audit.left_out] == [
            ("a", "account"),
            ("b", "endpoint"),
        ]
        assert [source.models for source in audit.sources] == [0]

    def test_they_own_nothing_here(self) -> None:
        state = [declared(outputs={"account": "another"})]
        assert kinds(assess(facts([live()], state))) == [("orphan", GPT2)]


class TestCost:
    def test_by_ram_instances_and_billed_minutes(self) -> None:
        audit = assess(facts([live(PHI, created=ago(601), concurrency=2)]))
        (model,) = audit.models
        assert (model.required_ram_gb, model.ram_gb) == (9.16, 18.32)
        assert model.dollars_per_hour == pytest.approx(18.32 * 3600 * 0.0000166667, abs=1e-6)
        # 601 s are 11 minutes.
        assert model.dollars_so_far == pytest.approx(18.32 * 660 * 0.0000166667, abs=1e-6)
        assert audit.totals.undeclared_dollars_per_hour == audit.totals.dollars_per_hour

    def test_unknown_ram_is_an_unknown_cost_listed_apart(self) -> None:
        audit = assess(facts([live(UNPRICED), live()]))
        assert audit.totals.unknown_cost == [UNPRICED]
        assert audit.totals.dollars_per_hour == 0.03
        assert audit.totals.ram_gb == 0.5
        medium = audit.models[1]
        assert (medium.ram_gb, medium.dollars_per_hour, medium.dollars_so_far) == (None, None, None)

    @pytest.mark.parametrize("concurrency", [None, 0, 10**15])
    def test_instances_that_cannot_be_have_an_unknown_cost(self, concurrency: int | None) -> None:
        audit = assess(facts([live(concurrency=concurrency)]))
        assert audit.totals.unknown_cost == [GPT2]
        # A sum of nothing that is known is not nothing.
        assert (audit.totals.ram_gb, audit.totals.dollars_per_hour) == (None, None)
        assert audit.totals.dollars_so_far is None

    def test_ram_that_cannot_be_is_unknown(self) -> None:
        entry = CatalogueEntry(model_id=GPT2, required_ram_gb=1e15)
        audit = assess(facts([live()], catalogue=Catalogue([entry], is_live=True)))
        assert audit.totals.unknown_cost == [GPT2]


class TestHostileNames:
    """A command is exact and safe, or there is none."""

    @pytest.mark.parametrize(
        "name",
        ["a/b'; rm -rf ~", "a/$(reboot)", 'a/b" && x', "a/b c", "a/*", "a/b;c"],
    )
    def test_a_shell_reads_one_word(self, name: str) -> None:
        unload = commands(only(facts([live(name)])))[0]
        assert shlex.split(unload) == ["bytez-fleet", "unload", name, "--stack", "dev"]

    @pytest.mark.parametrize("name", ["--yes", "-x", "a/b`c", "a|b", "a\nb", "a\x1b[2J", " a", ""])
    def test_what_would_be_shown_otherwise_has_no_command(self, name: str) -> None:
        assert not any(name in line for line in commands(only(facts([live(name)])))[:-1] if name)
        assert all("export" in line for line in commands(only(facts([live(name)]))))

    def test_a_stack_of_such_a_name_has_none(self) -> None:
        bad = replace(declared(), urn=urn("chat", "`x`"))
        given = facts([], sources=[Source("state", "x.json", [bad])])
        assert commands(only(given)) == []
        assert only(given).declared_by[0].stack == "`x`"

    def test_texts_are_one_line_each(self) -> None:
        bad = declared("a\r\nb", outputs={"endpoint": "https://x\x1b[2J"})
        audit = assess(facts([live("a\n\u202eb", status="odd\n")], [bad], endpoint=ENDPOINT))
        texts = [audit.models[0].model_id, audit.models[0].status, audit.findings[0].model_id]
        texts += [audit.left_out[0].declared_by.name, audit.left_out[0].declared_by.urn]
        assert all(text.isprintable() for text in texts)
