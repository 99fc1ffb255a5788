"""`host` inside the real dynamic host: these fail if an SDK release moves what it needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.dynamic_host import DynamicHost, Logged, OperationError, urn
from tests.host.probe import SENTENCE, ProbeProvider
from tests.host.rendezvous import Rendezvous

MORE_THAN_THE_HOSTS_FOUR = 32


@pytest.fixture
def host() -> Iterator[DynamicHost]:
    with DynamicHost(ProbeProvider()) as started:
        yield started


@pytest.fixture
def rendezvous() -> Iterator[Rendezvous]:
    with Rendezvous() as opened:
        yield opened


def doctored(what: str) -> DynamicHost:
    return DynamicHost(ProbeProvider(), env={"PROBE_DOCTOR": what})


def debug(line: Logged) -> bool:
    return line.severity == "DEBUG"


def hold(host: DynamicHost, rendezvous: Rendezvous) -> None:
    """Check that many creates are in flight at the same time."""
    props = {"do": "hold", "at": rendezvous.address}
    pending = [host.create_async(props) for _ in range(MORE_THAN_THE_HOSTS_FOUR)]
    for guest in rendezvous.await_guests(MORE_THAN_THE_HOSTS_FOUR):
        guest.say("go on")
    assert [each.result().id for each in pending] == ["probe"] * MORE_THAN_THE_HOSTS_FOUR


class TestCall:
    def test_every_operation_knows_its_resource(self, host: DynamicHost) -> None:
        assert host.check({}, {}, name="a").inputs["urn"] == urn("a")
        assert host.diff("probe", {}, {}, name="b").replaces == ["b"]
        assert host.create({}, name="c").outputs["urn"] == urn("c")
        assert host.read("probe", {"x": 1}, name="d").outputs["name"] == "d"
        assert host.update("probe", {}, {}, name="e")["name"] == "e"
        host.delete("probe", {"do": "speak"}, name="f")
        assert {line.urn for line in host.logged} == {urn("f")}

    def test_custom_timeouts_are_seconds(self, host: DynamicHost) -> None:
        assert host.create({}, timeout=1020).outputs["timeoutSeconds"] == 1020.0
        assert host.update("probe", {}, {}, timeout=7)["timeoutSeconds"] == 7.0
        assert host.create({}).outputs["timeoutSeconds"] == ""
        assert host.check({}, {}).inputs["timeoutSeconds"] == ""

    def test_nothing_stops_a_call_that_nobody_stops(self, host: DynamicHost) -> None:
        outputs = host.create({}).outputs
        assert (outputs["stop"], outputs["awake"]) == ("", False)

    def test_without_the_frame_the_call_knows_nothing(self) -> None:
        with doctored("frame not found") as host:
            outputs = host.create({"do": "speak"}, timeout=9).outputs
            assert (outputs["urn"], outputs["name"], outputs["timeoutSeconds"]) == ("", "", "")
            assert host.logged == []


class TestMessages:
    def test_they_have_severity_and_urn_and_are_one_line(self, host: DynamicHost) -> None:
        host.create({"do": "speak"}, name="gpt2")
        assert host.logged == [
            Logged("INFO", "live", urn("gpt2"), ephemeral=True),
            Logged("INFO", "noted", urn("gpt2"), ephemeral=False),
            Logged("WARNING", "first second", urn("gpt2"), ephemeral=False),
            Logged("DEBUG", "debugged", urn("gpt2"), ephemeral=False),
        ]

    def test_an_engine_that_is_gone_does_not_fail_the_operation(self, host: DynamicHost) -> None:
        host.create({"do": "speak"})
        assert host.stderr == ""
        host.hang_up()
        assert host.create({"do": "speak"}, name="gpt2").outputs["name"] == "gpt2"

    def test_an_engine_that_does_not_answer_does_not_delay_the_operation(self) -> None:
        with doctored("little patience") as host:
            host.stall()
            assert host.create({"do": "speak"}, name="gpt2").outputs["name"] == "gpt2"

    def test_without_the_engines_address_nothing_is_shown(self) -> None:
        with doctored("address not found") as host:
            assert host.create({"do": "speak"}, name="gpt2").outputs["name"] == "gpt2"
            assert host.logged == []


class TestPool:
    def test_many_calls_run_at_the_same_time(
        self, host: DynamicHost, rendezvous: Rendezvous
    ) -> None:
        host.check({}, {})  # As the engine does, which configures the provider.
        hold(host, rendezvous)

    def test_so_do_calls_queued_before_the_provider_is_configured(
        self, host: DynamicHost, rendezvous: Rendezvous
    ) -> None:
        """A destroy begins with its deletes; no check comes before them."""
        props = {"do": "hold", "at": rendezvous.address}
        pending = [host.delete_async("probe", props) for _ in range(MORE_THAN_THE_HOSTS_FOUR)]
        for guest in rendezvous.await_guests(MORE_THAN_THE_HOSTS_FOUR):
            guest.say("go on")
        for each in pending:
            each.result()

    def test_earlier_calls_do_not_count_as_idle_threads(
        self, host: DynamicHost, rendezvous: Rendezvous
    ) -> None:
        """A full pool counts a thread as idle that took a queued call."""
        host.cancel_at_once(4 * MORE_THAN_THE_HOSTS_FOUR)
        host.check({}, {})
        hold(host, rendezvous)

    def test_if_it_is_not_found_the_debug_log_says_so_and_all_else_works(
        self, rendezvous: Rendezvous
    ) -> None:
        with doctored("pool not found") as host:
            assert host.check({}, {}, name="a").inputs["name"] == "a"
            assert "thread pool" in host.wait_for_log(debug).message
            waiting = host.create_async({"do": "wait", "at": rendezvous.address})
            rendezvous.await_guests(1)
            host.cancel()
            assert waiting.result().outputs["stop"] == "CANCELLED"


class TestCancel:
    def test_it_wakes_all_that_wait_and_their_answers_arrive(
        self, host: DynamicHost, rendezvous: Rendezvous
    ) -> None:
        props = {"do": "wait", "at": rendezvous.address}
        pending = [host.create_async(props, name=f"r{n}") for n in range(11)]
        rendezvous.await_guests(11)
        host.cancel()
        outputs = [each.result().outputs for each in pending]
        assert {each["stop"] for each in outputs} == {"CANCELLED"}
        assert [each["name"] for each in outputs] == [f"r{n}" for n in range(11)]

    def test_it_gets_through_if_the_pool_is_full(self, rendezvous: Rendezvous) -> None:
        with doctored("pool stays small") as host:
            props = {"do": "wait", "at": rendezvous.address}
            pending = [host.create_async(props) for _ in range(4)]
            rendezvous.await_guests(4)
            host.cancel()
            assert {each.result().outputs["stop"] for each in pending} == {"CANCELLED"}

    def test_it_applies_to_later_calls(self, host: DynamicHost) -> None:
        host.check({}, {})
        host.cancel()
        outputs = host.create({}).outputs
        assert (outputs["stop"], outputs["awake"]) == ("CANCELLED", True)

    def test_it_has_no_effect_before_the_provider_is_configured(self, host: DynamicHost) -> None:
        host.cancel()
        assert host.create({}).outputs["stop"] == ""

    def test_if_the_table_is_not_found_the_debug_log_says_so_and_the_call_goes_on(
        self, rendezvous: Rendezvous
    ) -> None:
        with doctored("table not found") as host:
            going = host.create_async({"do": "hold", "at": rendezvous.address})
            (guest,) = rendezvous.await_guests(1)
            assert "table of handlers" in host.wait_for_log(debug).message
            host.cancel()
            guest.say("go on")
            assert going.result().outputs["stop"] == ""


class TestEngineGone:
    def test_it_wakes_the_call_that_the_engine_dropped(
        self, host: DynamicHost, rendezvous: Rendezvous
    ) -> None:
        props = {"do": "wait", "at": rendezvous.address}
        dropped, kept = host.create_async(props), host.create_async({})
        (guest,) = rendezvous.await_guests(1)
        dropped.drop()
        assert guest.hear() == "ENGINE_GONE"
        assert kept.result().outputs["stop"] == ""

    def test_a_call_that_asks_later_knows_it(
        self, host: DynamicHost, rendezvous: Rendezvous
    ) -> None:
        dropped = host.create_async({"do": "come late", "at": rendezvous.address})
        (guest,) = rendezvous.await_guests(1)
        dropped.drop()
        assert guest.hear() == "ENGINE_GONE True"

    def test_a_cut_connection_wakes_all(self, host: DynamicHost, rendezvous: Rendezvous) -> None:
        props = {"do": "wait", "at": rendezvous.address}
        pending = [host.create_async(props) for _ in range(6)]
        guests = rendezvous.await_guests(6)
        host.drop()
        assert [guest.hear() for guest in guests] == ["ENGINE_GONE"] * 6
        with pytest.raises(OperationError):
            pending[0].result()

    def test_it_outranks_cancel(self, host: DynamicHost, rendezvous: Rendezvous) -> None:
        """After a second Ctrl-C an answer would reach nobody."""
        waiting = host.create_async({"do": "wait", "times": 2, "at": rendezvous.address})
        (guest,) = rendezvous.await_guests(1)
        host.cancel()
        assert guest.hear() == "CANCELLED"
        waiting.drop()
        assert guest.hear() == "ENGINE_GONE"


class TestErrors:
    @pytest.mark.parametrize(
        ("act", "text"),
        [
            ("fail", SENTENCE),
            ("fail with what cannot be sent", SENTENCE.replace("probe", "probe?")),
        ],
    )
    def test_ours_is_one_sentence_without_its_cause(
        self, host: DynamicHost, act: str, text: str
    ) -> None:
        with pytest.raises(OperationError) as caught:
            host.create({"do": act})
        assert str(caught.value) == text

    def test_a_bug_keeps_its_traceback(self, host: DynamicHost) -> None:
        with pytest.raises(OperationError) as caught:
            host.create({"do": "crash"})
        text = str(caught.value)
        assert text.startswith("Traceback (most recent call last):")
        assert text.endswith("ZeroDivisionError: a bug of ours\n")
        assert "in _crash" in text
