"""Who is who: customers stitched into people, each with a ``profile_id`` that is kept for good.

Customers hang together through keys: an e-mail address, a telephone number, a device that they log
in on. Which kinds count, and in which order they are trusted, the configuration says; without a
word it is the customer id and the address. Over-merging is the failure to fear, because it cannot
be undone: a message reaches a stranger. So a key proves nothing where it is shared by its nature
(:mod:`connector.profiles.evidence`), nobody is merged beyond a limit
(:mod:`connector.profiles.components`), and a device that several people use merges none of them
unless ``max_customers`` says how many accounts a person may have.

A customer id that state knows keeps its profile, whatever happens to its address. Customers that
share a key now are one person. A customer that nobody has seen before joins the profile that its
key belonged to (somebody who closed the account and came back). A key that a *known* customer takes
over from somebody else merges nobody.

When customers of one person have no key in common any more, ``when_apart`` decides. ``keep``: they
stay one, since people change their addresses. ``split``: only what connects them now counts, and
who is which profile is settled in :mod:`connector.profiles.naming`.

Two profiles never hold one address. Where an address is shared and may not merge (a pattern such as
``info@*``, too many customers, a limit, or the policy), it is taken from all of them: nobody's own
address, so nobody is reached by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.ports import Warehouse
from connector.profiles.components import Limit, alone, join_groups, over_limit
from connector.profiles.devices import link_devices
from connector.profiles.evidence import digest_sql, holders, values, weigh
from connector.profiles.naming import SPLIT, name_groups
from connector.profiles.quarantine import quarantine_sql
from connector.profiles.spec import (
    CUSTOMER,
    DEVICE,
    EMAIL,
    PHONE,
    IdentitySpec,
    StepReport,
    WhenApart,
)
from connector.warehouse.render import literal

QUARANTINE = "quarantined_identity"


@dataclass(frozen=True, slots=True)
class IdentityReport:
    """What stitching did.

    Attributes:
        customers: The fate of every clean customer.
        n_profiles: People, test accounts left out.
        n_new: Profiles that were minted in this run.
        n_merged: Known profiles that were found to be another one.
        n_test_profiles: Profiles left out as test accounts.
        n_split: Profiles that left a known one, each counted once.
    """

    customers: StepReport
    n_profiles: int
    n_new: int
    n_merged: int
    n_test_profiles: int
    n_split: int = 0

    @property
    def quarantine_relation(self) -> str:
        """Relation of the customers who lost a key."""
        return self.customers.quarantine_relation

    def lines(self) -> list[tuple[str, str, int]]:
        """The report as rows (table, measure, n), for the run's quality summary."""
        return [
            *self.customers.lines(),
            ("profiles", "profiles", self.n_profiles),
            ("profiles", "new_profiles", self.n_new),
            ("profiles", "merged_profiles", self.n_merged),
            ("profiles", "split_profiles", self.n_split),
            ("profiles", "test_profiles_left_out", self.n_test_profiles),
        ]


def stitch(
    warehouse: Warehouse,
    spec: IdentitySpec,
    *,
    mint_key: str,
    known_keys: str = "known_keys",
    known_merges: str = "known_merges",
) -> IdentityReport:
    """Give every clean customer a profile.

    Makes ``profile_customers(customer_id, profile_id)``, ``test_customers`` (likewise, left out
    everywhere), ``profile_emails(profile_id, email, last_seen_at)``,
    ``profile_devices(anonymous_id, profile_id, linked_at)`` where devices are stitched,
    ``profile_merges`` and ``profile_splits(from_profile_id, into_profile_id, reason)``, and
    ``new_keys(kind, key_digest, profile_id)``: what state must add or overwrite, by kind and
    digest.

    Args:
        warehouse: Where ``clean_customers`` lies, and ``device_logins``
            (:func:`connector.profiles.devices.observe_devices`) where devices are stitched.
        spec: The rules.
        mint_key: Secret of the project, the same for good.
        known_keys: Relation ``kind, key_digest, profile_id`` loaded from state; taken as empty when
            there is none.
        known_merges: Relation ``from_profile_id, into_profile_id`` loaded from state, likewise;
            read where people may split.
    """
    for relation, columns in (
        (known_keys, ("kind", "key_digest", "profile_id")),
        (known_merges, ("from_profile_id", "into_profile_id")),
    ):
        if not warehouse.columns(relation):
            empty = ", ".join(f"CAST(NULL AS VARCHAR) AS {name}" for name in columns)
            warehouse.create_table_as(relation, f"SELECT {empty} WHERE FALSE")
    weigh(warehouse, spec, mint_key=mint_key, known_keys=known_keys)
    groups = _connect(warehouse, spec)
    name_groups(
        warehouse,
        spec,
        mint_key=mint_key,
        groups=groups.relation,
        tiers=groups.tiers,
        void=groups.void,
        refused=groups.refused,
        known_merges=known_merges,
    )
    _publish(warehouse)
    _drop(warehouse, spec, groups.refused)
    _emails(warehouse)
    if DEVICE in spec.ids:
        link_devices(warehouse, assigned="id_assigned", refused=_dropped(DEVICE))
    _keys(warehouse, spec, mint_key, known_keys)
    return _report(warehouse)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Who hangs together.

    Attributes:
        relation: ``customer_id, label`` of the last tier.
        tiers: Kind of key and the groups found with it and those before it.
        refused: Kind of key -> relation ``v`` of keys that would have broken a limit.
        void: Relation ``v`` of profiles that no new customer may claim.
    """

    relation: str
    tiers: tuple[tuple[str, str], ...]
    refused: Mapping[str, str]
    void: str


def _connect(warehouse: Warehouse, spec: IdentitySpec) -> _Groups:
    """Find the groups, one kind of key after the other."""
    limits = _limits(spec)
    groups, void = "id_groups", "id_nothing"
    alone(warehouse, "id_customers", groups)
    warehouse.create_table_as(void, "SELECT CAST(NULL AS VARCHAR) AS v WHERE FALSE")
    if spec.when_apart is WhenApart.KEEP:
        # What was merged once stays so, whatever the limits say by now.
        for column in ("known_id", "claim_id") if limits else ("claim_id",):
            output = f"id_groups_{column}"
            join_groups(
                warehouse,
                groups=groups,
                edges=f"SELECT c.customer_id AS customer_id, c.{column} AS v FROM id_customers AS c"
                f" WHERE c.{column} IS NOT NULL",
                output=output,
                limits=limits if column == "claim_id" else (),
            )
            groups, void = output, f"{output}_refused"
    tiers, refused = [], dict.fromkeys(spec.kinds, "id_nothing")
    for kind in filter(spec.joins, spec.kinds):
        output = f"id_groups_{kind}"
        join_groups(
            warehouse,
            groups=groups,
            edges=f"SELECT h.customer_id AS customer_id, h.v AS v FROM {holders(kind)} AS h JOIN"
            f" {values(kind)} AS x ON x.v = h.v WHERE x.reason IS NULL AND x.n_customers > 1",
            output=output,
            limits=limits,
        )
        groups, refused[kind] = output, f"{output}_refused"
        tiers.append((kind, output))
    return _Groups(groups, tuple(tiers), refused, void)


def _limits(spec: IdentitySpec) -> tuple[Limit, ...]:
    return tuple(
        Limit("" if kind == CUSTOMER else holders(kind), most) for kind, most in spec.limits.items()
    )


def _publish(warehouse: Warehouse) -> None:
    """Make ``profile_customers`` and ``test_customers``."""
    for name, condition in (
        ("profile_customers", "NOT a.is_test"),
        ("test_customers", "a.is_test"),
    ):
        warehouse.create_table_as(
            name,
            "SELECT a.customer_id AS customer_id, a.profile_id AS profile_id FROM id_assigned AS a"
            f" WHERE {condition}",
        )


def _dropped(kind: str) -> str:
    """Relation ``v, reason`` of keys that are nobody's own."""
    return f"id_dropped_{kind}"


def _drop(warehouse: Warehouse, spec: IdentitySpec, refused: Mapping[str, str]) -> None:
    """Find the keys that are nobody's own, and tell their customers."""
    kinds = tuple(dict.fromkeys((EMAIL, *spec.kinds)))
    for kind in kinds:
        broken = refused.get(kind, "id_nothing")
        shared = (
            f"SELECT h.v AS v FROM {holders(kind)} AS h JOIN id_assigned AS a ON a.customer_id ="
            " h.customer_id GROUP BY h.v HAVING count(DISTINCT a.profile_id) > 1"
        )
        if kind == DEVICE:
            # An address that many people share by its nature still reaches one customer; what
            # somebody did on such a device does not become hers.
            shared += f" UNION SELECT x.v AS v FROM {values(kind)} AS x WHERE x.reason IS NOT NULL"
        too_many = "SELECT CAST(NULL AS VARCHAR) AS v WHERE FALSE"
        if kind == DEVICE and kind in spec.limits:
            crowded = over_limit(Limit(holders(kind), spec.limits[kind]), "id_assigned")
            too_many = (
                f"SELECT h.v AS v FROM {holders(kind)} AS h JOIN id_assigned AS a ON a.customer_id"
                f" = h.customer_id JOIN ({crowded}) AS o ON o.label = a.label"
            )
        warehouse.create_table_as(
            _dropped(kind),
            "SELECT s.v AS v, CASE WHEN x.reason IS NOT NULL THEN x.reason WHEN r.v IS NOT NULL OR"
            f" o.v IS NOT NULL THEN '{kind}_over_limit' ELSE '{kind}_shared' END AS reason"
            f" FROM ({shared} UNION {too_many}) AS s JOIN {values(kind)} AS x ON x.v = s.v"
            f" LEFT JOIN {broken} AS r ON r.v = s.v"
            f" LEFT JOIN (SELECT DISTINCT t.v AS v FROM ({too_many}) AS t) AS o ON o.v = s.v",
        )
    told = [
        "SELECT DISTINCT a.customer_id AS customer_id, d.reason AS reason FROM"
        f" {_dropped(kind)} AS d JOIN {holders(kind)} AS h ON h.v = d.v JOIN id_assigned AS a ON"
        " a.customer_id = h.customer_id WHERE NOT a.is_test"
        for kind in kinds
    ]
    if PHONE in kinds:
        told.append(
            "SELECT a.customer_id AS customer_id, 'invalid_phone' AS reason FROM id_phones AS p"
            " JOIN id_assigned AS a ON a.customer_id = p.customer_id WHERE p.unreadable AND NOT"
            " a.is_test"
        )
    warehouse.create_view_as("id_dropped", " UNION ALL ".join(told))
    warehouse.create_view_as(
        QUARANTINE,
        quarantine_sql(
            "customers", relation="id_dropped", key="x.customer_id", reason="x.reason", where="TRUE"
        ),
    )


def _emails(warehouse: Warehouse) -> None:
    """The addresses of each profile, without those that two profiles would share."""
    warehouse.create_table_as(
        "profile_emails",
        "SELECT a.profile_id AS profile_id, a.email AS email, max(a.seen_at) AS last_seen_at"
        f" FROM id_assigned AS a LEFT JOIN {_dropped(EMAIL)} AS d ON d.v = a.email"
        " WHERE a.email IS NOT NULL AND d.v IS NULL AND NOT a.is_test GROUP BY a.profile_id,"
        " a.email",
    )


def _keys(warehouse: Warehouse, spec: IdentitySpec, mint_key: str, known_keys: str) -> None:
    """The keys that state must add or overwrite: new ones, and those of merged profiles.

    Devices only where they can prove anything: there may be millions, and who uses them is in the
    events.
    """
    own = [
        f"SELECT {literal(CUSTOMER)} AS kind, a.customer_digest AS key_digest, a.profile_id AS"
        " profile_id FROM id_assigned AS a WHERE NOT a.is_test"
    ]
    own += [
        f"SELECT DISTINCT {literal(kind)} AS kind, a.{kind}_digest AS key_digest, a.profile_id AS"
        f" profile_id FROM id_assigned AS a LEFT JOIN {_dropped(kind)} AS d ON d.v = a.{kind}"
        f" WHERE a.{kind} IS NOT NULL AND d.v IS NULL AND NOT a.is_test"
        for kind in (EMAIL, PHONE)
        if kind in spec.ids
    ]
    if spec.joins(DEVICE):
        own.append(
            f"SELECT {literal(DEVICE)} AS kind, {digest_sql(mint_key, DEVICE, 'l.anonymous_id')} AS"
            " key_digest, l.profile_id AS profile_id FROM profile_devices AS l"
        )
    warehouse.create_table_as("id_keys", " UNION ALL ".join(own))
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
    (n_merged,) = warehouse.rows(
        f"SELECT count(*) AS n FROM profile_merges AS m WHERE m.reason <> {literal(SPLIT)}"
    )[0]
    (n_split,) = warehouse.rows("SELECT count(*) AS n FROM profile_splits AS s")[0]
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
        n_split=n_split,
    )
