"""The server's time: from any zone, from no `Date` at all, and from one that cannot be."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import iso
from tests.client.hostile import GPT2, HostileServer, says
from tests.clocks import FakeClock

NOON = datetime(2024, 5, 27, 12, 0, 0, tzinfo=timezone.utc)
IMPOSSIBLE = [
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Thu, 01 Jan 1969 00:00:00 GMT",
    "yesterday",
]


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 27 May 2024 12:00:00 GMT",
        "Mon, 27 May 2024 14:00:00 +0200",
        "Mon, 27 May 2024 05:00:00 -0700",
        "Mon, 27 May 2024 12:00:00 -0000",
        "Mon, 27 May 2024 12:00:00",
        "Monday, 27-May-24 12:00:00 GMT",
        "Mon May 27 12:00:00 2024",
    ],
)
def test_a_date_is_read_in_any_zone_and_form(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock, date: str
) -> None:
    hostile.answers(says(200, "[]", {"Date": date}))
    wary.instances()
    assert wary.server_now() == NOON
    fake_clock.wait(90)
    assert wary.server_now() == NOON + timedelta(seconds=90)


def test_without_a_date_the_machines_own_time_serves(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock
) -> None:
    hostile.answers(says(200, '{"status": "started"}'))
    wary.load(GPT2, 1)
    assert wary.server_now() == fake_clock.now()


@pytest.mark.parametrize("date", IMPOSSIBLE)
def test_a_date_that_cannot_be_is_none(
    wary: BytezClient, hostile: HostileServer, fake_clock: FakeClock, date: str
) -> None:
    """Next to the ends of the calendar the first sum would be an exception of Python's."""
    hostile.answers(says(200, '{"status": "started"}', {"Date": date}))
    wary.load(GPT2, 1)
    assert wary.server_now() == fake_clock.now()
    fake_clock.wait(90)
    assert iso(wary.server_now() - timedelta(days=1))


def test_an_impossible_date_does_not_undo_a_good_one(
    wary: BytezClient, hostile: HostileServer
) -> None:
    good = says(200, "[]", {"Date": "Mon, 27 May 2024 12:00:00 GMT"})
    hostile.answers(good, *(says(200, "[]", {"Date": date}) for date in IMPOSSIBLE))
    for _ in range(1 + len(IMPOSSIBLE)):
        wary.instances()
    assert wary.server_now() == NOON


@pytest.mark.parametrize(
    ("created", "read"),
    [
        ("2024-05-27T12:00:00.000Z", NOON),
        ("2024-05-27T14:00:00+02:00", NOON),
        ("2024-05-27T05:00:00.000-07:00", NOON),
        ("2024-05-27T12:00:00", NOON),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("Mon, 27 May 2024 12:00:00 GMT", None),
        (1716811200, None),
    ],
)
def test_created_is_one_moment_in_any_zone(
    wary: BytezClient, hostile: HostileServer, created: object, read: datetime | None
) -> None:
    told = f'"{created}"' if isinstance(created, str) else created
    hostile.answers(says(200, f'{{"status": "RUNNING", "created": {told}}}'))
    live = wary.status(GPT2)
    assert live is not None
    assert live.created == read
