"""Which process works on a load, and whether it lives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bytez_provider.core.ownership import Presence

PRINT_HOLDER = (
    "from bytez_provider.core.ownership import Presence\n"
    "print(Presence().holder().model_dump_json(), flush=True)\n"
    "input()\n"
)


@pytest.fixture
def other() -> Iterator[subprocess.Popen[str]]:
    """Another process, which prints who it is and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", PRINT_HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_this_process_lives_until_it_leaves() -> None:
    me, again = Presence(), Presence()
    assert me.token != again.token
    assert again.is_alive(me.holder()) is True
    me.leave()
    assert again.is_alive(me.holder()) is False
    assert again.is_alive(again.holder()) is True


def test_another_process_lives_until_it_ends(other: subprocess.Popen[str]) -> None:
    assert other.stdout is not None
    me = Presence()
    holder = type(me.holder()).model_validate_json(other.stdout.readline())
    assert (holder.machine, holder.pid) == (me.machine, other.pid)
    assert me.is_alive(holder) is True
    other.kill()
    other.wait()
    assert me.is_alive(holder) is False


def test_a_number_that_another_process_has_by_now_is_not_it() -> None:
    me = Presence()
    parent = me.holder().model_copy(update={"pid": os.getppid(), "token": "another"})
    assert me.is_alive(parent) is False
    one_of_our_number = me.holder().model_copy(update={"started": "1", "token": "another"})
    assert me.is_alive(one_of_our_number) is False


def test_of_another_machine_only_the_beat_can_tell() -> None:
    me = Presence()
    assert me.is_alive(Presence(machine="another").holder()) is None


def test_a_machine_is_the_same_to_all_its_processes(other: subprocess.Popen[str]) -> None:
    assert other.stdout is not None
    assert f'"machine":"{Presence().machine}"' in other.stdout.readline()
