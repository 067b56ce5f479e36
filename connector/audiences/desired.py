"""What every destination should look like after the run: list memberships and properties.

No arm but treatment joins the treatment list or receives the campaign's properties. The
business-as-usual arm has a list of its own, and the no-contact arm may have one that a vendor's own
newsletter excludes. A destination's own properties (scores that a workflow might act upon) are
withheld from everybody who is held out there, unless the configuration says otherwise.

Relations made:

- ``want_memberships(destination, name, match_key, profile_id, match_value, record_id, claims, arm,
  reason)``
- ``want_records(destination, match_key, profile_id, match_value, record_id, creates, properties,
  fields, fingerprint)``
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from connector.audiences.specs import CampaignSpec, DestinationSpec
from connector.domain import PropertyValue

if TYPE_CHECKING:
    import duckdb


def build_want_memberships(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``want_memberships``: one row for each person and list."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE want_memberships AS
        SELECT
            a.destination, a.name, r.match_key,
            any_value(r.profile_id) AS profile_id, any_value(r.match_value) AS match_value,
            any_value(r.record_id) AS record_id,
            string_agg(k.campaign, ',' ORDER BY k.campaign) AS claims,
            min(m.arm) AS arm, min(k.reason) AS reason
        FROM candidates k
        JOIN arms m ON m.campaign = k.campaign AND m.epoch = k.epoch AND m.profile_id = k.profile_id
        JOIN cfg_audiences a ON a.campaign = k.campaign AND a.arm = m.arm
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
) -> None:
    """Create ``want_records``: the properties that each person should have, as canonical JSON."""
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE held_out AS
        SELECT DISTINCT t.destination, x.profile_id
        FROM (
            SELECT campaign, epoch, profile_id, arm FROM arms
            UNION ALL SELECT campaign, epoch, profile_id, arm FROM st_assignments
        ) x
        JOIN cfg_campaigns c ON c.campaign = x.campaign AND c.epoch = x.epoch AND c.active
        JOIN cfg_targets t ON t.campaign = c.campaign
        WHERE x.arm <> 'treatment'
        UNION
        SELECT d.destination, k.profile_id FROM candidates k CROSS JOIN cfg_destinations d
        WHERE k.blocked = 'global_holdout'
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE treated AS
        SELECT DISTINCT t.destination, k.campaign, r.match_key, r.profile_id
        FROM candidates k
        JOIN arms m ON m.campaign = k.campaign AND m.epoch = k.epoch AND m.profile_id = k.profile_id
            AND m.arm = 'treatment'
        JOIN cfg_targets t ON t.campaign = k.campaign
        JOIN reach r ON r.destination = t.destination AND r.profile_id = k.profile_id
            AND r.blocked IS NULL
        WHERE k.blocked IS NULL
        """
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE want_values(destination TEXT, match_key TEXT, property"
        " TEXT, value TEXT)"
    )
    types = {str(name): str(kind) for name, kind, *_ in con.execute("DESCRIBE scored").fetchall()}
    for select in _selects(destinations, campaigns, types):
        con.execute(f"INSERT INTO want_values {select}")
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE want_records AS
        WITH documents AS (
            SELECT destination, match_key,
                '{' || string_agg(to_json(property) || ': ' || value, ', ' ORDER BY property) ||
                    '}' AS properties,
                to_json(list(property ORDER BY property) FILTER (value <> 'null')) AS fields
            FROM want_values GROUP BY destination, match_key
        ),
        members AS (SELECT DISTINCT destination, match_key FROM want_memberships),
        known AS (
            SELECT coalesce(d.destination, m.destination) AS destination,
                coalesce(d.match_key, m.match_key) AS match_key,
                coalesce(d.properties, '{}') AS properties,
                coalesce(CAST(d.fields AS TEXT), '[]') AS fields,
                m.match_key IS NOT NULL AS is_member
            FROM documents d FULL JOIN members m USING (destination, match_key)
        )
        SELECT
            k.destination, k.match_key, r.profile_id, r.match_value, r.record_id, g.creates
                AND k.is_member AS creates,
            k.properties, k.fields, md5(k.properties) AS fingerprint
        FROM known k
        JOIN reach r ON r.destination = k.destination AND r.match_key = k.match_key
            AND r.blocked IS NULL
        JOIN cfg_destinations g ON g.destination = k.destination
        -- Without anything to write, a record is needed only where lists are addressed by its id.
        WHERE (k.properties <> '{}' OR (g.needs_record_id AND r.record_id IS NULL))
          -- People who are on none of our lists are updated where they exist, but never created.
          AND (NOT g.looks_up OR r.record_id IS NOT NULL OR (g.creates AND k.is_member))
        """
    )


def _selects(
    destinations: Sequence[DestinationSpec],
    campaigns: Sequence[CampaignSpec],
    types: Mapping[str, str],
) -> Iterator[str]:
    """One SELECT into ``want_values`` for each property that somebody maps."""
    for destination in destinations:
        if not destination.records:
            continue
        name = _literal(destination.name)
        withheld = (
            ""
            if destination.to_holdouts
            else " AND NOT EXISTS (SELECT 1 FROM held_out h WHERE h.destination = r.destination"
            " AND h.profile_id = r.profile_id)"
        )
        for prop, column in destination.properties.items():
            yield (
                f"SELECT r.destination, r.match_key, {_literal(prop)},"
                f" {_json(column, types[column])} FROM reach r"
                f" JOIN scored s ON s.profile_id = r.profile_id"
                f" WHERE r.destination = {name} AND r.blocked IS NULL{withheld}"
            )
        for campaign in campaigns:
            if destination.name not in campaign.destinations:
                continue
            scope = f"t.destination = {name} AND t.campaign = {_literal(campaign.name)}"
            for prop, value in campaign.constants.items():
                yield (
                    f"SELECT t.destination, t.match_key, {_literal(prop)},"
                    f" {_literal(_canonical(value))}"
                    f" FROM treated t WHERE {scope}"
                )
            for prop, column in campaign.columns.items():
                yield (
                    f"SELECT t.destination, t.match_key, {_literal(prop)},"
                    f" {_json(column, types[column])} FROM treated t"
                    f" JOIN scored s ON s.profile_id = t.profile_id WHERE {scope}"
                )


def _json(column: str, kind: str) -> str:
    """A column as canonical JSON text: times in ISO form with zone, unknown and non-finite as null."""
    quoted = 's."' + column.replace('"', '""') + '"'
    if kind.startswith("TIMESTAMP"):
        quoted = f"strftime({quoted}, '%Y-%m-%dT%H:%M:%SZ')"
    elif kind in {"DOUBLE", "FLOAT"}:
        # Rounded, because a score that differs in the fifteenth digit is not a change worth
        # sending.
        quoted = f"CASE WHEN isfinite({quoted}) THEN round({quoted}, 6) END"
    return f"coalesce(CAST(to_json({quoted}) AS TEXT), 'null')"


def _canonical(value: PropertyValue) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
