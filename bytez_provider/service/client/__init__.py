"""The client: one method an endpoint, over retries, redirects and hiding the key."""

from __future__ import annotations

from bytez_provider.service.client._client import BytezClient

__all__ = ["BytezClient"]
