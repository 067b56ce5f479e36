"""Which profile each group of customers is: an id is minted once and kept for good.

Most groups are somebody already known. Where several groups know one profile (its customers have
fallen apart), it stays with the group that holds its primary key, the customer whom its id was
minted from; else with the one that holds most of its customers. Where one group knows several
profiles, the one whose customer is the earliest stays and the others merge into it. A group that
knows none, or has lost its own, gets an id: its own former one, where one of its customers had one
before a merge, else a new one. So joining and parting again gives everybody back what they had,
arms included.

Merges and splits are told with the reason: the kind of key that first brought the profiles together
(``shared_phone``), or why a key that customers still share proves nothing any more
(``phone_never_merged``), or ``no_shared_key``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connector.ports import Warehouse
from connector.profiles.evidence import holders, values
from connector.profiles.spec import IdentitySpec, WhenApart
from connector.warehouse.render import literal

SPLIT = "split"
"""Reason of a former id that follows its customer out of a profile."""


def name_groups(
    warehouse: Warehouse,
    spec: IdentitySpec,
    *,
    mint_key: str,
    groups: str,
    tiers: Sequence[tuple[str, str]],
    void: str,
    refused: Mapping[str, str],
    known_merges: str,
) -> None:
    """Make ``id_profiles``, ``id_assigned``, ``profile_merges`` and ``profile_splits``.

    Args:
        warehouse: Where ``id_customers`` lies.
        spec: The rules.
        mint_key: Secret of the project.
        groups: Relation ``customer_id, label`` of the groups.
        tiers: Kind of key and the groups that were found with it, in order.
        void: Relation ``v`` of profiles that new customers may not claim.
        refused: Kind of key -> relation ``v`` of keys that would have broken a limit.
        known_merges: Relation ``from_profile_id, into_profile_id`` of the state.
    """
    origin = f"CASE WHEN {_minted(mint_key, 'c.customer_id')} = c.claim_id THEN 1 ELSE 0 END"
    warehouse.create_table_as(
        "id_claims",
        "SELECT c.customer_id AS customer_id, g.label AS label, c.claim_id AS profile_id"
        ", CASE WHEN c.known_id IS NULL THEN 0 ELSE 1 END AS is_known, c.created_at AS created_at"
        f", {origin if spec.when_apart is WhenApart.SPLIT else '0'} AS is_origin"
        f" FROM id_customers AS c JOIN {groups} AS g ON g.customer_id = c.customer_id"
        f" LEFT JOIN {void} AS r ON r.v = c.claim_id AND c.known_id IS NULL"
        " WHERE c.claim_id IS NOT NULL AND r.v IS NULL",
    )
    warehouse.create_table_as(
        "id_standings",
        "SELECT y.label AS label, y.profile_id AS profile_id, y.is_known AS is_known, y.first_at AS"
        " first_at, CASE WHEN y.place = 1 THEN 1 ELSE 0 END AS is_held FROM ("
        "SELECT x.label AS label, x.profile_id AS profile_id, x.is_known AS is_known, x.first_at AS"
        " first_at, row_number() OVER (PARTITION BY x.profile_id ORDER BY x.is_known DESC NULLS"
        " LAST, x.is_origin DESC NULLS LAST, x.n_known DESC NULLS LAST, x.label ASC NULLS LAST) AS"
        " place FROM (SELECT c.label AS label, c.profile_id AS profile_id, max(c.is_known) AS"
        " is_known, max(c.is_origin) AS is_origin, sum(c.is_known) AS n_known, min(c.created_at) AS"
        " first_at FROM id_claims AS c GROUP BY c.label, c.profile_id) AS x) AS y",
    )
    _former_ids(warehouse, mint_key, known_merges)
    warehouse.create_table_as(
        "id_profiles",
        "SELECT t.label AS label, coalesce(k.profile_id, f.former_id,"
        f" {_minted(mint_key, 't.label')})"
        " AS profile_id, k.profile_id IS NULL AND f.former_id IS NULL AS is_new"
        ", t.n_test > 0 AS is_test FROM (SELECT g.label AS label, sum(CASE WHEN c.is_test THEN 1"
        f" ELSE 0 END) AS n_test FROM {groups} AS g JOIN id_customers AS c ON c.customer_id ="
        " g.customer_id GROUP BY g.label) AS t LEFT JOIN (SELECT s.label AS label, s.profile_id AS"
        " profile_id, row_number() OVER (PARTITION BY s.label ORDER BY s.first_at ASC NULLS LAST,"
        " s.profile_id ASC NULLS LAST) AS place FROM id_standings AS s WHERE s.is_held = 1) AS k"
        " ON k.label = t.label AND k.place = 1"
        " LEFT JOIN id_former AS f ON f.label = t.label AND f.place = 1",
    )
    warehouse.create_table_as(
        "id_assigned",
        "SELECT c.customer_id AS customer_id, c.email AS email, c.phone AS phone, c.seen_at AS"
        " seen_at, c.customer_digest AS customer_digest, c.email_digest AS email_digest"
        ", c.phone_digest AS phone_digest, g.label AS label, p.profile_id AS profile_id"
        ", p.is_test AS is_test FROM id_customers AS c"
        f" JOIN {groups} AS g ON g.customer_id = c.customer_id JOIN id_profiles AS p ON"
        " p.label = g.label",
    )
    _merges(warehouse, tiers)
    _splits(warehouse, spec, refused)


def _minted(mint_key: str, value: str) -> str:
    """SQL of the profile id that is minted from a customer id."""
    return f"'p_' || substr(md5_hex({literal(f'{mint_key}:')} || {value}), 1, 20)"


def _former_ids(warehouse: Warehouse, mint_key: str, known_merges: str) -> None:
    """Make ``id_former(label, former_id, place)``: ids of before a merge, in groups that left it.

    A group that knows nobody else takes the one of the first place again.
    """
    warehouse.create_table_as(
        "id_former",
        "SELECT c.label AS label, m.from_profile_id AS former_id, row_number() OVER (PARTITION BY"
        " c.label ORDER BY c.created_at ASC NULLS LAST, c.customer_id ASC NULLS LAST) AS place"
        " FROM id_claims AS c JOIN id_standings AS s ON s.label = c.label AND s.profile_id ="
        f" c.profile_id JOIN {known_merges} AS m ON m.into_profile_id = c.profile_id AND"
        f" m.from_profile_id = {_minted(mint_key, 'c.customer_id')}"
        " WHERE c.is_known = 1 AND s.is_held = 0",
    )


def _merges(warehouse: Warehouse, tiers: Sequence[tuple[str, str]]) -> None:
    """Make ``profile_merges``: profiles that are another one now, and why."""
    warehouse.create_table_as(
        "id_merges",
        "SELECT s.label AS label, s.profile_id AS from_profile_id, p.profile_id AS into_profile_id"
        " FROM id_standings AS s JOIN id_profiles AS p ON p.label = s.label"
        " WHERE s.is_held = 1 AND s.profile_id <> p.profile_id",
    )
    found = ["SELECT CAST(NULL AS VARCHAR) AS from_profile_id, 0 AS tier WHERE FALSE"]
    (n_merges,) = warehouse.rows("SELECT count(*) AS n FROM id_merges AS m")[0]
    for i, (_, groups) in enumerate(tiers) if n_merges else ():
        found.append(
            f"SELECT m.from_profile_id AS from_profile_id, {i} AS tier FROM id_merges AS m"
            " JOIN id_claims AS a ON a.profile_id = m.from_profile_id AND a.label = m.label"
            " JOIN id_claims AS b ON b.profile_id = m.into_profile_id AND b.label = m.label"
            f" JOIN {groups} AS ga ON ga.customer_id = a.customer_id"
            f" JOIN {groups} AS gb ON gb.customer_id = b.customer_id AND gb.label = ga.label"
        )
    reasons = "".join(
        f" WHEN t.tier = {i} THEN {literal(f'shared_{kind}')}" for i, (kind, _) in enumerate(tiers)
    )
    reason = f"CASE{reasons} END" if tiers else "CAST(NULL AS VARCHAR)"
    warehouse.create_table_as(
        "profile_merges",
        "SELECT m.from_profile_id AS from_profile_id, m.into_profile_id AS into_profile_id"
        f", {reason} AS reason FROM id_merges AS m JOIN (SELECT x.from_profile_id AS"
        f" from_profile_id, min(x.tier) AS tier FROM ({' UNION ALL '.join(found)}) AS x GROUP BY"
        " x.from_profile_id) AS t ON t.from_profile_id = m.from_profile_id"
        # What was this customer before a merge goes where the customer goes.
        " UNION ALL SELECT f.former_id AS from_profile_id, p.profile_id AS into_profile_id"
        f", {literal(SPLIT)} AS reason FROM id_former AS f JOIN id_profiles AS p ON"
        " p.label = f.label WHERE f.former_id <> p.profile_id",
    )


def _splits(warehouse: Warehouse, spec: IdentitySpec, refused: Mapping[str, str]) -> None:
    """Make ``profile_splits``: groups that are not the profile any more that they were, and why."""
    warehouse.create_table_as(
        "id_splits",
        "SELECT s.label AS label, h.label AS held_by, s.profile_id AS from_profile_id"
        ", p.profile_id AS into_profile_id FROM id_standings AS s JOIN id_profiles AS p ON p.label"
        " = s.label JOIN id_standings AS h ON h.profile_id = s.profile_id AND h.is_held = 1"
        " WHERE s.is_held = 0 AND s.is_known = 1",
    )
    parts = ["SELECT CAST(NULL AS VARCHAR) AS label, CAST(NULL AS VARCHAR) AS reason WHERE FALSE"]
    (n_splits,) = warehouse.rows("SELECT count(*) AS n FROM id_splits AS s")[0]
    for kind in spec.kinds if n_splits else ():
        reason = f"coalesce(v.reason, CASE WHEN r.v IS NOT NULL THEN '{kind}_over_limit' END)"
        parts.append(
            f"SELECT s.label AS label, {reason} AS reason FROM id_splits AS s"
            " JOIN id_assigned AS a ON a.label = s.label"
            f" JOIN {holders(kind)} AS ha ON ha.customer_id = a.customer_id"
            f" JOIN {holders(kind)} AS hb ON hb.v = ha.v"
            " JOIN id_assigned AS b ON b.customer_id = hb.customer_id AND b.label = s.held_by"
            f" JOIN {values(kind)} AS v ON v.v = ha.v"
            f" LEFT JOIN {refused[kind]} AS r ON r.v = ha.v"
        )
    warehouse.create_table_as(
        "profile_splits",
        "SELECT s.from_profile_id AS from_profile_id, s.into_profile_id AS into_profile_id"
        ", min(coalesce(x.reason, 'no_shared_key')) AS reason FROM id_splits AS s LEFT JOIN"
        f" ({' UNION ALL '.join(parts)}) AS x ON x.label = s.label AND x.reason IS NOT NULL"
        " GROUP BY s.from_profile_id, s.into_profile_id",
    )
