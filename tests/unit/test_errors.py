"""The sentence, and what may stand in it."""

from __future__ import annotations

import inspect
import re

import pytest

from bytez_provider.base import errors
from bytez_provider.base.errors import (
    ApiError,
    AuthenticationError,
    BootTimeoutError,
    BytezError,
    CreditsError,
    MalformedAnswerError,
    MissingKeyError,
    RateLimitedError,
    UnreachableError,
    printable,
)

EVERY_ERROR = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, BytezError) and kind.__module__ == errors.__name__
]


def test_the_sentence() -> None:
    error = BytezError(
        verb="load",
        subject="openai-community/gpt2",
        observed="the service answered HTTP 500: no",
        action="Try again later",
    )
    assert str(error) == (
        "could not load 'openai-community/gpt2': the service answered HTTP 500: no."
        " Nothing was changed. Try again later."
    )
    assert error.args == (str(error),)


def test_the_sentence_without_a_subject_or_a_state() -> None:
    error = BytezError(verb="list the models", observed="no answer.", state="", action="Wait.")
    assert str(error) == "could not list the models: no answer. Wait."


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_every_error_says_the_sentence(kind: type[BytezError]) -> None:
    error = kind(verb="load", subject="a/b", observed="x", action="y")
    assert str(error) == "could not load 'a/b': x. Nothing was changed. y."
    assert isinstance(error, BytezError)


def test_the_tree_in_the_docstring_is_the_hierarchy() -> None:
    drawn = {}
    trail: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│├└─ ]*)([A-Z]\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4
            trail = [*trail[:depth], found[2]]
            drawn[found[2]] = trail[-2] if depth else "Exception"
    assert drawn == {kind.__name__: (kind.__bases__[0]).__name__ for kind in EVERY_ERROR}


@pytest.mark.parametrize("name", [kind.__name__ for kind in EVERY_ERROR])
def test_every_error_has_a_sentence_of_its_own(name: str) -> None:
    assert re.fullmatch(r"[A-Z].*\.", (getattr(errors, name).__doc__ or "").splitlines()[0])


def test_a_boot_timeout_is_a_timeout() -> None:
    assert issubclass(BootTimeoutError, TimeoutError)


@pytest.mark.parametrize(
    ("kind", "status", "is_passing"),
    [
        (UnreachableError, None, True),
        (UnreachableError, 503, True),
        (RateLimitedError, 429, True),
        (MalformedAnswerError, 200, True),
        (MalformedAnswerError, 404, True),
        (ApiError, 500, True),
        (ApiError, 599, True),
        (ApiError, 499, False),
        (ApiError, 304, False),
        (ApiError, None, False),
        (AuthenticationError, 401, False),
        (CreditsError, 402, False),
    ],
)
def test_what_a_wait_outlives(kind: type[ApiError], status: int | None, is_passing: bool) -> None:
    error = kind(verb="load", observed="no", action="Wait", status=status)
    assert error.is_passing is is_passing
    assert error.restated(verb="unload").is_passing is is_passing  # type: ignore[attr-defined]


def test_restated_keeps_what_was_observed() -> None:
    error = UnreachableError(
        verb="read the status of",
        subject="a/b",
        observed="no answer",
        action="Wait",
        status=502,
        maybe_done=True,
    )
    told = error.restated(verb="refresh", state="It is still in state", action="Run it again")
    assert str(told) == "could not refresh 'a/b': no answer. It is still in state. Run it again."
    assert isinstance(told, UnreachableError)
    assert (told.status, told.maybe_done, told.observed) == (502, True, "no answer")
    assert told.args == (str(told),)
    assert str(error).startswith("could not read the status of")


def test_restated_without_changes_is_the_same_sentence() -> None:
    error = ApiError(verb="load", subject="a/b", observed="x", action="y")
    assert str(error.restated()) == str(error)


def test_the_default_state_is_that_nothing_was_changed() -> None:
    assert MissingKeyError(verb="load", observed="x", action="y").state == "Nothing was changed"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("  two\nlines\r\n\tand more ", "two lines and more"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "]0;title"),
        ("bell\x07\x00nul\x7f\x9b", "bell nul"),
        ("right\u202eto left", "right to left"),
        ("para\u2029graph", "para graph"),
        ("half \ud800 pair", "half pair"),
        ("marks\u200f\u061cturn it too", "marks turn it too"),
        ("nothing\u200b\xad\ufeffis seen", "nothing is seen"),
        ("of no meaning \ue000\U000e0041", "of no meaning"),
        ("grün ✓", "grün ✓"),
        ("", ""),
    ],
)
def test_printable_is_one_line_that_cannot_move_the_cursor(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_printable_is_cut() -> None:
    assert printable("x" * 300) == "x" * 300
    assert printable("x" * 301) == "x" * 299 + "…"
    assert printable("some words", limit=6) == "some…"
    assert len(printable("y" * 10_000_000)) == 300
