"""Why one person is in a segment, and what would have to change.

The rule is taken apart for one row, and the parts are computed by the same engine and the same
statement writer as the segment itself; a second evaluator in Python would one day disagree with the
first about a NULL or a half cent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from connector.errors import ConfigError
from connector.ports import Warehouse
from connector.segments.motion import Plain, plain, possible, read_demand, takes_an_order
from connector.segments.reasons import Leaf, operands, peel, read_leaf, value_sql
from connector.segments.rules import Segment
from connector.warehouse.render import Value, literal, quote

MAX_WAYS = 64
"""Ways to meet a part of a rule that are followed up; the ones with the fewest changes are kept."""

_Way = tuple[tuple[int, bool], ...]
"""Leaves, by identity of their trees, and whether each must hold."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition of a rule, as it is for one person.

    Attributes:
        text: The condition as the rule wants it: of ``not recency_days > 60`` it is
            ``recency_days <= 60``.
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
        findings: Of a member, the conditions that make them one, all true; of anybody else, all
            conditions. In the order of the rule.
        to_change: What would make the person leave (a member) or enter (anybody else); all of it
            together, and the fewest conditions where there is a choice. Only what can happen: see
            :mod:`connector.segments.motion`. Empty when nothing can.
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


@dataclass(frozen=True, slots=True)
class _Look:
    """The leaves of one rule, as they are for one person.

    Attributes:
        leaves: By identity of their trees.
        state: Likewise: whether each holds; None where a value is unknown.
        words: Likewise: the person's value in words; empty where it is not shown.
        now: Column -> the person's value, for the columns that leaves compare with fixed values.
    """

    leaves: Mapping[int, Leaf]
    state: Mapping[int, bool | None]
    words: Mapping[int, str]
    now: Mapping[str, Plain | None]

    def truth(self, tree: exp.Expr) -> bool | None:
        """Whether a tree holds, by three-valued logic."""
        tree = peel(tree)
        if isinstance(tree, exp.Not):
            inner = self.truth(tree.this)
            return None if inner is None else not inner
        if isinstance(tree, exp.Boolean):
            return bool(tree.this)
        if isinstance(tree, (exp.And, exp.Or)):
            parts = [self.truth(part) for part in operands(tree)]
            decides = isinstance(tree, exp.Or)
            return decides if decides in parts else None if None in parts else not decides
        return self.state[id(tree)]

    def facts(self, tree: exp.Expr, *, holds: bool, every: bool) -> Iterator[Finding]:
        """The conditions of a tree, each in the words that it would have if the rule held.

        Args:
            tree: Part of the rule.
            holds: Whether the tree must hold; below a NOT it must not.
            every: All of them; else only those that make the rule hold.
        """
        tree = peel(tree)
        if isinstance(tree, exp.Not):
            yield from self.facts(tree.this, holds=not holds, every=every)
        elif isinstance(tree, (exp.And, exp.Or)):
            for part in operands(tree):
                if every or self.truth(part) is holds:
                    yield from self.facts(part, holds=holds, every=every)
        elif not isinstance(tree, exp.Boolean):
            state = self.state[id(tree)]
            yield Finding(
                self.leaves[id(tree)].words(holds=holds),
                None if state is None else state is holds,
                self.words[id(tree)],
            )

    def changes(self, root: exp.Expr, *, want: bool) -> tuple[str, ...]:
        """The fewest conditions that must change to make the rule as wanted."""
        for way in self._ways(root, want=want):
            if self._is_possible(way):
                changed = [step for step in way if not self._is_so(step)]
                return tuple(dict.fromkeys(self._sentence(*step) for step in changed))
        return ()

    def _ways(self, tree: exp.Expr, *, want: bool) -> list[_Way]:
        """Sets of leaves and what each must be, any of which does; fewest changes first."""
        tree = peel(tree)
        if isinstance(tree, exp.Not):
            return self._ways(tree.this, want=not want)
        if isinstance(tree, exp.Boolean):
            return [()] if bool(tree.this) is want else []
        if not isinstance(tree, (exp.And, exp.Or)):
            return [((id(tree), want),)]
        parts = [self._ways(part, want=want) for part in operands(tree)]
        if isinstance(tree, exp.And) is not want:
            return self._best(way for part in parts for way in part)
        ways: list[_Way] = [()]
        for part in parts:
            ways = self._best((*one, *other) for one in ways for other in part)
        return ways

    def _best(self, ways: Iterable[_Way]) -> list[_Way]:
        return sorted(ways, key=lambda way: sum(not self._is_so(step) for step in way))[:MAX_WAYS]

    def _is_so(self, step: tuple[int, bool]) -> bool:
        return self.state[step[0]] is step[1]

    def _is_possible(self, way: _Way) -> bool:
        """Whether all of it can hold at once, for this person."""
        wanted: dict[str, bool] = {}
        demands = []
        for key, holds in way:
            leaf = self.leaves[key]
            if wanted.setdefault(leaf.words(holds=True), holds) is not holds:
                return False
            if (demand := read_demand(leaf.tree, holds=holds)) is not None:
                demands.append(demand)
        return possible(demands, self.now)

    def _sentence(self, key: int, holds: bool) -> str:
        leaf = self.leaves[key]
        notes = [f"now {self.words[key]}"] if self.words[key] else []
        demand = read_demand(leaf.tree, holds=holds)
        if demand is not None and takes_an_order(demand, self.now[demand.column]):
            notes.append("takes an order")
        return (
            f"{leaf.words(holds=holds)} ({'; '.join(notes)})" if notes else leaf.words(holds=holds)
        )


def _trace(warehouse: Warehouse, segment: Segment, source: str) -> RuleTrace | None:
    root = peel(segment.condition.tree)
    leaves = _leaves(root, segment)
    demands = (read_demand(leaf.tree, holds=True) for leaf in leaves)
    columns = sorted({demand.column for demand in demands if demand is not None})
    selected = [segment.condition.sql(), *(quote(column) for column in columns)]
    for leaf in leaves:
        selected += [leaf.tree.sql(dialect="liftline"), value_sql(leaf) or "NULL"]
    listed = ", ".join(f"{text} AS c{index}" for index, text in enumerate(selected))
    rows = warehouse.rows(f"SELECT {listed} {source}")
    if not rows:
        return None
    member, values, parts = rows[0][0], rows[0][1 : len(columns) + 1], rows[0][len(columns) + 1 :]
    keys = [id(leaf.tree) for leaf in leaves]
    look = _Look(
        leaves=dict(zip(keys, leaves, strict=True)),
        state=dict(zip(keys, parts[::2], strict=True)),
        words={key: words or "" for key, words in zip(keys, parts[1::2], strict=True)},
        now=dict(zip(columns, map(plain, values), strict=True)),
    )
    return RuleTrace(
        segment.name,
        bool(member),
        tuple(look.facts(root, holds=True, every=not member)),
        look.changes(root, want=not member),
    )


def _leaves(tree: exp.Expr, segment: Segment) -> list[Leaf]:
    tree = peel(tree)
    if isinstance(tree, exp.Not):
        return _leaves(tree.this, segment)
    if isinstance(tree, (exp.And, exp.Or)):
        return [leaf for part in operands(tree) for leaf in _leaves(part, segment)]
    return [] if isinstance(tree, exp.Boolean) else [read_leaf(tree, segment.private)]
