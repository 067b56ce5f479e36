"""A campaign that tries two offers, from the file to the offer that another campaign then gives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from connector.config import load_config
from connector.lift.offers import OfferLift
from connector.pipeline.person.explain import explain
from connector.pipeline.project import Project
from connector.pipeline.prove.measure import measure
from connector.pipeline.prove.offering import offer_lifts
from connector.pipeline.show.report import gather_report
from connector.pipeline.understand.opening import Workspace
from connector.report.data import ReportData
from connector.report.html import render_html
from connector.state import schema

START = datetime(2026, 1, 5, 5, tzinfo=UTC)
N = 2_400
CONFIG = """\
project: {name: tried, timezone: Europe/Berlin, currency: EUR}
sources: {shop: {type: duckdb, path: shop.duckdb}}
tables:
  customers: {from: shop.customers, columns: {customer_id: id, email: email, created_at: created_at}}
  orders: {from: shop.orders, columns: {order_id: id, customer_id: customer_id, ordered_at: ordered_at, gross: total}}
segments:
  buyers: {where: "lifetime_orders >= 1"}
  small: {where: "monetary < 100"}
  large: {where: "monetary >= 100"}
  alike: {where: "monetary >= 90 and monetary < 110"}
strategies:
  ten: {offer: ten_percent, cost_per_contact: 1}
  ship: {offer: free_shipping, cost_per_contact: 2}
  plain: {offer: nothing, cost_per_contact: 0}
  proven: {best_offer_of: trial, otherwise: plain}
destinations: {files: {type: csv_export, path: ./out, requires: none_internal, match_on: profile_id}}
campaigns:
  trial: {segment: buyers, to: [files], offers: {ten: 50%, ship: 50%}, goal: revenue_per_person_30d,
          arms: {treatment: 66%, no_contact: 34%}, end: 2026-01-06, properties: {code: strategy.offer}}
  for_small: {segment: small, strategy: proven, to: [files], start: 2026-02-20, properties: {small: strategy.offer}}
  for_large: {segment: large, strategy: proven, to: [files], start: 2026-02-20, properties: {large: strategy.offer}}
  for_alike: {segment: alike, strategy: proven, to: [files], start: 2026-02-20, properties: {alike: strategy.offer}}
holdouts: {assign: {salt: "${SALT}"}}
measurement: {flat_margin: 1%}
guards: {needs_approval: {first_sync: false}, removals_above: 100%, additions_above: 100%}
"""  # noqa: E501 - one line for each campaign


@dataclass
class Clock:
    """Stands still until it is told."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


def open_project(folder: Path, clock: Clock, text: str = CONFIG) -> Project:
    path = folder / "liftline.yaml"
    path.write_text(text)
    config = load_config(path, {"SALT": "a-salt-of-some-length"})
    return Project(config, clock=clock, identity_key="k")


def write(folder: Path, name: str, frame: pd.DataFrame) -> None:
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("incoming", frame)
        con.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")


def log_of(project: Project) -> pd.DataFrame:
    with project.state.engine.connect() as connection:
        return pd.read_sql(sa.select(schema.assignments), connection)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Clock, pd.DataFrame]:
    """Small baskets answer to ten per cent, large ones to free shipping; then 60 days pass."""
    folder, clock = tmp_path_factory.mktemp("tried"), Clock()
    rng = np.random.default_rng(8)
    ids = [f"c{i:04d}" for i in range(N)]
    ago = rng.uniform(1, 300, N)
    customers = pd.DataFrame({"id": ids, "email": [f"{i}@mail.example" for i in ids]})
    customers["created_at"] = [START - timedelta(days=float(x) + 1) for x in ago]
    orders = pd.DataFrame({"customer_id": ids, "total": rng.uniform(20, 180, N).round(2)})
    orders["ordered_at"] = [START - timedelta(days=float(x)) for x in ago]
    write(folder, "customers", customers)
    write(folder, "orders", orders.assign(id=[f"o{i}" for i in range(N)]))
    with open_project(folder, clock) as project:
        plan, report = project.sync()
        assert report.status == "succeeded"
        found = {one.campaign: one for one in plan.header.campaigns}["trial"]
        log = log_of(project)
        assert found.offers == log.offer.value_counts().to_dict()
        assert found.cost == (log.offer == "ten").sum() + 2 * (log.offer == "ship").sum()
        with project.workspace() as workspace:
            keys = dict(
                project.understand(workspace).warehouse.rows(
                    "SELECT q.profile_id AS p, q.customer_id AS c FROM profile_customers AS q"
                )
            )
    log["customer_id"] = log.profile_id.map(keys)
    log["before"] = log.customer_id.map(orders.set_index("customer_id").total)
    suits = np.where(log.before < 100, "ten", "ship")
    rate = np.where(log.arm != "treatment", 0.15, np.where(log.offer == suits, 0.5, 0.25))
    buys = rng.random(len(log)) < rate
    after = pd.DataFrame({"customer_id": log.customer_id, "total": rng.lognormal(3, 0.4, len(log))})
    after["ordered_at"] = START + pd.to_timedelta(rng.uniform(1, 28, len(log)), "D")
    log["spent"] = after.total.where(buys, 0.0)
    everything = pd.concat([orders, after[buys]], ignore_index=True)
    write(folder, "orders", everything.assign(id=[f"o{i}" for i in range(len(everything))]))
    clock.now = START + timedelta(days=60)
    return folder, clock, log


def measured(folder: Path, clock: Clock) -> OfferLift:
    with open_project(folder, clock) as project, project.workspace() as workspace:
        assert isinstance(workspace, Workspace)
        found = project.understand(workspace)
        (lift,) = offer_lifts(project.config, project.state, workspace, as_of=found.as_of)
    return lift


def test_offers_are_compared_as_pandas_does_in_all_and_by_segment(
    ran: tuple[Path, Clock, pd.DataFrame],
) -> None:
    folder, clock, log = ran
    lift = measured(folder, clock)
    label = log.offer.fillna(log.arm)
    where = {
        ("", ""): log.spent >= 0,
        ("segment", "small"): log.before < 100,
        ("segment", "large"): log.before >= 100,
        ("segment", "alike"): log.before.between(90, 110, inclusive="left"),
    }
    assert {(one.dimension, one.name) for one in lift.comparisons} == set(where)
    for one in lift.comparisons:
        mine = where[one.dimension, one.name]
        for name, n, mean in (
            (one.first, one.n_first, one.mean_first),
            (one.second, one.n_second, one.mean_second),
        ):
            spent = log.spent[mine & (label == name)]
            assert (n, mean) == (len(spent), pytest.approx(spent.mean(), abs=0.01))
    assert lift.best_of("segment", "small") == "ten"
    assert lift.best_of("segment", "large") == "ship"
    assert lift.best_of("segment", "alike") is None


def test_each_segment_is_given_its_best_and_the_others_the_stated_one(
    ran: tuple[Path, Clock, pd.DataFrame],
) -> None:
    folder, clock, log = ran
    with open_project(folder, clock) as project:
        plan = project.plan()
        changes = pd.read_parquet(plan.changes_path)
        records = changes[(changes.kind == "record") & changes.properties.notna()]
        found: dict[str, set[str]] = {"small": set(), "large": set(), "alike": set()}
        for text in records.properties:
            for name, value in json.loads(text).items():
                if name in found and value is not None:
                    found[name].add(value)
        assert found == {"small": {"ten_percent"}, "large": {"free_shipping"}, "alike": {"nothing"}}
        said = {note.subject: note.message for note in plan.header.notes}
        assert said["campaigns.for_small.strategy"].startswith("Gives ten: ten beats control and")
        assert said["campaigns.for_alike.strategy"].startswith("Gives plain: ")
        cost = {one.campaign: one.cost for one in plan.header.campaigns}
        arms = {one.campaign: one.arms.get("treatment", 0) for one in plan.header.campaigns}
        assert cost["for_large"] == 2 * arms["for_large"]
        assert cost["for_alike"] == 0
        # Whoever tried an offer is told so.
        person = log[log.offer == "ship"].customer_id.iloc[0]
        (view,) = [one for one in explain(project, person).campaigns if one.campaign == "trial"]
        assert view.offer == "ship"


def test_the_report_tells_which_offer_works_for_whom(
    ran: tuple[Path, Clock, pd.DataFrame],
) -> None:
    folder, clock, _ = ran
    with open_project(folder, clock) as project:
        data = gather_report(project)
        (summary,) = data.offers
        assert [one.name for one in summary.classes] == ["", "alike", "large", "small"]
        small = summary.classes[-1]
        assert (small.best, [cell.name for cell in small.cells]) == (
            "ten", ["ship", "ten", "no_contact"]
        )  # fmt: skip
        assert ReportData.from_json(json.loads(json.dumps(data.to_json()))).offers == data.offers
        text = render_html(data, only=["offers"])
        assert "Which offer works for whom" in text
        assert small.reason in text


def test_effects_are_told_by_bands_of_a_feature_as_people_were_assigned(
    ran: tuple[Path, Clock, pd.DataFrame],
) -> None:
    folder, clock, log = ran
    text = CONFIG.replace("{flat_margin: 1%}", "{flat_margin: 1%, segments_by: [monetary]}")
    with open_project(folder, clock, text) as project, project.workspace() as workspace:
        found = project.understand(workspace)
        lifts = measure(project.config, project.state, workspace, as_of=found.as_of)
    (goal,) = [one for one in lifts if one.campaign == "trial" and one.is_goal]
    bands = pd.qcut(log.before, 4, labels=False)
    assert [one.dimension for one in goal.segments] == ["monetary"] * 4
    for i, one in enumerate(goal.segments):
        mine = log[bands == i]
        assert one.name.startswith(f"{i + 1} of 4: ")
        assert one.treatment.n == (mine.arm == "treatment").sum()
        assert one.holdout.n == (mine.arm == "no_contact").sum()
        spent = mine.spent[mine.arm == "treatment"]
        assert one.treatment.mean == pytest.approx(spent.mean(), abs=0.01)
        assert one.p_value is not None
        assert one.p_adjusted is not None
        assert one.p_adjusted >= one.p_value


def test_until_windows_close_nothing_is_proved(
    ran: tuple[Path, Clock, pd.DataFrame],
) -> None:
    folder, _, _ = ran
    lift = measured(folder, Clock(START + timedelta(days=20)))
    assert lift.best_of() is None
    assert {one.note for one in lift.comparisons} == {"Nobody's window has closed yet."}
