"""Whole statements that the engine writes in the house dialect, made into one engine's SQL.

The statements are ours, so they may join, group, number rows and use sub-queries. They are still
held to the list of functions: sqlglot passes a function that it does not know through in silence,
and the statement would then work on DuckDB and fail, or mean something else, on the next engine.
What is not on the list raises at once.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from functools import lru_cache

from sqlglot import ErrorLevel, exp
from sqlglot.errors import SqlglotError

from connector.warehouse.grammar import (
    CORE_FUNCTIONS,
    Liftline,
    StatementError,
    expand,
    unknown_call,
    write,
)
from connector.warehouse.macros import NAMES, find
from connector.warehouse.refusals import closest

__all__ = ["literal", "quote", "render", "source_tables"]

_SYNTAX = (
    exp.And, exp.Or, exp.Case, exp.If, exp.Cast, exp.Exists, exp.Coalesce, exp.Nullif,
    exp.Greatest, exp.Least, exp.Count, exp.Sum, exp.Min, exp.Max, exp.RowNumber, exp.Rank,
    exp.DenseRank, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue,
)  # fmt: skip
"""Nodes that sqlglot counts among functions and that every engine has."""

_REFUSED: dict[type[exp.Expr], str] = {
    exp.TryCast: "TRY_CAST is not portable: use as_number().",
    exp.Lambda: "lambdas are not portable.",
    exp.Bracket: "brackets are not portable.",
    exp.Struct: "structs are not portable.",
    exp.Array: "lists are not portable.",
    exp.Parameter: "parameters are not supported: use literal().",
    exp.Placeholder: "placeholders are not supported: use literal().",
    exp.Glob: "GLOB is not portable: use LIKE.",
    exp.SimilarTo: "SIMILAR TO is not portable: use regexp_matches().",
    exp.RegexpLike: "regular-expression operators are not portable: use regexp_matches().",
    exp.IntDiv: "// is not portable: use floor(a / b).",
    exp.Interval: "intervals are not portable: use add_days() or days_between().",
    exp.Qualify: "QUALIFY is not portable: number the rows in a sub-query.",
    exp.Pivot: "PIVOT is not portable.",
    exp.TableSample: "samples are not portable: use hash_bucket().",
}


def quote(name: str) -> str:
    """An identifier in the house dialect's quotes.

    Args:
        name: Of a relation or a column; dots and keywords are kept as they are.

    Raises:
        ValueError: The name is empty or holds a NUL character.
    """
    if not name or "\x00" in name:
        msg = f"no identifier: {name!r}"
        raise ValueError(msg)
    return '"' + name.replace('"', '""') + '"'


Value = str | bool | int | float | Decimal | dt.datetime | dt.date | None


def literal(value: Value) -> str:
    """A value as a literal of the house dialect.

    Args:
        value: Aware times become UTC; naive ones are taken as UTC. Numbers must be finite.

    Raises:
        ValueError: Not a finite number, or text with a NUL character.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case Decimal() if value.is_finite():
            return f"{value:f}"
        case float() if math.isfinite(value):
            return f"CAST('{value!r}' AS DOUBLE)"
        case str() if "\x00" not in value:
            return "'" + value.replace("'", "''") + "'"
        case dt.datetime():
            naive = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
            return f"CAST('{naive.isoformat(sep=' ')}' AS TIMESTAMP)"
        case dt.date():
            return f"CAST('{value.isoformat()}' AS DATE)"
        case _:
            msg = "no literal can hold this value"
            raise ValueError(msg)


@lru_cache(maxsize=256)
def render(sql: str, dialect: str, sources: frozenset[str] = frozenset()) -> str:
    """Turn a statement of ours into an engine's SQL.

    Args:
        sql: One SELECT (with CTEs, unions, windows as needed) in the house dialect.
        dialect: One of :data:`connector.warehouse.macros.ENGINES`.
        sources: Sources whose tables stand in the workspace under one name with a dot in it, such
            as ``"shop.orders"`` for ``shop.orders``.

    Returns:
        SQL of the engine, NULL order as in DuckDB (NULLs last) wherever rows are ordered.

    Raises:
        StatementError: It does not parse, is no query, calls something that is not on the list, or
            the engine cannot express it.
    """
    tree = _parsed(sql)
    for node in tree.walk():
        _verify(node)
    for table in _of_sources(tree, sources):
        table.set("this", exp.to_identifier(f"{table.db}.{table.name}", quoted=True))
        table.set("db", None)
    return write(expand(tree, dialect), dialect)


@lru_cache(maxsize=256)
def source_tables(sql: str, sources: frozenset[str]) -> frozenset[str]:
    """The tables of sources that a statement reads, such as ``shop.orders``.

    Raises:
        StatementError: It does not parse, or is no query.
    """
    return frozenset(f"{table.db}.{table.name}" for table in _of_sources(_parsed(sql), sources))


def _of_sources(tree: exp.Query, sources: frozenset[str]) -> list[exp.Table]:
    return [table for table in tree.find_all(exp.Table) if table.db in sources] if sources else []


def _parsed(sql: str) -> exp.Query:
    """The tree of one query."""
    try:
        trees = Liftline.Parser(error_level=ErrorLevel.IMMEDIATE, dialect=Liftline()).parse(
            Liftline().tokenize(sql), sql
        )
    except SqlglotError as problem:
        raise StatementError(f"A statement does not parse: {problem}") from problem
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise StatementError("A statement must be exactly one query.")
    return trees[0]


def _verify(node: exp.Expr) -> None:
    """Refuse one node that is not portable."""
    if reason := _REFUSED.get(type(node)):
        raise StatementError(f"In a statement: {reason}")
    if isinstance(node, exp.Anonymous):
        if find(node.name, len(node.expressions)) is None:
            allowed = sorted({*NAMES, *(name.lower() for name in CORE_FUNCTIONS)})
            raise StatementError(
                unknown_call(node.name, len(node.expressions)), hint=closest(node.name, allowed)
            )
    elif isinstance(node, exp.Func) and not isinstance(node, _SYNTAX):
        raise StatementError(f"{node.sql_name().lower()}() is not part of the dialect.")
    elif isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
        raise StatementError("Table functions are not allowed: attach the file first.")
    elif isinstance(node, exp.Table) and any(mark in node.name for mark in "./*?\\"):
        raise StatementError("A relation's name may not look like a file.")
    elif isinstance(node, exp.Star) and (node.args.get("replace") or node.args.get("except_")):
        raise StatementError("* EXCLUDE and * REPLACE are not portable: name the columns.")
    elif isinstance(node, exp.Group) and node.args.get("all"):
        raise StatementError("GROUP BY ALL is not portable: name the columns.")
