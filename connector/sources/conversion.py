"""From whatever a source holds to the types of the contract, without ever stopping at a bad value.

A value that cannot be read becomes NULL here; the mapping notices (there was something, and now
there is nothing) and sets the row aside under the reason ``unreadable_<column>``. A failing CAST
ends the whole statement on most engines and TRY_CAST is not portable, so every cast from text
stands behind a pattern that admits only what the cast can read, down to the 29th of February.

Times with a zone become UTC; times without one are wall-clock times of the shop and are read in the
project's zone. A time in text may carry an offset: engines silently drop it when asked for a plain
TIMESTAMP, so those are told apart first.
"""

from __future__ import annotations

from collections.abc import Callable

from connector.errors import SchemaError
from connector.tables import BOOLEAN, INTEGER, MONEY, NUMBER, TEXT, TIMESTAMP
from connector.warehouse.grammar import kind_of_type
from connector.warehouse.macros import Kind
from connector.warehouse.render import literal

_DAY = (
    "([1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    "|02-(0[1-9]|1[0-9]|2[0-8]))"
    "|[1-9][0-9]([02468][48]|[2468]0|[13579][26])-02-29|([2468][048]|[13579][26])00-02-29)"
)
"""A day that exists, years 1000 to 9999."""
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
_OFFSET = "([Zz]|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)"
_WALL_TIME = f"^{_DAY}([ T]{_CLOCK})?$"
_INSTANT = f"^{_DAY}[ T]{_CLOCK}{_OFFSET}$"
_DECIMAL = "^[+-]?([0-9]{1,15}([.][0-9]*)?|[.][0-9]+)$"
_WHOLE = "^[+-]?[0-9]{1,18}([.]0*)?$"
_WHOLE_LIMIT = "9000000000000000"
"""Whole numbers up to here are exact in floating point."""
_MONEY_LIMIT = "1000000000000000"
"""Amounts below it fit DECIMAL(18, 2) with room for rounding."""

_TWO_ULP = "CAST('1.0000000000000004' AS DOUBLE)"

_FLOATS = ("DOUBLE", "FLOAT", "REAL")
_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")


def present(value: str, source_type: str) -> str:
    """The SQL value with blank text as NULL: a blank is no value, and not an unreadable one."""
    kind = kind_of_type(source_type)
    if kind is Kind.ANY or (kind is Kind.TEXT and source_type.upper() != TEXT):
        # A column without a type (all NULL), a UUID, or of an engine's own: its text is what is
        # read.
        return f"nullif(trim(as_text({value})), '')"
    return f"nullif(trim({value}), '')" if kind is Kind.TEXT else value


def convert(column: str, value: str, source_type: str, target: str, timezone: str) -> str:
    """The SQL value in a contracted type, NULL where it cannot be read.

    Args:
        column: Logical column, for messages.
        value: SQL of the value.
        source_type: Its type in the source.
        target: Type of the contract.
        timezone: Zone that times without one are in.

    Raises:
        SchemaError: The source's type can never become the target's.
    """
    kind, given = kind_of_type(source_type), present(value, source_type)
    kind = Kind.TEXT if kind is Kind.ANY else kind
    if target == TIMESTAMP:
        sql = _time(kind, given, source_type, timezone)
    elif target == source_type:
        sql = given
    elif target == TEXT and source_type.upper() in _FLOATS:
        sql = _text_of_float(given)
    elif target == MONEY and source_type.upper() in _FLOATS:
        sql = _money_of_float(given)
    else:
        sql = _READERS[target](kind, given)
    if sql is None:
        raise SchemaError(
            f"The column {column} has the type {source_type}; it must become {target}.",
            hint="Map another column, or an expression that makes one of it.",
        )
    # Where not every branch of a CASE says its scale, Postgres forgets it.
    return f"CAST({sql} AS {MONEY})" if target == MONEY else sql


def in_utc(value: str, source_type: str, timezone: str) -> str:
    """An uncontracted column as it is, but for times, which are UTC everywhere."""
    if source_type.upper().startswith(("TIMESTAMP", "DATETIME")):
        return _time(Kind.TIME, value, source_type, timezone) or value
    return value


def always_readable(source_type: str, target: str) -> bool:
    """Whether every value of the source's type can be read, so that nobody need look for others."""
    if target == TIMESTAMP:
        return kind_of_type(source_type) is Kind.TIME
    return target in (TEXT, source_type)


def _text_of_float(value: str) -> str:
    """Whole numbers without their ``.0``: ids become floats where a file has gaps among them."""
    whole = f"abs({value}) <= {_WHOLE_LIMIT} AND {value} = floor({value})"
    return f"CASE WHEN {whole} THEN as_text(CAST({value} AS BIGINT)) ELSE as_text({value}) END"


def _text(kind: Kind, value: str) -> str:
    return value if kind is Kind.TEXT else f"as_text({value})"


def _time(kind: Kind, value: str, source_type: str, timezone: str) -> str | None:
    """A time in UTC."""
    upper = source_type.upper()
    if upper.startswith(("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")):
        return f"instant_utc({value})"

    def local(moment: str) -> str:
        return moment if timezone == "UTC" else f"to_utc({moment}, {literal(timezone)})"

    if kind is Kind.TEXT:
        return (
            f"CASE WHEN regexp_matches({value}, {literal(_INSTANT)}) THEN instant_utc({value})"
            f" WHEN regexp_matches({value}, {literal(_WALL_TIME)}) THEN"
            f" {local(f'as_time({value})')} END"
        )
    return local(f"as_time({value})") if kind is Kind.TIME else None


def _money(kind: Kind, value: str) -> str | None:
    if kind is Kind.TEXT:
        return (
            f"CASE WHEN regexp_matches({value}, {literal(_DECIMAL)}) THEN as_money({value})"
            f" WHEN abs({_float(value)}) < {_MONEY_LIMIT} THEN as_money({_float(value)}) END"
        )
    if kind is Kind.NUMBER:
        return (
            f"CASE WHEN abs(as_number({value})) < {_MONEY_LIMIT} THEN CAST({value} AS {MONEY}) END"
        )
    return None


def _money_of_float(value: str) -> str:
    """Cents of a binary number, half a cent away from zero.

    20.455 is a hair below itself in binary; two units in the last place make up for that. The same
    operations give the same on every engine, which casts do not, at a tenth of the price of going
    by way of text.
    """
    number = f"CAST({value} AS DOUBLE)"
    cents = f"sign({number}) * floor(abs({number}) * 100 * {_TWO_ULP} + CAST(0.5 AS DOUBLE))"
    return (
        f"CASE WHEN abs(as_number({number})) < {_MONEY_LIMIT}"
        f" THEN CAST(CAST({cents} AS BIGINT) * 0.01 AS {MONEY}) END"
    )


def _whole(kind: Kind, value: str) -> str | None:
    if kind is Kind.TEXT:
        inner = f"CASE WHEN regexp_matches({value}, {literal(_WHOLE)}) THEN as_number({value}) END"
    elif kind is Kind.NUMBER:
        inner = f"as_number({value})"
    else:
        return None
    return (
        f"CASE WHEN abs({inner}) <= {_WHOLE_LIMIT} AND {inner} = floor({inner})"
        f" THEN CAST({inner} AS BIGINT) END"
    )


def _number(kind: Kind, value: str) -> str | None:
    if kind is Kind.TEXT:
        return _float(value)
    return f"as_number({value})" if kind is Kind.NUMBER else None


def _float(value: str) -> str:
    """The number of a text; ``1_000`` is none, though one engine reads it as a thousand."""
    return f"CASE WHEN NOT string_contains({value}, '_') THEN as_number({value}) END"


def _boolean(kind: Kind, value: str) -> str | None:
    if kind is Kind.TEXT:
        true, false = (", ".join(map(literal, words)) for words in (_TRUE, _FALSE))
        small = f"lower({value})"
        return f"CASE WHEN {small} IN ({true}) THEN TRUE WHEN {small} IN ({false}) THEN FALSE END"
    if kind is Kind.NUMBER:
        return f"CASE WHEN {value} = 1 THEN TRUE WHEN {value} = 0 THEN FALSE END"
    return value if kind is Kind.BOOLEAN else None


_READERS: dict[str, Callable[[Kind, str], str | None]] = {
    TEXT: _text,
    MONEY: _money,
    INTEGER: _whole,
    NUMBER: _number,
    BOOLEAN: _boolean,
}
"""Type of the contract -> its reader; times need more and have their own."""
