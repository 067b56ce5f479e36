"""Every goal of a forecast from the file to scores, and scores of other tools through its gates.

Who did what is counted again here, from the shop's own tables, without any of the product's SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from connector.pipeline.project import Project
from connector.pipeline.understand.act import Understanding
from tests.pipeline import modelled_shop
from tests.pipeline.modelled_shop import AS_OF, CONFIG, MODELS

WINDOW = timedelta(days=60)
CUT = AS_OF - WINDOW
COMMON = """predict_window: 60d, algorithms: [logistic], validate: {folds: 1},
    leakage_alarm_at: 0.99, features: [recency_days, orders_90d, orders_365d, revenue_365d]"""
GOALS = f"""\
models:
  buys: {{type: propensity, predict: {{event: orders, at_least: 2}}, {COMMON},
    publish_if: {{beats: [last_order_recency]}}}}
  quiet: {{type: propensity, predict: {{event: orders, none_within: 60d}}, {COMMON},
    eligible: "orders_365d >= 2"}}
  upgrade: {{type: propensity, predict: {{event: orders, where: "gross >= 60"}}, {COMMON}}}
  referral: {{type: propensity, predict: {{event: events, where: "event = 'Referral Sent'"}},
    {COMMON}}}
  response: {{type: propensity, predict: {{event: events,
    where: "event = 'Email Link Clicked' and campaign = 'spring'"}}, {COMMON}}}
  pans: {{type: propensity, predict: {{event: order_items, where: "category = 'pans'"}}, {COMMON}}}
  vertex: {{type: propensity, predict: {{event: orders}}, predict_window: 60d,
    validate: {{folds: 1}}, leakage_alarm_at: 0.99, publish_if: {{auc_at_least: 0.6}},
    external: {{from: shop.vertex, key: email, person: mail, score: per_cent, scored_at: made_at,
      scale: 100}}}}
  noise: {{type: propensity, predict: {{event: orders}}, predict_window: 60d,
    validate: {{folds: 1}}, publish_if: {{beats: [rfm_score]}},
    external: {{from: shop.noise, person: who, score: p, scored_at: made_at}}}}
  late: {{type: propensity, predict: {{event: orders}}, predict_window: 60d,
    validate: {{folds: 1}},
    external: {{from: shop.late, person: who, score: p, scored_at: made_at}}}}
"""
EVENTS = """\
  events:
    from: shop.events
    columns: {event_id: id, event: name, occurred_at: at, customer_id: who, campaign: mailing}
"""
TEXT = (
    CONFIG.replace(MODELS, EVENTS + GOALS)
    .replace("purchase_30d.percentile", "buys.percentile")
    .replace("  valuable: {where: \"clv.tier in ('platinum', 'gold')\"}\n", "")
)


def add_tables(folder: Path) -> None:
    """Events of people, more of them of those who buy much; and exports of three other tools."""
    rng = np.random.default_rng(5)
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute("SET TimeZone = 'UTC'")
        people = con.sql(
            "SELECT c.id, c.email, count(o.id) AS n FROM customers c"
            " LEFT JOIN orders o ON o.customer_id = c.id GROUP BY ALL ORDER BY 1"
        ).df()
        kinds = [("Referral Sent", None), ("Email Link Clicked", "spring"),
                 ("Email Link Clicked", "summer"), ("Product Viewed", None)]  # fmt: skip
        rows = []
        for person in people.itertuples():
            for name, mailing in kinds:
                for day in rng.uniform(0, 500, rng.poisson(0.5 + 0.2 * person.n)):
                    at = (AS_OF - timedelta(days=float(day))).replace(tzinfo=None)
                    rows.append((f"e{len(rows)}", name, at, person.id, mailing))
        con.register("made", pd.DataFrame(rows, columns=["id", "name", "at", "who", "mailing"]))
        # With their zone: times without one are the shop's own, not UTC.
        con.execute('CREATE TABLE events AS SELECT * REPLACE ("at"::TIMESTAMPTZ AS "at") FROM made')
        exports = []
        for made_at in (AS_OF - 3 * WINDOW, AS_OF - 2 * WINDOW, CUT, AS_OF):
            then = (made_at - timedelta(hours=3)).replace(tzinfo=None)
            recent = con.execute(
                "SELECT c.id, c.email, count(o.id) AS n FROM customers c LEFT JOIN orders o"
                " ON o.customer_id = c.id AND o.ordered_at < ?"
                " AND o.ordered_at >= ? - INTERVAL 180 DAY GROUP BY ALL ORDER BY 1",
                [made_at, made_at],
            ).df()
            chance = 1 - np.exp(-recent["n"] / 3)
            exports.append(recent.assign(per_cent=100 * chance, made_at=then))
        export = pd.concat(exports)
        con.register("exported", export.assign(p=rng.random(len(export))))
        con.execute("CREATE TABLE vertex AS SELECT email AS mail, per_cent, made_at FROM exported")
        con.execute("CREATE TABLE noise AS SELECT id AS who, p, made_at FROM exported")
        con.execute(
            "CREATE TABLE late AS SELECT id AS who, p, made_at + INTERVAL 4 HOUR AS made_at"
            " FROM exported"
        )


@dataclass(frozen=True)
class Found:
    """One first act over every goal."""

    project: Project
    act: Understanding
    folder: Path

    def card(self, model: str) -> dict:
        return self.act.scores.cards[model].to_dict()

    def findings(self, model: str) -> str:
        return " ".join(f.message for f in self.act.findings if f.subject == f"models.{model}")

    def rows(self, sql: str) -> set[str]:
        """Customers by the shop's own tables, in the window after the last cut-off."""
        with duckdb.connect(str(self.folder / "shop.duckdb"), read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'")
            return {who for (who,) in con.execute(sql, [CUT, AS_OF]).fetchall()}

    def known(self) -> set[str]:
        """Who was a customer at the cut-off."""
        return self.rows("SELECT id FROM customers WHERE created_at < $1 AND $2 > $1")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    folder = tmp_path_factory.mktemp("goals")
    modelled_shop.build(folder, n=500)
    add_tables(folder)
    with (
        modelled_shop.open_project(folder, modelled_shop.Clock(), text=TEXT) as project,
        project.workspace() as warehouse,
    ):
        yield Found(project, project.understand(warehouse), folder)


WHO = {
    "buys": "SELECT customer_id FROM orders WHERE ordered_at >= $1 AND ordered_at < $2"
    " GROUP BY 1 HAVING count(*) >= 2",
    "upgrade": "SELECT customer_id FROM orders WHERE ordered_at >= $1 AND ordered_at < $2"
    " AND total >= 60",
    "referral": 'SELECT who FROM events WHERE "at" >= $1 AND "at" < $2'
    " AND name = 'Referral Sent'",
    "response": 'SELECT who FROM events WHERE "at" >= $1 AND "at" < $2 AND mailing = \'spring\'',
    "pans": "SELECT o.customer_id FROM orders o JOIN items i ON i.order_id = o.id"
    " JOIN products p ON p.id = i.product_id AND p.category = 'pans'"
    " WHERE o.ordered_at >= $1 AND o.ordered_at < $2",
}


@pytest.mark.parametrize("model", WHO)
def test_who_did_it_is_who_did_it(found: Found, model: str) -> None:
    card = found.card(model)
    did = found.rows(WHO[model]) & found.known()
    assert card["metrics"]["n_tested_positive"] == len(did)
    assert card["metrics"]["n_tested"] == len(found.known())
    assert card["metrics"]["auc"] > 0.55


def test_whoever_stops_is_looked_for_among_the_eligible(found: Found) -> None:
    eligible = found.rows(
        "SELECT customer_id FROM orders WHERE ordered_at < $1"
        " AND ordered_at >= $1 - INTERVAL 365 DAY AND $2 > $1 GROUP BY 1 HAVING count(*) >= 2"
    )
    buyers = found.rows("SELECT customer_id FROM orders WHERE ordered_at >= $1 AND ordered_at < $2")
    card = found.card("quiet")
    assert card["metrics"]["n_tested"] == len(eligible)
    assert card["metrics"]["n_tested_positive"] == len(eligible - buyers)


def test_forecasts_of_orders_stand_beside_a_purchase_model(found: Found) -> None:
    for model in ("buys", "quiet"):
        rival = found.card(model)["baselines"]["btyd"]
        assert 0.5 < rival["auc"] < 1
        assert "brier" in rival
    assert "btyd" not in found.card("upgrade")["baselines"]
    assert "last_order_recency" in found.card("buys")["baselines"]


def test_a_good_export_is_used_in_its_own_order(found: Found) -> None:
    rows = found.act.warehouse.rows(
        'SELECT c.customer_id, s."vertex.probability", s."vertex.percentile" FROM scored AS s'
        " JOIN profile_customers AS c ON c.profile_id = s.profile_id"
    )
    scores = {who: (p, percentile) for who, p, percentile in rows if p is not None}
    with duckdb.connect(str(found.folder / "shop.duckdb"), read_only=True) as con:
        given = dict(
            con.sql(
                "SELECT c.id, v.per_cent / 100 FROM vertex v JOIN customers c ON c.email = v.mail"
                " WHERE v.made_at > TIMESTAMP '2026-03-01'"
            ).fetchall()
        )
    assert found.card("vertex")["kind"] == "external_propensity"
    assert len(scores) > 300
    assert {who: p for who, (p, _) in scores.items()} == pytest.approx(
        {who: given[who] for who in scores}
    )
    ordered = sorted(scores.values())
    assert [percentile for _, percentile in ordered] == sorted(p for _, p in ordered)


def test_a_bad_and_a_late_export_are_refused_with_the_reason(found: Found) -> None:
    assert not {"noise", "late"} & set(found.act.scores.cards)
    assert "AUC" in found.findings("noise")
    assert "of the RFM score" in found.findings("noise")
    assert found.findings("late")
