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

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.dialects.sqlite import insert as upsert

from connector.state import schema
from connector.state.database import State, utc_text

if TYPE_CHECKING:
    import pyarrow as pa

YES, NO = "yes", "no"
"""The decisions."""

ROWS_AT_ONCE = 20_000


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
