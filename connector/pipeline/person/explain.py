"""Everything about one person: scores, segments, campaigns, arms, consent and what was delivered.

Computed like a plan, with the same statements, from the sources and the state as they are; no
vendor is asked, so whom a destination knows is told from the ledger. Who is meant may be said by an
e-mail address; it is used to find the person and then forgotten: no text here holds one, errors
included.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from connector import holdouts
from connector.audiences import eligibility, rationing, reach
from connector.audiences.specs import load_specs
from connector.domain import Level
from connector.numbers import several
from connector.pipeline.activate.activation import Activation
from connector.pipeline.activate.known import load_state
from connector.pipeline.activate.planning import build_changes
from connector.pipeline.person.delivered import destination_view
from connector.pipeline.person.explanation import Explanation
from connector.pipeline.person.look import Cutting, Look, mask
from connector.pipeline.person.look_scores import ScoreLook
from connector.pipeline.person.who import find_profile, former_ids, load_merges
from connector.pipeline.scoring.grid import RFM
from connector.state.database import State
from connector.warehouse.render import literal

if TYPE_CHECKING:
    from connector.pipeline.project import Project
    from connector.pipeline.understand.act import Understanding

DAY = timedelta(days=1)
OLD = timedelta(days=2)
"""From here on the age of the newest order is worth a word."""

__all__ = ["Explanation", "explain", "explaining", "mask"]


def explain(project: Project, who: str, *, as_of: datetime | None = None) -> Explanation:
    """Tell everything about one person.

    Args:
        project: The project; nothing of it is changed, and no vendor is asked.
        who: A profile id, a customer id or an e-mail address.
        as_of: Overrides the file's instant.

    Raises:
        LiftlineError: Nobody is found, or nobody that may be shown. The message does not repeat
            ``who``.
    """
    with explaining(project, as_of=as_of) as tell:
        return tell(who)


@contextlib.contextmanager
def explaining(
    project: Project, *, as_of: datetime | None = None
) -> Iterator[Callable[[str], Explanation]]:
    """Tell of several people for the price of one: the first act is what takes the time.

    Args:
        project: The project.
        as_of: Overrides the file's instant.

    Yields:
        :func:`explain` of one more person.
    """
    with project.workspace() as warehouse:
        found = project.understand(warehouse, as_of=as_of)
        activation = project.activation(found)
        _judge(warehouse.connection, project.state, activation, as_of=found.as_of)
        load_merges(warehouse.connection)
        stored = project.journal.model(RFM) is not None
        zone = project.config.project.timezone
        until = _data_until(found)
        stale = tuple(_stale(found, until, now=project.now))

        def tell(who: str) -> Explanation:
            profile_id = find_profile(found, who)
            former = former_ids(warehouse.connection, profile_id)
            look = Look(found, project.state, profile_id, former, project.config, activation)
            return Explanation(
                person=look.person(),
                as_of=found.as_of,
                rfm=look.rfm(Cutting.DUE if stored else Cutting.FIRST),
                models=ScoreLook(found, project.state, profile_id, former, project.config).models(),
                segments=tuple(look.segments()),
                campaigns=tuple(look.campaigns()),
                global_holdout=look.global_holdout(),
                consents=tuple(look.consents()),
                exclusions=tuple(look.exclusions()),
                destinations=tuple(
                    destination_view(look, spec, zone) for spec in activation.destination_specs
                ),
                timezone=zone,
                data_until=until,
                stale=stale,
            )

        yield tell


# ---------------------------------------------------------------------- how old the data are
def _data_until(found: Understanding) -> datetime | None:
    """The newest order that counts."""
    ((newest,),) = found.warehouse.rows(
        "SELECT max(o.ordered_at) AS newest FROM clean_orders AS o"
        f" WHERE o.ordered_at <= {literal(found.as_of)}"
    )
    return None if newest is None else newest.replace(tzinfo=UTC)


def _stale(found: Understanding, until: datetime | None, *, now: datetime) -> Iterator[str]:
    """What a person should know of how old the instant and the data are."""
    looked_back = (now - found.as_of) // DAY
    if looked_back >= 1:
        yield f"This is how it was {several(looked_back, 'day')} ago."
    told = [
        f"{finding.subject}: {finding.message}"
        for finding in found.findings
        if finding.subject.endswith(".freshness") and finding.level is not Level.OK
    ]
    yield from told
    if not told and until is not None and found.as_of - until >= OLD:
        days = several((found.as_of - until) // DAY, "day")
        yield f"The newest order is {days} older: whatever happened since is not known here."


# ---------------------------------------------------------------------- as a plan would
def _judge(
    con: duckdb.DuckDBPyConnection,
    state: State,
    activation: Activation,
    *,
    as_of: datetime,
) -> None:
    """Make ``reach``, ``candidates`` and ``arms`` as a plan would.

    Whoever was never looked up at a destination is taken as known there; the next plan asks.
    """
    holdouts.check_salt(state.get("salt_digest"), activation.salt)
    load_state(con, state)
    load_specs(con, activation.destination_specs, activation.campaigns, activation.priority_lists)
    reach.build_reach(con)
    reach.apply_records(con)
    con.execute(
        "UPDATE reach SET blocked = NULL WHERE blocked = 'not_at_destination' AND NOT EXISTS"
        " (SELECT 1 FROM st_records k WHERE k.destination = reach.destination"
        " AND k.match_key = reach.match_key AND k.checked_at IS NOT NULL)"
    )
    eligibility.build_candidates(con)
    holdouts.draw_arms(
        con,
        salt=activation.salt,
        draws=activation.draws,
        global_draw=activation.global_draw,
        as_of=as_of,
    )
    if activation.rations:
        # Only whom the budget does not reach is asked for; what would be sent is read by nobody.
        build_changes(con, activation, ())
        rationing.ration(con, activation.rations, activation.campaigns)
