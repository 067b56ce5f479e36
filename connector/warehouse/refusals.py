"""What is said when an expression is refused: the reason, the place, and what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from sqlglot import exp

from connector.warehouse.grammar import CORE_FUNCTIONS
from connector.warehouse.macros import NAMES

ALLOWED_FUNCTIONS = sorted(
    {*NAMES, "coalesce", "nullif", "greatest", "least", "count", "sum", "min", "max"}
)

FOREIGN = {
    "datediff": "days_between",
    "date_diff": "days_between",
    "date_trunc": "month_start, week_start or day_start",
    "extract": "year_of, month_of, day_of, hour_of or weekday_of",
    "year": "year_of",
    "month": "month_of",
    "day": "day_of",
    "hour": "hour_of",
    "substring": "substr",
    "len": "length",
    "char_length": "length",
    "ifnull": "coalesce",
    "nvl": "coalesce",
    "isnull": "`is null`",
    "if": "case when ... then ... else ... end",
    "iif": "case when ... then ... else ... end",
    "contains": "string_contains",
    "concat": "the operator ||",
    "md5": "md5_hex",
    "power": "multiplication",
    "pow": "multiplication",
    "log": "ln",
    "mean": "avg",
    "quantile_cont": "quantile",
    "percentile_cont": "quantile",
    "bool_or": "any_true",
    "bool_and": "all_true",
    "try_cast": "as_number",
    "now": "a feature such as recency_days: expressions have no clock",
    "today": "a feature such as recency_days: expressions have no clock",
    "current_date": "a feature such as recency_days: expressions have no clock",
    "current_timestamp": "a feature such as recency_days: expressions have no clock",
    "countif": "count_if",
    "sumif": "sum_if",
    "stddev_samp": "stddev",
    "ceiling": "ceil",
    "strptime": "parse_time",
}


class Refusal(Exception):  # noqa: N818 - internal signal, turned into an ExpressionError by the caller
    """Something in an expression is not allowed.

    Attributes:
        problem: One sentence.
        position: Offset in the text, where known.
        hint: What to write instead.
    """

    def __init__(self, problem: str, position: int | None, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.position = position
        self.hint = hint


def closest(name: str, known: Collection[str]) -> str:
    """A hint that names what the writer may have meant; empty when nothing is near."""
    lowered: dict[str, str] = {}
    for candidate in known:
        lowered.setdefault(candidate.lower(), candidate)
        lowered.setdefault(candidate.lower().rpartition(".")[2], candidate)
    near = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)
    names = list(dict.fromkeys(lowered[n] for n in near))
    return f"Did you mean {' or '.join(names)}?" if names else ""


def position_of(node: exp.Expr) -> int | None:
    """Offset of the first part of a node whose place in the text is known."""
    starts = [n.meta["start"] for n in node.walk() if "start" in n.meta]
    return min(starts) if starts else None


INSTEAD: dict[type[exp.Expr], str] = {
    exp.Filter: "Use count_if(condition) or sum_if(value, condition).",
    exp.TryCast: "Use as_number(text).",
    exp.Escape: "Use string_contains(), starts_with() or ends_with().",
    exp.Star: "Only count(*) may hold a star.",
    exp.RegexpLike: "Use regexp_matches(text, 'pattern').",
}


def why_not(node: exp.Expr) -> str:
    """Name a construct that is not on the list, in words where it is a usual one."""
    if isinstance(node, (exp.Query, exp.Subquery, exp.Exists)):
        return "a query is not allowed inside an expression."
    if isinstance(node, exp.Window):
        return "window functions (OVER) are not allowed."
    if isinstance(node, exp.Star):
        return "a star is not allowed here."
    if isinstance(node, exp.Func) and node.sql_name().upper() in CORE_FUNCTIONS:
        return f"{node.sql_name().lower()}() is not allowed in an expression."
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(node).__name__).lower()
    return f"this is not allowed in an expression ({words})."
