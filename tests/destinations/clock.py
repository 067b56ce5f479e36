"""A clock that only sleeping moves."""

from __future__ import annotations

import threading


class FakeClock:
    """Attributes: sleeps: every sleep, in seconds."""

    def __init__(self):
        self.time = 1000.0
        self.sleeps: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            return self.time

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.sleeps.append(seconds)
            self.time += seconds
