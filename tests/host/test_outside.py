"""`bytez_provider.dynamic.host` outside a host, and in a changed one."""

from __future__ import annotations

import sys
import threading
import traceback
from types import SimpleNamespace
from typing import Any

import pytest

from bytez_provider.base.errors import NotLoadedError
from bytez_provider.dynamic import host

ERROR = NotLoadedError(verb="read", subject="a/b", observed="it is not loaded", action="Load it")


def formatted(module: dict[str, object], error: Exception) -> str:
    """Return what the host with these globals would send."""
    stand_in: Any = module["traceback"]
    try:
        raise error
    except type(error):
        return str(stand_in.format_exc())


def test_the_call_knows_nothing_and_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with host.current_call() as call:
        call.report("a")
        call.note("b")
        call.warn("c")
        call.debug("d")
        assert (call.urn, call.timeout_seconds) == (None, None)
        assert call.stop() is None
        assert not call.wake.is_set()
    assert capsys.readouterr() == ("", "")


def test_a_frame_that_only_looks_like_the_servicers_is_ignored() -> None:
    request, context = SimpleNamespace(urn="urn:pulumi:s::p::t::n"), SimpleNamespace()
    call = host.current_call()
    assert (request.urn, vars(context), call.urn) == ("urn:pulumi:s::p::t::n", {}, None)


def test_prepare_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test may have prepared this process.
    monkeypatch.setattr(host, "_prepared", threading.Event())
    host.prepare()
    assert not host._prepared.is_set()
    assert not hasattr(sys, "tracebacklimit")


def test_errors_are_shortened_in_the_hosts_module_only() -> None:
    module: dict[str, object] = {"traceback": traceback}
    host._shorten_errors(module)
    assert formatted(module, ERROR) == str(ERROR)
    assert formatted(module, ValueError("theirs")).startswith("Traceback (most recent call last):")
    stand_in: Any = module["traceback"]
    assert stand_in is not traceback
    assert stand_in.print_exc is traceback.print_exc
    assert not hasattr(sys, "tracebacklimit")


def test_without_that_name_all_tracebacks_are_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "tracebacklimit", 1000, raising=False)
    host._shorten_errors({})
    assert sys.tracebacklimit == 0


def test_a_missing_table_is_an_error_for_prepare_to_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "_CANCEL", "/pulumirpc.ResourceProvider/Moved")
    with pytest.raises(LookupError, match="Moved"):
        host._hook_cancel()
