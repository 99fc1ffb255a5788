"""What an audit finds, and which commands it gives. The golden files hold the sentences."""

from __future__ import annotations

import random
import shlex
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from inline_snapshot import snapshot

from bytez_provider.audit import Source, assess
from bytez_provider.base.urns import NATIVE_MODEL_TYPE
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
UNLOAD = f"bytez-fleet unload {GPT2} --stack dev"
UNLOAD_OWNED = f"bytez-fleet unload {GPT2} --yes --stack dev"
EXPORT = "bytez-fleet export fleet.yaml --stack dev"
ADOPT = f"BYTEZ_ADOPT={GPT2} {UP}"


def test_a_load_as_declared_is_no_finding() -> None:
    audit = assess(facts([live()], [declared()]))
    assert audit.findings == []
    (model,) = audit.models
    assert (model.model_id, model.status) == (GPT2, "RUNNING")
    assert [owner.name for owner in model.declared_by] == ["chat"]
    assert (model.age_seconds, model.idle_seconds_left) == (3600, 1740)
    assert model.idle_since == iso(ago(60))


def test_an_empty_account_is_no_finding() -> None:
    audit = assess(facts())
    assert (audit.findings, audit.models, audit.totals.models) == ([], [], 0)


def test_the_order_of_the_facts_does_not_matter() -> None:
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
        finding = only(facts([live(), live(PHI)], [declared(model_id=PHI)]))
        assert (finding.kind, finding.model_id, finding.declared_by) == ("orphan", GPT2, [])
        assert commands(finding) == [UNLOAD, EXPORT]

    def test_a_load_that_somebody_made_again_is_not_the_stacks(self) -> None:
        audit = assess(facts([live(created=ago(600))], [declared(created=ago(3600))]))
        assert kinds(audit) == [("orphan", GPT2), ("notRunning", GPT2)]
        orphan, gone = audit.findings
        assert orphan.declared_by == []
        assert commands(orphan) == [UNLOAD_OWNED, ADOPT]
        assert commands(gone) == [ADOPT]
        assert audit.models[0].declared_by == []

    def test_a_model_that_a_program_only_reads_is_not_declared(self) -> None:
        assert only(facts([live()], [declared(external=True)])).kind == "orphan"

    def test_a_load_that_was_replaced_and_not_unloaded_names_its_stack(self) -> None:
        finding = only(facts([live()], [declared(pending_deletion=True)]))
        assert (finding.kind, finding.declared_by[0].name) == ("orphan", "chat")
        assert commands(finding) == [UP]

    def test_without_created_the_name_of_the_model_counts(self) -> None:
        unidentified = Instance(model_id=GPT2, status="RUNNING", concurrency=1)
        audit = assess(facts([unidentified], [declared()]))
        assert audit.findings == []
        assert audit.totals.unknown_cost == [GPT2]

    def test_a_state_that_does_not_know_its_load_yet_owns_it(self) -> None:
        begun = declared(outputs={"created": None, "status": "DEPLOYING"})
        assert assess(facts([live()], [begun])).findings == []

    def test_a_key_from_the_environment_needs_no_flag(self) -> None:
        given = facts([live()], flags=[("--state", "it's.json"), ("--all",)], keyed_by=None)
        assert commands(only(given)) == [
            f"bytez-fleet unload {GPT2}",
            "bytez-fleet export fleet.yaml --state 'it'\"'\"'s.json' --all",
        ]


class TestNotRunning:
    def test_a_declared_model_that_is_not_loaded(self) -> None:
        audit = assess(facts([], [declared()]))
        (finding,) = audit.findings
        assert (finding.kind, commands(finding)) == ("notRunning", [UP])
        (model,) = audit.models
        assert (model.status, model.dollars_per_hour) == ("NOT_LOADED", None)
        assert model.declared_by[0].urn == urn("chat")

    def test_a_native_model_needs_no_refresh(self) -> None:
        native = declared(urn=urn("chat", kind=NATIVE_MODEL_TYPE))
        assert commands(only(facts([], [native]))) == ["pulumi up --stack dev"]

    def test_on_expiry_accept_allows_a_model_to_be_unloaded(self) -> None:
        audit = assess(facts([], [declared(outputs={"onExpiry": "accept"})]))
        assert audit.findings == []
        assert [model.status for model in audit.models] == ["NOT_LOADED"]

    def test_a_state_that_knows_its_load_is_gone_does_not_own_what_runs_now(self) -> None:
        away = declared(outputs={"onExpiry": "accept", "status": "NOT_LOADED"})
        assert kinds(assess(facts([live()], [away]))) == [("orphan", GPT2)]

    def test_a_failed_boot_quotes_the_service_and_costs_until_it_failed(self) -> None:
        failed = live(status="FAILED", error="CUDA out of \x1b[31mmemory", modified=ago(3000))
        audit = assess(facts([failed], [declared()]))
        (finding,) = audit.findings
        assert (finding.kind, finding.quoted) == ("notRunning", "CUDA out of memory")
        (model,) = audit.models
        assert (model.ram_gb, model.dollars_per_hour) == (None, None)
        # Ten minutes after it was created.
        assert model.dollars_so_far == pytest.approx(0.5 * 600 * 0.0000166667, abs=1e-6)
        assert audit.totals.dollars_per_hour == 0
        assert audit.totals.unknown_cost == []

    @pytest.mark.parametrize(
        ("status", "quoted"), [("DEPLOYING", None), ("Warming\nup", "WARMING UP")]
    )
    def test_a_boot_in_progress_quotes_only_a_status_that_is_unknown(
        self, status: str, quoted: str | None
    ) -> None:
        booting = live(created=ago(300), status=status, expiresAt=None, inferences=0)
        finding = only(facts([booting], [declared(created=ago(300))]))
        assert (finding.kind, finding.quoted) == ("notRunning", quoted)
        assert (finding.detail, finding.mends[0].effect) == snapshot(
            ("still booting after 5m", "waits until it is RUNNING")
        )


class TestIdle:
    @pytest.mark.parametrize(
        ("seen", "is_idle"),
        [
            # Never run, ten minutes after it became RUNNING.
            ({"inferences": 0, "expiresAt": ago(599 - 1800)}, False),
            ({"inferences": 0, "expiresAt": ago(600 - 1800)}, True),
            # Run, and five minutes or less are left.
            ({"expiresAt": ago(1499 - 1800)}, False),
            ({"expiresAt": ago(1500 - 1800)}, True),
            # A quarter of a short idle period is left.
            ({"expirationPeriodSeconds": 60, "expiresAt": ago(44 - 60)}, False),
            ({"expirationPeriodSeconds": 60, "expiresAt": ago(45 - 60)}, True),
            # A long idle period, and no run for an hour.
            ({"expirationPeriodSeconds": 86400, "expiresAt": ago(3599 - 86400)}, False),
            ({"expirationPeriodSeconds": 86400, "expiresAt": ago(3600 - 86400)}, True),
            # The service does not say when it expires, but when it last changed.
            ({"expiresAt": None, "modified": ago(3600)}, True),
            ({"expiresAt": None, "modified": None}, False),
        ],
    )
    def test_bounds(self, seen: dict[str, Any], is_idle: bool) -> None:
        found = kinds(assess(facts([live(**seen)], [declared()])))
        assert found == ([("idle", GPT2)] if is_idle else [])

    def test_commands(self) -> None:
        finding = only(facts([live(expiresAt=NOW + timedelta(seconds=200))], [declared()]))
        assert commands(finding) == [f"bytez-fleet run {GPT2} Hello --stack dev", UNLOAD_OWNED]


class TestDrift:
    def test_concurrency_and_expiry(self) -> None:
        state = declared(outputs={"expirationPeriodSeconds": 1800})
        changed = live(concurrency=3, expirationPeriodSeconds=600, expiresAt=ago(60 - 600))
        finding = only(facts([changed], [state]))
        assert (finding.kind, commands(finding)) == ("drift", [UP])
        assert finding.detail == snapshot(
            "runs at concurrency 3, not 1 and is unloaded after 600 s idle, not 1800 s"
        )

    @pytest.mark.parametrize(
        ("outputs", "seen"),
        [
            ({"concurrency": 4, "granted": {"concurrency": 2}}, {"concurrency": 2}),
            # Nobody declared an expiry.
            ({}, {"expirationPeriodSeconds": 300, "expiresAt": ago(60 - 300)}),
        ],
    )
    def test_settings_that_the_service_chose_are_no_drift(
        self, outputs: dict[str, Any], seen: dict[str, Any]
    ) -> None:
        assert assess(facts([live(**seen)], [declared(outputs=outputs)])).findings == []


class TestHidden:
    """A value that the state hides is unknown: it is not the default, and no finding."""

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
    def test_it_is_listed_as_not_judged(self, hidden: set[str], running: list[Instance]) -> None:
        kept = declared(unreadable=frozenset({*hidden, "expectedHoursPerDay"}))
        seen = {name: value for name, value in kept.outputs.items() if name not in hidden}
        audit = assess(facts(running, [replace(kept, outputs=seen)]))
        assert audit.findings == []
        (listed,) = audit.not_judged
        assert (listed.declared_by.name, set(listed.properties)) == ("chat", hidden)

    def test_the_other_properties_are_judged(self) -> None:
        state = declared(
            outputs={"expirationPeriodSeconds": 1800}, unreadable=frozenset({"concurrency"})
        )
        changed = live(concurrency=4, expirationPeriodSeconds=600, expiresAt=ago(60 - 600))
        detail = only(facts([changed], [state])).detail
        assert "concurrency" not in detail
        assert "600" in detail
        assert kinds(assess(facts([], [state]))) == [("notRunning", GPT2)]

    def test_properties_that_no_check_needs_are_not_listed(self) -> None:
        quiet = declared(unreadable=frozenset({"expectedHoursPerDay", "adopt", "modelId"}))
        read_only = declared("b", PHI, external=True, unreadable=frozenset({"concurrency"}))
        assert assess(facts([live()], [quiet, read_only])).not_judged == []


class TestDuplicate:
    def test_the_last_adopter_keeps_it_and_the_other_forgets_it(self) -> None:
        ours = declared("chat")
        theirs = declared("talk", stack="prod", outputs={"adoptedAt": iso(ago(60))})
        sources = [Source("stack", "dev", [ours]), Source("state", "prod.json", [theirs])]
        finding = only(facts([live()], sources=sources))
        assert finding.kind == "duplicate"
        assert [owner.stack for owner in finding.declared_by] == ["dev", "prod"]
        assert commands(finding) == [f"pulumi state delete {urn('chat')} --yes --stack dev"]

    def test_a_protected_model_of_a_fleet_is_forgotten_with_its_dependents(self) -> None:
        fleets = declared("chat-gpt2", outputs={"readiness": "fleet"}, protect=True)
        keeper = declared("talk", outputs={"adoptedAt": iso(ago(60))})
        finding = only(facts([live()], [fleets, keeper]))
        assert commands(finding) == [
            f"pulumi state delete {urn('chat-gpt2')} --target-dependents --force --yes --stack dev"
        ]

    def test_a_stack_that_is_given_twice_counts_once(self) -> None:
        sources = [
            Source("stack", "dev", [declared()]),
            Source("state", "old.json", [declared(created=ago(9999)), declared("talk", PHI)]),
        ]
        # The first state wins; resources that only the second one has count too.
        assert kinds(assess(facts([live()], sources=sources))) == [("notRunning", PHI)]

    def test_commands_name_a_stack_as_the_command_line_did(self) -> None:
        sources = [Source("stack", "team/fleet/dev", [declared()])]
        assert commands(only(facts([], sources=sources))) == [
            "pulumi up --refresh --stack team/fleet/dev"
        ]


class TestUnfinished:
    def test_a_load_that_a_killed_deployment_began(self) -> None:
        finding = only(facts([live()], records=[record()]))
        assert (finding.kind, finding.declared_by[0].name) == ("unfinished", "chat")
        assert commands(finding) == [UP, "bytez-fleet unload --unfinished --stack dev"]

    @pytest.mark.parametrize("running", [[], [live(created=ago(60))]])
    def test_the_record_of_a_load_that_is_gone_is_cleared(self, running: list[Instance]) -> None:
        audit = assess(facts(running, records=[record(created=ago(3600))]))
        (finding,) = (one for one in audit.findings if one.kind == "unfinished")
        assert commands(finding) == ["bytez-fleet unload --unfinished --stack dev"]

    @pytest.mark.parametrize(
        "given",
        [
            # A given state names the load, under an earlier name or in another stack.
            {"state": [declared("other")]},
            {"sources": [Source("state", "prod.json", [declared(stack="prod")], of_stack("prod"))]},
            # A state named it once.
            {"state": [declared()], "records": [record(created=ago(3600), phase=Phase.CONFIRMED)]},
            # A running process works on it.
            {"held": {GPT2}},
        ],
    )
    def test_a_finished_load_or_one_in_progress_is_no_finding(self, given: dict[str, Any]) -> None:
        records = [record(created=ago(3600))]
        assert assess(facts([live()], **{"records": records, **given})).findings == []

    @pytest.mark.parametrize("created", [None, iso(ago(60))])
    def test_a_load_of_another_account_does_not_finish_it(self, created: str | None) -> None:
        """An explicit provider of the same stack may have that account."""
        theirs = declared("theirs", outputs={"account": "other", "created": created})
        audit = assess(facts([live()], [theirs], [record(created=ago(3600))]))
        assert kinds(audit) == [("unfinished", GPT2)]

    def test_a_resource_owns_a_load_that_it_began_after_its_state_was_saved(self) -> None:
        later = record(created=ago(600))
        audit = assess(facts([live(created=ago(600))], [declared(created=ago(9999))], [later]))
        assert kinds(audit) == [("unfinished", GPT2)]
        assert [one.name for one in audit.models[0].declared_by] == ["chat"]

    def test_a_restored_state_is_drift(self) -> None:
        later = record(created=ago(600), concurrency=3, phase=Phase.CONFIRMED)
        running = live(created=ago(600), concurrency=3)
        finding = only(facts([running], [declared(created=ago(9999))], [later]))
        assert finding.kind == "drift"
        assert finding.detail == snapshot("this resource made the load after this state was saved")
        assert commands(finding) == [UP]


class TestJournal:
    """Loads that the journal has and no given state names."""

    def test_an_orphan_of_another_stack_names_its_owner_and_needs_yes(self) -> None:
        finding = only(facts([live()], records=[record(stack="prod", created=ago(3600))]))
        assert finding.kind == "orphan"
        assert [(one.stack, one.name) for one in finding.declared_by] == [("prod", "chat")]
        assert commands(finding) == [UNLOAD_OWNED]

    def test_a_load_that_its_stack_let_go_of_is_an_orphan(self) -> None:
        let_go = record(created=ago(3600), phase=Phase.CONFIRMED)
        finding = only(facts([live()], records=[let_go]))
        assert (finding.kind, commands(finding)) == ("orphan", [UNLOAD_OWNED, EXPORT])

    def test_a_load_that_another_stack_took_over_is_a_duplicate(self) -> None:
        taken = iso(ago(60))
        adopted = record(stack="prod", created=ago(3600), adopted_at=taken)
        ours = declared()
        theirs = declared("chat", stack="prod", outputs={"adoptedAt": taken})
        both = [
            Source("stack", "dev", [ours], of_stack()),
            Source("stack", "prod", [theirs], of_stack("prod")),
        ]
        for given in (
            facts([live()], [ours], [adopted]),
            facts([live()], records=[adopted], sources=both),
        ):
            audit = assess(given)
            (finding,) = audit.findings
            assert finding.kind == "duplicate"
            assert [one.stack for one in finding.declared_by] == ["dev", "prod"]
            assert commands(finding) == [f"pulumi state delete {urn('chat')} --yes --stack dev"]
            assert [one.stack for one in audit.models[0].declared_by] == ["prod"]

    @pytest.mark.parametrize(("place", "kind"), [("here", "orphan"), ("there", "unfinished")])
    def test_two_stacks_of_one_name_differ_by_where_they_are_kept(
        self, place: str, kind: str
    ) -> None:
        theirs = record(created=ago(3600), place="there")
        sources = [Source("stack", "dev", [], of_stack(place=place))]
        assert only(facts([live()], records=[theirs], sources=sources)).kind == kind


def test_resources_of_another_account_or_endpoint_are_left_out_and_listed() -> None:
    state = [
        declared("a", outputs={"account": "another"}),
        declared("b", outputs={"endpoint": "https://elsewhere.example"}),
        declared("c", PHI, outputs={"account": "another"}, external=True),
    ]
    audit = assess(facts([live()], state))
    # They own nothing here.
    assert kinds(audit) == [("orphan", GPT2)]
    assert [(one.declared_by.name, one.differs) for one in audit.left_out] == [
        ("a", "account"),
        ("b", "endpoint"),
    ]
    assert [source.models for source in audit.sources] == [0]


class TestCost:
    def test_ram_times_instances_times_billed_minutes(self) -> None:
        audit = assess(facts([live(PHI, created=ago(601), concurrency=2)]))
        (model,) = audit.models
        assert (model.required_ram_gb, model.ram_gb) == (9.16, 18.32)
        assert model.dollars_per_hour == pytest.approx(18.32 * 3600 * 0.0000166667, abs=1e-6)
        # 601 s are billed as 11 minutes.
        assert model.dollars_so_far == pytest.approx(18.32 * 660 * 0.0000166667, abs=1e-6)
        assert audit.totals.undeclared_dollars_per_hour == audit.totals.dollars_per_hour

    def test_unknown_ram_is_an_unknown_cost_and_in_no_sum(self) -> None:
        audit = assess(facts([live(UNPRICED), live()]))
        assert audit.totals.unknown_cost == [UNPRICED]
        assert (audit.totals.dollars_per_hour, audit.totals.ram_gb) == (0.03, 0.5)
        medium = audit.models[1]
        assert (medium.ram_gb, medium.dollars_per_hour, medium.dollars_so_far) == (None, None, None)

    @pytest.mark.parametrize("concurrency", [None, 0, 10**15])
    def test_impossible_instances_have_an_unknown_cost(self, concurrency: int | None) -> None:
        totals = assess(facts([live(concurrency=concurrency)])).totals
        assert totals.unknown_cost == [GPT2]
        # A sum of unknown amounts is unknown, not 0.
        assert (totals.ram_gb, totals.dollars_per_hour, totals.dollars_so_far) == (None, None, None)

    def test_impossible_ram_is_unknown(self) -> None:
        entry = CatalogueEntry(model_id=GPT2, required_ram_gb=1e15)
        audit = assess(facts([live()], catalogue=Catalogue([entry], is_live=True)))
        assert audit.totals.unknown_cost == [GPT2]


class TestHostileNames:
    """A command is exact and safe, or there is none."""

    @pytest.mark.parametrize(
        "name", ["a/b'; rm -rf ~", "a/$(reboot)", 'a/b" && x', "a/b c", "a/*", "a/b;c"]
    )
    def test_a_shell_reads_one_word(self, name: str) -> None:
        unload = commands(only(facts([live(name)])))[0]
        assert shlex.split(unload) == ["bytez-fleet", "unload", name, "--stack", "dev"]

    @pytest.mark.parametrize("name", ["--yes", "-x", "a/b`c", "a|b", "a\nb", "a\x1b[2J", " a", ""])
    def test_a_name_that_cannot_be_shown_exactly_is_in_no_command(self, name: str) -> None:
        assert commands(only(facts([live(name)]))) == [EXPORT]

    def test_a_stack_with_such_a_name_has_no_command(self) -> None:
        bad = replace(declared(), urn=urn("chat", "`x`"))
        given = facts([], sources=[Source("state", "x.json", [bad])])
        assert commands(only(given)) == []
        assert only(given).declared_by[0].stack == "`x`"

    def test_every_text_is_one_printable_line(self) -> None:
        bad = declared("a\r\nb", outputs={"endpoint": "https://x\x1b[2J"})
        audit = assess(facts([live("a\n\u202eb", status="odd\n")], [bad], endpoint=ENDPOINT))
        texts = [audit.models[0].model_id, audit.models[0].status, audit.findings[0].model_id]
        texts += [audit.left_out[0].declared_by.name, audit.left_out[0].declared_by.urn]
        assert all(text.isprintable() for text in texts)
