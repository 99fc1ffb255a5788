"""The journal: what is kept of a load, and who may change it."""

from __future__ import annotations

from tools.mutants.mutant import Mutant

_LEDGER = "bytez_provider/core/ownership/_ledger.py"
_WORK = "bytez_provider/core/ownership/_work.py"
_RECORD = "bytez_provider/core/ownership/_record.py"
_MACHINE = "bytez_provider/core/ownership/_machine.py"

_TESTS = "tests/ownership/test_ledger.py"
_REQUESTING = (f"{_TESTS}::TestRequesting",)
_HELD = (f"{_TESTS}::TestHeld",)
_ADOPTING = (f"{_TESTS}::TestAdopting",)
_UNLOADING = (f"{_TESTS}::TestUnloading",)
_WAITING = (f"{_TESTS}::TestWaiting",)
_IDENTIFYING = (f"{_TESTS}::TestIdentifying",)
_LISTING = (f"{_TESTS}::TestListing",)
_FAILS = ("tests/lifecycle/test_journal_fails.py",)
_OF_MACHINE = ("tests/ownership/test_machine.py",)
_INTERLEAVINGS = "tests/ownership/test_interleavings.py"

KEEPING = (
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
        "an own write whose answer was lost is its own",
        _WORK,
        "        if own is not None and kept is not None and own.token == kept.token:\n",
        "        if False:\n",
        _REQUESTING,
    ),
    Mutant(
        "a journal that fails after the request is no harm",
        _WORK,
        "        with contextlib.suppress(JournalError):\n",
        "        with contextlib.suppress():\n",
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
        _HELD,
    ),
    Mutant(
        "nobody takes over or unloads what a living process works on",
        _LEDGER,
        "(record != judgement.kept or self.is_held(record)):\n",
        "record != judgement.kept:\n",
        _ADOPTING,
    ),
    Mutant(
        "no interleaving gets by without the holder of what was judged",
        _LEDGER,
        "(record != judgement.kept or self.is_held(record)):\n",
        "record != judgement.kept:\n",
        (_INTERLEAVINGS,),
    ),
    Mutant(
        "nobody unloads what a living process loads again",
        _LEDGER,
        """        if record is not None and (record != judgement.kept or self.is_held(record)):
            raise HeldError(record)
        if record is not None and not record.claim.covers(live):
            record = None
""",
        """        if record is not None and not record.claim.covers(live):
            record = None
        if record is not None and (record != judgement.kept or self.is_held(record)):
            raise HeldError(record)
""",
        _UNLOADING,
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
        _ADOPTING,
    ),
    Mutant(
        "no interleaving gets by without judging again what changed",
        _LEDGER,
        "(record != judgement.kept or self.is_held(record)):\n",
        "self.is_held(record):\n",
        (_INTERLEAVINGS,),
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
        "        if created is None:\n            return\n        work =",
        "        work =",
        _IDENTIFYING,
    ),
    Mutant(
        "what is waited for is held",
        _LEDGER,
        """        if work is None:
            yield
            return
        self._waits""",
        """        if True:
            yield
            return
        self._waits""",
        _WAITING,
    ),
    Mutant(
        "what is in a state is not held by who waits for it",
        _LEDGER,
        "record.is_unfinished and record.owner.is_same(who)\n",
        "record.owner.is_same(who)\n",
        _WAITING,
    ),
    Mutant(
        "what another works on is not held by who waits for it",
        _LEDGER,
        "        if record is not None and is_own and not self.is_held(record):\n",
        "        if record is not None and is_own:\n",
        _WAITING,
    ),
    Mutant(
        "what is waited for is given its identity",
        _WORK,
        "                self.record = seen\n",
        "                pass\n",
        _WAITING,
    ),
    Mutant(
        "a state that names no load means what its own record means",
        _LEDGER,
        "        return record.claim if record is not None and is_own else Claim()\n",
        "        return record.claim if record is not None else Claim()\n",
        (f"{_TESTS}::TestIdentifying",),
    ),
    # ------------------------------------------------------------------------- a journal that fails
    Mutant(
        "who cannot hold what it waits for waits all the same",
        _LEDGER,
        """        work: Work | None = None
        with contextlib.suppress(ChangedError, JournalError):
""",
        """        work: Work | None = None
        with contextlib.suppress(ChangedError):
""",
        _FAILS,
    ),
    Mutant(
        "what cannot be identified in the journal is waited for all the same",
        _LEDGER,
        """            return
        with contextlib.suppress(ChangedError, JournalError):
            entry = self._entry(model_id, created)
""",
        """            return
        with contextlib.suppress(ChangedError):
            entry = self._entry(model_id, created)
""",
        _FAILS,
    ),
    Mutant(
        "what came of a load is told, whether or not its record can be ended",
        _LEDGER,
        """        with contextlib.suppress(ChangedError, JournalError):
            entry = self._entry(model_id)
            record = entry.record
            if record is None or""",
        """        with contextlib.suppress(ChangedError):
            entry = self._entry(model_id)
            record = entry.record
            if record is None or""",
        _FAILS,
    ),
)
