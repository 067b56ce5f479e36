"""What there is to go by: every customer's keys, whose they are, and which of them prove nothing.

A key proves nothing where many people share it by its nature (a pattern such as ``info@*``), where
more customers have it than one person can, or where the policy forbids it. State holds digests of
keys under a secret, never an address; the mint key makes them useless to anybody without it.
"""

from __future__ import annotations

from connector.ports import Warehouse
from connector.profiles.devices import LOGINS
from connector.profiles.phones import read_phones
from connector.profiles.spec import CUSTOMER, DEVICE, EMAIL, PHONE, IdentitySpec, SharedEmail
from connector.warehouse.render import literal

OWN_COLUMN = (EMAIL, PHONE)
"""Kinds of which a customer has at most one, in a column of its own."""


def holders(kind: str) -> str:
    """Relation ``customer_id, v``: who has which key."""
    return f"id_holders_{kind}"


def values(kind: str) -> str:
    """Relation ``v, n_customers, reason``: each key, and why it proves nothing (NULL: it does)."""
    return f"id_values_{kind}"


def digest_sql(mint_key: str, kind: str, value: str) -> str:
    """SQL of a key's digest, as state keeps it."""
    return f"md5_hex({literal(f'{mint_key}:{kind}:')} || {value})"


def weigh(warehouse: Warehouse, spec: IdentitySpec, *, mint_key: str, known_keys: str) -> None:
    """Make ``id_customers``, and the holders and values of each kind of key.

    Columns of ``id_customers``: ``customer_id, email, phone, is_test, seen_at, created_at``, the
    digests, ``known_id`` (the profile that state knows the customer by) and ``claim_id`` (that, or
    else the one that an own key of a customer not seen before belonged to).
    """
    _read_keys(warehouse, spec, mint_key)
    for kind in (EMAIL, *(kind for kind in spec.kinds if kind != EMAIL)):
        _judge(warehouse, spec, kind)
    joins, recognised = [], []
    for kind in spec.kinds:
        if kind in OWN_COLUMN and spec.joins(kind):
            joins.append(
                f" LEFT JOIN {values(kind)} AS v_{kind} ON v_{kind}.v = d.{kind} AND"
                f" v_{kind}.reason IS NULL"
                f" LEFT JOIN ({_known(known_keys, kind)}) AS k_{kind} ON k_{kind}.key_digest ="
                f" d.{kind}_digest"
            )
            recognised.append(f"CASE WHEN v_{kind}.v IS NOT NULL THEN k_{kind}.profile_id END")
        elif spec.joins(kind):
            joins.append(
                " LEFT JOIN (SELECT h.customer_id AS customer_id, min(k.profile_id) AS profile_id"
                f" FROM {holders(kind)} AS h JOIN {values(kind)} AS v ON v.v = h.v AND v.reason IS"
                f" NULL JOIN ({_known(known_keys, kind)}) AS k ON k.key_digest ="
                f" {digest_sql(mint_key, kind, 'h.v')} GROUP BY h.customer_id) AS k_{kind}"
                f" ON k_{kind}.customer_id = d.customer_id"
            )
            recognised.append(f"k_{kind}.profile_id")
    claims = "".join(f", {claim}" for claim in recognised)
    warehouse.create_table_as(
        "id_customers",
        "SELECT d.customer_id AS customer_id, d.email AS email, d.phone AS phone, d.is_test AS"
        " is_test, d.seen_at AS seen_at, d.created_at AS created_at, d.customer_digest AS"
        " customer_digest, d.email_digest AS email_digest, d.phone_digest AS phone_digest"
        f", kc.profile_id AS known_id, coalesce(kc.profile_id{claims}) AS claim_id"
        f" FROM id_digests AS d LEFT JOIN ({_known(known_keys, CUSTOMER)}) AS kc ON"
        f" kc.key_digest = d.customer_digest{''.join(joins)}",
    )


def _read_keys(warehouse: Warehouse, spec: IdentitySpec, mint_key: str) -> None:
    """Make ``id_digests`` and the holders of each kind."""
    phone, join = "CAST(NULL AS VARCHAR)", ""
    if PHONE in spec.ids:
        read_phones(
            warehouse, country=spec.country, customers="clean_customers", output="id_phones"
        )
        phone, join = "p.phone", " LEFT JOIN id_phones AS p ON p.customer_id = c.customer_id"
    warehouse.create_table_as(
        "id_digests",
        f"SELECT c.customer_id AS customer_id, c.email AS email, {phone} AS phone, c.is_test AS"
        " is_test, c.seen_at AS seen_at, c.created_at AS created_at"
        f", {digest_sql(mint_key, CUSTOMER, 'c.customer_id')} AS customer_digest"
        f", {digest_sql(mint_key, EMAIL, 'c.email')} AS email_digest"
        f", {digest_sql(mint_key, PHONE, phone)} AS phone_digest FROM clean_customers AS c{join}",
    )
    for kind in OWN_COLUMN:
        warehouse.create_view_as(
            holders(kind),
            f"SELECT d.customer_id AS customer_id, d.{kind} AS v FROM id_digests AS d"
            f" WHERE d.{kind} IS NOT NULL",
        )
    if DEVICE in spec.ids:
        warehouse.create_table_as(
            holders(DEVICE),
            f"SELECT d.customer_id AS customer_id, l.{DEVICE} AS v FROM {LOGINS} AS l"
            " JOIN id_digests AS d ON d.customer_id = l.customer_id",
        )


def _judge(warehouse: Warehouse, spec: IdentitySpec, kind: str) -> None:
    """Make the values of a kind with the reason why they prove nothing."""
    cases = []
    patterns = spec.patterns(kind)
    if kind == EMAIL:
        patterns = tuple(one.lower() for one in patterns)
    if patterns:
        fits = (f"regexp_matches(x.v, {literal(_pattern(p))})" for p in patterns)
        cases.append(f"WHEN {' OR '.join(fits)} THEN '{kind}_never_merged'")
    # A device that joins nobody may be one person's though she has several accounts.
    if kind != DEVICE or spec.joins(kind):
        most = spec.most_customers(kind)
        cases.append(f"WHEN x.n_customers > {most} THEN '{kind}_of_too_many_customers'")
    if kind == EMAIL and spec.shared_email is SharedEmail.QUARANTINE:
        cases.append("WHEN TRUE THEN 'email_shared'")
    reason = f"CASE {' '.join(cases)} END" if cases else "CAST(NULL AS VARCHAR)"
    warehouse.create_table_as(
        values(kind),
        f"SELECT x.v AS v, x.n_customers AS n_customers, {reason} AS reason FROM (SELECT h.v AS v,"
        f" count(*) AS n_customers FROM {holders(kind)} AS h GROUP BY h.v) AS x",
    )


def _known(known_keys: str, kind: str) -> str:
    """SELECT of the profiles that state knows by keys of a kind."""
    return (
        f"SELECT k.key_digest AS key_digest, min(k.profile_id) AS profile_id FROM {known_keys} AS k"
        f" WHERE k.kind = {literal(kind)} GROUP BY k.key_digest"
    )


def _pattern(wildcard: str) -> str:
    """A pattern with ``*`` as a regular expression for whole values, without backslashes."""
    safe = "".join(
        c if c.isalnum() or c in "@-_" else ".*" if c == "*" else f"[{c}]" for c in wildcard
    )
    return f"^{safe}$"
