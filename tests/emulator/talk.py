"""A client that says exactly what it is told to say, in either API version."""

from __future__ import annotations

from types import TracebackType
from typing import Any, final

import requests

GPT2 = "openai-community/gpt2"
CODER = "deepseek-ai/deepseek-coder-1.3b-instruct"
UNPRICED = "openai-community/gpt2-medium"
"""A model whose RAM the catalogue does not know."""

_LONGEST_SECONDS = 20
"""A test that would hang fails instead."""


@final
class Talker:
    """One connection pool to one emulator."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._key = key
        self._session = requests.Session()
        # A proxy of the machine's has no business on loopback.
        self._session.trust_env = False

    def __enter__(self) -> Talker:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._session.close()

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send any request."""
        return self._session.request(method, self.url + path, timeout=_LONGEST_SECONDS, **options)

    def seed(self, path: str, **body: Any) -> requests.Response:
        """Ask in the 2024-05 API."""
        return self.send("POST", path, json={"key": self._key, **body})

    def june(self, path: str, **body: Any) -> requests.Response:
        """Ask in the 2024-06 API."""
        return self.send("POST", path, json=body, headers=self._authorization)

    def june_get(self, path: str, **params: str) -> requests.Response:
        """Ask for a list in the 2024-06 API."""
        return self.send("GET", path, params=params, headers=self._authorization)

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Key {self._key}"}

    def status(self, model_id: str = GPT2) -> Any:
        """Return the JSON of the status."""
        return self.seed("/model/status", modelId=model_id).json()

    def load(self, model_id: str = GPT2, **more: Any) -> requests.Response:
        """Load a model, at concurrency 1 unless told otherwise."""
        return self.seed("/model/load", **{"modelId": model_id, "concurrency": 1, **more})
