"""The relation ``profiles``: one row a person, with the one address that may be used.

A person with several addresses has one primary: the one that was last seen among those with a
granted consent, else the one last seen. That address' consent governs the person, and it is the
value that vendors match on.
"""

from __future__ import annotations

from connector.ports import Warehouse
from connector.profiles.spec import ConsentSpec, PersonKey

ATTRIBUTES = ("country", "city", "birth_year", "acquisition_channel")
"""Columns taken over from the person's representative customer."""


def build_profiles(warehouse: Warehouse, consent: ConsentSpec) -> int:
    """Make ``profiles`` from the stitched customers and the resolved consent.

    The representative customer is the one last seen among those that hold the primary address, else
    the one last seen; ``created_at`` is the earliest of all.

    Args:
        warehouse: Where ``clean_customers``, ``profile_customers``, ``profile_emails`` and
            ``consent_standing`` lie.
        consent: Says what the consent table identifies people by.

    Returns:
        Number of profiles.
    """
    standing = (
        "SELECT DISTINCT s.person AS person FROM consent_standing AS s WHERE s.status = 'granted'"
    )
    if consent.key is PersonKey.EMAIL:
        granted = f"SELECT g.person AS email FROM ({standing}) AS g"
    else:
        granted = (
            f"SELECT DISTINCT c.email AS email FROM ({standing}) AS g JOIN clean_customers AS c"
            " ON c.customer_id = g.person WHERE c.email IS NOT NULL"
        )
    warehouse.create_table_as(
        "profile_primary",
        "SELECT x.profile_id AS profile_id, x.email AS email FROM ("
        "SELECT e.profile_id AS profile_id, e.email AS email, row_number() OVER (PARTITION BY"
        " e.profile_id"
        " ORDER BY CASE WHEN g.email IS NULL THEN 1 ELSE 0 END ASC, e.last_seen_at DESC NULLS"
        " LAST, e.email ASC"
        f" NULLS LAST) AS ll_rank FROM profile_emails AS e LEFT JOIN ({granted}) AS g ON g.email"
        " = e.email) AS x"
        " WHERE x.ll_rank = 1",
    )
    extra = [c for c in warehouse.columns("clean_customers") if c in ATTRIBUTES]
    inner = "".join(f", c.{name} AS {name}" for name in extra)
    outer = "".join(f", x.{name} AS {name}" for name in extra)
    warehouse.create_table_as(
        "profiles",
        "SELECT x.profile_id AS profile_id, x.customer_id AS customer_id, x.email AS email,"
        " n.created_at AS created_at"
        f"{outer}, n.n_customers AS n_customers FROM ("
        f"SELECT m.profile_id AS profile_id, m.customer_id AS customer_id, p.email AS email{inner}"
        ", row_number() OVER (PARTITION BY m.profile_id ORDER BY CASE WHEN c.email = p.email THEN"
        " 0 ELSE 1 END ASC"
        ", c.seen_at DESC NULLS LAST, m.customer_id ASC NULLS LAST) AS ll_rank"
        " FROM profile_customers AS m JOIN clean_customers AS c ON c.customer_id = m.customer_id"
        " LEFT JOIN profile_primary AS p ON p.profile_id = m.profile_id) AS x JOIN ("
        "SELECT m.profile_id AS profile_id, min(c.created_at) AS created_at, count(*) AS"
        " n_customers"
        " FROM profile_customers AS m JOIN clean_customers AS c ON c.customer_id = m.customer_id"
        " GROUP BY m.profile_id) AS n ON n.profile_id = x.profile_id WHERE x.ll_rank = 1",
    )
    (total,) = warehouse.rows("SELECT count(*) AS n FROM profiles AS p")[0]
    return int(total)
