"""`doctor`."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fleet import GPT2, KEY, Finished, Fleet
from tests.cli.journal import Journal, resource
from tests.client.hostile import Handler, HostileServer, says
from tests.s3 import Proxy, S3Server


def checks(done: Finished) -> dict[str, dict[str, Any]]:
    """Return the checks by their names."""
    document = done.document
    assert document["ok"] is (done.code == 0)
    assert done.code in (0, 3)
    for check in document["checks"]:
        assert (check["action"] is None) is (check["verdict"] == "ok")
    return {check["name"]: check for check in document["checks"]}


def not_ok(done: Finished, verdict: str) -> dict[str, dict[str, Any]]:
    found = checks(done).items()
    return {name: one for name, one in found if one["verdict"] == verdict and name != "pulumi"}


class TestHealthy:
    def test_every_check_is_ok_and_the_key_is_not_shown(self, fleet: Fleet) -> None:
        fleet.emulator.load_by_somebody_else(GPT2)
        done = fleet.run("doctor", "--json")
        found = {name: one["observed"] for name, one in checks(done).items()}
        assert (not_ok(done, "failed"), not_ok(done, "warning")) == ({}, {})
        assert found["key"] == "set in BYTEZ_KEY"
        assert found["endpoint"] == f"{fleet.emulator.url} (BYTEZ_ENDPOINT)"
        assert found["API version"] == "2024-05 (the default)"
        assert found["catalogue"].startswith("61 models, 15 ")
        assert found["instances"] == "1 loaded"
        assert found["journal"] == str(fleet.journal)
        assert found["unfinished"] == "nothing"
        assert KEY not in done.out + done.err
        # It only looks.
        assert not fleet.journal.exists()
        assert {request.path for request in fleet.emulator.requests()} == {
            *("/model/status", "/model/list", "/model/instances"),
            f"/models/v2/{GPT2}",
        }
        assert found["API versions"] == "answers to 2024-05, 2024-06, 2025-04"

    def test_people_read_one_line_for_each_check_with_the_action_below(self, fleet: Fleet) -> None:
        lines = fleet.run("doctor").ok().out.splitlines()
        assert lines[1] == "ok       key           set in BYTEZ_KEY"
        at = next(n for n, line in enumerate(lines) if line.startswith("warning  pulumi"))
        assert lines[at + 1].strip() == "-> Install it from https://www.pulumi.com/docs/install"


class TestFailed:
    """Each ends with exit code 3."""

    @pytest.mark.parametrize(
        ("env", "name", "code"),
        [
            ({"BYTEZ_KEY": ""}, "key", "missing-key"),
            ({"BYTEZ_KEY": "another-key-012345"}, "key accepted", "authentication"),
            ({"BYTEZ_ENDPOINT": "http://192.0.2.1"}, "settings", "config"),
            ({"BYTEZ_JOURNAL": ".journal"}, "journal", "config"),
        ],
    )
    def test_a_setting(self, fleet: Fleet, env: dict[str, str], name: str, code: str) -> None:
        found = not_ok(fleet.run("doctor", "--json", **env), "failed")
        assert {name: one["code"] for name, one in found.items()} == {name: code}

    def test_a_service_that_is_away(self, fleet: Fleet) -> None:
        fleet.emulator.stop()
        found = not_ok(fleet.run("doctor", "--json"), "failed")
        assert {name: one["code"] for name, one in found.items()} == {"service": "unreachable"}

    def test_a_service_of_the_other_api_version(self, fleet: Fleet, hostile: HostileServer) -> None:
        def only_2024_06(connection: object, request: bytes) -> None:
            has_header = b"authorization: key" in request.lower()
            answer: Handler = (
                says(404, f'{{"error": "model {GPT2} is not loaded"}}')
                if has_header
                else says(401, '{"error": "an API key is required"}')
            )
            answer(connection, request)  # type: ignore[arg-type]

        hostile.answers(only_2024_06)
        done = fleet.run("doctor", "--json", BYTEZ_ENDPOINT=hostile.url)
        (found,) = not_ok(done, "failed").values()
        assert "pulumi config set bytez:apiVersion 2024-06" in found["action"]

    def test_an_account_without_credits(self, fleet: Fleet) -> None:
        fleet.answers(429, {"error": "you are out of credits"}, "/model/status")
        assert list(not_ok(fleet.run("doctor", "--json"), "failed")) == ["credits"]

    def test_a_request_without_an_answer(self, fleet: Fleet) -> None:
        began = datetime(2024, 5, 27, 23, 35, 35, tzinfo=timezone.utc)
        Journal(fleet).asks(resource("chat"), GPT2, began)
        (found,) = not_ok(fleet.run("doctor", "--json"), "failed").values()
        assert f"{GPT2} by 'chat' of stack 'dev' at 2024-05-27T23:35:35.000Z" in found["observed"]
        assert found["action"].endswith("run `bytez-fleet unload --unfinished`")


def test_a_shared_journal_is_left_as_it_is_and_fails_if_it_cannot_be_written(fleet: Fleet) -> None:
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
    try:
        found = checks(fleet.run("doctor", "--json"))["journal"]
        assert (found["verdict"], found["observed"]) == ("ok", "s3://journal/team")
        assert server.objects("journal") == {}
        proxy.act = lambda method, _path: 403 if method == "PUT" else None
        found = checks(fleet.run("doctor", "--json"))["journal"]
        assert (found["verdict"], found["code"]) == ("failed", "journal")
        assert "HTTP 403" in found["observed"]
    finally:
        proxy.close()
        server.stop()


class TestInOrder:
    """Loads that are not known to be a mistake."""

    def test_a_load_in_progress_names_who_works_on_it(self, fleet: Fleet) -> None:
        with Journal(fleet).asking(resource("chat"), GPT2):
            found = checks(fleet.run("doctor", "--json"))["unfinished"]
        assert found["verdict"] == "ok"
        assert f"{GPT2} by 'chat' of stack 'dev' at " in found["observed"]

    def test_a_load_whose_state_cannot_be_read_is_listed(self, fleet: Fleet) -> None:
        created = fleet.emulator.load_by_somebody_else(GPT2)
        Journal(fleet).accepts(resource("chat"), GPT2, created)
        found = checks(fleet.run("doctor", "--json"))["unfinished"]
        assert found["verdict"] == "ok"
        assert GPT2 in found["observed"]


class TestWarnings:
    """Each ends with exit code 0, because everything works."""

    def test_a_clock_that_is_off(self, fleet: Fleet) -> None:
        fleet.emulator.set_faults([{"do": {"clockSkewSeconds": 3600}}])
        (found,) = not_ok(fleet.run("doctor", "--json").ok(), "warning").values()
        assert re.fullmatch(r"(1h00m|59m\d\ds) behind the service's", found["observed"])

    def test_a_local_journal_that_cannot_be_written(self, fleet: Fleet, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        place = str(tmp_path / "file" / "journal")
        done = fleet.run("doctor", "--json", BYTEZ_JOURNAL=place).ok()
        assert {n: one["code"] for n, one in not_ok(done, "warning").items()} == {
            "journal": "journal"
        }

    def test_lists_that_fail(self, fleet: Fleet) -> None:
        fleet.answers(400, {"error": "no lists today"}, "/model/list", "/model/instances")
        found = not_ok(fleet.run("doctor", "--json").ok(), "warning")
        assert {name: one["code"] for name, one in found.items()} == {
            "catalogue": "refused",
            "instances": "refused",
        }
