"""Arguments that must be written out, such as a time zone or a pattern."""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime

from sqlglot import exp

from connector.warehouse.macros import Macro, Word
from connector.warehouse.refusals import Refusal, position_of


def time_literal(node: exp.Literal) -> exp.Expr:
    """Text in quotes that is compared with a time."""
    text = node.this
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(
            f"'{text[:40]}' is no time.",
            position_of(node),
            "Write '2026-03-01' or '2026-03-01 08:00:00'.",
        ) from None
    if moment.tzinfo is not None:
        raise Refusal(
            "times carry no zone here: all are UTC.", position_of(node), "Leave the zone out."
        )
    return exp.Cast(
        this=exp.Literal.string(moment.isoformat(sep=" ")),
        to=exp.DataType.build("TIMESTAMP", dialect="duckdb"),
    )


def word_argument(word: Word, node: exp.Expr, macro: Macro) -> exp.Expr:
    """An argument that must be written out, checked for what it holds."""
    literal = node if isinstance(node, exp.Literal) else None
    text = str(literal.this) if literal is not None else ""
    if literal is not None and literal.is_string is (word not in (Word.COUNT, Word.SHARE)):
        match word:
            case Word.COUNT if re.fullmatch(r"\d{1,4}", text) and (
                macro.name != "substr" or text != "0"
            ):
                return exp.Literal.number(text)
            case Word.SHARE if 0 <= float(text) <= 1:
                return exp.Literal.number(text)
            case Word.ZONE if text in zoneinfo.available_timezones():
                return exp.Literal.string(text)
            case Word.KEY if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", text):
                return exp.Literal.string(text)
            case Word.FORMAT if re.fullmatch(r"(%[YmdHMSfyBbIp]|[-/.: ,T])+", text):
                return exp.Literal.string(text)
            case Word.PATTERN if _portable(text):
                return exp.Literal.string(text)
            case _:
                pass
    raise Refusal(f"{macro.name}() needs {word} here.", position_of(node))


def _portable(pattern: str) -> bool:
    """Whether a regular expression means the same to RE2, POSIX and Java.

    Look-around, back-references and lazy or possessive repeats do not.
    """
    if (
        len(pattern) > 200
        or "(?" in pattern
        or re.search(r"\\[^dswDSW.\\\[\](){}*+?|^$/-]|[*+?}][*+?]", pattern)
    ):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
