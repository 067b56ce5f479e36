"""Calls that it takes to find one bad record of 500, wherever it stands."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import people
from bench.measure import Measure, in_child
from bench.vendor import Agreeable
from connector.domain import Outcome
from connector.pipeline.activate.applying import apply_plan
from connector.pipeline.activate.known import load_state
from connector.pipeline.activate.planning import make_plan
from connector.ports import Destination
from connector.state.database import State
from destinations.hubspot import HubSpot
from destinations.sandbox.hubspot import HubSpotSandbox

N_PEOPLE = 500
PLACES = (0, 1, 99, 123, 249, 250, 333, 498, 499)
MAX_CALLS = 20


def run() -> list[Measure]:
    """The most calls over several places, in one batch of 500 and in HubSpot's of 100."""
    found = in_child("bench.poison")
    return [
        Measure(
            f"1 bad record of {N_PEOPLE}, {what}",
            f"{found[key]} calls at most, {found[key + '_delivered']} people delivered",
            bar=f"< {MAX_CALLS}",
            ok=found[key] < MAX_CALLS and found[key + "_delivered"] == N_PEOPLE - 1,
        )
        for key, what in (("one", "one batch"), ("hubspot", "HubSpot's batches of 100"))
    ]


def measure() -> dict[str, int]:
    """Calls and deliveries, the worst of all places."""
    calls: dict[str, list[int]] = {"one": [], "hubspot": []}
    delivered: dict[str, list[int]] = {"one": [], "hubspot": []}
    for place in PLACES:
        bad = f"person{place}@example.com"
        vendor = Agreeable(max_records=N_PEOPLE, poison=bad)
        delivered["one"].append(_delivered(vendor, None))
        calls["one"].append(vendor.pushed)
        with HubSpotSandbox(per_10s=10_000) as sandbox:
            for column in people.PROPERTIES:
                sandbox.controls.define_property(column)
            ids = sandbox.controls.preload_contacts(
                [{"email": f"person{i}@example.com"} for i in range(N_PEOPLE)]
            )
            sandbox.controls.poison([ids[place]])
            adapter = HubSpot.from_options(
                people.VENDOR,
                {
                    "token": sandbox.token,
                    "base_url": sandbox.url,
                    "rate_limit": {"per_10s": 10_000},
                },
            )
            delivered["hubspot"].append(_delivered(adapter, ids))
            calls["hubspot"].append(len(sandbox.controls.log()))
            adapter.close()
    return {key: max(values) for key, values in calls.items()} | {
        f"{key}_delivered": min(values) for key, values in delivered.items()
    }


def _delivered(adapter: Destination, record_ids: list[str] | None) -> int:
    """Push everybody's properties; returns how many got through."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        con = people.workspace(folder)
        people.make_people(con, N_PEOPLE)
        state = State.open(folder / "state")
        plan = people.activation(adapter, with_lists=False)
        load_state(con, state)
        people.know_everybody(con, record_ids)
        people.decide(con, plan)
        people.deliver(state, con)
        people.make_people(con, N_PEOPLE, score=1)
        moment = people.AS_OF
        made = make_plan(con, state, plan, as_of=moment, now=moment, folder=folder / "plans")
        report: Any = apply_plan(state, plan, made, now=moment)
        state.close()
    return int(report.destinations[0].count(Outcome.DELIVERED))


if __name__ == "__main__":
    print(json.dumps(measure()))
