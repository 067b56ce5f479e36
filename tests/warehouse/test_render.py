"""Statements of ours on every engine: reviewed golden files, and what is refused.

The golden files are read by people: each change of an engine's SQL shows up in a diff. To write
them anew after a change that is meant, run ``LIFTLINE_GOLDEN=write pytest
tests/warehouse/test_render.py`` and read the diff.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from sqlglot import exp, parse_one

from connector.warehouse.grammar import StatementError
from connector.warehouse.macros import ENGINES, MACROS, Word
from connector.warehouse.render import Value, literal, quote, render
from tests.warehouse.columns import workspace

GOLDEN = Path(__file__).parent / "golden"

STATEMENTS = {
    "rfm_features": """
        SELECT profile_id,
            days_between(max(ordered_at), CAST('2026-03-01 00:00:00' AS TIMESTAMP)) AS recency_days,
            count_if(ordered_at >= CAST('2025-03-01' AS TIMESTAMP)) AS orders_365d,
            sum_if(net_revenue, ordered_at >= CAST('2025-03-01' AS TIMESTAMP)) AS monetary_365d,
            sum(discount) / sum(gross) AS discount_share
        FROM clean_orders
        WHERE ordered_at < CAST('2026-03-01' AS TIMESTAMP) AND NOT is_return
        GROUP BY profile_id
    """,
    "latest_row": """
        WITH numbered AS (
            SELECT c.*, row_number() OVER (
                PARTITION BY customer_id ORDER BY updated_at DESC NULLS LAST, email
            ) AS place
            FROM shop.customers AS c
        )
        SELECT customer_id, lower(email) AS email, to_utc(created_at, 'Europe/Berlin') AS
        at FROM numbered WHERE place = 1
    """,
    "cut_points": """
        SELECT x, sum(n) OVER (ORDER BY x NULLS FIRST) AS up_to, lag(x) OVER (ORDER BY x) AS before
        FROM (
            SELECT monetary AS x, count(*) AS n FROM features
            WHERE monetary IS NOT NULL GROUP BY monetary
        ) AS histogram
        ORDER BY x
    """,
    "arms": """
        SELECT profile_id,
            CASE WHEN hash_bucket('salt:camp:1:' || profile_id) < 429496730 THEN 'no_contact'
                ELSE 'treatment' END AS arm,
            hash_bucket(profile_id) % 7 AS wave
        FROM candidates
    """,
    "segment": """
        SELECT 'big' AS segment, profile_id,
            left('rfm.group = ' || "rfm.group" || ' and ' || as_text(round(monetary_365d, 4)), 500)
            AS reason
        FROM scored
        WHERE "rfm.group" <> 'champions' AND "x.order" LIKE 'a%' AND monetary_365d / orders_365d > 2
            AND greatest(recency_days, 0, NULL) <= 60 AND country IN ('DE', 'it''s')
    """,
    "calendar": """
        SELECT month_start(ordered_at) AS month, weekday_of(ordered_at) AS weekday,
            week_start(ordered_at) AS week, add_days(ordered_at, 30) AS until,
            as_money(avg(net_revenue)) AS mean, stddev(net_revenue) AS sd, count(DISTINCT
            profile_id) AS people
        FROM clean_orders
        GROUP BY month_start(ordered_at), weekday_of(ordered_at), week_start(ordered_at),
        add_days(ordered_at, 30) HAVING any_true(NOT is_return)
    """,
    "anti_join": """
        SELECT p.profile_id FROM profiles AS p
        LEFT JOIN exclusions AS e ON e.profile_id = p.profile_id
        WHERE e.profile_id IS NULL
            AND EXISTS (SELECT 1 FROM permissions AS q WHERE q.profile_id = p.profile_id)
        UNION ALL SELECT 'nobody' AS profile_id
    """,
    "text_checks": """
        SELECT is_email(email) AS valid, md5_hex(email) AS digest, json_text(payload, 'sku') AS sku,
            regexp_matches(sku, '^[0-9]{5}\\d?$') AS coded, string_contains(email, '%') AS odd,
            as_number(price) AS price, ends_with(email, '@example.com') AS internal
        FROM raw
    """,
    "quantiles": """
        SELECT country, median(monetary) AS mid, quantile(monetary, 0.9) AS high
        FROM features GROUP BY country
    """,
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", STATEMENTS)
def test_golden(name: str, engine: str) -> None:
    path = GOLDEN / f"{name}.{engine}.sql"
    if name == "quantiles" and engine == "bigquery":
        with pytest.raises(StatementError, match="no exact equivalent on bigquery"):
            render(STATEMENTS[name], engine)
        return
    sql = render(STATEMENTS[name], engine)
    pretty = parse_one(sql, dialect=engine).sql(dialect=engine, pretty=True) + "\n"
    if os.environ.get("LIFTLINE_GOLDEN") == "write":
        path.write_text(pretty, encoding="utf-8")
    assert pretty == path.read_text(encoding="utf-8")


def test_no_unknown_function_reaches_an_engine() -> None:
    """What sqlglot does not know stays anonymous, and each such call must be one we wrote."""
    ours = {
        "duckdb": {"EPOCH_US", "JSON_VALID", "NFC_NORMALIZE", "ISODOW", "STRPTIME", "ISFINITE"},
        "postgres": {"PG_INPUT_IS_VALID", "HOUSE_TEXT", "HOUSE_ROUND"},
        "spark": {"CONV", "UNIX_MICROS", "WEEKDAY"},
        "bigquery": set(),
        "snowflake": set(),
    }
    for macro in MACROS.values():
        arguments = ", ".join(
            "'1'" if isinstance(p, Word) else f"c{i}" for i, p in enumerate(macro.parameters)
        )
        for engine in ENGINES:
            if macro.sql.get(engine, macro.sql.get("any")) is None:
                continue
            sql = render(f"SELECT {macro.name}({arguments}) AS v FROM t", engine)
            found = {
                call.name.upper() for call in parse_one(sql, dialect=engine).find_all(exp.Anonymous)
            }
            assert found <= ours[engine], (macro.name, engine)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("drop table x", "exactly one query"),
        ("select 1; select 2", "exactly one query"),
        ("insert into x select 1", "exactly one query"),
        ("select epoch(x) from t", "epoch"),
        ("select list(x) from t", "list"),
        ("select date_trunc('day', x) from t", "date_trunc"),
        ("select * from read_csv('a.csv')", "Table functions"),
        ("select * from range(3)", "Table functions"),
        ("select * from 'a.csv'", "look like a file"),
        ("select * from '/etc/passwd'", "look like a file"),
        ("select * exclude (a) from t", "EXCLUDE"),
        ("select * replace (1 as a) from t", "REPLACE"),
        ("select a, count(*) from t group by all", "GROUP BY ALL"),
        ("select a from t qualify row_number() over (order by a) = 1", "QUALIFY"),
        ("select try_cast(a as int) from t", "TRY_CAST"),
        ("select a[1] from t", "brackets"),
        ("select [1, 2]", "lists"),
        ("select x -> 1", "json_extract"),
        ("select interval 1 day", "intervals"),
        ("select a // 2 from t", "//"),
        ("select ? from t", "placeholders"),
        ("select $a from t", "placeholders"),
        ("select any_true(x) over () from t", "OVER"),
        ("select from from from", "does not parse"),
        ("select round(x, 2, 3) from t", "does not take 3"),
        ("select a from t using sample 10%", "samples"),
    ],
)  # fmt: skip
def test_refused(sql: str, why: str) -> None:
    with pytest.raises(StatementError, match=why):
        render(sql, "duckdb")


def test_unknown_engine() -> None:
    with pytest.raises(StatementError, match="Unknown engine"):
        render("select 1", "oracle")


def test_nulls_come_last_everywhere() -> None:
    sql = "SELECT x FROM t ORDER BY x DESC, y"
    assert "DESC NULLS LAST" in render(sql, "postgres")
    assert "y NULLS LAST" in render(sql, "spark")
    assert "y NULLS LAST" in render(sql, "bigquery")


@pytest.mark.parametrize("name", ["a", "rfm.group", "order", 'a"b', "Unit Price", "; drop table x"])
def test_quoted_names_survive(name: str) -> None:
    with workspace() as warehouse:
        warehouse.create_table_as("t", f"SELECT 1 AS {quote(name)}")
        assert list(warehouse.columns("t")) == [name]


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -7, 2**62, 0.1, -1e-9, 1e300, Decimal("1.50"), Decimal("-0.001"),
        "", "it's", "a\\b", "--", "\n", "\U0001f600", date(2026, 3, 1),
        datetime(2026, 3, 1, 8, 0, 0, 123456),  # noqa: DTZ001 - naive UTC
    ],
)  # fmt: skip
def test_literals_survive(value: Value) -> None:
    with workspace() as warehouse:
        assert warehouse.rows(f"SELECT {literal(value)} AS v") == [(value,)]


def test_aware_times_become_utc() -> None:
    aware = datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert literal(aware) == literal(datetime(2026, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), "a\x00b"])
def test_what_no_literal_can_hold(value: Value) -> None:
    with pytest.raises(ValueError, match="no literal"):
        literal(value)
    with pytest.raises(ValueError, match="no identifier"):
        quote("")
