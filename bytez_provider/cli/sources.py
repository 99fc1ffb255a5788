"""What `audit` and `export` compare: the states that the command line names, and what runs."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bytez_provider.audit import Facts, Source
from bytez_provider.base.errors import InvalidFileError, printable
from bytez_provider.cli.live import live_of
from bytez_provider.cli.session import Session
from bytez_provider.cli.stack import stack_names, state_of_stack, urn_in
from bytez_provider.core.declared import ModelInputs
from bytez_provider.core.ownership import Owner
from bytez_provider.service.schemas import Instance
from bytez_provider.stack.states import models_of

_LARGEST_MIB = 256


@dataclass(frozen=True)
class Wanted:
    """Which states are meant.

    Attributes:
        stacks: Stacks by name, of which the first gives key and settings.
        states: Files that hold what `pulumi stack export` printed.
        every: Whether all stacks of the project in this folder are meant.
    """

    stacks: Sequence[str]
    states: Sequence[Path]
    every: bool

    @property
    def keyed_by(self) -> str | None:
        """The stack that gives key and settings; None for the environment."""
        return self.stacks[0] if self.stacks else None

    @property
    def is_some(self) -> bool:
        """Whether a state is meant at all."""
        return bool(self.stacks or self.states or self.every)

    @property
    def flags(self) -> list[tuple[str, ...]]:
        """The flags that say this."""
        return [
            *(("--stack", name) for name in self.stacks),
            *(("--state", str(path)) for path in self.states),
            *([("--all",)] if self.every else []),
        ]

    def read(self, session: Session) -> list[Source]:
        """Read the states.

        Raises:
            ConfigError: a stack cannot be read.
            InvalidFileError: a file cannot be read, or holds no state.
        """
        return [*self.of_stacks(session), *self.saved()]

    def saved(self) -> list[Source]:
        """Read the files.

        Raises:
            InvalidFileError: one cannot be read, or holds no state.
        """
        return [_saved(path) for path in self.states]

    def of_stacks(self, session: Session) -> Iterator[Source]:
        """Ask Pulumi for the states of the stacks.

        Raises:
            ConfigError: one cannot be read.
        """
        others = stack_names() if self.every else []
        for name in dict.fromkeys([*self.stacks, *others]):
            session.screen.progress(f"reading the state of stack {printable(name, limit=60)}")
            yield source_of_stack(session, name)


def source_of_stack(session: Session, name: str | None) -> Source:
    """Return the state of a stack; None for the stack that is selected.

    Raises:
        ConfigError: it cannot be read.
    """
    state = state_of_stack(name)
    place = session.identity
    stack = Owner(urn=state.urn, stack=place.key, place=place.place)
    return Source("stack", name or stack.stack_name, state.models, stack)


def facts_of(session: Session, wanted: Wanted) -> Facts:
    """Return what the states say and what runs.

    Raises:
        BytezError: one of them cannot be told.
    """
    settings, screen = session.settings, session.screen
    settings.require_key("look at what is loaded")
    saved = wanted.saved()
    with screen.showing_progress("reading the journal"):
        # Before the states: what is finished in the meantime is then in a state.
        listed = session.client.instances()
        records = session.ledger.records(listed)
        held = session.held(records)
        sources = [*wanted.of_stacks(session), *saved]
        screen.progress("asking what is loaded")
        named = [
            model.model_id
            for source in sources
            for model in source.models
            if model.is_of(settings.endpoint, settings.account) and not model.external
        ]
        named += [one.model_id for one in records if one.is_unfinished]
        live = _live(session, named, listed)
        catalogue = session.catalogue.get()
    return Facts(
        # In whole seconds, as the service tells it: a fraction of ours could begin a minute.
        now=session.client.server_now().replace(microsecond=0),
        endpoint=settings.endpoint,
        account=settings.account,
        price_per_gb_second=settings.price_per_gb_second,
        catalogue=catalogue,
        live=live,
        records=records,
        held=held,
        sources=sources,
        flags=wanted.flags,
        keyed_by=wanted.keyed_by,
    )


def _live(session: Session, named: Iterable[str], listed: Sequence[Instance]) -> list[Instance]:
    """Return what is loaded: what is listed, and of the models named also what is not listed."""
    # The list may leave one out.
    model_ids = [*(one.model_id for one in listed), *filter(_can_be, named)]
    return list(live_of(session, model_ids, listed).values())


def _can_be(model_id: str) -> bool:
    """Tell whether a name from a state can be one: no other is asked for."""
    try:
        ModelInputs(model_id=model_id)
    except ValidationError:
        return False
    return True


def _saved(path: Path) -> Source:
    """Return the state that a file holds.

    Raises:
        InvalidFileError: it cannot be read, or holds no state.
    """
    name = printable(str(path), limit=200)
    try:
        # Asked first: to open a pipe is to wait for who writes it.
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _unreadable(name, "it is not a file")
        if found.st_size > _LARGEST_MIB << 20:
            raise _unreadable(name, f"it is larger than {_LARGEST_MIB} MiB")
        state = json.loads(path.read_bytes())
        # A file does not say where the stack is kept; its names are all there is to go by.
        return Source("state", str(path), models_of(state), Owner(urn=urn_in(state)))
    except OSError as error:
        raise _unreadable(name, f"the system says: {error.strerror}") from None
    except RecursionError:
        raise _unreadable(name, "it is nested too deeply") from None
    except ValueError as error:
        told = "it is not JSON" if isinstance(error, _NOT_JSON) else str(error)
        raise _unreadable(name, told) from None


_NOT_JSON = (json.JSONDecodeError, UnicodeDecodeError)


def _unreadable(name: str, observed: str) -> InvalidFileError:
    return InvalidFileError(
        verb="read the state in",
        subject=name,
        observed=observed,
        action="Give a file that holds what `pulumi stack export` prints",
    )
