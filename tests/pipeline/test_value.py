"""The lifetime value model of the product: whom it must beat, and what stands beside the trees."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connector.config import InvalidConfigError
from connector.models.clv.backtest import accuracy
from connector.models.clv.purchase_fit import Family, fit
from connector.models.clv.purchases import expected_purchases, p_alive
from connector.models.clv.transactions import observe
from connector.pipeline.scoring import value_trials as trials
from connector.pipeline.scoring.transactions import observed_to, read_transactions
from tests.pipeline.modelled_shop import AS_OF, CONFIG, MODELS, Clock, build, open_project

TREES = """\
models:
  clv:
    type: clv
    horizon: 90d
    algorithms: [two_stage_gbm]
    features: [recency_days, orders_365d, revenue_365d, email_click_rate_90d, first_order_age_days]
    publish_if: {beats: [zero], total_error_at_most: 60%}
    outputs: [expected, p_alive, p_no_purchase, expected_orders, next_order_date]
"""
TEXT = CONFIG.replace(MODELS, TREES).replace("purchase_30d.percentile", "clv.percentile")
TEXT = TEXT.replace("clv.tier in ('platinum', 'gold')", "clv.p_alive >= 0.5")
EVENTS = """\
  events:
    from: shop.events
    columns: {event_id: id, event: event, occurred_at: occurred_at, customer_id: customer_id}
"""


def settings_of(text: str, folder: Path) -> object:
    """Settings of the value model of a file."""
    with contextlib.closing(open_project(folder, Clock(), text=text)) as project:
        return dict(project.config.models.named())["clv"]


def test_only_the_rules_that_the_file_names_must_be_beaten(tmp_path: Path) -> None:
    """A model between the two rules in squared error: zero is beaten, last year is not."""
    actual = np.array([0.0, 0.0, 4.0, 4.0])
    results = {
        "last_365d_value": [accuracy(np.array([0.0, 0.0, 3.9, 4.1]), actual)],
        "mbg_nbd_gamma_gamma": [accuracy(np.array([1.0, 1.0, 3.0, 3.0]), actual)],
        "zero": [accuracy(np.zeros(4), actual)],
    }

    def choose(beats: str) -> str | None:
        gates = f"publish_if: {{backtest_windows: 1{beats}}}"
        text = CONFIG.replace("publish_if: {backtest_windows: 1}", gates)
        return trials.choose(settings_of(text, tmp_path), results).name

    assert choose(", beats: [zero]") == "mbg_nbd_gamma_gamma"
    assert choose(", beats: []") == "mbg_nbd_gamma_gamma"
    assert choose(", beats: [last_365d_value]") is None
    assert choose("") is None
    with pytest.raises(InvalidConfigError, match=r"models\.clv\.publish_if\.beats\[0\].*last_365d"):
        choose(", beats: [last_year_value]")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame, pd.DataFrame, dict]:
    """A shop whose trees win: what they say, what a model of purchases says, and the card.

    The shop has an events table without any e-mail, so one of the features is known of nobody.
    """
    import duckdb

    folder = tmp_path_factory.mktemp("trees")
    build(folder, n=700)
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute(
            "CREATE TABLE events AS SELECT 'e1' AS id, 'Product Viewed' AS event,"
            " TIMESTAMPTZ '2026-01-01 00:00:00+00' AS occurred_at, 'c0001' AS customer_id"
        )
    text = TEXT.replace("  products:\n", EVENTS + "  products:\n", 1)
    with contextlib.closing(open_project(folder, Clock(), text=text)) as project:
        plan = project.plan()
        with project.workspace() as workspace:
            context = project.understand(workspace, as_of=AS_OF).context
            settings = dict(project.config.models.named())["clv"]
            transactions = read_transactions(context, "clv", settings)
            known = observe(transactions, observed_to(context))
    model = fit(known.histories, Family.MBG).model
    ours = pd.DataFrame(
        {
            "p_alive": p_alive(model, known.histories),
            "expected_orders": expected_purchases(model, known.histories, 90),
        },
        index=transactions.ids[known.index],
    )
    published = plan.folder / "published"
    (standing,) = [
        one
        for one in json.loads((published / "models.json").read_text(encoding="utf-8"))
        if one["name"] == "clv"
    ]
    scores = pd.read_parquet(published / "scores.parquet").set_index("profile_id")
    return folder, scores, ours, standing


def test_trees_with_a_feature_that_is_known_of_nobody_are_published(
    ran: tuple[Path, pd.DataFrame, pd.DataFrame, dict],
) -> None:
    _, scores, _, standing = ran
    assert standing["card"]["algorithm"] == "two_stage_gbm", standing
    assert scores["email_click_rate_90d"].isna().all()
    assert scores["clv.expected"].notna().sum() > 500


def test_activity_and_orders_beside_the_trees_are_those_of_the_purchase_model(
    ran: tuple[Path, pd.DataFrame, pd.DataFrame, dict],
) -> None:
    _, scores, ours, standing = ran
    for column in ours:
        theirs = scores[f"clv.{column}"].dropna()
        assert len(theirs) == len(ours)
        assert theirs.to_numpy() == pytest.approx(ours[column].reindex(theirs.index), abs=1e-3)
    assert scores["clv.next_order_date"].notna().any()
    assert any("told by a mbg_nbd model of purchases" in note for note in standing["card"]["notes"])
