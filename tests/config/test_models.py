"""Models of the file: what is read, and what is said of broken ones, word for word."""

# ruff: noqa: E501 - messages are kept in one piece

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.config import Config, InvalidConfigError, parse_config
from connector.config.models import (
    AffinityModel,
    AssociationModel,
    ClusterModel,
    ClvModel,
    PropensityModel,
)
from tests.config.shop import ENVIRON, MINIMAL

MODELS = """\
models:
  purchase_30d:
    type: propensity
    predict: {event: orders, at_least: 1}
    predict_window: 30d
    eligible: "last_order_age_days <= 540"
    algorithms: [logistic, gradient_boosting]
    validate: {split: time, folds: 3, gap: 7d}
    calibrate: isotonic
    publish_if: {positives_at_least: 500, auc_at_least: 0.65, beats: [recency_days], ece_at_most: 0.05}
  churn_90d:
    type: propensity
    predict: {event: orders, none_within: 90d}
    predict_window: 90d
  clv_365d:
    type: clv
    value: net_revenue
    tiers: {platinum: top 1%, gold: top 5%, bronze: rest}
  personas:
    type: cluster
    features: [orders_365d, revenue_365d]
    k: 4-8
    labels: {registry: ./labels/personas.yaml, min_overlap: 0.8}
  affinity: {type: lda, topics: 6, level: product}
  pairs: {type: association, min_support: 50, level: product}
"""


ITEMS = """\
  order_items:
    from: shop.items
    columns: {order_id: order_id, product_id: sku, quantity: quantity, price: price}
consent:
"""


def read(models: str) -> Config:
    with_items = MINIMAL.replace("consent:\n", ITEMS, 1)
    return parse_config(with_items + models, ENVIRON, name="shop.yaml")


def test_every_kind_is_read() -> None:
    models = dict(read(MODELS).models.named())
    purchase, churn, clv, personas, affinity, pairs = models.values()
    assert isinstance(purchase, PropensityModel)
    assert purchase.predict_window == timedelta(days=30)
    assert purchase.validate_.gap == timedelta(days=7)
    assert purchase.publish_if.positives_at_least == 500
    assert isinstance(churn, PropensityModel)
    assert churn.predict.none_within == timedelta(days=90)
    assert isinstance(clv, ClvModel)
    assert clv.tiers == {"platinum": 0.01, "gold": 0.05, "bronze": 1.0}
    assert isinstance(personas, ClusterModel)
    assert personas.k == (4, 8)
    assert personas.labels is not None
    assert isinstance(affinity, AffinityModel)
    assert affinity.topics == (6, 6)
    assert isinstance(pairs, AssociationModel)


def test_rfm_runs_without_a_word() -> None:
    assert read("").models.rfm.window == timedelta(days=730)
    assert list(read("").models.named()) == []


CASES = [
    (
        "type: clv",
        "type: clw",
        "shop.yaml:43: models.clv_365d.type: found 'clw'; allowed: type: propensity | clv | cluster | lda | association | uplift. Did you mean 'clv'?",
    ),
    (
        "    type: clv\n",
        "",
        "shop.yaml:42: models.clv_365d.type: is missing; allowed: type: propensity | clv | cluster | lda | association | uplift.",
    ),
    (
        "k: 4-8",
        "kk: 4-8",
        "shop.yaml:49: models.personas.kk: unknown key; allowed: type, eligible, features, scale, algorithms, k, choose_by, project, labels, refit. Did you mean 'k'?",
    ),
    (
        "k: 4-8",
        "k: 8-4",
        "shop.yaml:49: models.personas.k: found '8-4'; allowed: a number or a range of 2 to 50, such as 6 or 4-8.",
    ),
    (
        "features: [orders_365d, revenue_365d]",
        "features: [orders_365d]",
        "shop.yaml:48: models.personas.features: found a list; allowed: at least 2 entries.",
    ),
    (
        "algorithms: [logistic, gradient_boosting]",
        "algorithms: [logistic, gradient_bosting]",
        "shop.yaml:34: models.purchase_30d.algorithms[1]: found 'gradient_bosting'; allowed: logistic, random_forest, gradient_boosting, neural_net. Did you mean 'gradient_boosting'?",
    ),
    (
        "predict: {event: orders, at_least: 1}",
        "predict: {event: orders, atleast: 1}",
        "shop.yaml:31: models.purchase_30d.predict.atleast: unknown key; allowed: event, where, at_least, none_within. Did you mean 'at_least'?",
    ),
    (
        "predict: {event: orders, at_least: 1}",
        "predict: {event: orders, at_least: 1, none_within: 30d}",
        "shop.yaml:31: models.purchase_30d.predict: both at_least and none_within; allowed: one of them.",
    ),
    (
        "predict: {event: orders, none_within: 90d}",
        "predict: {event: orders, none_within: 60d}",
        "shop.yaml:41: models.churn_90d.predict_window: found 90d, but none_within is 60d; allowed: the same.",
    ),
    (
        "predict: {event: orders, at_least: 1}",
        "predict: {event: order, at_least: 1}",
        "shop.yaml:31: models.purchase_30d.predict.event: no configured table is named 'order'; allowed: customers, orders, order_items. Did you mean 'orders'?",
    ),
    (
        "calibrate: isotonic",
        "profit: {value: 0, cost: 0.5}",
        "shop.yaml:36: models.purchase_30d.profit.value: found 0; allowed: more than 0.",
    ),
    (
        "calibrate: isotonic",
        "profit: {value: 40}",
        "shop.yaml:36: models.purchase_30d.profit.cost: is missing.",
    ),
    (
        "platinum: top 1%",
        "platinum: 1%",
        "shop.yaml:45: models.clv_365d.tiers.platinum: found '1%'; allowed: a share from the top, such as top 5%, or rest.",
    ),
    (
        "  personas:\n",
        "  Personas:\n",
        "shop.yaml:46: models.Personas: found 'Personas'; allowed: a name of lower-case letters, digits and _ that starts with a letter. Did you mean 'personas'?",
    ),
    (
        "positives_at_least: 500",
        "positives_at_least: 50",
        "shop.yaml:37: models.purchase_30d.publish_if.positives_at_least: found 50; allowed: 100 or more.",
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), CASES)
def test_what_is_said(before: str, after: str, expected: str) -> None:
    assert MODELS.count(before) == 1
    with pytest.raises(InvalidConfigError) as caught:
        read(MODELS.replace(before, after))
    assert str(caught.value) == expected


def test_a_mistake_in_a_model_casts_no_doubt_on_the_segments_that_name_labels() -> None:
    loyal = "segments:\n  loyal: {from: personas.c1}\n"
    text = MINIMAL.replace("consent:\n", ITEMS, 1).replace("segments:\n", loyal, 1)
    config = parse_config(text + MODELS, ENVIRON, name="shop.yaml")
    assert config.segments["loyal"].from_ == "personas.c1"
    with pytest.raises(InvalidConfigError) as caught:
        parse_config(text + MODELS.replace("k: 4-8", "k: 8-4"), ENVIRON, name="shop.yaml")
    assert "models.personas.k: found '8-4'" in str(caught.value)
    assert "segments" not in str(caught.value)


def test_a_rate_in_words_is_told_to_be_a_number() -> None:
    text = MODELS.replace("    type: clv\n", "    type: clv\n    discount_rate: 10%\n")
    with pytest.raises(InvalidConfigError, match=r"discount_rate: found '10%'; allowed: a number"):
        read(text)
