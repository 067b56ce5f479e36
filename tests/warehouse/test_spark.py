"""Spark in local mode computes features, scores, segments and macros as DuckDB does, row by row.

Spark brings Java and 400 MB, and warns about the pandas that we use, so it has an environment of
its own: ``make spark`` makes it and runs this test. Without it the test is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from connector.features.build import build_features, features_sql, levels_sql
from connector.features.pack import Level, Rows
from connector.models import rfm
from connector.models.groups import DEFAULT_GROUPS
from connector.segments.rules import SegmentSpec, compile_segments
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.render import quote, render
from tests.features.test_reference import random_shop
from tests.features.world import ALL, prepare
from tests.profiles.tables import AS_OF
from tests.warehouse.fitted import cluster_model, linear_model, load, people
from tests.warehouse.test_engines_agree import CHARACTERS, MOMENTS, NUMBERS, TEXTS

VARIABLE = "LIFTLINE_SPARK_PYTHON"
PYTHON = os.environ.get(VARIABLE, "")
RUNNER = Path(__file__).with_name("spark_runner.py")

pytestmark = [
    pytest.mark.skipif(
        not PYTHON, reason=f"{VARIABLE} names no interpreter with pyspark: run `make spark`"
    ),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java 17 or newer"),
    pytest.mark.slow,
]


def spark(
    folder: Path,
    duck: DuckDBWarehouse,
    inputs: Sequence[str],
    statements: dict[str, str],
    outputs: Sequence[str],
) -> dict[str, pa.Table]:
    """What Spark makes of relations of DuckDB, by statements in the house dialect."""
    for name in inputs:
        table = duck.batches(f"SELECT * FROM {quote(name)}").read_all()
        pq.write_table(table, folder / f"{name}.parquet")
    job = {
        "inputs": list(inputs),
        "statements": [(name, render(sql, "spark")) for name, sql in statements.items()],
        "outputs": list(outputs),
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    run = subprocess.run(
        [PYTHON, RUNNER, folder], capture_output=True, text=True, timeout=280, check=False
    )
    assert run.returncode == 0, run.stderr[-6_000:]
    return {name: ds.dataset(folder / name, format="parquet").to_table() for name in outputs}


def tables_read(packs: Sequence[Any]) -> set[str]:
    """Every relation that packs read."""

    def of(level: Level) -> set[str]:
        found: set[str] = set()
        for _, origin in level.reads:
            found |= {origin.table} if isinstance(origin, Rows) else of(origin)
        return found

    return {
        "profiles",
        "clean_customers",
        *(pack.table for pack in packs if pack.columns),
        *(table for pack in packs for part in pack.levels for table in of(part.level)),
    }


def by_id(table: pa.Table, key: str) -> dict[Any, dict[str, Any]]:
    return {row.pop(key): row for row in table.to_pylist()}


def test_every_feature_is_the_same(tmp_path: Path) -> None:
    with DuckDBWarehouse() as duck:
        prepare(duck, random_shop(6))
        build_features(duck, ALL, as_of=AS_OF)
        wanted = by_id(duck.batches("SELECT * FROM features").read_all(), "profile_id")
        statements = {name: sql for name, sql, _ in levels_sql(ALL, as_of=AS_OF)}
        statements["features"] = features_sql(ALL, as_of=AS_OF)
        made = spark(tmp_path, duck, sorted(tables_read(ALL)), statements, ["features"])
    found = by_id(made["features"], "profile_id")
    assert len(wanted) > 10
    assert found.keys() == wanted.keys()
    wrong = {
        (name, person, value, found[person][name])
        for person, row in wanted.items()
        for name, value in row.items()
        # Both are rounded to six places; a sum may fall on either side of a half.
        if found[person][name]
        != (pytest.approx(value, abs=1.1e-6) if isinstance(value, float) else value)
        or isinstance(value, Decimal) != isinstance(found[person][name], Decimal)
    }
    assert not wrong


def test_every_score_and_segment_is_the_same(tmp_path: Path) -> None:
    """RFM, a linear forecast, clusters and the rules over all three."""
    frame = people(9).assign(frequency=lambda f: f["orders"], recency_days=lambda f: f["recency"])
    frame["monetary"], frame["lifetime_orders"] = frame["spend"], frame["orders"]
    forecast, groups = linear_model("isotonic"), cluster_model()
    rules = [
        SegmentSpec("likely", where='"buys.probability" >= 0.4 and "buys.percentile" > 50'),
        SegmentSpec("mixed", where="\"groups.name\" = 'it''s' or \"rfm.group\" = 'champions'"),
        SegmentSpec("far", where='"groups.is_outlier" or (spend > 100.5 and orders % 2 = 1)'),
    ]
    with DuckDBWarehouse() as duck:
        load(duck, frame)
        cuts = rfm.fit(duck, rfm.RfmSpec(groups=DEFAULT_GROUPS), as_of=AS_OF)
        statements = {
            "rfm_scores": cuts.predict_sql(),
            "buys_scores": str(forecast.predict_sql()),
            "group_scores": str(groups.predict_sql("features")),
        }
        picks = [
            *("f.spend AS spend", "f.orders AS orders", 'r."rfm.group" AS "rfm.group"'),
            *(f'b.{c} AS "buys.{c}"' for c in ("probability", "percentile")),
            *(f'g.{c} AS "groups.{c}"' for c in ("name", "is_outlier")),
        ]
        statements["scored"] = (
            f"SELECT f.profile_id AS profile_id, {', '.join(picks)} FROM features AS f"
            " LEFT JOIN rfm_scores AS r ON r.profile_id = f.profile_id"
            " LEFT JOIN buys_scores AS b ON b.profile_id = f.profile_id"
            " LEFT JOIN group_scores AS g ON g.profile_id = f.profile_id"
        )
        for name, sql in statements.items():
            duck.create_table_as(name, sql)
        segments = compile_segments(rules, columns=duck.columns("scored"), domains={})
        for segment in segments:
            statements[f"in_{segment.name}"] = segment.members_sql("scored")
            duck.create_table_as(f"in_{segment.name}", segment.members_sql("scored"))
        wanted = {
            name: by_id(duck.batches(f"SELECT * FROM {name}").read_all(), "profile_id")
            for name in statements
        }
        made = spark(tmp_path, duck, ["features"], statements, list(statements))
    for name, table in made.items():
        found = by_id(table, "profile_id")
        assert 0 < len(wanted[name]) == len(found), name
        for person, row in wanted[name].items():
            for column, value in row.items():
                exact = pytest.approx(value, abs=1e-9) if isinstance(value, float) else value
                assert found[person][column] == exact, (name, person, column)


CASES: dict[str, tuple[pa.Array, tuple[str, ...]]] = {
    "characters": (
        pa.array(CHARACTERS),
        (
            *("lower(x)", "upper(x)", "trim(x)", "length(x)", "hash_bucket(x)", "md5_hex(x)"),
            *("is_email('a' || x || 'b@example.com')", "is_email('a@b' || x || 'c.example')"),
            "left(x || 'ab', 2) || right(x, 1) || substr(x || 'ab', 2)",
            *("replace('a' || x, x, 'z')", "string_contains('x\u00e9y', x)", "x < '\u00e9'"),
            *("x ilike '\u00e4' or x like '_b'", "regexp_matches(x, '^.$')"),
        ),
    ),
    "moments": (
        pa.array(MOMENTS, pa.timestamp("us")),
        (
            *("add_days(x, -31)", "add_hours(x, 25)", "day_start(x)", "week_start(x)"),
            *("month_start(x)", "year_start(x)", "weekday_of(x)", "hour_of(x)", "as_date(x)"),
            "days_between(x, CAST('2026-03-01' AS TIMESTAMP))",
            "seconds_between(CAST('2026-03-01' AS TIMESTAMP), x)",
            *(f"to_utc(x, '{zone}')" for zone in ("Europe/Berlin", "Australia/Lord_Howe")),
            *(f"to_local(x, '{zone}')" for zone in ("Europe/Berlin", "Asia/Kathmandu")),
        ),
    ),
    "numbers": (
        pa.array(NUMBERS, pa.float64()),
        (
            *("abs(x)", "floor(x)", "ceil(x)", "sign(x)", "round(x)", "7 / x", "x / 0"),
            *("as_money(x)", "CAST(x AS BIGINT)", "CAST(as_money(x) AS BIGINT) % 7"),
            *("greatest(x, 0, NULL)", "least(x, 3)", "round(as_money(x), 1)", "x * 1.5 - 2 > 0"),
        ),
    ),
    "texts": (pa.array(TEXTS), ("as_number(x)", "nullif(trim(x), '')")),
    "objects": (
        pa.array(['{"a": "b", "n": 1.50, "t": true, "z": null}', '{"a": 1', "[1]", "no", None]),
        ("json_text(x, 'a')", "json_text(x, 'n')", "json_text(x, 't')", "json_text(x, 'z')"),
    ),
}

UNLIKE = {
    # Java makes several letters of one where Unicode says so, and knows no capital sharp s.
    "lower(x)": {"\u0130"},
    "upper(x)": {c for c in CHARACTERS if len(c.upper()) > 1 or c in "\u019b\u0264"},
}


def test_expressions_give_the_same(tmp_path: Path) -> None:
    statements = {
        f"out_{name}": f"SELECT n AS n, {picks} FROM {name}"
        for name, (_, expressions) in CASES.items()
        for picks in [", ".join(f"{text} AS v{i}" for i, text in enumerate(expressions))]
    }
    with DuckDBWarehouse() as duck:
        for name, (values, _) in CASES.items():
            duck.load(name, pa.table({"n": pa.array(range(len(values))), "x": values}))
        made = spark(tmp_path, duck, list(CASES), statements, list(statements))
        wrong = {}
        for name, (values, expressions) in CASES.items():
            found = by_id(made[f"out_{name}"], "n")
            wanted = by_id(duck.batches(statements[f"out_{name}"]).read_all(), "n")
            for i, text in enumerate(expressions):
                away = {
                    value
                    for n, value in enumerate(values.to_pylist())
                    if found[n][f"v{i}"] != wanted[n][f"v{i}"]
                }
                if away != UNLIKE.get(text, set()):
                    wrong[text] = away ^ UNLIKE.get(text, set())
    assert not wrong
