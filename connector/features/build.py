"""Make the relation ``features``: one row for every profile, as of one instant.

All packs over the same table share one scan and one GROUP BY. A column's window and condition are
put inside its aggregates (``sum(x)`` becomes ``sum(CASE WHEN condition THEN x END)``), which every
engine understands. Rows at or after ``as_of`` are cut off before anything is computed, and the
tests prove for every column that they cannot matter.

Levels are views, so that the engine plans them together with what reads them; one that several
read is a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlglot import exp

from connector.errors import ModelError
from connector.features.expressions import (
    condition,
    instant,
    localise,
    parse,
    parse_level,
    timestamp,
)
from connector.features.pack import (
    DerivedColumn,
    FeatureColumn,
    FeatureMeta,
    FeaturePack,
    Level,
    ProfileColumn,
    Rows,
    words,
)
from connector.ports import Warehouse
from connector.warehouse.grammar import Liftline

__all__ = ["FeatureMeta", "build_features", "features_sql", "levels_sql"]

OUTPUT = "features"
ATTRIBUTES = "clean_customers"
"""Where the columns of a person's representative customer lie."""
KNOWN_LATER = {"clean_events": "ll_known_at"}
"""Table -> the column that says since when it is known whose a row is: an event on a device whose
owner logged in afterwards was nobody's until then."""
FLOAT = "DOUBLE"
DECIMALS = 6
"""Floating-point features are rounded so: engines add up in different orders, and differ by
1e-13."""


def build_features(
    warehouse: Warehouse,
    packs: Sequence[FeaturePack],
    *,
    as_of: datetime,
    history_days: int | None = None,
    profiles: str = "profiles",
    output: str = OUTPUT,
) -> tuple[FeatureMeta, ...]:
    """Compute all packs for every profile into the relation ``output``.

    Args:
        warehouse: Where the tables of the packs lie.
        packs: Packs with distinct feature names.
        as_of: Aware; only rows strictly before it are read.
        history_days: Only rows of so many days before it are read; None: all.
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
    # The levels of another instant must not take the place of today's, which models read.
    prefix = "" if output == OUTPUT else f"{output}_"
    made = levels_sql(packs, as_of=as_of, history_days=history_days, prefix=prefix)
    for level, sql, shared in made:
        make: Callable[[str, str], None] = (
            warehouse.create_table_as if shared else warehouse.create_view_as
        )
        make(level, sql)
    sql = features_sql(
        packs, as_of=as_of, history_days=history_days, profiles=profiles, prefix=prefix
    )
    warehouse.create_table_as(output, sql)
    return tuple(meta for pack in packs for meta in pack.metas)


# ---------------------------------------------------------------------- levels
def levels_sql(
    packs: Sequence[FeaturePack],
    *,
    as_of: datetime,
    history_days: int | None = None,
    prefix: str = "",
) -> list[tuple[str, str, bool]]:
    """The levels of the packs, each after those that it reads.

    Args:
        packs: Any packs.
        as_of: Aware; levels read only rows strictly before it.
        history_days: Only rows of so many days before it are read; None: all.
        prefix: Stands before the names of their relations.

    Returns:
        Name of the relation, its SELECT in the house dialect, and whether several read it.

    Raises:
        ModelError: A level names a relation that it does not declare, or two levels share a name.
    """
    ordered: dict[str, Level] = {}
    readers: Counter[str] = Counter()

    def visit(level: Level) -> None:
        known = ordered.get(level.name)
        if known is not None:
            if known != level:
                raise ModelError(f"Two levels have the same name: {level.name}.")
            return
        for _, origin in level.reads:
            if isinstance(origin, Level):
                visit(origin)
                readers[origin.name] += 1
        ordered[level.name] = level

    for part in {part.level.name: part for pack in packs for part in pack.levels}.values():
        visit(part.level)
        readers[part.level.name] += 1
    for pack in packs:
        for part in pack.levels:
            visit(part.level)
    return [
        (prefix + name, _level_sql(level, as_of, history_days, prefix), readers[name] > 1)
        for name, level in ordered.items()
    ]


def _level_sql(level: Level, as_of: datetime, history_days: int | None, prefix: str) -> str:
    """A level's statement, reading only rows that were there before ``as_of``."""
    tree = parse_level(level.name, level.sql)
    reads = dict(level.reads)
    for table in list(tree.find_all(exp.Table)):
        origin = reads.get(table.name)
        if origin is None:
            raise ModelError(f"The level {level.name} reads {table.name}, which it does not name.")
        alias = exp.TableAlias(this=exp.to_identifier(table.alias or table.name))
        if isinstance(origin, Level):
            table.replace(exp.Table(this=exp.to_identifier(prefix + origin.name), alias=alias))
        else:
            rows = parse_level(level.name, f"SELECT * FROM {_before(origin, as_of, history_days)}")
            table.replace(exp.Subquery(this=rows, alias=alias))
    return localise(instant(tree, as_of), as_of).sql(dialect=Liftline)


def _before(rows: Rows, as_of: datetime, history_days: int | None) -> str:
    """A table and the condition that cuts off the future, and what is too long ago."""
    text = f"{rows.table} WHERE {rows.time} < {timestamp(as_of)}"
    if rows.table in KNOWN_LATER:
        text += f" AND {KNOWN_LATER[rows.table]} < {timestamp(as_of)}"
    if history_days is not None:
        text += f" AND {rows.time} >= {timestamp(as_of - timedelta(days=history_days))}"
    return text


# ---------------------------------------------------------------------- features
def features_sql(
    packs: Sequence[FeaturePack],
    *,
    as_of: datetime,
    history_days: int | None = None,
    profiles: str = "profiles",
    prefix: str = "",
) -> str:
    """The SELECT behind :func:`build_features`, in the house dialect; levels are relations then."""
    if as_of.tzinfo is None:
        raise ModelError("as_of has no time zone.", hint="Pass an aware time.")
    scans: dict[tuple[str, str], list[FeatureColumn]] = {}
    for pack in packs:
        if pack.columns:
            key = (_before(Rows(pack.table, pack.time), as_of, history_days), pack.time)
            scans.setdefault(key, []).extend(pack.columns)
        for part in pack.levels:
            scans.setdefault((prefix + part.level.name, part.time), []).extend(part.columns)
    picks, joins = [], []
    attributes = [column for pack in packs for column in pack.attributes]
    if attributes:
        joins.append(f"LEFT JOIN {ATTRIBUTES} AS a ON a.customer_id = p.customer_id")
        picks += [_attribute(column, as_of) for column in attributes]
    for i, ((rows, time), columns) in enumerate(scans.items()):
        aggregates = ", ".join(
            f'{_aggregate(column, time, as_of)} AS "{column.name}"' for column in columns
        )
        joins.append(
            f"LEFT JOIN (SELECT profile_id, {aggregates} FROM {rows}"
            f" GROUP BY profile_id) AS t{i} ON t{i}.profile_id = p.profile_id"
        )
        picks += [_typed(f't{i}."{c.name}"', c.type, c.empty) + f' AS "{c.name}"' for c in columns]
    base = (
        f"SELECT {', '.join(['p.profile_id AS profile_id', *picks])}"
        f" FROM {profiles} AS p {' '.join(joins)}"
    )
    known = [c.name for c in attributes] + [c.name for cs in scans.values() for c in cs]
    return _derive(base, known, [column for pack in packs for column in pack.derived])


def _derive(base: str, known: list[str], derived: list[DerivedColumn]) -> str:
    """Wrap a statement until every derived column is there, those that others read first.

    Raises:
        ModelError: Columns are derived from each other in a circle.
    """
    waiting = {column.name: column for column in derived}
    while waiting:
        ready = [c for c in waiting.values() if not (words(c.expression) & set(waiting))]
        if not ready:
            raise ModelError(f"Features are made of each other: {', '.join(sorted(waiting))}.")
        plain = [f'f."{name}" AS "{name}"' for name in known]
        made = [f'{_typed(column.expression, column.type)} AS "{column.name}"' for column in ready]
        base = f"SELECT {', '.join(['f.profile_id AS profile_id', *plain, *made])} FROM ({base})"
        base += " AS f"
        known += [column.name for column in ready]
        for column in ready:
            del waiting[column.name]
    return base


def _typed(value: str, sql_type: str, empty: str = "NULL") -> str:
    """A value in its type, floating point rounded, with what stands for nothing."""
    if sql_type == FLOAT:
        value = f"round({value}, {DECIMALS})"
    if empty != "NULL":
        value = f"coalesce({value}, {empty})"
    return f"CAST({value} AS {sql_type})"


def _attribute(column: ProfileColumn, as_of: datetime) -> str:
    """One pick of the columns that are known of the person."""
    tree = parse(column.name, column.expression)
    for name in list(tree.find_all(exp.Column)):
        if not (name.name == "as_of" and not name.table):
            name.set("table", exp.to_identifier("a"))
    value = localise(instant(tree, as_of), as_of).sql(dialect=Liftline)
    return f'{_typed(value, column.type) if column.type else value} AS "{column.name}"'


def _aggregate(column: FeatureColumn, time: str, as_of: datetime) -> str:
    """The column's aggregate with its window and condition inside."""
    conditions = [f"({column.where})"] if column.where else []
    if column.window_days is not None:
        start = as_of - timedelta(days=column.window_days)
        conditions.append(f"{time} >= {timestamp(start)}")
    tree = condition(column.name, parse(column.name, column.expression), conditions)
    return localise(instant(tree, as_of), as_of).sql(dialect=Liftline)
