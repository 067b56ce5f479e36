"""Why one person is in a segment, and what would have to change.

The rule is taken apart for one row, and the parts are computed by the same engine and the same
statement writer as the segment itself; a second evaluator in Python would one day disagree with the
first about a NULL or a half cent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from connector.errors import ConfigError
from connector.ports import Warehouse
from connector.segments.reasons import Leaf, operands, peel, read_leaf, value_sql
from connector.segments.rules import Segment
from connector.warehouse.render import Value, literal, quote


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition of a rule, as it is for one person.

    Attributes:
        text: The condition, such as ``recency_days <= 60``.
        holds: True, False, or None where a value is unknown.
        value: The person's value in words; empty where it is private or says no more than the
            condition.
    """

    text: str
    holds: bool | None
    value: str


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """A rule, as it is for one person.

    Attributes:
        segment: The segment's name.
        member: Whether the person is in it; unknown counts as not.
        findings: Its conditions in the order of the rule.
        to_change: What would make the person leave (a member) or enter (anybody else); all of it
            together, and the fewest conditions where there is a choice. Empty when nothing can.
    """

    segment: str
    member: bool
    findings: tuple[Finding, ...]
    to_change: tuple[str, ...]


def explain(
    warehouse: Warehouse, segment: Segment, profile_id: str, *, scored: str = "scored"
) -> RuleTrace | None:
    """Explain a segment for one profile of ``scored``; None when there is no such profile.

    Args:
        warehouse: Holds ``scored``.
        segment: From :func:`connector.segments.rules.compile_segments`.
        profile_id: Whom to look at.
        scored: Name of the relation to read.
    """
    return _trace(
        warehouse, segment, f"FROM {quote(scored)} WHERE profile_id = {literal(profile_id)}"
    )


def explain_rule(
    warehouse: Warehouse, segment: Segment, row: Mapping[str, Value], columns: Mapping[str, str]
) -> RuleTrace:
    """Explain a segment for a person given as plain values, stored nowhere.

    Args:
        warehouse: Any; it only computes.
        segment: From :func:`connector.segments.rules.compile_segments`.
        row: Column -> value, at least for the columns that the rule reads.
        columns: Column -> SQL type, as the segment was compiled with.

    Raises:
        ConfigError: A column that the rule reads is missing from the row.
    """
    missing = sorted(segment.columns - set(row))
    if missing:
        raise ConfigError(f"segment {segment.name}: no value for {', '.join(missing)}.")
    values = ", ".join(
        f"CAST({literal(row[column])} AS {columns[column]}) AS {quote(column)}"
        for column in sorted(segment.columns)
    )
    trace = _trace(warehouse, segment, f"FROM (SELECT {values or '1 AS one'}) AS person")
    assert trace is not None  # noqa: S101 - the sub-query has one row
    return trace


def _trace(warehouse: Warehouse, segment: Segment, source: str) -> RuleTrace | None:
    root = peel(segment.condition.tree)
    leaves = _leaves(root, segment)
    selected = [segment.condition.sql()]
    for leaf in leaves:
        selected += [leaf.tree.sql(dialect="liftline"), value_sql(leaf) or "NULL"]
    listed = ", ".join(f"{text} AS c{index}" for index, text in enumerate(selected))
    rows = warehouse.rows(f"SELECT {listed} {source}")
    if not rows:
        return None
    member, *parts = rows[0]
    state = {id(leaf.tree): parts[2 * index] for index, leaf in enumerate(leaves)}
    by_tree = {id(leaf.tree): leaf for leaf in leaves}
    values = {id(leaf.tree): parts[2 * index + 1] or "" for index, leaf in enumerate(leaves)}
    findings = tuple(
        Finding(leaf.words(holds=True), state[id(leaf.tree)], values[id(leaf.tree)])
        for leaf in leaves
    )
    needed = _needed(root, want=not member, state=state)
    to_change = tuple(
        _sentence(by_tree[key], values[key], holds=wanted)
        for key, wanted in dict(needed or ()).items()
    )
    return RuleTrace(segment.name, bool(member), findings, to_change)


def _leaves(tree: exp.Expr, segment: Segment) -> list[Leaf]:
    tree = peel(tree)
    if isinstance(tree, exp.Not):
        return _leaves(tree.this, segment)
    if isinstance(tree, (exp.And, exp.Or)):
        return [leaf for part in operands(tree) for leaf in _leaves(part, segment)]
    return [] if isinstance(tree, exp.Boolean) else [read_leaf(tree, segment.private)]


def _needed(
    tree: exp.Expr, *, want: bool, state: Mapping[int, Any]
) -> list[tuple[int, bool]] | None:
    """The fewest leaves that must change to make a tree as wanted; None: nothing can."""
    tree = peel(tree)
    if isinstance(tree, exp.Not):
        return _needed(tree.this, want=not want, state=state)
    if isinstance(tree, exp.Boolean):
        return [] if bool(tree.this) is want else None
    if isinstance(tree, (exp.And, exp.Or)):
        found = [_needed(part, want=want, state=state) for part in operands(tree)]
        possible = [part for part in found if part is not None]
        if isinstance(tree, exp.And) is want:
            return (
                [leaf for part in possible for leaf in part]
                if len(possible) == len(found)
                else None
            )
        return min(possible, key=len, default=None)
    return [] if state[id(tree)] is want else [(id(tree), want)]


def _sentence(leaf: Leaf, value: str, *, holds: bool) -> str:
    now = f" (now {value})" if value else ""
    return f"{leaf.words(holds=holds)}{now}"
