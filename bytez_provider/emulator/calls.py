"""Reading requests, in both API versions at once.

A request with a key in its JSON body uses the 2024-05 API and names the model `modelId`. One with
`Authorization: Key <key>` uses the 2024-06 API and names it `model`. A client that mixes them up
gets an error that says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

BODY_LIMIT = 1_000_000
"""Bytes of a request body that are read (choice)."""


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
    """The 2024-06 API's filter on the catalogue."""
    authorization: str | None
    body: Mapping[str, Any]

    @property
    def is_2024_05(self) -> bool:
        """Whether the request uses the 2024-05 API: its key is in the body."""
        return "key" in self.body

    @property
    def key(self) -> object:
        """The key, from the place that the API version uses."""
        if self.is_2024_05:
            return self.body["key"]
        scheme, _, key = (self.authorization or "").partition(" ")
        return key.strip() if scheme.lower() == "key" else None

    @property
    def model(self) -> str | None:
        """The model in either API version, for the log and the fault script."""
        model = self.body.get("modelId", self.body.get("model"))
        return model if isinstance(model, str) else None

    def require_model(self) -> str:
        """Return the model under the name that the API version uses.

        Raises:
            RefusedError: there is none.
        """
        name = "modelId" if self.is_2024_05 else "model"
        model = self.body.get(name)
        if not isinstance(model, str) or not model:
            where = "the body" if self.is_2024_05 else "the Authorization header"
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
