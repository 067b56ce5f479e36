"""How a value of a person can move, so that nobody is told to do what cannot be done.

Orders ever made do not become fewer, an account is not made anew, the days since the last order
shrink by an order only. A suggestion is a set of conditions that must hold together, so they are
tried together: for each column a value is looked for that the person can reach and that meets all
of them. Where a condition compares more than one plain column with fixed values, nothing is known
of how it can move, and it counts as possible.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from sqlglot import exp

from connector.segments.reasons import MIRRORED, SYMBOLS, peel


class Motion(enum.Enum):
    """Which way a value can go from where it is."""

    FREE = "up and down"
    RISES = "up only, and once known it stays known"
    FIXED = "not at all"
    AGES = "up by waiting, and down by an order"


MOTIONS: Mapping[str, Motion] = {
    "lifetime_orders": Motion.RISES,
    "first_order_age_days": Motion.RISES,
    "n_customers": Motion.RISES,
    "recency_days": Motion.AGES,
    "last_order_age_days": Motion.AGES,
    "created_at": Motion.FIXED,
    "birth_year": Motion.FIXED,
    "acquisition_channel": Motion.FIXED,
    "profile_id": Motion.FIXED,
}
"""Columns of ``scored`` that cannot move freely. Revenue can: a return takes it down."""

_AT_LEAST_ZERO = ("orders_", "lifetime_orders", "frequency", "recency_days")
_AT_LEAST_ZERO_ENDS = ("_age_days",)

Plain = Decimal | str
"""A fixed value of a rule, or a person's: a number, or text."""


@dataclass(frozen=True, slots=True)
class Demand:
    """A condition on one column, held against fixed values.

    Attributes:
        column: What is looked at.
        symbol: A comparison, ``between``, ``in`` or ``null``.
        values: What it is held against.
        holds: Whether it shall hold, or shall not.
    """

    column: str
    symbol: str
    values: tuple[Plain, ...]
    holds: bool

    def met_by(self, value: Plain | None) -> bool:
        """Whether a value meets it; a value that is not known meets the demand for that only."""
        if self.symbol == "null":
            return (value is None) is self.holds
        if value is None or any(type(value) is not type(other) for other in self.values):
            return False
        return _compared(self.symbol, value, self.values) is self.holds


def plain(value: object) -> Plain | None:
    """A value of a warehouse as demands compare it; text where it is no number."""
    if value is None or isinstance(value, (str, Decimal)):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(repr(value))
    return str(value)


def read_demand(tree: exp.Expr, *, holds: bool) -> Demand | None:
    """A leaf of a rule as a demand on one column; None where it is something else."""
    symbol, right = SYMBOLS.get(type(tree)), []
    left: exp.Expr = tree.this if isinstance(tree.this, exp.Expr) else tree
    if symbol is not None:
        right = [tree.expression]
        if isinstance(peel(right[0]), exp.Column):
            left, right, symbol = right[0], [left], MIRRORED[symbol]
    elif isinstance(tree, exp.Between):
        symbol, right = "between", [tree.args["low"], tree.args["high"]]
    elif isinstance(tree, exp.In):
        symbol, right = "in", tree.expressions
    elif isinstance(tree, exp.Is) and isinstance(tree.expression, exp.Null):
        symbol = "null"
    column, values = peel(left), [_fixed(one) for one in right]
    if symbol is None or not isinstance(column, exp.Column) or None in values:
        return None
    return Demand(column.name, symbol, tuple(v for v in values if v is not None), holds)


def possible(
    demands: Iterable[Demand],
    now: Mapping[str, Plain | None],
    motions: Mapping[str, Motion] = MOTIONS,
) -> bool:
    """Whether a person can come to meet all demands together.

    Args:
        demands: What must hold.
        now: Column -> the person's value; None: not known. Every column of a demand is there.
        motions: Columns that cannot move freely.
    """
    by_column: dict[str, list[Demand]] = {}
    for demand in demands:
        by_column.setdefault(demand.column, []).append(demand)
    return all(
        any(
            all(demand.met_by(value) for demand in mine)
            for value in _reachable(column, now[column], mine, motions.get(column, Motion.FREE))
        )
        for column, mine in by_column.items()
    )


def takes_an_order(
    demand: Demand, now: Plain | None, motions: Mapping[str, Motion] = MOTIONS
) -> bool:
    """Whether waiting alone will never meet a demand: only an order takes the value down."""
    if motions.get(demand.column) is not Motion.AGES:
        return False
    later = [] if now is None else _reachable(demand.column, now, [demand], Motion.RISES)
    return not any(demand.met_by(value) for value in [*later, None])


def _reachable(
    column: str, now: Plain | None, demands: Sequence[Demand], motion: Motion
) -> list[Plain | None]:
    """Values that a person can come to, one at least from each stretch between the demands' own."""
    if motion is Motion.FIXED:
        return [now]
    fixed = {value for demand in demands for value in demand.values}
    if isinstance(now, Decimal) or any(isinstance(value, Decimal) for value in fixed):
        return _numbers(column, now, {v for v in fixed if isinstance(v, Decimal)}, motion)
    # Some text that the rule does not name: longer than all that it does.
    other = max((str(value) for value in fixed), key=len, default="") + "~"
    return [now, None, *fixed, other]


def _numbers(
    column: str, now: Plain | None, fixed: set[Decimal], motion: Motion
) -> list[Plain | None]:
    marks = sorted(fixed | ({now} if isinstance(now, Decimal) else set()) | {Decimal(0)})
    whole = all(mark == mark.to_integral_value() for mark in marks)
    step = Decimal(1) if whole and _counts(column) else Decimal("0.005")
    found = [m + d for m in marks for d in (-step, Decimal(0), step)]
    if _counts(column):
        found = [value for value in found if value >= 0]
    if motion is Motion.RISES and isinstance(now, Decimal):
        return [value for value in found if value >= now]
    return [now, None, *found]


def _counts(column: str) -> bool:
    """Whether the column holds whole numbers from zero upwards."""
    return column.startswith(_AT_LEAST_ZERO) or column.endswith(_AT_LEAST_ZERO_ENDS)


def _compared(symbol: str, value: Plain, values: Sequence[Plain]) -> bool:
    if symbol == "in":
        return value in values
    if symbol == "between":
        return not _less(value, values[0]) and not _less(values[1], value)
    (other,) = values
    less, more = _less(value, other), _less(other, value)
    return {
        "=": not less and not more,
        "<>": less or more,
        "<": less,
        "<=": not more,
        ">": more,
        ">=": not less,
    }[symbol]


def _less(one: Plain, other: Plain) -> bool:
    return one < other  # type: ignore[operator]  # both are numbers, or both are text


def _fixed(tree: exp.Expr) -> Plain | None:
    """A literal's value; None where it is more than a literal."""
    tree, sign = peel(tree), 1
    if isinstance(tree, exp.Neg):
        tree, sign = peel(tree.this), -1
    if isinstance(tree, exp.Cast) and isinstance(tree.this, exp.Literal):
        return str(tree.this.this)
    if not isinstance(tree, exp.Literal):
        return None
    if tree.is_string:
        return str(tree.this)
    try:
        return sign * Decimal(str(tree.this))
    except InvalidOperation:
        return None
