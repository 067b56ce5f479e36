"""Demand of a run: published with the plan, and its backtest against counts of the raw orders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from connector.models.demand import DemandBacktest
from connector.pipeline.project import Project
from connector.pipeline.scoring import demand
from connector.plan.document import Plan
from tests.pipeline import modelled_shop
from tests.pipeline.modelled_shop import AS_OF, CONFIG, Clock

CLV = CONFIG.index("  clv:\n"), CONFIG.index("  personas:\n")
TEXT = (
    CONFIG[: CONFIG.index("models:\n")]
    + "models:\n"
    + CONFIG[CLV[0] : CLV[1]]
    + CONFIG[CONFIG.index("segments:\n") :]
).replace(
    'where: "purchase_30d.percentile >= 80"\n'
    "    stability: {exit_after: 2 runs, margin: {percentile: 10}}",
    'where: "lifetime_orders >= 4"',
)


@dataclass
class Ran:
    folder: Path
    project: Project
    plan: Plan
    run: Path
    tried: DemandBacktest

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.run / f"{name}.parquet")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("demand")
    modelled_shop.build(folder)
    with modelled_shop.open_project(folder, Clock(), text=TEXT) as project:
        plan, report = project.sync()
        with project.workspace() as workspace:
            found = project.understand(workspace)
            settings = dict(project.config.models.named())["clv"]
            tried = demand.backtest(found.context, "clv", settings)
        yield Ran(folder, project, plan, project.state.folder / "runs" / report.run_id, tried)


def test_all_orders_of_a_segment_are_the_scores_of_its_members(ran: Ran) -> None:
    table = ran.table("demand")
    scores = ran.table("scores").set_index("profile_id")["clv.expected_orders"]
    members = ran.table("memberships")
    whole = table[table.category.isna()].set_index("segment")
    for segment in ("ready", "cold", "valuable"):
        ids = members[members.segment == segment].profile_id.unique()
        assert whole.loc[segment, "people"] == scores.reindex(ids).notna().sum() > 0
        assert whole.loc[segment, "expected_orders"] == pytest.approx(
            scores.reindex(ids).sum(), rel=1e-3
        )
    everybody = whole[whole.index.isna()].expected_orders
    assert everybody.tolist() == pytest.approx([scores.sum()], rel=1e-3)
    assert set(table.first_day) == {AS_OF.date()}
    assert set(table.last_day) == {AS_OF.date() + timedelta(days=89)}


def test_what_happened_is_counted_from_the_raw_orders(ran: Ran) -> None:
    rows = ran.tried.rows
    end = int(rows.end_day.max())
    n_days = int(rows.n_days.iloc[0])
    with duckdb.connect(str(ran.folder / "shop.duckdb"), read_only=True) as con:
        con.execute("SET TimeZone = 'Europe/Berlin'")
        counts = con.execute(
            """
            WITH days AS (
                SELECT o.customer_id, o.ordered_at::DATE - DATE '1970-01-01' AS day, p.category
                FROM orders o JOIN items i ON i.order_id = o.id JOIN products p
                    ON p.id = i.product_id
            ), known AS (SELECT DISTINCT customer_id FROM days WHERE day <= $end)
            SELECT d.category, count(DISTINCT (d.customer_id, d.day))
            FROM days d JOIN known USING (customer_id)
            WHERE d.day > $end AND d.day <= $end + $n GROUP BY ROLLUP (d.category)
            """,
            {"end": end, "n": n_days},
        ).fetchall()
    mine = rows[rows.end_day == end]
    assert {
        None if pd.isna(row.category) else row.category: row.actual for row in mine.itertuples()
    } == dict(counts)
    assert len(mine) == 10


def test_the_model_beats_the_last_period(ran: Ran) -> None:
    """The simulated shop loses people, which the last period does not know."""
    assert ran.tried.wape() < 0.25
    assert ran.tried.wape() < ran.tried.wape("last_period")
    assert abs(ran.tried.total_error()) < 0.2
    assert len(ran.tried.errors) == 9
