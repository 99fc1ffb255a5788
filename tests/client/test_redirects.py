"""Redirects: the same request on the same origin, three times at most; refused elsewhere."""

from __future__ import annotations

import pytest

from bytez_provider.base.errors import MalformedAnswerError
from bytez_provider.service.schemas import Asked
from bytez_provider.service.settings import ApiVersion
from tests.asking import CHANGING, endpoints, path_of
from tests.client.conftest import CALLS, Wary
from tests.client.hostile import GPT2, KEY, Form, HostileServer, by_ask, says


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/there", "{url}/there", "{up}/there#top"])
def test_a_redirect_on_the_same_origin_repeats_the_request(
    wary: Wary, form: Form, status: int, location: str
) -> None:
    """A change too, with its method and its body."""
    for ask in ("status", *(one for one in CHANGING if one in endpoints(form.api))):
        path = path_of(form.api, ask, GPT2)
        up = "/".join([".."] * (path.count("/") - 1))
        target = location.format(url=wary.server.url, up=up)
        wary.server.answers(says(status, headers={"Location": target}), form.shows())
        result = CALLS[ask](wary)
        assert ask == "delete" or result is not None
        first, second = wary.server.requests[-2:]
        assert second == first.replace(path.encode(), b"/there")
    assert len(wary.server.requests) == 2 * len(set(wary.server.asked()) - {"/there"})


def test_three_redirects_are_followed_and_a_fourth_is_not(wary: Wary, form: Form) -> None:
    again = says(302, headers={"Location": "/again"})
    wary.server.answers(again, again, again, form.shows())
    assert wary.status(GPT2) is not None
    wary.server.answers(again)
    with pytest.raises(MalformedAnswerError, match="redirects more than 3 times"):
        wary.status(GPT2)
    assert len(wary.server.requests) == 8


def test_a_run_follows_too(wary: Wary, form: Form) -> None:
    moved = says(308, headers={"Location": "/there"})
    wary.server.answers(
        by_ask({"status": [form.shows()], "run": [moved], "/there": [says(200, "Once")]})
    )
    assert list(wary.run(GPT2, "x")) == ["Once"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_is_not_sent_to_another_port(
    wary: Wary, api: ApiVersion, elsewhere: HostileServer, status: int
) -> None:
    target = f"{elsewhere.url}{path_of(api, 'load', GPT2)}"
    wary.server.answers(says(status, headers={"Location": target}))
    with pytest.raises(MalformedAnswerError) as caught:
        wary.load(GPT2, Asked(1))
    where = f"redirects to {elsewhere.url}, and the key is not sent to another host"
    assert where in caught.value.observed
    assert "set bytez:endpoint to its address" in caught.value.action
    assert not caught.value.maybe_done
    assert elsewhere.requests == []
    assert len(wary.server.requests) == 1


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://api.evil.example/x?a=b", "to https://api.evil.example:443"),
        ("//evil.example/model/status", "to http://evil.example:80"),
        ("http://localhost:{port}/", "to http://localhost:{port}"),
        ("https://127.0.0.1:{port}/", "to https://127.0.0.1:{port}"),
        ("HTTP://EVIL.example", "to http://evil.example:80"),
        ("", ", and does not say where to"),
        ("/x?echo=" + KEY, ", and does not say where to"),
        ("http://[", "to an address that is not valid"),
        ("http://a:b@127.0.0.1/", "to an address that is not valid"),
        ("http://127.0.0.1:99999999/", "to an address that is not valid"),
        ("http://127.0.0.1:{port}\\@evil.example/", "to an address that is not valid"),
        ("javascript:alert(1)", "to javascript://:None"),
    ],
)
def test_another_address_is_named_and_not_asked(wary: Wary, location: str, named: str) -> None:
    port = wary.server.url.rpartition(":")[2]
    target = location.replace("{port}", port)
    wary.server.answers(says(307, headers={"Location": target} if target else {}))
    with pytest.raises(MalformedAnswerError) as caught:
        wary.status(GPT2)
    assert f"redirects{' ' * (named[0] != ',')}{named.replace('{port}', port)}" in str(caught.value)
    assert len(wary.server.requests) == 1
    assert KEY not in str(caught.value)
