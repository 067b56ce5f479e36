"""The two logs that an experiment rests on: who was given which arm, and who would have been sent.

Both are append-only: nothing here changes or deletes a row. The second holds, for every arm alike,
the decision that a plan took before anybody's arm was looked at ("ghost sends"). It is written
before the first push and never asks what became of it, so that people can be counted who *would*
have been sent something, in both arms, without conditioning on delivery.

References:
    Johnson, Lewis & Nubbemeyer (2017), "Ghost Ads: Improving the Economics of Measuring Online Ad
    Effectiveness", Journal of Marketing Research 54(6).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from connector.state import schema
from connector.state.database import State, utc_text

if TYPE_CHECKING:
    import pyarrow as pa

YES, NO = "yes", "no"
"""The decisions."""

ROWS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for; None: all.

    Attributes:
        campaign: Of one campaign, or of a global holdout.
        epoch: Of one randomisation epoch.
        profiles: Of these profiles, as they were logged.
    """

    campaign: str | None = None
    epoch: int | None = None
    profiles: tuple[str, ...] | None = None

    def conditions(self, table: sa.FromClause) -> list[sa.ColumnElement[bool]]:
        """The same as SQL over a log."""
        found: list[sa.ColumnElement[bool]] = []
        if self.campaign is not None:
            found.append(table.c.campaign == self.campaign)
        if self.epoch is not None:
            found.append(table.c.epoch == self.epoch)
        if self.profiles is not None:
            found.append(table.c.profile_id.in_(self.profiles))
        return found


class ExperimentLog:
    """Reads of both logs, and the writing of ghost sends."""

    def __init__(self, state: State) -> None:
        self._engine = state.engine

    def log_decisions(self, decisions: pa.Table, *, run_id: str, at: datetime) -> None:
        """Append what a plan decided; all of it or nothing.

        A plan that is carried out again after a crash adds nothing.

        Args:
            decisions: Columns campaign, epoch, profile_id, arm, decision, reason.
            run_id: The run that carries the plan out.
            at: When the plan decided, aware.
        """
        moment = utc_text(at)
        with self._engine.begin() as connection:
            for batch in decisions.to_batches(max_chunksize=ROWS_AT_ONCE):
                rows = [row | {"run_id": run_id, "at": moment} for row in batch.to_pylist()]
                if rows:
                    connection.execute(upsert(schema.would_send).on_conflict_do_nothing(), rows)

    # ------------------------------------------------------------------ reading
    def counts(self, wanted: Wanted) -> list[dict[str, Any]]:
        """People of each campaign, epoch and arm, and of them those who would be sent something.

        Args:
            wanted: Which of them.

        Returns:
            Keys ``campaign, epoch, arm, people, first_at, last_at, versions, logged, would_send``;
            ``logged`` counts the people of whom a ghost-send decision is known, ``would_send``
            those whose last one is yes. Times are ISO text. In the order of campaigns and epochs.
        """
        a, last = schema.assignments, self._last_decisions(wanted)
        query = (
            sa.select(
                a.c.campaign,
                a.c.epoch,
                a.c.arm,
                sa.func.count().label("people"),
                sa.func.min(a.c.first_eligible_at).label("first_at"),
                sa.func.max(a.c.first_eligible_at).label("last_at"),
                sa.func.count(a.c.config_version.distinct()).label("versions"),
                sa.func.count(last.c.decision).label("logged"),
                sa.func.count(sa.case((last.c.decision == YES, 1))).label("would_send"),
            )
            .select_from(a.outerjoin(last, _same_person(a, last)))
            .where(*wanted.conditions(a))
            .group_by(a.c.campaign, a.c.epoch, a.c.arm)
            .order_by(a.c.campaign, a.c.epoch, a.c.arm.desc())
        )
        return self._rows(query)

    def assignments(self, wanted: Wanted, *, limit: int, offset: int = 0) -> list[dict[str, Any]]:
        """Assignments as they were logged, oldest first, each with its last ghost-send decision.

        Args:
            wanted: Which of them.
            limit: At most so many.
            offset: After so many.
        """
        a, last = schema.assignments, self._last_decisions(wanted)
        query = (
            sa.select(a, last.c.decision, last.c.reason, last.c.decided_at)
            .select_from(a.outerjoin(last, _same_person(a, last)))
            .where(*wanted.conditions(a))
            .order_by(a.c.first_eligible_at, a.c.campaign, a.c.epoch, a.c.profile_id)
            .limit(limit)
            .offset(offset)
        )
        return self._rows(query)

    def n_assignments(self, wanted: Wanted) -> int:
        """How many assignments there are."""
        a = schema.assignments
        with self._engine.connect() as connection:
            return int(
                connection.scalar(
                    sa.select(sa.func.count()).select_from(a).where(*wanted.conditions(a))
                )
                or 0
            )

    def decisions(self, wanted: Wanted, *, limit: int, offset: int = 0) -> list[dict[str, Any]]:
        """Every ghost-send decision as it was logged, oldest first."""
        w = schema.would_send
        return self._rows(
            sa.select(w)
            .where(*wanted.conditions(w))
            .order_by(w.c.at, w.c.campaign, w.c.epoch, w.c.profile_id)
            .limit(limit)
            .offset(offset)
        )

    def merged_with(self, profile_id: str) -> tuple[str, ...]:
        """A profile and every former one that is the same person; itself alone for most."""
        m = schema.profile_merges
        with self._engine.connect() as connection:
            into = connection.scalar(
                sa.select(m.c.into_profile_id).where(m.c.from_profile_id == profile_id)
            )
            present = into or profile_id
            former = connection.scalars(
                sa.select(m.c.from_profile_id)
                .where(m.c.into_profile_id == present)
                .order_by(m.c.from_profile_id)
            )
            return (present, *former)

    def _last_decisions(self, wanted: Wanted) -> sa.Subquery:
        w = schema.would_send
        place = sa.func.row_number().over(
            partition_by=(w.c.campaign, w.c.epoch, w.c.profile_id), order_by=w.c.at.desc()
        )
        ranked = (
            sa.select(
                w.c.campaign,
                w.c.epoch,
                w.c.profile_id,
                w.c.decision,
                w.c.reason,
                w.c.at.label("decided_at"),
                place.label("place"),
            )
            .where(*wanted.conditions(w))
            .subquery()
        )
        return sa.select(ranked).where(ranked.c.place == 1).subquery()

    def _rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _same_person(a: sa.FromClause, b: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(
        *(a.c[name] == b.c[name] for name in ("campaign", "epoch", "profile_id")),
    )
