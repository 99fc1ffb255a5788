"""What surrounds the loads: waiting, the answers of the service, Pulumi's host, and the key."""

from __future__ import annotations

from tools.mutants.mutant import Mutant

_ANSWERS = "bytez_provider/service/client/_answers.py"
_HOST = "bytez_provider/dynamic/host.py"
_WAITER = "bytez_provider/core/waiter.py"
_UNFINISHED = "bytez_provider/cli/unloading.py"

_CREATE = "tests/lifecycle/test_create.py"
_HOSTILE = ("tests/client/test_hostile_answers.py",)
_UNLOAD = ("tests/cli/test_unload.py",)

SURROUNDINGS = (
    # ------------------------------------------------------ waiting, and what the service answers
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
        "the list is not believed in bad news",
        "bytez_provider/service/wire.py",
        "        if is_whole(one) and one.phase in going and often[one.model_id] == 1\n",
        "",
        ("tests/fleet/test_poller.py",),
    ),
    Mutant(
        "another load on the list is not ours",
        "bytez_provider/core/poller.py",
        "if one is None or not covers(one):",
        "if one is None:",
        ("tests/fleet/test_poller.py",),
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
    # ------------------------------------------------------------------------------ Pulumi's host
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
    # ------------------------------------------------------------------------------------ the key
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
        "bytez_provider/service/client/_transport.py",
        "            if _origin(target) == _origin(url):\n",
        "            if True:\n",
        ("tests/client/test_redirects.py",),
    ),
    Mutant(
        "the key is not sent where only a pull request says",
        "bytez_provider/service/settings.py",
        "    if _is_loopback(parts) or _origin(parts) == DEFAULT_ENDPOINT:\n        return\n",
        "    return\n",
        ("tests/unit/test_config.py",),
    ),
    # ----------------------------------------------------------------------- `bytez-fleet unload`
    Mutant(
        "what the journal has of a stack is not unloaded by name alone",
        _UNFINISHED,
        "    if judged.owner is not None and not yes:\n",
        "    if False:\n",
        _UNLOAD,
    ),
    Mutant(
        "what a living process works on is not called unfinished",
        _UNFINISHED,
        "    if is_held:\n",
        "    if False:\n",
        _UNLOAD,
    ),
    Mutant(
        "another load than the unfinished one is left alone",
        _UNFINISHED,
        "    if not judged.is_ours:\n        session",
        "    if False:\n        session",
        _UNLOAD,
    ),
    Mutant(
        "what a state names is not unfinished",
        _UNFINISHED,
        "    if standing is Standing.FINISHED:\n",
        "    if False:\n",
        _UNLOAD,
    ),
    Mutant(
        "of a stack whose state is not given nothing is unfinished",
        _UNFINISHED,
        "    if standing is Standing.UNTOLD:\n",
        "    if False:\n",
        _UNLOAD,
    ),
    Mutant(
        "an unfinished load that may not show yet keeps its record",
        _UNFINISHED,
        "    if record.created is None and age < NOT_FOUND_GRACE_SECONDS:\n",
        "    if False:\n",
        _UNLOAD,
    ),
)
