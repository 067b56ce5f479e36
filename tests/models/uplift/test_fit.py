"""The whole fit: finds effects that are there, none that are not, and says why it is held back."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, spearmanr

from connector.errors import InsufficientDataError, ModelError
from connector.models import store
from connector.models.uplift import PublishIf, Trials, UpliftModel, UpliftSpec
from connector.models.uplift.learners import drawn_in
from connector.models.uplift.trials import checked
from tests.models.uplift.simulated import (
    LEARNERS,
    NOW,
    effects,
    fitted,
    gates,
    model,
    people,
    spec,
    trials,
)


@pytest.mark.parametrize(
    ("learner", "algorithm", "least"),
    [*((one, "linear", 0.95) for one in LEARNERS), ("direct", "gradient_boosting", 0.85)],
)
def test_a_known_effect_is_found_and_published(learner, algorithm, least):
    one = model(learner, algorithm)
    unseen = people(77, 2_000)
    found = one.predict(unseen)
    truth = effects(unseen, 1.0)
    assert spearmanr(found["uplift"], truth).statistic > least
    # In the outcome's unit, not only in the right order.
    assert found["uplift"].mean() == pytest.approx(truth.mean(), abs=0.25)
    assert np.abs(found["uplift"] - truth).mean() < 0.45
    assert gates(one) == {"min_per_arm": True, "qini_ci_low_above": True, "beats": True}
    assert one.card.metrics["effect_top_fifth"] > one.card.metrics["effect_bottom_fifth"]
    assert one.card.metrics["qini"] > one.card.baselines["recency_days"]["qini"]


def test_a_qini_that_is_known_lies_within_its_interval():
    """Effects are uniform on 0 to 2 by one feature: the best curve's area is 1/6 over chance."""
    rng = np.random.default_rng(3)
    n = 6_000
    index = people(3, n).index
    x = pd.DataFrame({"u": rng.random(n), "noise": rng.normal(size=n)}, index=index)
    treated = pd.Series((rng.random(n) < 0.5).astype(float), index=index)
    outcome = 2 * x["u"] * treated + rng.normal(size=n)
    given = Trials(x, outcome, treated, pd.Series(0.5, index=index), x[["noise"]])
    metrics = fitted(given).card.metrics
    # The curve is the integral of 2(1 - t) from 0 to s, 2s - s^2; its area 2/3, the line's 1/2.
    assert metrics["qini_low"] < 1 / 6 < metrics["qini_high"]
    assert metrics["qini"] == pytest.approx(1 / 6, abs=0.03)


def test_without_different_effects_it_is_hardly_ever_published():
    """The law of the gate: everybody gains alike, and the level holds."""
    n = 80
    low = published = 0
    for seed in range(n):
        one = fitted(trials(1_000 + seed, 500, size=0.0, share=0.5), seed=seed, replicates=50)
        low += gates(one)["qini_ci_low_above"]
        published += one.card.is_publishable
    # Above the level by chance alone in one of a thousand suites.
    assert low <= binom.ppf(0.999, n, 0.025)
    assert published <= low


def test_a_rule_that_says_as_much_keeps_the_model_back():
    """The effect depends on one column, so ranking by it alone is as good as any model."""
    given = trials(4, 2_000)
    taste = given.features[["taste"]]
    one = fitted(replace(given, rules=taste), learner="two_model")
    assert gates(one)["qini_ci_low_above"]
    assert not gates(one)["beats"]
    assert not one.card.is_publishable
    (gate,) = (g for g in one.card.gates if g.name == "beats")
    assert "taste alone" in gate.required
    assert "a difference of" in gate.found


def test_a_rule_is_read_in_its_better_direction():
    given = trials(5, 2_000)
    one = fitted(replace(given, rules=given.features[["taste"]]))
    other = fitted(replace(given, rules=-given.features[["taste"]]))
    found = one.card.baselines["taste"]["qini"]
    assert found > 0.2
    assert other.card.baselines["taste"]["qini"] == pytest.approx(found)


def test_one_arm_few_people_or_one_outcome_are_no_model():
    given = trials(6, 1_000)
    nobody = replace(given, treated=given.treated * 0 + 1)
    with pytest.raises(InsufficientDataError, match="1,000 people in treatment and 0 in control"):
        fitted(nobody)
    few = trials(6, 400)
    with pytest.raises(InsufficientDataError, match="each must be 200 or more"):
        fitted(few)
    with pytest.raises(InsufficientDataError, match="other than the commonest in 0 cases"):
        fitted(replace(given, outcome=given.outcome * 0 + 5))
    same = replace(given, features=given.features[["taste"]] * 0)
    with pytest.raises(InsufficientDataError, match="No feature tells people apart"):
        fitted(same)


def test_fewer_people_than_asked_for_fail_a_gate_with_their_numbers():
    one = fitted(publish_if=PublishIf(min_per_arm=2_000))
    assert not gates(one)["min_per_arm"]
    (gate,) = (g for g in one.card.gates if g.name == "min_per_arm")
    n = trials().treated.sum()
    assert gate.found == f"{n:,.0f} in treatment, {3_000 - n:,.0f} in control"


def test_trials_that_contradict_themselves_are_refused():
    given = trials(7, 600, share=0.5)
    with pytest.raises(ModelError, match="different people"):
        fitted(replace(given, outcome=given.outcome.iloc[1:]))
    with pytest.raises(ModelError, match="neither 0 nor 1"):
        fitted(replace(given, treated=given.treated + 1))
    with pytest.raises(ModelError, match="one arm only"):
        fitted(replace(given, chance=given.chance * 0 + 1))
    with pytest.raises(ModelError, match="one row for each person and epoch"):
        fitted(replace(given, features=given.features.reset_index(drop=True)))
    with pytest.raises(ModelError, match="no learner 's_learner'"):
        spec(learner="s_learner")


@pytest.mark.parametrize("algorithm", ["linear", "gradient_boosting"])
def test_the_same_seed_and_any_order_of_rows_give_the_same_model(algorithm):
    given = trials(8, 800)
    order = np.random.default_rng(1).permutation(800)
    mixed = Trials(
        given.features.iloc[order],
        given.outcome.iloc[order[::-1]],
        given.treated.iloc[order],
        given.chance,
        given.rules.iloc[order[::-1]],
    )
    one, same, other = (
        fitted(trial, seed=seed, algorithm=algorithm, folds=2, replicates=20)
        for trial, seed in ((given, 1), (mixed, 1), (given, 2))
    )
    assert one.version == same.version
    assert one.card == same.card
    # Another seed deals people otherwise, so the judgement differs.
    assert one.card.metrics["qini"] != other.card.metrics["qini"]


@pytest.mark.parametrize(
    ("learner", "algorithm"),
    [*((one, "linear") for one in LEARNERS), ("direct", "gradient_boosting")],
)
def test_a_stored_model_gives_the_same_answers(learner, algorithm):
    one = model(learner, algorithm)
    back = store.loads(store.dumps(one))
    frame = people(9, 300)
    pd.testing.assert_frame_equal(back.predict(frame), one.predict(frame), check_exact=True)
    assert (back.version, back.card) == (one.version, one.card)
    with pytest.raises(ModelError, match="cannot be read"):
        UpliftModel.from_dict({**one.to_dict(), "effect": {"algorithm": "linear"}})
    with pytest.raises(ModelError, match="built from 'magic'"):
        UpliftModel.from_dict(
            {**json.loads(json.dumps(one.to_dict())), "effect": {"algorithm": "magic", "parts": []}}
        )


def test_scores_are_of_the_person_alone_and_percentiles_of_the_training():
    one, frame = model("direct"), people(1, 3_000)
    scored = one.predict(frame)
    pd.testing.assert_frame_equal(
        one.predict(frame.iloc[[5, 17]]), scored.iloc[[5, 17]], check_exact=True
    )
    assert scored["percentile"].between(0, 100).all()
    assert abs((scored["percentile"] < 50).mean() - 0.5) < 0.02
    assert one.predict(frame.iloc[:0]).empty
    assert [column.unit for column in one.columns] == [
        "currency per person", "percentile (0-100)"
    ]  # fmt: skip


def test_an_unknown_value_is_scored_as_it_was_learned():
    given = trials(2, 1_500)
    holed = given.features.copy()
    holed.iloc[::5, 2] = np.nan
    one = fitted(replace(given, features=holed))
    frame = people(3, 50)
    frame.iloc[0, 2] = np.nan
    assert np.isfinite(one.predict(frame)["uplift"]).all()
    with pytest.raises(ModelError, match="taste"):
        one.predict(frame.drop(columns="taste"))


def test_people_of_several_epochs_stay_together():
    """Whoever is in two epochs is one person: dealt into one part, and counted once."""
    first = trials(10, 600, share=0.5)
    both = pd.concat([first.features, first.features.rename(index={1: 2}, level="epoch")])

    def twice(one: pd.Series) -> pd.Series:
        return pd.Series(np.tile(one.to_numpy(), 2), index=both.index)

    doubled = Trials(
        both,
        *(twice(one) for one in (first.outcome, first.treated, first.chance)),
        both[["recency_days"]],
    )
    rows = checked(doubled, spec())
    assert (len(rows), rows.n_people) == (1_200, 600)
    once = fitted(replace(first, rules=first.rules[["recency_days"]])).card.metrics
    again = fitted(doubled).card.metrics
    # The same people told twice are no more evidence: the interval is as wide as before.
    assert again["qini_high"] - again["qini_low"] == pytest.approx(
        once["qini_high"] - once["qini_low"], rel=0.25
    )
    assert again["n_treated"] == once["n_treated"]


def test_arms_of_several_shares_are_weighted_and_told():
    """A later epoch with other shares and a higher season: season is taken for no effect."""
    rng = np.random.default_rng(11)
    x = people(11, 4_000)
    late = np.arange(4_000) >= 2_000
    x.index = pd.MultiIndex.from_arrays(
        [x.index.get_level_values(0), np.where(late, 2, 1)], names=["profile_id", "epoch"]
    )
    chance = pd.Series(np.where(late, 0.9, 0.5), index=x.index)
    treated = (pd.Series(rng.random(4_000), index=x.index) < chance).astype(float)
    outcome = pd.Series(np.where(late, 9.0, 2.0) + rng.normal(size=4_000), index=x.index)
    card = fitted(Trials(x, outcome, treated, chance, x[["orders"]])).card
    assert abs(card.metrics["effect"]) < 0.5
    assert any("weighted by the inverse of their chance" in note for note in card.notes)
    assert not card.is_publishable


def test_one_huge_basket_is_drawn_in_before_a_fit():
    outcome = np.zeros(10_000)
    outcome[:2_000] = np.linspace(10, 60, 2_000)
    outcome[0] = 90_000.0
    seen = drawn_in(outcome)
    assert seen[0] == pytest.approx(60, rel=0.01)
    assert (seen[2_000:] == 0).all()
    assert drawn_in(np.zeros(3)).tolist() == [0, 0, 0]


def test_the_card_tells_everything():
    card = model("direct").card
    assert card.kind == "uplift"
    assert card.algorithm == "direct of linear"
    assert card.as_of == NOW
    assert card.n_people == 3_000
    assert set(card.baselines) == {"by_chance", "recency_days", "orders"}
    said = " ".join(card.notes)
    assert "currency per person on the mean" in said
    assert "whose windows of revenue_30d have closed" in said
    assert UpliftSpec("m", "c", "x", "orders").replicates >= 500
