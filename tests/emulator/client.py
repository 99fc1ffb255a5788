"""A client that sends exactly what a test says, in any API version."""

from __future__ import annotations

from typing import Any, final

import requests

GPT2 = "openai-community/gpt2"
CODER = "deepseek-ai/deepseek-coder-1.3b-instruct"
UNPRICED = "openai-community/gpt2-medium"
"""A model whose RAM the catalogue does not know."""

_TIMEOUT_SECONDS = 20


@final
class Client:
    """One connection pool to one emulator."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._key = key
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy for loopback

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._session.close()

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send any request."""
        return self._session.request(method, self.url + path, timeout=_TIMEOUT_SECONDS, **options)

    def v05(self, path: str, **body: Any) -> requests.Response:
        """Send a request of the 2024-05 API."""
        return self.send("POST", path, json={"key": self._key, **body})

    def v06(self, path: str, **body: Any) -> requests.Response:
        """Send a request of the 2024-06 API."""
        return self.send("POST", path, json=body, headers=self._authorization)

    def v06_list(self, path: str, **params: str) -> requests.Response:
        """Ask for a list in the 2024-06 API."""
        return self.send("GET", path, params=params, headers=self._authorization)

    def v25(self, method: str, path: str = GPT2, **body: Any) -> requests.Response:
        """Send a request of the 2025-04 API about a model, or about a list."""
        options = {"json": body} if body else {}
        return self.send(method, f"/models/v2/{path}", headers=self._authorization, **options)

    def cluster(self, model_id: str = GPT2) -> Any:
        """Return the cluster object."""
        return self.v25("GET", model_id).json()["output"]

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Key {self._key}"}

    def status(self, model_id: str = GPT2) -> Any:
        """Return the JSON of the status."""
        return self.v05("/model/status", modelId=model_id).json()

    def load(self, model_id: str = GPT2, **more: Any) -> requests.Response:
        """Load a model, by default at concurrency 1."""
        return self.v05("/model/load", **{"modelId": model_id, "concurrency": 1, **more})

    def create(self, model_id: str = GPT2, **body: Any) -> requests.Response:
        """Create a cluster."""
        return self.v25("PUT", model_id, **body)


def capacity(least: int, desired: int, most: int) -> dict[str, int]:
    """Return the capacity of a body."""
    return {"min": least, "desired": desired, "max": most}
