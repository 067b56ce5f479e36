"""What every destination should look like after the run: list memberships and properties.

No arm but treatment joins the treatment list or receives the campaign's properties; where the
treatment arm is divided among offers, each has a list and fixed properties of its own. The
business-as-usual arm has a list of its own, and the no-contact arm may have one that a vendor's own
newsletter excludes. A destination's own properties (scores that a workflow might act upon) are
withheld from everybody who is held out there, unless the configuration says otherwise, and for as
long as anybody's window of measurement may be open: a campaign that ends is not measured by its
last day.

Relations made:

- ``want_memberships(destination, name, match_key, profile_id, match_value, record_id, claims, arm,
  reason)``
- ``want_records(destination, match_key, profile_id, match_value, record_id, creates, properties,
  fields, fingerprint)``
- ``withheld(destination, profile_id, name)``: properties that held-out people must not have, at
  destinations that otherwise let people keep theirs
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from connector.audiences.specs import CampaignSpec, DestinationSpec
from connector.domain import PropertyValue

if TYPE_CHECKING:
    import duckdb


OFFERED = "/"
"""Between a campaign's name and its offer's; neither can hold it."""

SCORE = "score:"
"""Prefix of scored columns beside the columns of ``reach``, some of whose names they share."""


def build_want_memberships(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``want_memberships``: one row for each person and list."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE want_memberships AS
        WITH lists AS (
            SELECT *, min(campaign) OVER same <> max(campaign) OVER same AS is_shared
            FROM cfg_audiences WINDOW same AS (PARTITION BY destination, name)
        )
        SELECT
            a.destination, a.name, r.match_key,
            any_value(r.profile_id) AS profile_id, any_value(r.match_value) AS match_value,
            any_value(r.record_id) AS record_id,
            -- Gathering names for each person is dear, and needed only where lists are shared.
            coalesce(
                string_agg(k.campaign, ',' ORDER BY k.campaign) FILTER (a.is_shared),
                min(k.campaign)
            ) AS claims,
            min(m.arm) AS arm, min(k.reason) AS reason
        FROM candidates k
        JOIN arms m ON m.campaign = k.campaign AND m.epoch = k.epoch AND m.profile_id = k.profile_id
        JOIN lists a ON a.campaign = k.campaign AND a.arm = m.arm
            AND (a.offer IS NULL OR a.offer = m.offer)
        JOIN reach r ON r.destination = a.destination AND r.profile_id = k.profile_id
            AND r.blocked IS NULL
        WHERE k.blocked IS NULL
        GROUP BY a.destination, a.name, r.match_key
        """
    )


def build_want_records(
    con: duckdb.DuckDBPyConnection,
    destinations: Sequence[DestinationSpec],
    campaigns: Sequence[CampaignSpec],
    *,
    global_holdout: str | None = None,
) -> None:
    """Create ``want_records``: the properties that each person should have, as canonical JSON.

    Whoever is held out, of a campaign or of all, stays so while in no segment: a score that
    arrives between two campaigns may start a workflow just as well.

    Args:
        con: The workspace.
        destinations: Where the properties go.
        campaigns: Every campaign.
        global_holdout: Name of the global holdout, if there is one.
    """
    _hold_out(con, global_holdout)
    types = {str(name): str(kind) for name, kind, *_ in con.execute("DESCRIBE scored").fetchall()}
    documents = [_document(d, campaigns, types) for d in destinations]
    columns = sorted(
        {c for d in destinations for c in d.properties.values()}
        | {c for campaign in campaigns for c in campaign.columns.values()}
    )
    scores = "".join(f", s.{_quoted(c)} AS {_quoted(SCORE + c)}" for c in columns)
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE want_records AS
        WITH treated AS (
            SELECT t.destination, k.profile_id, list(k.campaign) AS campaigns,
                list(k.campaign || '{OFFERED}' || m.offer) AS offers
            FROM candidates k
            JOIN arms m ON m.campaign = k.campaign AND m.epoch = k.epoch
                AND m.profile_id = k.profile_id AND m.arm = 'treatment'
            JOIN cfg_targets t ON t.campaign = k.campaign
            WHERE k.blocked IS NULL
            GROUP BY 1, 2
        ),
        people AS (
            SELECT r.destination, r.match_key, r.profile_id, r.match_value, r.record_id,
                s.profile_id IS NOT NULL AS is_scored, h.profile_id IS NOT NULL AS is_held_out,
                t.campaigns, t.offers{scores}
            FROM reach r
            LEFT JOIN scored s ON s.profile_id = r.profile_id
            LEFT JOIN (SELECT DISTINCT destination, profile_id FROM held_out) h
                ON h.destination = r.destination AND h.profile_id = r.profile_id
            LEFT JOIN treated t ON t.destination = r.destination AND t.profile_id = r.profile_id
            WHERE r.blocked IS NULL
        ),
        documents AS ({" UNION ALL ".join(documents) or f"{_document_of({})} WHERE false"}),
        -- Where the record is known, it does not matter whether its person is on a list.
        members AS (
            SELECT DISTINCT destination, match_key FROM want_memberships WHERE record_id IS NULL
        )
        SELECT
            d.destination, d.match_key, d.profile_id, d.match_value, d.record_id,
            g.creates AND m.match_key IS NOT NULL AS creates,
            d.properties, d.fields, md5(d.properties) AS fingerprint
        FROM documents d
        JOIN cfg_destinations g ON g.destination = d.destination
        LEFT JOIN members m ON m.destination = d.destination AND m.match_key = d.match_key
        -- Without anything to write, a record is needed only where lists are addressed by its id.
        WHERE (d.properties <> '{{}}'
               OR (g.needs_record_id AND d.record_id IS NULL AND m.match_key IS NOT NULL))
          -- People who are on none of our lists are updated where they exist, but never created.
          AND (NOT g.looks_up OR d.record_id IS NOT NULL OR (g.creates AND m.match_key IS NOT NULL))
        """
    )


def _hold_out(con: duckdb.DuckDBPyConnection, global_holdout: str | None) -> None:
    """Create ``held_out`` (from which campaign; NULL: from all) and ``withheld``."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE held_out AS
        WITH given AS (
            SELECT campaign, epoch, profile_id, arm FROM arms
            UNION ALL SELECT campaign, epoch, profile_id, arm FROM st_assignments
        )
        SELECT DISTINCT t.destination, x.profile_id, c.campaign
        FROM given x
        JOIN cfg_campaigns c ON c.campaign = x.campaign AND c.epoch = x.epoch AND c.measured
        JOIN cfg_targets t ON t.campaign = c.campaign
        WHERE x.arm <> 'treatment'
        UNION
        SELECT d.destination, x.profile_id, NULL FROM given x CROSS JOIN cfg_destinations d
        WHERE x.campaign = $global_holdout AND x.arm = 'no_contact'
        """,
        {"global_holdout": global_holdout},
    )
    # Where leaving clears, whatever is not wanted goes anyway.
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE withheld AS
        SELECT DISTINCT h.destination, h.profile_id, p.name
        FROM held_out h
        JOIN cfg_destinations d ON d.destination = h.destination AND NOT d.clears
        JOIN cfg_properties p ON p.destination = h.destination
        LEFT JOIN cfg_campaigns c ON c.campaign = p.campaign
        WHERE p.campaign IS NULL  -- the destination's own, which every holdout is spared
           OR h.campaign = p.campaign
           OR (h.campaign IS NULL AND NOT c.exempt)
        """
    )


def _document(
    destination: DestinationSpec, campaigns: Sequence[CampaignSpec], types: Mapping[str, str]
) -> str:
    """A SELECT of everybody who may be written to at one destination, with their properties."""
    sources: dict[str, list[str]] = {}
    mine = "p.is_scored" if destination.to_holdouts else "p.is_scored AND NOT p.is_held_out"
    for prop, column in destination.properties.items():
        value = _json(column, types[column])
        sources.setdefault(prop, []).append(f"CASE WHEN {mine} THEN {value} END")
    for campaign in campaigns:
        if destination.name not in campaign.destinations:
            continue
        treated = f"list_contains(p.campaigns, {_literal(campaign.name)})"
        given = [(treated, campaign.constants)]
        for offer, one in campaign.offers.items():
            mark = _literal(f"{campaign.name}{OFFERED}{offer}")
            given.append((f"list_contains(p.offers, {mark})", one.constants))
        for holds, constants in given:
            for prop, constant in constants.items():
                value = _literal(_canonical(constant))
                sources.setdefault(prop, []).append(f"CASE WHEN {holds} THEN {value} END")
        for prop, column in campaign.columns.items():
            value = _json(column, types[column])
            sources.setdefault(prop, []).append(
                f"CASE WHEN {treated} AND p.is_scored THEN {value} END"
            )
    values = {
        prop: found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"
        for prop, found in sources.items()
        if destination.records
    }
    return f"{_document_of(values)} WHERE p.destination = {_literal(destination.name)}"


def _document_of(values: Mapping[str, str]) -> str:
    """A SELECT of the properties as JSON, and of those that hold a value.

    One wide row a person: gathering one row for each property would take ten times as long.

    Args:
        values: Property -> expression of its JSON value; NULL means that it is not ours to set.
    """
    person = "p.destination, p.match_key, p.profile_id, p.match_value, p.record_id"
    if not values:
        return f"SELECT {person}, '{{}}' AS properties, '[]' AS fields FROM people p"
    names = {prop: json.dumps(prop, ensure_ascii=False) for prop in sorted(values)}
    columns = ", ".join(f"{values[prop]} AS v{i}" for i, prop in enumerate(names))
    pairs = ", ".join(f"{_literal(name + ': ')} || v{i}" for i, name in enumerate(names.values()))
    held = ", ".join(
        f"CASE WHEN v{i} <> 'null' THEN {_literal(name)} END"
        for i, name in enumerate(names.values())
    )
    return (
        f"SELECT {person}, '{{' || concat_ws(', ', {pairs}) || '}}' AS properties,"
        f" '[' || concat_ws(',', {held}) || ']' AS fields"
        f" FROM (SELECT {person}, {columns} FROM people p) p"
    )


def _json(column: str, kind: str) -> str:
    """A column as canonical JSON text: ISO times with zone, unknown and non-finite as null."""
    quoted = f"p.{_quoted(SCORE + column)}"
    if kind.startswith("TIMESTAMP"):
        quoted = f"strftime({quoted}, '%Y-%m-%dT%H:%M:%SZ')"
    elif kind in {"DOUBLE", "FLOAT"}:
        # Rounded, because a score that differs in the fifteenth digit is not a change worth
        # sending; plus zero, because -0.0 is 0.0.
        quoted = f"CASE WHEN isfinite({quoted}) THEN round({quoted}, 6) + 0.0 END"
    return f"coalesce(CAST(to_json({quoted}) AS TEXT), 'null')"


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _canonical(value: PropertyValue) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
