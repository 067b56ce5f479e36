"""Exclusion lists: people that no campaign, or not these campaigns, may reach.

A list in a source is matched generously: an e-mail on it excludes every profile with a customer who
has that address, primary or not, even where the address was taken away because several profiles
share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connector.errors import SourceError
from connector.ports import Warehouse
from connector.profiles.spec import ExclusionList, ExclusionRule, PersonKey
from connector.warehouse.dialect import parse_condition, parse_expression
from connector.warehouse.render import literal, quote


@dataclass(frozen=True, slots=True)
class ExclusionReport:
    """What one list excludes.

    Attributes:
        name: The list's name.
        n_entries: Entries of the source; for a rule, the profiles that it singles out.
        n_profiles: Profiles that it excludes.
    """

    name: str
    n_entries: int
    n_profiles: int

    def lines(self) -> list[tuple[str, str, int]]:
        """The report as rows (table, measure, n), for the run's quality summary."""
        return [
            (f"exclusion:{self.name}", "entries", self.n_entries),
            (f"exclusion:{self.name}", "profiles", self.n_profiles),
        ]


def build_exclusions(
    warehouse: Warehouse,
    lists: Sequence[ExclusionList],
    rules: Sequence[ExclusionRule] = (),
    *,
    people: str = "scored",
    output: str = "exclusions",
) -> tuple[ExclusionReport, ...]:
    """Make ``exclusions(profile_id, list_name, applies_to)``.

    ``applies_to`` is a campaign, or NULL for all of them. And ``excluded_addresses(email)``: those
    on lists for all campaigns, whether or not a profile has them (any more).

    Args:
        warehouse: Where the lists, ``profiles``, ``profile_customers`` and ``clean_customers`` lie.
        lists: Lists in sources.
        rules: Conditions over ``people``.
        people: Relation with one row a profile that rules read: features, scores and profile
            columns.
        output: Name of the relation to make.

    Raises:
        SourceError: A list's relation does not exist.
        ExpressionError: A list's column or a rule cannot be read.
    """
    empty = "CAST(NULL AS VARCHAR)"
    parts = [
        f"SELECT {empty} AS profile_id, {empty} AS list_name, {empty} AS applies_to WHERE FALSE"
    ]
    reports: list[tuple[str, str, int | None]] = []
    addresses = [f"SELECT {empty} AS email WHERE FALSE"]
    for i, listed in enumerate(lists):
        relation = f"exclusion_list_{i}"
        n_entries = _match(warehouse, listed, relation)
        if listed.key is PersonKey.EMAIL and not listed.applies_to:
            addresses.append(f"SELECT e.k AS email FROM {relation}_entries AS e")
        parts += _claims(relation, listed.name, listed.applies_to)
        reports.append((listed.name, relation, n_entries))
    for i, rule in enumerate(rules):
        relation = f"exclusion_rule_{i}"
        condition = parse_condition(
            rule.where,
            columns=warehouse.columns(people),
            what=f"exclusion_lists.{rule.name}.where",
        )
        warehouse.create_table_as(
            relation,
            f"SELECT s.profile_id AS profile_id FROM {people} AS s WHERE {condition.sql()}",
        )
        parts += _claims(relation, rule.name, rule.applies_to)
        reports.append((rule.name, relation, None))
    warehouse.create_table_as(output, " UNION ALL ".join(parts))
    warehouse.create_view_as("excluded_addresses", " UNION ALL ".join(addresses))
    result = []
    for name, relation, entries in reports:
        (n_profiles,) = warehouse.rows(f"SELECT count(*) AS n FROM {relation} AS r")[0]
        result.append(ExclusionReport(name, n_profiles if entries is None else entries, n_profiles))
    return tuple(result)


def _match(warehouse: Warehouse, listed: ExclusionList, output: str) -> int:
    """Make the profiles of one list; returns its number of entries."""
    columns = warehouse.columns(listed.relation)
    subject = f"exclusion_lists.{listed.name}"
    if not columns:
        raise SourceError(
            f"{subject} comes from {listed.relation!r}, which does not exist.",
            hint="Check `from`; without the list people would be reached who must not be.",
        )
    entry = parse_expression(
        listed.column or str(listed.key), columns=columns, what=f"{subject}.column"
    ).sql()
    physical = ".".join(quote(part) for part in listed.relation.split("."))
    value = (
        f"normalise_email(as_text({entry}))"
        if listed.key is PersonKey.EMAIL
        else f"trim(as_text({entry}))"
    )
    entries = f"{output}_entries"
    warehouse.create_table_as(entries, f"SELECT DISTINCT {value} AS k FROM {physical} AS x")
    match listed.key:
        case PersonKey.EMAIL:
            people = (
                "SELECT m.profile_id AS profile_id, c.email AS k FROM profile_customers AS m"
                " JOIN clean_customers AS c ON c.customer_id = m.customer_id"
            )
        case PersonKey.CUSTOMER_ID:
            people = (
                "SELECT m.profile_id AS profile_id, m.customer_id AS k FROM profile_customers AS m"
            )
        case PersonKey.PROFILE_ID:
            people = "SELECT p.profile_id AS profile_id, p.profile_id AS k FROM profiles AS p"
    warehouse.create_table_as(
        output,
        f"SELECT DISTINCT p.profile_id AS profile_id FROM ({people}) AS p JOIN {entries} AS e"
        " ON e.k = p.k",
    )
    (n_entries,) = warehouse.rows(f"SELECT count(*) AS n FROM {physical} AS x")[0]
    return int(n_entries)


def _claims(relation: str, name: str, applies_to: Sequence[str]) -> list[str]:
    """One SELECT for each campaign that the list applies to, or one for all."""
    campaigns = [literal(campaign) for campaign in applies_to] or ["CAST(NULL AS VARCHAR)"]
    return [
        f"SELECT r.profile_id AS profile_id, {literal(name)} AS list_name, {campaign} AS"
        f" applies_to FROM {relation} AS r"
        for campaign in campaigns
    ]
