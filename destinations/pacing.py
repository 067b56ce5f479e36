"""When a request may leave: paced by the vendor's rates, held by its pauses, shut by its stops.

The vendor counts arrivals in a rolling window; we control departures only. Two margins make
"never a 429" an argument instead of a hope:

* Pacing is even (GCRA of pyrate-limiter with a burst of two), so no window of S seconds holds more
  than ``limit + burst`` departures.
* A request that arrives in the vendor's window but left before it must have been under way when the
  window began, and at most ``workers`` are under way at once, however slow the network is.

So pacing at ``limit = requests - workers - burst`` never puts more than ``requests`` arrivals into
a window. With 190 in 10 s and 8 workers that is 180, or 94.7 % of the allowance. The margin is
capped at a tenth of the allowance, so a small limit (ten a second) is not strangled; there a late
burst may still meet a 429, which the next rule absorbs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pyrate_limiter import GCRA
from pyrate_limiter import Rate as PacedRate

from connector.domain import Rate

QUOTA_FROM_S = 3600.0
"""Rates over so long a stretch are quotas: they are counted, not paced, or a day's allowance would
be spread over the day while the run waits."""

BURST = 2
"""Departures that may follow each other at once, so that waking late does not lose a slot."""


_NEXT_LOOK_S = 0.001


class Clock(Protocol):
    """Time, as the client sees it; tests bring their own."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since some fixed instant."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Pause:
    """An answer that asks everybody to wait ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stop:
    """An answer after which trying again within this run is pointless.

    Attributes:
        message: What is used up, and when it resets.
        retry_after_s: Seconds until then, where known.
    """

    message: str
    retry_after_s: float | None = None


def paced(rates: Sequence[Rate], workers: int) -> list[PacedRate]:
    """The departure rates that keep arrivals within ``rates``; the module's text says why."""
    result = []
    for rate in rates:
        margin = max(1, min(workers + BURST, rate.requests // 10))
        result.append(
            PacedRate(
                limit=max(1, rate.requests - margin),
                interval=round(rate.seconds * 1000),
                burst=min(BURST, margin),
            )
        )
    return result


class Gate:
    """Lets requests out one by one: paced by every rate at once, held by pauses, shut by a stop.

    A quota counts from the making of the gate, that is, for one run.
    """

    def __init__(self, rates: Sequence[Rate], *, workers: int, clock: Clock) -> None:
        quotas = [rate for rate in rates if rate.seconds >= QUOTA_FROM_S]
        self._quota = min(quotas, key=lambda rate: rate.requests, default=None)
        self._left = self._quota.requests if self._quota else 0
        self._rates = paced([rate for rate in rates if rate not in quotas], workers)
        self._pacing = GCRA()
        self._spent = self._pacing.initial(self._rates)
        self._clock = clock
        # One thread waits for the next slot, the others wait for the lock: nobody wakes in vain.
        self._turn = threading.Lock()
        self._pause_lock = threading.Lock()
        self._resume_at = float("-inf")
        self._stop: Stop | None = None

    def pause(self, seconds: float) -> None:
        """Hold everybody for at least ``seconds`` from now."""
        with self._pause_lock:
            self._resume_at = max(self._resume_at, self._clock.now() + seconds)

    def stop(self, stop: Stop) -> None:
        """Let nobody out any more."""
        with self._pause_lock:
            self._stop = self._stop or stop

    @property
    def stopped(self) -> Stop | None:
        """Why nobody is let out, or None."""
        with self._pause_lock:
            return self._stop

    def enter(self) -> Stop | None:
        """Wait for a slot; returns the reason when there will be none."""
        with self._turn:
            while self.stopped is None:
                wait = self._held_s() or self._slot_s()
                if not wait:
                    return None
                self._clock.sleep(wait)
            return self.stopped

    def _held_s(self) -> float:
        with self._pause_lock:
            return max(0.0, self._resume_at - self._clock.now())

    def _slot_s(self) -> float:
        """Take a slot (0.0), or say how many seconds to wait for one."""
        if self._quota is not None and self._left == 0:
            used_up = (
                f"the configured {self._quota.requests} requests in {self._quota.seconds:.0f} s"
            )
            self.stop(Stop(f"{used_up} are used up"))
            return _NEXT_LOOK_S
        now_ms = int(self._clock.now() * 1000)
        self._spent, decision = self._pacing.step(self._rates, self._spent, now_ms, 1)
        if not decision.allowed:
            return max(1, decision.retry_after_ms or 1) / 1000
        self._left -= 1
        return 0.0
