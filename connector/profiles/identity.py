"""Who is who: customers stitched into people, each with a ``profile_id`` that is kept for good.

A customer id that state knows keeps its profile, whatever happens to its address. Customers that
share an address now are one person. A customer that nobody has seen before joins the profile that
its address belonged to (somebody who closed the account and came back). An address that a *known*
customer takes over from somebody else merges nobody: over-merging is the failure to fear, because
it cannot be undone.

Two profiles never hold one address. Where an address is shared and may not merge (a pattern such as
``info@*``, too many customers, or the policy), it is taken from all of them: nobody's own address,
so nobody is reached by it.

State holds digests of keys under a secret, never an address; the mint key makes them useless to
anybody without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from connector.ports import Warehouse
from connector.profiles.quarantine import quarantine_sql
from connector.profiles.spec import IdentitySpec, SharedEmail, StepReport
from connector.warehouse.render import literal

QUARANTINE = "quarantined_identity"
CUSTOMER, EMAIL = "customer_id", "email"
"""Kinds of keys."""


@dataclass(frozen=True, slots=True)
class IdentityReport:
    """What stitching did.

    Attributes:
        customers: The fate of every clean customer.
        n_profiles: People, test accounts left out.
        n_new: Profiles that were minted in this run.
        n_merged: Known profiles that were found to be another one.
        n_test_profiles: Profiles left out as test accounts.
    """

    customers: StepReport
    n_profiles: int
    n_new: int
    n_merged: int
    n_test_profiles: int

    @property
    def quarantine_relation(self) -> str:
        """Relation of the customers who lost their address."""
        return self.customers.quarantine_relation

    def lines(self) -> list[tuple[str, str, int]]:
        """The report as rows (table, measure, n), for the run's quality summary."""
        return [
            *self.customers.lines(),
            ("profiles", "profiles", self.n_profiles),
            ("profiles", "new_profiles", self.n_new),
            ("profiles", "merged_profiles", self.n_merged),
            ("profiles", "test_profiles_left_out", self.n_test_profiles),
        ]


def stitch(
    warehouse: Warehouse, spec: IdentitySpec, *, mint_key: str, known_keys: str = "known_keys"
) -> IdentityReport:
    """Give every clean customer a profile.

    Makes ``profile_customers(customer_id, profile_id)``, ``test_customers`` (likewise, left out
    everywhere), ``profile_emails(profile_id, email, last_seen_at)``,
    ``profile_merges(from_profile_id, into_profile_id, reason)`` and ``new_keys(kind, key_digest,
    profile_id)``: what state must add or overwrite, by kind and digest.

    Args:
        warehouse: Where ``clean_customers`` lies.
        spec: The rules.
        mint_key: Secret of the project, the same for good.
        known_keys: Relation ``kind, key_digest, profile_id`` loaded from state; taken as empty when
            there is none.
    """
    if not warehouse.columns(known_keys):
        warehouse.create_table_as(
            known_keys,
            "SELECT CAST(NULL AS VARCHAR) AS kind, CAST(NULL AS VARCHAR) AS key_digest,"
            " CAST(NULL AS VARCHAR) AS profile_id WHERE FALSE",
        )
    _find_known(warehouse, spec, mint_key, known_keys)
    _connect(warehouse)
    _assign(warehouse, mint_key)
    _emails(warehouse, spec)
    _keys(warehouse, known_keys)
    return _report(warehouse)


def digest_sql(mint_key: str, kind: str, value: str) -> str:
    """SQL of a key's digest, as state keeps it."""
    return f"md5_hex({literal(f'{mint_key}:{kind}:')} || {value})"


def _find_known(warehouse: Warehouse, spec: IdentitySpec, mint_key: str, known_keys: str) -> None:
    """Each customer with the profiles that state knows it by, and whether its address may merge."""
    warehouse.create_table_as(
        "id_digests",
        "SELECT c.customer_id AS customer_id, c.email AS email, c.is_test AS is_test, c.seen_at"
        " AS seen_at"
        f", {digest_sql(mint_key, CUSTOMER, 'c.customer_id')} AS customer_digest"
        f", {digest_sql(mint_key, EMAIL, 'c.email')} AS email_digest FROM clean_customers AS c",
    )
    generic = " OR ".join(
        f"regexp_matches(c.email, {literal(_pattern(p))})" for p in spec.never_merge_on
    )
    warehouse.create_table_as(
        "id_emails",
        "SELECT c.email AS email, count(*) AS n_customers,"
        f" {f'({generic})' if generic else 'FALSE'} AS is_generic"
        " FROM clean_customers AS c WHERE c.email IS NOT NULL GROUP BY c.email",
    )
    own = (
        f"NOT e.is_generic AND e.n_customers <= {spec.max_customers_per_email}"
        if spec.shared_email is SharedEmail.MERGE
        else "FALSE"
    )
    known = (
        f"SELECT k.key_digest AS key_digest, min(k.profile_id) AS profile_id FROM {known_keys} AS k"
        " WHERE k.kind = {} GROUP BY k.key_digest"
    )
    warehouse.create_table_as(
        "id_customers",
        "SELECT d.customer_id AS customer_id, d.email AS email, d.is_test AS is_test, d.seen_at"
        " AS seen_at"
        ", d.customer_digest AS customer_digest, d.email_digest AS email_digest"
        ", CASE WHEN kc.profile_id IS NOT NULL THEN kc.profile_id"
        f" WHEN {own} THEN ke.profile_id END AS known_id"
        f", coalesce({own} AND e.n_customers > 1, FALSE) AS merges FROM id_digests AS d"
        " LEFT JOIN id_emails AS e ON e.email = d.email"
        f" LEFT JOIN ({known.format(literal(CUSTOMER))}) AS kc ON kc.key_digest = d.customer_digest"
        f" LEFT JOIN ({known.format(literal(EMAIL))}) AS ke ON ke.key_digest = d.email_digest",
    )


def _connect(warehouse: Warehouse) -> None:
    """Label the customers that hang together with the smallest customer id among them.

    A customer hangs together with all that share its address or its known profile, and with theirs
    in turn. Labels spread along shared keys until none changes; keys of a single customer, the
    great majority, take no part.
    """
    warehouse.create_table_as(
        "id_edges",
        "SELECT e.customer_id AS customer_id, e.k AS k FROM ("
        " SELECT c.customer_id AS customer_id, 'p:' || c.known_id AS k FROM id_customers AS c"
        " WHERE c.known_id IS NOT NULL UNION ALL"
        " SELECT c.customer_id AS customer_id, 'e:' || c.email AS k FROM id_customers AS c WHERE"
        " c.merges) AS e"
        " JOIN (SELECT s.k AS k FROM ("
        " SELECT 'p:' || c.known_id AS k FROM id_customers AS c WHERE c.known_id IS NOT NULL"
        " UNION ALL"
        " SELECT 'e:' || c.email AS k FROM id_customers AS c WHERE c.merges) AS s"
        " GROUP BY s.k HAVING count(*) > 1) AS shared ON shared.k = e.k",
    )
    current, following = "id_labels", "id_labels_next"
    warehouse.create_table_as(
        current,
        "SELECT e.customer_id AS customer_id, min(e.customer_id) AS label FROM id_edges AS e"
        " GROUP BY e.customer_id",
    )
    n_changed = 1
    while n_changed:
        warehouse.create_table_as(
            following,
            "SELECT e.customer_id AS customer_id, min(g.label) AS label FROM id_edges AS e JOIN ("
            f"SELECT e.k AS k, min(l.label) AS label FROM id_edges AS e JOIN {current} AS l"
            " ON l.customer_id = e.customer_id GROUP BY e.k) AS g ON g.k = e.k GROUP BY"
            " e.customer_id",
        )
        (n_changed,) = warehouse.rows(
            f"SELECT count(*) AS n FROM {following} AS a JOIN {current} AS b"
            " ON a.customer_id = b.customer_id WHERE a.label <> b.label"
        )[0]
        current, following = following, current
    warehouse.create_view_as(
        "id_components",
        "SELECT c.customer_id AS customer_id, coalesce(l.label, c.customer_id) AS label"
        f" FROM id_customers AS c LEFT JOIN {current} AS l ON l.customer_id = c.customer_id",
    )


def _assign(warehouse: Warehouse, mint_key: str) -> None:
    """One profile for each component, the smallest known or a new one; and who merged into whom."""
    minted = f"'p_' || substr(md5_hex({literal(f'{mint_key}:')} || x.label), 1, 20)"
    warehouse.create_table_as(
        "id_profiles",
        f"SELECT x.label AS label, coalesce(min(c.known_id), {minted}) AS profile_id"
        ", min(c.known_id) IS NULL AS is_new"
        ", max(CASE WHEN c.is_test THEN 1 ELSE 0 END) = 1 AS is_test"
        " FROM id_components AS x JOIN id_customers AS c ON c.customer_id = x.customer_id GROUP"
        " BY x.label",
    )
    warehouse.create_table_as(
        "id_assigned",
        "SELECT c.customer_id AS customer_id, c.email AS email, c.seen_at AS seen_at, c.known_id"
        " AS known_id"
        ", c.customer_digest AS customer_digest, c.email_digest AS email_digest"
        ", p.profile_id AS profile_id, p.is_test AS is_test FROM id_customers AS c"
        " JOIN id_components AS x ON x.customer_id = c.customer_id JOIN id_profiles AS p ON"
        " p.label = x.label",
    )
    for name, condition in (
        ("profile_customers", "NOT a.is_test"),
        ("test_customers", "a.is_test"),
    ):
        warehouse.create_table_as(
            name,
            "SELECT a.customer_id AS customer_id, a.profile_id AS profile_id FROM id_assigned AS a"
            f" WHERE {condition}",
        )
    warehouse.create_table_as(
        "profile_merges",
        "SELECT DISTINCT a.known_id AS from_profile_id, a.profile_id AS into_profile_id,"
        " 'shared_email' AS reason"
        " FROM id_assigned AS a WHERE a.known_id <> a.profile_id",
    )


def _emails(warehouse: Warehouse, spec: IdentitySpec) -> None:
    """The addresses of each profile, without those that two profiles would share."""
    reason = (
        "CASE WHEN e.is_generic THEN 'email_never_merged'"
        f" WHEN e.n_customers > {spec.max_customers_per_email} THEN 'email_of_too_many_customers'"
        " ELSE 'email_shared' END"
    )
    warehouse.create_table_as(
        "id_dropped_emails",
        f"SELECT a.email AS email, {reason} AS reason FROM id_assigned AS a"
        " JOIN id_emails AS e ON e.email = a.email GROUP BY a.email, e.is_generic, e.n_customers"
        " HAVING count(DISTINCT a.profile_id) > 1",
    )
    warehouse.create_table_as(
        "profile_emails",
        "SELECT a.profile_id AS profile_id, a.email AS email, max(a.seen_at) AS last_seen_at"
        " FROM id_assigned AS a LEFT JOIN id_dropped_emails AS d ON d.email = a.email"
        " WHERE a.email IS NOT NULL AND d.email IS NULL AND NOT a.is_test GROUP BY a.profile_id,"
        " a.email",
    )
    warehouse.create_view_as(
        "id_dropped",
        "SELECT a.customer_id AS customer_id, d.reason AS reason FROM id_assigned AS a"
        " JOIN id_dropped_emails AS d ON d.email = a.email WHERE NOT a.is_test",
    )
    warehouse.create_view_as(
        QUARANTINE,
        quarantine_sql(
            "customers", relation="id_dropped", key="x.customer_id", reason="x.reason", where="TRUE"
        ),
    )


def _keys(warehouse: Warehouse, known_keys: str) -> None:
    """The keys that state must add or overwrite: new ones, and those of merged profiles."""
    warehouse.create_table_as(
        "id_keys",
        f"SELECT {literal(CUSTOMER)} AS kind, a.customer_digest AS key_digest, a.profile_id AS"
        " profile_id"
        " FROM id_assigned AS a WHERE NOT a.is_test UNION ALL"
        f" SELECT DISTINCT {literal(EMAIL)} AS kind, a.email_digest AS key_digest, a.profile_id"
        " AS profile_id"
        " FROM id_assigned AS a JOIN profile_emails AS e ON e.profile_id = a.profile_id AND"
        " e.email = a.email"
        " WHERE NOT a.is_test",
    )
    warehouse.create_table_as(
        "new_keys",
        "SELECT n.kind AS kind, n.key_digest AS key_digest, n.profile_id AS profile_id FROM"
        " id_keys AS n"
        f" LEFT JOIN {known_keys} AS k ON k.kind = n.kind AND k.key_digest = n.key_digest"
        " WHERE k.profile_id IS NULL OR k.profile_id <> n.profile_id UNION ALL"
        " SELECT k.kind AS kind, k.key_digest AS key_digest, m.into_profile_id AS profile_id"
        f" FROM {known_keys} AS k"
        " JOIN profile_merges AS m ON m.from_profile_id = k.profile_id"
        " LEFT JOIN id_keys AS n ON n.kind = k.kind AND n.key_digest = k.key_digest WHERE n.kind"
        " IS NULL",
    )


def _report(warehouse: Warehouse) -> IdentityReport:
    """Count what happened."""
    n_customers, n_test = warehouse.rows(
        "SELECT count(*) AS n, count(CASE WHEN a.is_test THEN 1 END) AS n_test FROM id_assigned"
        " AS a"
    )[0]
    n_profiles, n_new, n_test_profiles = warehouse.rows(
        "SELECT count(CASE WHEN NOT p.is_test THEN 1 END) AS n"
        ", count(CASE WHEN p.is_new AND NOT p.is_test THEN 1 END) AS n_new"
        ", count(CASE WHEN p.is_test THEN 1 END) AS n_test FROM id_profiles AS p"
    )[0]
    (n_merged,) = warehouse.rows("SELECT count(*) AS n FROM profile_merges AS m")[0]
    emptied = warehouse.rows(
        "SELECT d.reason AS reason, count(*) AS n FROM id_dropped AS d GROUP BY d.reason"
    )
    return IdentityReport(
        customers=StepReport(
            table="identity",
            n_in=n_customers,
            n_kept=n_customers - n_test,
            left_out={"test_account": n_test},
            emptied={str(reason): int(n) for reason, n in emptied},
            quarantine_relation=QUARANTINE,
        ),
        n_profiles=n_profiles,
        n_new=n_new,
        n_merged=n_merged,
        n_test_profiles=n_test_profiles,
    )


def _pattern(wildcard: str) -> str:
    """A pattern with ``*`` as a regular expression for whole addresses, without backslashes."""
    safe = "".join(
        c if c.isalnum() or c in "@-_" else ".*" if c == "*" else f"[{c}]" for c in wildcard.lower()
    )
    return f"^{safe}$"
