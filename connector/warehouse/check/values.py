"""What stands for a value: names, literals, arithmetic, CASE and casts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from connector.warehouse.check.conditions import COMPARISONS
from connector.warehouse.grammar import kind_of_type
from connector.warehouse.macros import Kind
from connector.warehouse.refusals import Refusal, position_of, why_not

if TYPE_CHECKING:
    from connector.warehouse.check.checker import Checker, Rule


CASTS = ("VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "DECIMAL(p, s)", "BOOLEAN", "DATE", "TIMESTAMP")
"""The types that an expression may cast to: those of the logical tables."""

_CASTS = {
    exp.DType.VARCHAR: "VARCHAR",
    exp.DType.TEXT: "VARCHAR",
    exp.DType.BIGINT: "BIGINT",
    exp.DType.INT: "INTEGER",
    exp.DType.DOUBLE: "DOUBLE",
    exp.DType.DECIMAL: "DECIMAL",
    exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.DATE: "DATE",
    exp.DType.TIMESTAMP: "TIMESTAMP",
    exp.DType.TIMESTAMPNTZ: "TIMESTAMP",
}


def _column(checker: Checker, node: exp.Column) -> tuple[exp.Expr, Kind]:
    if any(not isinstance(part, exp.Identifier) for part in node.parts):
        raise Refusal(why_not(node.parts[-1]), position_of(node))
    return checker.named(".".join(part.name for part in node.parts), node)


def _dot(checker: Checker, node: exp.Dot) -> tuple[exp.Expr, Kind]:
    if any(not isinstance(part, exp.Identifier) for part in node.parts):
        raise Refusal("a function may not be called on a name with a dot.", position_of(node))
    return checker.named(".".join(part.name for part in node.parts), node)


def _literal(checker: Checker, node: exp.Literal) -> tuple[exp.Expr, Kind]:
    if node.is_string:
        return exp.Literal.string(node.this), Kind.TEXT
    if float(node.this) == float("inf"):
        raise Refusal("the number is too large.", position_of(node))
    return exp.Literal.number(node.this), Kind.NUMBER


def _paren(checker: Checker, node: exp.Paren) -> tuple[exp.Expr, Kind]:
    inner, kind = checker.check(node.this)
    return exp.Paren(this=inner), kind


def _arithmetic(checker: Checker, node: exp.Binary) -> tuple[exp.Expr, Kind]:
    for side in (node.this, node.expression):
        if isinstance(side, COMPARISONS):
            raise Refusal(
                "a comparison is no number.", position_of(node), "Use count_if() or case when."
            )
    left = checker.of_kind(node.this, Kind.NUMBER)
    right = checker.of_kind(node.expression, Kind.NUMBER)
    return type(node)(this=left, expression=right), Kind.NUMBER


def _neg(checker: Checker, node: exp.Neg) -> tuple[exp.Expr, Kind]:
    return exp.Neg(this=checker.of_kind(node.this, Kind.NUMBER)), Kind.NUMBER


def _concatenation(checker: Checker, node: exp.DPipe) -> tuple[exp.Expr, Kind]:
    left = checker.of_kind(node.this, Kind.TEXT)
    return exp.DPipe(this=left, expression=checker.of_kind(node.expression, Kind.TEXT)), Kind.TEXT


def _case(checker: Checker, node: exp.Case) -> tuple[exp.Expr, Kind]:
    branches: list[exp.If] = node.args["ifs"]
    default = node.args.get("default")
    results = [branch.args["true"] for branch in branches] + (
        [default] if default is not None else []
    )
    checked, kind = checker.alike(results, "mixed")
    if node.this is not None:
        (subject, *values), _ = checker.alike(
            [node.this, *(branch.this for branch in branches)], "compared"
        )
    else:
        subject, values = None, [checker.condition(branch.this) for branch in branches]
    ifs = [exp.If(this=value, true=then) for value, then in zip(values, checked, strict=False)]
    return exp.Case(
        this=subject, ifs=ifs, default=checked[-1] if default is not None else None
    ), kind


def _cast(checker: Checker, node: exp.Cast) -> tuple[exp.Expr, Kind]:
    target = node.args["to"]
    name = _CASTS.get(target.this) if isinstance(target, exp.DataType) else None
    sizes = [str(size.this) for size in target.expressions] if name == "DECIMAL" else []
    fits = bool(re.fullmatch(r"([1-9]|[12]\d|3[0-8]),(\d|[12]\d|3[0-8])", ",".join(sizes)))
    if name is None or node.args.get("format") or (name == "DECIMAL" and not fits):
        raise Refusal(
            "this cast is not allowed.", position_of(node), f"Allowed: {', '.join(CASTS)}."
        )
    inner, kind = checker.check(node.this)
    rounded = (
        isinstance(inner, exp.Anonymous) and inner.name == "round" and len(inner.expressions) == 1
    )
    if name in ("BIGINT", "INTEGER") and kind is Kind.NUMBER and not rounded:
        # Engines round, truncate or round halves to even; ours rounds halves away from zero.
        inner = exp.Anonymous(this="round", expressions=[inner])
    text = f"{name}({', '.join(sizes)})" if sizes else name
    return exp.Cast(this=inner, to=exp.DataType.build(text, dialect="duckdb")), kind_of_type(text)


def _choice(
    checker: Checker, node: exp.Coalesce | exp.Greatest | exp.Least
) -> tuple[exp.Expr, Kind]:
    (first, *others), kind = checker.alike([node.this, *node.expressions], "mixed")
    rebuilt = type(node)(this=first, expressions=others)
    if not isinstance(node, exp.Coalesce):
        rebuilt.set("ignore_nulls", True)
    return rebuilt, kind


def _nullif(checker: Checker, node: exp.Nullif) -> tuple[exp.Expr, Kind]:
    (this, other), kind = checker.alike([node.this, node.expression], "compared")
    return exp.Nullif(this=this, expression=other), kind


RULES: dict[type[exp.Expr], Rule] = {
    exp.Column: _column,
    exp.Dot: _dot,
    exp.Literal: _literal,
    exp.Boolean: lambda _, node: (exp.Boolean(this=bool(node.this)), Kind.BOOLEAN),
    exp.Null: lambda _checker, _node: (exp.Null(), Kind.ANY),
    exp.Paren: _paren,
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod), _arithmetic),
    exp.Neg: _neg,
    exp.DPipe: _concatenation,
    exp.Case: _case,
    exp.Cast: _cast,
    exp.Coalesce: _choice,
    exp.Greatest: _choice,
    exp.Least: _choice,
    exp.Nullif: _nullif,
}
