"""The guards, and for each of them a mutant: the same code with the guard taken out.

A mutant is a few lines of one file, which must occur in it exactly once, and what stands there
instead. `tests/mutants` says when one no longer fits; `python -m tools.mutants` says whether the
tests still notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class MisfitError(Exception):
    """The code has changed, and the mutant with it must."""


@dataclass(frozen=True)
class Mutant:
    """A guard, taken out.

    Attributes:
        guard: What guards, in words; unique.
        path: The file, from the root.
        old: The lines with the guard.
        new: The same lines without it.
        tests: Tests that are to notice, as pytest is given them.
    """

    guard: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, root: Path) -> str:
        """Return the text of the file with the guard taken out.

        Raises:
            MisfitError: Its lines do not occur, or occur more than once.
        """
        text = (root / self.path).read_text(encoding="utf-8")
        found = text.count(self.old)
        if found != 1:
            raise MisfitError(f"'{self.guard}': its lines occur {found} times in {self.path}")
        return text.replace(self.old, self.new)


NAMED = (
    "journal",
    "rollback",
    "identity of a load",
    "delete waits",
    "holder memory",
    "Cancel hook",
)
"""The guards that there must be a mutant for, whatever others there are."""

_LIFECYCLE = "bytez_provider/lifecycle/_lifecycle.py"
_LOADING = "bytez_provider/lifecycle/_loading.py"
_UNLOADING = "bytez_provider/lifecycle/_unloading.py"
_COMPARE = "bytez_provider/lifecycle/_compare.py"
_WAITER = "bytez_provider/waiter.py"
_JOURNAL = "bytez_provider/journal.py"
_HOST = "bytez_provider/host.py"
_ANSWERS = "bytez_provider/client/_answers.py"

_CREATE = "tests/lifecycle/test_create.py"
_READ = "tests/lifecycle/test_read.py"
_DELETE = "tests/lifecycle/test_delete.py"
_RESUME = "tests/lifecycle/test_resume.py"
_ADOPT = "tests/lifecycle/test_adopt.py"
_KILL_POINTS = "tests/wire/test_kill_points.py"

MUTANTS = (
    # ------------------------------------------------------------------ what is noted, and how long
    Mutant(
        "journal",
        _JOURNAL,
        """        if not note.urn:
            return
""",
        "        return\n",
        (_RESUME,),
    ),
    Mutant(
        "the note stays until RUNNING",
        _LOADING,
        """            self._journal.release(model_id)
            self._journal.forget_earlier(note)
""",
        """            self._journal.release(model_id)
            self._journal.clear(caller.urn)
            self._journal.forget_earlier(note)
""",
        (_RESUME,),
    ),
    Mutant(
        "the note stays until the answer is saved",
        _LOADING,
        "        self._journal.finish(model_id, caller.urn)\n        if taken",
        "        self._journal.clear(caller.urn)\n        if taken",
        (f"{_KILL_POINTS}::test_a_create[RUNNING-before-the-engine-has-saved-it]",),
    ),
    Mutant(
        "what a Cancel ends is not saved by it",
        _HOST,
        "one for one in self._unsaved if not one[0].is_active()]",
        "one for one in self._unsaved]",
        ("tests/host/test_host.py::TestSaved",),
    ),
    Mutant(
        "a note of what the state names is cleared",
        _LIFECYCLE,
        "        self._forget_what_is_named(old, caller)\n        claim",
        "        claim",
        (f"{_READ}::TestLoaded",),
    ),
    Mutant(
        "what others noted of a load taken over is cleared",
        _LOADING,
        "            if note.urn != caller.urn and is_of(note, taken_over):\n",
        "            if False:\n",
        (_ADOPT,),
    ),
    Mutant(
        "the note of one that was killed taking it over stays",
        _LIFECYCLE,
        "        of_stack = not self._is_held_by_another(old, created)\n",
        "        of_stack = True\n",
        (f"{_READ}::TestLoaded",),
    ),
    Mutant(
        "the note stays when the engine is gone",
        _LOADING,
        """        if caller.stop() is Stop.ENGINE_GONE:
            # Nobody takes""",
        """        if False:
            # Nobody takes""",
        (_RESUME,),
    ),
    Mutant(
        "the note stays where no try had an answer",
        _LOADING,
        "            if isinstance(error, ApiError) and error.maybe_done:\n",
        "            if False:\n",
        (_CREATE,),
    ),
    Mutant(
        "a leftover that may not show yet is not forgotten",
        _LOADING,
        "        if live is None and note.created is None and since < NOT_FOUND_GRACE_SECONDS:\n",
        "        if False:\n",
        (_RESUME,),
    ),
    Mutant(
        "notes are kept apart by account",
        _JOURNAL,
        '(self._owner["endpoint"], self._owner["account"], subject)',
        '(self._owner["endpoint"], subject)',
        ("tests/lifecycle/test_journal.py::TestNotes",),
    ),
    # ----------------------------------------------------------------------------- whose load it is
    Mutant(
        "identity of a load",
        _WAITER,
        "            return instance.created == self.created\n",
        "            return True\n",
        (_DELETE,),
    ),
    Mutant(
        "identity of a noted load",
        _COMPARE,
        "        return live.created == note.created\n",
        "        return True\n",
        (_RESUME,),
    ),
    Mutant(
        "a note is good for minutes",
        _COMPARE,
        "    return note.began - CLOCK_TOLERANCE <= live.created <= note.began + _RESUME_WINDOW\n",
        "    return True\n",
        (_RESUME,),
    ),
    Mutant(
        "after a lost answer, a load is known by when it was made",
        _LOADING,
        "        if own is not None and is_of(own, live):\n",
        "        if own is not None:\n",
        (_CREATE,),
    ),
    Mutant(
        "a lost answer is remembered",
        _LOADING,
        "        own = note if answer.answer_lost else None\n",
        "        own = None\n",
        (_CREATE,),
    ),
    Mutant(
        "adopt is consent",
        _LOADING,
        "        if not (inputs.adopt or model_id in self._consent.adopt):\n",
        "        if False:\n",
        (_ADOPT,),
    ),
    Mutant(
        "holder memory",
        _JOURNAL,
        '''"""Note that the instance was taken over, so that its older resources leave it alone."""
        self._save(
''',
        '''"""Note that the instance was taken over, so that its older resources leave it alone."""
        return
        self._save(
''',
        (_ADOPT,),
    ),
    Mutant(
        "an expiry is not accepted where a load was begun since",
        _LIFECYCLE,
        'accepts = old.on_expiry == "accept" and note is None\n',
        'accepts = old.on_expiry == "accept"\n',
        (_READ,),
    ),
    Mutant(
        "what stays is not ended by the delete of another",
        _LIFECYCLE,
        "        elif self._stays_with_another(old, live.created):\n",
        "        elif False:\n",
        (_ADOPT,),
    ),
    Mutant(
        "who leaves a load to another holds it no longer",
        _LIFECYCLE,
        """ it.
            self._journal.release(model_id)
        else:
""",
        """ it.
        else:
""",
        (_ADOPT,),
    ),
    Mutant(
        "not found under another key is not gone",
        _LIFECYCLE,
        "        if same or self._consent.account_change or old.status == NOT_LOADED:\n",
        "        if True:\n",
        (_READ,),
    ),
    Mutant(
        "a service that broke down is not gone",
        _ANSWERS,
        "    (Kind.SERVER_ERROR, lambda s: s.status >= 500),\n",
        "",
        ("tests/client/test_hostile_answers.py",),
    ),
    Mutant(
        "a 404 alone is not gone",
        _ANSWERS,
        "    (Kind.NOT_THE_API, lambda s: s.status == 404),\n",
        "    (Kind.NOT_LOADED, lambda s: s.status == 404),\n",
        ("tests/client/test_hostile_answers.py",),
    ),
    Mutant(
        "the words of a gateway are not the API's",
        _ANSWERS,
        "own_error(reading.payload)[:_KEPT]",
        "reading.words",
        ("tests/client/test_hostile_answers.py",),
    ),
    Mutant(
        "another model's answer is not about this one",
        _ANSWERS,
        "        return bool(self.model_id and self.names) and self.model_id not in self.names\n",
        "        return False\n",
        ("tests/client/test_hostile_answers.py",),
    ),
    Mutant(
        "no answer is not gone",
        _LIFECYCLE,
        '        with self._told_of_state("read", old):\n',
        "        live = None\n        with suppress(BytezError):\n",
        (_READ,),
    ),
    Mutant(
        "the list is not believed in bad news",
        "bytez_provider/wire.py",
        "        if is_whole(one) and one.phase in going and often[one.model_id] == 1\n",
        "",
        ("tests/fleet/test_poller.py",),
    ),
    Mutant(
        "another load on the list is not ours",
        "bytez_provider/poller.py",
        "if one is None or not covers(one):",
        "if one is None:",
        ("tests/fleet/test_poller.py",),
    ),
    # ----------------------------------------------------------------- what is left, and said of it
    Mutant(
        "rollback",
        _UNLOADING,
        "            if may_be_there:\n",
        "            if False:\n",
        (_CREATE,),
    ),
    Mutant(
        "what is not shown yet is looked for before it is unloaded",
        _LIFECYCLE,
        "            if live is None and self._is_young(old, claim):\n",
        "            if False:\n",
        (_DELETE,),
    ),
    Mutant(
        "delete waits",
        _UNLOADING,
        "left = self._waiter.until_unloaded(model_id, claim, limit_seconds=limit_seconds)",
        "left = None",
        (_DELETE,),
    ),
    Mutant(
        "not found is still going, for a minute",
        _WAITER,
        "NOT_FOUND_GRACE_SECONDS = 60.0\n",
        "NOT_FOUND_GRACE_SECONDS = 0.0\n",
        (_CREATE,),
    ),
    Mutant(
        "a boot outlives a service that does not answer",
        _WAITER,
        "            if error.is_passing:\n                return None, error\n",
        "",
        (_CREATE,),
    ),
    Mutant(
        "of a fleet only what FAILED is unloaded",
        _LIFECYCLE,
        "        if live is not None and live.phase is Phase.FAILED and claim.covers(live):\n",
        "        if live is not None:\n",
        ("tests/fleet/test_readiness.py",),
    ),
    Mutant(
        "the old one is deleted before the new one is created",
        "bytez_provider/provider.py",
        "            delete_before_replace=True,\n",
        "            delete_before_replace=False,\n",
        ("tests/provider/test_model_provider.py",),
    ),
    # -------------------------------------------------------------------------------- Pulumi's host
    Mutant(
        "Cancel hook",
        _HOST,
        '            "the table of handlers": _hook_cancel,\n',
        '            "the table of handlers": lambda: None,\n',
        ("tests/wire/test_models.py::TestStopped",),
    ),
    Mutant(
        "who is gone is noticed",
        _HOST,
        "            return Stop.ENGINE_GONE\n",
        "            return None\n",
        ("tests/host/test_host.py::TestEngineGone",),
    ),
    Mutant(
        "as many calls at once as the engine has",
        _HOST,
        "        pool._max_workers = max(pool._max_workers, _WORKERS)\n",
        "        pass\n",
        ("tests/wire/test_models.py::TestWaiting::test_sixty_creates_are_in_flight_at_once",),
    ),
    Mutant(
        "an error is one sentence",
        _HOST,
        '"the formatting of errors": functools.partial(_shorten_errors, frame.f_globals),',
        "",
        ("tests/wire/test_models.py::TestErrors",),
    ),
    # -------------------------------------------------------------------------------------- the key
    Mutant(
        "the key is hidden in what a server says",
        _ANSWERS,
        "        shown = key.hide_in(text[: 2 * _KEPT])[:_KEPT]\n",
        "        shown = text[:_KEPT]\n",
        ("tests/client/test_secrets.py",),
    ),
    Mutant(
        "the key is hidden in what a server answers",
        _ANSWERS,
        "payload = _without(key, json.loads(text, parse_constant=_refuse_constant))",
        "payload = json.loads(text, parse_constant=_refuse_constant)",
        ("tests/client/test_secrets.py",),
    ),
    Mutant(
        "the key is not sent to another host",
        "bytez_provider/client/_transport.py",
        "            if _origin(target) == _origin(url):\n",
        "            if True:\n",
        ("tests/client/test_redirects.py",),
    ),
    Mutant(
        "the key is not sent where only a pull request says",
        "bytez_provider/config.py",
        "    if _is_loopback(parts) or _origin(parts) == DEFAULT_ENDPOINT:\n        return\n",
        "    return\n",
        ("tests/unit/test_config.py",),
    ),
)
