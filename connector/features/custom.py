"""Features that a user writes: an aggregate over a table, or arithmetic over other features.

They are the same data as ours and go through the same builder, so they share its scans and cannot
see past ``as_of`` either. The text is somebody else's code: it is parsed and checked against the
columns that there are (:mod:`connector.warehouse.dialect`), never spliced.

``properties.product_id`` reads a key of an event's JSON object. Where a number is needed, such as
inside ``sum()`` or in a comparison with one, it is read as a number.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlglot import exp

from connector.errors import ConfigError
from connector.features.pack import (
    AS_OF,
    DerivedColumn,
    FeatureColumn,
    FeaturePack,
    words,
)
from connector.tables import TIMESTAMP
from connector.warehouse.dialect import Expression, parse_condition, parse_expression
from connector.warehouse.grammar import Liftline
from connector.warehouse.macros import Kind, find

FEATURES = "features"
RELATIONS: Mapping[str, tuple[str, str]] = {
    "orders": ("clean_orders", "ordered_at"),
    "order_items": ("clean_items", "ordered_at"),
    "events": ("clean_events", "occurred_at"),
    "tickets": ("clean_tickets", "opened_at"),
    "social": ("clean_social", "occurred_at"),
    "loyalty": ("clean_loyalty", "occurred_at"),
}
"""Logical table -> the relation and the time that a custom feature reads."""

JSON_COLUMN = "properties"
_JSON_KEY = re.compile(rf"\b{JSON_COLUMN}\.([A-Za-z_][A-Za-z0-9_]*)")
_TYPES = {Kind.TEXT: "VARCHAR", Kind.BOOLEAN: "BOOLEAN", Kind.TIME: TIMESTAMP}
_COUNTS = (exp.Count, exp.Sum)
_COUNT_MACROS = ("count_if", "sum_if")
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.Sum)
_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In)


@dataclass(frozen=True, slots=True)
class CustomFeature:
    """One feature of the configuration.

    Attributes:
        name: Its name; one of ours is replaced by it.
        sql: An aggregate over the table's columns, or arithmetic over features.
        source: A logical table of ``RELATIONS``, or ``features``.
        window_days: Only rows of so many days before the instant; None: all.
        where: Condition on the table's rows; empty: all.
        unit: Unit of the value.
        meaning: One sentence for people.
        empty: What stands for people without rows; None: 0 for counts and sums, nothing else.
        what: How messages call it.
    """

    name: str
    sql: str
    source: str
    window_days: int | None = None
    where: str = ""
    unit: str = ""
    meaning: str = ""
    empty: float | None = None
    what: str = ""


def custom_pack(feature: CustomFeature, columns: Mapping[str, str]) -> FeaturePack:
    """A checked custom feature as a pack of its own.

    Args:
        feature: As the user wrote it.
        columns: What it may read, name -> SQL type: columns of the clean relation, or features.

    Raises:
        ConfigError: It cannot be read, names a column that there is not, is no aggregate over a
            table, or is one over features.
    """
    what = feature.what or f"features.custom.{feature.name}"
    if feature.source == FEATURES:
        return _over_features(feature, columns, what)
    if feature.source not in RELATIONS:
        known = ", ".join([*RELATIONS, FEATURES])
        raise ConfigError(f"{what}: from may be {known}; found {feature.source!r}.")
    relation, time = RELATIONS[feature.source]
    readable = _readable(columns, feature.sql, feature.where)
    expression = parse_expression(
        feature.sql, columns=readable, what=f"{what}: sql", allow_aggregates=True
    )
    bare = expression.bare_columns - {AS_OF}
    if not expression.aggregates or bare:
        one = f"{min(bare)} has" if bare else "it has"
        raise ConfigError(
            f"{what}: sql: {one} many values for one person: {feature.sql}",
            hint="Write an aggregate such as sum(...), count(*), max(...).",
        )
    where = ""
    if feature.where:
        condition = parse_condition(feature.where, columns=readable, what=f"{what}: where")
        where = _sql(condition)
    sql_type, empty = _type_of(expression)
    if feature.empty is not None:
        empty = f"{feature.empty:f}" if sql_type == "DOUBLE" else str(int(feature.empty))
    column = FeatureColumn(
        feature.name,
        _sql(expression),
        feature.unit,
        feature.meaning,
        where=where,
        window_days=feature.window_days,
        type=sql_type,
        empty=empty,
    )
    return FeaturePack("custom", relation, time, (column,), needs=(feature.source,))


def _over_features(feature: CustomFeature, columns: Mapping[str, str], what: str) -> FeaturePack:
    """Arithmetic over features of the same person."""
    for key, value in (("window", feature.window_days), ("where", feature.where)):
        if value:
            raise ConfigError(
                f"{what}: {key} does not go with from: features.",
                hint="The features that it reads have windows of their own.",
            )
    readable = {name: kind for name, kind in columns.items() if name != feature.name}
    expression = parse_expression(feature.sql, columns=readable, what=f"{what}: sql")
    value = expression.sql()
    if feature.empty is not None:
        value = f"coalesce({value}, {feature.empty:f})"
    column = DerivedColumn(
        feature.name, value, feature.unit, feature.meaning, _TYPES.get(expression.kind, "DOUBLE")
    )
    return FeaturePack("custom", "", "", derived=(column,))


def replacing(packs: Collection[FeaturePack], names: Collection[str]) -> list[FeaturePack]:
    """Packs without the features that others of the same name replace."""
    gone = frozenset(names)
    return [pack.keeping(frozenset(pack.names) - gone) for pack in packs]


def _readable(columns: Mapping[str, str], *texts: str) -> dict[str, str]:
    """The columns, the instant, and the keys of the JSON object that the texts speak of."""
    readable = {name: kind for name, kind in columns.items() if name != "profile_id"}
    readable[AS_OF] = TIMESTAMP
    if JSON_COLUMN in columns:
        keys = {key for text in texts for key in _JSON_KEY.findall(text)}
        # An unknown type: whether a number or a text is meant shows in how it is used.
        readable |= {f"{JSON_COLUMN}.{key}": "" for key in keys}
    return readable


def _sql(expression: Expression) -> str:
    """The expression as house SQL, keys of the JSON object looked up."""
    tree = exp.Paren(this=expression.tree)
    for column in list(tree.find_all(exp.Column)):
        if not column.name.startswith(f"{JSON_COLUMN}."):
            continue
        key = column.name.removeprefix(f"{JSON_COLUMN}.")
        found: exp.Expr = exp.Anonymous(
            this="json_text", expressions=[exp.column(JSON_COLUMN), exp.Literal.string(key)]
        )
        if _needs_number(column):
            found = exp.Anonymous(this="as_number", expressions=[found])
        column.replace(found)
    return str(tree.this.sql(dialect=Liftline))


def _needs_number(column: exp.Expr) -> bool:
    """Whether a value stands where only a number makes sense."""
    node: exp.Expr = column
    while isinstance(node.parent, exp.Paren):
        node = node.parent
    parent = node.parent
    if isinstance(parent, _ARITHMETIC):
        return True
    if isinstance(parent, exp.Anonymous):
        macro = find(parent.name, len(parent.expressions))
        place = next(i for i, other in enumerate(parent.expressions) if other is node)
        return macro is not None and macro.parameters[place] is Kind.NUMBER
    if isinstance(parent, _COMPARED):
        others = [other for other in parent.iter_expressions() if other is not node]
        return all(isinstance(o, exp.Literal) and not o.is_string for o in others)
    return False


def _type_of(expression: Expression) -> tuple[str, str]:
    """SQL type of a custom feature, and what stands for people without rows."""
    root = expression.tree
    while isinstance(root, exp.Paren):
        root = root.this
    name = root.name.lower() if isinstance(root, exp.Anonymous) else ""
    adds_up = isinstance(root, _COUNTS) or name in _COUNT_MACROS
    if isinstance(root, exp.Count) or name == "count_if":
        return "BIGINT", "0"
    return _TYPES.get(expression.kind, "DOUBLE"), "0" if adds_up else "NULL"


def reads(feature: CustomFeature) -> frozenset[str]:
    """Every name that occurs in a custom feature over features."""
    return words(feature.sql) if feature.source == FEATURES else frozenset()
