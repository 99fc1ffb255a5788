"""`run`: a prompt, and the text as it comes."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable
from typing import Any

from bytez_provider.base.errors import InvalidInputError, MalformedAnswerError, NotLoadedError
from bytez_provider.cli import exits
from bytez_provider.cli.session import Session

_LONGEST_DOCUMENT = 4 * 1024 * 1024
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def run(session: Session, model_id: str, text: str, params: dict[str, Any], *, stream: bool) -> int:
    """Run a model on a text ("-" for that on stdin) and print what it makes of it.

    Raises:
        NotLoadedError: it is not loaded.
        BytezError: see `BytezClient`.
    """
    session.inputs("run", model_id)
    if text == "-":
        text = sys.stdin.read()
    pieces = session.client.run(model_id, text, params, stream=stream)
    try:
        if session.screen.as_json:
            session.screen.document({"modelId": model_id, "output": _whole(pieces, model_id)})
        else:
            _print_as_it_comes(pieces)
    except NotLoadedError:
        session.refuse_unknown("run", model_id)
        raise
    return exits.DONE


def params_of(given: Iterable[str]) -> dict[str, Any]:
    """Read `name=value` parameters; a value that is JSON is taken as such: 256, true, [1, 2].

    Raises:
        InvalidInputError: there is no name or no "=".
    """
    params = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise InvalidInputError(
                verb="run",
                observed=f"--param {one!r} is not of the form name=value",
                action="Write it as in --param max_length=256",
            )
        try:
            params[name] = json.loads(value, parse_constant=_no_number)
        except ValueError:
            params[name] = value
    return params


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _whole(pieces: Iterable[str], model_id: str) -> str:
    """Return the text as one, which a document needs and a text without end cannot be."""
    whole = io.StringIO()
    for piece in pieces:
        whole.write(piece)
        if whole.tell() > _LONGEST_DOCUMENT:
            raise MalformedAnswerError(
                verb="run",
                subject=model_id,
                observed=f"the text goes on after {_LONGEST_DOCUMENT} characters",
                state="It has run all the same",
                action="Run it without --json, which prints the text as it comes",
            )
    return whole.getvalue()


def _print_as_it_comes(pieces: Iterable[str]) -> None:
    on_terminal = sys.stdout.isatty()
    last = "\n"
    try:
        for piece in pieces:
            # What a model makes up must not move the cursor; a file or a program gets it as it is.
            sys.stdout.write(_CONTROLS.sub("", piece) if on_terminal else piece)
            sys.stdout.flush()
            last = piece[-1:] or last
    finally:
        if on_terminal and last != "\n":
            sys.stdout.write("\n")
