"""`run`."""

from __future__ import annotations

import os
import socket
import threading

from tests.cli.fleet import GPT2, LONGEST_SECONDS, Fleet
from tests.client.hostile import HostileServer, says

PROMPT = "Once upon a time"


def test_it_prints_the_text_that_the_service_sends(fleet: Fleet) -> None:
    fleet.boot(GPT2)
    done = fleet.run("run", GPT2, PROMPT, "--param", "max_length=5").ok()
    assert done.out.startswith(f"{PROMPT} [the Bytez emulator speaking")
    from_stdin = fleet.run("run", GPT2, "-", "--param", "max_length=5", text=PROMPT).ok()
    assert from_stdin.out == done.out
    arguments = ("run", GPT2, PROMPT, "--no-stream", "--param", "max_length=5", "--json")
    document = fleet.run(*arguments).ok().document
    assert document == {"modelId": GPT2, "output": done.out}
    (live,) = fleet.emulator.instances()
    assert live["inferences"] == 3


def test_parameters_that_are_json_are_sent_as_json(fleet: Fleet, hostile: HostileServer) -> None:
    hostile.answers(says(200, "text"))
    given = ("max_length=256", "do_sample=true", "stop=a=b", "odd=NaN")
    params = [part for one in given for part in ("--param", one)]
    fleet.run("run", GPT2, PROMPT, *params, BYTEZ_ENDPOINT=hostile.url).ok()
    (request,) = hostile.requests
    sent = b'"params": {"max_length": 256, "do_sample": true, "stop": "a=b", "odd": "NaN"}'
    assert sent in request
    assert b'"stream": true' in request


def test_a_pipe_gets_the_first_part_while_the_rest_is_generated(
    fleet: Fleet, hostile: HostileServer
) -> None:
    seen = threading.Event()

    def in_two_parts(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst line\n")
        assert seen.wait(LONGEST_SECONDS)
        connection.sendall("second \x1b[31m“line”".encode())

    hostile.answers(in_two_parts)
    with fleet.started("run", GPT2, PROMPT, BYTEZ_ENDPOINT=hostile.url) as run:
        assert run.line() == "first line"
        seen.set()
        done = run.finish()
    # Unchanged, and no line end is added.
    assert (done.code, done.out) == (0, "second \x1b[31m“line”")


def test_on_a_terminal_the_text_cannot_move_the_cursor(
    fleet: Fleet, hostile: HostileServer
) -> None:
    hostile.answers(says(200, "one\x1b[2J\r\n\ttwo\x07\u202ethree"))
    with fleet.on_terminal("run", GPT2, PROMPT, BYTEZ_ENDPOINT=hostile.url) as terminal:
        assert terminal.finish() == 0
    assert terminal.drawn == "one[2J\r\n\ttwothree\r\n"


def test_a_text_that_breaks_off_is_an_error(fleet: Fleet, hostile: HostileServer) -> None:
    def broken(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf a sent")

    hostile.answers(broken)
    done = fleet.run("run", GPT2, PROMPT, BYTEZ_ENDPOINT=hostile.url)
    done.failed(1)
    assert done.out == "half a sent"


def test_a_model_that_is_not_loaded_says_how_to_load_it(fleet: Fleet) -> None:
    message = fleet.run("run", GPT2, PROMPT, "--json").failed(1, "not-loaded")
    assert "`bytez-fleet load`" in message


def test_a_parameter_without_a_value_is_wrong_usage(fleet: Fleet) -> None:
    given = ("--param", "max_length")
    message = fleet.run("run", GPT2, PROMPT, *given, "--json").failed(2, "invalid-input")
    assert "'max_length'" in message
    assert fleet.emulator.requests() == []


def test_a_reader_that_stops_reading_ends_it_quietly(fleet: Fleet) -> None:
    fleet.boot(GPT2)
    with fleet.started("run", GPT2, "a line\n", "--param", "max_length=20000") as run:
        assert run.line() == "a line"
        assert run.process.stdout is not None
        os.close(os.dup(run.process.stdout.fileno()))
        run.process.stdout.close()
        assert run.process.stderr is not None
        complaints = run.process.stderr.read()
        assert run.process.wait(LONGEST_SECONDS) in (0, 1)
    assert complaints == ""
