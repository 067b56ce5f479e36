"""What vendors tell us while we plan: who exists there, which lists, and who is on them.

Nothing of this was sent. It corrects the ledgers (:mod:`connector.state.ledger`) where the vendor's
own users changed something: a contact or a list that was deleted, a member who was taken off by
hand. Whoever is on a list without a row of ours is *foreign*: never added, never taken off.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from connector.domain import Presence
from connector.state import schema
from connector.state.database import State
from connector.state.ledger import doubt

ROWS_AT_ONCE = 10_000
"""Rows of one statement; SQLite takes 32,766 parameters."""

_Row = TypeVar("_Row")


class Learning:
    """What is learned of one destination."""

    def __init__(self, state: State, destination: str) -> None:
        self._engine = state.engine
        self._destination = destination

    # ------------------------------------------------------------------ people
    def learn_records(self, found: Sequence[Mapping[str, str | None]], *, at: str) -> None:
        """Store the vendor's answer to a look-up.

        Args:
            found: Mappings with ``match_key``, ``profile_id``, ``match_value`` and ``record_id``
                (None: no such person).
            at: The instant of the look-up, ISO text.
        """
        if not found:
            return
        rows = [
            {
                "destination": self._destination,
                "match_key": row["match_key"],
                "profile_id": row["profile_id"],
                "match_value": row["match_value"],
                "record_id": row["record_id"],
                "presence": Presence.NO.value,
                "checked_at": at if row["record_id"] is None else None,
                "version": 1,
            }
            for row in found
        ]
        absent = [row["match_key"] for row in rows if row["record_id"] is None]
        with self._engine.begin() as connection:
            connection.execute(_learning(), rows)
            for start in range(0, len(absent), ROWS_AT_ONCE):
                keys = {"of": self._destination, "keys": absent[start : start + ROWS_AT_ONCE]}
                # The vendor knows nobody of that address, so nothing of ours can be there.
                connection.execute(_losing_memberships(), keys)
                connection.execute(_losing_records(), keys)

    # ------------------------------------------------------------------ lists
    def adopt_audience(
        self,
        *,
        name: str,
        audience_id: str,
        campaign: str,
        arm: str,
        foreign: Sequence[str],
        at: str,
    ) -> None:
        """Remember a list that was just read, or made.

        A list that we know, renamed or restored at the vendor, comes back with members of ours
        among them; those are never foreign.

        Args:
            name: Its name at the vendor.
            audience_id: The vendor's id of it.
            campaign: The campaign that it is of.
            arm: The arm that it is of.
            foreign: The vendor's ids of members that were there before us.
            at: The instant of the reading, ISO text.
        """
        table = schema.audiences
        same = (table.c.destination == self._destination, table.c.audience_id == audience_id)
        with self._engine.begin() as connection:
            statuses = list(connection.scalars(sa.select(table.c.status).where(*same)))
            if statuses:
                was_lost = "present" not in statuses
                foreign = self._not_ours(connection, audience_id, foreign, was_lost=was_lost)
                connection.execute(sa.delete(table).where(*same, table.c.name != name))
            statement = upsert(schema.audiences)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["destination", "name"],
                    set_={
                        "audience_id": statement.excluded.audience_id,
                        "status": "present",
                        "campaign": statement.excluded.campaign,
                        "arm": statement.excluded.arm,
                        "since": statement.excluded.since,
                        "reconciled_at": statement.excluded.reconciled_at,
                    },
                ),
                {
                    "destination": self._destination,
                    "name": name,
                    "audience_id": audience_id,
                    "campaign": campaign,
                    "arm": arm,
                    "status": "present",
                    "since": at,
                    "reconciled_at": at,
                },
            )
            self._meet(connection, audience_id, foreign)

    def _not_ours(
        self,
        connection: sa.Connection,
        audience_id: str,
        members: Sequence[str],
        *,
        was_lost: bool,
    ) -> list[str]:
        """Members of a known list who were there before us.

        When the list was lost all of its memberships were put to ``no``, so whoever is on it again
        and has a row is ours, and doubted until a plan has settled it.
        """
        table, records = schema.memberships, schema.records
        found = set(members)
        ours: dict[str, str] = {}
        for row in connection.execute(
            sa.select(
                table.c.match_key, table.c.presence, records.c.record_id, records.c.match_value
            )
            .join(
                records,
                sa.and_(
                    records.c.destination == table.c.destination,
                    records.c.match_key == table.c.match_key,
                ),
            )
            .where(table.c.destination == self._destination, table.c.audience_id == audience_id)
        ):
            member = row.record_id or row.match_value
            if member in found and (was_lost or row.presence != Presence.NO.value):
                ours[member] = row.match_key
        if was_lost and ours:
            connection.execute(
                sa.update(table)
                .where(
                    table.c.destination == self._destination,
                    table.c.audience_id == audience_id,
                    table.c.match_key == sa.bindparam("key"),
                )
                .values(presence=Presence.MAYBE.value, version=table.c.version + 1),
                [{"key": key} for key in ours.values()],
            )
        return [member for member in members if member not in ours]

    def lose_audience(self, audience_id: str) -> None:
        """The vendor deleted a list: its memberships are gone, and it must be built anew."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(schema.audiences)
                .where(
                    schema.audiences.c.destination == self._destination,
                    schema.audiences.c.audience_id == audience_id,
                )
                .values(status="deleted")
            )
            connection.execute(
                sa.update(schema.memberships)
                .where(
                    schema.memberships.c.destination == self._destination,
                    schema.memberships.c.audience_id == audience_id,
                    schema.memberships.c.presence != Presence.NO.value,
                )
                .values(presence=Presence.NO.value, version=schema.memberships.c.version + 1)
            )

    # ------------------------------------------------------------------ a list read again
    def take_off(self, audience_id: str, match_keys: Sequence[str]) -> None:
        """These people are on the list no more, although nobody of ours took them off.

        Only who was certainly there: of the unconfirmed nothing is learned, for their request may
        still be on its way.
        """
        table = schema.memberships
        with self._engine.begin() as connection:
            for keys in _slices(match_keys):
                connection.execute(
                    sa.update(table)
                    .where(
                        table.c.destination == self._destination,
                        table.c.audience_id == audience_id,
                        table.c.match_key.in_(keys),
                        table.c.presence == Presence.YES.value,
                    )
                    .values(presence=Presence.NO.value, version=table.c.version + 1)
                )

    def replace_records(self, found: Sequence[tuple[str, str]]) -> None:
        """People whom the vendor now knows under another id than we did.

        Deleted and made anew, or merged with somebody: what we had there is doubted.

        Args:
            found: Match keys with the new record ids.
        """
        records = schema.records
        with self._engine.begin() as connection:
            for some in _slices(found):
                doubt(connection, self._destination, [key for key, _ in some])
                connection.execute(
                    sa.update(records)
                    .where(
                        records.c.destination == self._destination,
                        records.c.match_key == sa.bindparam("key"),
                    )
                    .values(record_id=sa.bindparam("found")),
                    [{"key": key, "found": record_id} for key, record_id in some],
                )

    def meet_strangers(self, audience_id: str, members: Sequence[str]) -> None:
        """Members of a list whom we did not put there; they are never taken off."""
        with self._engine.begin() as connection:
            self._meet(connection, audience_id, members)

    def forget_strangers(self, audience_id: str, members: Sequence[str]) -> None:
        """Members that were there before us and have left: from now on they may be ours."""
        table = schema.foreign_members
        with self._engine.begin() as connection:
            for some in _slices(members):
                connection.execute(
                    sa.delete(table).where(
                        table.c.destination == self._destination,
                        table.c.audience_id == audience_id,
                        table.c.member.in_(some),
                    )
                )

    def mark_reconciled(self, audience_ids: Sequence[str], *, at: str) -> None:
        """These lists were read at that instant, ISO text, and what was found is booked."""
        table = schema.audiences
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(table)
                .where(
                    table.c.destination == self._destination,
                    table.c.audience_id.in_(audience_ids),
                )
                .values(reconciled_at=at)
            )

    def _meet(self, connection: sa.Connection, audience_id: str, members: Sequence[str]) -> None:
        for some in _slices(members):
            connection.execute(
                upsert(schema.foreign_members).on_conflict_do_nothing(),
                [
                    {
                        "destination": self._destination,
                        "audience_id": audience_id,
                        "member": member,
                    }
                    for member in some
                ],
            )


def _slices(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]


@functools.cache
def _learning() -> sa.Insert:
    """Store what a look-up told."""
    table, statement = schema.records, upsert(schema.records)
    return statement.on_conflict_do_update(
        index_elements=["destination", "match_key"],
        set_={
            "record_id": statement.excluded.record_id,
            "checked_at": statement.excluded.checked_at,
            "version": table.c.version + 1,
        },
    )


@functools.cache
def _losing_memberships() -> sa.Update:
    """Parameters: ``of``, the destination, and ``keys``."""
    table = schema.memberships
    return (
        sa.update(table)
        .where(
            table.c.destination == sa.bindparam("of"),
            table.c.match_key.in_(sa.bindparam("keys", expanding=True)),
            table.c.presence != Presence.NO.value,
        )
        .values(presence=Presence.NO.value, version=table.c.version + 1)
    )


@functools.cache
def _losing_records() -> sa.Update:
    """Parameters: ``of``, the destination, and ``keys``."""
    table = schema.records
    return (
        sa.update(table)
        .where(
            table.c.destination == sa.bindparam("of"),
            table.c.match_key.in_(sa.bindparam("keys", expanding=True)),
            table.c.presence != Presence.NO.value,
        )
        .values(presence=Presence.NO.value, fields="[]", fingerprint=None)
    )
