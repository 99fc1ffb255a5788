"""`doctor`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from bytez_provider.emulator import Emulator
from tests.cli.fleet import GPT2, KEY, Finished, Fleet
from tests.cli.journal import Journal, resource
from tests.client.hostile import Handler, HostileServer, says
from tests.s3 import Proxy, S3Server


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    server = HostileServer()
    yield server
    server.close()


def checks(done: Finished) -> dict[str, tuple[str, str, str | None]]:
    """Return verdict, observation and action of each check."""
    document = done.document
    assert document["ok"] is (done.code == 0)
    return {
        check["name"]: (check["verdict"], check["observed"], check["action"])
        for check in document["checks"]
    }


class TestHealthy:
    def test_all_is_told_and_the_key_is_not(self, fleet: Fleet, emulator: Emulator) -> None:
        emulator.load_by_somebody_else(GPT2)
        done = fleet.run("doctor", "--json")
        told = checks(done)
        assert done.code == 0
        assert {verdict for verdict, _, _ in told.values()} == {"ok", "warning"}
        assert told["key"][:2] == ("ok", "set in BYTEZ_KEY")
        assert told["endpoint"][:2] == ("ok", f"{emulator.url} (BYTEZ_ENDPOINT)")
        assert told["apiVersion"][:2] == ("ok", "2024-05 (the default)")
        assert told["service"][1].startswith("answers in ")
        assert told["key accepted"][0] == "ok"
        assert told["clock"][0] == "ok"
        assert told["catalogue"][:2] == ("ok", "61 models, 15 of unknown RAM and cost")
        assert told["instances"][:2] == ("ok", "1 loaded")
        assert told["journal"][:2] == ("ok", str(fleet.journal))
        assert told["unfinished"][:2] == ("ok", "nothing")
        assert told["pulumi"][0] == "warning"
        assert told["extras"][0] == "ok"
        assert KEY not in done.out + done.err
        # It looks, and leaves no trace.
        assert not fleet.journal.exists()
        assert {request.path for request in emulator.requests()} == {
            *("/model/status", "/model/list", "/model/instances")
        }

    def test_people_read_a_line_a_check_with_what_to_do_under_it(self, fleet: Fleet) -> None:
        lines = fleet.run("doctor").ok().out.splitlines()
        assert lines[1] == "ok       key           set in BYTEZ_KEY"
        at = next(n for n, line in enumerate(lines) if line.startswith("warning  pulumi"))
        assert lines[at + 1].strip() == "-> Install it from https://www.pulumi.com/docs/install"


class TestWrong:
    """Each is found, told with what to do, and exit 3."""

    def failed(self, done: Finished) -> dict[str, str]:
        assert done.code == 3, done.out + done.err
        assert done.err == ""
        found = {}
        for name, (verdict, observed, action) in checks(done).items():
            if verdict == "failed":
                assert action
                found[name] = f"{observed} -> {action}"
        return found

    def test_no_key(self, fleet: Fleet, emulator: Emulator) -> None:
        found = self.failed(fleet.run("doctor", "--json", BYTEZ_KEY=""))
        assert list(found) == ["key"]
        assert "as BYTEZ_KEY" in found["key"]
        assert emulator.requests() == []

    def test_key_that_is_refused(self, fleet: Fleet) -> None:
        found = self.failed(fleet.run("doctor", "--json", BYTEZ_KEY="another-key-012345"))
        assert list(found) == ["key accepted"]
        assert "HTTP 401" in found["key accepted"]

    def test_setting_that_cannot_be(self, fleet: Fleet) -> None:
        found = self.failed(fleet.run("doctor", "--json", BYTEZ_ENDPOINT="http://192.0.2.1"))
        assert "BYTEZ_ENDPOINT is plain http to another machine" in found["settings"]

    def test_service_that_is_away(self, fleet: Fleet, emulator: Emulator) -> None:
        emulator.stop()
        found = self.failed(fleet.run("doctor", "--json"))
        assert list(found) == ["service"]
        assert "the connection was refused" in found["service"]

    def test_service_that_speaks_the_other_version(
        self, fleet: Fleet, hostile: HostileServer
    ) -> None:
        def june_only(connection: object, request: bytes) -> None:
            knows = b"authorization: key" in request.lower()
            answer: Handler = (
                says(404, f'{{"error": "model {GPT2} is not loaded"}}')
                if knows
                else says(401, '{"error": "an API key is required"}')
            )
            answer(connection, request)  # type: ignore[arg-type]

        hostile.answers(june_only)
        found = self.failed(fleet.run("doctor", "--json", BYTEZ_ENDPOINT=hostile.url))
        assert list(found) == ["API version spoken"]
        assert "answers to '2024-06', not to '2024-05'" in found["API version spoken"]
        assert "pulumi config set bytez:apiVersion 2024-06" in found["API version spoken"]

    def test_account_out_of_credits(self, fleet: Fleet, emulator: Emulator) -> None:
        broke = {"respond": {"status": 429, "body": {"error": "you are out of credits"}}}
        emulator.set_faults([{"endpoint": "/model/status", "do": broke}])
        assert list(self.failed(fleet.run("doctor", "--json"))) == ["credits"]

    def test_request_without_an_answer(self, fleet: Fleet, emulator: Emulator) -> None:
        began = datetime(2024, 5, 27, 23, 35, 35, tzinfo=timezone.utc)
        Journal(fleet, emulator).asks(resource("chat"), GPT2, began)
        found = self.failed(fleet.run("doctor", "--json"))
        assert list(found) == ["unfinished"]
        begun = f"{GPT2} by 'chat' of stack 'dev' at 2024-05-27T23:35:35.000Z"
        assert f"begun and not finished: {begun} ->" in found["unfinished"]
        assert found["unfinished"].endswith("run `bytez-fleet unload --unfinished`")

    def test_journal_in_a_relative_folder(self, fleet: Fleet) -> None:
        found = self.failed(fleet.run("doctor", "--json", BYTEZ_JOURNAL=".journal"))
        assert list(found) == ["journal"]
        assert "BYTEZ_JOURNAL is '.journal', which is a relative folder" in found["journal"]


class TestBucket:
    """A journal that machines share."""

    @pytest.fixture
    def bucket(self, fleet: Fleet) -> Iterator[tuple[S3Server, Proxy]]:
        server = S3Server()
        proxy = Proxy(server.url)
        server.make("journal")
        fleet.env |= {
            "BYTEZ_JOURNAL": "s3://journal/team",
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
        }
        yield server, proxy
        proxy.close()
        server.stop()

    def test_one_that_can_be_written_is_left_as_it_is_and_one_that_cannot_is_found(
        self, fleet: Fleet, bucket: tuple[S3Server, Proxy]
    ) -> None:
        server, proxy = bucket
        told = checks(fleet.run("doctor", "--json"))
        assert told["journal"][:2] == ("ok", "s3://journal/team")
        assert server.objects("journal") == {}
        proxy.act = lambda method, _path: 403 if method == "PUT" else None
        done = fleet.run("doctor", "--json")
        assert done.code == 3
        verdict, observed, action = checks(done)["journal"]
        assert (verdict, "HTTP 403" in observed) == ("failed", True)
        assert action


class TestUnfinished:
    """What is no fault, as far as can be seen here."""

    def unfinished(self, done: Finished) -> str:
        verdict, observed, _ = checks(done)["unfinished"]
        assert verdict == "ok"
        return observed

    def test_one_that_a_process_works_on_says_who(self, fleet: Fleet, emulator: Emulator) -> None:
        with Journal(fleet, emulator).asking(resource("chat"), GPT2):
            told = self.unfinished(fleet.run("doctor", "--json"))
        assert told.startswith(f"at work now: {GPT2} by 'chat' of stack 'dev' at ")

    def test_one_whose_state_cannot_be_read_says_so(self, fleet: Fleet, emulator: Emulator) -> None:
        created = emulator.load_by_somebody_else(GPT2)
        Journal(fleet, emulator).accepts(resource("chat"), GPT2, created)
        told = self.unfinished(fleet.run("doctor", "--json"))
        assert told.startswith("begun, and finished if the state of its stack names it: ")


class TestWarnings:
    """Each is told with what to do, and exit 0: things work all the same."""

    def warned(self, done: Finished, name: str) -> str:
        assert done.code == 0, done.out
        verdict, observed, action = checks(done)[name]
        assert verdict == "warning"
        assert action
        return observed

    def test_clock_that_is_off(self, fleet: Fleet, emulator: Emulator) -> None:
        emulator.set_faults([{"do": {"clockSkewSeconds": 3600}}])
        observed = self.warned(fleet.run("doctor", "--json"), "clock")
        assert re.fullmatch(r"this machine's is (1h00m|59m\d\ds) behind the service's", observed)

    def test_journal_that_cannot_be_written(self, fleet: Fleet, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        place = str(tmp_path / "file" / "journal")
        done = fleet.run("doctor", "--json", BYTEZ_JOURNAL=place)
        assert self.warned(done, "journal") == f"{place} cannot be written"

    def test_lists_that_fail(self, fleet: Fleet, emulator: Emulator) -> None:
        refused = {"respond": {"status": 400, "body": {"error": "no lists today"}}}
        emulator.set_faults(
            [
                {"endpoint": "/model/list", "do": refused},
                {"endpoint": "/model/instances", "do": refused},
            ]
        )
        done = fleet.run("doctor", "--json")
        assert "no lists today" in self.warned(done, "catalogue")
        assert "no lists today" in self.warned(done, "instances")
