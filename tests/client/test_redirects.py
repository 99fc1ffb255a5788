"""Redirects: followed on the same origin, as the same request, three times; refused elsewhere."""

from __future__ import annotations

import pytest

from bytez_provider.base.errors import MalformedAnswerError
from bytez_provider.service.client import BytezClient
from tests.client.hostile import GPT2, KEY, HostileServer, says

RUNNING = says(200, '{"modelId": "openai-community/gpt2", "status": "RUNNING"}')


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/v2/status", "{url}/v2/status", "../v2/status#top"])
def test_a_redirect_on_the_same_origin_repeats_the_request(
    wary: BytezClient, hostile: HostileServer, status: int, location: str
) -> None:
    hostile.answers(says(status, headers={"Location": location.format(url=hostile.url)}), RUNNING)
    assert wary.status(GPT2) is not None
    first, second = hostile.requests
    assert second == first.replace(b"/model/status", b"/v2/status")


def test_three_redirects_are_followed(wary: BytezClient, hostile: HostileServer) -> None:
    on = says(302, headers={"Location": "/again"})
    hostile.answers(on, on, on, RUNNING)
    assert wary.status(GPT2) is not None


def test_a_fourth_is_not(wary: BytezClient, hostile: HostileServer) -> None:
    hostile.answers(says(302, headers={"Location": "/again"}))
    with pytest.raises(MalformedAnswerError) as caught:
        wary.status(GPT2)
    assert "redirects more than 3 times" in str(caught.value)
    assert len(hostile.requests) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_is_not_sent_to_another_port(
    wary: BytezClient, hostile: HostileServer, status: int
) -> None:
    other = HostileServer()
    try:
        hostile.answers(says(status, headers={"Location": f"{other.url}/model/status"}))
        with pytest.raises(MalformedAnswerError) as caught:
            wary.load(GPT2, 1)
        assert f"redirects to {other.url}, and the key is not sent to another host" in str(
            caught.value
        )
        assert "set bytez:endpoint to its address" in str(caught.value)
        assert not caught.value.maybe_done
        assert other.requests == []
        assert len(hostile.requests) == 1
    finally:
        other.close()


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://api.evil.example/x?a=b", "https://api.evil.example:443"),
        ("//evil.example/model/status", "http://evil.example:80"),
        ("http://localhost:{port}/", "http://localhost:{port}"),
        ("https://127.0.0.1:{port}/", "https://127.0.0.1:{port}"),
        ("HTTP://EVIL.example", "http://evil.example:80"),
    ],
)
def test_the_other_host_is_named(
    wary: BytezClient, hostile: HostileServer, location: str, named: str
) -> None:
    port = hostile.url.rpartition(":")[2]
    hostile.answers(says(307, headers={"Location": location.format(port=port)}))
    with pytest.raises(MalformedAnswerError) as caught:
        wary.status(GPT2)
    assert f"redirects to {named.format(port=port)}, and" in str(caught.value)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "http://[",
        "http://a:b@127.0.0.1/",
        "http://127.0.0.1:{port}\\@evil.example/",
        "http://127.0.0.1:99999999/",
        "javascript:alert(1)",
        "/x?echo=" + KEY,
    ],
)
def test_what_is_no_address_is_not_followed(
    wary: BytezClient, hostile: HostileServer, location: str
) -> None:
    port = hostile.url.rpartition(":")[2]
    target = location.replace("{port}", port)
    hostile.answers(says(307, headers={"Location": target} if target else {}))
    with pytest.raises(MalformedAnswerError) as caught:
        wary.status(GPT2)
    assert len(hostile.requests) == 1
    assert KEY not in str(caught.value)


def test_a_run_follows_too(wary: BytezClient, hostile: HostileServer) -> None:
    hostile.answers(says(308, headers={"Location": "/v2/run"}), says(200, "Once"))
    assert list(wary.run(GPT2, "x")) == ["Once"]
