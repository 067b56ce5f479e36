"""Demand of a run: published with the plan, and its backtest against counts of the raw orders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from typer.testing import CliRunner

from connector.cli.app import app
from connector.models.demand_backtest import DemandBacktest
from connector.pipeline.project import Project
from connector.pipeline.scoring import demand
from connector.pipeline.show.report import gather_report
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

PERSONAS = """\
  personas:
    type: cluster
    features: [orders_365d, recency_days, revenue_365d]
    k: 3
"""


@dataclass
class Ran:
    folder: Path
    project: Project
    plan: Plan
    run: Path
    tried: DemandBacktest
    untried: tuple[str, ...]

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
            tried, untried = demand.backtest(
                found.context, "clv", settings, found.scores.models["clv"], found.segments
            )
        yield Ran(
            folder, project, plan, project.state.folder / "runs" / report.run_id, tried, untried
        )


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
    mine = rows[(rows.end_day == end) & rows.segment.isna()]
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


def test_a_segments_error_is_that_of_who_was_in_it_when_the_window_began(ran: Ran) -> None:
    """``ready`` is four orders or more: counted from the raw orders as of then."""
    rows = ran.tried.rows
    end, n_days = int(rows.end_day.max()), int(rows.n_days.iloc[0])
    with duckdb.connect(str(ran.folder / "shop.duckdb"), read_only=True) as con:
        con.execute("SET TimeZone = 'Europe/Berlin'")
        counts = con.execute(
            """
            WITH days AS (
                SELECT o.customer_id, o.id, o.ordered_at::DATE - DATE '1970-01-01' AS day,
                    p.category
                FROM orders o JOIN items i ON i.order_id = o.id JOIN products p
                    ON p.id = i.product_id
            ), ready AS (
                SELECT customer_id FROM days WHERE day <= $end
                GROUP BY 1 HAVING count(DISTINCT id) >= 4
            )
            SELECT d.category, count(DISTINCT (d.customer_id, d.day))
            FROM days d JOIN ready USING (customer_id)
            WHERE d.day > $end AND d.day <= $end + $n GROUP BY ROLLUP (d.category)
            """,
            {"end": end, "n": n_days},
        ).fetchall()
    mine = rows[(rows.end_day == end) & (rows.segment == "ready")]
    found = {
        None if pd.isna(one.category) else one.category: one.actual for one in mine.itertuples()
    }
    assert found == dict(counts)
    assert ran.untried == ()
    assert {*rows.segment.dropna()} == {"ready", "cold", "valuable"}


def test_ranges_and_errors_are_published_beside_the_numbers(ran: Ran) -> None:
    table = ran.table("demand")
    assert (table.low_80 <= table.expected_orders).all()
    assert (table.expected_orders <= table.high_80).all()
    everybody = table[table.segment.isna() & table.category.notna()].set_index("category")
    errors = ran.tried.errors.set_index("category")
    for name in ("wape", "wape_last_period"):
        assert everybody[name].sort_index().tolist() == errors[name].sort_index().tolist()
    ready = table[(table.segment == "ready") & table.category.isna()]
    row = ran.tried.rows
    row = row[(row.segment == "ready") & row.category.isna()]
    assert ready.wape.tolist() == [
        pytest.approx(abs(row.expected - row.actual).sum() / row.actual.sum())
    ]


def test_a_segment_that_reads_other_models_has_no_error_of_its_own(tmp_path: Path) -> None:
    modelled_shop.build(tmp_path, n=300)
    text = TEXT.replace("models:\n", "models:\n" + PERSONAS).replace(
        'where: "recency_days > 180"', """where: "personas.distance < 2\""""
    )
    with (
        modelled_shop.open_project(tmp_path, Clock(), text=text) as project,
        project.workspace() as workspace,
    ):
        found = project.understand(workspace)
        settings = dict(project.config.models.named())["clv"]
        tried, untried = demand.backtest(
            found.context, "clv", settings, found.scores.models["clv"], found.segments
        )
    assert untried == ("cold",)
    assert "cold" not in set(tried.rows.segment)


def test_the_report_shows_what_is_published(ran: Ran) -> None:
    (summary,) = gather_report(ran.project).demand
    table = ran.table("demand")
    table = table.astype(object).where(table.notna(), None)
    shown = [summary.total, *summary.categories, *summary.segments]
    whole = table[table.category.isnull() | table.segment.isnull()]
    assert len(shown) == len(whole)
    total = whole[whole.category.isnull() & whole.segment.isnull()].iloc[0]
    assert summary.total.expected == pytest.approx(total.expected_orders)
    assert summary.total.low == total.low_80
    assert summary.total.error == pytest.approx(total.wape)
    assert (summary.first_day, summary.last_day) == (total.first_day, total.last_day)
    assert [one.name for one in summary.segments] == ["ready", "cold", "valuable"]


def test_the_command_lists_segments_and_categories_with_their_errors(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALT", "salt")
    monkeypatch.setenv("COLUMNS", "160")
    given = ["backtest", "clv", "--config", str(ran.folder / "liftline.yaml")]
    given += ["--as-of", AS_OF.isoformat()]
    answer = CliRunner().invoke(app, given)
    assert answer.exit_code == 0, answer.output
    document = json.loads(CliRunner().invoke(app, [*given, "--output", "json"]).stdout)
    demand = document["models"][0]["demand"]
    parts = ran.tried.by_part
    whole = parts[parts.segment.notna() & parts.category.isna()].set_index("segment")
    assert [one["name"] for one in demand["segments"]] == ["ready", "cold", "valuable"]
    for one in demand["segments"]:
        assert one["wape"] == pytest.approx(whole.loc[one["name"], "wape"])
    assert len(demand["categories"]) == 9
    lines = answer.output.splitlines()
    table = lines[next(i for i, text in enumerate(lines) if "Orders foretold" in text) :]
    for one in (*demand["segments"], *demand["categories"]):
        (line,) = (text for text in table if f" {one['name']} " in text)
        assert f" {one['actual']:,.0f} " in line
