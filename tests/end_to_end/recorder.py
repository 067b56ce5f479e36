"""A transparent proxy that writes every request down: what was really said to the vendor."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Recorder:
    """What passed, in order of arrival.

    Attributes:
        url: Where to send requests to.
        requests: Method, path and decoded body of each.
    """

    url: str
    requests: list[tuple[str, str, Any]] = field(default_factory=list)


@contextmanager
def recording(target: str) -> Iterator[Recorder]:
    """Pass requests on to ``target`` until the block ends."""
    where = urlsplit(target).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            decoded = json.loads(body) if body else None
            recorder.requests.append((self.command, self.path, decoded))
            connection = http.client.HTTPConnection(where, timeout=30)
            connection.request(self.command, self.path, body or None, dict(self.headers))
            try:
                answer = connection.getresponse()
            except http.client.RemoteDisconnected:
                # A fault of the vendor's: break this side as well.
                connection.close()
                self.close_connection = True
                return
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "date", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_GET = do_POST = do_PUT = _pass  # noqa: N815 - the names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    recorder = Recorder(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
