"""Everything about one person: scores, segments, campaigns, arms, consent and what was delivered.

Computed like a plan, with the same statements, from the sources and the state as they are; no
vendor is asked, so whom a destination knows is told from the ledger. Who is meant may be said by an
e-mail address; it is used to find the person and then forgotten: no text here holds one, errors
included.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb

from connector import holdouts
from connector.audiences import eligibility, reach
from connector.audiences.specs import load_specs
from connector.pipeline.activate.activation import Activation
from connector.pipeline.activate.known import load_state
from connector.pipeline.person.delivered import destination_view
from connector.pipeline.person.explanation import Explanation
from connector.pipeline.person.look import Cutting, Look, mask
from connector.pipeline.person.look_scores import ScoreLook
from connector.pipeline.person.who import find_profile, former_ids, load_merges
from connector.pipeline.scoring.grid import RFM
from connector.state.database import State

if TYPE_CHECKING:
    from connector.pipeline.project import Project

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
                    destination_view(look, spec) for spec in activation.destination_specs
                ),
            )

        yield tell


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
