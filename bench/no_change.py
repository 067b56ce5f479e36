"""A run on a day when nothing has changed: seconds, and not one call that changes anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import people
from bench.diff import join, read_bare
from bench.measure import Measure, Timer, in_child, peak_gb
from bench.vendor import Agreeable
from connector.pipeline.activate.applying import apply_plan
from connector.pipeline.activate.known import load_state
from connector.pipeline.activate.planning import make_plan
from connector.state.database import State

N_PEOPLE = 1_000_000
MAX_RATIO = 10.0


def run() -> list[Measure]:
    """Calls and seconds."""
    found = in_child("bench.no_change", N_PEOPLE)
    ratio = found["seconds"] / found["floor_s"]
    size = f"{N_PEOPLE / 1e6:g}M people on a list, nothing changed"
    return [
        Measure(
            f"{size}: calls",
            f"{found['pushed']} changing, {found['asked']} looking whether the list is there",
            bar="0 changing, 1 look a list",
            ok=found["pushed"] == 0 and found["asked"] == 1 and found["changes"] == 0,
        ),
        Measure(
            f"{size}: plan and apply",
            f"{found['seconds']:.1f} s, {found['peak_gb']:.1f} GB",
            f"{found['floor_s']:.1f} s, reading the state and two bare full joins",
            f"{ratio:.1f}",
            f"<= {MAX_RATIO:g} x",
            ratio <= MAX_RATIO,
        ),
    ]


def measure(n_people: int) -> dict[str, Any]:
    """A delivered world, then one more run."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        con = people.workspace(folder)
        people.make_people(con, n_people)
        state = State.open(folder / "state")
        vendor = Agreeable()
        plan = people.activation(vendor)
        load_state(con, state)
        people.know_everybody(con)
        people.decide(con, plan)
        people.deliver(state, con)
        moment = people.AS_OF
        with Timer() as timer:
            made = make_plan(con, state, plan, as_of=moment, now=moment, folder=folder / "plans")
            apply_plan(state, plan, made, now=moment)
        with Timer() as bare:
            read_bare(state)
            join(con)
        state.close()
    return {
        "seconds": timer.seconds,
        "floor_s": bare.seconds,
        "peak_gb": peak_gb(),
        "changes": made.header.n_changes,
        "pushed": vendor.pushed,
        "asked": vendor.asked,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
