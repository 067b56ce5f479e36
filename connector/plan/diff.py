"""The difference between what is wanted and what the ledgers say: the changes of a run.

Set-based and in one engine: five million people against five million takes about a second.
Relations read: ``want_memberships``, ``want_records``, ``reach``, ``candidates``, ``arms``,
``st_*``, ``cfg_*``. Relations made: ``changes`` (the plan's table, see :data:`COLUMNS`),
``released`` (memberships whose vendor record is claimed through another address; no request is
needed) and ``held`` (wanted but blocked, with the cause).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.domain import Stage

if TYPE_CHECKING:
    import duckdb

COLUMNS = (
    "stage", "destination", "kind", "action", "audience", "audience_id", "profile_id", "match_key",
    "match_value", "record_id", "properties", "fields", "fingerprint", "claims", "arm", "reason",
    "detail", "expected_version",
)  # fmt: skip
"""Columns of ``changes``, in order."""

ORDER = "destination, stage, kind, audience NULLS FIRST, action, match_key"
"""The order in which changes are numbered and sent.

Within a stage people leave lists before their properties are cleared: it is the list that e-mails
are sent to, and a property that cannot be cleared must not keep anybody on it.
"""

_REFUSED = "(SELECT destination, match_key, min(reason) AS reason FROM refused GROUP BY ALL)"
_BARRED = """(
    SELECT profile_id, list(DISTINCT applies_to) AS campaigns FROM exclusions
    WHERE applies_to IS NOT NULL GROUP BY profile_id
)"""

_WHY_GONE = """
    CASE
        WHEN r.blocked IN ('consent_withdrawn', 'excluded') THEN r.blocked
        WHEN x.reason IS NOT NULL THEN x.reason
        WHEN {excluded} THEN 'excluded_from_campaign'
        WHEN r.profile_id IS NULL THEN 'profile_gone'
        WHEN r.match_key IS DISTINCT FROM {key} THEN 'address_changed'
        WHEN r.blocked IS NOT NULL THEN r.blocked
        ELSE {otherwise}
    END
"""
"""Why a person who is no longer wanted leaves; the first three are the person's own will.

The first is about the profile, the second about an address that it no longer uses or had, the third
about the campaigns that claim a membership.
"""

EXPLICIT = ("consent_withdrawn", "excluded", "excluded_from_campaign")
"""Reasons of leaving that no guard holds."""


def build_changes(con: duckdb.DuckDBPyConnection) -> None:
    """Create ``changes``, ``released`` and ``held``."""
    _want_with_ids(con)
    _memberships(con)
    _records(con)
    explicit = f"reason IN {EXPLICIT}"
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE changes AS
        WITH staged AS (
            SELECT CASE WHEN action = 'remove' AND {explicit} THEN {Stage.WITHDRAW:d}
                        WHEN action = 'remove' THEN {Stage.LEAVE:d}
                            ELSE {Stage.JOIN:d} END AS stage,
                destination, 'membership' AS kind, action, name AS audience, audience_id,
                    profile_id, match_key,
                match_value, record_id, '{{}}' AS properties, '[]' AS fields, fingerprint,
                    claims, arm, reason, detail,
                version AS expected_version
            FROM membership_changes
            UNION ALL
            SELECT CASE WHEN fingerprint IS NULL AND {explicit} THEN {Stage.WITHDRAW:d}
                        WHEN fingerprint IS NULL THEN {Stage.LEAVE:d} ELSE {Stage.RECORDS:d} END,
                destination, 'record', action, NULL, NULL, profile_id, match_key, match_value,
                    record_id, properties, fields,
                fingerprint, '', NULL, reason, '', version
            FROM record_changes
        )
        SELECT * FROM staged
        """
    )


def _want_with_ids(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """
        CREATE OR REPLACE TEMP VIEW want AS
        SELECT w.*, w.rowid AS place, a.audience_id,
            md5(w.match_key || coalesce(w.record_id, '')) AS fingerprint
        FROM want_memberships w
        LEFT JOIN st_audiences a ON a.destination = w.destination AND a.name = w.name
            AND a.status = 'present'
        """
    )


def _memberships(con: duckdb.DuckDBPyConnection) -> None:
    # One bare join finds the rows that differ; only these are looked at closely.
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE differing_members AS
        SELECT w.place AS wanted, m.rowid AS known
        FROM want w
        FULL JOIN st_memberships m ON m.destination = w.destination
            AND m.audience_id = w.audience_id AND m.match_key = w.match_key
        WHERE CASE WHEN w.match_key IS NULL THEN m.presence <> 'no'
                   ELSE m.presence IS DISTINCT FROM 'yes' END
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE missing_members AS
        SELECT w.*, d.known FROM differing_members d JOIN want w ON w.place = d.wanted
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE unwanted_members AS
        SELECT m.* FROM differing_members d JOIN st_memberships m ON m.rowid = d.known
        SEMI JOIN cfg_destinations g ON g.destination = m.destination
        WHERE d.wanted IS NULL
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE joins AS
        SELECT w.*, m.version, m.presence,
            CASE
                WHEN m.blocked_fingerprint = w.fingerprint THEN coalesce(m.blocked_code, 'rejected')
                WHEN g.needs_record_id AND w.record_id IS NULL AND (
                    z.fingerprint IS NULL
                    OR (k.blocked_fingerprint = z.fingerprint
                        AND NOT (coalesce(k.blocked_code, '') = 'NOT_FOUND' AND z.creates))
                ) THEN coalesce(k.blocked_code, 'no_record')
            END AS held
        FROM missing_members w
        JOIN cfg_destinations g ON g.destination = w.destination
        LEFT JOIN st_memberships m ON m.rowid = w.known
        LEFT JOIN st_records k ON k.destination = w.destination AND k.match_key = w.match_key
        LEFT JOIN want_records z ON z.destination = w.destination AND z.match_key = w.match_key
        ANTI JOIN st_foreign f ON f.destination = w.destination AND f.audience_id = w.audience_id
            AND f.member = coalesce(w.record_id, w.match_value)
        """
    )
    unlisted = (
        "coalesce(c.blocked, CASE WHEN c.profile_id IS NULL THEN 'left_segment'"
        " ELSE 'other_arm' END)"
    )
    excluded = (
        "list_has_all(b.campaigns, string_split(coalesce(nullif(m.claims, ''), a.campaign), ','))"
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE leaving AS
        SELECT m.destination, a.name, m.audience_id,
            coalesce(g.into_profile_id, m.profile_id) AS profile_id, m.match_key,
            coalesce(k.match_value, CASE WHEN r.match_key = m.match_key THEN r.match_value END)
                AS match_value,
            k.record_id, m.claims, m.version, a.arm, a.campaign,
            {_WHY_GONE.format(key="m.match_key", excluded=excluded, otherwise=unlisted)}
                AS reason,
            w.match_key IS NOT NULL AS claimed_elsewhere, o.presence = 'yes' AS is_certain
        FROM unwanted_members m
        JOIN st_audiences a ON a.destination = m.destination AND a.audience_id = m.audience_id
        LEFT JOIN st_records k ON k.destination = m.destination AND k.match_key = m.match_key
        LEFT JOIN st_merges g ON g.from_profile_id = m.profile_id
        LEFT JOIN reach r ON r.destination = m.destination
            AND r.profile_id = coalesce(g.into_profile_id, m.profile_id)
        LEFT JOIN {_REFUSED} x ON x.destination = m.destination AND x.match_key = m.match_key
        LEFT JOIN {_BARRED} b ON b.profile_id = coalesce(g.into_profile_id, m.profile_id)
        LEFT JOIN candidates c ON c.campaign = a.campaign
            AND c.profile_id = coalesce(g.into_profile_id, m.profile_id)
        LEFT JOIN want w ON w.destination = m.destination AND w.audience_id = m.audience_id
            AND w.record_id = k.record_id
        LEFT JOIN st_memberships o ON o.destination = m.destination
            AND o.audience_id = m.audience_id AND o.match_key = w.match_key
        ANTI JOIN st_foreign f ON f.destination = m.destination AND f.audience_id = m.audience_id
            AND f.member = coalesce(k.record_id, k.match_value)
        """
    )
    # Forgotten only once the other address is known to be on the list: else nobody would know.
    con.execute(
        "CREATE OR REPLACE TEMP TABLE released AS"
        " SELECT destination, audience_id, match_key FROM leaving"
        " WHERE claimed_elsewhere AND is_certain"
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE membership_changes AS
        SELECT destination, 'add' AS action, name, audience_id, profile_id, match_key, match_value,
            record_id, fingerprint, claims, arm,
            CASE WHEN presence = 'maybe' THEN 'unconfirmed' ELSE 'joins' END AS reason,
            reason AS detail, version
        FROM joins WHERE held IS NULL
        UNION ALL
        SELECT destination, 'remove', name, audience_id, profile_id, match_key, match_value,
            record_id, NULL, '', arm, reason, '', version
        FROM leaving WHERE NOT claimed_elsewhere
        """
    )


def _records(con: duckdb.DuckDBPyConnection) -> None:
    # What held-out people still have where leaving keeps properties: it goes all the same.
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE remnants AS
        SELECT k.rowid AS known, w.rowid AS wanted, list(h.name) AS names
        FROM st_records k
        JOIN cfg_destinations g ON g.destination = k.destination AND NOT g.clears
        CROSS JOIN unnest(from_json(k.fields, '["VARCHAR"]')) AS f(name)
        LEFT JOIN st_merges m ON m.from_profile_id = k.profile_id
        JOIN withheld h ON h.destination = k.destination AND h.name = f.name
            AND h.profile_id = coalesce(m.into_profile_id, k.profile_id)
        LEFT JOIN want_records w ON w.destination = k.destination AND w.match_key = k.match_key
        WHERE k.presence <> 'no'
          AND NOT coalesce(list_contains(json_keys(CAST(w.properties AS JSON)), f.name), false)
        GROUP BY ALL
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE differing_records AS
        SELECT w.rowid AS wanted, k.rowid AS known
        FROM want_records w
        FULL JOIN st_records k ON k.destination = w.destination AND k.match_key = w.match_key
        WHERE CASE WHEN w.match_key IS NULL THEN k.presence <> 'no' AND k.fields <> '[]'
                   ELSE k.presence IS DISTINCT FROM 'yes'
                        OR k.fingerprint IS DISTINCT FROM w.fingerprint END
        UNION SELECT wanted, known FROM remnants WHERE wanted IS NOT NULL
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE writes AS
        SELECT w.*, k.version, k.presence, k.fields AS old_fields, b.names AS remnants,
            CASE WHEN k.blocked_fingerprint = w.fingerprint
                      AND NOT (coalesce(k.blocked_code, '') = 'NOT_FOUND'
                               AND (w.record_id IS NOT NULL OR w.creates))
                 THEN coalesce(k.blocked_code, 'rejected') END AS held
        FROM differing_records d
        JOIN want_records w ON w.rowid = d.wanted
        LEFT JOIN st_records k ON k.rowid = d.known
        LEFT JOIN remnants b ON b.known = d.known
        """
    )
    # A record that is addressed through another e-mail by now keeps what is written there.
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE unwanted_records AS
        SELECT k.* REPLACE (
            CASE WHEN g.clears AND o.match_key IS NULL THEN k.fields
                 ELSE CAST(to_json(list_filter(
                    CASE WHEN g.clears THEN from_json(k.fields, '["VARCHAR"]') ELSE b.names END,
                    lambda name: NOT coalesce(
                        list_contains(from_json(o.fields, '["VARCHAR"]'), name), false)
                 )) AS TEXT) END AS fields
            ),
            CASE WHEN g.clears THEN '[]' ELSE CAST(to_json(list_filter(
                from_json(k.fields, '["VARCHAR"]'), lambda name: NOT list_contains(b.names, name)
            )) AS TEXT) END AS kept
        FROM differing_records d
        JOIN st_records k ON k.rowid = d.known
        JOIN cfg_destinations g ON g.destination = k.destination
        LEFT JOIN remnants b ON b.known = d.known
        LEFT JOIN want_records o ON o.destination = k.destination AND o.record_id = k.record_id
        WHERE d.wanted IS NULL AND (g.clears OR b.known IS NOT NULL)
        """
    )
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE record_changes AS
        WITH cleared AS (
            SELECT w.destination, w.match_key,
                string_agg(to_json(f.name) || ': null', ', ' ORDER BY f.name) AS nulls
            FROM writes w, unnest(from_json(w.old_fields, '["VARCHAR"]')) AS f(name)
            JOIN cfg_destinations g ON g.destination = w.destination
            -- Mostly the same fields as before; the ledger writes them with a space after a comma.
            WHERE replace(w.old_fields, '", "', '","') <> w.fields
              AND (g.clears OR list_contains(w.remnants, f.name))
              AND NOT json_contains(CAST(w.fields AS JSON), to_json(f.name))
              AND NOT list_contains(json_keys(CAST(w.properties AS JSON)), f.name)
            GROUP BY ALL
        )
        SELECT w.destination,
            CASE WHEN w.record_id IS NULL AND w.creates THEN 'add' ELSE 'update' END AS action,
            w.profile_id, w.match_key, w.match_value, w.record_id,
            CASE WHEN c.nulls IS NULL THEN w.properties
                 WHEN w.properties = '{{}}' THEN '{{' || c.nulls || '}}'
                 ELSE left(w.properties, length(w.properties) - 1) || ', ' || c.nulls || '}}'
            END AS properties,
            -- What is kept is remembered: it must still go when its person is held out.
            CASE WHEN g.clears OR w.old_fields IS NULL THEN w.fields
                 ELSE CAST(to_json(list_sort(list_distinct(list_concat(
                    from_json(w.fields, '["VARCHAR"]'),
                    list_filter(from_json(w.old_fields, '["VARCHAR"]'), lambda name:
                        NOT list_contains(json_keys(CAST(w.properties AS JSON)), name)
                        AND NOT coalesce(list_contains(w.remnants, name), false))
                 )))) AS TEXT) END AS fields,
            w.fingerprint,
            CASE WHEN w.presence = 'maybe' THEN 'unconfirmed'
                 WHEN w.presence = 'yes' THEN 'changed'
                 WHEN w.record_id IS NULL AND w.creates THEN 'new_contact'
                 ELSE 'first_write' END AS reason,
            w.version
        FROM writes w
        JOIN cfg_destinations g ON g.destination = w.destination
        LEFT JOIN cleared c ON c.destination = w.destination AND c.match_key = w.match_key
        WHERE w.held IS NULL
        UNION ALL
        SELECT k.destination, 'update', coalesce(m.into_profile_id, k.profile_id), k.match_key,
            k.match_value, k.record_id,
            '{{' || (SELECT string_agg(to_json(f.name) || ': null', ', ' ORDER BY f.name)
                     FROM unnest(from_json(k.fields, '["VARCHAR"]')) AS f(name)) || '}}',
            k.kept, NULL,
            {_WHY_GONE.format(key="k.match_key", excluded="FALSE", otherwise="'not_addressed'")},
            k.version
        FROM unwanted_records k
        LEFT JOIN st_merges m ON m.from_profile_id = k.profile_id
        LEFT JOIN reach r ON r.destination = k.destination
            AND r.profile_id = coalesce(m.into_profile_id, k.profile_id)
        LEFT JOIN {_REFUSED} x ON x.destination = k.destination AND x.match_key = k.match_key
        WHERE k.fields <> '[]'
        """
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE held AS
        SELECT destination, name AS audience, profile_id, held AS cause
        FROM joins WHERE held IS NOT NULL
        UNION ALL
        SELECT destination, NULL, profile_id, held FROM writes WHERE held IS NOT NULL
        """
    )
