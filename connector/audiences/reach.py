"""Who may be written to at each destination, and who may not and why.

Address, consent, exclusions, and whether the vendor knows the person.

Made before arms are drawn, and the same for every arm, so that treatment and holdout stay
comparable. Relations read: ``profiles``, ``permissions``, ``withdrawn_addresses``, ``exclusions``,
``excluded_addresses``, ``segment_members``,
``st_records``, ``st_memberships``, ``cfg_*``.
Relations made: ``refused(destination, match_key, reason)`` (addresses that said no, whoever has
them) and ``reach(destination, profile_id, match_value, match_key, record_id, blocked)``;
``blocked`` is NULL for people who may be written to, else the first reason of

``consent_withdrawn`` | ``excluded`` | ``withdrawal_in_doubt`` | ``no_address`` | ``no_consent`` |
``same_vendor_record`` | ``not_at_destination``

The first two are the person's own will and are carried out at once, whatever a guard says. The
third is a withdrawal that an earlier run must have known, found while the consent source is
broken: newer rows that said yes may have vanished. It bars whoever has it, but its removal waits
for the guard on the source.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from connector.audiences.specs import instant

if TYPE_CHECKING:
    import duckdb

LOOK_UPS_AT_ONCE = 10_000
"""People who are asked about before the answers are stored."""


def build_reach(con: duckdb.DuckDBPyConnection, *, doubted_before: datetime | None = None) -> None:
    """Create ``reach`` from addresses, consent and exclusions; the vendor is asked afterwards.

    Args:
        con: The workspace.
        doubted_before: Withdrawals of an earlier time, or of none, are in doubt; None: every
            withdrawal is believed.
    """

    def doubted(at: str) -> str:
        if doubted_before is None:
            return "FALSE"
        return f"coalesce({at} < {instant(doubted_before)}, TRUE)"

    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE reach AS
        WITH everyone AS (
            SELECT
                d.destination, d.purpose, d.channel, p.profile_id,
                CASE d.match_on WHEN 'email' THEN p.email WHEN 'customer_id' THEN p.customer_id
                     ELSE p.profile_id END AS match_value
            FROM profiles p CROSS JOIN cfg_destinations d
        ),
        barred AS (SELECT DISTINCT profile_id FROM exclusions WHERE applies_to IS NULL)
        SELECT
            e.destination, e.profile_id, e.match_value, md5(e.match_value) AS match_key,
            CAST(NULL AS TEXT) AS record_id,
            CASE
                WHEN e.purpose IS NOT NULL AND c.status = 'withdrawn' AND NOT {doubted("c.at")}
                    THEN 'consent_withdrawn'
                WHEN b.profile_id IS NOT NULL THEN 'excluded'
                WHEN e.purpose IS NOT NULL AND c.status = 'withdrawn' THEN 'withdrawal_in_doubt'
                WHEN e.match_value IS NULL THEN 'no_address'
                WHEN e.purpose IS NOT NULL AND c.status IS DISTINCT FROM 'granted' THEN 'no_consent'
            END AS blocked
        FROM everyone e
        LEFT JOIN permissions c
            ON c.profile_id = e.profile_id AND c.purpose = e.purpose AND c.channel = e.channel
        LEFT JOIN barred b ON b.profile_id = e.profile_id
        """
    )
    # An address may have said no and belong to nobody by now, or to a profile that uses another.
    con.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW refused AS
        SELECT d.destination, md5(w.email) AS match_key,
            CASE WHEN {doubted("w.at")} THEN 'withdrawal_in_doubt' ELSE 'consent_withdrawn' END
                AS reason
        FROM withdrawn_addresses w JOIN cfg_destinations d
            ON d.match_on = 'email' AND d.purpose = w.purpose AND d.channel = w.channel
        UNION
        SELECT d.destination, md5(x.email), 'excluded'
        FROM excluded_addresses x JOIN cfg_destinations d ON d.match_on = 'email'
        """
    )


def build_look_ups(con: duckdb.DuckDBPyConnection, *, now: datetime) -> dict[str, int]:
    """Create ``look_ups``: people whose record id at a vendor is needed and unknown.

    Needed: somebody whom a campaign or the destination's own properties address, or whom we may
    have to take off a list.

    Returns:
        Destination -> people, where there are any.
    """
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE look_ups AS
        WITH addressed AS (
            SELECT DISTINCT d.destination, s.profile_id
            FROM cfg_destinations d
            JOIN cfg_targets t ON t.destination = d.destination
            JOIN cfg_campaigns c ON c.campaign = t.campaign AND c.active
            JOIN segment_members s ON s.segment = c.segment
            WHERE d.looks_up AND NOT d.writes_everyone
        ),
        unknown AS (
            SELECT r.destination, r.match_key, r.profile_id, r.match_value
            FROM reach r
            JOIN cfg_destinations d ON d.destination = r.destination AND d.looks_up
            LEFT JOIN st_records k ON k.destination = r.destination AND k.match_key = r.match_key
            LEFT JOIN addressed a ON a.destination = r.destination AND a.profile_id = r.profile_id
            WHERE r.blocked IS NULL AND (d.writes_everyone OR a.profile_id IS NOT NULL)
              AND k.record_id IS NULL AND (
                k.checked_at IS NULL
                OR CAST(k.checked_at AS TIMESTAMP)
                    <= {instant(now)} - to_seconds(CAST(d.recheck_days * 86400 AS BIGINT))
            )
        ),
        stranded AS (
            -- Possibly created, or possibly on a list, by a request whose answer we never got.
            SELECT k.destination, k.match_key, k.profile_id, k.match_value
            FROM st_records k
            JOIN cfg_destinations d ON d.destination = k.destination AND d.looks_up
            LEFT JOIN st_memberships m ON m.destination = k.destination
                AND m.match_key = k.match_key AND m.presence <> 'no'
            WHERE k.record_id IS NULL AND (k.presence <> 'no' OR m.match_key IS NOT NULL)
        )
        SELECT row_number() OVER (ORDER BY destination, match_key, profile_id) AS place, *
        FROM (SELECT * FROM unknown UNION SELECT * FROM stranded)
        """
    )
    return dict(
        con.execute("SELECT destination, count(*) FROM look_ups GROUP BY 1 ORDER BY 1").fetchall()
    )


def look_ups(
    con: duckdb.DuckDBPyConnection,
) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Whom to ask about: a destination with match keys, profile ids and match values."""
    last = con.execute("SELECT coalesce(max(place), 0) FROM look_ups").fetchall()[0][0]
    for start in range(0, last, LOOK_UPS_AT_ONCE):
        # A statement for each batch: between two the vendor is asked, and that may fail.
        batch = con.execute(
            "SELECT destination, match_key, profile_id, match_value FROM look_ups"
            " WHERE place > ? AND place <= ? ORDER BY place",
            [start, start + LOOK_UPS_AT_ONCE],
        ).fetchall()
        for destination, people in itertools.groupby(batch, key=lambda row: str(row[0])):
            yield destination, [(key, profile, value) for _, key, profile, value in people]


def look_up(
    people: Sequence[tuple[str, str, str]],
    find: Callable[[Sequence[str]], Mapping[str, str]],
) -> list[dict[str, str | None]]:
    """Ask the vendor who of them it knows; ``record_id`` is None for those it does not."""
    known = find([value for _, _, value in people])
    return [
        {
            "match_key": key,
            "profile_id": profile,
            "match_value": value,
            "record_id": known.get(value),
        }
        for key, profile, value in people
    ]


def apply_records(con: duckdb.DuckDBPyConnection) -> None:
    """Complete ``reach`` with what the ledger knows of the vendors' records.

    Two of our profiles that are one record at the vendor would be written twice, perhaps from two
    arms: only one of them stays reachable. As in a merge the earliest assignment decides, and of
    two given at once the one that is held out: a record that was spared in any campaign is not
    treated through another address. Then the one that the vendor has something of already, then
    the smallest id. None of them stays when one has said no: which of its addresses a record is
    written to is the vendor's affair.
    """
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE reach AS
        WITH joined AS (
            SELECT
                r.destination, r.profile_id, r.match_value, r.match_key, k.record_id, r.blocked,
                d.looks_up, d.creates, k.presence
            FROM reach r
            JOIN cfg_destinations d USING (destination)
            LEFT JOIN st_records k ON k.destination = r.destination AND k.match_key = r.match_key
        ),
        shared AS (
            SELECT destination, record_id FROM joined
            WHERE record_id IS NOT NULL GROUP BY ALL HAVING count(*) > 1
        ),
        -- The vendor writes to one person: a no under one of its addresses is a no for all of them.
        refusing AS (
            SELECT destination, record_id, min(blocked) AS reason
            FROM joined SEMI JOIN shared USING (destination, record_id)
            WHERE blocked IN ('consent_withdrawn', 'excluded', 'withdrawal_in_doubt')
            GROUP BY ALL
        ),
        assigned AS (
            SELECT profile_id, min(first_eligible_at) AS since,
                bool_or(arm <> 'treatment') AS is_held_out
            FROM st_assignments GROUP BY 1
        ),
        ranked AS (
            SELECT destination, j.profile_id,
                row_number() OVER (
                    PARTITION BY destination, record_id
                    ORDER BY CASE WHEN blocked IS NULL THEN 0 ELSE 1 END,
                             a.since NULLS LAST,
                             CASE WHEN a.is_held_out THEN 0 ELSE 1 END,
                             CASE WHEN presence IN ('yes', 'maybe') THEN 0 ELSE 1 END,
                             j.profile_id
                ) AS place
            FROM joined j JOIN shared USING (destination, record_id)
            LEFT JOIN assigned a ON a.profile_id = j.profile_id
        )
        SELECT
            j.destination, j.profile_id, j.match_value, j.match_key, j.record_id,
            CASE
                WHEN n.reason IS NOT NULL THEN n.reason
                WHEN j.blocked IS NOT NULL THEN j.blocked
                WHEN k.place > 1 THEN 'same_vendor_record'
                WHEN j.looks_up AND NOT j.creates AND j.record_id IS NULL THEN 'not_at_destination'
            END AS blocked
        FROM joined j
        LEFT JOIN ranked k ON k.destination = j.destination AND k.profile_id = j.profile_id
            AND k.place > 1
        LEFT JOIN refusing n ON n.destination = j.destination AND n.record_id = j.record_id
        """
    )
