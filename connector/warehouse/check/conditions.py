"""What is true or false: connectives and comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from connector.warehouse.macros import Kind
from connector.warehouse.refusals import Refusal, position_of

if TYPE_CHECKING:
    from connector.warehouse.check.checker import Checker, Rule


COMPARISONS = (
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ,
)  # fmt: skip


def _connective(checker: Checker, node: exp.Connector) -> tuple[exp.Expr, Kind]:
    # A chain is walked as a list, so that a long one is not a deep one.
    operands: list[exp.Expr] = []
    current: exp.Expr = node
    while type(current) is type(node):
        operands.append(current.expression)
        current = current.this
    operands.append(current)
    result: exp.Expr | None = None
    for operand in reversed(operands):
        checked = checker.condition(operand)
        result = checked if result is None else type(node)(this=result, expression=checked)
    assert result is not None  # noqa: S101 - a connective has operands
    return result, Kind.BOOLEAN


def _not(checker: Checker, node: exp.Not) -> tuple[exp.Expr, Kind]:
    return exp.Not(this=checker.condition(node.this)), Kind.BOOLEAN


def _comparison(checker: Checker, node: exp.Binary) -> tuple[exp.Expr, Kind]:
    for side in (node.this, node.expression):
        if isinstance(side, COMPARISONS):
            raise Refusal(
                "comparisons may not be chained.", position_of(node), "Write a < b and b < c."
            )
        if isinstance(side, exp.Null) and not isinstance(node, (exp.NullSafeEQ, exp.NullSafeNEQ)):
            raise Refusal(
                "a comparison with NULL is never true.", position_of(node), "Write `is null`."
            )
    (left, right), _ = checker.alike([node.this, node.expression], "compared")
    return type(node)(this=left, expression=right), Kind.BOOLEAN


def _between(checker: Checker, node: exp.Between) -> tuple[exp.Expr, Kind]:
    if node.args.get("symmetric"):
        raise Refusal("BETWEEN SYMMETRIC is not allowed.", position_of(node))
    (this, low, high), _ = checker.alike(
        [node.this, node.args["low"], node.args["high"]], "compared"
    )
    return exp.Between(this=this, low=low, high=high), Kind.BOOLEAN


def _in(checker: Checker, node: exp.In) -> tuple[exp.Expr, Kind]:
    if (
        any(node.args.get(part) for part in ("query", "unnest", "field", "is_global"))
        or not node.expressions
    ):
        raise Refusal(
            "IN needs a list of values in parentheses.",
            position_of(node),
            "Write x in ('a', 'b').",
        )
    if any(isinstance(value, exp.Null) for value in node.expressions):
        raise Refusal("NULL in a list matches nothing.", position_of(node), "Write `or x is null`.")
    (this, *values), _ = checker.alike([node.this, *node.expressions], "compared")
    return exp.In(this=this, expressions=values), Kind.BOOLEAN


def _like(checker: Checker, node: exp.Like | exp.ILike) -> tuple[exp.Expr, Kind]:
    pattern = node.expression
    if not isinstance(pattern, exp.Literal) or not pattern.is_string:
        raise Refusal("the pattern of LIKE must be text in quotes.", position_of(node))
    if "\\" in pattern.this:
        raise Refusal(
            "a backslash in a LIKE pattern means something else on every engine.",
            position_of(node),
            "Use string_contains(), starts_with() or ends_with().",
        )
    this = checker.of_kind(node.this, Kind.TEXT)
    like = type(node)(this=this, expression=exp.Literal.string(pattern.this))
    return (exp.Not(this=like) if node.args.get("negate") else like), Kind.BOOLEAN


def _is(checker: Checker, node: exp.Is) -> tuple[exp.Expr, Kind]:
    right = node.expression
    if isinstance(right, exp.Null):
        return exp.Is(this=checker.check(node.this)[0], expression=exp.Null()), Kind.BOOLEAN
    if isinstance(right, exp.Boolean):
        this = checker.condition(node.this)
        return exp.Is(this=this, expression=exp.Boolean(this=bool(right.this))), Kind.BOOLEAN
    raise Refusal(
        "IS may be followed by NULL, TRUE or FALSE only.",
        position_of(node),
        "Use = to compare.",
    )


RULES: dict[type[exp.Expr], Rule] = {
    exp.And: _connective,
    exp.Or: _connective,
    exp.Not: _not,
    **dict.fromkeys(COMPARISONS, _comparison),
    exp.Between: _between,
    exp.In: _in,
    exp.Like: _like,
    exp.ILike: _like,
    exp.Is: _is,
}
