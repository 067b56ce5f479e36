"""Running the sandbox: in a thread of this process, or as a process of its own.

Both give the same things: ``url``, ``token`` and ``controls``. The thread is quicker to start and
its clock can be injected; the process survives what happens to its client, and stops by itself when
its parent dies.
"""

from __future__ import annotations

import asyncio
import http.client
import inspect
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Self, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .app import CONTROL_PREFIX, SandboxApp
from .controls import Controls
from .faults import Knobs
from .limits import RateLimiter
from .portal import DEFAULT_TOKEN, SCOPES, Portal, Token

HOST = "127.0.0.1"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class HubSpotSandbox:
    """A HubSpot account on a real socket, served by a thread; use it with ``with``.

    Args:
        token: The bearer token that is accepted, with all scopes.
        per_10s: Requests in any ten seconds.
        daily: Requests a day.
        search_per_s: Searches in any second.
        latency_s: Every answer takes at least this long.
        port: 0 picks a free one.
        clock: Seconds since 1970 for limits, lags and timestamps; pauses are real whatever it says.

    Attributes:
        url: Address without a trailing slash, once started.
        token: The token to use.
        controls: Prepare, break and inspect; see
            :class:`~destinations.sandbox.hubspot.controls.Controls`.
    """

    def __init__(
        self,
        *,
        token: str = DEFAULT_TOKEN,
        per_10s: int = 190,
        daily: int = 650_000,
        search_per_s: int = 5,
        latency_s: float = 0.0,
        port: int = 0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        portal = Portal(clock=clock)
        portal.tokens = {token: Token(set(SCOPES))}
        limiter = RateLimiter(per_10s, daily, search_per_s)
        self.token = token
        self.controls = Controls(portal, Knobs(latency_s=latency_s), limiter)
        self._app = SandboxApp(self.controls)
        self._port = port
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    @property
    def portal(self) -> Portal:
        """The account itself; hold ``portal.lock`` while touching it."""
        return self.controls.portal

    def bind(self) -> str:
        """Listen, without answering yet; returns the address."""
        self._socket = socket.create_server((HOST, self._port), backlog=512)
        # Accepted sockets inherit it. asyncio sets it only where the protocol number was given, and
        # without it every answer waits 40 ms for the client's delayed acknowledgement.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        return self.url

    def run(self) -> None:
        """Serve in this thread until :meth:`request_stop` or a signal."""
        if self._socket is None:
            self.bind()
        config = uvicorn.Config(
            self._app,
            http=_protocol(self._app.transports),
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=int(STOP_TIMEOUT_S),
        )
        self._server = uvicorn.Server(config)
        if self._app.is_stopping:
            return
        self._server.run(sockets=[cast(socket.socket, self._socket)])

    def request_stop(self) -> None:
        """Ask the server to stop; returns at once."""
        self._app.is_stopping = True
        if self._server is not None:
            self._server.should_exit = True

    def __enter__(self) -> Self:
        self.bind()
        self._thread = threading.Thread(target=self.run, name="hubspot-sandbox", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._server is None or not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the sandbox did not start")
            time.sleep(0.002)
        return self

    def __exit__(self, *_: object) -> None:
        self.request_stop()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)
        if self._socket is not None:
            self._socket.close()


class RemoteSandbox:
    """A sandbox in another process, made by :func:`spawn`; use it with ``with``.

    Attributes:
        url: Address without a trailing slash.
        token: The token to use.
        controls: The same control desk, by way of the server's control endpoints.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        greeting = _greeting(process)
        self.url: str = greeting["url"]
        self.token: str = greeting["token"]
        self.pid: int = greeting["pid"]
        self.controls = cast(Controls, _RemoteControls(greeting["port"]))

    def stop(self) -> int:
        """Stop the server and wait for it; returns its exit code (0 when clean)."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def spawn(options: Sequence[str] = ()) -> RemoteSandbox:
    """Start the sandbox as a process of its own, ready when this returns.

    Args:
        options: Of ``python -m destinations.sandbox.hubspot``, such as ``["--per-10s", "100"]``.

    Raises:
        RuntimeError: The process did not start.
    """
    command = [sys.executable, "-m", "destinations.sandbox.hubspot", "--stop-with-stdin", *options]
    process = subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        return RemoteSandbox(process)
    except BaseException:
        process.kill()
        process.communicate()
        raise


class _RemoteControls:
    """Every method of Controls, sent to ``/_sandbox/``."""

    def __init__(self, port: int) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(Controls, name)

        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - mirrors each method's own
            bound = inspect.signature(method).bind(None, *args, **kwargs)
            arguments = dict(list(bound.arguments.items())[1:])
            connection = http.client.HTTPConnection(HOST, self._port, timeout=START_TIMEOUT_S)
            try:
                body = json.dumps(arguments, default=list)
                connection.request("POST", CONTROL_PREFIX + name, body)
                answer = json.loads(connection.getresponse().read())
            finally:
                connection.close()
            if "error" in answer:
                raise ValueError(answer["error"])
            return answer["result"]

        return call


def _greeting(process: subprocess.Popen[str]) -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RuntimeError("the sandbox process ended before it was ready")
    return cast(dict[str, Any], json.loads(line))


def _protocol(transports: dict[tuple[str, int], asyncio.Transport]) -> type[asyncio.Protocol]:
    """The HTTP protocol of uvicorn, noting each connection so that faults can break it."""

    class NotedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client is not None:
                transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                transports.pop(self.client, None)
            super().connection_lost(exc)

    return NotedProtocol
