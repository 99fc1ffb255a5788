"""A bucket that fails, against an S3 server in a process of its own; see also `test_stores`."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bytez_provider.base.clock import SystemClock
from bytez_provider.base.errors import ConfigError, JournalError
from bytez_provider.core.ownership import Bucket, ChangedError, Ledger, _bucket
from bytez_provider.core.ownership._stores import NOTHING, Tolerant
from tests.ownership.conftest import SECRET, reach
from tests.s3 import Proxy, S3Server

NAME = "record-1.json"
SIGNED = (
    "Generic S3 error: Error performing PUT http://h/b/x?sig=SECRET in 3ms, after 2 retries, "
    "max_retries: 10, retry_timeout: 15s  - Server returned non-2xx status code: 403 Forbidden: "
    "<Error><Code>SignatureDoesNotMatch</Code><StringToSign>AWS4-HMAC-SHA256 SECRET</StringToSign>"
    "</Error>\n\nDebug source:\nSECRET"
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a bucket give up much sooner."""
    for name, seconds in (("_TIMEOUT", 0.2), ("_RETRY", 0.3), ("_DOWN", 0.1)):
        monkeypatch.setattr(_bucket, f"{name}_SECONDS", seconds)
    pause = timedelta(seconds=0.05)
    monkeypatch.setattr(_bucket, "_BACKOFF", {"init_backoff": pause, "max_backoff": pause})


def failure(act: Callable[[], object]) -> str:
    """Return what a bucket that fails reports, which is one line without a secret."""
    with pytest.raises(JournalError) as caught:
        act()
    said = str(caught.value)
    for text in ("\n", SECRET, "Debug", "AWS4-HMAC", "retries", "http://"):
        assert text not in said
    assert caught.value.__cause__ is None
    return said


class LaterClock(SystemClock):
    ahead_seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_seconds


class TestWrites:
    @pytest.mark.parametrize("status", [404, 412])
    def test_a_record_that_was_deleted_by_hand_has_changed(
        self, s3: S3Server, proxy: Proxy, bucket: str, status: int
    ) -> None:
        """Services answer a conditional write of a deleted object in one of two ways."""
        store = Bucket(f"s3://{bucket}")
        first = store.write(NAME, b"1", None, durable=False)
        s3.ask("DELETE", f"/{bucket}/{NAME}")
        proxy.act = lambda method, _path: status if method == "PUT" else None
        with pytest.raises(ChangedError):
            store.write(NAME, b"2", first.version, durable=False)

    @pytest.mark.parametrize("content", [b"1", None])
    def test_a_write_with_a_lost_answer_succeeds(
        self, proxy: Proxy, bucket: str, content: bytes | None
    ) -> None:
        store = Bucket(f"s3://{bucket}")
        before = store.write(NAME, b"0", None, durable=False)
        lost = iter(["lose"])
        proxy.act = lambda method, _path: next(lost, None) if method == "PUT" else None
        written = store.write(NAME, content, before.version, durable=True)
        assert written.content == content
        assert store.read(NAME) == written
        assert [method for method, _ in proxy.seen[1:]] == ["PUT", "PUT", "GET", "GET"]

    def test_a_write_with_a_lost_answer_that_was_overwritten_has_changed(
        self, proxy: Proxy, s3: S3Server, bucket: str
    ) -> None:
        answers = iter(["lose", "race"])

        def act(method: str, path: str) -> object:
            todo = next(answers, None) if method == "PUT" else None
            if todo == "race":
                s3.ask("PUT", path, b"another's")
            return todo

        proxy.act = act
        with pytest.raises(ChangedError):
            Bucket(f"s3://{bucket}").write(NAME, b"ours", None, durable=True)


class TestFailures:
    def test_a_passing_failure_is_retried(self, proxy: Proxy, bucket: str) -> None:
        answers = iter([503, "lose", 500])
        proxy.act = lambda _method, _path: next(answers, None)
        assert Bucket(f"s3://{bucket}").read(NAME) == NOTHING
        assert len(proxy.seen) == 4

    @pytest.mark.parametrize(("status", "word"), [(401, "Unauthorized"), (403, "Forbidden")])
    def test_a_refusal_is_an_error_at_once(
        self, proxy: Proxy, bucket: str, status: int, word: str
    ) -> None:
        store = Bucket(f"s3://{bucket}/folder")
        proxy.act = lambda _method, _path: status
        observed = (
            f"the journal: s3://{bucket}/folder, the bucket of the journal, answered HTTP "
            f"{status} {word} (Code{status}). Nothing was changed. Check its address and "
            "credentials, or set BYTEZ_ACCEPT_NO_JOURNAL=1 to deploy without it."
        )
        assert failure(lambda: store.read(NAME)) == f"could not read {observed}"
        assert failure(store.read_all) == f"could not read {observed}"
        write = lambda: store.write(NAME, b"1", None, durable=True)  # noqa: E731
        assert failure(write) == f"could not write {observed}"
        assert len(proxy.seen) == 3

    def test_a_missing_bucket_is_not_an_empty_one(self, bucket: str) -> None:
        store = Bucket(f"s3://no-{bucket}")
        for act in (lambda: store.write(NAME, b"1", None, durable=True), store.read_all):
            assert "(NoSuchBucket)" in failure(act)
        ledger = Ledger(store, endpoint="", account="", clock=SystemClock())
        assert "(NoSuchBucket)" in failure(lambda: ledger.record("openai-community/gpt2"))

    @pytest.mark.usefixtures("quick")
    def test_a_bucket_that_keeps_failing(self, proxy: Proxy, bucket: str) -> None:
        proxy.act = lambda _method, _path: 500
        said = failure(lambda: Bucket(f"s3://{bucket}").read(NAME))
        assert "answered HTTP 500 Internal Server Error (Code500)" in said
        assert len(proxy.seen) > 1

    @pytest.mark.usefixtures("quick")
    def test_a_server_that_is_not_there(self, bucket: str, proxy: Proxy) -> None:
        proxy.close()
        assert "could not be reached" in failure(lambda: Bucket(f"s3://{bucket}").read(NAME))

    @pytest.mark.usefixtures("quick")
    def test_a_bucket_that_is_down_gets_no_request_for_a_while(
        self, proxy: Proxy, bucket: str
    ) -> None:
        """A deployment asks for each model, and each of these would wait again."""
        clock = LaterClock()
        store = Bucket(f"s3://{bucket}", clock)
        proxy.act = lambda _method, _path: "hang"
        failure(lambda: store.read(NAME))
        asked = len(proxy.seen)
        assert asked > 1, "it is retried first"
        said = failure(lambda: store.write(NAME, b"1", None, durable=True))
        assert said.startswith("could not write the journal: ")
        assert "did not answer within" in said
        warnings: list[str] = []
        tolerant = Tolerant(store, warnings.append)
        tolerant.write(NAME, b"1", None, durable=True)
        assert tolerant.read_all()[NAME].content == b"1"
        assert (len(warnings), len(proxy.seen)) == (1, asked)

        clock.ahead_seconds = 60
        proxy.act = lambda _method, _path: None
        assert store.read(NAME) == NOTHING

    def test_it_gives_up_within_half_a_minute(self) -> None:
        """The last try may begin just before the time for tries ends."""
        assert _bucket._RETRY_SECONDS + _bucket._TIMEOUT_SECONDS <= 30
        assert _bucket._DOWN_SECONDS < _bucket._TIMEOUT_SECONDS

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            (SIGNED, "answered HTTP 403 Forbidden (SignatureDoesNotMatch)"),
            (
                "Error performing GET https://h/c?sig=SECRET in 3ms - odd: https://h?sig=SECRET",
                "failed: odd: its address",
            ),
        ],
    )
    def test_signed_parts_of_a_request_are_not_shown(self, text: str, shown: str) -> None:
        assert _bucket._reason(OSError(text)) == shown


class TestAddress:
    @pytest.mark.parametrize(
        "url", ["s3://user:SECRET@bucket/x", "s3://bucket/x?region=eu-west-1", "s3://bucket/x#y"]
    )
    def test_parts_that_obstore_ignores_are_refused(self, url: str) -> None:
        with pytest.raises(ConfigError, match=r"'s3://bucket/x', which cannot be used") as caught:
            Bucket(url)
        assert "SECRET" not in str(caught.value)

    @pytest.mark.parametrize("url", ["s3://", "s3:///folder", "s3://no bucket/x"])
    def test_an_address_without_a_bucket_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError, match="cannot be used"):
            Bucket(url)

    def test_azure_without_an_account_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
        with pytest.raises(ConfigError, match="AZURE_STORAGE_ACCOUNT_NAME"):
            Bucket("az://container/folder")

    def test_plain_http_must_be_allowed(
        self, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reach(s3.url, monkeypatch)
        monkeypatch.delenv("AWS_ALLOW_HTTP")
        failure(lambda: Bucket(f"s3://{bucket}").read(NAME))

    def test_without_obstore_the_error_names_the_extra(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = builtins.__import__

        def without(name: str, *rest: Any, **named: Any) -> Any:
            if name.startswith("obstore"):
                raise ImportError(name)
            return real(name, *rest, **named)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(ConfigError, match=r"pip install 'bytez-provider\[bucket\]'"):
            Bucket("s3://bucket")
