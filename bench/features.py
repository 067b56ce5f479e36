"""Features of ten million orders and a million people: our packs, SQL by hand, pandas.

All three read one Parquet file, make the same columns and must agree; each has a process to itself,
so that its peak memory is its own. The gaps between orders, which need every person's orders in
sequence, are a line of their own: they are computed only when somebody asks for them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd

from bench.measure import Measure, in_child, peak_gb
from connector.features.build import build_features
from connector.features.habits import habits_pack
from connector.features.orders import WINDOWS_DAYS, orders_pack, rfm_pack
from connector.warehouse.duckdb import DuckDBWarehouse

N_ROWS, N_PEOPLE = 10_000_000, 1_000_000
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
RFM_DAYS = 730
BAR_HAND = 1.3
"""At most so many times the seconds of SQL by hand."""
BAR_PANDAS = 1.0
"""At most so many times the seconds and the memory of pandas."""

COUNTED = tuple(f"{what}_{days}d" for days in WINDOWS_DAYS for what in ("orders", "revenue"))
COMPARED = (
    *("recency_days", "frequency", "monetary", *COUNTED),
    *("lifetime_orders", "lifetime_revenue", "first_order_age_days", "last_order_age_days"),
    "aov_365d",
)
GAPS = frozenset({"mean_days_between_orders", "sd_days_between_orders"})

SUMS = ", ".join(f"sum({name}) AS {name}" for name in COMPARED)


def _connect() -> duckdb.DuckDBPyConnection:
    """A connection set as the product's own is."""
    con = duckdb.connect()
    con.execute("SET preserve_insertion_order = false")
    con.execute("SET enable_progress_bar = false")
    return con


def make_orders(folder: Path, n_rows: int, n_people: int) -> None:
    """Write ``orders.parquet`` and ``people.parquet``: three years, 5 % returns."""
    con = _connect()
    con.execute(
        f"""
        COPY (SELECT 'o' || i AS order_id, 'p' || (hash(i) % {n_people}) AS profile_id,
            TIMESTAMP '2026-03-01' - to_seconds((1 + hash(i, 1) % (1095 * 86400))::BIGINT)
                AS ordered_at,
            ((CASE WHEN hash(i, 4) % 20 = 0 THEN -1 ELSE 1 END)
                * (100 + hash(i, 2) % 20000)::BIGINT / 100.0)::DECIMAL(18, 2) AS net_revenue,
            hash(i, 4) % 20 = 0 AS is_return
        FROM range({n_rows}) AS t(i))
        TO '{folder / "orders.parquet"}' (FORMAT parquet, COMPRESSION zstd)
        """
    )
    con.execute(
        f"COPY (SELECT 'p' || i AS profile_id FROM range({n_people}) AS t(i))"
        f" TO '{folder / 'people.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
    )


def ours(folder: Path, *, gaps: bool = False) -> list[float]:
    """The product's own packs."""
    packs = [rfm_pack(RFM_DAYS), orders_pack()]
    if gaps:
        packs.append(habits_pack().keeping(GAPS))
    with DuckDBWarehouse() as warehouse:
        for view, file in (("clean_orders", "orders"), ("profiles", "people")):
            warehouse.connection.execute(
                f"CREATE VIEW {view} AS FROM '{folder / f'{file}.parquet'}'"
            )
        build_features(warehouse, packs, as_of=AS_OF)
        (row,) = warehouse.connection.execute(f"SELECT {SUMS} FROM features").fetchall()
    return [float(value) for value in row]


def by_hand(folder: Path) -> list[float]:
    """What somebody who knows DuckDB well would write for these very columns."""
    windows = ", ".join(
        f"count(*) FILTER (NOT is_return AND ordered_at >= {since}) AS orders_{days}d,"
        f" sum(net_revenue) FILTER (ordered_at >= {since}) AS revenue_{days}d"
        for days in WINDOWS_DAYS
        for since in [f"TIMESTAMP '2026-03-01' - INTERVAL {days} DAY"]
    )
    con = _connect()
    con.execute(
        f"""
        CREATE TABLE counted AS
        SELECT profile_id, {windows},
            max(ordered_at) FILTER (NOT is_return) AS last_at,
            min(ordered_at) FILTER (NOT is_return) AS first_at,
            count(*) FILTER (NOT is_return) AS lifetime_orders,
            sum(net_revenue) AS lifetime_revenue
        FROM '{folder / "orders.parquet"}' WHERE ordered_at < TIMESTAMP '2026-03-01'
        GROUP BY profile_id
        """
    )
    age = "(epoch(TIMESTAMP '2026-03-01') - epoch({0}))::BIGINT // 86400"
    con.execute(
        f"""
        CREATE TABLE features AS
        SELECT p.profile_id, c.* EXCLUDE (profile_id),
            CASE WHEN orders_{RFM_DAYS}d > 0 THEN {age.format("last_at")} END AS recency_days,
            orders_{RFM_DAYS}d AS frequency, revenue_{RFM_DAYS}d AS monetary,
            {age.format("first_at")} AS first_order_age_days,
            {age.format("last_at")} AS last_order_age_days,
            round(revenue_365d / nullif(orders_365d, 0), 2) AS aov_365d
        FROM '{folder / "people.parquet"}' AS p LEFT JOIN counted AS c USING (profile_id)
        """
    )
    (row,) = con.execute(f"SELECT {SUMS} FROM features").fetchall()
    return [float(value) for value in row]


def with_pandas(folder: Path) -> list[float]:
    """The same columns with pandas; money as floats, which is kinder to it than decimals."""
    con = _connect()
    orders = con.sql(
        "SELECT profile_id, ordered_at, net_revenue::DOUBLE AS net_revenue, is_return"
        f" FROM '{folder / 'orders.parquet'}'"
    ).df()
    people = con.sql(f"FROM '{folder / 'people.parquet'}'").df()
    now = pd.Timestamp("2026-03-01")
    orders = orders[orders["ordered_at"] < now]
    real = orders[~orders["is_return"]]
    columns: dict[str, pd.Series] = {}
    for days in WINDOWS_DAYS:
        since = now - pd.Timedelta(days=days)
        recent, bought = orders[orders["ordered_at"] >= since], real[real["ordered_at"] >= since]
        columns[f"orders_{days}d"] = bought.groupby("profile_id").size()
        columns[f"revenue_{days}d"] = recent.groupby("profile_id")["net_revenue"].sum()
    columns["lifetime_orders"] = real.groupby("profile_id").size()
    columns["lifetime_revenue"] = orders.groupby("profile_id")["net_revenue"].sum()
    times = real.groupby("profile_id")["ordered_at"].agg(["min", "max"])
    columns["first_order_age_days"] = (now - times["min"]).dt.days
    columns["last_order_age_days"] = (now - times["max"]).dt.days
    table = pd.DataFrame(columns).reindex(people["profile_id"])
    lately = table[f"orders_{RFM_DAYS}d"] > 0
    table["recency_days"] = table["last_order_age_days"].where(lately)
    table["frequency"], table["monetary"] = (
        table[f"orders_{RFM_DAYS}d"],
        table[f"revenue_{RFM_DAYS}d"],
    )
    # Halves are rounded away from zero, as money is; the cents are those of a decimal.
    mean = table["revenue_365d"] / table["orders_365d"].where(table["orders_365d"] > 0)
    table["aov_365d"] = mean.round(2)
    return [float(table[name].sum()) for name in COMPARED]


CONTENDERS: dict[str, Callable[[Path], list[float]]] = {
    "ours": ours,
    "hand": by_hand,
    "pandas": with_pandas,
    "gaps": lambda folder: ours(folder, gaps=True),
}


def run(n_rows: int = N_ROWS, n_people: int = N_PEOPLE) -> list[Measure]:
    """The lines of the table.

    Raises:
        AssertionError: The contenders do not agree.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_orders(folder, n_rows, n_people)
        # In turns, and the best of two, so that noise and a cold file cache are nobody's fault.
        rounds = [
            {name: in_child("bench.features", name, folder) for name in CONTENDERS}
            for _ in range(2)
        ]
    best = {name: min((r[name] for r in rounds), key=lambda r: r["s"]) for name in CONTENDERS}
    for name, found in best.items():
        for column, value, wanted in zip(
            COMPARED, found["sums"], best["hand"]["sums"], strict=True
        ):
            # Half cents of a mean in binary are not those of a decimal.
            slack = 1e-4 if column == "aov_365d" and name == "pandas" else 1e-9
            assert abs(value - wanted) <= slack * abs(wanted), (name, column, value, wanted)
    size = f"{n_rows:,} orders, {n_people:,} people"
    mine, hand, frame = best["ours"], best["hand"], best["pandas"]
    ratio, beside = mine["s"] / hand["s"], mine["s"] / frame["s"]
    return [
        Measure(
            f"{len(COMPARED)} features, {size}",
            _shown(mine),
            f"{_shown(hand)}, SQL by hand",
            f"{ratio:.2f}x",
            f"<= {BAR_HAND}x",
            ratio <= BAR_HAND,
        ),
        Measure(
            "the same, beside pandas",
            _shown(mine),
            f"{_shown(frame)}, pandas",
            f"{beside:.2f}x, memory {mine['gb'] / frame['gb']:.2f}x",
            f"<= {BAR_PANDAS:.0f}x both",
            max(beside, mine["gb"] / frame["gb"]) <= BAR_PANDAS,
        ),
        Measure(
            "with mean and sd of the gaps between orders",
            _shown(best["gaps"]),
            f"{_shown(mine)}, without",
            f"{best['gaps']['s'] / mine['s']:.2f}x",
        ),
    ]


def _shown(one: dict[str, float]) -> str:
    return f"{one['s']:.1f} s, {one['gb']:.1f} GB"


def _child(name: str, folder: Path) -> None:
    began = time.perf_counter()
    sums = CONTENDERS[name](folder)
    seconds = time.perf_counter() - began
    print(json.dumps({"s": seconds, "gb": peak_gb(), "sums": sums}))


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]))
