"""Lists read again: whom somebody took off at the vendor, and who came without us.

Between two readings the ledger is believed: reading a list of a million people before every run
costs thousands of calls, and most lists are touched by nobody but us. So each list is read when its
last reading is older than the configuration allows (``reconcile_every``).

Somebody of ours who is not on the list is looked up first. A contact that was merged into another,
or deleted and made anew, is there under another id, and one who is on the list under it is still
ours: taken for a stranger, nobody would take them off when they withdraw their consent.

Members stream into the workspace in chunks and are compared there; only those who differ come back.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connector.domain import Audience
from connector.errors import DestinationError
from connector.pipeline.activate.activation import Activation, Progress
from connector.pipeline.activate.inspection import Inspection, asked
from connector.pipeline.activate.known import INSPECTED, LEARNED
from connector.ports import FindsRecords, ReadsMembers
from connector.state.database import State, utc_text
from connector.state.learning import Learning

if TYPE_CHECKING:
    import duckdb

ROWS_AT_ONCE = 10_000
"""Members, or people, that are Python objects at one time."""


def reconcile(
    con: duckdb.DuckDBPyConnection,
    state: State,
    activation: Activation,
    inspection: Inspection,
    *,
    now: datetime,
    progress: Progress,
) -> None:
    """Read the lists whose last reading is too old, and correct the ledger.

    Whoever was certainly on a list of ours and is not is booked as absent, so that the difference
    adds them again if they are still wanted; members without a row of ours become foreign, and
    foreign ones who have left are forgotten. The unconfirmed stay so.

    Relations read: ``st_audiences``, ``st_memberships``, ``st_records``, ``st_foreign``, ``cfg_*``.
    """
    due = _due(con, activation, inspection, now)
    if not due:
        return
    _read(con, activation, inspection, due, progress)
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE absent AS
        SELECT m.destination, m.audience_id, m.match_key, m.presence, k.profile_id, k.match_value,
            k.record_id
        FROM st_memberships m
        SEMI JOIN lists_read r ON r.destination = m.destination AND r.audience_id = m.audience_id
        JOIN st_records k ON k.destination = m.destination AND k.match_key = m.match_key
        ANTI JOIN listed l ON l.destination = m.destination AND l.audience_id = m.audience_id
            AND l.member = coalesce(k.record_id, k.match_value)
        WHERE m.presence <> 'no'
        """
    )
    _look_absent_up(con, state, activation, inspection, now=now)
    for destination, audience_id, keys in _grouped(
        con,
        """
        SELECT a.destination, a.audience_id, a.match_key FROM absent a
        SEMI JOIN lists_read r ON r.destination = a.destination AND r.audience_id = a.audience_id
        ANTI JOIN found f ON f.destination = a.destination AND f.match_key = a.match_key
        WHERE a.presence = 'yes'
        """,
    ):
        Learning(state, destination).take_off(audience_id, keys)
        inspection.stale.update(LEARNED)
    for destination, audience_id, members in _grouped(
        con,
        """
        SELECT DISTINCT l.destination, l.audience_id, l.member FROM listed l
        SEMI JOIN lists_read r ON r.destination = l.destination AND r.audience_id = l.audience_id
        ANTI JOIN (
            SELECT m.destination, m.audience_id, coalesce(k.record_id, k.match_value) AS member
            FROM st_memberships m
            JOIN st_records k ON k.destination = m.destination AND k.match_key = m.match_key
            WHERE m.presence <> 'no'
            UNION ALL
            SELECT a.destination, a.audience_id, f.record_id
            FROM absent a JOIN found f USING (destination, match_key)
        ) o ON o.destination = l.destination AND o.audience_id = l.audience_id
            AND o.member = l.member
        ANTI JOIN st_foreign s ON s.destination = l.destination AND s.audience_id = l.audience_id
            AND s.member = l.member
        """,
    ):
        Learning(state, destination).meet_strangers(audience_id, members)
        inspection.stale.update(INSPECTED)
    for destination, audience_id, members in _grouped(
        con,
        """
        SELECT s.destination, s.audience_id, s.member FROM st_foreign s
        SEMI JOIN lists_read r ON r.destination = s.destination AND r.audience_id = s.audience_id
        ANTI JOIN listed l ON l.destination = s.destination AND l.audience_id = s.audience_id
            AND l.member = s.member
        """,
    ):
        Learning(state, destination).forget_strangers(audience_id, members)
        inspection.stale.update(INSPECTED)
    _count(con, inspection)
    # At last, so that whatever a killed run had not booked is found by the next one.
    for destination, rows in itertools.groupby(
        con.execute("SELECT destination, audience_id FROM lists_read ORDER BY ALL").fetchall(),
        key=lambda row: str(row[0]),
    ):
        read = [audience_id for _, audience_id in rows]
        Learning(state, destination).mark_reconciled(read, at=utc_text(now))


def _due(
    con: duckdb.DuckDBPyConnection,
    activation: Activation,
    inspection: Inspection,
    now: datetime,
) -> list[tuple[str, list[Audience]]]:
    """The lists to read, by destination: those that are wanted, or hold people of ours."""
    oldest = {
        name: utc_text(now - every)
        for name, every in activation.reconcile_every.items()
        if name not in inspection.unreadable
        and isinstance(activation.destinations[name], ReadsMembers)
    }
    if not oldest:
        return []
    rows = con.execute(
        """
        SELECT a.destination, a.name, a.audience_id
        FROM st_audiences a
        JOIN (SELECT unnest(?) AS destination, unnest(?) AS oldest) d USING (destination)
        WHERE a.status = 'present' AND (a.reconciled_at IS NULL OR a.reconciled_at < d.oldest)
          AND (
            EXISTS (SELECT 1 FROM cfg_audiences c JOIN cfg_campaigns g USING (campaign)
                WHERE g.active AND c.destination = a.destination AND c.name = a.name)
            OR EXISTS (SELECT 1 FROM st_memberships m WHERE m.destination = a.destination
                AND m.audience_id = a.audience_id AND m.presence <> 'no')
          )
        ORDER BY ALL
        """,
        [list(oldest), list(oldest.values())],
    ).fetchall()
    return [
        (destination, [Audience(name, audience_id) for _, name, audience_id in lists])
        for destination, lists in itertools.groupby(rows, key=lambda row: str(row[0]))
    ]


def _read(
    con: duckdb.DuckDBPyConnection,
    activation: Activation,
    inspection: Inspection,
    due: Iterable[tuple[str, list[Audience]]],
    progress: Progress,
) -> None:
    """Create ``listed`` (who is on the lists) and ``lists_read`` (those that were read to the end).

    Members of a list that broke off remain in ``listed``, where nothing joins them.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE listed(destination TEXT, audience_id TEXT, member TEXT)"
    )
    read: list[tuple[str, str, str]] = []
    rows: list[tuple[str, str, str]] = []
    for destination, audiences in due:
        adapter = activation.destinations[destination]
        if not isinstance(adapter, ReadsMembers):
            continue  # never: only lists that can be read are due
        try:
            for done, audience in enumerate(audiences):
                progress(f"reading lists at {destination}", done, len(audiences))
                members = iter(asked(adapter, functools.partial(adapter.members, audience)))
                while some := asked(adapter, functools.partial(_take, members)):
                    rows += [(destination, audience.audience_id, member) for member in some]
                    if len(rows) >= ROWS_AT_ONCE:
                        _insert(con, "listed", rows)
                        rows.clear()
            read += [(destination, one.audience_id, one.name) for one in audiences]
        except DestinationError as error:
            inspection.unreadable[destination] = error
    _insert(con, "listed", rows)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE lists_read(destination TEXT, audience_id TEXT, name TEXT)"
    )
    _insert(con, "lists_read", read)


def _look_absent_up(
    con: duckdb.DuckDBPyConnection,
    state: State,
    activation: Activation,
    inspection: Inspection,
    *,
    now: datetime,
) -> None:
    """Create ``found``: people of ours who are at the vendor under another id than we knew.

    Those whom the vendor does not know any more are booked as gone, with all that we had there. A
    destination that breaks off here is taken out of ``lists_read``.
    """
    found: list[tuple[str, str, str]] = []
    people = (
        "SELECT DISTINCT destination, match_key, profile_id, match_value, record_id FROM absent"
    )
    for destination, some in _chunks(con, people):
        adapter = activation.destinations[destination]
        if destination in inspection.unreadable or not isinstance(adapter, FindsRecords):
            continue
        try:
            ids = asked(adapter, functools.partial(adapter.find, [value for *_, value, _ in some]))
        except DestinationError as error:
            inspection.unreadable[destination] = error
            continue
        gone: list[dict[str, str | None]] = [
            {"match_key": key, "profile_id": who, "match_value": value, "record_id": None}
            for _, key, who, value, _ in some
            if value not in ids
        ]
        moved = [(key, ids[value]) for _, key, _, value, old in some if ids.get(value, old) != old]
        if gone or moved:
            inspection.stale.update(LEARNED)
        learning = Learning(state, destination)
        learning.learn_records(gone, at=utc_text(now))
        learning.replace_records(moved)
        found += [(destination, key, record_id) for key, record_id in moved]
    con.execute(
        "CREATE OR REPLACE TEMP TABLE found(destination TEXT, match_key TEXT, record_id TEXT)"
    )
    _insert(con, "found", found)
    if inspection.unreadable:
        con.execute(
            "DELETE FROM lists_read WHERE destination IN (SELECT unnest(?))",
            [list(inspection.unreadable)],
        )


def _count(con: duckdb.DuckDBPyConnection, inspection: Inspection) -> None:
    """Whom somebody took off: whoever is on the list under another id is none of them."""
    for destination, name, n in con.execute(
        """
        SELECT r.destination, r.name, count(*)
        FROM absent a
        JOIN lists_read r ON r.destination = a.destination AND r.audience_id = a.audience_id
        LEFT JOIN found f ON f.destination = a.destination AND f.match_key = a.match_key
        ANTI JOIN listed l ON l.destination = a.destination AND l.audience_id = a.audience_id
            AND l.member = f.record_id
        WHERE a.presence = 'yes'
        GROUP BY ALL
        """
    ).fetchall():
        inspection.taken_off[destination, name] = n


def _take(members: Iterator[str]) -> list[str]:
    """The next members; empty at the end."""
    return list(itertools.islice(members, ROWS_AT_ONCE))


def _chunks(con: duckdb.DuckDBPyConnection, sql: str) -> Iterator[tuple[str, list[Any]]]:
    """The rows by their first column, a destination; meanwhile the workspace is not free."""
    con.execute(f"{sql} ORDER BY ALL")
    while rows := con.fetchmany(ROWS_AT_ONCE):
        for destination, some in itertools.groupby(rows, key=lambda row: str(row[0])):
            yield destination, list(some)


def _grouped(con: duckdb.DuckDBPyConnection, sql: str) -> Iterator[tuple[str, str, list[str]]]:
    """Values of the third column by destination and list; meanwhile the workspace is not free."""
    for destination, rows in _chunks(con, sql):
        for audience_id, some in itertools.groupby(rows, key=lambda row: str(row[1])):
            yield destination, audience_id, [row[2] for row in some]


def _insert(
    con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[str, str, str]]
) -> None:
    import pyarrow as pa

    if rows:
        names = ("a", "b", "c")
        columns = zip(*rows, strict=True)
        con.register("incoming", pa.table(dict(zip(names, map(pa.array, columns), strict=True))))
        con.execute(f"INSERT INTO {table} SELECT a, b, c FROM incoming")
        con.unregister("incoming")
