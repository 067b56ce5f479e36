"""An uplift model in a project: learned from the log of arms, as things were at the drawing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from connector.config import load_config
from connector.errors import ConfigError
from connector.models.uplift import Trials
from connector.pipeline.person.explain import explain
from connector.pipeline.project import Project
from connector.pipeline.scoring import uplift
from connector.pipeline.scoring.past_arms import read_past_arms
from connector.state import schema

START = datetime(2026, 1, 5, 5, tzinfo=UTC)
N_PEOPLE = 1_400
CONFIG = """\
project: {name: uplifted, timezone: Europe/Berlin, currency: EUR}
sources: {shop: {type: duckdb, path: shop.duckdb}}
tables:
  customers:
    from: shop.customers
    columns: {customer_id: id, email: email, created_at: created_at}
  orders:
    from: shop.orders
    columns: {order_id: id, customer_id: customer_id, ordered_at: ordered_at, gross: total}
models:
  gain:
    type: uplift
    learner: LEARNER
    train_on: {campaign: offer, min_per_arm: 400}
    features: [recency_days, monetary, orders_365d]
    publish_if: {qini_ci_low_above: 0, beats: [recency_days, monetary]}
segments:
  buyers: {where: "lifetime_orders >= 1"}
  worth_it: {where: "gain.percentile >= 70 and gain.uplift > 0"}
destinations: {files: {type: csv_export, path: ./out, requires: none_internal,
    match_on: profile_id, properties: {gain: gain.uplift}}}
campaigns:
  offer: {segment: buyers, to: [files], arms: {treatment: 50%, no_contact: 50%},
          goal: revenue_per_person_30d}
holdouts: {assign: {salt: "${SALT}"}}
guards: {needs_approval: {first_sync: false}, removals_above: 100%, additions_above: 100%}
"""


@dataclass
class Shop:
    """A shop whose orders of before are drawn, and those of after follow from the arms."""

    folder: Path
    orders: pd.DataFrame
    now: datetime = START

    @classmethod
    def build(cls, folder: Path) -> Shop:
        rng = np.random.default_rng(4)
        customers = pd.DataFrame(
            {
                "id": [f"c{i:04d}" for i in range(N_PEOPLE)],
                "email": [f"c{i:04d}@mail.example" for i in range(N_PEOPLE)],
            }
        )
        # Two in five come between the first run and the second, a week later.
        late = np.arange(N_PEOPLE) % 5 < 2
        latest = START - timedelta(days=1)
        since = np.where(late, 5.0, -rng.uniform(0, 300, N_PEOPLE))
        customers["created_at"] = [latest + timedelta(days=float(x)) for x in since]
        orders = pd.DataFrame(
            {
                "customer_id": customers.id,
                "ordered_at": customers.created_at + timedelta(hours=1),
                "total": rng.uniform(10, 200, N_PEOPLE).round(2),
            }
        )
        shop = cls(folder, orders)
        customers["created_at"] = [min(one, latest) for one in customers.created_at]
        shop._write("customers", customers)
        shop.write_orders()
        return shop

    def write_orders(self) -> None:
        frame = self.orders.assign(id=[f"o{i:06d}" for i in range(len(self.orders))])
        self._write("orders", frame)

    def _write(self, name: str, frame: pd.DataFrame) -> None:
        with duckdb.connect(str(self.folder / "shop.duckdb")) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.register("incoming", frame)
            con.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")

    def project(self, learner: str = "two_model", text: str = CONFIG) -> Project:
        path = self.folder / "liftline.yaml"
        path.write_text(text.replace("LEARNER", learner))
        return Project(
            load_config(path, {"SALT": "a-salt-of-some-length"}),
            clock=lambda: self.now,
            identity_key="k",
        )

    def happen(self, project: Project) -> pd.DataFrame:
        """Orders after the arms were drawn: what the offer brings depends on two features."""
        rng = np.random.default_rng(5)
        with project.state.engine.connect() as connection:
            log = pd.read_sql(sa.select(schema.assignments), connection)
        keys = dict(self._customers(project))
        log["customer_id"] = log.profile_id.map(keys)
        before = self.orders.set_index("customer_id")
        log["monetary"] = log.customer_id.map(before.total)
        starts = pd.to_datetime(log.first_eligible_at)
        log["recency_days"] = (starts - log.customer_id.map(before.ordered_at)).dt.days
        brings = 30.0 * (log.monetary > 105) + 30.0 * (log.recency_days < 100)
        spent = 20 + brings * (log.arm == "treatment") + rng.normal(scale=5, size=len(log))
        buys = rng.random(len(log)) < 0.8
        after = pd.DataFrame(
            {
                "customer_id": log.customer_id,
                "ordered_at": starts + pd.to_timedelta(rng.uniform(1, 29, len(log)), "D"),
                "total": spent.clip(lower=1).round(2),
            }
        )[buys]
        self.orders = pd.concat([self.orders, after], ignore_index=True)
        self.write_orders()
        return log.assign(brings=brings * 0.8)

    def _customers(self, project: Project) -> list[tuple[str, str]]:
        with project.workspace() as workspace:
            found = project.understand(workspace)
            return [
                (str(p), str(c))
                for p, c in found.warehouse.rows(
                    "SELECT q.profile_id AS p, q.customer_id AS c FROM profile_customers AS q"
                )
            ]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, pd.DataFrame]:
    """Two runs a week apart, what followed, and 40 days later."""
    shop = Shop.build(tmp_path_factory.mktemp("uplifted"))
    with shop.project() as project:
        plan, _ = project.sync()
        assert {one["name"]: one["use"] for one in plan.header.models}["gain"] == "none"
        shop.now += timedelta(days=7)
        _, report = project.sync()
        assert report.status == "succeeded", report.guards
        log = shop.happen(project)
    shop.now += timedelta(days=40)
    return shop, log


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[Trials]:
    """What the fit was given."""
    given: list[Trials] = []
    plain = uplift.fit

    def fit(spec, trials, **rest):  # type: ignore[no-untyped-def]
        given.append(trials)
        return plain(spec, trials, **rest)

    monkeypatch.setattr(uplift, "fit", fit)
    return given


def test_it_learns_what_was_known_then_and_is_used_where_it_holds(
    ran: tuple[Shop, pd.DataFrame], captured: list[Trials]
) -> None:
    shop, log = ran
    with shop.project() as project:
        done = project.train()
        (standing,) = [one for one in done.models if one.name == "gain"]
        assert standing.refusal is None, standing.refusal
        assert standing.contest is not None
        assert standing.contest.value > (standing.contest.baseline or 0)

        # Features are those of the instant of assignment: an order since has changed them.
        (trials,) = captured
        then = log.set_index(["profile_id", "epoch"]).sort_index()
        features = trials.features.sort_index()
        assert features.index.equals(then.index)
        assert (features["recency_days"] == then["recency_days"]).all()
        assert features["monetary"].to_numpy() == pytest.approx(then["monetary"].to_numpy())
        assert (features["orders_365d"] == 1).all()
        assert (trials.treated.sort_index() == (then["arm"] == "treatment")).all()
        assert (trials.chance == 0.5).all()
        assert len(set(log.first_eligible_at)) == 2

        # The outcome is revenue within 30 days of the person's own start.
        bought = trials.outcome.sort_index()
        assert bought.groupby(then["arm"]).mean()["treatment"] == pytest.approx(
            0.8 * 20 + then.brings[then.arm == "treatment"].mean(), abs=3
        )

        plan = project.plan()
        short = {one["name"]: one for one in plan.header.models}["gain"]
        assert (short["use"], short["measure"]) == ("stored", "qini")
        assert 0 < plan.header.segments["worth_it"] < N_PEOPLE
        with project.workspace() as workspace:
            found = project.understand(workspace)
            scored = found.warehouse.connection.execute(
                'SELECT profile_id, "gain.uplift" AS uplift FROM scored'
            ).df()
            gain = scored.set_index("profile_id").uplift
            assert gain.notna().all()
            assert {m.name: m.unit for m in found.features}["gain.uplift"] == "currency per person"
        told = explain(project, "c0001").models.uplifts
        assert told[0].uplift == pytest.approx(
            gain[log.set_index("customer_id").profile_id["c0001"]]
        )
        assert "is expected to bring" in told[0].words


def test_whose_window_is_open_teaches_nothing(
    ran: tuple[Shop, pd.DataFrame], captured: list[Trials]
) -> None:
    """31 days after the first run its people count, and those of the second do not."""
    shop, log = ran
    with shop.project("direct") as project:
        as_of = START + timedelta(days=31)
        project.train(as_of=as_of)
    first = log[log.first_eligible_at == log.first_eligible_at.min()]
    assert set(captured[0].features.index.get_level_values("profile_id")) == set(first.profile_id)


def test_merged_people_have_their_earliest_arm(ran: tuple[Shop, pd.DataFrame]) -> None:
    shop, log = ran
    early, late = log.sort_values("first_eligible_at").profile_id.iloc[[0, -1]]
    with shop.project() as project:
        with project.state.engine.begin() as connection:
            connection.execute(
                schema.profile_merges.insert().values(
                    from_profile_id=early, into_profile_id=late, reason="email", at="2026-03-01"
                )
            )
        try:
            past = read_past_arms(project.state, "offer")
        finally:
            with project.state.engine.begin() as connection:
                connection.execute(schema.profile_merges.delete())
    rows = past.people.to_pandas().set_index("profile_id")
    assert early not in rows.index
    assert rows.arm[late] == log.set_index("profile_id").arm[early]
    assert len(rows) == N_PEOPLE - 1
    assert read_past_arms(project.state, "other").people.num_rows == 0


def test_many_instants_are_cut_into_stretches_that_look_back_only() -> None:
    times = pd.Series(pd.date_range("2025-01-01", periods=400, freq="D"))
    found = uplift._instants(times)
    assert (found <= times).all()
    assert found.nunique() <= uplift.MOST_INSTANTS
    assert (times - found).max() <= pd.Timedelta(days=400 / uplift.MOST_INSTANTS)
    few = times.iloc[:20]
    assert uplift._instants(few).equals(few)


def test_a_campaign_that_has_not_run_leaves_the_columns_empty_and_says_so(tmp_path: Path) -> None:
    shop = Shop.build(tmp_path)
    with shop.project() as project:
        done = project.train()
    (standing,) = [one for one in done.models if one.name == "gain"]
    assert standing.refusal is not None
    assert "has nobody in treatment or no_contact" in standing.refusal.reasons[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("campaign: offer", "campaign: ofer", "no campaign is named 'ofer'"),
        ("min_per_arm: 400", "min_per_arm: 400, control: business_as_usual", "has no arm business"),
        ("{treatment: 50%, no_contact: 50%}", "{treatment: 100%}", "treats everybody"),
        ("learner: LEARNER", "metric: profits", "no metric is named 'profits'"),
        ("properties: {gain: gain.uplift}", "properties: {gain: gain.upward}", "output of model"),
        ("learner: LEARNER", "learner: s_learner", "s_learner"),
    ],
)
def test_what_the_file_may_not_say(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "liftline.yaml"
    path.write_text(CONFIG.replace(old, new).replace("LEARNER", "direct"))
    with pytest.raises(ConfigError, match=said):
        load_config(path, {"SALT": "a-salt-of-some-length"})
