"""A rule in words with a person's own values: as SQL for everybody at once.

A condition is cut at AND, OR and NOT into leaves. Each leaf has a text for when it holds and one
for when it does not; AND joins the texts of its parts, OR shows the first part that holds. A value
is shown where it is not private and where it says more than the rule does (``rfm.group =
'at_risk'`` needs no second mention of the group).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlglot import exp

from connector.warehouse.dialect import Expression
from connector.warehouse.grammar import Liftline
from connector.warehouse.render import literal

MAX_REASON = 500
"""Longest reason, in characters."""

SYMBOLS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
_OPPOSITE = {"=": "<>", "<>": "=", ">": "<=", "<=": ">", ">=": "<", "<": ">="}
MIRRORED = {"=": "=", "<>": "<>", ">": "<", "<": ">", ">=": "<=", "<=": ">="}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One condition that is not made of others.

    Attributes:
        tree: The condition itself.
        subject: What is looked at; None where no single value is.
        shown: The subject in words, such as ``recency_days``.
        test: What it is held against when it must hold, such as ``<= 60``.
        opposite: What it is held against when it must not, such as ``> 60``.
        private: Whether the value must not be shown.
        numeric: Whether the subject is compared with a number.
    """

    tree: exp.Expr
    subject: exp.Expr | None
    shown: str
    test: str
    opposite: str
    private: bool
    numeric: bool

    def words(self, *, holds: bool) -> str:
        """The leaf without values, such as ``recency_days <= 60``."""
        return f"{self.shown} {self.test if holds else self.opposite}".strip()


def shown(tree: exp.Expr) -> str:
    """A tree in words: no quotes around columns, functions in small letters."""
    copy = tree.copy()
    for identifier in copy.find_all(exp.Identifier):
        identifier.set("quoted", False)
    return copy.sql(dialect=Liftline, normalize_functions="lower", comments=False)


def peel(tree: exp.Expr) -> exp.Expr:
    """A tree without the parentheses around it."""
    while isinstance(tree, exp.Paren):
        tree = tree.this
    return tree


def operands(tree: exp.Expr) -> list[exp.Expr]:
    """The parts of a chain of ANDs, or of ORs, from left to right."""
    kind, found, stack = type(tree), [], [tree]
    while stack:
        node = stack.pop()
        if type(node) is kind:
            stack += [node.expression, node.this]
        else:
            found.append(peel(node))
    return found


def read_leaf(tree: exp.Expr, private: Collection[str]) -> Leaf:
    """Understand one condition that is not AND, OR or NOT.

    Args:
        tree: A checked condition.
        private: Columns whose values must not be shown.
    """
    hidden = any(
        column.name.lower() in {p.lower() for p in private} for column in tree.find_all(exp.Column)
    )
    subject: exp.Expr | None = None
    numeric = False
    if (symbol := SYMBOLS.get(type(tree))) is not None:
        left, right = tree.this, tree.expression
        if _fixed(left) and not _fixed(right):
            left, right, symbol = right, left, MIRRORED[symbol]
        subject, name = left, shown(left)
        test, opposite = f"{symbol} {shown(right)}", f"{_OPPOSITE[symbol]} {shown(right)}"
        numeric = _is_number(right)
    elif isinstance(tree, exp.Between):
        subject, name = tree.this, shown(tree.this)
        bounds = f"between {shown(tree.args['low'])} and {shown(tree.args['high'])}"
        test, opposite, numeric = bounds, f"not {bounds}", _is_number(tree.args["low"])
    elif isinstance(tree, exp.In):
        subject, name = tree.this, shown(tree.this)
        listed = f"in ({', '.join(shown(value) for value in tree.expressions)})"
        test, opposite, numeric = listed, f"not {listed}", _is_number(tree.expressions[0])
    elif isinstance(tree, exp.Is):
        name, word = shown(tree.this), shown(tree.expression).lower()
        test, opposite = f"is {word}", f"is not {word}"
    elif isinstance(tree, (exp.Like, exp.ILike)):
        word = "like" if isinstance(tree, exp.Like) else "ilike"
        subject, name = tree.this, shown(tree.this)
        test, opposite = f"{word} {shown(tree.expression)}", f"not {word} {shown(tree.expression)}"
    else:
        name, test, opposite = shown(tree), "is true", "is false"
    return Leaf(tree, subject, name, test, opposite, hidden, numeric)


def value_sql(leaf: Leaf) -> str | None:
    """SQL of the leaf's value in words, ``unknown`` for NULL; None where it is not shown."""
    if leaf.subject is None or leaf.private:
        return None
    value = leaf.subject.sql(dialect=Liftline)
    if leaf.numeric:
        if isinstance(leaf.subject, exp.Column):
            value = f"CASE WHEN {value} = round({value}, 4) THEN {value} ELSE round({value}, 4) END"
        else:
            value = f"round({value}, 4)"
        return f"coalesce(as_text({value}), 'unknown')"
    return f"coalesce('''' || as_text({value}) || '''', 'unknown')"


def reason_sql(condition: Expression, private: Collection[str]) -> str:
    """SQL of the reason why the condition holds; only meaningful in rows where it does.

    Args:
        condition: A checked condition.
        private: Columns whose values must not be shown.
    """
    return f"left({_why(peel(condition.tree), private, holds=True)}, {MAX_REASON})"


def _why(tree: exp.Expr, private: Collection[str], *, holds: bool) -> str:
    """SQL text that says why a tree holds, or does not."""
    tree = peel(tree)
    if isinstance(tree, exp.Not):
        return _why(tree.this, private, holds=not holds)
    if isinstance(tree, exp.Boolean):
        return literal("everybody" if bool(tree.this) is holds else "nobody")
    if isinstance(tree, (exp.And, exp.Or)):
        parts = operands(tree)
        if isinstance(tree, exp.And) is holds:
            return " || ' and ' || ".join(_why(part, private, holds=holds) for part in parts)
        # One part is enough to make it so: show the first that does.
        cases = " ".join(
            f"WHEN {_as_test(part, holds=holds)} THEN {_why(part, private, holds=holds)}"
            for part in parts
        )
        return f"CASE {cases} END"
    leaf = read_leaf(tree, private)
    value = value_sql(leaf)
    test = leaf.test if holds else leaf.opposite
    if value is None or test.startswith("= "):
        return literal(
            leaf.words(holds=holds) if not leaf.private else f"{leaf.shown} fits the rule"
        )
    return f"{literal(f'{leaf.shown} = ')} || {value} || {literal(f' ({test})')}"


def _as_test(tree: exp.Expr, *, holds: bool) -> str:
    """SQL condition that a part holds, or is known not to."""
    text = tree.sql(dialect=Liftline)
    return f"({text})" if holds else f"NOT ({text})"


def _fixed(tree: exp.Expr) -> bool:
    """Whether a tree reads no column."""
    return next(tree.find_all(exp.Column), None) is None


def _is_number(tree: exp.Expr) -> bool:
    inner = peel(tree)
    while isinstance(inner, exp.Neg):
        inner = peel(inner.this)
    return isinstance(inner, (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)) or (
        isinstance(inner, exp.Literal) and not inner.is_string
    )
