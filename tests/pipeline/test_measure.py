"""From the log of arms in the state to results: metrics of any day, classes, and the end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from connector.pipeline.project import Project
from connector.pipeline.prove import measure as third_act
from connector.pipeline.prove.registered import register, registered_end, registered_goal
from connector.pipeline.show.report import gather_report, write_report
from connector.pipeline.understand.act import remember
from connector.report.data import ReportData
from connector.state import schema
from connector.state.database import utc_text
from tests.pipeline import small_shop
from tests.pipeline.small_shop import AS_OF, CONFIG, Facts

BEGAN = AS_OF - timedelta(days=100)
RUN = f"run-{BEGAN:%Y%m%d}-050000-abcdef"
NO_END = CONFIG.replace("estimator: {peeking: fixed}", "estimator: {cuped: 60d}")


@dataclass
class Place:
    folder: Path
    facts: Facts
    people: pd.DataFrame

    def open(self, text: str = NO_END) -> Project:
        return small_shop.open_project(self.folder, "http://127.0.0.1:1", "token", text=text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A shop whose campaign assigned everybody who was there a hundred days ago, by a coin."""
    folder = tmp_path_factory.mktemp("measured")
    there = Place(folder, small_shop.build(folder, n=900), pd.DataFrame())
    with there.open() as project:
        with project.workspace() as workspace:
            remember(project.state, project.understand(workspace), now=AS_OF)
            people = workspace.connection.execute(
                "SELECT p.profile_id, c.customer_id FROM profiles p JOIN profile_customers c"
                " USING (profile_id) ORDER BY c.customer_id"
            ).df()
        old = there.facts.customers.set_index("id").created_at < BEGAN.replace(tzinfo=None)
        people = people[people.customer_id.map(old).fillna(False)].reset_index(drop=True)
        people["arm"] = np.where(np.arange(len(people)) % 3 == 0, "no_contact", "treatment")
        rows = [
            {
                "campaign": "winback",
                "epoch": 1,
                "profile_id": one.profile_id,
                "arm": one.arm,
                "bucket": 0,
                "first_eligible_at": utc_text(BEGAN),
                "config_version": "v1",
                "run_id": RUN,
            }
            for one in people.itertuples()
        ]
        project.state.insert(schema.assignments, rows)
        shares = {"treatment": 2 / 3, "no_contact": 1 / 3}
        project.state.insert(
            schema.arm_shares,
            [
                {"campaign": "winback", "epoch": 1, "config_version": "v1", "arm": a, "share": s}
                for a, s in shares.items()
            ],
        )
        run = project.state.folder / "runs" / RUN
        run.mkdir(parents=True)
        pd.DataFrame(
            {
                "profile_id": people.profile_id,
                "rfm.group": np.where(people.index % 2 == 0, "lost", "loyal"),
                "purchase_30d.percentile": people.index % 101,
            }
        ).to_parquet(run / "scores.parquet")
        there.people = people
    return there


def lifts(place: Place, text: str = NO_END):
    with place.open(text) as project, project.workspace() as workspace:
        found = project.understand(workspace)
        return third_act.measure(project.config, project.state, workspace, as_of=found.as_of)


def spent(place: Place, days: int) -> pd.Series:
    """What each customer brought in the window, by pandas."""
    orders = place.facts.orders
    began = BEGAN.replace(tzinfo=None)
    inside = orders[(orders.ordered_at >= began) & (orders.ordered_at < began + timedelta(days))]
    return inside.groupby("customer_id").total.agg(["sum", "size"])


def test_a_metric_written_today_reports_on_last_quarters_campaign(place: Place) -> None:
    text = NO_END + (
        "metrics:\n"
        "  big_orders_45d: {count: orders, where: 'gross >= 50', window: 45d}\n"
        "  basket_45d: {ratio: [net_revenue, orders], window: 45d}\n"
    )
    before = {one.metric for one in lifts(place)}
    found = {one.metric: one for one in lifts(place, text) if one.holdout.arm == "no_contact"}
    assert set(found) - before == {"big_orders_45d", "basket_45d"}
    people, sums = place.people.set_index("customer_id"), spent(place, 45)
    for arm, side in (("treatment", "treatment"), ("no_contact", "holdout")):
        mine = people.index[people.arm == arm]
        got = sums.reindex(mine).fillna(0.0)
        summary = getattr(found["basket_45d"], side)
        assert summary.n == len(mine)
        assert summary.mean == pytest.approx(got["sum"].sum() / got["size"].sum(), rel=1e-9)
        big = place.facts.orders[place.facts.orders.total >= 50]
        big = big[(big.ordered_at >= BEGAN.replace(tzinfo=None))]
        big = big[big.ordered_at < BEGAN.replace(tzinfo=None) + timedelta(45)]
        count = big[big.customer_id.isin(mine)].shape[0]
        assert getattr(found["big_orders_45d"], side).total == pytest.approx(count)


def test_people_are_classed_as_the_assigning_run_published_them(place: Place) -> None:
    goal = next(one for one in lifts(place) if one.is_goal and one.holdout.arm == "no_contact")
    groups = {p.name: p for p in goal.segments if p.dimension == "rfm.group"}
    assert set(groups) == {"lost", "loyal"}
    people = place.people
    for k, name in enumerate(("lost", "loyal")):
        mine = people[people.index % 2 == k]
        assert groups[name].treatment.n == (mine.arm == "treatment").sum()
        assert groups[name].holdout.n == (mine.arm == "no_contact").sum()
    fifths = [p.name for p in goal.segments if p.dimension == "purchase_30d.percentile"]
    assert fifths == [f"{low} to {low + 20} %" for low in range(0, 100, 20)]
    only = NO_END.replace("detect: 20%", "segments_by: [rfm.group], detect: 20%")
    goal = next(one for one in lifts(place, only) if one.is_goal)
    assert {p.dimension for p in goal.segments} == {"rfm.group"}


def test_a_run_whose_artifacts_are_gone_is_said(place: Place, tmp_path: Path) -> None:
    with place.open() as project:
        scores = project.state.folder / "runs" / RUN / "scores.parquet"
    moved = tmp_path / "scores.parquet"
    moved.write_bytes(scores.read_bytes())
    scores.unlink()
    try:
        goal = next(one for one in lifts(place) if one.is_goal)
        assert goal.segments == ()
        assert "published" in goal.segments_note
    finally:
        scores.write_bytes(moved.read_bytes())


def test_who_withdraws_consent_has_unsubscribed(place: Place) -> None:
    text = NO_END + "metrics: {left_95d: {share: unsubscribed, window: 95d}}\n"
    found = [one for one in lifts(place, text) if one.metric == "left_95d"]
    assert {one.holdout.arm for one in found} == {"no_contact"}
    (one,) = found
    assert "business-as-usual only" in one.reason
    facts = place.facts
    left = facts.consents[facts.consents.status == "withdrawn"]
    began = BEGAN.replace(tzinfo=None)
    left = left[(left.changed_at >= began) & (left.changed_at < began + timedelta(95))]
    ids = facts.customers[facts.customers.email.isin(left.email)].id
    people = place.people
    for arm, side in (("treatment", one.treatment), ("no_contact", one.holdout)):
        mine = people[(people.arm == arm) & people.customer_id.isin(ids)]
        assert side.n_buyers == len(mine) > 0


def test_the_day_of_the_result_is_registered_once(place: Place) -> None:
    def with_day(day: str) -> str:
        return NO_END.replace("    segment: big\n", f"    segment: big\n    decide_on: {day}\n")

    with place.open(with_day("2026-05-04")) as project:
        register(project.config, project.state)
        end = registered_end(project.config, project.state, "spenders")
        # Midnight in Berlin, summer time.
        assert end.at == datetime(2026, 5, 3, 22, tzinfo=UTC)
        assert end.note == ""
    for later in ("2026-06-01", "2026-04-01"):
        with place.open(with_day(later)) as project:
            end = registered_end(project.config, project.state, "spenders")
            assert end.at == datetime(2026, 5, 3, 22, tzinfo=UTC)
            assert "2026-05-04 was registered" in end.note
            assert later in end.note
    with place.open(with_day("2026-06-01").replace("decide_on: 2026-06-01", "epoch: 2")) as project:
        assert registered_end(project.config, project.state, "spenders").at is None
    with place.open() as project:
        # The last day is included, and the goal's thirty days of 24 hours follow it.
        end = registered_end(project.config, project.state, "over")
        assert end.at == datetime(2026, 2, 1, 23, tzinfo=UTC) + timedelta(days=30)


def test_the_goal_is_registered_once(place: Place) -> None:
    """Whoever looks, and then names another metric the goal, is not judged on that one."""
    goal = "goal: revenue_per_person_30d"
    assert goal in NO_END
    with place.open() as project:
        first, note = registered_goal(project.config, project.state, "winback")
        assert (first, note) == ("revenue_per_person_30d", "")
    with place.open(NO_END.replace(goal, "goal: conversion_30d")) as project:
        kept, note = registered_goal(project.config, project.state, "winback")
        assert kept == "revenue_per_person_30d"
        assert "the file now says conversion_30d" in note
        with project.workspace() as workspace:
            found = project.understand(workspace)
            lifts = third_act.measure(project.config, project.state, workspace, as_of=found.as_of)
    goals = {lift.metric for lift in lifts if lift.campaign == "winback" and lift.is_goal}
    assert goals == {"revenue_per_person_30d"}
    assert all(
        "the file now says conversion_30d" in lift.outlook.end_note
        for lift in lifts
        if lift.campaign == "winback" and lift.outlook is not None
    )


def test_the_lift_lies_beside_the_report_for_other_tools(place: Place) -> None:
    with place.open() as project:
        data = gather_report(project)
        page = write_report(project, data, place.folder / "out" / "page.html")
    document = json.loads((page.parent / "page.lift.json").read_text())
    again = ReportData.from_json(json.loads(page.with_suffix(".json").read_text()))
    assert again == data
    wanted = data.lifts
    assert [one["metric"] for one in document["comparisons"]] == [one.metric for one in wanted]
    table = pq.read_table(page.parent / "page.lift.parquet").to_pylist()
    assert len(table) == len(wanted) > 0
    for row, lift in zip(table, wanted, strict=True):
        assert row["difference_low"] == (lift.difference and lift.difference.low)
        assert row["treatment_mean"] == lift.treatment.mean
        assert row["verdict"] == lift.verdict
        known = lift.money and lift.money.revenue
        assert row["money_revenue_high"] == (known and known.high)
    parts = pq.read_table(page.parent / "page.lift_segments.parquet").to_pylist()
    assert len(parts) == sum(len(lift.segments) for lift in wanted) > 0
    assert {part["against"] for part in parts} <= {lift.holdout.arm for lift in wanted}
