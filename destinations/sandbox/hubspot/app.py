"""The sandbox as an ASGI application: credentials, limits, faults, the operation itself, the log.

State changes happen between two awaits, under the portal's lock, so requests are atomic and other
threads see whole ones. Latency is spent after a request was applied: a client that gives up early
has been heard all the same, which is the case that clients get wrong.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .answers import (
    Answer,
    Json,
    RefusalError,
    bad_request,
    plain_failure,
    rate_limited,
    unauthorized,
)
from .controls import Controls
from .faults import Effect, Fault
from .portal import Token
from .routes import Request, handle, is_search

CONTROL_PREFIX = "/_sandbox/"
PAUSE_SLICE_S = 0.05
SILENT = frozenset({Effect.DROP_BEFORE, Effect.DROP_AFTER, Effect.KILL_BEFORE, Effect.KILL_AFTER})
UNAPPLIED = frozenset({Effect.DROP_BEFORE, Effect.KILL_BEFORE})
LETHAL = frozenset({Effect.KILL_BEFORE, Effect.KILL_AFTER})
STALLS = frozenset({Effect.STALL_BEFORE, Effect.STALL_AFTER})
COMMANDS = frozenset(
    name
    for name, member in inspect.getmembers(Controls, inspect.isfunction)
    if not name.startswith("_")
)


@dataclass
class SandboxApp:
    """The ASGI callable.

    Attributes:
        controls: The control desk, and through it all state.
        transports: Client address -> its connection, kept up to date by the server; needed to break
            connections.
        is_stopping: Set by the server: pauses end at once.
    """

    controls: Controls
    transports: dict[tuple[str, int], asyncio.Transport] = field(default_factory=dict)
    is_stopping: bool = False

    def __post_init__(self) -> None:
        route = Route(CONTROL_PREFIX + "{command}", self._control, methods=["GET", "POST"])
        self._control_app = Starlette(routes=[route])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"].startswith(CONTROL_PREFIX):
            await self._control_app(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    async def _control(self, request: HttpRequest) -> JSONResponse:
        command = request.path_params["command"]
        if command == "health":
            return JSONResponse({"result": "ok"})
        if command not in COMMANDS:
            return JSONResponse({"error": f"no such command; there are {sorted(COMMANDS)}"}, 404)
        raw = await request.body()
        try:
            arguments = json.loads(raw) if raw else {}
            with self.controls.portal.lock:
                result = getattr(self.controls, command)(**arguments)
        except (TypeError, ValueError, KeyError, RefusalError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)
        return JSONResponse({"result": result})

    async def _api(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await _read_body(receive)
        began, controls = time.perf_counter(), self.controls
        entry, token = self._open_entry(scope, raw), self._token(scope)
        fault: Fault | None = None
        with controls.portal.lock:
            answer, fault = self._gate(entry, token)
        if answer is None:
            if fault is not None and fault.effect is Effect.STALL_BEFORE:
                await self._pause(fault.seconds)
            if fault is None or fault.effect not in UNAPPLIED:
                with controls.portal.lock:
                    answer = self._carry_out(scope, raw, token)
        if fault is not None and fault.effect is Effect.STALL_AFTER:
            await self._pause(fault.seconds)
        if fault is not None and fault.effect in LETHAL:
            _kill(fault.pid)
        if fault is not None and fault.effect in SILENT:
            entry["seconds"] = time.perf_counter() - began
            await self._break(scope, receive)
            return
        await self._pause(controls.knobs.latency_s)
        assert answer is not None  # noqa: S101 - only silent faults leave it unset
        entry["status"], entry["seconds"] = answer.status, time.perf_counter() - began
        with controls.portal.lock:
            limits = controls.limiter.headers(
                controls.portal.clock(),
                is_search=is_search(scope["path"]),
                is_oauth=token is not None and token.is_oauth,
            )
        await _send(send, answer, limits if token is not None else [])

    def _open_entry(self, scope: Scope, raw: bytes) -> Json:
        """Write the request into the log; status 0 stays if it is never answered."""
        entry: Json = {
            "n": 0,
            "at": self.controls.portal.clock(),
            "method": scope["method"],
            "path": scope["path"],
            "inputs": _count_inputs(raw),
            "status": 0,
            "seconds": 0.0,
            "fault": None,
        }
        with self.controls.portal.lock:
            self.controls.requests.append(entry)
            entry["n"] = len(self.controls.requests)
        return entry

    def _token(self, scope: Scope) -> Token | None:
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        kind, _, token = header.decode("latin-1").partition(" ")
        return self.controls.portal.tokens.get(token.strip()) if kind.lower() == "bearer" else None

    def _gate(self, entry: Json, token: Token | None) -> tuple[Answer | None, Fault | None]:
        """What happens before the operation: credentials, limits, planned failures."""
        controls = self.controls
        if token is None:
            return unauthorized().answer, None
        searches = is_search(entry["path"])
        policy = controls.limiter.admit(controls.portal.clock(), is_search=searches)
        if policy is not None:
            return Answer(429, rate_limited(policy)), None
        fault = controls.knobs.strike(f"{entry['method']} {entry['path']}")
        if fault is None:
            return None, None
        entry["fault"] = fault.effect.value
        if fault.effect is Effect.RATE_LIMIT:
            controls.limiter.take_back(is_search=searches)
            return Answer(429, rate_limited(controls.limiter.refuse(fault.policy))), fault
        if fault.effect is Effect.STATUS:
            return Answer(fault.status, plain_failure(fault.status)), fault
        return None, fault

    def _carry_out(self, scope: Scope, raw: bytes, token: Token | None) -> Answer:
        repeated = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            return bad_request("Invalid input JSON").answer
        request = Request(
            method=scope["method"],
            path=scope["path"],
            query={name: ",".join(values) for name, values in repeated.items()},
            repeated=repeated,
            body=body,
            scopes=frozenset(token.scopes if token else ()),
        )
        try:
            return handle(request, self.controls.portal, self.controls.knobs)
        except RefusalError as refused:
            return refused.answer
        except (ValueError, TypeError, AttributeError, KeyError):
            # Whatever a malformed request made stumble; HubSpot answers 400 as well.
            return bad_request("Invalid input JSON").answer

    async def _pause(self, seconds: float) -> None:
        """Sleep, but wake up when the server stops."""
        until = time.monotonic() + seconds
        while not self.is_stopping and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, PAUSE_SLICE_S))

    async def _break(self, scope: Scope, receive: Receive) -> None:
        """Break the client's connection without an answer."""
        self.transports[tuple(scope["client"])].abort()
        while (await receive())["type"] != "http.disconnect":
            pass


async def _read_body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _send(send: Send, answer: Answer, limits: Iterable[tuple[str, str]]) -> None:
    body, headers = b"", []
    if answer.body is not None:
        body = json.dumps(answer.body, separators=(",", ":"), ensure_ascii=False).encode()
        headers = [
            (b"content-type", b"application/json;charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
        ]
    correlation = (answer.body or {}).get("correlationId")
    if correlation is not None:
        headers.append((b"x-hubspot-correlation-id", str(correlation).encode()))
    headers += [(name.lower().encode(), value.encode()) for name, value in limits]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _count_inputs(raw: bytes) -> int:
    """How many records the body speaks of, for the log."""
    try:
        body = json.loads(raw) if raw else None
    except ValueError:
        return 0
    if isinstance(body, list):
        return len(body)
    if not isinstance(body, dict):
        return 0
    lists = [body.get(name) for name in ("inputs", "recordIdsToAdd", "recordIdsToRemove")]
    return sum(len(each) for each in lists if isinstance(each, list))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
