"""How many people a second reach a vendor that counts and refuses.

The sandbox runs in a process of its own, answers after 200 ms and enforces the limit; the engine
plans, writes its intents and books the answers as in any run. What counts is what the server
accepted, not what the client believes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import people
from bench.measure import Measure, Timer, in_child
from connector.pipeline.activate.applying import apply_plan
from connector.pipeline.activate.known import load_state
from connector.pipeline.activate.planning import make_plan
from connector.state.database import State
from destinations.hubspot import HubSpot
from destinations.sandbox.hubspot.server import RemoteSandbox, spawn

BATCH = 100
WINDOW_S = 10.0
LATENCY_MS = 200
AT_ONCE = 5_000

LONG = (190, 120_000, 60.0)
SHORT = (100, 30_000, 25.0)
"""Requests in ten seconds, people, and the seconds over which the server's count is taken."""

MIN_SHARE = 0.9
MIN_PER_S = 800.0


def run() -> list[Measure]:
    """The share of the ceiling at 190 requests in 10 s, and people a second at 100."""
    long, short = (in_child("bench.push_rate", *given) for given in (LONG, SHORT))
    ceiling = LONG[0] * BATCH / WINDOW_S
    share = long["per_s"] / ceiling
    return [
        Measure(
            f"pushing {LONG[1]:,} changed people, {LONG[0]} requests in 10 s, {LATENCY_MS} ms",
            f"{long['per_s']:,.0f} people/s over {LONG[2]:.0f} s, {long['refused']} refused",
            f"{ceiling:,.0f} people/s, the ceiling",
            f"{share:.3f}",
            f">= {MIN_SHARE:g}, 0 refused",
            share >= MIN_SHARE and not long["refused"] and long["is_settled"],
        ),
        Measure(
            f"pushing {SHORT[1]:,} changed people, {SHORT[0]} requests in 10 s, {LATENCY_MS} ms",
            f"{short['per_s']:,.0f} people/s over {SHORT[2]:.0f} s, {short['refused']} refused",
            f"{SHORT[0] * BATCH / WINDOW_S:,.0f} people/s, the ceiling",
            f"{short['per_s'] / (SHORT[0] * BATCH / WINDOW_S):.3f}",
            f">= {MIN_PER_S:,.0f} people/s, 0 refused",
            short["per_s"] >= MIN_PER_S and not short["refused"] and short["is_settled"],
        ),
        Measure(
            "the same: calls for 1,000 steady-state updates",
            f"{1000 * short['calls'] / SHORT[1]:.1f}",
            bar="<= 10",
            ok=short["calls"] * 1000 <= 10 * SHORT[1],
        ),
        Measure("the same: planning", f"{long['plan_s']:.1f} s for {LONG[1]:,} people"),
    ]


def push(per_10s: int, n_people: int, seconds: float) -> dict[str, Any]:
    """One run in which everybody's properties have changed, counted by the server."""
    options = ["--per-10s", str(per_10s), "--latency-ms", str(LATENCY_MS), "--daily", "9999999"]
    with TemporaryDirectory(prefix="bench-") as name, spawn(options) as sandbox:
        folder = Path(name)
        con = people.workspace(folder)
        people.make_people(con, n_people)
        state = State.open(folder / "state")
        adapter = HubSpot.from_options(
            people.VENDOR,
            {
                "token": sandbox.token,
                "base_url": sandbox.url,
                "rate_limit": {f"per_{WINDOW_S:.0f}s": per_10s},
            },
        )
        plan = people.activation(adapter, with_lists=False)
        load_state(con, state)
        people.know_everybody(con, _preload(sandbox, n_people))
        people.decide(con, plan)
        people.deliver(state, con)
        people.make_people(con, n_people, score=1)
        moment = people.AS_OF
        with Timer() as planning:
            made = make_plan(con, state, plan, as_of=moment, now=moment, folder=folder / "plans")
        sandbox.controls.clear_log()
        report = apply_plan(state, plan, made, now=moment)
        log = sandbox.controls.log()
        again = make_plan(con, state, plan, as_of=moment, now=moment, folder=folder / "plans")
        adapter.close()
        state.close()
    taken = [(one["at"], one["inputs"]) for one in log if one["status"] in (200, 207)]
    began = taken[0][0]
    return {
        "per_s": sum(n for at, n in taken if at < began + seconds) / seconds,
        "refused": sum(one["status"] == 429 for one in log),
        "calls": len(log),
        "plan_s": planning.seconds,
        "is_settled": report.status == "succeeded"
        and made.header.n_changes == n_people
        and again.header.n_changes == 0,
    }


def _preload(sandbox: RemoteSandbox, n_people: int) -> list[str]:
    """Put everybody into the sandbox; returns the record ids in the order of people."""
    for column, kind in (("rfm_group", "string"), ("orders_365d", "number")):
        sandbox.controls.define_property(column, kind)
    sandbox.controls.define_property("spend_365d", "number")
    ids: list[str] = []
    for start in range(0, n_people, AT_ONCE):
        some = range(start, min(start + AT_ONCE, n_people))
        ids += sandbox.controls.preload_contacts(
            [{"email": f"person{i}@example.com"} for i in some]
        )
    return ids


if __name__ == "__main__":
    print(json.dumps(push(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
