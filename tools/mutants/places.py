"""Where records are kept, and what tells one stack from another."""

from __future__ import annotations

from tools.mutants.mutant import Mutant

_STORES = "bytez_provider/core/ownership/_stores.py"
_STACK = "bytez_provider/core/ownership/_stack.py"

_FOLDER = ("tests/ownership/test_folder.py",)
_BUCKET = "tests/ownership/test_bucket.py"
_APART = ("tests/ownership/test_stack.py::TestTellingApart",)
_RESOLVED = "tests/ownership/test_stack.py::TestAsTheCliResolvesIt"
_INTERLEAVINGS = "tests/ownership/test_interleavings.py"

PLACES = (
    # ----------------------------------------------------------------------------------- a folder
    Mutant(
        "a write stands only over what was read",
        _STORES,
        """                if self.read(name).version != version:
                    raise ChangedError(name)
""",
        "",
        _FOLDER,
    ),
    Mutant(
        "no interleaving gets by with writes over what was not read",
        _STORES,
        """                if self.read(name).version != version:
                    raise ChangedError(name)
""",
        "",
        (_INTERLEAVINGS,),
    ),
    Mutant(
        "processes write one after the other",
        _STORES,
        "        fcntl.flock(handle, fcntl.LOCK_EX)\n",
        "",
        _FOLDER,
    ),
    Mutant(
        "what must be on disk is",
        _STORES,
        "replace_file(self.path / name, content, durable=durable)",
        "replace_file(self.path / name, content, durable=False)",
        _FOLDER,
    ),
    Mutant(
        "a folder is its user's",
        _STORES,
        "self.path.mkdir(mode=0o700, parents",
        "self.path.mkdir(parents",
        _FOLDER,
    ),
    Mutant(
        "a folder that fails is a warning",
        _STORES,
        "    return Tolerant(Folder(_folder(chosen)), warn)\n",
        "    return Folder(_folder(chosen))\n",
        _FOLDER,
    ),
    Mutant(
        "a bucket that fails is an error",
        _STORES,
        """ if environ.get("BYTEZ_ACCEPT_NO_JOURNAL") == "1" else bucket\n""",
        "\n",
        _FOLDER,
    ),
    Mutant(
        "what a folder does not take is remembered",
        _STORES,
        "        self._remembered[name] = content\n",
        "",
        _FOLDER,
    ),
    Mutant(
        "what is remembered is not written over unseen",
        _STORES,
        "        elif self.read(name).version != version:\n            raise ChangedError(name)\n",
        "",
        _FOLDER,
    ),
    Mutant(
        "a folder that fails is one warning",
        _STORES,
        "        if not self._complained.is_set():\n",
        "        if True:\n",
        _FOLDER,
    ),
    Mutant(
        "a relative folder is refused",
        _STORES,
        '    if "://" in name or not folder.is_absolute():\n',
        '    if "://" in name:\n',
        _FOLDER,
    ),
    Mutant(
        "an address of an unknown kind is refused",
        _STORES,
        '    if "://" in name or not folder.is_absolute():\n',
        "    if False:\n",
        _FOLDER,
    ),
    # ----------------------------------------------------------------------------------- a bucket
    Mutant(
        "a write to a bucket stands only over what was read",
        _STORES,
        'mode = "create" if version is None else version',
        'mode = "overwrite"',
        (f"{_BUCKET}::TestKeeping",),
    ),
    Mutant(
        "a write whose answer was lost is its own",
        _STORES,
        '                if (now.content or b"") != new or now.version is None:\n',
        "                if True:\n",
        (f"{_BUCKET}::TestTrouble",),
    ),
    Mutant(
        "what another wrote after a lost answer is not its own",
        _STORES,
        '                if (now.content or b"") != new or now.version is None:\n',
        "                if False:\n",
        (f"{_BUCKET}::TestTrouble",),
    ),
    Mutant(
        "what was removed is not listed",
        _STORES,
        ' if one["size"]]',
        "]",
        (f"{_BUCKET}::TestKeeping",),
    ),
    Mutant(
        "a bucket that does not answer is left to rest",
        _STORES,
        "        if self._last_failure is not None and start < self._rests_until:\n",
        "        if False:\n",
        (f"{_BUCKET}::TestTrouble",),
    ),
    Mutant(
        "a bucket that rested is asked again",
        _STORES,
        "        if self._last_failure is not None and start < self._rests_until:\n",
        "        if self._last_failure is not None:\n",
        (f"{_BUCKET}::TestTrouble",),
    ),
    Mutant(
        "plain http to a bucket must be allowed",
        _STORES,
        '"allow_http": may_be_plain}',
        '"allow_http": True}',
        (f"{_BUCKET}::TestAddress",),
    ),
    Mutant(
        "an address of a bucket holds nothing that is passed over",
        _STORES,
        '        if "@" in parts.netloc or parts.query or parts.fragment:\n',
        "        if False:\n",
        (f"{_BUCKET}::TestAddress",),
    ),
    Mutant(
        "what a bucket says is cut to what holds no secret",
        _STORES,
        """    if status is not None:
        return""",
        """    if False:
        return""",
        (f"{_BUCKET}::TestTrouble",),
    ),
    # -------------------------------------------------------------------------- which stack it is
    Mutant(
        "who reaches a backend does not tell it apart",
        _STACK,
        '    host = parts.netloc.rpartition("@")[2]\n',
        "    host = parts.netloc\n",
        _APART,
    ),
    Mutant(
        "how a backend is reached does not tell it apart",
        _STACK,
        '    named = [f"{name}={query[name][-1]}" for name in _PLACE_IN_QUERY if name in query]\n',
        "    named = [parts.query]\n",
        _APART,
    ),
    Mutant(
        "another server tells a backend apart",
        _STACK,
        '    named = [f"{name}={query[name][-1]}" for name in _PLACE_IN_QUERY if name in query]\n',
        "    named = []\n",
        _APART,
    ),
    Mutant(
        "another server in the environment tells a backend apart",
        _STACK,
        "        if environ.get(name) and not named\n",
        "        if False\n",
        _APART,
    ),
    Mutant(
        "what the address says wins over the environment",
        _STACK,
        "        if environ.get(name) and not named\n",
        "        if environ.get(name)\n",
        _APART,
    ),
    Mutant(
        "files of two machines are two places to a shared journal",
        _STACK,
        '        machine = machine_of_files() if is_shared else ""\n',
        '        machine = ""\n',
        _APART,
    ),
    Mutant(
        "to a journal of one machine its files are one place",
        _STACK,
        '        machine = machine_of_files() if is_shared else ""\n',
        "        machine = machine_of_files()\n",
        _APART,
    ),
    Mutant(
        "the backend in the environment wins",
        _STACK,
        '    url = environ.get("PULUMI_BACKEND_URL") or _of_project',
        "    url = _of_project",
        (f"{_RESOLVED}::test_the_environment_wins_over_the_project_and_that_over_the_login",),
    ),
    Mutant(
        "the backend of the project wins over the login",
        _STACK,
        "_of_project(project) or _of_login(environ)",
        "_of_login(environ) or _of_project(project)",
        (f"{_RESOLVED}::test_the_environment_wins_over_the_project_and_that_over_the_login",),
    ),
)
