"""Which models can be loaded, what RAM they take, and which name was meant."""

from __future__ import annotations

import contextlib
import difflib
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

from bytez_provider.base.errors import BytezError, did_you_mean, printable
from bytez_provider.service.client import BytezClient
from bytez_provider.service.schemas import CatalogueEntry
from bytez_provider.service.settings import Settings

_COMPARED_LENGTH = 200
_ALIKE = 0.6


@dataclass(frozen=True)
class UnknownModel:
    """A model that the catalogue does not have; `str(unknown)` is the whole text."""

    reason: str
    """Names the model and the catalogue."""
    meant: tuple[str, ...]
    """The nearest names, the likeliest first, fit to be shown."""
    is_certain: bool
    """False if the model may exist all the same: the catalogue is not the service's own."""

    def __str__(self) -> str:
        return self.reason + (did_you_mean(self.meant) or "; `bytez-fleet models` lists it")


class Catalogue:
    """The models that a source knows.

    Args:
        entries: The models. Of two entries with one name, one with a RAM figure is kept (the
            vendor's own table has such a pair).
        is_live: Whether they come from the service, so that no other model exists.
    """

    def __init__(self, entries: Iterable[CatalogueEntry], *, is_live: bool) -> None:
        self.is_live = is_live
        self._entries: dict[str, CatalogueEntry] = {}
        for entry in entries:
            known = self._entries.get(entry.model_id)
            if known is None or known.required_ram_gb is None:
                self._entries[entry.model_id] = entry

    def entries(self) -> list[CatalogueEntry]:
        """Return the models, each once, in the order of the source."""
        return list(self._entries.values())

    def find(self, model_id: str) -> CatalogueEntry | None:
        """Return the model with exactly this name."""
        return self._entries.get(model_id)

    def unknown(self, model_id: str) -> UnknownModel | None:
        """Return what is wrong with a model id; None if it is known, or if the catalogue is off."""
        if not self._entries or model_id in self._entries:
            return None
        source = "Bytez catalogue" if self.is_live else "catalogue that came with this package"
        reason = f"'{printable(model_id, limit=100)}' is not in the {source}"
        meant = tuple(printable(name, limit=100) for name in self.nearest(model_id))
        return UnknownModel(reason, meant, is_certain=self.is_live)

    def nearest(self, model_id: str, n: int = 3) -> list[str]:
        """Return at most `n` names that may have been meant, the likeliest first.

        First the same name in another case, then the same model of another owner, then similar
        spellings.
        """
        wanted = model_id[:_COMPARED_LENGTH].lower()
        scored = [(_likeness(wanted, name.lower()), name) for name in self._entries]
        scored = [pair for pair in scored if pair[0] >= _ALIKE]
        return [name for _, name in sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:n]]


def _likeness(wanted: str, name: str) -> float:
    """Return 3 for the same name, 2 for another owner's, or how similar they are, 0 to 1."""
    if wanted == name:
        return 3.0
    if wanted.rpartition("/")[2] == name.rpartition("/")[2]:
        return 2.0
    matcher = difflib.SequenceMatcher(None, name[:_COMPARED_LENGTH], wanted)
    # The two quick ratios are upper bounds, and save the slow one for almost every name.
    if matcher.real_quick_ratio() < _ALIKE or matcher.quick_ratio() < _ALIKE:
        return 0.0
    return matcher.ratio()


def bundled_catalogue() -> Catalogue:
    """Return the copy of the vendor's table that comes with the package."""
    text = resources.files("bytez_provider").joinpath("data/catalogue.json").read_bytes()
    return Catalogue(list(map(CatalogueEntry.of, json.loads(text))), is_live=False)


class CatalogueSource:
    """The catalogue that the settings ask for, fetched once, when it is first needed.

    "live" asks the service, and uses the bundled copy if there is no key, no answer or an empty
    one; "off" is empty. For all threads.
    """

    def __init__(self, settings: Settings, client: BytezClient) -> None:
        self._settings = settings
        self._client = client
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None
        self._found: dict[str, Catalogue] = {}

    def about(self, model_id: str) -> Catalogue:
        """Return a catalogue that tells all about one model; never raises.

        Where the service can be asked for one model, the whole list is only needed for a name that
        it does not have, to find the nearest ones.
        """
        settings, client = self._settings, self._client
        if settings.catalogue != "live" or settings.key is None or not client.api.finds_models:
            return self.get()
        with self._lock:
            found = self._found.get(model_id)
        if found is None:
            try:
                entry = client.model(model_id)
            except BytezError:
                found = self.get()
            else:
                # Names to choose from may come from elsewhere, but this one does not exist.
                entries = [entry] if entry is not None else self.get().entries()
                found = Catalogue(entries, is_live=True)
            with self._lock:
                self._found[model_id] = found
        return found

    def get(self) -> Catalogue:
        """Return the catalogue; never raises. The first call may take as long as a request."""
        with self._lock:
            if self._catalogue is None:
                self._catalogue = self._load()
            return self._catalogue

    def _load(self) -> Catalogue:
        mode = self._settings.catalogue
        if mode == "off":
            return Catalogue([], is_live=False)
        entries = []
        if mode == "live" and self._settings.key is not None:
            with contextlib.suppress(BytezError):
                entries = self._client.models()
        return Catalogue(entries, is_live=True) if entries else bundled_catalogue()
