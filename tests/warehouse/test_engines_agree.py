"""PostgreSQL and DuckDB give one answer, row by row, where engines like to differ."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from connector.sources.mapping import map_table
from connector.sources.spec import TableSpec
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.postgres import PostgresWarehouse

AS_OF = datetime(2026, 3, 1, 6, tzinfo=UTC)


def both(
    postgres: PostgresWarehouse, duck: DuckDBWarehouse, data: pa.Table, expression: str
) -> tuple[list[Any], list[Any]]:
    """An expression over a column ``x`` on both engines, row by row."""
    found = []
    for warehouse in (postgres, duck):
        warehouse.load("given", data.append_column("n", pa.array(range(len(data)))))
        sql = f"SELECT {expression} AS v FROM given ORDER BY n"
        found.append([value for (value,) in warehouse.rows(sql)])
    return found[0], found[1]


CHARACTERS = [
    chr(code)
    for code in range(1, 0x10000)
    if unicodedata.ucd_3_2_0.category(chr(code)) not in ("Cn", "Cs")
]
"""What Unicode 3.2 knows: engines differ in the letters of its latest versions only."""

UNLIKE = {
    # Letters that got a capital in Unicode 16.
    "upper(x)": {"\u019b", "\u0264"},
    # RE2's \s leaves out the vertical tab.
    "regexp_matches(x, '\\s')": {"\x0b"},
}


@pytest.mark.parametrize(
    "expression",
    [
        "lower(x)",
        "upper(x)",
        "trim(x)",
        "length(x)",
        "normalise_email(x)",
        "is_email('a' || x || 'b@example.com')",
        "is_email('a@b' || x || 'c.example')",
        "hash_bucket(x)",
        "left(x || 'ab', 2) || right(x, 1) || substr(x || 'ab', 2)",
        "replace('a' || x, x, 'z')",
        "starts_with(x, '\u00e9') or ends_with(x, '\u00e9') or string_contains('x\u00e9y', x)",
        "x ilike '\u00e4' or x like '_b'",
        "regexp_matches(x, '\\s')",
        "regexp_matches(x, '^[^\\w]$') or regexp_matches(x, '\\d')",
        "regexp_matches(x, '^.$')",
        "x < '\u00e9'",
    ],
)
def test_text_of_every_character(
    postgres: PostgresWarehouse, duck: DuckDBWarehouse, expression: str
) -> None:
    found, expected = both(postgres, duck, pa.table({"x": CHARACTERS}), expression)
    rows = zip(CHARACTERS, found, expected, strict=True)
    assert {c for c, one, other in rows if one != other} == UNLIKE.get(expression, set())


def test_text_is_sorted_by_its_bytes(postgres: PostgresWarehouse, duck: DuckDBWarehouse) -> None:
    words = [
        "b",
        "B",
        "a",
        "\u00e4",
        "Z",
        "_",
        "1",
        "10",
        "2",
        "a b",
        "ab",
        "",
        "\U0001f600",
        "\uffff",
    ]
    data = pa.table({"x": words})
    for expression in (
        "min(x) over ()",
        "rank() over (order by x)",
        "rank() over (order by lower(x))",
    ):
        found, expected = both(postgres, duck, data, expression)
        assert found == expected, expression
    found, _ = both(postgres, duck, data, "rank() over (order by x)")
    order = sorted(words, key=str.encode)
    assert found == [order.index(word) + 1 for word in words]


def test_tallies(postgres: PostgresWarehouse, duck: DuckDBWarehouse) -> None:
    things = ["view > cart", "view > cart > pay", "cart > pay", "\u00e4 > b", "Z"]
    data = pa.table({"g": [1, 1, 1, 2, 2], "x": things, "k": [3, 1, 12, 7, 2]})
    found = []
    for warehouse in (postgres, duck):
        warehouse.load("given", data)
        sql = (
            "SELECT t.g AS g, t.v AS v, tally_of(t.v, 'view > cart') AS a, tally_of(t.v, 'cart') AS"
            " b FROM (SELECT g, tally(x, k) AS v FROM given GROUP BY g) AS t ORDER BY t.g"
        )
        found.append([tuple(row) for row in warehouse.rows(sql)])
    assert found[0] == found[1]
    assert found[0] == [
        (1, "cart > pay=12;view > cart > pay=1;view > cart=3", 3, 0),
        (2, "Z=2;\u00e4 > b=7", 0, 0),
    ]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
)
def test_wall_clocks_of_a_year(
    postgres: PostgresWarehouse, duck: DuckDBWarehouse, zone: str
) -> None:
    """Each half hour of 2026, those that a clock skips or shows twice among them."""
    start = datetime(2026, 1, 1)  # noqa: DTZ001 - wall-clock times
    moments = [start + timedelta(minutes=30 * i) for i in range(2 * 24 * 365)]
    data = pa.table({"x": pa.array(moments, pa.timestamp("us"))})
    for expression in (f"to_utc(x, '{zone}')", f"to_local(x, '{zone}')"):
        found, expected = both(postgres, duck, data, expression)
        assert found == expected, expression


MOMENTS = [
    None if text is None else datetime.fromisoformat(text)
    for text in (
        "2026-03-29 01:59:59.999999", "2024-02-29", "1999-12-31 23:59", "2026-03-01",
        "2026-03-02 00:00:00.000001", "1000-01-01", None,
    )
]  # fmt: skip


@pytest.mark.parametrize(
    "expression",
    [
        "days_between(x, CAST('2026-03-01' AS TIMESTAMP))",
        "hours_between(x, CAST('2026-03-01' AS TIMESTAMP))",
        "seconds_between(CAST('2026-03-01' AS TIMESTAMP), x)",
        "add_days(x, -31)",
        "add_hours(x, 25)",
        "day_start(x)",
        "week_start(x)",
        "month_start(x)",
        "year_start(x)",
        "year_of(x) * 1000000 + month_of(x) * 10000 + day_of(x) * 100 + hour_of(x)",
        "weekday_of(x)",
        "as_text(x)",
        "as_date(x)",
    ],
)
def test_times(postgres: PostgresWarehouse, duck: DuckDBWarehouse, expression: str) -> None:
    data = pa.table({"x": pa.array(MOMENTS, pa.timestamp("us"))})
    found, expected = both(postgres, duck, data, expression)
    assert found == expected


NUMBERS = [
    0, 1, -1, 7, 1000, -2.5, 2.5, 0.125, 0.5, 1.005, 2.675, 276.715, -0.015, 0.1 + 0.2, 1e-4, 1e-5,
    1e-9, -1e14, 123456789012345.0, 123456789.125, None,
]  # fmt: skip


@pytest.mark.parametrize(
    "expression",
    [
        "abs(x)", "floor(x)", "ceil(x)", "sign(x)", "round(x)", "round(x, 2)", "round(x, 4)",
        "safe_divide(1, x)", "x / 0", "7 / x", "as_money(x)", "as_number(x)", "as_text(x)",
        "CAST(x AS BIGINT)", "greatest(x, 0, NULL)", "least(x, 3)", "nullif(x, 0)",
        "coalesce(x, -3)", "CAST(as_money(x) AS BIGINT) % 7", "x * 1.5 - 2 > 0",
        "round(as_money(x) / 3, 2)", "round(as_money(x), 1)", "as_text(round(as_money(x), 1))",
        "as_text(as_money(x))", "as_text(round(x / 3, 4))", "as_text(CAST(x AS BIGINT))",
        "as_text(x > 1)", "round(CAST(x AS BIGINT), 2)",
    ],
)  # fmt: skip
def test_numbers(postgres: PostgresWarehouse, duck: DuckDBWarehouse, expression: str) -> None:
    data = pa.table({"x": pa.array(NUMBERS, pa.float64())})
    found, expected = both(postgres, duck, data, expression)
    assert list(zip(NUMBERS, found, strict=True)) == list(zip(NUMBERS, expected, strict=True))
    # Not only equal: of one type, as 1 and 1.0 and Decimal(1) are equal too.
    assert {type(value) for value in found} == {type(value) for value in expected}


@pytest.mark.parametrize("expression", ["ln(x)", "sqrt(x)", "exp(x)"])
def test_functions_of_floating_point(
    postgres: PostgresWarehouse, duck: DuckDBWarehouse, expression: str
) -> None:
    data = pa.table({"x": pa.array(NUMBERS, pa.float64())})
    for one, other in zip(*both(postgres, duck, data, expression), strict=True):
        assert one == (None if other is None else pytest.approx(other, rel=1e-12))


def test_cents_of_floating_point(postgres: PostgresWarehouse, duck: DuckDBWarehouse) -> None:
    """Half a cent in binary is never quite half a cent; both read it as a person would."""
    amounts = [i / 1000 for i in range(-30_005, 30_000, 10)]
    found, expected = both(postgres, duck, pa.table({"x": amounts}), "as_money(x)")
    assert found == expected


TEXTS = [
    "1", " 7 ", "-1.50", "+5", ".5", "5.", "1e3", "1E-2", "1,000", "1_000", "0x1f", "nan", "inf",
    "-Infinity", "twelve", "", " ", "\u0661", "1e400", "--1", "1 2", "2026-03-01", "2026-02-29",
    "2026-03-01 08:00", "2026-03-01T08:00:00Z", "2026-03-01 08:00:00.123456+01:30", "2026-3-1",
    "01.03.2026", "2026-03-01 24:00", "2026-03-29 02:30:00", "2026-10-25T02:30", "yes", "F", "TRUE",
    "999999999999999999.99", None,
]  # fmt: skip


def test_what_is_a_number(postgres: PostgresWarehouse, duck: DuckDBWarehouse) -> None:
    found, expected = both(postgres, duck, pa.table({"x": TEXTS}), "as_number(x)")
    assert found == expected
    numbers = {text for text, value in zip(TEXTS, found, strict=True) if value is not None}
    assert numbers == {
        "1",
        " 7 ",
        "-1.50",
        "+5",
        ".5",
        "5.",
        "1e3",
        "1E-2",
        "999999999999999999.99",
    }


@pytest.mark.parametrize("column", ["customer_id", "created_at", "birth_year", "country"])
def test_untidy_text_has_one_fate(
    postgres: PostgresWarehouse, duck: DuckDBWarehouse, column: str
) -> None:
    spec = TableSpec("customers", "untidy", {"customer_id": "id", column: "x"})
    reports, rows = [], []
    for warehouse in (postgres, duck):
        warehouse.load("untidy", pa.table({"id": range(len(TEXTS)), "x": TEXTS}))
        reports.append(map_table(warehouse, spec, timezone="Europe/Berlin"))
        rows.append(warehouse.rows("SELECT * FROM in_customers ORDER BY customer_id"))
    assert reports[0] == reports[1]
    assert rows[0] == rows[1]


def test_below_a_microsecond_engines_may_differ_by_one(
    postgres: PostgresWarehouse, duck: DuckDBWarehouse
) -> None:
    """Postgres rounds what DuckDB cuts off."""
    text = pa.table({"x": ["2026-03-01 08:00:00.1234567"]})
    (found,), (expected,) = both(postgres, duck, text, "as_time(x)")
    assert abs(found - expected) <= timedelta(microseconds=1)


def test_untidy_amounts_have_one_fate(postgres: PostgresWarehouse, duck: DuckDBWarehouse) -> None:
    columns = {"order_id": "id", "customer_id": "id", "ordered_at": "at", "gross": "x"}
    extra = {"is_return": "x", "double": "as_number(x)"}
    reports, rows = [], []
    for warehouse in (postgres, duck):
        moment = pa.array([AS_OF] * len(TEXTS), pa.timestamp("us", "UTC"))
        warehouse.load("untidy", pa.table({"id": range(len(TEXTS)), "x": TEXTS, "at": moment}))
        for mapped in (columns, columns | {"gross": "2", **extra}):
            spec = TableSpec("orders", "untidy", mapped)
            reports.append(map_table(warehouse, spec, timezone="Europe/Berlin"))
            rows.append(warehouse.rows("SELECT * FROM in_orders ORDER BY order_id"))
    assert reports[:2] == reports[2:]
    assert rows[:2] == rows[2:]


def test_statistics(postgres: PostgresWarehouse, duck: DuckDBWarehouse) -> None:
    rng = np.random.default_rng(7)
    values = [None if i % 9 == 0 else float(x) for i, x in enumerate(rng.normal(50, 20, 500))]
    sql = (
        "SELECT avg(x) AS a, stddev(x) AS b, variance(x) AS c, median(x) AS d"
        ", quantile(x, 0.9) AS e, count_if(x > 50) AS f, sum_if(x, x > 50) AS g"
        ", avg_if(x, x < 50) AS h, min_if(x, x > 20) AS i, max_if(x, x < 80) AS j"
        ", any_true(x > 100) AS k, all_true(x > -100) AS l, count(DISTINCT round(x)) AS m"
        " FROM given"
    )
    for warehouse in (postgres, duck):
        warehouse.load("given", pa.table({"x": values}))
    (found,), (expected,) = postgres.rows(sql), duck.rows(sql)
    assert found == pytest.approx(expected, rel=1e-12)
