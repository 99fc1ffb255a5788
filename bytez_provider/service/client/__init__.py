"""The client: one method an endpoint; retries, redirects and redaction under it."""

from __future__ import annotations

from bytez_provider.service.client._client import BytezClient

__all__ = ["BytezClient"]
