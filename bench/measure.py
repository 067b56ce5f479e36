"""What a bench reports, and how its parts run in processes of their own.

Timings are ratios against a floor that is measured in the same run, because machines differ and a
shared one differs from minute to minute. A part that tells its peak memory has a process to itself.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One line of the table.

    Attributes:
        name: What was measured.
        measured: The figure, with its unit.
        floor: What it is held against in the same run; empty when the bar is absolute.
        ratio: Measured against the floor, with its spread; empty when there is no floor.
        bar: What is asked; empty for a figure that is only told.
        ok: Whether the bar is met.
    """

    name: str
    measured: str
    floor: str = ""
    ratio: str = ""
    bar: str = ""
    ok: bool = True


class Timer:
    """Seconds of what runs within ``with``."""

    seconds = 0.0

    def __enter__(self) -> Timer:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began


@dataclass(frozen=True)
class Race:
    """Two works that took turns, so that both met the same noise.

    Attributes:
        seconds: Median of the work.
        floor_s: Median of the floor.
        ratios: Of each round.
    """

    seconds: float
    floor_s: float
    ratios: list[float]

    @property
    def ratio(self) -> float:
        """Median of the rounds."""
        return median(self.ratios)

    @property
    def spread(self) -> str:
        """Least and most of the rounds."""
        return f"{min(self.ratios):.1f}-{max(self.ratios):.1f}"


def race(work: Callable[[], object], floor: Callable[[], object], rounds: int) -> dict[str, Any]:
    """Let both take turns; the result is the :class:`Race` as plain values."""
    pairs = []
    for _ in range(rounds):
        with Timer() as slow:
            work()
        with Timer() as fast:
            floor()
        pairs.append((slow.seconds, fast.seconds))
    return asdict(
        Race(median(s for s, _ in pairs), median(f for _, f in pairs), [s / f for s, f in pairs])
    )


def peak_gb() -> float:
    """The most memory that this process ever held, GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def in_child(module: str, *arguments: object) -> dict[str, Any]:
    """Run ``python -m module arguments`` and return the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
