"""Whose a load is: the judgement, and what of a record it rests on."""

from __future__ import annotations

from tools.mutants.mutant import Mutant

_JUDGEMENT = "bytez_provider/core/ownership/_judgement.py"
_RECORD = "bytez_provider/core/ownership/_record.py"

_JUDGED = ("tests/ownership/test_judgement.py",)
_LEDGER = "tests/ownership/test_ledger.py"

JUDGING = (
    # ------------------------------------------------------------------------------- the verdicts
    Mutant(
        "what is not loaded is nobody's",
        _JUDGEMENT,
        "        return Judgement(Verdict.NOT_LOADED)\n",
        "        return Judgement(Verdict.FOREIGN)\n",
        _JUDGED,
    ),
    Mutant(
        "a record of another load says nothing",
        _JUDGEMENT,
        "    if record is not None and not record.claim.covers(live):\n",
        "    if False:\n",
        _JUDGED,
    ),
    Mutant(
        "what stood before a request that came to nothing speaks of its load",
        _JUDGEMENT,
        "record.speaking_of(live) if record is not None else None",
        "record",
        _JUDGED,
    ),
    Mutant(
        "a state names one load and no other",
        _JUDGEMENT,
        "        return named.created == live.created\n",
        "        return True\n",
        _JUDGED,
    ),
    Mutant(
        "where no load can be told from another, whoever names one has it",
        _JUDGEMENT,
        "    if live.created is None:\n        return True  # This",
        "    if False:\n        return True  # This",
        _JUDGED,
    ),
    Mutant(
        "a state that names no load names none of ours",
        _JUDGEMENT,
        "    return own is not None\n",
        "    return True\n",
        _JUDGED,
    ),
    Mutant(
        "a state that names no load is helped by its own record only",
        _JUDGEMENT,
        "_names(named, live, record if is_own_record else None)",
        "_names(named, live, record)",
        _JUDGED,
    ),
    Mutant(
        "what others took over is theirs, whatever a state names",
        _JUDGEMENT,
        "        if record is None or owner is None or is_own_record:\n",
        "        if True:\n",
        _JUDGED,
    ),
    Mutant(
        "what was renamed or moved has the same claim",
        _JUDGEMENT,
        "        if record.adopted_at == named.adopted_at or is_overtaken(record, named, who):\n",
        "        if is_overtaken(record, named, who):\n",
        _JUDGED,
    ),
    Mutant(
        "a take-over that was entered in another journal is learnt from its state",
        _JUDGEMENT,
        "        if record.adopted_at == named.adopted_at or is_overtaken(record, named, who):\n",
        "        if record.adopted_at == named.adopted_at:\n",
        _JUDGED,
    ),
    Mutant(
        "within a stack the journal knows who took a load over last",
        _JUDGEMENT,
        "    return not record.owner.is_of_stack(who) and record.is_before(named.adopted_at)\n",
        "    return record.is_before(named.adopted_at)\n",
        _JUDGED,
    ),
    Mutant(
        "an earlier take-over gives way to a later one",
        _RECORD,
        "taken_over is not None and taken_over > max(self.began, known or self.began)\n",
        "taken_over is not None\n",
        _JUDGED,
    ),
    Mutant(
        "what has made way for another's load is not unloaded for it",
        _JUDGEMENT,
        "not record.owner.is_same(who) and record.is_later_than(live):\n",
        "False:\n",
        _JUDGED,
    ),
    Mutant(
        "its own later load makes nothing another's",
        _JUDGEMENT,
        "        if record.owner.urn and not record.owner.is_same(who) and record",
        "        if record.owner.urn and record",
        _JUDGED,
    ),
    Mutant(
        "nobody in particular makes nothing another's",
        _JUDGEMENT,
        "        if record.owner.urn and not record.owner.is_same(who) and record",
        "        if not record.owner.is_same(who) and record",
        _JUDGED,
    ),
    Mutant(
        "what was asked for in vain makes nothing outdated",
        _RECORD,
        "        if live.created is None or self.phase is Phase.REQUESTED:\n",
        "        if live.created is None:\n",
        _JUDGED,
    ),
    Mutant(
        "what was loaded before makes nothing outdated",
        _RECORD,
        "            return self.created > live.created\n",
        "            return True\n",
        _JUDGED,
    ),
    Mutant(
        "what was accepted before makes nothing outdated",
        _RECORD,
        "        return self.began + CLOCK_TOLERANCE >= live.created and not self",
        "        return not self",
        _JUDGED,
    ),
    Mutant(
        "what this resource began is its own before a state names it",
        _JUDGEMENT,
        "    if is_own_record:\n",
        "    if False:\n",
        _JUDGED,
    ),
    Mutant(
        "what another resource began is its own",
        _JUDGEMENT,
        "    if owner is not None and owner.urn:\n",
        "    if False:\n",
        _JUDGED,
    ),
    Mutant(
        "a record of nobody in particular claims nothing",
        _JUDGEMENT,
        "    if owner is not None and owner.urn:\n",
        "    if owner is not None:\n",
        _JUDGED,
    ),
    Mutant(
        "what the state of another resource names is its own",
        _JUDGEMENT,
        "    if sibling is not None:\n",
        "    if False:\n",
        _JUDGED,
    ),
    Mutant(
        "of a load that a state may mean nobody is sure",
        _JUDGEMENT,
        "    if named is not None and named.created is None:\n        return",
        "    if False:\n        return",
        _JUDGED,
    ),
    Mutant(
        "another stack is not another resource of this one",
        _JUDGEMENT,
        "    same = not owner.urn or owner.is_of_stack(who)\n",
        "    same = True\n",
        _JUDGED,
    ),
    Mutant(
        "of a taker that is not known it is not said that it is another stack",
        _JUDGEMENT,
        "    same = not owner.urn or owner.is_of_stack(who)\n",
        "    same = owner.is_of_stack(who)\n",
        _JUDGED,
    ),
    # ------------------------------------------------------------------------------- of one stack
    Mutant(
        "another name is another stack",
        _RECORD,
        "        if not self.urn or names != (project_of(other.urn), stack_of(other.urn)):\n",
        "        if not self.urn:\n",
        _JUDGED,
    ),
    Mutant(
        "another place of the state is another stack",
        _RECORD,
        "        return None in (self.stack, other.stack) or self.stack == other.stack\n",
        "        return True\n",
        _JUDGED,
    ),
    Mutant(
        "a place that is not known may be this one",
        _RECORD,
        "        return None in (self.stack, other.stack) or self.stack == other.stack\n",
        "        return self.stack == other.stack\n",
        _JUDGED,
    ),
    Mutant(
        "another URN is another resource",
        _RECORD,
        "        return self.urn == other.urn and self.is_of_stack(other)\n",
        "        return self.is_of_stack(other)\n",
        _JUDGED,
    ),
    Mutant(
        "who is not known is nobody in particular",
        _RECORD,
        "        if not self.urn or names != (project_of(other.urn), stack_of(other.urn)):\n",
        "        if names != (project_of(other.urn), stack_of(other.urn)):\n",
        ("tests/ownership/test_earlier.py",),
    ),
    # ------------------------------------------------------------------------ which load is meant
    Mutant(
        "identity of a load",
        _RECORD,
        "            return live.created == self.created\n",
        "            return True\n",
        _JUDGED,
    ),
    Mutant(
        "a record that knows its load means no other",
        _RECORD,
        "        if self.created is not None:\n            return Claim(self.created)\n",
        "",
        _JUDGED,
    ),
    Mutant(
        "where no load can be told from another, any is the one meant",
        _RECORD,
        "        if live.created is None:\n            return True\n",
        "        if live.created is None:\n            return False\n",
        _JUDGED,
    ),
    Mutant(
        "a request is good for no load at another concurrency",
        _RECORD,
        "        if self.concurrency is not None and live.concurrency not in"
        " (None, self.concurrency):\n",
        "        if False:\n",
        _JUDGED,
    ),
    Mutant(
        "a request is good for no load made before it",
        _RECORD,
        "        if self.not_before is not None and live.created < self.not_before"
        " - CLOCK_TOLERANCE:\n",
        "        if False:\n",
        _JUDGED,
    ),
    Mutant(
        "two clocks of one service may disagree",
        _RECORD,
        "live.created < self.not_before - CLOCK_TOLERANCE:\n",
        "live.created < self.not_before:\n",
        _JUDGED,
    ),
    Mutant(
        "a request is good for minutes",
        _RECORD,
        "        return self.not_after is None or live.created <= self.not_after\n",
        "        return True\n",
        _JUDGED,
    ),
    Mutant(
        "what no answer was seen for is unfinished",
        _RECORD,
        "        return self.phase in (Phase.REQUESTED, Phase.ACCEPTED)\n",
        "        return self.phase is Phase.ACCEPTED\n",
        (f"{_LEDGER}::TestHearing",),
    ),
    Mutant(
        "what a state names is finished",
        _RECORD,
        "        return self.phase in (Phase.REQUESTED, Phase.ACCEPTED)\n",
        "        return True\n",
        (f"{_LEDGER}::TestListing",),
    ),
    Mutant(
        "what was asked for at other settings is loaded again",
        _RECORD,
        "        return asked == (concurrency, expiration_period_seconds)\n",
        "        return True\n",
        ("tests/lifecycle/test_resume.py",),
    ),
)
