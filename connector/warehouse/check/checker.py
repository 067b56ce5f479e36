"""The walk over a tree: one rule for each kind of node, and what the rules share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from sqlglot import exp

from connector.warehouse.arguments import time_literal
from connector.warehouse.check import calls, conditions, values
from connector.warehouse.macros import Kind
from connector.warehouse.refusals import FOREIGN, INSTEAD, Refusal, closest, position_of, why_not

MAX_DEPTH = 120
"""Deepest tree; a chain of AND or OR counts as one level."""

Rule = Callable[..., tuple[exp.Expr, Kind]]
"""Takes the checker and a node; gives our own node, and what it yields."""

_RULES: dict[type[exp.Expr], Rule] = {**conditions.RULES, **values.RULES, **calls.RULES}

_CONVERT = {
    Kind.NUMBER: "as_number() converts text; days_between() measures times.",
    Kind.TEXT: "as_text() converts.",
    Kind.TIME: "as_time() converts text in ISO form.",
}


def _one_kind(kinds: Collection[Kind]) -> bool:
    return len({kind for kind in kinds if kind is not Kind.ANY}) <= 1


def _common(kinds: Collection[Kind]) -> Kind:
    return next((kind for kind in kinds if kind is not Kind.ANY), Kind.ANY)


class Checker:
    """Checks one tree and remembers what it reads.

    Attributes:
        columns: Columns read so far, by the relation's own names.
        bare_columns: Those read outside an aggregate.
        aggregates: Whether an aggregate was met.
        in_aggregate: Whether the node that is looked at stands inside one.
    """

    def __init__(self, kinds: Mapping[str, Kind], *, allow_aggregates: bool) -> None:
        self.columns: set[str] = set()
        self.bare_columns: set[str] = set()
        self.aggregates = False
        self.in_aggregate = False
        self._kinds = kinds
        self._allow_aggregates = allow_aggregates
        self._by_lower: dict[str, list[str]] = {}
        for name in kinds:
            self._by_lower.setdefault(name.lower(), []).append(name)
        self._depth = 0

    def check(self, node: exp.Expr) -> tuple[exp.Expr, Kind]:
        """The node as our own tree, and what it yields.

        Raises:
            Refusal: Something in it is not allowed.
        """
        rule = _RULES.get(type(node))
        if rule is None:
            raise Refusal(why_not(node), position_of(node), INSTEAD.get(type(node), ""))
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Refusal("the expression is nested too deeply.", position_of(node))
        try:
            return rule(self, node)
        finally:
            self._depth -= 1

    def condition(self, node: exp.Expr) -> exp.Expr:
        """Check a node that must be true or false."""
        checked, kind = self.check(node)
        if kind not in (Kind.BOOLEAN, Kind.ANY):
            raise Refusal(
                f"a condition is expected here, and this is {kind}.",
                position_of(node),
                "Compare it with something.",
            )
        return checked

    def of_kind(self, node: exp.Expr, wanted: Kind) -> exp.Expr:
        """Check a node that must be of a kind; text that stands for a time becomes one."""
        if wanted is Kind.TIME and isinstance(node, exp.Literal) and node.is_string:
            return time_literal(node)
        checked, kind = self.check(node)
        if Kind.ANY not in (kind, wanted) and kind is not wanted:
            raise Refusal(
                f"{wanted} is expected here, and this is {kind}.",
                position_of(node),
                _CONVERT.get(wanted, ""),
            )
        return checked

    def alike(self, nodes: list[exp.Expr], verb: str) -> tuple[list[exp.Expr], Kind]:
        """Check nodes that must be of one kind; text that stands for a time becomes one."""
        pairs = [self.check(node) for node in nodes]
        kinds = [kind for _, kind in pairs]
        checked = [tree for tree, _ in pairs]
        if Kind.TIME in kinds:
            for index, node in enumerate(nodes):
                if isinstance(node, exp.Literal) and node.is_string:
                    checked[index], kinds[index] = time_literal(node), Kind.TIME
        if not _one_kind(kinds):
            first = _common(kinds)
            index = next(i for i, kind in enumerate(kinds) if kind not in (first, Kind.ANY))
            raise Refusal(
                f"{first} cannot be {verb} with {kinds[index]}.",
                position_of(nodes[index]) or position_of(nodes[0]),
                "as_number() and as_text() convert; text needs single quotes, numbers none.",
            )
        return checked, _common(kinds)

    def enter_aggregate(self, node: exp.Expr) -> bool:
        """Note that an aggregate begins; returns what ``in_aggregate`` must be set to after it."""
        if not self._allow_aggregates:
            raise Refusal(
                "an aggregate is not allowed here.",
                position_of(node),
                "The expression looks at one row.",
            )
        if self.in_aggregate:
            raise Refusal("an aggregate may not stand inside another.", position_of(node))
        self.aggregates = True
        outside, self.in_aggregate = self.in_aggregate, True
        return outside

    def named(self, name: str, node: exp.Expr) -> tuple[exp.Expr, Kind]:
        """The column of that name, in any letter case."""
        found = [name] if name in self._kinds else self._by_lower.get(name.lower(), [])
        if len(found) > 1:
            raise Refusal(
                f"the column {name} is ambiguous.",
                position_of(node),
                f"Write one of {', '.join(found)}.",
            )
        if not found:
            raise self._unknown(name, node)
        column = found[0]
        self.columns.add(column)
        if not self.in_aggregate:
            self.bare_columns.add(column)
        return exp.column(exp.to_identifier(column, quoted=True)), self._kinds[column]

    def _unknown(self, name: str, node: exp.Expr) -> Refusal:
        if instead := FOREIGN.get(name.lower()):
            return Refusal(f"{name} is not available here.", position_of(node), f"Use {instead}.")
        hint = closest(name, self._kinds)
        head = name.partition(".")[0]
        if not hint and head != name and head.lower() in self._by_lower:
            hint = f"To read a key of JSON write json_text({head}, '{name.partition('.')[2]}')."
        if not hint:
            shown = sorted(self._kinds)
            more = f", and {len(shown) - 30} more" if len(shown) > 30 else ""
            hint = f"Available: {', '.join(shown[:30]) or 'none'}{more}. Text needs single quotes."
        return Refusal(f"there is no column {name}.", position_of(node), hint)
