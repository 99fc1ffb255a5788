"""What is loaded of many models, with few requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bytez_provider.cli.session import Session
from bytez_provider.service.schemas import Instance
from bytez_provider.service.wire import believed

_ASKED_AT_ONCE = 8


def live_of(
    session: Session, model_ids: Iterable[str], listed: Sequence[Instance]
) -> dict[str, Instance]:
    """Return those of some models that are loaded, in the order of the models.

    Where the list is not believed about a model, its own status is asked.

    Args:
        session: The session.
        model_ids: The models; each counts once.
        listed: What `BytezClient.instances` returned.

    Raises:
        ApiError: The status of a model could not be read.
    """
    known = believed(listed)
    wanted = list(dict.fromkeys(model_ids))
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        found = pool.map(lambda one: known.get(one) or session.live(one), wanted)
        return {name: one for name, one in zip(wanted, found, strict=True) if one is not None}
