"""A small webhook receiver on a real socket, which keeps what it is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Receiver:
    """Keeps people and lists; ``answer`` may replace what it says.

    Attributes:
        people: Match value -> properties as text.
        lists: Audience -> match values.
        seen: Headers and body of every request.
    """

    def __init__(self, token: str = "hook-token"):
        self.token = token
        self.people: dict[str, dict[str, str]] = {}
        self.lists: dict[str, set[str]] = {}
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.n_writes = 0
        self.answer: Callable[[dict[str, Any]], tuple[int, bytes]] | None = None
        self._lock = threading.Lock()

    def handle(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        with self._lock:
            self.seen.append((headers, body))
            if headers.get("authorization") != f"Bearer {self.token}":
                return 401, b"{}"
            batch = json.loads(body)
            if self.answer is not None:
                return self.answer(batch)
            results = [self._apply(batch, change) for change in batch["changes"]]
            return 200, json.dumps({"results": results}).encode()

    def _apply(self, batch: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
        self.n_writes += 1
        who = change["match_value"]
        if batch["kind"] == "membership":
            members = self.lists.setdefault(batch["audience"], set())
            members.discard(who) if change["action"] == "remove" else members.add(who)
        else:
            values = self.people.setdefault(who, {})
            for name, value in change["properties"].items():
                values[name] = "" if value is None else str(value)
        return {"id": change["id"], "outcome": "delivered"}

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, answer = receiver.handle(headers, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format, *args):  # noqa: A002 - the base class' name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
