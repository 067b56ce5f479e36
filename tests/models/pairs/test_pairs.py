"""Pairs against mlxtend, against arules' Groceries as it is published, and against simulation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connector.errors import InsufficientDataError, ModelError
from connector.models.pairs import PairsModel, PairSpec, fit
from connector.models.pairs.rules import lift_interval
from tests.profiles.tables import shared_data

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)
GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())


def order_lines(baskets: list[str]) -> pd.DataFrame:
    """One line for each letter of each basket; five people in turn, one basket a day."""
    rows = [
        (f"p{i % 5}", f"b{i:04d}", item, pd.Timestamp(2025, 1, 1) + pd.Timedelta(days=i))
        for i, basket in enumerate(baskets)
        for item in basket
    ]
    return pd.DataFrame(rows, columns=["profile_id", "basket_id", "item", "at"])


SPEC = PairSpec(min_support=GOLDEN["min_support"], min_lift=0.0, min_baskets=1)


def golden() -> PairsModel:
    return fit(order_lines(GOLDEN["baskets"]), SPEC, as_of=AS_OF)


def test_pairs_are_mlxtends() -> None:
    ours = golden().rules().sort_values(["item", "goes_with"], ignore_index=True)
    theirs = pd.DataFrame(GOLDEN["rules"])
    pd.testing.assert_frame_equal(ours[list(theirs)], theirs, check_dtype=False)


def test_thresholds_leave_only_what_passes() -> None:
    spec = PairSpec(min_support=40, min_lift=1.2, min_baskets=1)
    ours = fit(order_lines(GOLDEN["baskets"]), spec, as_of=AS_OF).rules()
    theirs = pd.DataFrame(GOLDEN["rules"])
    n_baskets = len(GOLDEN["baskets"])
    expected = theirs[(theirs["support"] * n_baskets > 39.5) & (theirs["lift"] >= 1.2)]
    assert set(zip(ours["item"], ours["goes_with"], strict=True)) == set(
        zip(expected["item"], expected["goes_with"], strict=True)
    )
    assert ours["lift_low"].is_monotonic_decreasing


def test_neither_order_nor_repeated_lines_matter() -> None:
    lines = order_lines(GOLDEN["baskets"])
    shuffled = pd.concat([lines, lines.head(200)]).sample(frac=1, random_state=3)
    assert fit(shuffled, SPEC, as_of=AS_OF).version == golden().version


def test_giant_baskets_are_left_out_and_told() -> None:
    baskets = [*GOLDEN["baskets"], "abcdefghijkl" + "mnopqr"]
    spec = PairSpec(min_support=12, min_lift=0.0, min_baskets=1, basket_cap=15)
    model = fit(order_lines(baskets), spec, as_of=AS_OF)
    pd.testing.assert_frame_equal(model.rules(), golden().rules())
    assert model.card.notes == ("1 baskets with more than 15 items are left out.",)


def test_the_interval_covers_the_true_lift() -> None:
    # Cells: both, only the first, only the second, neither; lift .03 / (.1 * .15) = 2.
    cells = np.array([0.03, 0.07, 0.12, 0.78])
    n = 3000
    both, first, second, _ = np.random.default_rng(1).multinomial(n, cells, 4000).T
    lift, low, high = lift_interval(both, both + first, both + second, n)
    covered = ((low <= 2.0) & (high >= 2.0)).mean()
    assert covered == pytest.approx(0.95, abs=0.012)
    assert np.log(lift).std() == pytest.approx((np.log(high / low) / 2 / 1.959964).mean(), rel=0.05)


def test_items_that_are_everywhere_have_a_lift_of_one() -> None:
    one = np.array([50])
    lift, low, high = lift_interval(one, one, one, 50)
    assert (lift[0], low[0], high[0]) == (1.0, 1.0, 1.0)


def test_only_sure_pairs_are_evidence() -> None:
    model = golden()
    rules = model.rules()
    sure = rules[rules["lift_low"] > 1]
    table = model.confidences()
    assert table.nnz == len(sure) < len(rules)
    for rule in sure.itertuples():
        i, j = model.items.index(rule.item), model.items.index(rule.goes_with)
        assert table[i, j] == pytest.approx(rule.confidence)


def test_what_goes_with_the_last_basket() -> None:
    model = golden()
    lines = order_lines(["ab", "b", "q", "abcdefghijkl", "c"])
    lines["profile_id"] = "z" + lines["basket_id"].str[-1]
    earlier = lines[lines["basket_id"] == "b0003"].assign(
        basket_id="b9", profile_id="z1", at=pd.Timestamp(2020, 1, 1)
    )
    scores = model.predict(pd.concat([lines, earlier]))
    assert list(scores) == [column.name for column in model.columns]
    # All there is, or nothing that is known: nothing to add.
    assert scores["top3"].isna().to_dict() == {
        "z0": False, "z1": False, "z2": True, "z3": True, "z4": False,
    }  # fmt: skip
    rules = model.rules()
    best = rules[rules["item"] == "b"]["goes_with"].head(3)
    # z1's last basket is "b" alone; the older one, with everything, does not count.
    assert scores["top3"]["z1"] == " | ".join(best)
    with pytest.raises(ModelError, match="lack the column at"):
        model.predict(lines.drop(columns="at"))


def test_a_stored_model_is_the_same_model() -> None:
    model = golden()
    again = PairsModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.version == model.version
    pd.testing.assert_frame_equal(again.rules(), model.rules())
    assert again.predict_sql("features") is None
    with pytest.raises(ModelError, match="cannot be read"):
        PairsModel.from_dict({"kind": "association"})


def test_too_few_baskets_are_refused() -> None:
    with pytest.raises(InsufficientDataError, match="has 600 baskets, 601"):
        fit(order_lines(GOLDEN["baskets"]), PairSpec(min_baskets=601), as_of=AS_OF)


@pytest.mark.data
def test_groceries_as_published() -> None:
    path = shared_data("groceries", "groceries_long.csv.gz")
    lines = pd.read_csv(path).assign(profile_id=None)
    spec = PairSpec(min_support=60, min_lift=0.0)
    model = fit(lines, spec, as_of=AS_OF)
    # summary(Groceries) in R's arules: 9835 baskets, 169 items, the five most frequent.
    assert (model.n_baskets, len(model.items)) == (9835, 169)
    counts = dict(zip(model.items, model.n_item.tolist(), strict=True))
    assert sorted(counts.items(), key=lambda pair: -pair[1])[:5] == [
        ("whole milk", 2513),
        ("other vegetables", 1903),
        ("rolls/buns", 1809),
        ("soda", 1715),
        ("yogurt", 1372),
    ]
    rules = model.rules().set_index(["item", "goes_with"])
    # Rules that apriori() finds in it, as they stand in the literature (support, confidence, lift).
    for pair, expected in {
        ("herbs", "root vegetables"): (0.0070, 0.4313, 3.9565),
        ("berries", "whipped/sour cream"): (0.0090, 0.2721, 3.7969),
        ("root vegetables", "other vegetables"): (0.0474, 0.4347, 2.2466),
        ("other vegetables", "whole milk"): (0.0748, 0.3868, 1.5136),
    }.items():
        found = rules.loc[pair, ["support", "confidence", "lift"]]
        assert tuple(found.round(4)) == pytest.approx(expected, abs=1.1e-4)
