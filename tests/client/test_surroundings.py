"""What the environment may change, and what it may not: proxies, authorities, `.netrc`, cookies."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bytez_provider.base.errors import UnreachableError
from bytez_provider.emulator import Emulator
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import Asked
from bytez_provider.service.settings import ApiVersion, Key, Settings
from tests.client.conftest import Wary
from tests.client.hostile import GPT2, KEY, HostileServer, says
from tests.clocks import FakeClock

DATA = Path(__file__).parent / "data"
CERTIFICATE = DATA / "loopback.pem"
"""For 127.0.0.1, signed by itself, with its (worthless) private key."""
OF_ANOTHER = DATA / "elsewhere.pem"
"""As above, for elsewhere.example."""
EXPIRED = DATA / "expired.pem"
"""As above, for 127.0.0.1 and the year 2020."""

NOT_LOADED = b'{"error": "not loaded"}'


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)


# ----------------------------------------------------------------------------------- proxies


@pytest.fixture
def remote(api: ApiVersion, fake_clock: FakeClock) -> Callable[[str], BytezClient]:
    """Return a client of an address, made after the environment was set."""
    return lambda url: BytezClient(Settings(url, api, Key(KEY)), clock=fake_clock)


Remote = Callable[[str], BytezClient]


def refusal_of(client: BytezClient) -> UnreachableError:
    """Return the error of a load that certainly did not reach the service."""
    with pytest.raises(UnreachableError) as caught:
        client.load(GPT2, Asked(1))
    assert not caught.value.maybe_done
    return caught.value


def test_a_proxy_of_the_environment_is_used(
    hostile: HostileServer, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", hostile.url)
    hostile.answers(says(407))
    error = refusal_of(remote("https://bytez.invalid"))
    assert "the proxy let no connection through" in error.observed
    assert error.action == "Check HTTPS_PROXY and NO_PROXY"
    for request in hostile.requests:
        assert request.startswith(b"CONNECT bytez.invalid:443 HTTP/1.")
        assert KEY.encode() not in request


def test_loopback_is_never_asked_through_a_proxy(
    emulator: Emulator, hostile: HostileServer, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http, and so the key, would leave this machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, hostile.url)
    assert remote(emulator.url).instances() == []
    assert hostile.requests == []


@pytest.mark.parametrize("proxy", ["http://", "socks9://127.0.0.1:1"])
def test_a_proxy_without_a_valid_address_is_an_error_at_once(
    fake_clock: FakeClock, remote: Remote, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert "HTTPS_PROXY" in refusal_of(remote("https://bytez.invalid")).action
    assert fake_clock.waits == []


# -------------------------------------------------------------------------------- authorities


@pytest.fixture
def tls_url() -> Iterator[str]:
    """A server with a certificate that nobody vouches for; it has nothing loaded."""
    with tls_server(CERTIFICATE) as url:
        yield url


@contextmanager
def tls_server(certificate: Path) -> Iterator[str]:
    """Serve, in a thread, with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65536)
                    connection.sendall(
                        b"HTTP/1.1 404 No\r\nContent-Length: 23\r\n\r\n" + NOT_LOADED
                    )
                    connection.recv(65536)
            except OSError:
                plain.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.mark.parametrize(
    ("certificate", "is_trusted", "reason", "action"),
    [
        (CERTIFICATE, False, "self", "Name the right certificate authority"),
        (OF_ANOTHER, True, "not valid for '127.0.0.1'", "Check that bytez:endpoint is the address"),
        (EXPIRED, True, "certificate has expired", "Check the date of this machine"),
    ],
    ids=["unknown authority", "another host", "expired"],
)
def test_a_certificate_that_does_not_match_is_refused(
    fake_clock: FakeClock,
    remote: Remote,
    certificate: Path,
    is_trusted: bool,
    reason: str,
    action: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if its authority is trusted: another authority would not help then."""
    if is_trusted:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with tls_server(certificate) as url:
        error = refusal_of(remote(url))
    assert f"no answer from {url}: its TLS certificate is not accepted (" in error.observed
    assert reason in error.observed
    assert error.action.startswith(action)
    assert ("REQUESTS_CA_BUNDLE" in error.action) is not is_trusted
    assert fake_clock.waits == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_authority_of_the_environment_is_trusted(
    tls_url: str, remote: Remote, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(CERTIFICATE))
    client = remote(tls_url)
    assert client.status(GPT2) is None
    client.close()


def test_a_missing_authority_is_an_error_at_once(
    tls_url: str, fake_clock: FakeClock, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    assert "the CA bundle cannot be read" in refusal_of(remote(tls_url)).observed
    assert fake_clock.waits == []


def test_a_server_without_tls_is_an_error(hostile: HostileServer, remote: Remote) -> None:
    hostile.answers(says(400))
    refusal_of(remote(hostile.url.replace("http:", "https:")))


# ----------------------------------------------------------------------------- what is ignored


def test_netrc_and_cookies_are_ignored(
    wary: Wary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password netrc-secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    wary.server.answers(says(200, "[]", {"Set-Cookie": "session=1; Path=/"}))
    wary.instances()
    wary.instances()
    assert b"Authorization: Basic" not in wary.server.requests[0]
    assert b"cookie" not in wary.server.requests[1].lower()
