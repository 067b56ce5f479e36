"""What is at the vendors: who exists there, and which of our lists.

Reads vendors and writes to the state what it learned of them; changes nothing there. A vendor that
cannot be read is left out of the plan, and the others go on: a revoked token at one must not keep a
withdrawal from reaching another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from connector.audiences import reach
from connector.domain import Audience
from connector.errors import AdapterError, DestinationError, LiftlineError
from connector.pipeline.activate.activation import Activation, Progress
from connector.pipeline.activate.known import INSPECTED, LEARNED
from connector.ports import Destination, FindsRecords, ReadsMembers
from connector.state.database import State, utc_text
from connector.state.learning import Learning

if TYPE_CHECKING:
    import duckdb

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class Inspection:
    """What was found at the vendors; filled while they are read.

    Attributes:
        statuses: (destination, list name) -> ``new``, ``adopted``, ``kept`` or ``deleted``.
        taken_off: (destination, list name) -> people who were on it by our ledger and are no more.
        unreadable: Destination -> why it could not be read.
        stale: Relations of the workspace that the state has moved away from.
    """

    statuses: dict[tuple[str, str], str] = field(default_factory=dict)
    taken_off: dict[tuple[str, str], int] = field(default_factory=dict)
    unreadable: dict[str, DestinationError] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)


def asked(adapter: Destination, question: Callable[[], _Answer]) -> _Answer:
    """A vendor's answer; whatever else its adapter raises becomes a :class:`DestinationError`.

    Of an exception that no adapter should raise, the class alone: texts may quote addresses.
    """
    try:
        return question()
    except DestinationError:
        raise
    except LiftlineError as error:
        raise AdapterError(error.message, hint=error.hint) from error
    except Exception as error:
        raise AdapterError(
            f"the adapter of {adapter.name} raised {type(error).__name__}.",
            hint="Report the adapter.",
        ) from error


def look_up(
    con: duckdb.DuckDBPyConnection,
    state: State,
    activation: Activation,
    inspection: Inspection,
    *,
    now: datetime,
    progress: Progress,
) -> None:
    """Ask the vendors about people whose record is unknown."""
    totals = reach.build_look_ups(con, now=now)
    done = dict.fromkeys(totals, 0)
    if totals:
        inspection.stale.update(LEARNED)
    for name, people in reach.look_ups(con):
        adapter = activation.destinations[name]
        if name in inspection.unreadable or not isinstance(adapter, FindsRecords):
            continue
        try:
            found = asked(adapter, functools.partial(reach.look_up, people, adapter.find))
        except DestinationError as error:
            inspection.unreadable[name] = error
            continue
        Learning(state, name).learn_records(found, at=utc_text(now))
        done[name] += len(people)
        progress(f"looking people up at {name}", done[name], totals[name])


def inspect_audiences(
    con: duckdb.DuckDBPyConnection,
    state: State,
    activation: Activation,
    inspection: Inspection,
    *,
    now: datetime,
) -> None:
    """Find out which lists are there: known ones may be deleted, new names may exist already."""
    known: dict[str, list[tuple[str, ...]]] = {}
    for destination, *one in con.execute(
        "SELECT destination, name, audience_id, status, campaign, arm FROM st_audiences"
    ).fetchall():
        known.setdefault(destination, []).append(tuple(one))
    wanted: dict[str, list[tuple[str, ...]]] = {}
    for destination, *one in con.execute(
        "SELECT a.destination, a.name, a.campaign, a.arm FROM cfg_audiences a JOIN cfg_campaigns"
        " c USING (campaign)"
        " WHERE c.active ORDER BY ALL"
    ).fetchall():
        wanted.setdefault(destination, []).append(tuple(one))
    for name, adapter in activation.destinations.items():
        if name in inspection.unreadable:
            continue
        lists = _Lists(state, adapter, inspection, now)
        try:
            lists.recognise(known.get(name, ()))
            lists.find(wanted.get(name, ()))
        except DestinationError as error:
            inspection.unreadable[name] = error


class _Lists:
    """The lists of one destination, while they are looked for."""

    def __init__(
        self, state: State, adapter: Destination, inspection: Inspection, now: datetime
    ) -> None:
        self._state = state
        self._adapter = adapter
        self._inspection = inspection
        self._now = now
        self._status: dict[str, str] = {}

    def recognise(self, known: Iterable[tuple[str, ...]]) -> None:
        """See whether the lists that we know are still, or again, there."""
        for name, audience_id, status, campaign, arm in known:
            found = asked(
                self._adapter, functools.partial(self._adapter.find_audience, name, audience_id)
            )
            self._status[name] = status
            if found is None and status == "present":
                Learning(self._state, self._adapter.name).lose_audience(audience_id)
                self._status[name] = "deleted"
                self._inspection.stale.update(INSPECTED)
            elif found is not None and status != "present":
                # Restored, or it was the vendor that erred: its members are ours as before.
                self._adopt(Audience(name, audience_id), campaign, arm)
                self._status[name] = "present"

    def find(self, wanted: Iterable[tuple[str, ...]]) -> None:
        """Look for lists of the names that we want; those that exist already are taken over."""
        for name, campaign, arm in wanted:
            status = self._status.get(name)
            if status is not None:
                told = "kept" if status == "present" else "deleted"
            else:
                found = asked(
                    self._adapter, functools.partial(self._adapter.find_audience, name, None)
                )
                told = "new" if found is None else "adopted"
                if found is not None:
                    self._adopt(found, campaign, arm)
            self._inspection.statuses[self._adapter.name, name] = told

    def _adopt(self, found: Audience, campaign: str, arm: str) -> None:
        adopt(self._state, self._adapter, found, campaign, arm, self._now)
        self._inspection.stale.update(INSPECTED)


def adopt(
    state: State, adapter: Destination, found: Audience, campaign: str, arm: str, now: datetime
) -> None:
    """Take over a list that was found or made; whoever is on it and not by us stays foreign."""
    foreign: list[str] = []
    if not found.created and isinstance(adapter, ReadsMembers):
        foreign = asked(adapter, lambda: list(adapter.members(found)))
    Learning(state, adapter.name).adopt_audience(
        name=found.name,
        audience_id=found.audience_id,
        campaign=campaign,
        arm=arm,
        foreign=foreign,
        at=utc_text(now),
    )
