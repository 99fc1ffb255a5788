"""Reading requests, in all API versions at once.

A request below `/models/v2/` uses the 2025-04 API, which names the model in the path. Any other
request uses a 2024 API. With a key in its JSON body, it uses the 2024-05 API and names the model
`modelId`; with `Authorization: Key <key>`, it uses the 2024-06 API and names it `model`. A client
that mixes these up gets an error that says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from bytez_provider.emulator.rules import Api

BODY_LIMIT = 1_000_000
"""Bytes of a request body that are read (choice)."""
CLUSTERS = "/models/v2/"
"""What every path of the 2025-04 API begins with (vendor doc)."""
_RESERVED = ("list", "request", "openai")
"""First parts of a path below `CLUSTERS` that are no owner of a model (vendor doc)."""


class RefusedError(Exception):
    """The request is answered with an error and has no effect."""

    def __init__(self, status: int, error: str) -> None:
        self.status = status
        self.error = error
        super().__init__(error)


@dataclass(frozen=True)
class Call:
    """One request, read."""

    method: str
    path: str
    task: str | None
    """The filter on the catalogue, since the 2024-06 API."""
    one_model: str | None
    """The other filter on the catalogue, of the 2025-04 API."""
    authorization: str | None
    body: Mapping[str, Any]

    @property
    def api(self) -> Api:
        """The API version that the request uses."""
        if self.path.startswith(CLUSTERS):
            return "2025-04"
        return "2024-05" if "key" in self.body else "2024-06"

    @property
    def endpoint(self) -> str:
        """The name of the endpoint in a fault script."""
        if self.api != "2025-04" or self.path.startswith(f"{CLUSTERS}list/"):
            return self.path
        return f"{self.method} {CLUSTERS.rstrip('/')}"

    @property
    def key(self) -> object:
        """The key, from the place that the API version uses."""
        if self.api == "2024-05":
            return self.body["key"]
        first, _, key = (self.authorization or "").strip().partition(" ")
        if first.lower() == "key":
            return key.strip()
        # The newest documents of the 2025-04 API show the key alone (vendor doc).
        return first if self.api == "2025-04" and not key else None

    @property
    def model(self) -> str | None:
        """The model in any API version, for the log and the fault script."""
        if self.api == "2025-04":
            owner, _, name = self.path.removeprefix(CLUSTERS).partition("/")
            is_model = owner and name and "/" not in name and owner not in _RESERVED
            return f"{owner}/{name}" if is_model else None
        model = self.body.get("modelId", self.body.get("model"))
        return model if isinstance(model, str) else None

    def require_model(self) -> str:
        """Return the model under the name that the version of the 2024 API uses.

        Raises:
            RefusedError: there is none.
        """
        is_2024_05 = self.api == "2024-05"
        name = "modelId" if is_2024_05 else "model"
        model = self.body.get(name)
        if not isinstance(model, str) or not model:
            where = "the body" if is_2024_05 else "the Authorization header"
            raise RefusedError(400, f"{name} is required (the key is in {where})")
        return model

    def whole(self, name: str, default: int | None, most: int) -> int:
        """Return a whole number of the body, from 1 to `most`; without a default it is required.

        Raises:
            RefusedError: it is missing or anything else.
        """
        value = self.body.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise RefusedError(400, f"{name} must be a whole number from 1 to {most}")
        return value


async def body_of(request: Request) -> bytes:
    """Return the body.

    Raises:
        RefusedError: it is longer than `BODY_LIMIT`.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise RefusedError(413, f"the body is longer than {BODY_LIMIT} bytes")
    return body


async def read_call(request: Request) -> tuple[Call, RefusedError | None]:
    """Return what can be read of a request, and what is wrong with it."""
    body: Any = {}
    refusal = None
    try:
        text = await body_of(request)
        body = strict_json(text) if text else {}
        if not isinstance(body, dict):
            body, refusal = {}, RefusedError(400, "the body must be a JSON object")
    except RefusedError as error:
        refusal = error
    except ValueError:
        refusal = RefusedError(400, "the body is not valid JSON")
    call = Call(
        request.method,
        request.scope["path"],
        request.query_params.get("task"),
        request.query_params.get("modelId"),
        request.headers.get("authorization"),
        body,
    )
    return call, refusal


def strict_json(text: bytes) -> Any:
    """Read JSON that can be written again: no lone surrogates, no NaN.

    Raises:
        ValueError: it is not.
    """
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return value
