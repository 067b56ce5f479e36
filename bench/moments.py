"""Moments of ten million people: five outcomes, two arms; beside hand SQL, tea-tasting, pandas.

All read one Parquet file and must agree. By hand means the very same moments (count, mean,
variance, third central moment, buyers, total) as somebody would write them who knows that sums of
powers cancel. tea-tasting, in an environment of its own, takes counts, means, variances and one
covariance, through Ibis on DuckDB; it has no third moment, so it does less.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from bench.measure import Measure, in_child, peak_gb
from bench.peers import run_peer
from connector.lift.moments import Cell
from connector.lift.scan import read_moments
from connector.warehouse.duckdb import DuckDBWarehouse

N_PEOPLE = 10_000_000
METRICS = ("revenue", "margin", "orders", "converted", "visits")
BAR = 1.15
"""At most so many times the seconds of SQL by hand."""
ROUNDS = 5

TEA_TASTING = ("tea-tasting==1.14.0", "ibis-framework[duckdb]==12.0.0", "sqlglot<30.18", "duckdb<2")
PEER = """
import json, sys, time
import ibis
import tea_tasting as tt
from tea_tasting.aggr import read_aggregates
con = ibis.duckdb.connect()
people = con.read_parquet(sys.argv[1])
metrics = ["revenue", "margin", "orders", "converted", "visits"]
seconds = []
for _ in range(int(sys.argv[2])):
    began = time.perf_counter()
    found = read_aggregates(people, group_col="arm", has_count=True, mean_cols=metrics,
                            var_cols=metrics, cov_cols=())
    seconds.append(time.perf_counter() - began)
means = {str(arm): [float(aggr.mean_[m]) for m in metrics] for arm, aggr in found.items()}
print(json.dumps({"s": sorted(seconds)[len(seconds) // 2], "means": means}))
"""


def make_people(path: Path, n: int) -> None:
    """One row a person: nine in ten treated, 4 % buy."""
    con = duckdb.connect()
    con.execute("SET enable_progress_bar = false")
    con.execute(
        f"""
        COPY (SELECT 'c' AS campaign, 1 AS epoch,
            CASE WHEN hash(i) % 10 = 0 THEN 'no_contact' ELSE 'treatment' END AS arm,
            CASE WHEN buys THEN exp(4.35 + 0.9 * z) ELSE 0 END AS revenue,
            CASE WHEN buys THEN 0.4 * exp(4.35 + 0.9 * z) - 3 ELSE 0 END AS margin,
            CAST(CASE WHEN buys THEN 1 + hash(i, 3) % 3 ELSE 0 END AS DOUBLE) AS orders,
            CAST(buys AS DOUBLE) AS converted,
            CAST(hash(i, 4) % 9 AS DOUBLE) AS visits
        FROM (SELECT i, hash(i, 1) % 1000 < 40 AS buys,
                sqrt(-2 * ln((1 + hash(i, 2) % 1000000) / 1000001.0))
                * cos(2 * pi() * (hash(i, 5) % 1000000) / 1e6) AS z FROM range({n}) AS t(i)))
        TO '{path}' (FORMAT parquet, COMPRESSION zstd)
        """
    )


def ours(path: Path) -> Callable[[], list[float]]:
    """The product's own scan."""
    warehouse = DuckDBWarehouse()
    warehouse.connection.execute(f"CREATE VIEW people AS FROM '{path}'")

    def work() -> list[float]:
        found = read_moments(warehouse, "people", METRICS)
        cells = [
            found[Cell("c", 1, arm, m)] for arm in ("no_contact", "treatment") for m in METRICS
        ]
        return [x for c in cells for x in (c.n, c.mean, c.variance, c.third_central, c.n_nonzero)]

    return work


def by_hand(path: Path) -> Callable[[], list[float]]:
    """One statement for the means, one for the sums about them."""
    con = duckdb.connect()
    con.execute("SET preserve_insertion_order = false")
    con.execute("SET enable_progress_bar = false")
    con.execute(f"CREATE VIEW people AS FROM '{path}'")

    def work() -> list[float]:
        means = con.execute(
            f"SELECT {', '.join(f'avg({m})' for m in METRICS)} FROM people"
        ).fetchall()[0]
        sums = ", ".join(
            f"count({m}), avg({m}), var_samp({m}), sum({d} * {d} * {d}), count_if({m} <> 0),"
            f" sum({m})"
            for m, centre in zip(METRICS, means, strict=True)
            for d in [f"({m} - {float(centre)!r})"]
        )
        rows = con.execute(
            f"SELECT campaign, epoch, arm, {sums} FROM people GROUP BY 1, 2, 3 ORDER BY arm"
        ).fetchall()
        found = []
        for row in rows:
            for i, centre in enumerate(means):
                n, mean, variance, s3, buyers, _ = row[3 + 6 * i : 9 + 6 * i]
                d = mean - centre
                third = s3 / n - 3 * d * variance * (n - 1) / n - d**3
                found += [n, mean, variance, third, buyers]
        return found

    return work


def with_pandas(path: Path) -> Callable[[], list[float]]:
    """The same with pandas, read from the file each time as the others do."""

    def work() -> list[float]:
        people = pd.read_parquet(path)
        found: list[float] = []
        for _, rows in people.groupby("arm", sort=True):
            for m in METRICS:
                x = rows[m]
                d = x - x.mean()
                found += [len(x), x.mean(), x.var(), (d * d * d).mean(), int((x != 0).sum())]
        return found

    return work


CONTENDERS = {"ours": ours, "hand": by_hand, "pandas": with_pandas}


def run(n: int = N_PEOPLE) -> list[Measure]:
    """The lines of the table.

    Raises:
        AssertionError: The contenders do not agree.
    """
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "people.parquet"
        make_people(path, n)
        race = in_child("bench.moments", "race", path)
        frame = in_child("bench.moments", "pandas", path)
        peer = run_peer(TEA_TASTING, PEER, path, ROUNDS)
    for name, found in (("ours", race["ours"]), ("pandas", frame["pandas"])):
        for one, wanted in zip(found, race["hand"], strict=True):
            assert abs(one - wanted) <= 1e-9 * abs(wanted), (name, one, wanted)
    size = f"{len(METRICS)} outcomes x 2 arms, {n:,} people"
    rows = [
        Measure(
            f"moments of {size}",
            f"{race['ours_s']:.2f} s",
            f"{race['hand_s']:.2f} s, SQL by hand",
            f"{race['ratio']:.2f}x",
            f"<= {BAR}x",
            race["ratio"] <= BAR,
        ),
        Measure(
            "the same, beside pandas",
            f"{race['ours_s']:.2f} s, {race['gb']:.1f} GB",
            f"{frame['s']:.1f} s, {frame['gb']:.1f} GB",
            f"{race['ours_s'] / frame['s']:.2f}x",
        ),
    ]
    if peer is None:
        return [*rows, Measure("aggregates of tea-tasting", "cannot be installed here")]
    ours_means = race["ours"][1::5]
    theirs = [*peer["means"]["no_contact"], *peer["means"]["treatment"]]
    for one, wanted in zip(theirs, ours_means, strict=True):
        assert abs(one - wanted) <= 1e-9 * abs(wanted), ("tea-tasting", one, wanted)
    rows.append(
        Measure(
            "beside tea-tasting on DuckDB, without third moments",
            f"{race['ours_s']:.2f} s",
            f"{peer['s']:.2f} s",
            f"{race['ours_s'] / peer['s']:.2f}x",
        )
    )
    return rows


def _race(path: Path) -> dict[str, Any]:
    """Ours and the hand's in turn, so that both meet the same noise."""
    mine, hand = ours(path), by_hand(path)
    found = {"ours": mine(), "hand": hand()}
    pairs = []
    for _ in range(ROUNDS):
        times = []
        for work in (mine, hand):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        pairs.append(times)
    middle = ROUNDS // 2
    return {
        **found,
        "ours_s": sorted(a for a, _ in pairs)[middle],
        "hand_s": sorted(b for _, b in pairs)[middle],
        "ratio": sorted(a / b for a, b in pairs)[middle],
        "gb": peak_gb(),
    }


def _child(what: str, path: Path) -> None:
    if what == "race":
        print(json.dumps(_race(path)))
        return
    work = CONTENDERS[what](path)
    began = time.perf_counter()
    found = work()
    print(json.dumps({what: found, "s": time.perf_counter() - began, "gb": peak_gb()}))


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]))
