"""The sentence, its code, and what may stand in it."""

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
    ErrorCode,
    MalformedAnswerError,
    Problem,
    RateLimitedError,
    UnreachableError,
    did_you_mean,
    printable,
)

EVERY_ERROR = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, BytezError) and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_every_error_says_the_sentence(kind: type[BytezError]) -> None:
    error = kind(verb="load", subject="a/b", observed="x", action="y")
    assert str(error) == "could not load 'a/b': x. Nothing was changed. y."
    assert error.args == (str(error),)
    assert re.fullmatch(r"[A-Z].*\.", (kind.__doc__ or "").splitlines()[0])


def test_the_sentence_without_a_subject_or_a_state() -> None:
    error = BytezError(verb="list the models", observed="no answer.", state="", action="Wait.")
    assert str(error) == "could not list the models: no answer. Wait."


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in EVERY_ERROR]
    assert sorted(codes, key=str) == sorted(ErrorCode, key=str)


def test_a_class_outside_has_the_code_of_its_parent() -> None:
    class PoorError(CreditsError):
        """Of a program."""

    assert PoorError.code is ErrorCode.CREDITS


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
    assert issubclass(BootTimeoutError, TimeoutError)


@pytest.mark.parametrize(
    ("kind", "status", "is_passing"),
    [
        (UnreachableError, None, True),
        (RateLimitedError, 429, True),
        (MalformedAnswerError, 404, True),
        (ApiError, 500, True),
        (ApiError, 599, True),
        (ApiError, 499, False),
        (ApiError, None, False),
        (AuthenticationError, 401, False),
        (CreditsError, 402, False),
    ],
)
def test_which_errors_a_wait_survives(
    kind: type[ApiError], status: int | None, is_passing: bool
) -> None:
    error = kind(verb="load", observed="no", action="Wait", status=status)
    assert error.is_passing is is_passing


def test_restated_keeps_what_it_is_not_given() -> None:
    error = UnreachableError(
        verb="read the status of",
        subject="a/b",
        observed="no answer",
        action="Wait",
        status=502,
        maybe_done=True,
    )
    twin = error.restated(verb="refresh", state="It is still in state", action="Run it again")
    assert str(twin) == "could not refresh 'a/b': no answer. It is still in state. Run it again."
    assert isinstance(twin, UnreachableError)
    assert (twin.status, twin.maybe_done, twin.observed) == (502, True, "no answer")
    assert twin.args == (str(twin),)
    assert str(error.restated()) == str(error)


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
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 299 + "…"),
    ],
)
def test_printable_is_one_line_that_cannot_move_the_cursor(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_printable_is_cut_after_a_word() -> None:
    assert printable("some words", limit=6) == "some…"
    assert len(printable("y" * 10_000_000)) == 300


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "; did you mean 'a'?"),
        (["a", "b\n"], "; did you mean 'a' or 'b'?"),
        (["a", "b", "c"], "; did you mean 'a', 'b' or 'c'?"),
    ],
)
def test_did_you_mean(names: list[str], text: str) -> None:
    assert did_you_mean(names) == text
    assert str(Problem("f", 2, 1, "no", tuple(names))) == f"f:2: no{text}"
    assert str(Problem("f", None, None, "no", tuple(names))) == f"no{text}"
