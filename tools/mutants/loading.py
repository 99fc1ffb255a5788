"""What check, create, read, update and delete do, and what a fleet waits for."""

from __future__ import annotations

from tools.mutants.mutant import Mutant

_LEDGER = "bytez_provider/core/ownership/_ledger.py"
_JUDGEMENT = "bytez_provider/core/ownership/_judgement.py"
_LIFECYCLE = "bytez_provider/core/lifecycle/_lifecycle.py"
_LOADING = "bytez_provider/core/lifecycle/_loading.py"
_UNLOADING = "bytez_provider/core/lifecycle/_unloading.py"
_COMPARE = "bytez_provider/core/lifecycle/_compare.py"
_PROVIDER = "bytez_provider/dynamic/providers.py"

_CHECK = "tests/lifecycle/test_check_and_diff.py"
_CREATE = "tests/lifecycle/test_create.py"
_READ = "tests/lifecycle/test_read.py"
_UPDATE = "tests/lifecycle/test_update.py"
_DELETE = "tests/lifecycle/test_delete.py"
_RESUME = "tests/lifecycle/test_resume.py"
_ADOPT = "tests/lifecycle/test_adopt.py"
_FLEET = "tests/fleet/test_readiness.py"
_FACE = "tests/provider/test_model_provider.py"

LOADING = (
    # ----------------------------------------------------------------------------- check and diff
    Mutant(
        "a model is declared once",
        _LIFECYCLE,
        "        if twin is not None:\n",
        "        if False:\n",
        (f"{_CHECK}::TestTwins",),
    ),
    Mutant(
        "a resource that is checked twice is declared once",
        _LEDGER,
        "        return first if first != urn else None\n",
        "        return first\n",
        (f"{_CHECK}::TestTwins",),
    ),
    Mutant(
        "an unknown value is never a replacement",
        _COMPARE,
        """        for name in _REPLACING
        if name not in unknown and getattr""",
        """        for name in _REPLACING
        if getattr""",
        (f"{_CHECK}::TestDiff",),
    ),
    Mutant(
        "what is not RUNNING needs an update",
        _COMPARE,
        "unknown or not _is_settled(old)),\n",
        "unknown),\n",
        (f"{_CHECK}::TestDiff",),
    ),
    Mutant(
        "the mark of a preview goes no further",
        _PROVIDER,
        "known.pop(PREVIEW, False) is True)",
        "known.get(PREVIEW, False) is True)",
        (f"{_FACE}::TestCheck",),
    ),
    Mutant(
        "a preview is known by its mark",
        _PROVIDER,
        "is_preview=known.pop(PREVIEW, False) is True)",
        "is_preview=known.pop(PREVIEW, False) is None)",
        ("tests/wire/test_models.py",),
    ),
    Mutant(
        "the old one is deleted before the new one is created",
        _PROVIDER,
        "            delete_before_replace=True,\n",
        "            delete_before_replace=False,\n",
        (f"{_FACE}::TestDiff",),
    ),
    # ------------------------------------------------------------------------ what a create meets
    Mutant(
        "adopt is consent",
        _LOADING,
        "        if not (is_let_go or inputs.adopt or model_id in self._consent.adopt):\n",
        "        if False:\n",
        (_ADOPT,),
    ),
    Mutant(
        "only what the program does not declare is let go",
        _LOADING,
        "            and not self._ledger.keeps(owner, model_id)\n",
        "",
        (_RESUME,),
    ),
    Mutant(
        "what another resource let go is taken over",
        _LOADING,
        "            and not self._ledger.keeps(owner, model_id)\n",
        "            and False\n",
        (_RESUME,),
    ),
    Mutant(
        "another stack lets nothing go",
        _LOADING,
        """            judged.verdict is Verdict.OTHER_RESOURCE
            and owner is not None
            and not""",
        """            owner is not None
            and not""",
        (_RESUME,),
    ),
    Mutant(
        "what this deployment is about to let go is waited for",
        _LOADING,
        "        if self._ledger.waits_for_own(judged.record):\n",
        "        if False:\n",
        (_ADOPT,),
    ),
    Mutant(
        "an own request that made way for another's load is ended",
        _LOADING,
        """            self._ledger.end(model_id, who)
        if not (is_let_go""",
        """            pass
        if not (is_let_go""",
        (_RESUME, _CREATE),
    ),
    Mutant(
        "what is taken over is in the journal before it is waited for",
        _LOADING,
        "            return self.wait(inputs, claim, caller, adopted_at=adoption.adopted_at)\n"
        "        except BytezError:\n",
        "            adoption.undo()\n"
        "            return self.wait(inputs, claim, caller, adopted_at=adoption.adopted_at)\n"
        "        except BytezError:\n",
        (_ADOPT,),
    ),
    Mutant(
        "a take-over without a state is undone",
        _LOADING,
        "            adoption.undo()\n            raise\n",
        "            raise\n",
        (_ADOPT,),
    ),
    Mutant(
        "a take-over that no other machine can know of is said to be one",
        _LOADING,
        "judged.verdict is Verdict.FOREIGN and not self._ledger.store.is_shared:\n",
        "False:\n",
        (_ADOPT,),
    ),
    Mutant(
        "what this resource began is gone on with",
        _LOADING,
        "        if judged.verdict is Verdict.OURS_LATER and judged.record is not None:\n"
        "            return self._resume",
        "        if False:\n            return self._resume",
        (_RESUME,),
    ),
    Mutant(
        "what failed meanwhile is not waited for",
        _LOADING,
        "        if not has_failed and record.asks_for(*asked):\n",
        "        if record.asks_for(*asked):\n",
        (_RESUME,),
    ),
    Mutant(
        "a leftover of another model is unloaded",
        _LIFECYCLE,
        "                self._loading.drop_leftover(left, caller)\n",
        "                pass\n",
        (_RESUME,),
    ),
    Mutant(
        "a leftover that is somebody else's by now is left alone",
        _LOADING,
        "        if live is None or not judged.is_ours:\n            self._ledger.forget(left)\n",
        "        if live is None:\n            self._ledger.forget(left)\n",
        (_RESUME,),
    ),
    Mutant(
        "a leftover that may not show yet is not forgotten",
        _LOADING,
        "        if live is None and left.created is None and since < NOT_FOUND_GRACE_SECONDS:\n",
        "        if False:\n",
        (_RESUME,),
    ),
    # --------------------------------------------------------------------- what a request came to
    Mutant(
        "a record stays where no try had an answer",
        _LOADING,
        "                if isinstance(error, ApiError) and error.maybe_done:\n",
        "                if False:\n",
        (_CREATE,),
    ),
    Mutant(
        "no record stays of a request that was refused",
        _LOADING,
        "                request.refused()\n                raise\n",
        "                raise\n",
        (_CREATE,),
    ),
    Mutant(
        "no record stays of a request for what is loaded already",
        _LOADING,
        "            elif not answer.answer_lost:\n                request.refused()\n",
        "",
        (_CREATE,),
    ),
    Mutant(
        "a record stays where an answer was lost",
        _LOADING,
        "            elif not answer.answer_lost:\n",
        "            else:\n",
        (_CREATE,),
    ),
    Mutant(
        "a lost answer is remembered",
        _LOADING,
        "        own = request.record if answer_lost else None\n",
        "        own = None\n",
        (_CREATE,),
    ),
    Mutant(
        "after a lost answer, a load is known by when it was made",
        _LOADING,
        "        if answer_lost and request.record.claim.covers(live):\n",
        "        if answer_lost:\n",
        (_CREATE,),
    ),
    Mutant(
        "what an interrupted deployment asked for explains a refusal",
        _LOADING,
        "        if own is None and earlier is not None and earlier.owner.is_same(who):\n",
        "        if False:\n",
        ("tests/wire/test_kill_points.py::test_a_create",),
    ),
    Mutant(
        "what is not shown and not accepted is not known to be ours",
        _LOADING,
        "        if seen is None and claim.accepted_at is None and claim.created is None:\n",
        "        if False:\n",
        (_CREATE,),
    ),
    Mutant(
        "the record stays when the engine is gone",
        _LOADING,
        """        if caller.stop() is Stop.ENGINE_GONE:
            # Nobody takes""",
        """        if False:
            # Nobody takes""",
        (_RESUME,),
    ),
    Mutant(
        "what is seen is named in the journal",
        _LOADING,
        "                on_identified=lambda seen: identified(seen.created),\n",
        "                on_identified=lambda seen: None,\n",
        (_RESUME, _CREATE),
    ),
    Mutant(
        "what is resumed is named in the journal",
        _LOADING,
        "        if claim.created is not None:\n            identified(claim.created)\n",
        "",
        (_RESUME,),
    ),
    # -------------------------------------------------------------------------------- rolled back
    Mutant(
        "rollback",
        _UNLOADING,
        "                self.unload(live, judged, who)\n        except",
        "                pass\n        except",
        (_CREATE,),
    ),
    Mutant(
        "a rollback ends nothing that others have",
        _UNLOADING,
        "                if not judged.is_ours:\n",
        "                if False:\n",
        (_ADOPT,),
    ),
    Mutant(
        "a rollback ends no other load",
        _UNLOADING,
        "            elif live is not None and claim.covers(live):\n",
        "            elif live is not None:\n",
        (_CREATE,),
    ),
    Mutant(
        "what was accepted and never shown is unloaded unseen",
        _UNLOADING,
        "            if live is None and claim.created is None:\n",
        "            if False:\n",
        (_CREATE,),
    ),
    Mutant(
        "a rollback that another deployment prevents says so",
        _UNLOADING,
        """        except HeldError as held:
            return _not_stopped""",
        """        except ZeroDivisionError as held:
            return _not_stopped""",
        (_ADOPT,),
    ),
    Mutant(
        "delete waits",
        _UNLOADING,
        "left = self._waiter.until_unloaded(model_id, claim, limit_seconds=limit_seconds)",
        "left = None",
        (_DELETE,),
    ),
    Mutant(
        "an unload that was refused is an error",
        _UNLOADING,
        "            if not error.maybe_done:\n                raise\n",
        "            pass\n",
        (_DELETE,),
    ),
    # ------------------------------------------------------------------------------------- a read
    Mutant(
        "no answer is not gone",
        _LIFECYCLE,
        "            live = self._seen(old) or self._look_again(old, claim, caller)\n",
        "            live = None\n            with suppress(BytezError):\n"
        "                live = self._seen(old) or self._look_again(old, claim, caller)\n",
        (_READ,),
    ),
    Mutant(
        "of what is not known to be ours a read says nothing",
        _LIFECYCLE,
        "            if judged.verdict is Verdict.UNSURE:\n                return old\n",
        "",
        (_READ,),
    ),
    Mutant(
        "what may not show yet is not gone",
        _LIFECYCLE,
        "            if live is None and (self._may_lag(old, claim) or caller",
        "            if live is None and (caller",
        (_READ,),
    ),
    Mutant(
        "not found under another key is not gone",
        _LIFECYCLE,
        "        if same or self._consent.account_change or old.status == NOT_LOADED:\n",
        "        if True:\n",
        (_READ,),
    ),
    Mutant(
        "another load under another key is not proof either",
        _LIFECYCLE,
        "        if live is not None and named is not None and not named.is_surely(live):\n",
        "        if False:\n",
        (_READ, _UPDATE),
    ),
    Mutant(
        "under another key a load without an identity is no proof",
        _JUDGEMENT,
        "        return live.created is not None and live.created == self.created\n",
        "        return live.created == self.created\n",
        (_READ,),
    ),
    Mutant(
        "an older state is healed",
        _LIFECYCLE,
        "        if judged.verdict is Verdict.OURS_LATER:\n            old = self._healed",
        "        if False:\n            old = self._healed",
        (_READ,),
    ),
    Mutant(
        "a state that was just healed is no proof",
        _LIFECYCLE,
        "        self._ledger.finds(old.model_id, live.created)\n        asked",
        "        asked",
        (_READ,),
    ),
    Mutant(
        "a state that was just given its load is no proof",
        _LIFECYCLE,
        "            self._ledger.finds(old.model_id, live.created)\n        in_fleet",
        "        in_fleet",
        (_READ,),
    ),
    Mutant(
        "an expiry is not accepted where a load was begun since",
        _LIFECYCLE,
        '        accepts = old.on_expiry == "accept" and not is_later\n',
        '        accepts = old.on_expiry == "accept"\n',
        (_READ,),
    ),
    Mutant(
        "what another resource began since does not hinder an accepted expiry",
        _LEDGER,
        "        return record is not None and is_own and record.created != named.created\n",
        "        return record is not None and record.created != named.created\n",
        (_READ,),
    ),
    Mutant(
        "the record of a load that is gone ends with it",
        _LIFECYCLE,
        "            self._ledger.hears_gone(old.model_id, created, who)\n",
        "",
        (_READ,),
    ),
    Mutant(
        "a look that changes nothing asks the journal only if it must",
        _LEDGER,
        "        if live is not None and not (only_if_unnamed and is_named):\n",
        "        if live is not None:\n",
        (_READ,),
    ),
    Mutant(
        "what is only read is read again as such",
        _PROVIDER,
        "            if old.read_only:\n",
        "            if False:\n",
        (f"{_FACE}::TestRead",),
    ),
    Mutant(
        "what is only read is marked",
        _LIFECYCLE,
        '        return state.model_copy(update={"read_only": True})\n',
        "        return state\n",
        (f"{_FACE}::TestRead",),
    ),
    # ---------------------------------------------------------------------------------- an update
    Mutant(
        "what is RUNNING needs no request",
        _LIFECYCLE,
        "        if stands(old, inputs):\n",
        "        if False:\n",
        (_UPDATE,),
    ),
    Mutant(
        "an update of an older state goes on with the later load",
        _LIFECYCLE,
        "            if judged.verdict is Verdict.OURS_LATER and judged.record is not None:\n",
        "            if False:\n",
        (_UPDATE,),
    ),
    Mutant(
        "an update meets what is not ours as a create does",
        _LIFECYCLE,
        "            if live is None or not judged.is_ours:\n                return self._loading",
        "            if live is None:\n                return self._loading",
        (_UPDATE,),
    ),
    # ----------------------------------------------------------------------------------- a delete
    Mutant(
        "a delete leaves what others have",
        _LIFECYCLE,
        "        elif judged.is_ours:\n            limit",
        "        elif True:\n            limit",
        (_DELETE,),
    ),
    Mutant(
        "a delete leaves what another resource took over",
        _LEDGER,
        "live, who=who, named=named, record=record, sibling=self._sibling(model_id, live, who)\n",
        "live, who=who, named=named, record=None, sibling=self._sibling(model_id, live, who)\n",
        (_ADOPT,),
    ),
    Mutant(
        "what stays is not ended by the delete of another",
        _LIFECYCLE,
        "            self._hear(old, self._ledger.who(urn), named, stays=True)\n",
        "            self._hear(old, self._ledger.who(urn), named, stays=False)\n",
        (_ADOPT,),
    ),
    Mutant(
        "a delete that another was quicker than is judged again",
        _LIFECYCLE,
        """                judged = self._judge("unload", old, live, who)
                if judged""",
        """                if judged""",
        (_DELETE,),
    ),
    Mutant(
        "a delete is refused while another deployment works on the load",
        _LIFECYCLE,
        """                if judged.is_ours:
                    raise worked_on("unload", held.record) from None
                caller""",
        """                caller""",
        (_DELETE,),
    ),
    Mutant(
        "what is not shown yet is looked for before it is unloaded",
        _LIFECYCLE,
        "            if live is None and self._is_young(old, claim):\n",
        "            if False:\n",
        (_DELETE,),
    ),
    Mutant(
        "a delete of what is gone ends its record",
        _LIFECYCLE,
        "            self._ledger.end(model_id, who)\n        elif judged",
        "            pass\n        elif judged",
        (_DELETE,),
    ),
    Mutant(
        "a delete is no preview",
        _LIFECYCLE,
        "        self._ledger.deploys(is_preview=False)\n        model_id, who",
        "        model_id, who",
        (_DELETE,),
    ),
    # ------------------------------------------------------------------------------------ a fleet
    Mutant(
        "of a fleet only what FAILED is unloaded",
        _LIFECYCLE,
        "        if live is None or live.phase is not Phase.FAILED or not judged.is_ours:\n",
        "        if live is None or not judged.is_ours:\n",
        (f"{_FLEET}::TestFailed",),
    ),
    Mutant(
        "of a fleet only what is ours is unloaded",
        _LIFECYCLE,
        "        if live is None or live.phase is not Phase.FAILED or not judged.is_ours:\n",
        "        if live is None or live.phase is not Phase.FAILED:\n",
        (f"{_FLEET}::TestFailed",),
    ),
    Mutant(
        "a member that failed under another deployment is left to it",
        _LIFECYCLE,
        """        except HeldError as held:
            raise worked_on("unload", held.record) from None
        return True
""",
        """        except ZeroDivisionError as held:
            raise worked_on("unload", held.record) from None
        return True
""",
        (f"{_FLEET}::TestFailed",),
    ),
)
