"""The API versions, and the open questions about the newest with the emulator's answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from bytez_provider.emulator.cluster import MOST_INSTANCES, Settings
from bytez_provider.emulator.load import Capacity

Api = Literal["2024-05", "2024-06", "2025-04"]
API_VERSIONS: tuple[Api, ...] = get_args(Api)


def _rule(default: Any, text: str, metavar: str = "") -> Any:
    """Return a field with what the command says of it."""
    return field(default=default, metadata={"help": text, "metavar": metavar})


@dataclass(frozen=True)
class ClusterRules:
    """How clusters behave where the vendor's documents are silent or disagree.

    Args:
        idle: After `timeout` minutes without a request, the cluster "deletes" itself, or "stops":
            it stays, with status `off` and no instances, until a run or a PATCH starts it.
        patch: Fields that a PATCH leaves out: it "keeps" their values, or "resets" them to the
            defaults, which are 5 minutes and the capacity of a new cluster.
        missing: What GET, PATCH and DELETE answer if the model has no cluster: an error with HTTP
            "404" or "400", or "null", 200 without an error and without output.
        ready_word: The status of a cluster that is ready.
        created_status: The HTTP status of a PUT that was accepted, 202 or 200.
        envelope: The field in which GET answers the cluster.
        default_timeout: Minutes of a new cluster, 10 or 5.
        default_max: The `capacity.max` of a new cluster, from 1 to 10.
        plan_max: The most instances that the account's plan has, from 1 to 10: of more, it grants
            as many.
        run_seconds: Emulated seconds that a run takes once an instance is up.

    Raises:
        ValueError: one sentence about an argument that cannot be used.
    """

    idle: Literal["deletes", "stops"] = _rule(
        "deletes", "an idle cluster deletes itself, or stops with status off"
    )
    patch: Literal["keeps", "resets"] = _rule(
        "keeps", "fields that a PATCH leaves out keep their values, or get defaults"
    )
    missing: Literal["404", "400", "null"] = _rule(
        "404", "the answer for a model without a cluster: an error 404 or 400, or a null"
    )
    ready_word: Literal["on", "running"] = _rule("on", "status of a cluster that is ready")
    created_status: Literal[202, 200] = _rule(202, "HTTP status of a new cluster")
    envelope: Literal["output", "cluster"] = _rule(
        "output", "field of the GET answer that has the cluster"
    )
    default_timeout: Literal[10, 5] = _rule(10, "minutes, if a PUT has no timeout")
    default_max: int = _rule(1, "capacity.max, if a PUT has none; from 1 to 10", "N")
    plan_max: int = _rule(MOST_INSTANCES, "the most instances that are granted; from 1 to 10", "N")
    run_seconds: float = _rule(0.0, "emulated seconds that a run takes", "S")

    def __post_init__(self) -> None:
        for is_valid, rule in (
            (self.idle in ("deletes", "stops"), "idle must be 'deletes' or 'stops'"),
            (self.patch in ("keeps", "resets"), "patch must be 'keeps' or 'resets'"),
            (self.missing in ("404", "400", "null"), "missing must be '404', '400' or 'null'"),
            (self.ready_word in ("on", "running"), "ready word must be 'on' or 'running'"),
            (self.created_status in (202, 200), "created status must be 202 or 200"),
            (self.envelope in ("output", "cluster"), "envelope must be 'output' or 'cluster'"),
            (self.default_timeout in (10, 5), "default timeout must be 10 or 5 minutes"),
            (
                self.default_max in range(1, MOST_INSTANCES + 1),
                f"default max must be from 1 to {MOST_INSTANCES}",
            ),
            (
                self.plan_max in range(1, MOST_INSTANCES + 1),
                f"plan max must be from 1 to {MOST_INSTANCES}",
            ),
            (0 <= self.run_seconds <= 24 * 3600, "run seconds must be from 0 to a day"),
        ):
            if not is_valid:
                raise ValueError(rule)

    @property
    def created(self) -> Settings:
        """The settings of a new cluster; min 0 and desired 1 are in the vendor doc."""
        return Settings(self.default_timeout, Capacity(0, 1, self.default_max))

    @property
    def reset(self) -> Settings:
        """The settings of a PATCH that resets what it leaves out (5 minutes: vendor doc)."""
        return Settings(5, Capacity(0, 1, self.default_max))
