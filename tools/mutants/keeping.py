"""The journal: what is kept of a load, and who may change it."""

from __future__ import annotations

from tools.mutants.mutant import Mutant

_LEDGER = "bytez_provider/ownership/_ledger.py"
_STATES = "bytez_provider/ownership/_hearing.py"
_RECORDS = "bytez_provider/ownership/_records.py"
_WORK = "bytez_provider/ownership/_work.py"
_RECORD = "bytez_provider/ownership/_record.py"
_MACHINE = "bytez_provider/ownership/_machine.py"
_EARLIER = "bytez_provider/ownership/_earlier.py"

_TESTS = "tests/ownership/test_ledger.py"
_REQUESTING = (f"{_TESTS}::TestRequesting",)
_HELD = (f"{_TESTS}::TestHeld",)
_ADOPTING = (f"{_TESTS}::TestAdopting",)
_UNLOADING = (f"{_TESTS}::TestUnloading",)
_IDENTIFYING = (f"{_TESTS}::TestIdentifying",)
_HEARING = (f"{_TESTS}::TestHearing",)
_LISTING = (f"{_TESTS}::TestListing",)
_ANOTHER_KEY = (f"{_TESTS}::TestAnotherKey",)
_OF_EARLIER = ("tests/ownership/test_earlier.py",)
_OF_MACHINE = ("tests/ownership/test_machine.py",)
_INTERLEAVINGS = "tests/ownership/test_interleavings.py"

KEEPING = (
    # ------------------------------------------------------------------------------------- a wait
    Mutant(
        "a load that its deployment waits for is held",
        _LEDGER,
        """            held = record.model_copy(update={"holder": self._presence.holder()})
            with contextlib""",
        """            held = record
            with contextlib""",
        ("tests/lifecycle/test_create.py::TestAccepted",),
    ),
    Mutant(
        "a state is no proof against the record of an earlier key",
        _STATES,
        " or scan.carried_over(one.model_id, created)",
        "",
        ("tests/lifecycle/test_adopt.py::TestHolder",),
    ),
    # ---------------------------------------------------------------------------------- a request
    Mutant(
        "who asks is in the journal before the request",
        _LEDGER,
        """        version = self._put(record.model_id, record, entry, durable=True)
        work =""",
        """        version = entry.version
        work =""",
        _REQUESTING,
    ),
    Mutant(
        "it is on disk before the request",
        _LEDGER,
        "        version = self._put(record.model_id, record, entry, durable=True)\n        work =",
        "        version = self._put(record.model_id, record, entry)\n        work =",
        _REQUESTING,
    ),
    Mutant(
        "of a nameless resource nothing is kept",
        _LEDGER,
        "        if not who.urn:\n            # Nothing could find",
        "        if False:\n            # Nothing could find",
        _REQUESTING,
    ),
    Mutant(
        "the record that stood before an unclear request is kept in it",
        _LEDGER,
        'earlier.model_copy(update={"before": None}) if earlier else None',
        "None",
        _REQUESTING,
    ),
    Mutant(
        "of what stood before, only the last is kept",
        _LEDGER,
        'earlier.model_copy(update={"before": None}) if earlier else None',
        "earlier",
        _REQUESTING,
    ),
    Mutant(
        "what was accepted has nothing before it",
        _WORK,
        '            update = {"phase": Phase.ACCEPTED, "before": None}\n',
        '            update = {"phase": Phase.ACCEPTED}\n',
        _REQUESTING,
    ),
    Mutant(
        "what was refused puts back what stood there",
        _WORK,
        "            self.work.put(self.earlier)\n",
        "            self.work.put(None)\n",
        _REQUESTING,
    ),
    Mutant(
        "an unclear request keeps its record",
        _LEDGER,
        "        finally:\n            work.put(work.record)\n",
        "        finally:\n            work.put(None)\n",
        _REQUESTING,
    ),
    Mutant(
        "who is done lets go",
        _RECORD,
        '        return self.model_copy(update={"holder": None})\n',
        "        return self\n",
        _REQUESTING,
    ),
    Mutant(
        "what became of a request is said once",
        _WORK,
        """            if not self._is_over:
                self._is_over = True
""",
        """            if True:
                self._is_over = True
""",
        _REQUESTING,
    ),
    Mutant(
        "who has let go beats no more",
        _WORK,
        "            if not self._is_over and holder is not None:\n",
        "            if holder is not None:\n",
        _REQUESTING,
    ),
    Mutant(
        "who works on a load beats",
        _WORK,
        "            self._timer.start()\n",
        "",
        _REQUESTING,
    ),
    Mutant(
        "a heart stops with the last load",
        _WORK,
        "                    self._timer.cancel()\n",
        "",
        _REQUESTING,
    ),
    Mutant(
        "who was taken over has no say",
        _WORK,
        "        if own is not None and kept is not None and own.token == kept.token:\n",
        "        if True:\n",
        _HELD,
    ),
    Mutant(
        "a journal that fails after the request is no harm",
        _WORK,
        "        with contextlib.suppress(JournalError):\n            entry =",
        "        with contextlib.suppress(KeyError):\n            entry =",
        _REQUESTING,
    ),
    # ---------------------------------------------------------------------------- who works on it
    Mutant(
        "what a living process works on is left to it",
        _LEDGER,
        "record.holder is not None and self._lives(record.model_id, record.holder)\n",
        "False\n",
        _HELD,
    ),
    Mutant(
        "what a dead process worked on is gone on with",
        _LEDGER,
        "record.holder is not None and self._lives(record.model_id, record.holder)\n",
        "record.holder is not None\n",
        _HELD,
    ),
    Mutant(
        "nobody loads what a living process works on",
        _LEDGER,
        "        if self.is_held(record) or (is_young",
        "        if (is_young",
        (f"{_TESTS}::TestHeld", _INTERLEAVINGS),
    ),
    Mutant(
        "nobody takes over or unloads what a living process works on",
        _LEDGER,
        "(record != judgement.kept or self.is_held(record)):\n",
        "record != judgement.kept:\n",
        _ADOPTING,
    ),
    Mutant(
        "who beats lives",
        _LEDGER,
        "            if now.beat > holder.beat:\n",
        "            if False:\n",
        _HELD,
    ),
    Mutant(
        "who is silent is gone",
        _LEDGER,
        "                return True\n        return False\n",
        "                return True\n        return True\n",
        _HELD,
    ),
    Mutant(
        "who is silent for less than two beats may live",
        _LEDGER,
        "_SILENCE_SECONDS = 13.0\n",
        "_SILENCE_SECONDS = 6.0\n",
        _HELD,
    ),
    Mutant(
        "who was taken over by another is gone",
        _LEDGER,
        "            if now is None or now.token != holder.token:\n",
        "            if now is None:\n",
        _LISTING,
    ),
    Mutant(
        "a resource waits for another of its deployment",
        _LEDGER,
        "            if not is_ours or self._clock",
        "            if True or self._clock",
        _HELD,
    ),
    Mutant(
        "nobody waits for another deployment",
        _LEDGER,
        "            if not is_ours or self._clock",
        "            if self._clock",
        _HELD,
    ),
    Mutant(
        "a resource does not wait for ever",
        _LEDGER,
        "            if not is_ours or self._clock.monotonic() >= deadline:\n",
        "            if not is_ours or self._clock.monotonic() >= 60 * deadline:\n",
        _HELD,
    ),
    Mutant(
        "what another stack has just asked for may not show yet",
        _LEDGER,
        "or (is_young and not record.owner.is_of_stack(who)):\n",
        "or False:\n",
        _HELD,
    ),
    Mutant(
        "what this stack has just asked for is its own to ask for again",
        _LEDGER,
        "or (is_young and not record.owner.is_of_stack(who)):\n",
        "or is_young:\n",
        _HELD,
    ),
    Mutant(
        "what is finished is not waited for to show",
        _LEDGER,
        "        is_young = record.is_unfinished and now - record.began < _YOUNG\n",
        "        is_young = now - record.began < _YOUNG\n",
        _HELD,
    ),
    Mutant(
        "of two that ask at once one is refused",
        _LEDGER,
        """        except ChangedError:
            raise HeldError(self._entry(model_id).record or record) from None

    def adopt(""",
        """        except ZeroDivisionError:
            raise HeldError(self._entry(model_id).record or record) from None

    def adopt(""",
        _HELD,
    ),
    Mutant(
        "another machine's processes are not looked for on this one",
        _MACHINE,
        "        if holder.machine != self.machine:\n            return None\n",
        "",
        _OF_MACHINE,
    ),
    Mutant(
        "a journal that has ended does not live by its process",
        _MACHINE,
        "            return holder.token in _living\n",
        "            return True\n",
        _OF_MACHINE,
    ),
    Mutant(
        "a process that is not there is dead",
        _MACHINE,
        "        except ProcessLookupError:\n            return False\n",
        "        except ProcessLookupError:\n            return True\n",
        _OF_MACHINE,
    ),
    Mutant(
        "another process of the same number is not it",
        _MACHINE,
        "        return _started(holder.pid) == holder.started\n",
        "        return True\n",
        _OF_MACHINE,
    ),
    # --------------------------------------------------------------------- a take-over, an unload
    Mutant(
        "a take-over is in the journal",
        _LEDGER,
        "                self._put(live.model_id, record, entry, durable=True)\n",
        "                pass\n",
        _ADOPTING,
    ),
    Mutant(
        "a take-over is on disk before anything follows from it",
        _LEDGER,
        "                self._put(live.model_id, record, entry, durable=True)\n",
        "                self._put(live.model_id, record, entry)\n",
        _ADOPTING,
    ),
    Mutant(
        "of two that take it over at once one is refused",
        _LEDGER,
        """            except ChangedError:
                raise HeldError(self._entry(live.model_id).record or record) from None
        return Adoption""",
        """            except ChangedError:
                pass
        return Adoption""",
        _ADOPTING,
    ),
    Mutant(
        "a take-over by a nameless resource leaves the record alone",
        _LEDGER,
        "        if who.urn:\n            try:\n",
        "        if True:\n            try:\n",
        _ADOPTING,
    ),
    Mutant(
        "a take-over is later than the one before it",
        _LEDGER,
        "            now = max(now, earlier + timedelta(milliseconds=1))\n",
        "            pass\n",
        _ADOPTING,
    ),
    Mutant(
        "what changed since it was judged is judged again",
        _LEDGER,
        "(record != judgement.kept or self.is_held(record)):\n",
        "self.is_held(record):\n",
        (f"{_TESTS}::TestAdopting",),
    ),
    Mutant(
        "a take-over that came to nothing is undone",
        _LEDGER,
        "                self._put(record.model_id, before, entry)\n",
        "                pass\n",
        _ADOPTING,
    ),
    Mutant(
        "a take-over is not undone under the next one",
        _LEDGER,
        "entry.record is not None and entry.record.adopted_at == record.adopted_at:\n",
        "entry.record is not None:\n",
        _ADOPTING,
    ),
    Mutant(
        "an unload is held",
        _LEDGER,
        """                "holder": self._presence.holder(),
                "created": live.created,
""",
        """                "created": live.created,
""",
        _UNLOADING,
    ),
    Mutant(
        "an unload ends the record",
        _LEDGER,
        "                work.put(None)\n",
        "                work.put(known)\n",
        _UNLOADING,
    ),
    Mutant(
        "an unload that failed puts the record back",
        _LEDGER,
        "                    work.put(known)\n",
        "                    work.put(None)\n",
        _UNLOADING,
    ),
    Mutant(
        "of two that act at once one does not unload",
        _LEDGER,
        """                work.put(None)
        except ChangedError:
""",
        """                work.put(None)
        except ZeroDivisionError:
""",
        _UNLOADING,
    ),
    # ------------------------------------------------------------------------------- its identity
    Mutant(
        "a request is given the identity of its load",
        _LEDGER,
        "        if record is not None and is_open and who.urn and record.owner.is_same(who):\n",
        "        if False:\n",
        _IDENTIFYING,
    ),
    Mutant(
        "of another's request a load is not the identity",
        _LEDGER,
        "        if record is not None and is_open and who.urn and record.owner.is_same(who):\n",
        "        if record is not None and is_open:\n",
        _IDENTIFYING,
    ),
    Mutant(
        "a load has one identity",
        _LEDGER,
        "is_open = record is not None and record.created is None and record.is_unfinished\n",
        "is_open = record is not None and record.is_unfinished\n",
        _IDENTIFYING,
    ),
    Mutant(
        "what no load is identified by is no identity",
        _LEDGER,
        "        if created is None:\n            return\n        work = self",
        "        work = self",
        _IDENTIFYING,
    ),
    Mutant(
        "a state that names no load means what its own record means",
        _LEDGER,
        "        return record.claim if record is not None and is_own else Claim()\n",
        "        return record.claim if record is not None else Claim()\n",
        (f"{_TESTS}::TestIdentifying",),
    ),
    # ---------------------------------------------------------------------- what the states prove
    Mutant(
        "a preview writes nothing",
        _STATES,
        "            self._changes = not is_preview\n",
        "            self._changes = True\n",
        _HEARING,
    ),
    Mutant(
        "a preview stays one",
        _STATES,
        "        if self._changes is None:\n            self._changes = not",
        "        if True:\n            self._changes = not",
        _HEARING,
    ),
    Mutant(
        "nothing is written before it is known to be no preview",
        _STATES,
        """        if self._changes:
            self._write_what_was_heard()

    def finds""",
        """        self._write_what_was_heard()

    def finds""",
        _HEARING,
    ),
    Mutant(
        "what is gone is not ended before it is known to be no preview",
        _STATES,
        """        if self._changes:
            self._write_what_was_heard()

    def deploys""",
        """        self._write_what_was_heard()

    def deploys""",
        _HEARING,
    ),
    Mutant(
        "what a state names is confirmed",
        _STATES,
        """                "phase": Phase.CONFIRMED,
                "adopted_at": named""",
        """                "adopted_at": named""",
        _HEARING,
    ),
    Mutant(
        "what names no load proves nothing",
        _STATES,
        "        if not who.urn or named.created is None:\n            return\n        if (model",
        "        if (model",
        _HEARING,
    ),
    Mutant(
        "a state that this process made is no proof",
        _STATES,
        "        if (model_id, named.created) in self._unproven:\n",
        "        if False:\n",
        _HEARING,
    ),
    Mutant(
        "what somebody works on is not confirmed",
        _STATES,
        "known.holder is not None and self._presence.is_alive(known.holder) is not False:\n",
        "False:\n",
        _HEARING,
    ),
    Mutant(
        "what another machine may work on is not confirmed",
        _STATES,
        "self._presence.is_alive(known.holder) is not False:\n",
        "self._presence.is_alive(known.holder) is True:\n",
        _HEARING,
    ),
    Mutant(
        "what a dead process worked on is confirmed",
        _STATES,
        "known.holder is not None and self._presence.is_alive(known.holder) is not False:\n",
        "known.holder is not None:\n",
        _HEARING,
    ),
    Mutant(
        "a state confirms no request of another",
        _STATES,
        "            is_it = known.owner.is_same(who) and known.claim.covers(seen)\n",
        "            is_it = known.claim.covers(seen)\n",
        _HEARING,
    ),
    Mutant(
        "a state confirms no request for another load",
        _STATES,
        "            is_it = known.owner.is_same(who) and known.claim.covers(seen)\n",
        "            is_it = known.owner.is_same(who)\n",
        _HEARING,
    ),
    Mutant(
        "an older state is no proof against a later load",
        _STATES,
        "            return mine if is_later and known.owner.is_of_stack(who) else None\n",
        "            return mine if known.owner.is_of_stack(who) else None\n",
        _HEARING,
    ),
    Mutant(
        "a state is no proof against a take-over after it",
        _STATES,
        "            is_later = named.created > max(known.created, known.began)\n",
        "            is_later = named.created > known.created\n",
        _HEARING,
    ),
    Mutant(
        "a later state is no proof against another stack's load",
        _STATES,
        "            return mine if is_later and known.owner.is_of_stack(who) else None\n",
        "            return mine if is_later else None\n",
        _HEARING,
    ),
    Mutant(
        "the same claim is confirmed, under whatever name",
        _STATES,
        "        if not is_claim and not (one.stays and known.owner.is_of_stack(who)):\n",
        "        if not (one.stays and known.owner.is_of_stack(who)):\n",
        ("tests/lifecycle/test_read.py::TestLoaded",),
    ),
    Mutant(
        "an older owner does not take back what was taken over",
        _STATES,
        "        if not is_claim and not (one.stays and known.owner.is_of_stack(who)):\n",
        "        if False:\n",
        _HEARING,
    ),
    Mutant(
        "of two that name one load only the one that stays has it",
        _STATES,
        "        if not is_claim and not (one.stays and known.owner.is_of_stack(who)):\n",
        "        if not is_claim and not known.owner.is_of_stack(who):\n",
        _HEARING,
    ),
    Mutant(
        "what stays in this stack is not what another one took over",
        _STATES,
        "        if not is_claim and not (one.stays and known.owner.is_of_stack(who)):\n",
        "        if not is_claim and not one.stays:\n",
        _HEARING,
    ),
    Mutant(
        "what is confirmed already is not written again",
        _STATES,
        "        return None if kept == known else kept\n",
        "        return kept\n",
        _HEARING,
    ),
    Mutant(
        "what is confirmed is what is there now",
        _STATES,
        """        confirmed = self._confirmed(one, entry.record)
        if confirmed""",
        """        if confirmed""",
        _HEARING,
    ),
    Mutant(
        "what cannot be confirmed is no error",
        _STATES,
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
        _STATES,
        "record.created == created and record.owner.is_of_stack(who):\n",
        "record.owner.is_of_stack(who):\n",
        _HEARING,
    ),
    Mutant(
        "a load that is gone to one stack is not gone to another",
        _STATES,
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
        " if one.created == created), None)",
        "), None)",
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
