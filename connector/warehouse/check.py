"""The check of a parsed expression: every node, function, cast and column name must be on a list.

What is not named here is refused, so a construct that a new sqlglot learns to parse stays out until
somebody lists it. The checker returns a tree of its own: columns carry the relation's exact name in
quotes, times are compared with times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from sqlglot import exp

from connector.warehouse.arguments import time_literal, word_argument
from connector.warehouse.grammar import kind_of_type, unknown_call
from connector.warehouse.macros import NAMES, Kind, Word, find
from connector.warehouse.refusals import (
    ALLOWED_FUNCTIONS,
    FOREIGN,
    INSTEAD,
    Refusal,
    closest,
    position_of,
    why_not,
)

MAX_DEPTH = 120
"""Deepest tree; a chain of AND or OR counts as one level."""

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
    """

    def __init__(self, kinds: Mapping[str, Kind], *, allow_aggregates: bool) -> None:
        self.columns: set[str] = set()
        self.bare_columns: set[str] = set()
        self.aggregates = False
        self._kinds = kinds
        self._allow_aggregates = allow_aggregates
        self._by_lower: dict[str, list[str]] = {}
        for name in kinds:
            self._by_lower.setdefault(name.lower(), []).append(name)
        self._depth = 0
        self._in_aggregate = False
        self._rules: dict[type[exp.Expr], Callable[..., tuple[exp.Expr, Kind]]] = {
            exp.Column: self._column,
            exp.Dot: self._dot,
            exp.Literal: self._literal,
            exp.Boolean: lambda node: (exp.Boolean(this=bool(node.this)), Kind.BOOLEAN),
            exp.Null: lambda node: (exp.Null(), Kind.ANY),
            exp.Paren: self._paren,
            exp.And: self._connective,
            exp.Or: self._connective,
            exp.Not: self._not,
            **dict.fromkeys(
                _COMPARISONS, self._comparison
            ),
            exp.Between: self._between,
            exp.In: self._in,
            exp.Like: self._like,
            exp.ILike: self._like,
            exp.Is: self._is,
            **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod), self._arithmetic),
            exp.Neg: self._neg,
            exp.DPipe: self._concatenation,
            exp.Case: self._case,
            exp.Cast: self._cast,
            exp.Coalesce: self._choice,
            exp.Greatest: self._choice,
            exp.Least: self._choice,
            exp.Nullif: self._nullif,
            exp.Anonymous: self._macro,
            exp.Count: self._count,
            **dict.fromkeys((exp.Sum, exp.Min, exp.Max), self._aggregate),
        }  # fmt: skip

    def check(self, node: exp.Expr) -> tuple[exp.Expr, Kind]:
        """The node as our own tree, and what it yields.

        Raises:
            Refusal: Something in it is not allowed.
        """
        rule = self._rules.get(type(node))
        if rule is None:
            raise Refusal(why_not(node), position_of(node), INSTEAD.get(type(node), ""))
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Refusal("the expression is nested too deeply.", position_of(node))
        try:
            return rule(node)
        finally:
            self._depth -= 1

    # ------------------------------------------------------------ leaves

    def _column(self, node: exp.Column) -> tuple[exp.Expr, Kind]:
        if any(not isinstance(part, exp.Identifier) for part in node.parts):
            raise Refusal(why_not(node.parts[-1]), position_of(node))
        return self._named(".".join(part.name for part in node.parts), node)

    def _dot(self, node: exp.Dot) -> tuple[exp.Expr, Kind]:
        if any(not isinstance(part, exp.Identifier) for part in node.parts):
            raise Refusal("a function may not be called on a name with a dot.", position_of(node))
        return self._named(".".join(part.name for part in node.parts), node)

    def _named(self, name: str, node: exp.Expr) -> tuple[exp.Expr, Kind]:
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
        if not self._in_aggregate:
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

    def _literal(self, node: exp.Literal) -> tuple[exp.Expr, Kind]:
        if node.is_string:
            return exp.Literal.string(node.this), Kind.TEXT
        if float(node.this) == float("inf"):
            raise Refusal("the number is too large.", position_of(node))
        return exp.Literal.number(node.this), Kind.NUMBER

    # ------------------------------------------------------------ logic

    def _paren(self, node: exp.Paren) -> tuple[exp.Expr, Kind]:
        inner, kind = self.check(node.this)
        return exp.Paren(this=inner), kind

    def _connective(self, node: exp.Connector) -> tuple[exp.Expr, Kind]:
        # A chain is walked as a list, so that a long one is not a deep one.
        operands: list[exp.Expr] = []
        current: exp.Expr = node
        while type(current) is type(node):
            operands.append(current.expression)
            current = current.this
        operands.append(current)
        result: exp.Expr | None = None
        for operand in reversed(operands):
            checked = self._condition(operand)
            result = checked if result is None else type(node)(this=result, expression=checked)
        assert result is not None  # noqa: S101 - a connective has operands
        return result, Kind.BOOLEAN

    def _condition(self, node: exp.Expr) -> exp.Expr:
        checked, kind = self.check(node)
        if kind not in (Kind.BOOLEAN, Kind.ANY):
            raise Refusal(
                f"a condition is expected here, and this is {kind}.",
                position_of(node),
                "Compare it with something.",
            )
        return checked

    def _not(self, node: exp.Not) -> tuple[exp.Expr, Kind]:
        return exp.Not(this=self._condition(node.this)), Kind.BOOLEAN

    def _comparison(self, node: exp.Binary) -> tuple[exp.Expr, Kind]:
        for side in (node.this, node.expression):
            if isinstance(side, _COMPARISONS):
                raise Refusal(
                    "comparisons may not be chained.", position_of(node), "Write a < b and b < c."
                )
            if isinstance(side, exp.Null) and not isinstance(
                node, (exp.NullSafeEQ, exp.NullSafeNEQ)
            ):
                raise Refusal(
                    "a comparison with NULL is never true.", position_of(node), "Write `is null`."
                )
        (left, right), _ = self._alike([node.this, node.expression], "compared")
        return type(node)(this=left, expression=right), Kind.BOOLEAN

    def _alike(self, nodes: list[exp.Expr], verb: str) -> tuple[list[exp.Expr], Kind]:
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

    def _between(self, node: exp.Between) -> tuple[exp.Expr, Kind]:
        if node.args.get("symmetric"):
            raise Refusal("BETWEEN SYMMETRIC is not allowed.", position_of(node))
        (this, low, high), _ = self._alike(
            [node.this, node.args["low"], node.args["high"]], "compared"
        )
        return exp.Between(this=this, low=low, high=high), Kind.BOOLEAN

    def _in(self, node: exp.In) -> tuple[exp.Expr, Kind]:
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
            raise Refusal(
                "NULL in a list matches nothing.", position_of(node), "Write `or x is null`."
            )
        (this, *values), _ = self._alike([node.this, *node.expressions], "compared")
        return exp.In(this=this, expressions=values), Kind.BOOLEAN

    def _like(self, node: exp.Like | exp.ILike) -> tuple[exp.Expr, Kind]:
        pattern = node.expression
        if not isinstance(pattern, exp.Literal) or not pattern.is_string:
            raise Refusal("the pattern of LIKE must be text in quotes.", position_of(node))
        if "\\" in pattern.this:
            raise Refusal(
                "a backslash in a LIKE pattern means something else on every engine.",
                position_of(node),
                "Use string_contains(), starts_with() or ends_with().",
            )
        this = self._of_kind(node.this, Kind.TEXT)
        like = type(node)(this=this, expression=exp.Literal.string(pattern.this))
        return (exp.Not(this=like) if node.args.get("negate") else like), Kind.BOOLEAN

    def _is(self, node: exp.Is) -> tuple[exp.Expr, Kind]:
        right = node.expression
        if isinstance(right, exp.Null):
            return exp.Is(this=self.check(node.this)[0], expression=exp.Null()), Kind.BOOLEAN
        if isinstance(right, exp.Boolean):
            this = self._condition(node.this)
            return exp.Is(this=this, expression=exp.Boolean(this=bool(right.this))), Kind.BOOLEAN
        raise Refusal(
            "IS may be followed by NULL, TRUE or FALSE only.",
            position_of(node),
            "Use = to compare.",
        )

    # ------------------------------------------------------------ values

    def _of_kind(self, node: exp.Expr, wanted: Kind) -> exp.Expr:
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

    def _arithmetic(self, node: exp.Binary) -> tuple[exp.Expr, Kind]:
        for side in (node.this, node.expression):
            if isinstance(side, _COMPARISONS):
                raise Refusal(
                    "a comparison is no number.", position_of(node), "Use count_if() or case when."
                )
        left = self._of_kind(node.this, Kind.NUMBER)
        right = self._of_kind(node.expression, Kind.NUMBER)
        return type(node)(this=left, expression=right), Kind.NUMBER

    def _neg(self, node: exp.Neg) -> tuple[exp.Expr, Kind]:
        return exp.Neg(this=self._of_kind(node.this, Kind.NUMBER)), Kind.NUMBER

    def _concatenation(self, node: exp.DPipe) -> tuple[exp.Expr, Kind]:
        left = self._of_kind(node.this, Kind.TEXT)
        return exp.DPipe(this=left, expression=self._of_kind(node.expression, Kind.TEXT)), Kind.TEXT

    def _case(self, node: exp.Case) -> tuple[exp.Expr, Kind]:
        branches: list[exp.If] = node.args["ifs"]
        default = node.args.get("default")
        results = [branch.args["true"] for branch in branches] + (
            [default] if default is not None else []
        )
        checked, kind = self._alike(results, "mixed")
        if node.this is not None:
            (subject, *values), _ = self._alike(
                [node.this, *(branch.this for branch in branches)], "compared"
            )
        else:
            subject, values = None, [self._condition(branch.this) for branch in branches]
        ifs = [exp.If(this=value, true=then) for value, then in zip(values, checked, strict=False)]
        return exp.Case(
            this=subject, ifs=ifs, default=checked[-1] if default is not None else None
        ), kind

    def _cast(self, node: exp.Cast) -> tuple[exp.Expr, Kind]:
        target = node.args["to"]
        name = _CASTS.get(target.this) if isinstance(target, exp.DataType) else None
        sizes = [str(size.this) for size in target.expressions] if name == "DECIMAL" else []
        fits = bool(re.fullmatch(r"([1-9]|[12]\d|3[0-8]),(\d|[12]\d|3[0-8])", ",".join(sizes)))
        if name is None or node.args.get("format") or (name == "DECIMAL" and not fits):
            raise Refusal(
                "this cast is not allowed.", position_of(node), f"Allowed: {', '.join(CASTS)}."
            )
        inner, kind = self.check(node.this)
        rounded = (
            isinstance(inner, exp.Anonymous)
            and inner.name == "round"
            and len(inner.expressions) == 1
        )
        if name in ("BIGINT", "INTEGER") and kind is Kind.NUMBER and not rounded:
            # Engines round, truncate or round halves to even; ours rounds halves away from zero.
            inner = exp.Anonymous(this="round", expressions=[inner])
        text = f"{name}({', '.join(sizes)})" if sizes else name
        return exp.Cast(this=inner, to=exp.DataType.build(text, dialect="duckdb")), kind_of_type(
            text
        )

    def _choice(self, node: exp.Coalesce | exp.Greatest | exp.Least) -> tuple[exp.Expr, Kind]:
        (first, *others), kind = self._alike([node.this, *node.expressions], "mixed")
        rebuilt = type(node)(this=first, expressions=others)
        if not isinstance(node, exp.Coalesce):
            rebuilt.set("ignore_nulls", True)
        return rebuilt, kind

    def _nullif(self, node: exp.Nullif) -> tuple[exp.Expr, Kind]:
        (this, other), kind = self._alike([node.this, node.expression], "compared")
        return exp.Nullif(this=this, expression=other), kind

    # ------------------------------------------------------------ functions

    def _macro(self, node: exp.Anonymous) -> tuple[exp.Expr, Kind]:
        name = node.name
        macro = find(name, len(node.expressions)) if isinstance(node.this, str) else None
        if macro is None:
            raise self._unknown_function(name, node)
        outside = self._enter_aggregate(node) if macro.aggregate else None
        arguments, first = [], Kind.ANY
        for index, (parameter, argument) in enumerate(
            zip(macro.parameters, node.expressions, strict=True)
        ):
            if isinstance(parameter, Word):
                arguments.append(word_argument(parameter, argument, macro))
                continue
            checked = self._of_kind(argument, parameter)
            arguments.append(checked)
            if index == 0 and macro.returns is Kind.ANY:
                first = self.check(argument)[1]
        if outside is not None:
            self._in_aggregate = outside
        kind = first if macro.returns is Kind.ANY else macro.returns
        return exp.Anonymous(this=macro.name, expressions=arguments), kind

    def _unknown_function(self, name: str, node: exp.Expr) -> Refusal:
        if name.lower() in NAMES:
            return Refusal(unknown_call(name, len(node.expressions)), position_of(node))
        if instead := FOREIGN.get(name.lower()):
            hint = f"Use {instead}."
        else:
            hint = closest(name, ALLOWED_FUNCTIONS) or f"Allowed: {', '.join(ALLOWED_FUNCTIONS)}."
        return Refusal(f"there is no function {name.lower()}() here.", position_of(node), hint)

    def _enter_aggregate(self, node: exp.Expr) -> bool:
        if not self._allow_aggregates:
            raise Refusal(
                "an aggregate is not allowed here.",
                position_of(node),
                "The expression looks at one row.",
            )
        if self._in_aggregate:
            raise Refusal("an aggregate may not stand inside another.", position_of(node))
        self.aggregates = True
        outside, self._in_aggregate = self._in_aggregate, True
        return outside

    def _count(self, node: exp.Count) -> tuple[exp.Expr, Kind]:
        outside = self._enter_aggregate(node)
        inner = node.this
        if node.expressions:
            raise Refusal("count() takes one argument.", position_of(node))
        if isinstance(inner, exp.Star) and not any(inner.args.values()):
            counted: exp.Expr = exp.Star()
        else:
            counted = self._maybe_distinct(inner, node)
        self._in_aggregate = outside
        return exp.Count(this=counted, big_int=True), Kind.NUMBER

    def _maybe_distinct(self, inner: exp.Expr | None, node: exp.Expr) -> exp.Expr:
        if inner is None:
            raise Refusal("an argument is missing.", position_of(node))
        if isinstance(inner, exp.Distinct):
            if len(inner.expressions) != 1 or inner.args.get("on"):
                raise Refusal("DISTINCT takes one expression.", position_of(node))
            return exp.Distinct(expressions=[self.check(inner.expressions[0])[0]])
        return self.check(inner)[0]

    def _aggregate(self, node: exp.Sum | exp.Min | exp.Max) -> tuple[exp.Expr, Kind]:
        if node.expressions:
            raise Refusal(
                f"{node.key}() takes one argument.",
                position_of(node),
                "See greatest() and least().",
            )
        outside = self._enter_aggregate(node)
        if isinstance(node.this, exp.Distinct):
            raise Refusal(f"DISTINCT is not allowed in {node.key}().", position_of(node))
        checked, kind = self.check(node.this)
        if isinstance(node, exp.Sum):
            if kind is Kind.BOOLEAN:
                # Adding up truth values is DuckDB's own; the number of rows where it holds is
                # meant.
                checked = exp.Case(
                    ifs=[exp.If(this=checked, true=exp.Literal.number(1))],
                    default=exp.Literal.number(0),
                )
            elif kind not in (Kind.NUMBER, Kind.ANY):
                raise Refusal(
                    f"{kind} cannot be added up.", position_of(node), "as_number() converts."
                )
            kind = Kind.NUMBER
        self._in_aggregate = outside
        return type(node)(this=checked), kind


_COMPARISONS = (
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ,
)  # fmt: skip

_CONVERT = {
    Kind.NUMBER: "as_number() converts text; days_between() measures times.",
    Kind.TEXT: "as_text() converts.",
    Kind.TIME: "as_time() converts text in ISO form.",
}
