"""One person in a run's workspace and in the state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from connector.pipeline.understand.act import Understanding
from connector.state.database import State

NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Subject:
    """Reads what is known of one person, under every id that the person has had.

    Attributes:
        found: The first act.
        state: The state.
        profile_id: Who it is.
        former: Profile ids that were merged into this one.
    """

    found: Understanding
    state: State
    profile_id: str
    former: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that the state may know the person by."""
        return (self.profile_id, *self.former)

    def rows(self, sql: str, values: Mapping[str, object] = NOTHING) -> list[tuple[Any, ...]]:
        """Rows of the workspace about this person; ``$who`` stands for the profile."""
        con = self.found.warehouse.connection
        return con.execute(sql, {"who": self.profile_id, **values}).fetchall()

    def stored(self, table: sa.Table) -> Sequence[sa.Row[Any]]:
        """Rows of the state about this person, under the present id before former ones."""
        present = table.c.profile_id == self.profile_id
        query = sa.select(table).where(table.c.profile_id.in_(self.ids)).order_by(present.desc())
        with self.state.engine.connect() as connection:
            return connection.execute(query).all()
