"""What was asked of a vendor, counted for a run's summary: paths without their variable parts."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

_TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt, as told to the recorder. ``status`` is None when no answer came."""

    method: str
    template: str
    status: int | None
    seconds: float


class Traffic:
    """Counts attempts for the run's summary; safe to share among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[tuple[str, str]] = Counter()

    def __call__(self, call: Call) -> None:
        """Count one attempt."""
        status = "no answer" if call.status is None else str(call.status)
        with self._lock:
            self._calls[f"{call.method} {call.template}", status] += 1

    @property
    def requests(self) -> int:
        """Attempts so far."""
        with self._lock:
            return self._calls.total()

    @property
    def throttled(self) -> int:
        """Attempts answered with 429."""
        with self._lock:
            return sum(n for (_, status), n in self._calls.items() if status == str(_TOO_MANY))

    def summary(self) -> dict[str, dict[str, int]]:
        """Method and path template -> status (or ``no answer``) -> attempts."""
        with self._lock:
            result: dict[str, dict[str, int]] = {}
            for (path, status), n in sorted(self._calls.items()):
                result.setdefault(path, {})[status] = n
            return result
