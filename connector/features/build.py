"""Make the relation ``features``: one row for every profile, as of one instant.

All packs over the same table share one scan and one GROUP BY. A column's window and condition are
put inside its aggregates (``sum(x)`` becomes ``sum(CASE WHEN condition THEN x END)``), which every
engine understands. Rows at or after ``as_of`` are cut off before anything is computed, and the
tests prove for every column that they cannot matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from connector.errors import ModelError
from connector.features.pack import AS_OF, FeatureColumn, FeaturePack
from connector.ports import Warehouse
from connector.warehouse.grammar import Liftline

_CORE_AGGREGATES = (exp.Count, exp.Sum, exp.Min, exp.Max)
_MACRO_AGGREGATES = frozenset(
    {
        *("avg", "stddev", "variance", "quantile", "median"),
        *("count_if", "sum_if", "avg_if", "min_if", "max_if", "any_true"),
    }
)
"""Aggregates that ignore rows whose first argument is NULL, so a condition can be put into it."""


@dataclass(frozen=True, slots=True)
class FeatureMeta:
    """What a feature column means; the report and the vendors' field descriptions show it."""

    name: str
    type: str
    unit: str
    meaning: str


def build_features(
    warehouse: Warehouse,
    packs: Sequence[FeaturePack],
    *,
    as_of: datetime,
    profiles: str = "profiles",
    output: str = "features",
) -> tuple[FeatureMeta, ...]:
    """Compute all packs for every profile into the relation ``output``.

    Args:
        warehouse: Where the tables of the packs lie.
        packs: Packs with distinct feature names.
        as_of: Aware; only rows strictly before it are read.
        profiles: Relation with one row a profile; profiles without rows get each column's ``empty``
            value.
        output: Name of the relation to make: ``profile_id`` and one column for each feature.

    Returns:
        One entry for each feature column, in order.

    Raises:
        ModelError: Two packs offer one name, or an expression is not an aggregate of the dialect.
    """
    names = [name for pack in packs for name in pack.names]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ModelError(f"Two features have the same name: {', '.join(doubled)}.")
    warehouse.create_table_as(output, features_sql(packs, as_of=as_of, profiles=profiles))
    return tuple(
        FeatureMeta(column.name, column.type, column.unit, column.meaning)
        for pack in packs
        for column in pack.all_columns
    )


def features_sql(
    packs: Sequence[FeaturePack], *, as_of: datetime, profiles: str = "profiles"
) -> str:
    """The SELECT behind :func:`build_features`, in the house dialect."""
    if as_of.tzinfo is None:
        raise ModelError("as_of has no time zone.", hint="Pass an aware time.")
    scans: dict[tuple[str, str], list[FeatureColumn]] = {}
    for pack in packs:
        scans.setdefault((pack.table, pack.time), []).extend(pack.columns)
    picks, joins = [], []
    for i, ((table, time), columns) in enumerate(scans.items()):
        aggregates = ", ".join(
            f'{_aggregate(column, time, as_of)} AS "{column.name}"' for column in columns
        )
        joins.append(
            f"LEFT JOIN (SELECT profile_id, {aggregates} FROM {table}"
            f" WHERE {time} < {timestamp(as_of)} GROUP BY profile_id) AS t{i}"
            f" ON t{i}.profile_id = p.profile_id"
        )
        picks += [
            f'CAST(coalesce(t{i}."{c.name}", {c.empty}) AS {c.type}) AS "{c.name}"' for c in columns
        ]
    base = (
        f"SELECT p.profile_id AS profile_id, {', '.join(picks)}"
        f" FROM {profiles} AS p {' '.join(joins)}"
    )
    derived = [column for pack in packs for column in pack.derived]
    if not derived:
        return base
    plain = [f'f."{column.name}" AS "{column.name}"' for pack in packs for column in pack.columns]
    made = [f'CAST({column.expression} AS {column.type}) AS "{column.name}"' for column in derived]
    return f"SELECT f.profile_id AS profile_id, {', '.join(plain + made)} FROM ({base}) AS f"


def timestamp(moment: datetime) -> str:
    """An aware time as a literal of the dialect, in UTC."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"TIMESTAMP '{utc.isoformat(sep=' ', timespec='microseconds')}'"


def _aggregate(column: FeatureColumn, time: str, as_of: datetime) -> str:
    """The column's aggregate with its window and condition inside."""
    conditions = [f"({column.where})"] if column.where else []
    if column.window_days is not None:
        start = as_of - timedelta(days=column.window_days)
        conditions.append(f"{time} >= {timestamp(start)}")
    tree = _parse(column.name, column.expression)
    found = [node for node in tree.walk() if _is_aggregate(node)]
    if not found:
        raise ModelError(f"The feature {column.name} is not an aggregate: {column.expression!r}.")
    if conditions:
        keep = _parse(column.name, " AND ".join(conditions))
        for node in found:
            _condition(node, keep)
    for name in list(tree.find_all(exp.Column)):
        if name.name == AS_OF:
            name.replace(_parse(column.name, timestamp(as_of)))
    return tree.sql(dialect=Liftline)


def _parse(feature: str, text: str) -> exp.Expr:
    """Parse an expression of a pack.

    Raises:
        ModelError: It is not an expression.
    """
    try:
        # The parenthesis keeps a root that is itself replaced reachable through its parent.
        return exp.Paren(this=parse_one(text, dialect=Liftline))
    except SqlglotError as problem:
        raise ModelError(f"The feature {feature} cannot be read: {text!r}.") from problem


def _is_aggregate(node: exp.Expr) -> bool:
    """Whether the node is an aggregate that a condition can be put into."""
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _MACRO_AGGREGATES
    return isinstance(node, _CORE_AGGREGATES)


def _condition(aggregate: exp.Expr, keep: exp.Expr) -> None:
    """Let an aggregate see only rows where ``keep`` holds."""
    macro = isinstance(aggregate, exp.Anonymous)
    value = aggregate.expressions[0] if macro else aggregate.this
    if isinstance(value, exp.Distinct):
        value = value.expressions[0]
    inside: exp.Expr = exp.Literal.number(1) if isinstance(value, exp.Star) else value.copy()
    value.replace(exp.Case(ifs=[exp.If(this=keep.copy(), true=inside)]))
