"""`/_emulator/`: controls for those who run the emulator. No key, no log, no faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bytez_provider.emulator import answers
from bytez_provider.emulator.calls import RefusedError, body_of, strict_json
from bytez_provider.emulator.endpoints import refused
from bytez_provider.emulator.service import Service

PREFIX = "/_emulator/"

Handler = Callable[[Service, Request], Awaitable[object]]


async def control(service: Service, request: Request) -> Response:
    """Answer a request below `PREFIX`."""
    path = request.scope["path"]
    try:
        if path not in _HANDLERS:
            raise RefusedError(404, f"there is no {path}")
        method, handle = _HANDLERS[path]
        if request.method != method:
            raise RefusedError(405, f"{path} answers {method} only")
        return JSONResponse(await handle(service, request))
    except RefusedError as refusal:
        return refused(refusal)
    except ValueError as error:
        return refused(RefusedError(400, str(error)))


async def _requests(service: Service, _request: Request) -> object:
    return [asdict(record) for record in service.requests()]


async def _instances(service: Service, _request: Request) -> object:
    return service.instances()


async def _ledger(service: Service, _request: Request) -> object:
    return service.ledger()


async def _clock(service: Service, request: Request) -> object:
    match strict_json(await body_of(request)):
        case {"advance_seconds": bool()}:
            pass
        case {"advance_seconds": int() | float() as seconds, **others} if not others:
            service.advance(seconds)
            return {"now": answers.iso(service.now())}
    raise RefusedError(400, 'the body must be {"advance_seconds": <number>}')


async def _faults(service: Service, request: Request) -> object:
    rules = strict_json(await body_of(request))
    service.set_faults(rules)
    return {"rules": len(rules)}


async def _reset(service: Service, _request: Request) -> object:
    service.reset()
    return {}


_HANDLERS: Mapping[str, tuple[str, Handler]] = {
    PREFIX + "requests": ("GET", _requests),
    PREFIX + "instances": ("GET", _instances),
    PREFIX + "ledger": ("GET", _ledger),
    PREFIX + "clock": ("POST", _clock),
    PREFIX + "faults": ("POST", _faults),
    PREFIX + "reset": ("POST", _reset),
}
