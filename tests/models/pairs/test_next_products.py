"""Next products: habits, complements and rest are honoured, and lists beat best sellers."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from connector.errors import ModelError
from connector.models.affinity import AffinitySpec
from connector.models.affinity import fit as fit_affinity
from connector.models.baskets import read_baskets
from connector.models.pairs import NextModel, NextSpec, PairSpec, fit_next
from connector.models.pairs.history import learn_cycles, purchases
from tests.profiles.tables import shared_data

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)
START = pd.Timestamp(2025, 9, 1)
PAIRS = PairSpec(min_support=15, min_lift=1.2, min_baskets=100)
HABITS = ("coffee", "tea", "soap", "candles", "cat food")
SPEC = NextSpec(top=3, horizon_days=30, min_people=40)


def shop(seed: int = 0, n_people: int = 240) -> pd.DataFrame:
    """A shop of habits and sofas.

    Everybody buys one thing every 28 days, and filters with the coffee in two of three cases. Many
    buy a sofa, nobody a second one. Who buys a lamp buys bulbs, with it or a week later.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n_people):
        person = f"p{i:04d}"
        day = int(rng.integers(0, 28))
        habit = HABITS[i % len(HABITS)]
        while day < 181:
            rows.append((person, f"{person}c{day}", habit, day))
            if habit == "coffee" and rng.random() < 0.66:
                rows.append((person, f"{person}c{day}", "filters", day))
            day += int(rng.integers(27, 30))
        if rng.random() < 0.6:
            when = int(rng.integers(0, 181))
            rows.append((person, f"{person}s", "sofa", when))
        for thing in ("rug", "mirror", "vase", "clock"):
            if rng.random() < 0.15:
                rows.append((person, f"{person}{thing}", thing, int(rng.integers(0, 181))))
        if rng.random() < 0.5:
            when = int(rng.integers(0, 170))
            rows.append((person, f"{person}l", "lamp", when))
            later = rng.random() < 0.5
            rows.append((person, f"{person}{'m' if later else 'l'}", "bulbs", when + 7 * later))
    lines = pd.DataFrame(rows, columns=["profile_id", "basket_id", "item", "day"])
    return lines.assign(at=START + pd.to_timedelta(lines.pop("day"), unit="D"))


def fitted(lines: pd.DataFrame, spec: NextSpec = SPEC) -> NextModel:
    return fit_next(lines, spec, as_of=AS_OF, rng=np.random.default_rng(0), pairs=PAIRS)


@pytest.fixture(scope="module")
def model() -> NextModel:
    return fitted(shop())


def one_person(*bought: tuple[str, int]) -> pd.DataFrame:
    """Lines of one person: item and days before ``AS_OF``; items of one day are one basket."""
    now = pd.Timestamp(2026, 3, 2)
    return pd.DataFrame(
        [("x", f"b{days}", item, now - pd.Timedelta(days=days)) for item, days in bought],
        columns=["profile_id", "basket_id", "item", "at"],
    )


def test_what_is_used_up_and_after_how_long_is_learnt() -> None:
    baskets = read_baskets(shop())
    cycles = learn_cycles(purchases(baskets), baskets.items)
    used = dict(zip(baskets.items, cycles.is_consumable.tolist(), strict=True))
    assert {item for item, yes in used.items() if yes} == {*HABITS, "filters"}
    days = dict(zip(baskets.items, cycles.days, strict=True))
    assert days["coffee"] == pytest.approx(28, abs=1)
    assert np.isnan(days["sofa"])
    told = learn_cycles(purchases(baskets), baskets.items, consumables=["bulbs"])
    assert [baskets.items[i] for i in np.flatnonzero(told.is_consumable)] == ["bulbs"]


def test_a_habit_comes_first_when_its_time_has_come(model: NextModel) -> None:
    habit = [("coffee", days) for days in (112, 84, 56, 28)]
    listed = model.recommend(one_person(*habit), as_of=AS_OF)
    assert listed["item"].iloc[0] == "coffee"
    assert listed["reason"].iloc[0] == "usually bought again after 28 days, last 28 days ago"
    just = model.recommend(one_person(*habit, ("coffee", 1)), as_of=AS_OF)
    long_ago = model.recommend(one_person(("coffee", 428), ("coffee", 400)), as_of=AS_OF)
    assert long_ago["score"].iloc[0] < 0.5 * listed["score"].iloc[0]
    then = listed.set_index("item")["score"]["coffee"]
    now = just.set_index("item")["score"].get("coffee", 0.0)
    assert now < 0.5 * then


def test_what_was_just_bought_is_not_sold_again(model: NextModel) -> None:
    bought = model.recommend(one_person(("sofa", 10), ("rug", 12)), as_of=AS_OF)
    assert not {"sofa", "rug"} & set(bought["item"])
    stranger = model.recommend(one_person(("vase", 10)), as_of=AS_OF)
    assert {"sofa", *HABITS} & set(stranger["item"])


def test_what_goes_with_the_last_basket_is_offered_with_its_reason(model: NextModel) -> None:
    listed = model.recommend(one_person(("lamp", 3)), as_of=AS_OF, names={"lamp": "Lamp Aurora"})
    bulbs = listed.set_index("item").loc["bulbs"]
    assert bulbs["reason"] == "goes with Lamp Aurora"
    assert bulbs["part"] == "goes_with"


def test_lists_beat_best_sellers_in_a_window_that_was_not_seen(model: NextModel) -> None:
    card = model.card
    assert card.is_publishable
    assert card.metrics["hit_rate"] > card.baselines["popularity"]["hit_rate"]
    assert set(card.baselines) == {"popularity", "own_favourites"}


def test_nothing_at_or_after_the_instant_is_looked_at(model: NextModel) -> None:
    lines = shop()
    later = lines.head(300).assign(
        at=pd.Timestamp(2026, 3, 2), basket_id="later" + lines.head(300)["profile_id"], item="gift"
    )
    assert fitted(pd.concat([lines, later])).version == model.version


def test_neither_the_order_of_lines_nor_a_second_fit_changes_anything(model: NextModel) -> None:
    shuffled = shop().sample(frac=1, random_state=2)
    assert fitted(shuffled).version == model.version
    pd.testing.assert_frame_equal(
        model.recommend(shuffled, as_of=AS_OF), model.recommend(shop(), as_of=AS_OF)
    )


def test_one_row_a_person(model: NextModel) -> None:
    names = {"sofa": "Sofa Nord"}
    lines = shop()
    wide = model.predict(lines, as_of=AS_OF, names=names)
    assert list(wide) == [column.name for column in model.columns]
    assert wide.index.tolist() == sorted(lines["profile_id"].unique())
    long = model.recommend(lines, as_of=AS_OF, names=names)
    first = long[long["profile_id"] == wide.index[0]]
    assert wide["top3"].iloc[0] == " | ".join(first["item"])
    assert wide["top3_names"].iloc[0] == " | ".join(first["name"])
    assert wide["reason"].iloc[0] == first["reason"].iloc[0]
    assert long.groupby("profile_id")["rank"].max().max() <= 3
    assert (long.groupby("profile_id")["score"].diff().dropna() <= 1e-12).all()


def test_nobody_is_no_failure(model: NextModel) -> None:
    nobody = shop().head(0)
    assert model.recommend(nobody, as_of=AS_OF).empty
    assert model.predict(nobody, as_of=AS_OF).empty
    assert model.pairs.predict(nobody).empty


def test_taste_fills_the_list_and_gives_its_topic() -> None:
    lines = shop(n_people=400)
    topics = AffinitySpec(topics=(2, 2), min_baskets=2, n_starts=1, min_people=50)
    affinity = fit_affinity(lines, topics, as_of=AS_OF, rng=np.random.default_rng(0))
    model = fit_next(
        lines, SPEC, as_of=AS_OF, rng=np.random.default_rng(0), pairs=PAIRS, affinity=affinity
    )
    again = NextModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.version == model.version
    eager = NextModel.from_dict({**model.to_dict(), "weights": [0.0, 0.0, 1.0, 0.0]})
    listed = eager.recommend(lines, as_of=AS_OF)
    assert set(listed["part"]) == {"taste"}
    reasons = listed["reason"][listed["reason"] != "popular now"]
    assert reasons.str.removeprefix("fits ").isin(affinity.names).all()
    assert len(reasons) > 100
    with pytest.raises(ModelError, match="cannot be read"):
        NextModel.from_dict({**model.to_dict(), "weights": [1.0]})


def test_lists_that_are_best_sellers_for_everybody_are_not_published() -> None:
    """With one item to sell, no list can be better than the list of best sellers."""
    card = fitted(shop().assign(item="pans").drop_duplicates("basket_id")).card
    assert card.metrics["precision"] == card.baselines["popularity"]["precision"] > 0
    assert [gate.name for gate in card.gates if not gate.passed] == ["beats_popularity"]


def test_a_young_shop_is_told_that_nothing_was_judged() -> None:
    lines = shop()
    lines["at"] = pd.Timestamp(2026, 2, 20)
    model = fitted(lines)
    assert not model.card.is_publishable
    # Nobody has measured a share, so none is told.
    said = " ".join(gate.found + gate.required for gate in model.card.gates)
    assert "too little past" in said
    assert "%" not in said
    assert len(model.card.notes) == 2
    with pytest.raises(ModelError, match="lack the column at"):
        fitted(lines.drop(columns="at"))


@pytest.mark.data
def test_complete_journey_lists_beat_best_sellers() -> None:
    lines = pd.read_parquet(
        shared_data("complete_journey_third", "transactions.parquet"),
        columns=["household_id", "basket_id", "product_id", "transaction_timestamp"],
    )
    products = pd.read_parquet(
        shared_data("complete_journey_third", "products.parquet"),
        columns=["product_id", "product_category"],
    )
    lines = lines[lines["household_id"] % 8 == 0].merge(products, on="product_id")
    lines = pd.DataFrame(
        {
            "profile_id": lines["household_id"],
            "basket_id": lines["basket_id"],
            "item": lines["product_category"],
            "at": lines["transaction_timestamp"],
        }
    )
    model = fit_next(
        lines,
        NextSpec(horizon_days=14, min_people=50),
        as_of=datetime(2017, 12, 1, tzinfo=UTC),
        rng=np.random.default_rng(0),
        pairs=PairSpec(min_support=20, min_lift=1.2),
    )
    found, popular = model.card.metrics, model.card.baselines["popularity"]
    # Nine in ten find something of any list among 300 categories, so the hit rate says little here.
    assert found["precision"] > popular["precision"] + 0.02


@pytest.mark.data
def test_online_retail_lists_beat_best_sellers() -> None:
    lines = pd.read_parquet(
        shared_data("online_retail", "online_retail_2010_2011.parquet"),
        columns=["InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "CustomerID"],
    )
    lines = lines[(lines["Quantity"] > 0) & (lines["CustomerID"] % 3 == 0)]
    lines = lines.rename(
        columns={
            "CustomerID": "profile_id",
            "InvoiceNo": "basket_id",
            "StockCode": "item",
            "InvoiceDate": "at",
        }
    )
    model = fit_next(
        lines,
        NextSpec(max_items=1000),
        as_of=datetime(2011, 12, 9, tzinfo=UTC),
        rng=np.random.default_rng(0),
        pairs=PairSpec(min_support=30),
    )
    found, popular = model.card.metrics, model.card.baselines["popularity"]
    assert found["hit_rate"] > popular["hit_rate"] + 0.08
    assert found["precision"] > 1.5 * popular["precision"]
