"""Calls: the functions of our own list, and aggregates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from connector.warehouse.arguments import word_argument
from connector.warehouse.grammar import unknown_call
from connector.warehouse.macros import NAMES, Kind, Word, find
from connector.warehouse.refusals import (
    ALLOWED_FUNCTIONS,
    FOREIGN,
    Refusal,
    closest,
    position_of,
)

if TYPE_CHECKING:
    from connector.warehouse.check.checker import Checker, Rule


def _macro(checker: Checker, node: exp.Anonymous) -> tuple[exp.Expr, Kind]:
    name = node.name
    macro = find(name, len(node.expressions)) if isinstance(node.this, str) else None
    if macro is None:
        raise _unknown_function(name, node)
    outside = checker.enter_aggregate(node) if macro.aggregate else None
    arguments, first = [], Kind.ANY
    for index, (parameter, argument) in enumerate(
        zip(macro.parameters, node.expressions, strict=True)
    ):
        if isinstance(parameter, Word):
            arguments.append(word_argument(parameter, argument, macro))
            continue
        checked = checker.of_kind(argument, parameter)
        arguments.append(checked)
        if index == 0 and macro.returns is Kind.ANY:
            first = checker.check(argument)[1]
    if outside is not None:
        checker.in_aggregate = outside
    kind = first if macro.returns is Kind.ANY else macro.returns
    return exp.Anonymous(this=macro.name, expressions=arguments), kind


def _unknown_function(name: str, node: exp.Expr) -> Refusal:
    if name.lower() in NAMES:
        return Refusal(unknown_call(name, len(node.expressions)), position_of(node))
    if instead := FOREIGN.get(name.lower()):
        hint = f"Use {instead}."
    else:
        hint = closest(name, ALLOWED_FUNCTIONS) or f"Allowed: {', '.join(ALLOWED_FUNCTIONS)}."
    return Refusal(f"there is no function {name.lower()}() here.", position_of(node), hint)


def _count(checker: Checker, node: exp.Count) -> tuple[exp.Expr, Kind]:
    outside = checker.enter_aggregate(node)
    inner = node.this
    if node.expressions:
        raise Refusal("count() takes one argument.", position_of(node))
    if isinstance(inner, exp.Star) and not any(inner.args.values()):
        counted: exp.Expr = exp.Star()
    else:
        counted = _maybe_distinct(checker, inner, node)
    checker.in_aggregate = outside
    return exp.Count(this=counted, big_int=True), Kind.NUMBER


def _maybe_distinct(checker: Checker, inner: exp.Expr | None, node: exp.Expr) -> exp.Expr:
    if inner is None:
        raise Refusal("an argument is missing.", position_of(node))
    if isinstance(inner, exp.Distinct):
        if len(inner.expressions) != 1 or inner.args.get("on"):
            raise Refusal("DISTINCT takes one expression.", position_of(node))
        return exp.Distinct(expressions=[checker.check(inner.expressions[0])[0]])
    return checker.check(inner)[0]


def _aggregate(checker: Checker, node: exp.Sum | exp.Min | exp.Max) -> tuple[exp.Expr, Kind]:
    if node.expressions:
        raise Refusal(
            f"{node.key}() takes one argument.",
            position_of(node),
            "See greatest() and least().",
        )
    outside = checker.enter_aggregate(node)
    if isinstance(node.this, exp.Distinct):
        raise Refusal(f"DISTINCT is not allowed in {node.key}().", position_of(node))
    checked, kind = checker.check(node.this)
    if isinstance(node, exp.Sum):
        if kind is Kind.BOOLEAN:
            # Adding up truth values is DuckDB's own; the number of rows where it holds is
            # meant.
            checked = exp.Case(
                ifs=[exp.If(this=checked, true=exp.Literal.number(1))],
                default=exp.Literal.number(0),
            )
        elif kind not in (Kind.NUMBER, Kind.ANY):
            raise Refusal(f"{kind} cannot be added up.", position_of(node), "as_number() converts.")
        kind = Kind.NUMBER
    checker.in_aggregate = outside
    return type(node)(this=checked), kind


RULES: dict[type[exp.Expr], Rule] = {
    exp.Anonymous: _macro,
    exp.Count: _count,
    **dict.fromkeys((exp.Sum, exp.Min, exp.Max), _aggregate),
}
