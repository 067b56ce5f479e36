"""Laws of every kind of model: a refit forgets what came before, and one seed gives one answer.

Models are made whole by ``fit`` and frozen, so that there is nothing to predict with before a fit.
What is left to prove is that nothing outside the model remembers: a fit on one shop between two
fits on another changes neither.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connector.models import affinity, clusters, pairs
from connector.models.clv import spend, two_stage
from connector.models.clv.histories import Histories
from connector.models.clv.purchase_fit import Family, fit, parameters
from connector.models.propensity import PropensitySpec, Snapshot
from connector.models.propensity import fit as fit_propensity
from connector.models.propensity.spec import ALGORITHMS
from tests.models.affinity.shoppers import planted as shoppers
from tests.models.clusters.people import FEATURES
from tests.models.clusters.people import planted as people
from tests.models.clv.cdnow import beta_geometric_shop

AS_OF = datetime(2026, 3, 1, 6, tzinfo=UTC)


def propensity(algorithm: str, shop: int) -> dict[str, Any]:
    rng = np.random.default_rng(shop)

    def snapshot(month: int) -> Snapshot:
        frame = pd.DataFrame(
            rng.normal(size=(500, 3)),
            columns=["a", "b", "c"],
            index=[f"p{i:03}" for i in range(500)],
        )
        label = (rng.random(500) < 1 / (1 + np.exp(-frame["a"] - frame["b"]))).astype(float)
        return Snapshot(datetime(2025, month, 1, tzinfo=UTC), frame, label, None)

    spec = PropensitySpec("buys", window_days=30, algorithms=(algorithm,), folds=1)
    snapshots = [snapshot(month) for month in (3, 5, 7)]
    model = fit_propensity(spec, snapshots, as_of=AS_OF, rng=np.random.default_rng(0))
    return model.to_dict()


def histories(shop: int) -> Histories:
    rng = np.random.default_rng(shop)
    age = rng.integers(60, 600, 1_500).astype(float)
    return beta_geometric_shop(
        rng, age, 1.0, r=0.4 + 0.1 * shop, alpha=40.0, a=0.8, b=2.4, modified=True
    ).histories


def purchase_model(family: Family) -> Callable[[int], dict[str, Any]]:
    return lambda shop: dict(parameters(fit(histories(shop), family).model))


def spend_model(shop: int) -> dict[str, Any]:
    rng = np.random.default_rng(shop)
    repeats = rng.integers(1, 9, 600).astype(float)
    mean = rng.gamma(6.0 * repeats, rng.gamma(4.0, 1.0 + shop, 600) / repeats)
    return {"fitted": repr(spend.fit(repeats, mean).model)}


def trees(shop: int) -> dict[str, Any]:
    rng = np.random.default_rng(shop)
    matrix = rng.normal(size=(900, 2))
    value = np.where(rng.random(900) < 0.4, np.exp(matrix[:, 0]) * 20, 0.0)
    model = two_stage.fit(("a", "b"), matrix, value, np.random.default_rng(0))
    return model.to_dict()


def cluster_model(shop: int) -> dict[str, Any]:
    frame, _ = people(shop, n=300)
    spec = clusters.ClusterSpec(
        features=FEATURES, algorithms=("kmeans",), k=(4, 4), n_bootstrap=2, choose_sample=200
    )
    rng = np.random.default_rng(0)
    return clusters.fit(frame, spec, as_of=AS_OF, rng=rng, meanings={}).to_dict()


def lines(shop: int) -> pd.DataFrame:
    frame, _, _ = shoppers(shop, n_people=150, k=3, n_items=15)
    days = pd.to_timedelta(np.random.default_rng(shop).integers(1, 200, len(frame)), "D")
    when = pd.Series(pd.Timestamp(2026, 3, 1) - days, frame.index)
    return frame.assign(at=when.groupby(frame["basket_id"]).transform("first"))


def topics(shop: int) -> dict[str, Any]:
    spec = affinity.AffinitySpec(topics=(3, 3), n_starts=1, choose_sample=150, min_people=50)
    rng = np.random.default_rng(0)
    return affinity.fit(lines(shop), spec, as_of=AS_OF, rng=rng).to_dict()


PAIRS = pairs.PairSpec(min_support=5, min_lift=1.0)


def next_products(shop: int) -> dict[str, Any]:
    spec = replace(pairs.NextSpec(), min_people=20)
    rng = np.random.default_rng(0)
    return pairs.fit_next(lines(shop), spec, as_of=AS_OF, rng=rng, pairs=PAIRS).to_dict()


KINDS: dict[str, Callable[[int], dict[str, Any]]] = {
    **{name: (lambda shop, name=name: propensity(name, shop)) for name in ALGORITHMS},
    **{family.value: purchase_model(family) for family in Family},
    "gamma_gamma": spend_model,
    "two_stage": trees,
    "clusters": cluster_model,
    "topics": topics,
    "pairs": lambda shop: pairs.fit(lines(shop), PAIRS, as_of=AS_OF).to_dict(),
    "next_products": next_products,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_refit_forgets_and_a_seed_gives_one_answer(kind: str) -> None:
    def fitted(shop: int) -> str:
        return json.dumps(KINDS[kind](shop), sort_keys=True)

    alone = fitted(1)
    other = fitted(2)
    assert other != alone
    assert fitted(1) == alone
