"""How long ``liftline --help`` takes: the command line must not load what it does not need."""

from __future__ import annotations

import subprocess
import sys

from bench.measure import Measure, Race, race

ROUNDS = 9
MAX_S = 0.3


def run() -> list[Measure]:
    """Seconds from the start of the process to its end."""
    found = Race(
        **race(lambda: _python("-m", "connector.cli", "--help"), lambda: _python("-c", ""), ROUNDS)
    )
    return [
        Measure(
            "liftline --help",
            f"{found.seconds:.3f} s",
            f"{found.floor_s:.3f} s, a bare interpreter",
            f"{found.ratio:.1f} ({found.spread})",
            f"< {MAX_S} s",
            found.seconds < MAX_S,
        )
    ]


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
