"""What happens to each model, and why, as codes: the provider's rules, not Pulumi's words."""

from __future__ import annotations

from typing import Any

import pytest

from bytez_provider.core.ownership import Phase
from bytez_provider.review import Live, ReviewedModel, assess, compared
from tests.review.plans import (
    CREATED,
    FLEET,
    GPT2,
    NATIVE,
    OTHER,
    PHI,
    READINESS,
    THERE,
    UNKNOWN,
    UNPRICED,
    State,
    Step,
    digest,
    gone,
    inputs,
    kept,
    loaded,
    named,
    native,
    natively,
    nothing_runs,
    only,
    recorded,
    refreshed,
    replaced,
    reviewed,
    running,
    setting,
    state,
    step,
    unloaded,
    urn,
)

OPT = "facebook/opt-1.3b"
ACCEPTS = inputs(onExpiry="accept")
IN_FLEET = inputs(readiness="fleet")
SECRET = "[secret]"
TAKEN_OVER = recorded(
    "theirs", CREATED, stack=THERE, adopted_at="2024-05-28T00:00:00.000Z", phase=Phase.CONFIRMED
)
NEW = state(inputs(), status=None)


def scaled(**more: Any) -> Step:
    return replaced("a", inputs(), inputs(concurrency=2), **more)


def updated(old: State, new: State, **more: Any) -> Step:
    return {**step("update", "a", old, {k: v for k, v in new.items() if k != "outputs"}), **more}


def with_outputs(declared: State, **outputs: Any) -> State:
    there = state(declared)
    there["outputs"] |= outputs
    return there


FAILED_LOAD = state(inputs(), status="FAILED")
ASLEEP = state(ACCEPTS, status="NOT_LOADED")
BOOTING = state(inputs(), status="DEPLOYING")
DRIFTED = state(inputs(concurrency=2))
HIDDEN = state(inputs(concurrency=SECRET))
OUTPUTS_OF_NOBODY = with_outputs(inputs(), created=None)
ELSEWHERE = with_outputs(inputs(), account="ba9876543210")
INTERRUPTED = running(created=OTHER, record=recorded("a"))
LATER = running(created=OTHER, record=recorded("a", phase=Phase.CONFIRMED))
THEIRS = running(record=TAKEN_OVER)
LOADED = loaded("a", inputs())
KEPT = kept("a", inputs())
REMOVED = unloaded("a", inputs())
STATE = state(inputs())
ACCEPTED = state(ACCEPTS)
REFRESHED = refreshed("a", STATE)
STRANGER = running(created=OTHER)
FAILED = running(status="FAILED")
OLD, OLD_REFRESHED = unloaded("old", inputs()), refreshed("old", STATE)
BOTH_REFRESHED = (REFRESHED, refreshed("b", state(inputs(PHI))))
RENAMED = "adopt: renamed takenOver"
FATES: dict[str, tuple[list[Step], str] | tuple[list[Step], str, Live]] = {
    # What Pulumi plans.
    "a new model is loaded": ([LOADED], "load"),
    "changed concurrency replaces": ([scaled()], "replace, 15 min: changed"),
    "a removed model is unloaded": ([REMOVED], "unload"),
    "other inputs are updated in place": (
        [updated(STATE, state(inputs(onExpiry="accept", expectedHoursPerDay=8.0)))],
        "update: changed changed",
    ),
    "a move into a fleet updates": ([updated(STATE, state(IN_FLEET))], "update: movedIntoFleet"),
    "a move out of a fleet updates": ([updated(state(IN_FLEET), STATE)], "update: movedOutOfFleet"),
    "a requested replacement is part of the change": (
        [replaced("a", inputs(), inputs())],
        "replace, 15 min",
    ),
    "the rest of an earlier replacement is not an unload": (
        [KEPT, step("delete", "a", state(inputs(), delete=True), None)],
        "keep",
    ),
    # What the next `up` does anyway.
    "a boot that nobody waited for": ([updated(BOOTING, BOOTING)], "wait anyway: stillBooting"),
    "a failed boot is loaded again": (
        [updated(FAILED_LOAD, FAILED_LOAD)],
        "load anyway: bootFailed failed (drift: failed)",
        FAILED,
    ),
    "an expired model is loaded again": (
        [*gone("a", inputs())],
        "load anyway: unloaded (drift: unloaded)",
    ),
    "expired and changed is part of the change": (
        [REFRESHED, loaded("a", inputs(concurrency=2))],
        "load: changed (drift: unloaded)",
    ),
    "changed outside Pulumi": (
        [refreshed("a", STATE, DRIFTED), step("replace", "a", DRIFTED, NEW)],
        "replace anyway, 15 min: changedOutside (drift: changedOutside)",
    ),
    # Nothing goes down if nothing serves.
    "asleep and updated": ([updated(ASLEEP, STATE)], "load: changed"),
    "asleep and replaced": ([step("replace", "a", ASLEEP, NEW)], "load: changed"),
    "failed and replaced": (
        [step("replace", "a", FAILED_LOAD, state(inputs(concurrency=2), status=None))],
        "load: changed bootFailed",
    ),
    "the refresh before a replacement found it asleep": (
        [refreshed("a", state(ACCEPTS)), step("replace", "a", ASLEEP, NEW)],
        "load: changed",
    ),
    # Removed from the stack, but not unloaded.
    "asleep and removed": ([unloaded("a", ACCEPTS, status="NOT_LOADED")], "forget: notLoaded"),
    "retain_on_delete leaves it running": (
        [unloaded("a", inputs(), retainOnDelete=True)],
        "forget, left running: retained",
    ),
    "deleted_with leaves it running": (
        [unloaded("a", inputs(), deletedWith=urn("b")), unloaded("b", inputs(PHI))],
        "forget, left running: deletedWith",
    ),
    "removed, but another stack took it over": (
        [REMOVED],
        "forget: heldByOther (drift: heldByOther)",
        THEIRS,
    ),
    "removed, but its state does not say which load is its own": (
        [step("delete", "a", OUTPUTS_OF_NOBODY, None)],
        "forget: ownLoadUnclear",
        STRANGER,
    ),
    "removed, and its state is older than its load": (
        [REMOVED],
        "unload (drift: loadedLater)",
        LATER,
    ),
    # A load that exists before one is asked for.
    "somebody else has loaded a new model": ([LOADED], "load (fails: alreadyLoaded)", running()),
    "adopted": ([loaded("a", inputs(adopt=True))], "adopt: adopted", running()),
    "adopted with another concurrency": (
        [loaded("a", inputs(adopt=True, concurrency=2))],
        "replace, 15 min: adopted settingsDiffer",
        running(),
    ),
    "adopted but failed": ([loaded("a", inputs(adopt=True))], "load: foundFailed", FAILED),
    "an interrupted up has started it": ([LOADED], "wait: interrupted", INTERRUPTED),
    "an interrupted up has started it with another concurrency": (
        [loaded("a", inputs(concurrency=2))],
        "replace, 15 min: interrupted settingsDiffer",
        INTERRUPTED,
    ),
    "expired, and loaded by somebody else": (
        [*gone("a", inputs())],
        "load anyway: loadedByOthers (drift: loadedByOthers) (fails: alreadyLoaded)",
        STRANGER,
    ),
    "changed to a model that somebody else has loaded": (
        [replaced("a", inputs(), inputs(PHI))],
        "replace, 15 min: changed (drift: unloaded) (fails: alreadyLoaded)",
        running(PHI, OTHER),
    ),
    "replaced, but another stack took its load over": (
        [scaled()],
        "replace, 15 min: changed (drift: heldByOther) (fails: alreadyLoadedByOther)",
        THEIRS,
    ),
    "replaced, but its old load is retained": (
        [scaled(retainOnDelete=True)],
        "replace, 15 min: changed (fails: oldLoadRetained)",
    ),
    # Protection.
    "protected and replaced": (
        [scaled(protect=True)],
        "replace, 15 min: changed (fails: protected)",
    ),
    "protected and removed": ([unloaded("a", inputs(), protect=True)], "unload (fails: protected)"),
    "protected and kept": ([kept("a", inputs(), protect=True)], "keep"),
    "no longer protected and replaced": (
        [step("replace", "a", state(inputs(), protect=True), state(DRIFTED["inputs"]))],
        "replace, 15 min: changed",
    ),
    # Values that the plan hides.
    "an update may become a replacement once a value is known": (
        [updated(STATE, state(inputs(concurrency=UNKNOWN)))],
        "replace, 15 min: changed unknownValue",
    ),
    "a secret that does not change": ([updated(HIDDEN, HIDDEN)], "update"),
    "a secret that changes without a replacement is not known yet": (
        [updated(HIDDEN, HIDDEN, diffReasons=["concurrency"])],
        "replace, 15 min: secretChanged unknownValue",
    ),
    "a secret that changes is found in each part of a replacement": (
        [
            step("delete-replaced", "a", HIDDEN, None),
            {**step("replace", "a", HIDDEN, HIDDEN), "replaceReasons": ["concurrency"]},
            step("create-replacement", "a", HIDDEN, HIDDEN),
        ],
        "replace, 15 min: secretChanged",
    ),
    "a secret that changes is part of the change": (
        [{**step("replace", "a", HIDDEN, HIDDEN), "replaceReasons": ["concurrency"]}],
        "replace, 15 min: secretChanged",
    ),
    # A resource is removed, and another one gets its model: that is one model.
    "renamed, without refresh and journal": ([LOADED, OLD], "load: renamed (fails: renamedUnseen)"),
    "renamed in a fleet, where `aliases` cannot help": (
        [loaded("a", IN_FLEET), unloaded("old", IN_FLEET)],
        "load: renamed (fails: renamedInFleet)",
    ),
    "renamed, and a refresh shows the load": ([OLD_REFRESHED, LOADED, OLD], RENAMED),
    "renamed, and a refresh and the service show the load": (
        [OLD_REFRESHED, LOADED, OLD],
        RENAMED,
        running(),
    ),
    "renamed, and the journal knows the load": (
        [LOADED, OLD],
        RENAMED,
        running(record=recorded("old", CREATED)),
    ),
    "renamed, and the journal is of another stack of that name": (
        [LOADED, OLD],
        "load: renamed (fails: renamedUnseen)",
        running(record=recorded("old", CREATED, stack=THERE)),
    ),
    "renamed with other settings": (
        [OLD_REFRESHED, loaded("a", inputs(concurrency=2)), OLD],
        "replace, 15 min: changed renamed takenOver settingsDiffer",
    ),
    "renamed with adopt": (
        [loaded("a", inputs(adopt=True)), OLD],
        "adopt: changed renamed adopted",
    ),
    "renamed with adopt and other settings": (
        [loaded("a", inputs(adopt=True, concurrency=2)), OLD],
        "replace, 15 min: changed changed renamed adopted settingsDiffer",
    ),
    "an alias, after a refresh by the old name": (
        [
            refreshed("old", state(inputs(), urn=urn("old"))),
            step("update", "a", state(inputs(), urn=urn("old")), state(ACCEPTS, status=None)),
        ],
        "update: changed",
    ),
    # A resource takes the model of another one, which gives it up in the same change.
    "a removed resource passes its load on": (
        [*BOTH_REFRESHED, replaced("a", inputs(), inputs(PHI)), unloaded("b", inputs(PHI))],
        "adopt: changed takenOver",
    ),
    "it passes its load on": (
        [
            refreshed("b", STATE),
            refreshed("a", state(inputs(PHI))),
            replaced("b", inputs(), inputs(PHI)),
            unloaded("a", inputs(PHI)),
        ],
        "forget: givenUp",
    ),
    "a replaced resource may unload it first": (
        [
            *BOTH_REFRESHED,
            replaced("a", inputs(), inputs(PHI)),
            replaced("b", inputs(PHI), inputs(OPT)),
        ],
        "replace, 15 min: changed takenOverOrReloaded",
    ),
    "passed on, without refresh and journal": (
        [replaced("a", inputs(), inputs(PHI)), unloaded("b", inputs(PHI))],
        "replace, 15 min: changed (fails: notReleased)",
    ),
    "declared twice": ([LOADED, kept("b", inputs())], "load (fails: declaredTwice)"),
    # What runs, without a refresh.
    "its own load runs": ([KEPT], "keep", running()),
    "its load is gone": ([KEPT], "keep (drift: unloaded)", nothing_runs()),
    "its load failed": ([KEPT], "keep (drift: failed)", FAILED),
    "its resource loaded it again": ([KEPT], "keep (drift: loadedLater)", LATER),
    "a service without `created`": ([KEPT], "keep", running(created=None)),
    "another account is not compared": (
        [step("same", "a", ELSEWHERE, ELSEWHERE)],
        "keep",
        nothing_runs(),
    ),
}


def fate(model: ReviewedModel) -> str:
    """Return all codes of a model in a line."""
    text = model.action + " anyway" * model.is_anyway
    text += f", {model.unavailable_minutes} min" if model.unavailable_minutes else ""
    text += ", left running" * model.is_left_running
    text += f": {' '.join(model.reason_codes)}" if model.reason_codes else ""
    text += f" (drift: {model.drift_code})" if model.drift_code else ""
    return text + (f" (fails: {model.failure_code})" if model.failure_code else "")


@pytest.mark.parametrize("is_native", [False, True])
@pytest.mark.parametrize("case", FATES)
def test_fate(case: str, *, is_native: bool) -> None:
    steps, expected, *lives = FATES[case]
    live = lives[0] if lives else None
    if is_native:
        steps, live = native(steps), natively(live)
    model = named(reviewed(*steps, live=live), "a")
    assert fate(model) == expected
    # A sentence for each code.
    assert len(model.reasons) == len(model.reason_codes)
    assert (model.drift is None) == (model.drift_code is None)
    assert (model.failure is None) == (model.failure_code is None)


@pytest.mark.parametrize(
    ("name", "expected"), [("a", "forget anyway: unloaded"), ("new", "load anyway")]
)
def test_an_expired_model_that_is_removed_or_renamed(name: str, expected: str) -> None:
    new = [loaded("new", inputs())] if name == "new" else []
    steps = (refreshed("a", state(inputs())), *new)
    review = assess(digest(*steps, changeSummary={"update": 1}), setting())
    assert fate(only(review)).startswith(expected)


def test_two_faces_share_no_knowledge_of_a_refresh() -> None:
    """Each is a process of its own: only the journal says that the other one gives up a load."""
    new = native([LOADED])
    model = named(reviewed(OLD_REFRESHED, *new, OLD, live=running()), "a")
    assert fate(model) == "load: renamed (fails: renamedUnseen)"
    live = running(record=recorded("old", CREATED))
    assert fate(named(reviewed(OLD_REFRESHED, *new, OLD, live=live), "a")) == RENAMED


def test_a_native_model_is_not_told_to_refresh() -> None:
    steps = [replaced("a", inputs(), inputs(PHI)), unloaded("b", inputs(PHI))]
    failures = [reviewed(*some).failures for some in (steps, native(steps))]
    assert ["--refresh" in one for (one,) in failures] == [True, False]


class TestProviders:
    """A provider that the program declares may have an account of its own."""

    OTHER = "urn:pulumi:dev::fleet::pulumi:providers:bytez::other::1"
    DEFAULT = "urn:pulumi:dev::fleet::pulumi:providers:bytez::default_1_0_0::2"

    def test_a_model_in_two_accounts_is_two_loads(self) -> None:
        there = loaded("b", inputs(), provider=self.OTHER)
        for here in (loaded("a", inputs(), provider=self.DEFAULT), kept("a", inputs())):
            assert reviewed(*native([here, there])).failures == []
        both = native([loaded("a", inputs(), provider=self.OTHER), there])
        assert reviewed(*both).failure_codes == ["declaredTwice", "declaredTwice"]

    def test_what_runs_here_says_nothing_about_a_load_in_another_account(self) -> None:
        for provider, expected in (
            (self.DEFAULT, "load (fails: alreadyLoaded)"),
            (self.OTHER, "load"),
        ):
            steps = native([loaded("a", inputs(), provider=provider)])
            model = only(reviewed(*steps, live=running()))
            assert fate(model) == expected
            assert (model.live is None) == (provider == self.OTHER)

    def test_a_state_says_of_which_account_it_is(self) -> None:
        steps = native([kept("a", inputs(), provider=self.OTHER)])
        assert fate(only(reviewed(*steps, live=nothing_runs()))) == "keep (drift: unloaded)"

    def test_a_load_is_not_passed_on_to_another_account(self) -> None:
        new = loaded("a", inputs(), provider=self.OTHER)
        review = reviewed(*native([OLD_REFRESHED, new, OLD]))
        assert {one.name: fate(one) for one in review.models} == {"a": "load", "old": "unload"}


def test_the_defaults_that_an_import_leaves_out_are_no_change() -> None:
    imported = state({"modelId": GPT2})
    assert fate(only(reviewed(updated(imported, ACCEPTED)))) == "update: changed"
    assert fate(only(reviewed(step("same", "a", imported, NEW)))) == "keep"


@pytest.mark.parametrize("hidden", [SECRET, UNKNOWN])
class TestHidden:
    """A secret, or a value not known yet, is neither the default nor what it was."""

    def test_hidden_adopt_does_not_take_over(self, hidden: str) -> None:
        model = only(reviewed(loaded("a", inputs(adopt=hidden)), live=running()))
        assert fate(model) == "load: adoptHidden"

    def test_adoption_with_hidden_concurrency_may_be_an_outage(self, hidden: str) -> None:
        new = loaded("a", inputs(adopt=True, concurrency=hidden))
        model = only(reviewed(new, live=running()))
        assert fate(model) == "replace, 15 min: adopted settingsHidden"

    def test_hidden_model_id_is_not_looked_up(self, hidden: str) -> None:
        model = only(reviewed(kept("a", inputs(hidden)), live=running()))
        assert (model.live, model.drift, model.action) == (None, None, "keep")


def test_a_renamed_model_is_one_load_at_any_time() -> None:
    review = reviewed(LOADED, OLD)
    assert [one.name for one in review.models] == ["a"]
    assert (review.peak_ram_gb, review.increase.ceiling) == (0.5, 0)


def test_a_sentence_names_the_resource_or_model_that_is_meant() -> None:
    model = only(reviewed(OLD_REFRESHED, LOADED, OLD))
    assert model.reasons == ["renamed from old", "takes over the load of 'old'"]
    assert reviewed(kept("a", inputs()), loaded("b", inputs())).failures == [
        f"b: the stack has {GPT2} as a, and a model can be loaded only once"
    ]


def test_only_read_models_are_left_out() -> None:
    assert reviewed(step("read", "a", None, state(inputs(), external=True))).models == []


def test_live_facts_are_beside_the_declared_ones() -> None:
    live = running(expires_at="2024-05-28T00:10:00Z")
    shown = only(reviewed(kept("a", inputs()), live=live)).live
    assert shown is not None
    assert (shown.status, shown.age_seconds, shown.idle_seconds_left) == ("RUNNING", 1464, 600)
    assert shown.is_declared_load


def test_other_resources_are_counted_but_not_our_own_or_pulumis() -> None:
    kinds = (FLEET, READINESS, *NATIVE.values(), "pulumi:pulumi:Stack", "pulumi:providers:bytez")
    ours = [step("create", "x", None, {"type": kind, "external": True}, kind) for kind in kinds]
    pet = step("create", "pet", None, {"type": "random:index:RandomPet"}, "random:index:RandomPet")
    review = reviewed(*ours, pet)
    assert (review.other_changes, review.models) == (1, [])


class TestFailures:
    def test_errors_of_the_preview_are_failures(self) -> None:
        trace = (
            "Program failed\nTraceback (most recent call last):\n" + "  File x\n" * 9 + "E: no\n"
        )
        plan = digest(
            loaded("chat", inputs()),
            diagnostics=[
                {"severity": "error", "urn": urn("chat"), "message": "error: no\nsuch model\n"},
                {"severity": "error", "message": trace},
                {"severity": "error", "message": "error: preview failed\n"},
                {"severity": "warning", "message": "warning: well\n"},
            ],
        )
        review = assess(plan, setting())
        assert review.failures == ["chat: no such model", "the program failed: E: no"]
        assert review.failure_codes == ["previewError", "programError"]

    def test_a_failure_without_a_reason_is_a_failure(self) -> None:
        plan = digest(diagnostics=[{"severity": "error", "message": "error: preview failed\n"}])
        assert assess(plan, setting()).failure_codes == ["unexplained"]


class TestBranches:
    """Two plans made from nothing, for a fork that has no access to the stack."""

    def test_added_changed_removed_and_unchanged(self) -> None:
        kind = "random:index:RandomPet"
        pet = {"type": kind, "inputs": {"length": 1}}
        longer = {**pet, "inputs": {"length": 2}}
        head = digest(
            loaded("new", inputs(OPT)),
            loaded("scaled", inputs(concurrency=2)),
            loaded("slower", inputs("me/x", onExpiry="accept")),
            loaded("same", inputs(PHI)),
            step("create", "pet", None, longer, kind),
            step("create", "pet2", None, pet, kind),
        )
        base = digest(
            loaded("old", inputs(UNPRICED)),
            loaded("scaled", inputs()),
            loaded("slower", inputs("me/x")),
            loaded("same", inputs(PHI)),
            step("create", "pet", None, pet, kind),
            step("create", "pet2", None, pet, kind),
        )
        review = assess(compared(head, base), setting())
        assert {one.name: (one.action, one.is_anyway) for one in review.models} == {
            "new": ("load", False),
            "old": ("unload", False),
            "scaled": ("replace", False),
            "slower": ("update", False),
            "same": ("keep", False),
        }
        assert named(review, "scaled").unavailable_minutes == 15
        assert (review.compares, review.other_changes) == ("branches", 1)
        assert "branchesCompared" in review.note_codes

    @pytest.mark.parametrize("hidden", [UNKNOWN, SECRET])
    def test_a_value_that_both_hide_is_not_called_unchanged(self, hidden: str) -> None:
        both = digest(loaded("a", inputs(concurrency=hidden)), loaded("b", inputs(PHI)))
        review = assess(compared(both, both), setting())
        assert [(one.code, one.models) for one in review.gaps] == [("notComparable", ["a"])]
        assert review.counts.unchanged == 1

    def test_what_a_failed_preview_did_not_reach_is_not_called_removed(self) -> None:
        error = {"severity": "error", "message": "boom"}
        head = digest(loaded("a", inputs()), diagnostics=[error])
        base = digest(loaded("a", inputs()), loaded("b", inputs(PHI)))
        review = assess(compared(head, base), setting())
        assert [(one.code, one.models) for one in review.gaps] == [("failed", ["b"])]
        assert [one.name for one in review.models] == ["a"]
