"""What an accepted expression means: held against Python's own evaluation, row by row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp, parse_one

from connector.warehouse.dialect import (
    Expression,
    ExpressionError,
    parse_condition,
    parse_expression,
)
from connector.warehouse.grammar import StatementError
from connector.warehouse.macros import ENGINES, MACROS, NAMES, Kind
from tests.warehouse.columns import COLUMNS, store, workspace

Row = dict[str, Any]
Truth = bool | None
Rule = tuple[str, Callable[[Row], Truth]]
"""A condition as text, and what it must yield for a row, by three-valued logic."""


WORKSPACE = workspace()
"""Shared, because opening one takes longer than a test; `nobody` holds no rows."""

store(WORKSPACE, [], name="nobody")


def _and(parts: list[Truth]) -> Truth:
    return False if False in parts else (None if None in parts else True)


def _or(parts: list[Truth]) -> Truth:
    return True if True in parts else (None if None in parts else False)


def _compare(column: str, symbol: str, value: Any) -> Callable[[Row], Truth]:
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "=": lambda a, b: a == b,
        "<>": lambda a, b: a != b,
        "!=": lambda a, b: a != b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    return lambda row: None if row[column] is None else tests[symbol](row[column], value)


_NUMBERS = st.sampled_from(["recency_days", "orders_365d", "monetary_365d"])
_SYMBOLS = st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="])
_TEXTS = st.sampled_from(["DE", "de", "AT", "", "it's", "50%", "%"])
_AMOUNTS = st.integers(-300, 300).map(lambda cents: Decimal(cents) / 100)


def _number_rule(column: str, symbol: str, value: Decimal) -> Rule:
    return f"{column} {symbol} {value}", _compare(column, symbol, value)


def _text_rule(column: str, symbol: str, value: str) -> Rule:
    quoted = value.replace("'", "''")
    return f"{column} {symbol} '{quoted}'", _compare(column, symbol, value)


def _between_rule(column: str, low: Decimal, high: Decimal) -> Rule:
    return (
        f"{column} between {low} and {high}",
        lambda row: None if row[column] is None else low <= row[column] <= high,
    )


def _in_rule(column: str, values: list[str]) -> Rule:
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return (
        f"{column} in ({listed})",
        lambda row: None if row[column] is None else row[column] in values,
    )


def _null_rule(column: str) -> Rule:
    return f"{column} is null", lambda row: row[column] is None


def _quotient_rule(symbol: str, value: Decimal) -> Rule:
    def truth(row: Row) -> Truth:
        a, b = row["orders_365d"], row["recency_days"]
        if a is None or not b:
            return None
        return _compare("q", symbol, float(value))({"q": a / b})

    return f"orders_365d / recency_days {symbol} {value}", truth


_LEAVES: st.SearchStrategy[Rule] = st.one_of(
    st.builds(_number_rule, _NUMBERS, _SYMBOLS, _AMOUNTS),
    st.builds(_text_rule, st.sampled_from(["country", "rfm.group", "x.order"]), _SYMBOLS, _TEXTS),
    st.builds(_between_rule, _NUMBERS, _AMOUNTS, _AMOUNTS),
    st.builds(_in_rule, st.sampled_from(["country", "rfm.group"]), st.lists(_TEXTS, min_size=1)),
    st.builds(_null_rule, st.sampled_from(["country", "recency_days", "subscribed"])),
    st.builds(_quotient_rule, _SYMBOLS, st.integers(-4, 4).map(Decimal)),
    st.just(("subscribed", lambda row: row["subscribed"])),
)


def _joined(children: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    def both(parts: list[Rule]) -> Rule:
        text = " and ".join(f"({part})" for part, _ in parts)
        return text, lambda row: _and([truth(row) for _, truth in parts])

    def either(parts: list[Rule]) -> Rule:
        text = " or ".join(f"({part})" for part, _ in parts)
        return text, lambda row: _or([truth(row) for _, truth in parts])

    def negated(rule: Rule) -> Rule:
        def truth(row: Row) -> Truth:
            found = rule[1](row)
            return None if found is None else not found

        return f"not ({rule[0]})", truth

    lists = st.lists(children, min_size=2, max_size=3)
    return st.one_of(lists.map(both), lists.map(either), children.map(negated))


RULES = st.recursive(_LEAVES, _joined, max_leaves=6)

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "country": st.none() | _TEXTS,
            "rfm.group": st.none() | _TEXTS,
            "x.order": st.none() | _TEXTS,
            "recency_days": st.none() | st.integers(-3, 3),
            "orders_365d": st.none() | st.integers(-3, 3),
            "monetary_365d": st.none() | _AMOUNTS,
            "subscribed": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rule=RULES, rows=ROWS)
def test_same_truth_as_python(rule: Rule, rows: list[Row]) -> None:
    text, truth = rule
    condition = parse_condition(text, columns=COLUMNS, what="rule")
    store(WORKSPACE, [{**row, "profile_id": str(i)} for i, row in enumerate(rows)], name="random")
    found = dict(WORKSPACE.rows(f"SELECT profile_id, {condition.sql()} FROM random"))
    rendered = f"SELECT profile_id, {condition.sql('duckdb')} FROM random"
    again = dict(WORKSPACE.connection.execute(rendered).fetchall())
    expected = {str(i): truth(row) for i, row in enumerate(rows)}
    assert found == expected
    assert again == expected


_WORDS = st.sampled_from(
    [
        *COLUMNS, *(f"{name}(" for name in sorted(NAMES)), "(", ")", ",", "and", "or", "not", "=",
        "<>", "<", ">=", "+", "-", "*", "/", "%", "||", "1", "0.5", "'a'", "'2026-01-01'", "null",
        "true", "is", "in", "between", "like", "case", "when", "then", "else", "end", "coalesce(",
        "sum(", "count(", "*", "distinct", "cast(", "as", "varchar", ".", "::", ";", "--", "[", "]",
        "select", "from", "over", "interval", "date",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(text=st.lists(_WORDS, min_size=1, max_size=14).map(" ".join) | st.text(max_size=40))
def test_anything_is_refused_or_sound(text: str) -> None:
    """Whatever is typed is either refused in words, or is SQL that the engine can bind."""
    try:
        expression = parse_expression(text, columns=COLUMNS, what="x", allow_aggregates=True)
    except ExpressionError:
        return
    _assert_sound(expression)


@pytest.mark.parametrize(
    "text",
    [
        "rfm.group <> 'champions' and monetary_365d >= 300 and recency_days <= 60",
        "x.order = 'a' or RFM.GROUP in ('a', 'b')",
        '"Unit Price" <= .5',
        "created_at >= '2026-01-01' and created_at < date '2026-02-01'",
        "days_between(created_at, '2026-02-01 12:00') > 3",
        "case country when 'DE' then 1 when 'AT' then 2 else 0 end = 1",
        "case when subscribed then orders_365d end is not null",
        "coalesce(orders_365d, recency_days, 0) % 2 = 0",
        "greatest(orders_365d, recency_days) > least(1, 2)",
        "country is distinct from 'DE' and subscribed is not true",
        "lower(trim(country)) || '-' || as_text(orders_365d) = 'de-1'",
        "left(country, 1) = 'D' and right(country, 1) = 'E' and replace(country, 'a', 'b') = 'x'",
        "-orders_365d < +1 and not not subscribed",
        "cast(monetary_365d as bigint) = 3 and country::varchar = 'x'",
        "email like '%@example.com' and country not like '_%' and country ilike 'd%'",
        "regexp_matches(country, '^[A-Z]{2}$')",
        "round(ln(orders_365d) + sqrt(orders_365d) + exp(1), 2) > abs(floor(ceil(sign(-1.5))))",
    ],
)
def test_accepted(text: str) -> None:
    _assert_sound(parse_condition(text, columns=COLUMNS, what="x"))


def _assert_sound(expression: Expression) -> None:
    house = expression.sql()
    again = parse_expression(house, columns=COLUMNS, what="again", allow_aggregates=True)
    assert again.sql() == house
    assert again.columns == expression.columns <= set(COLUMNS)
    if not (expression.aggregates and expression.bare_columns):
        WORKSPACE.rows(f"SELECT {house} FROM nobody")
    used = [(call.name, len(call.expressions)) for call in expression.tree.find_all(exp.Anonymous)]
    for engine in ENGINES:
        if all(MACROS[call].sql.get(engine, MACROS[call].sql.get("any")) for call in used):
            parse_one(expression.sql(engine), dialect=engine)
        else:
            with pytest.raises(StatementError, match="no exact equivalent"):
                expression.sql(engine)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("orders_365d", Kind.NUMBER),
        ("country", Kind.TEXT),
        ("created_at", Kind.TIME),
        ("subscribed", Kind.BOOLEAN),
        ("null", Kind.ANY),
        ("coalesce(null, country)", Kind.TEXT),
        ("sum(orders_365d > 1) / count(*)", Kind.NUMBER),
        ("max(created_at)", Kind.TIME),
        ("max_if(country, subscribed)", Kind.TEXT),
        ("count(distinct country)", Kind.NUMBER),
    ],
)
def test_kind(text: str, kind: Kind) -> None:
    found = parse_expression(text, columns=COLUMNS, what="x", allow_aggregates=True)
    assert found.kind is kind


def test_without_types_kinds_are_not_checked() -> None:
    assert parse_condition("a = 1 and b = 'x' and c", columns=["a", "b", "c"], what="x").is_boolean


def test_a_condition_must_be_one() -> None:
    with pytest.raises(ExpressionError, match="must be true or false"):
        parse_condition("orders_365d", columns=COLUMNS, what="x")


def test_aggregates_are_told_from_bare_columns() -> None:
    found = parse_expression(
        "sum(orders_365d) + recency_days", columns=COLUMNS, what="x", allow_aggregates=True
    )
    assert found.aggregates
    assert found.columns == {"orders_365d", "recency_days"}
    assert found.bare_columns == {"recency_days"}
    with pytest.raises(ExpressionError, match="inside another"):
        parse_expression("sum(max(orders_365d))", columns=COLUMNS, what="x", allow_aggregates=True)


def test_columns_that_differ_in_letter_case_only() -> None:
    columns = {"Total": "DOUBLE", "total": "DOUBLE"}
    assert parse_expression("total", columns=columns, what="x").columns == {"total"}
    with pytest.raises(ExpressionError, match="ambiguous"):
        parse_expression("TOTAL", columns=columns, what="x")
    assert parse_expression("TOTAL", columns={"Total": "DOUBLE"}, what="x").sql() == '"Total"'


def test_text_is_written_anew_and_never_spliced() -> None:
    text = "country = '''; drop table scored; --'"
    condition = parse_condition(text, columns=COLUMNS, what="x")
    with workspace() as warehouse:
        store(warehouse, [{"profile_id": "1", "country": "'; drop table scored; --"}])
        found = warehouse.rows(f"SELECT profile_id FROM scored WHERE {condition.sql()}")
    assert found == [("1",)]


def test_times_are_compared_as_times() -> None:
    moment = datetime(2026, 3, 1, 8, 30)  # noqa: DTZ001 - relations hold naive UTC
    condition = parse_condition("created_at > '2026-03-01 08:29:59.5'", columns=COLUMNS, what="x")
    with workspace() as warehouse:
        store(
            warehouse,
            [
                {"profile_id": "in", "created_at": moment},
                {"profile_id": "out", "created_at": moment - timedelta(seconds=1)},
            ],
        )
        assert warehouse.rows(f"SELECT profile_id FROM scored WHERE {condition.sql()}") == [("in",)]


def test_a_list_of_conditions_may_be_long() -> None:
    text = " or ".join(f"orders_365d = {i}" for i in range(150))
    condition = parse_condition(text, columns=COLUMNS, what="x")
    with workspace() as warehouse:
        store(warehouse, [{"profile_id": "1", "orders_365d": 149}])
        assert warehouse.rows(f"SELECT {condition.sql()} FROM scored") == [(True,)]
