"""Reading requests, in both API versions at once.

A request whose key is in its JSON body speaks the 2024-05 API and names the model `modelId`;
one with `Authorization: Key <key>` speaks the 2024-06 API and names it `model`. Neither is
understood in the words of the other: a client that mixes them up is told so.
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
    def speaks_seed(self) -> bool:
        """Tell the 2024-05 API from June's: it has its key in the body."""
        return "key" in self.body

    @property
    def key(self) -> object:
        """The key, wherever the API version has it."""
        if self.speaks_seed:
            return self.body["key"]
        scheme, _, key = (self.authorization or "").partition(" ")
        return key.strip() if scheme.lower() == "key" else None

    @property
    def model(self) -> str | None:
        """The model named, for the log and the fault script; None when there is none."""
        model = self.body.get("modelId", self.body.get("model"))
        return model if isinstance(model, str) else None


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
    """Return the request as far as it can be read, and what is wrong with it."""
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
    """Read JSON that can be written again: no half characters, no NaN.

    Raises:
        ValueError: it is not.
    """
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return value


def model_of(call: Call) -> str:
    """Return the model that a request names in the words of its API version.

    Raises:
        RefusedError: it names none.
    """
    name = "modelId" if call.speaks_seed else "model"
    model = call.body.get(name)
    if not isinstance(model, str) or not model:
        where = "the body" if call.speaks_seed else "the Authorization header"
        raise RefusedError(400, f"{name} is required (the key is in {where})")
    return model


def whole(call: Call, name: str, default: int | None, most: int) -> int:
    """Return a whole number of the body, from 1 to `most`; without a default it is required.

    Raises:
        RefusedError: it is missing or anything else.
    """
    value = call.body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise RefusedError(400, f"{name} must be a whole number from 1 to {most}")
    return value
