"""``python -m destinations.sandbox.hubspot``: the sandbox as a process.

Prints one line of JSON (url, port, token, pid) as soon as connections are accepted, and serves
until it is told to stop.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading

from .portal import DEFAULT_TOKEN
from .server import HubSpotSandbox


def main() -> int:
    """Run the sandbox; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m destinations.sandbox.hubspot", description=__doc__
    )
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--token", default=DEFAULT_TOKEN, help="the bearer token to accept")
    parser.add_argument("--per-10s", type=int, default=190, help="requests in any ten seconds")
    parser.add_argument("--daily", type=int, default=650_000, help="requests a day")
    parser.add_argument("--search-per-s", type=int, default=5, help="searches in any second")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="least time of every answer")
    parser.add_argument(
        "--stop-with-stdin", action="store_true", help="stop when standard input is closed"
    )
    options = parser.parse_args()
    sandbox = HubSpotSandbox(
        token=options.token,
        per_10s=options.per_10s,
        daily=options.daily,
        search_per_s=options.search_per_s,
        latency_s=options.latency_ms / 1000,
        port=options.port,
    )
    url = sandbox.bind()
    greeting = {
        "url": url,
        "port": int(url.rpartition(":")[2]),
        "token": options.token,
        "pid": os.getpid(),
    }
    sys.stdout.write(json.dumps(greeting) + "\n")
    sys.stdout.flush()
    if options.stop_with_stdin:
        threading.Thread(target=_stop_at_end_of_stdin, args=(sandbox,), daemon=True).start()
    sandbox.run()
    return 0


def _stop_at_end_of_stdin(sandbox: HubSpotSandbox) -> None:
    # os.read, not sys.stdin.read: a thread blocked in the latter upsets the interpreter's shutdown.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    sandbox.request_stop()


if __name__ == "__main__":
    sys.exit(main())
