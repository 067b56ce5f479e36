"""What we know to be delivered, and how a crash or a time-out loses nobody.

Before a request leaves, its rows are written as ``maybe`` (the *intent*); the answer settles them.
So a row that a killed process left behind says "unknown", and the next plan sends it again, or
removes it when it is no longer wanted. There is no retry queue: the difference between what is
wanted and this ledger is the queue.

======================  ====================  ===================================
answer                  presence afterwards   next plan
======================  ====================  ===================================
intent written          maybe                 --
delivered               yes (removal: no)     unchanged
deferred, crash         maybe                 sent again; removed when not wanted
rejected add or update  as before the intent  blocked until fingerprint changes
rejected removal        maybe                 sent again every run, and alerted
suppressed              as before the intent  blocked until fingerprint changes
missing                 no                    looked up again later
======================  ====================  ===================================

What vendors tell us besides, while a plan is made, is booked by :mod:`connector.state.learning`.

A change carries the row version that its plan saw. A row that has moved since is skipped and
reported, never overwritten.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from connector.domain import Audience, Change, Outcome, Presence, RecordResult
from connector.state import schema
from connector.state.database import State

_SCOPES = {"records": ("destination",), "memberships": ("destination", "audience_id")}
"""Ledger -> columns that, with the match key, are its key."""

NOT_FOUND = "NOT_FOUND"
"""Block code of people whom the vendor does not know; lifted as soon as a look-up finds them."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A change together with what the ledger must remember of it.

    Attributes:
        change: What is sent.
        match_key: Digest of the match value; the ledger's key.
        fingerprint: Of the desired state; None when the person leaves (a removal, or properties
            being cleared).
        fields: Names of our properties that hold a value once the change is delivered.
        claims: The campaigns that claim the membership.
        expected_version: The ledger row's version that the plan saw; None when there was no row.
        reason: Why, in words of the plan; shown in the row issues.
    """

    change: Change
    match_key: str
    fingerprint: str | None
    fields: tuple[str, ...] = ()
    claims: str = ""
    expected_version: int | None = None
    reason: str = ""

    @property
    def leaves(self) -> bool:
        """Whether the change takes something away; such a change is never blocked."""
        return self.fingerprint is None


@dataclass(frozen=True, slots=True)
class Begun:
    """Intents that were written, with the presence before; and those whose row has moved."""

    accepted: tuple[Intent, ...]
    before: Mapping[int, Presence]
    moved: tuple[Intent, ...]


class Ledger:
    """The two ledgers of one destination."""

    def __init__(self, state: State, destination: str) -> None:
        self._engine = state.engine
        self._destination = destination

    # ------------------------------------------------------------------ intent
    def begin(self, intents: Sequence[Intent], *, audience_id: str | None) -> Begun:
        """Write down what is about to be sent, in one transaction.

        Args:
            intents: One batch of one kind, each with its own ``match_key``.
            audience_id: The list, for memberships; None for records.
        """
        table, scope = self._table(audience_id)
        with self._engine.begin() as connection:
            rows = {
                row.match_key: row
                for row in connection.execute(
                    _reading(table), scope | {"keys": [intent.match_key for intent in intents]}
                )
            }
            accepted: list[Intent] = []
            moved: list[Intent] = []
            before: dict[int, Presence] = {}
            for intent in intents:
                row = rows.get(intent.match_key)
                version = None if row is None else row.version
                if version != intent.expected_version:
                    moved.append(intent)
                    continue
                accepted.append(intent)
                before[intent.change.change_id] = (
                    Presence.NO if row is None else Presence(row.presence)
                )
            if accepted:
                values = [
                    scope
                    | {
                        "match_key": intent.match_key,
                        "profile_id": intent.change.profile_id,
                        "presence": Presence.MAYBE.value,
                        "version": 1,
                    }
                    | (
                        {
                            "match_value": intent.change.match_value,
                            # What may hold a value until it is settled: the old fields and the new
                            # ones.
                            "fields": json.dumps(
                                sorted({*intent.fields, *_fields_of(rows.get(intent.match_key))})
                            ),
                        }
                        if audience_id is None
                        else {"claims": intent.claims}
                    )
                    for intent in accepted
                ]
                connection.execute(_intending(table), values)
            if audience_id is not None:
                self._introduce(connection, accepted)
        return Begun(tuple(accepted), before, tuple(moved))

    def _introduce(self, connection: sa.Connection, joining: Sequence[Intent]) -> None:
        """Remember the match values of new members: without one nobody can be taken off again.

        Where properties are written or people looked up, their records are known already.
        """
        rows = [
            {
                "destination": self._destination,
                "match_key": intent.match_key,
                "profile_id": intent.change.profile_id,
                "match_value": intent.change.match_value,
                "presence": Presence.NO.value,
                "version": 1,
            }
            for intent in joining
            if not intent.leaves and intent.change.record_id is None
        ]
        if rows:
            connection.execute(upsert(schema.records).on_conflict_do_nothing(), rows)

    # ------------------------------------------------------------------ answers
    def settle(
        self,
        begun: Begun,
        results: Sequence[RecordResult],
        *,
        audience_id: str | None,
    ) -> None:
        """Write down what became of a batch, in one transaction.

        Args:
            begun: What :meth:`begin` returned.
            results: One for each accepted intent; intents without a result stay ``maybe``.
            audience_id: As given to :meth:`begin`.
        """
        by_id = {result.change_id: result for result in results}
        settle_one = self._settled_record if audience_id is None else self._settled_membership
        table, scope = self._table(audience_id)
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        missing: list[str] = []
        revealed: list[dict[str, str]] = []
        for intent in begun.accepted:
            result = by_id.get(intent.change.change_id)
            if result is None:
                continue
            values = settle_one(intent, result, begun.before[intent.change.change_id])
            if result.outcome is Outcome.MISSING:
                missing.append(intent.match_key)
            elif audience_id is not None and result.record_id and intent.change.record_id is None:
                revealed.append(
                    {"of": self._destination, "key": intent.match_key} | {"found": result.record_id}
                )
            if values:
                groups.setdefault(tuple(sorted(values)), []).append(
                    {f"new_{name}": value for name, value in values.items()}
                    | {"key": intent.match_key}
                    | {f"of_{name}": value for name, value in scope.items()}
                )
        with self._engine.begin() as connection:
            for names, rows in groups.items():
                connection.execute(_settling(table, names), rows)
            if revealed:
                connection.execute(_revealing(), revealed)
            if missing:
                doubt(connection, self._destination, missing)

    def _settled_record(
        self, intent: Intent, result: RecordResult, before: Presence
    ) -> dict[str, Any]:
        known = {"record_id": result.record_id} if result.record_id is not None else {}
        match result.outcome:
            case Outcome.DELIVERED:
                is_gone = intent.leaves and not intent.fields  # what else is ours may be kept
                return known | {
                    "presence": (Presence.NO if is_gone else Presence.YES).value,
                    "fingerprint": intent.fingerprint,
                    "fields": json.dumps(list(intent.fields)),
                    "blocked_fingerprint": None,
                    "blocked_code": None,
                    "checked_at": None,
                }
            case Outcome.REJECTED | Outcome.SUPPRESSED if not intent.leaves:
                return known | {
                    "presence": before.value,
                    "blocked_fingerprint": intent.fingerprint,
                    "blocked_code": result.code,
                }
            case Outcome.MISSING:
                return {
                    "presence": Presence.NO.value,
                    "fields": "[]",
                    "fingerprint": None,
                    "blocked_fingerprint": intent.fingerprint,
                    "blocked_code": NOT_FOUND,
                }
            case _:
                return known

    def _settled_membership(
        self, intent: Intent, result: RecordResult, before: Presence
    ) -> dict[str, Any]:
        match result.outcome:
            case Outcome.DELIVERED:
                return {
                    "presence": (Presence.NO if intent.leaves else Presence.YES).value,
                    "claims": intent.claims,
                    "blocked_fingerprint": None,
                    "blocked_code": None,
                }
            case Outcome.REJECTED | Outcome.SUPPRESSED if not intent.leaves:
                return {
                    "presence": before.value,
                    "blocked_fingerprint": intent.fingerprint,
                    "blocked_code": result.code,
                }
            case Outcome.MISSING:
                # Nobody of that id: certainly not on the list. Whether the person exists elsewhere
                # is looked up again.
                return {
                    "presence": Presence.NO.value,
                    "blocked_fingerprint": intent.fingerprint,
                    "blocked_code": NOT_FOUND,
                }
            case _:
                return {}

    def record_ids(self, match_keys: Sequence[str]) -> dict[str, str]:
        """The vendor's record ids as far as they are known; match key -> record id."""
        table = schema.records
        with self._engine.connect() as connection:
            return {
                row.match_key: row.record_id
                for row in connection.execute(
                    sa.select(table.c.match_key, table.c.record_id).where(
                        table.c.destination == self._destination,
                        table.c.match_key.in_(match_keys),
                        table.c.record_id.is_not(None),
                    )
                )
            }

    def audiences(self) -> dict[str, Audience]:
        """The lists that are there, by name."""
        table = schema.audiences
        with self._engine.connect() as connection:
            return {
                row.name: Audience(row.name, row.audience_id)
                for row in connection.execute(
                    sa.select(table.c.name, table.c.audience_id).where(
                        table.c.destination == self._destination, table.c.status == "present"
                    )
                )
            }

    def release(self, audience_id: str, match_keys: Sequence[str]) -> None:
        """Forget memberships whose vendor record is now claimed through another identity.

        Nothing is sent.
        """
        table = schema.memberships
        with self._engine.begin() as connection:
            for start in range(0, len(match_keys), 10_000):
                connection.execute(
                    sa.update(table)
                    .where(
                        table.c.destination == self._destination,
                        table.c.audience_id == audience_id,
                        table.c.match_key.in_(match_keys[start : start + 10_000]),
                    )
                    .values(presence=Presence.NO.value, version=table.c.version + 1)
                )

    def _table(self, audience_id: str | None) -> tuple[sa.Table, dict[str, str]]:
        if audience_id is None:
            return schema.records, {"destination": self._destination}
        return schema.memberships, {"destination": self._destination, "audience_id": audience_id}


def doubt(connection: sa.Connection, destination: str, match_keys: Sequence[str]) -> None:
    """The vendor has no record of the ids that we knew of these people.

    They are looked up again, and what is known of their properties and other memberships is
    doubted.
    """
    records, memberships = schema.records, schema.memberships
    connection.execute(
        sa.update(records)
        .where(records.c.destination == destination, records.c.match_key.in_(match_keys))
        .values(
            record_id=None,
            checked_at=None,
            # Whoever is found again under another id has none of our properties.
            presence=sa.case(
                (records.c.presence == Presence.YES.value, Presence.MAYBE.value),
                else_=records.c.presence,
            ),
            version=records.c.version + 1,
        )
    )
    connection.execute(
        sa.update(memberships)
        .where(
            memberships.c.destination == destination,
            memberships.c.match_key.in_(match_keys),
            memberships.c.presence == Presence.YES.value,
        )
        .values(presence=Presence.MAYBE.value, version=memberships.c.version + 1)
    )


# Statements are built once: building one takes longer than carrying it out for a small batch.
@functools.cache
def _reading(table: sa.Table) -> sa.Select[Any]:
    """The rows of some match keys; parameters: the scope's columns, and ``keys``."""
    columns = [table.c.match_key, table.c.presence, table.c.version]
    if table is schema.records:
        columns.append(table.c.fields)
    return sa.select(*columns).where(
        *(table.c[name] == sa.bindparam(name) for name in _SCOPES[table.name]),
        table.c.match_key.in_(sa.bindparam("keys", expanding=True)),
    )


@functools.cache
def _intending(table: sa.Table) -> sa.Insert:
    """Write rows as ``maybe``."""
    statement = upsert(table)
    changed: dict[str, Any] = {
        "presence": Presence.MAYBE.value,
        "profile_id": statement.excluded.profile_id,
        "version": table.c.version + 1,
    }
    if table is schema.records:
        changed["match_value"] = statement.excluded.match_value
        changed["fields"] = statement.excluded.fields
    return statement.on_conflict_do_update(
        index_elements=[*_SCOPES[table.name], "match_key"], set_=changed
    )


@functools.cache
def _settling(table: sa.Table, names: tuple[str, ...]) -> sa.Update:
    """Set columns of one row; parameters: ``new_`` columns, ``key``, ``of_`` the scope's."""
    return (
        sa.update(table)
        .where(
            *(table.c[name] == sa.bindparam(f"of_{name}") for name in _SCOPES[table.name]),
            table.c.match_key == sa.bindparam("key"),
        )
        .values(
            {name: sa.bindparam(f"new_{name}") for name in names} | {"version": table.c.version + 1}
        )
    )


@functools.cache
def _revealing() -> sa.Update:
    """Remember by which id a list names somebody, where no record told it before.

    The version stays: a change of the same plan to the properties must not find its row moved.
    Parameters: ``of``, the destination, ``key`` and ``found``.
    """
    table = schema.records
    return (
        sa.update(table)
        .where(
            table.c.destination == sa.bindparam("of"),
            table.c.match_key == sa.bindparam("key"),
            table.c.record_id.is_(None),
        )
        .values(record_id=sa.bindparam("found"))
    )


def _fields_of(row: sa.Row[Any] | None) -> list[str]:
    return [] if row is None else json.loads(row.fields)
