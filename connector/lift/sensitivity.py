"""The same people counted otherwise: capped baskets, groups of one size, without merged people.

These need a look at the people themselves, where moments do not suffice. They are labelled
alternatives beside a result and never the decision: a cap changes what is measured, groups of equal
size throw people away, and leaving out people who were merged afterwards selects after the
treatment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.domain import Arm
from connector.lift.inputs import has_idle, idle
from connector.lift.metrics import MetricKind, MetricSpec
from connector.lift.moments import ArmMoments, Cell
from connector.lift.scan import read_moments
from connector.warehouse.render import literal, quote

if TYPE_CHECKING:
    from connector.ports import Warehouse

MERGED = "lift_merged"
"""Relation of people found to be one with somebody of another arm: ``campaign, epoch,
profile_id``."""

COUNTED = "lift_counted_otherwise"

WINSORISED, EQUAL_SIZE, NOT_MERGED = "winsorised", "equal_size", "without_merged_people"

LABELS: Mapping[str, str] = {
    WINSORISED: "Large values capped",
    EQUAL_SIZE: "As many treated people as are held out, picked at random",
    NOT_MERGED: "Without people who were in two groups before they were found to be one person",
}


@dataclass(frozen=True, slots=True)
class Recount:
    """One way of counting otherwise.

    Attributes:
        moments: Of every arm that has anybody.
        notes: (campaign, epoch, metric) -> what a reader must know.
    """

    moments: Mapping[Cell, ArmMoments]
    notes: Mapping[tuple[str, int, str], str]


def winsorised(
    warehouse: Warehouse, relation: str, metrics: Sequence[MetricSpec], currency: str
) -> Recount:
    """Moments with large values capped; the cap is one for all arms.

    It lies at a quantile of the people whose value is not zero: where one in a hundred buys, that
    of everybody is zero.

    Args:
        warehouse: Holds the relation.
        relation: One row per person, as :func:`connector.lift.units.units_sql` makes it.
        metrics: Those of the relation; the ones without a cap are passed over.
        currency: For the notes.
    """
    capped = [m for m in metrics if m.winsorise is not None]
    found: dict[Cell, ArmMoments] = {}
    notes: dict[tuple[str, int, str], str] = {}
    for metric in capped:
        name, share = quote(metric.name), f"{metric.winsorise:.6f}"
        # What everybody treated costs is no large value: it stays, and what they brought is capped.
        nothing = quote(idle(metric.name)) if has_idle(metric) else "0"
        caps = {
            (str(campaign), int(epoch)): float(cap)
            for campaign, epoch, cap in warehouse.rows(
                f"SELECT campaign, epoch, quantile({name} - {nothing}, {share}) AS cap"
                f" FROM {relation} WHERE {name} <> {nothing} GROUP BY campaign, epoch"
            )
            if cap is not None
        }
        if not caps:
            continue
        case = " ".join(
            f"WHEN campaign = {literal(c)} AND epoch = {e} THEN {literal(cap)}"
            for (c, e), cap in sorted(caps.items())
        )
        warehouse.create_view_as(
            COUNTED,
            f"SELECT campaign, epoch, arm, {nothing} + least({name} - {nothing},"
            f" CASE {case} ELSE {name} - {nothing} END) AS {name} FROM {relation}",
        )
        found |= read_moments(warehouse, COUNTED, [metric.name])
        for (campaign, epoch), cap in caps.items():
            notes[campaign, epoch, metric.name] = (
                f"Capped at {cap:,.2f} {currency}, the {100 * (metric.winsorise or 0):g} % quantile"
                " of those whose value is not zero, all groups together."
            )
    return Recount(found, notes)


def equal_size(
    warehouse: Warehouse,
    relation: str,
    metrics: Sequence[MetricSpec],
    sizes: Mapping[tuple[str, int], int],
) -> Recount:
    """Moments with as many people treated as are held out, picked by a hash of who they are.

    Args:
        warehouse: Holds the relation.
        relation: As for :func:`winsorised`.
        metrics: Those of the relation; shares and ratios are passed over.
        sizes: (campaign, epoch) -> people to pick from the treatment.
    """
    names = [m.name for m in metrics if m.kind in (MetricKind.SUM, MetricKind.COUNT)]
    if not names or not sizes:
        return Recount({}, {})
    case = " ".join(
        f"WHEN campaign = {literal(c)} AND epoch = {e} THEN {n}"
        for (c, e), n in sorted(sizes.items())
    )
    columns = ", ".join(quote(name) for name in names)
    warehouse.create_view_as(
        COUNTED,
        f"SELECT campaign, epoch, arm, {columns} FROM (SELECT campaign, epoch, arm, {columns},"
        " row_number() OVER (PARTITION BY campaign, epoch, arm"
        " ORDER BY hash_bucket('equal size:' || profile_id), profile_id) AS ll_rank"
        f" FROM {relation}) AS u"
        f" WHERE arm <> {literal(Arm.TREATMENT.value)} OR ll_rank <= CASE {case} ELSE 0 END",
    )
    return Recount(read_moments(warehouse, COUNTED, names), {})


def not_merged(warehouse: Warehouse, relation: str, metrics: Sequence[MetricSpec]) -> Recount:
    """Moments without the people of :data:`MERGED`; nothing where there are none."""
    names = [m.name for m in metrics if m.kind in (MetricKind.SUM, MetricKind.COUNT)]
    if not names or not warehouse.columns(MERGED):
        return Recount({}, {})
    if not int(warehouse.rows(f"SELECT count(*) FROM {MERGED}")[0][0]):
        return Recount({}, {})
    columns = ", ".join(f"u.{quote(name)} AS {quote(name)}" for name in names)
    warehouse.create_view_as(
        COUNTED,
        f"SELECT u.campaign AS campaign, u.epoch AS epoch, u.arm AS arm, {columns}"
        f" FROM {relation} AS u LEFT JOIN {MERGED} AS m ON m.campaign = u.campaign"
        " AND m.epoch = u.epoch AND m.profile_id = u.profile_id WHERE m.profile_id IS NULL",
    )
    return Recount(read_moments(warehouse, COUNTED, names), {})
