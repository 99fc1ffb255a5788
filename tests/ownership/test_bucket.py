"""A bucket as the journal, against an S3 server in a process of its own."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bytez_provider.base.clock import SystemClock
from bytez_provider.base.errors import ConfigError, JournalError
from bytez_provider.core.ownership import Bucket, ChangedError, _bucket
from bytez_provider.core.ownership._stores import NOTHING, Tolerant
from tests.ownership.conftest import SECRET, reach
from tests.s3 import Proxy, S3Server

NAME = "record-1.json"
MEND = (
    "Nothing was changed. Check its address and credentials, or set "
    "BYTEZ_ACCEPT_NO_JOURNAL=1 to deploy without it."
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a bucket give up a hundred times sooner than it does."""
    monkeypatch.setattr(_bucket, "_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(_bucket, "_RETRY_SECONDS", 0.3)
    monkeypatch.setattr(_bucket, "_DOWN_SECONDS", 0.1)
    tenth = timedelta(seconds=0.05)
    monkeypatch.setattr(_bucket, "_BACKOFF", {"init_backoff": tenth, "max_backoff": tenth})


def failure(act: Callable[[], object]) -> str:
    """Return what a bucket that fails says."""
    with pytest.raises(JournalError) as caught:
        act()
    said = str(caught.value)
    assert "\n" not in said
    for secret in (SECRET, "Debug", "AWS4-HMAC", "retries", "http://"):
        assert secret not in said
    assert caught.value.__cause__ is None
    return said


class _Later(SystemClock):
    """The machine's clock, put ahead."""

    ahead_seconds = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_seconds


class TestKeeping:
    def test_keeps_and_removes(self, s3: S3Server, bucket: str) -> None:
        store = Bucket(f"s3://{bucket}/a/folder")
        assert store.read(NAME) == NOTHING
        assert store.read_all() == {}
        first = store.write(NAME, b"1", None, durable=True)
        assert Bucket(f"s3://{bucket}/a/folder").read(NAME) == first
        second = store.write(NAME, b"2", first.version, durable=True)
        assert store.read_all() == {NAME: second}
        assert s3.objects(bucket) == {f"a/folder/{NAME}": b"2"}

        removed = store.write(NAME, None, second.version, durable=False)
        assert removed.content is None
        assert store.read_all() == {}
        assert store.read(NAME) == removed
        again = store.write(NAME, b"3", removed.version, durable=True)
        assert store.read(NAME) == again

    def test_writes_only_over_what_was_read(self, bucket: str) -> None:
        store = Bucket(f"s3://{bucket}")
        first = store.write(NAME, b"1", None, durable=False)
        for content in (b"2", None):
            with pytest.raises(ChangedError):
                store.write(NAME, content, None, durable=False)
        second = store.write(NAME, b"2", first.version, durable=False)
        for content in (b"3", None):
            with pytest.raises(ChangedError):
                store.write(NAME, content, first.version, durable=False)
        assert store.read(NAME) == second

    @pytest.mark.parametrize("status", [404, 412])
    def test_what_somebody_removed_by_hand_has_changed(
        self, s3: S3Server, proxy: Proxy, bucket: str, status: int
    ) -> None:
        """Services answer one or the other to a write over what is not there; moto 412."""
        store = Bucket(f"s3://{bucket}")
        first = store.write(NAME, b"1", None, durable=False)
        s3.ask("DELETE", f"/{bucket}/{NAME}")
        proxy.act = lambda method, _path: status if method == "PUT" else None
        with pytest.raises(ChangedError):
            store.write(NAME, b"2", first.version, durable=False)

    def test_of_many_that_create_one_does(self, bucket: str) -> None:
        entered = threading.Barrier(8)
        done: list[int] = []

        def create(number: int) -> None:
            store = Bucket(f"s3://{bucket}")
            entered.wait()
            try:
                store.write(NAME, str(number).encode(), None, durable=False)
            except ChangedError:
                return
            done.append(number)

        threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = done
        assert Bucket(f"s3://{bucket}").read(NAME).content == str(winner).encode()


class TestTrouble:
    @pytest.mark.parametrize("content", [b"1", None])
    def test_a_write_whose_answer_was_lost_is_its_own(
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

    def test_a_write_whose_answer_was_lost_and_that_was_overwritten_is_not(
        self, proxy: Proxy, s3: S3Server, bucket: str
    ) -> None:
        store = Bucket(f"s3://{bucket}")
        answers = iter(["lose", "race"])

        def act(method: str, path: str) -> object:
            todo = next(answers, None) if method == "PUT" else None
            if todo == "race":
                s3.ask("PUT", path, b"another's")
            return todo

        proxy.act = act
        with pytest.raises(ChangedError):
            store.write(NAME, b"ours", None, durable=True)

    def test_a_bucket_that_fails_in_passing_is_outlived(self, proxy: Proxy, bucket: str) -> None:
        answers = iter([503, "lose", 500])
        proxy.act = lambda _method, _path: next(answers, None)
        assert Bucket(f"s3://{bucket}").read(NAME) == NOTHING
        assert len(proxy.seen) == 4

    @pytest.mark.parametrize("status", [401, 403])
    def test_refused_is_said_at_once(self, proxy: Proxy, bucket: str, status: int) -> None:
        store = Bucket(f"s3://{bucket}/folder")
        proxy.act = lambda _method, _path: status
        reason = {401: "HTTP 401 Unauthorized (Code401)", 403: "HTTP 403 Forbidden (Code403)"}
        where = f"s3://{bucket}/folder, the bucket of BYTEZ_JOURNAL,"
        observed = f"the journal: {where} answered {reason[status]}. {MEND}"
        assert failure(lambda: store.read(NAME)) == f"could not read {observed}"
        assert failure(store.read_all) == f"could not read {observed}"
        write = lambda: store.write(NAME, b"1", None, durable=True)  # noqa: E731
        assert failure(write) == f"could not write {observed}"
        assert len(proxy.seen) == 3

    def test_no_bucket_of_that_name_is_never_an_empty_one(self, bucket: str) -> None:
        store = Bucket(f"s3://no-{bucket}")
        assert "(NoSuchBucket)" in failure(lambda: store.write(NAME, b"1", None, durable=True))
        assert "(NoSuchBucket)" in failure(store.read_all)

    @pytest.mark.usefixtures("quick")
    def test_a_bucket_that_always_fails(self, proxy: Proxy, bucket: str) -> None:
        proxy.act = lambda _method, _path: 500
        said = failure(lambda: Bucket(f"s3://{bucket}").read(NAME))
        assert "answered HTTP 500 Internal Server Error (Code500)" in said
        assert len(proxy.seen) > 1

    @pytest.mark.usefixtures("quick")
    def test_nothing_listens(self, bucket: str, proxy: Proxy) -> None:
        proxy.close()
        said = failure(lambda: Bucket(f"s3://{bucket}").read(NAME))
        assert "could not be reached" in said

    @pytest.mark.usefixtures("quick")
    def test_one_that_does_not_answer_is_asked_once_and_then_left_to_rest(
        self, proxy: Proxy, bucket: str
    ) -> None:
        """A deployment asks for each model, and each of these would wait again."""
        clock = _Later()
        store = Bucket(f"s3://{bucket}", clock)
        proxy.act = lambda _method, _path: "hang"
        assert "could not read" in failure(lambda: store.read(NAME))
        asked = len(proxy.seen)
        assert asked > 1, "it may have been in passing"
        said = failure(lambda: store.write(NAME, b"1", None, durable=True))
        assert said.startswith("could not write the journal: ")
        assert "did not answer within" in said
        warnings: list[str] = []
        tolerant = Tolerant(store, warnings.append)
        tolerant.write(NAME, b"1", None, durable=True)
        assert tolerant.read_all()[NAME].content == b"1"
        assert len(warnings) == 1
        assert len(proxy.seen) == asked

        clock.ahead_seconds = 60
        proxy.act = lambda _method, _path: None
        assert store.read(NAME) == NOTHING

    def test_it_gives_up_within_half_a_minute(self) -> None:
        """The last try may begin just before the time for tries ends."""
        assert _bucket._RETRY_SECONDS + _bucket._TIMEOUT_SECONDS <= 30
        assert _bucket._DOWN_SECONDS < _bucket._TIMEOUT_SECONDS

    def test_a_refused_write_says_nothing_of_what_was_signed(
        self, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What a real service answers to a wrong key holds what of the request was signed."""
        reach(s3.url, monkeypatch)
        text = (
            "Generic S3 error: Error performing PUT http://h/b/x?sig=SECRET in 3ms, after 2 "
            "retries, max_retries: 10, retry_timeout: 15s  - Server returned non-2xx status code: "
            "403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>"
            "<StringToSign>AWS4-HMAC-SHA256 SECRET</StringToSign></Error>\n\nDebug source:\nSECRET"
        )
        assert _bucket._reason(OSError(text)) == (
            "answered HTTP 403 Forbidden (SignatureDoesNotMatch)"
        )
        text = "Error performing GET https://h/c?sig=SECRET in 3ms - strange: https://h?sig=SECRET"
        assert _bucket._reason(OSError(text)) == "failed: strange: its address"


class TestAddress:
    @pytest.mark.parametrize(
        "url", ["s3://user:SECRET@bucket/x", "s3://bucket/x?region=eu-west-1", "s3://bucket/x#y"]
    )
    def test_what_obstore_passes_over_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError, match=r"'s3://bucket/x', which cannot be used") as caught:
            Bucket(url)
        assert "SECRET" not in str(caught.value)

    @pytest.mark.parametrize("url", ["s3://", "s3:///folder", "s3://no bucket/x"])
    def test_without_a_bucket_it_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError, match="cannot be used"):
            Bucket(url)

    def test_without_an_account_it_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
        with pytest.raises(ConfigError, match="AZURE_STORAGE_ACCOUNT_NAME"):
            Bucket("az://container/folder")

    def test_plain_http_must_be_allowed(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ALLOW_HTTP")
        failure(lambda: Bucket(f"s3://{bucket}").read(NAME))

    def test_without_obstore_it_is_said_how_to_install_it(
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
