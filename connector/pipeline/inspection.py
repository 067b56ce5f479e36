"""What is at the vendors: who exists there, and which of our lists.

Reads vendors and writes to the state what it learned of them; changes nothing there.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from connector.audiences import reach
from connector.domain import Audience
from connector.pipeline.activation import Activation, Progress
from connector.ports import Destination, FindsRecords, ReadsMembers
from connector.state.database import State, utc_text
from connector.state.ledger import Ledger

if TYPE_CHECKING:
    import duckdb


def look_up(
    con: duckdb.DuckDBPyConnection,
    state: State,
    activation: Activation,
    *,
    now: datetime,
    progress: Progress,
) -> bool:
    """Ask the vendors about people whose record is unknown; returns whether any were."""
    totals = reach.build_look_ups(con, now=now)
    done = dict.fromkeys(totals, 0)
    for name, people in reach.look_ups(con):
        adapter = activation.destinations[name]
        if isinstance(adapter, FindsRecords):
            found = reach.look_up(people, adapter.find)
            Ledger(state, name).learn_records(found, at=utc_text(now))
        done[name] += len(people)
        progress(f"looking people up at {name}", done[name], totals[name])
    return bool(totals)


def inspect_audiences(
    con: duckdb.DuckDBPyConnection, state: State, activation: Activation, *, now: datetime
) -> tuple[dict[tuple[str, str], str], bool]:
    """Find out which lists are there: known ones may be deleted, new names may exist already.

    Returns:
        (Destination, list name) -> what became of it, and whether the state has moved.
    """
    statuses: dict[tuple[str, str], str] = {}
    has_moved = False
    known: dict[tuple[str, str], tuple[str, str]] = {}
    for destination, name, audience_id, status, campaign, arm in con.execute(
        "SELECT destination, name, audience_id, status, campaign, arm FROM st_audiences"
    ).fetchall():
        known[destination, name] = (audience_id, status)
        adapter = activation.destinations.get(destination)
        if adapter is None:
            continue
        found = adapter.find_audience(name, audience_id)
        if found is None and status == "present":
            Ledger(state, destination).lose_audience(audience_id)
            known[destination, name] = (audience_id, "deleted")
            has_moved = True
        elif found is not None and status != "present":
            # Restored, or it was the vendor that erred: its members are ours as before.
            back = Audience(name, audience_id)
            adopt(state, adapter, back, campaign, arm, now)
            known[destination, name] = (audience_id, "present")
            has_moved = True
    for destination, name, campaign, arm in con.execute(
        "SELECT a.destination, a.name, a.campaign, a.arm FROM cfg_audiences a JOIN cfg_campaigns"
        " c USING (campaign)"
        " WHERE c.active ORDER BY ALL"
    ).fetchall():
        status = known.get((destination, name), (None, "new"))[1]
        if status != "new":
            statuses[destination, name] = "kept" if status == "present" else "deleted"
            continue
        found = activation.destinations[destination].find_audience(name, None)
        if found is not None:
            adopt(state, activation.destinations[destination], found, campaign, arm, now)
            has_moved = True
        statuses[destination, name] = "new" if found is None else "adopted"
    return statuses, has_moved


def adopt(
    state: State, adapter: Destination, found: Audience, campaign: str, arm: str, now: datetime
) -> None:
    """Take over a list that exists already; whoever is on it and not by us stays foreign."""
    foreign = list(adapter.members(found)) if isinstance(adapter, ReadsMembers) else []
    Ledger(state, adapter.name).adopt_audience(
        name=found.name,
        audience_id=found.audience_id,
        campaign=campaign,
        arm=arm,
        foreign=foreign,
        at=utc_text(now),
    )
