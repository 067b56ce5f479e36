"""The two request limits of a private app, and the headers that report them.

HubSpot refuses the request that would be the (N+1)th in any ten seconds (a rolling window, not a
fixed one: a client that sends N at the end of one window and N at the start of the next is refused)
and the one beyond the day's quota. Refused requests do not count. Search has its own limit per
second and its answers carry no headers of the ten-second window.

No answer carries Retry-After: none of the recorded 429s has one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_S = 10.0
SEARCH_WINDOW_S = 1.0
DAY_S = 86_400.0

ROLLING = "TEN_SECONDLY_ROLLING"
DAILY = "DAILY"
SECONDLY = "SECONDLY"


@dataclass
class RateLimiter:
    """Counts accepted requests and says which policy, if any, refuses the next.

    Attributes:
        per_10s: Requests accepted in any ten seconds.
        daily: Requests accepted a day (UTC).
        search_per_s: Searches accepted in any second.
        peak: The most that were ever accepted within ten seconds.
        accepted: All accepted requests.
        refused: Refusals by policy.
    """

    per_10s: int = 190
    daily: int = 650_000
    search_per_s: int = 5
    peak: int = 0
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    _window: deque[float] = field(default_factory=deque, repr=False)
    _searches: deque[float] = field(default_factory=deque, repr=False)
    _day: int = -1
    _today: int = 0

    def admit(self, now: float, *, is_search: bool = False) -> str | None:
        """Accept a request at ``now`` (seconds), or name the policy that refuses it."""
        self._forget(now)
        if self._today >= self.daily:
            return self.refuse(DAILY)
        if is_search:
            if len(self._searches) >= self.search_per_s:
                return self.refuse(SECONDLY)
            self._searches.append(now)
        else:
            if len(self._window) >= self.per_10s:
                return self.refuse(ROLLING)
            self._window.append(now)
            self.peak = max(self.peak, len(self._window))
        self._today += 1
        self.accepted += 1
        return None

    def refuse(self, policy: str) -> str:
        """Book a refusal by that policy."""
        self.refused[policy] = self.refused.get(policy, 0) + 1
        return policy

    def take_back(self, *, is_search: bool = False) -> None:
        """Undo the latest acceptance: the request was refused after all."""
        (self._searches if is_search else self._window).pop()
        self._today -= 1
        self.accepted -= 1

    def leave_today(self, now: float, remaining: int) -> None:
        """Leave only that many requests of the quota of the day that ``now`` is in."""
        self._forget(now)
        self._today = self.daily - remaining

    def clear_counts(self) -> None:
        """Start the counters afresh; what is in the windows stays."""
        self.accepted, self.peak = 0, len(self._window)
        self.refused.clear()

    def headers(self, now: float, *, is_search: bool, is_oauth: bool) -> list[tuple[str, str]]:
        """The X-HubSpot-RateLimit headers of an answer, as recorded for each kind of call."""
        self._forget(now)
        found = []
        if not is_oauth:
            found += [("Daily", self.daily), ("Daily-Remaining", max(self.daily - self._today, 0))]
        if not is_search:
            secondly = max(self.per_10s // 10, 1)
            last_second = sum(1 for at in reversed(self._window) if now - at < 1.0)
            found += [
                ("Interval-Milliseconds", int(WINDOW_S * 1000)),
                ("Max", self.per_10s),
                ("Remaining", max(self.per_10s - len(self._window), 0)),
                ("Secondly", secondly),
                ("Secondly-Remaining", max(secondly - last_second, 0)),
            ]
        return [(f"X-HubSpot-RateLimit-{name}", str(value)) for name, value in found]

    def _forget(self, now: float) -> None:
        while self._window and now - self._window[0] >= WINDOW_S:
            self._window.popleft()
        while self._searches and now - self._searches[0] >= SEARCH_WINDOW_S:
            self._searches.popleft()
        day = int(now // DAY_S)
        if day != self._day:
            self._day, self._today = day, 0
