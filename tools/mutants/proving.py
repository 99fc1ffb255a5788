"""The journal: what states prove, what ends a record, and records of other keys and formats."""

from __future__ import annotations

from tools.mutants.mutant import Mutant

_LEDGER = "bytez_provider/core/ownership/_ledger.py"
_HEARING_ROOM = "bytez_provider/core/ownership/_hearing.py"
_RECORDS = "bytez_provider/core/ownership/_records.py"
_EARLIER = "bytez_provider/core/ownership/_earlier.py"

_TESTS = "tests/ownership/test_ledger.py"
_HEARING = (f"{_TESTS}::TestHearing",)
_LISTING = (f"{_TESTS}::TestListing",)
_ANOTHER_KEY = (f"{_TESTS}::TestAnotherKey",)
_OF_EARLIER = ("tests/ownership/test_earlier.py",)

PROVING = (
    # ---------------------------------------------------------------------- what the states prove
    Mutant(
        "a preview writes nothing",
        _HEARING_ROOM,
        "            self._changes = not is_preview\n",
        "            self._changes = True\n",
        _HEARING,
    ),
    Mutant(
        "a preview stays one",
        _HEARING_ROOM,
        "        if self._changes is None:\n            self._changes = not",
        "        if True:\n            self._changes = not",
        _HEARING,
    ),
    Mutant(
        "nothing is written before it is known to be no preview",
        _HEARING_ROOM,
        """        if self._changes:
            self._write_what_was_heard()

    def finds""",
        """        self._write_what_was_heard()

    def finds""",
        _HEARING,
    ),
    Mutant(
        "what is gone is not ended before it is known to be no preview",
        _HEARING_ROOM,
        """        if self._changes:
            self._write_what_was_heard()

    def deploys""",
        """        self._write_what_was_heard()

    def deploys""",
        _HEARING,
    ),
    Mutant(
        "what a state names is confirmed",
        _HEARING_ROOM,
        """                "phase": Phase.CONFIRMED,
                "adopted_at": named""",
        """                "adopted_at": named""",
        _HEARING,
    ),
    Mutant(
        "what names no load proves nothing",
        _HEARING_ROOM,
        "        if not who.urn or named.created is None:\n            return\n        if (model",
        "        if (model",
        _HEARING,
    ),
    Mutant(
        "a state that this process made is no proof",
        _HEARING_ROOM,
        "        if (model_id, named.created) in self._unproven:\n",
        "        if False:\n",
        _HEARING,
    ),
    Mutant(
        "what somebody works on is not confirmed",
        _HEARING_ROOM,
        "known.holder is not None and self._presence.is_alive(known.holder) is not False:\n",
        "False:\n",
        _HEARING,
    ),
    Mutant(
        "what another machine may work on is not confirmed",
        _HEARING_ROOM,
        "self._presence.is_alive(known.holder) is not False:\n",
        "self._presence.is_alive(known.holder) is True:\n",
        _HEARING,
    ),
    Mutant(
        "what a dead process worked on is confirmed",
        _HEARING_ROOM,
        "known.holder is not None and self._presence.is_alive(known.holder) is not False:\n",
        "known.holder is not None:\n",
        _HEARING,
    ),
    Mutant(
        "a state confirms no request of another",
        _HEARING_ROOM,
        "            is_it = known.owner.is_same(who) and known.claim.covers(seen)\n",
        "            is_it = known.claim.covers(seen)\n",
        _HEARING,
    ),
    Mutant(
        "a state confirms no request for another load",
        _HEARING_ROOM,
        "            is_it = known.owner.is_same(who) and known.claim.covers(seen)\n",
        "            is_it = known.owner.is_same(who)\n",
        _HEARING,
    ),
    Mutant(
        "an older state is no proof against a later load",
        _HEARING_ROOM,
        "            return mine if is_later and known.owner.is_of_stack(who) else None\n",
        "            return mine if known.owner.is_of_stack(who) else None\n",
        _HEARING,
    ),
    Mutant(
        "a state is no proof against a take-over after it",
        _HEARING_ROOM,
        "            is_later = named.created > max(known.created, known.began)\n",
        "            is_later = named.created > known.created\n",
        _HEARING,
    ),
    Mutant(
        "a later state is no proof against another stack's load",
        _HEARING_ROOM,
        "            return mine if is_later and known.owner.is_of_stack(who) else None\n",
        "            return mine if is_later else None\n",
        _HEARING,
    ),
    Mutant(
        "the same claim is confirmed, under whatever name",
        _HEARING_ROOM,
        "        if not is_claim and not (one.stays and known.owner.is_of_stack(who)):\n",
        "        if not (one.stays and known.owner.is_of_stack(who)):\n",
        ("tests/lifecycle/test_read.py::TestLoaded",),
    ),
    Mutant(
        "an older owner does not take back what was taken over",
        _HEARING_ROOM,
        "        if not is_claim and not (one.stays and known.owner.is_of_stack(who)):\n",
        "        if False:\n",
        _HEARING,
    ),
    Mutant(
        "of two that name one load only the one that stays has it",
        _HEARING_ROOM,
        "        if not is_claim and not (one.stays and known.owner.is_of_stack(who)):\n",
        "        if not is_claim and not known.owner.is_of_stack(who):\n",
        _HEARING,
    ),
    Mutant(
        "what stays in this stack is not what another one took over",
        _HEARING_ROOM,
        "        if not is_claim and not (one.stays and known.owner.is_of_stack(who)):\n",
        "        if not is_claim and not one.stays:\n",
        _HEARING,
    ),
    Mutant(
        "what is confirmed already is not written again",
        _HEARING_ROOM,
        "        return None if kept == known else kept\n",
        "        return kept\n",
        _HEARING,
    ),
    Mutant(
        "what is confirmed is what is there now",
        _HEARING_ROOM,
        """        confirmed = self._confirmed(one, entry.record)
        if confirmed""",
        """        if confirmed""",
        _HEARING,
    ),
    Mutant(
        "what cannot be confirmed is no error",
        _HEARING_ROOM,
        """            with contextlib.suppress(ChangedError, JournalError):
                self._confirm(one)
""",
        """            with contextlib.suppress(ChangedError):
                self._confirm(one)
""",
        (_TESTS,),
    ),
    Mutant(
        "a load that is gone ends no record of another load",
        _HEARING_ROOM,
        "record.created == created and record.owner.is_of_stack(who):\n",
        "record.owner.is_of_stack(who):\n",
        _HEARING,
    ),
    Mutant(
        "a load that is gone to one stack is not gone to another",
        _HEARING_ROOM,
        "record.created == created and record.owner.is_of_stack(who):\n",
        "record.created == created:\n",
        _HEARING,
    ),
    # ------------------------------------------------------------------------- what ends a record
    Mutant(
        "only its owner ends a record",
        _LEDGER,
        "        if record is None or not record.owner.is_same(who):\n",
        "        if record is None:\n",
        _LISTING,
    ),
    Mutant(
        "a record is ended with its own load only",
        _LEDGER,
        "        if created is None or record.created in (None, created):\n",
        "        if True:\n",
        _LISTING,
    ),
    Mutant(
        "what was listed is forgotten only if it is still so",
        _LEDGER,
        "        if entry.record == record:\n",
        "        if True:\n",
        _LISTING,
    ),
    Mutant(
        "leftovers are of other models",
        _LEDGER,
        "            if one.model_id != model_id and one.is_unfinished",
        "            if one.is_unfinished",
        _LISTING,
    ),
    Mutant(
        "leftovers are unfinished",
        _LEDGER,
        " and one.is_unfinished and one.owner.is_same(who)\n",
        " and one.owner.is_same(who)\n",
        _LISTING,
    ),
    Mutant(
        "leftovers are this resource's own",
        _LEDGER,
        " and one.is_unfinished and one.owner.is_same(who)\n",
        " and one.is_unfinished\n",
        _LISTING,
    ),
    Mutant(
        "what was ended since it was listed is no leftover",
        _LEDGER,
        "            if self._entry(one.model_id).record == one\n",
        "",
        _LISTING,
    ),
    # ------------------------------------------------------------------ other keys, other formats
    Mutant(
        "under another key a load is known by its identity",
        _RECORDS,
        "        if record is None and created is not None:\n",
        "        if False:\n",
        _ANOTHER_KEY,
    ),
    Mutant(
        "under another key another load is another account's",
        _RECORDS,
        "(one for _, one in others if one.created == created)",
        "(one for _, one in others)",
        _ANOTHER_KEY,
    ),
    Mutant(
        "under another key the record of what runs is listed",
        _RECORDS,
        "                known.setdefault(one.model_id, record)\n",
        "                pass\n",
        _ANOTHER_KEY,
    ),
    Mutant(
        "records of another key are not listed",
        _RECORDS,
        "record = _parsed(content, self._account)\n            if",
        "record = _parsed(content, {})\n            if",
        _ANOTHER_KEY,
    ),
    Mutant(
        "records of another service are of no account here",
        _RECORDS,
        '_parsed(content, {"endpoint": self._account["endpoint"]})',
        "_parsed(content, {})",
        _ANOTHER_KEY,
    ),
    Mutant(
        "records are kept apart by account",
        _RECORDS,
        '        parts = "\\n".join((*self._account.values(), model_id))\n',
        '        parts = "\\n".join((self._account["endpoint"], model_id))\n',
        _ANOTHER_KEY,
    ),
    Mutant(
        "the earlier format is carried over",
        _RECORDS,
        "        record = self.earlier.get(model_id)\n",
        "        record = None\n",
        _OF_EARLIER,
    ),
    Mutant(
        "what is carried over is removed",
        _RECORDS,
        "        if scan is not None and scan.earlier.pop(model_id, None) is not None:\n",
        "        if False:\n",
        _OF_EARLIER,
    ),
    Mutant(
        "what is carried over is of this account",
        _EARLIER,
        "        if kept is None or any(kept.get(k) != v for k, v in account.items()):\n",
        "        if kept is None:\n",
        _OF_EARLIER,
    ),
    Mutant(
        "of two notes the later one counts",
        _EARLIER,
        "sorted(notes, key=lambda one: one.began)",
        "sorted(notes, key=lambda one: one.began, reverse=True)",
        _OF_EARLIER,
    ),
    Mutant(
        "a note without an answer is one without an answer",
        _EARLIER,
        "            phase=Phase.ACCEPTED if created else Phase.REQUESTED,\n",
        "            phase=Phase.ACCEPTED,\n",
        _OF_EARLIER,
    ),
    Mutant(
        "a take-over of another load says nothing of a note",
        _EARLIER,
        "        elif known.created == created:\n",
        "        else:\n",
        _OF_EARLIER,
    ),
)
