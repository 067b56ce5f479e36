"""The whole fit: honest in time, near the ceiling, held back by its gates, the same every time."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import mannwhitneyu

from connector.errors import InsufficientDataError, ModelError
from connector.models.propensity import PropensityModel, PublishIf, cut_offs, fit
from connector.models.propensity.backtest import Backtest
from connector.models.propensity.gates import CHANCE, chance_auc
from connector.models.propensity.metrics import auc
from connector.models.propensity.snapshots import checked, earlier
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.macros import ENGINES
from connector.warehouse.render import render
from tests.models.propensity.simulated import (
    FIRST,
    ONE_OF_EACH,
    WINDOW,
    fitted,
    model,
    now,
    snapshot,
    snapshots,
    spec,
)


def with_feature(cutoffs, name, make):
    """The cut-offs with one more feature."""
    return tuple(
        replace(one, features=one.features.assign(**{name: make(one, np.random.default_rng(i))}))
        for i, one in enumerate(cutoffs)
    )


def gate(card, name):
    return next(g for g in card.gates if g.name == name)


@pytest.mark.parametrize("algorithm", ONE_OF_EACH)
def test_each_algorithm_comes_near_the_ceiling_and_is_calibrated(algorithm):
    unseen = snapshot(9, 3_000)
    found = model(algorithm).predict(unseen.features)
    label = unseen.label.to_numpy(float)
    ceiling = auc(label, unseen.baselines["truth"].to_numpy())
    reached = auc(label, found["probability"].to_numpy())
    assert 0.7 < ceiling < 0.85
    assert ceiling - 0.03 < reached <= ceiling + 0.005
    assert abs(found["probability"].mean() - label.mean()) < 0.03
    assert np.abs(found["probability"] - unseen.baselines["truth"]).mean() < 0.08


def test_the_card_tells_everything():
    cutoffs = snapshots()
    one = fitted(
        algorithms=("logistic", "gradient_boosting"),
        probability_baselines=("truth",),
        publish_if=PublishIf(beats=("recency",), auc_at_least=0.65, ece_at_most=0.1),
    )
    card = one.card
    assert card.is_publishable
    assert card.algorithm == "logistic"
    assert set(card.candidates) == {"logistic", "gradient_boosting"}
    assert set(card.baselines) == {"base_rate", "recency", "truth"}
    assert card.baselines["base_rate"]["auc"] == 0.5
    # Its direction is learned: few days since the last order mean likelier.
    assert card.baselines["recency"]["auc"] > 0.6
    assert set(card.baselines["truth"]) > set(card.baselines["recency"])
    latest = cutoffs[-1].label
    assert card.metrics["n_tested_positive"] == latest.sum()
    assert card.metrics["n_positive"] == len(
        set().union(*(one.label.index[one.label == 1] for one in cutoffs))
    )
    assert [g.name for g in card.gates] == [
        *("positives_at_least", "above_chance", "auc_at_least", "beats", "ece_at_most"),
        *("leakage_alarm", "feature_leakage_alarm"),
    ]
    said = " ".join(card.notes)
    assert "constant is left out: everybody has the same value" in said
    assert "every feature at its median" in said
    assert one.evaluation.tenths[0].lift == pytest.approx(card.metrics["top_decile_lift"], rel=0.2)
    assert one.evaluation.gains[-1].n_people == len(latest)


def test_what_is_tested_was_never_seen():
    """Outcomes of a tested cut-off, or of one whose window reaches into it, change no score."""
    cutoffs = checked(snapshots(4), model="m")
    plain = Backtest(spec(folds=1), cutoffs, seed=1).test("logistic")[0]
    assert plain.cutoff == 3
    turned = replace(cutoffs[3], label=1 - cutoffs[3].label)
    other = Backtest(spec(folds=1), (*cutoffs[:3], turned), seed=1).test("logistic")[0]
    assert np.array_equal(plain.score, other.score)
    assert np.array_equal(plain.probability, other.probability)
    # 40 days apart, a window of 30 and a gap of 15: the cut-off just before is not over yet.
    assert earlier([c.as_of for c in cutoffs], 3, window_days=30, gap_days=10) == [0, 1, 2]
    assert earlier([c.as_of for c in cutoffs], 3, window_days=30, gap_days=15) == [0, 1]


def test_cut_offs_lie_a_window_and_a_gap_apart_and_their_outcomes_are_known():
    found = cut_offs(FIRST, window_days=30, gap_days=7, folds=3)
    assert len(found) == 5
    assert found[-1] + timedelta(days=30) == FIRST
    assert {b - a for a, b in pairwise(found)} == {timedelta(days=37)}
    assert len(cut_offs(FIRST, window_days=30, folds=3, earliest=found[1])) == 4
    with pytest.raises(InsufficientDataError, match="shorter window"):
        cut_offs(FIRST, window_days=30, gap_days=7, earliest=found[3])


def test_an_outcome_that_is_not_complete_is_refused():
    cutoffs = snapshots()
    early = now(cutoffs) - timedelta(seconds=1)
    with pytest.raises(ModelError, match="complete"):
        fit(spec(), cutoffs, as_of=early, rng=np.random.default_rng(1))


def test_cut_offs_that_overlap_are_refused():
    with pytest.raises(InsufficientDataError, match="no 3 lie 100 days apart"):
        fitted(window_days=30, gap_days=70)


def test_a_planted_leak_trips_both_alarms_and_is_named():
    def leak(one, rng):
        return one.label + rng.normal(scale=0.4, size=len(one.label))

    leaky = with_feature(snapshots(3), "refunds_later", leak)
    card = fitted(leaky).card
    assert not card.is_publishable
    assert not gate(card, "leakage_alarm").passed
    alarm = gate(card, "feature_leakage_alarm")
    assert not alarm.passed
    assert alarm.found.startswith("refunds_later 0.9")
    assert fitted(leaky, leakage_alarm_at=0.999).card.is_publishable


def test_a_leak_by_being_known_at_all_is_named():
    def known(one, rng):
        return pd.Series(rng.normal(size=len(one.label)), one.label.index).where(
            (one.label == 1) | (rng.random(len(one.label)) < 0.2)
        )

    leaky = with_feature(snapshots(3), "delivered_days", known)
    assert "delivered_days" in gate(fitted(leaky).card, "feature_leakage_alarm").found


@pytest.mark.parametrize(
    ("publish_if", "name"),
    [
        (PublishIf(positives_at_least=5_000), "positives_at_least"),
        (PublishIf(auc_at_least=0.84), "auc_at_least"),
        (PublishIf(ece_at_most=0.0001), "ece_at_most"),
        (PublishIf(beats=("truth",)), "beats"),
    ],
)
def test_a_gate_that_fails_keeps_the_model_back_and_says_why(publish_if, name):
    card = fitted(publish_if=publish_if).card
    assert not card.is_publishable
    failed = [g for g in card.gates if not g.passed]
    assert [g.name for g in failed] == [name]
    assert failed[0].required
    assert failed[0].found


def test_inputs_that_say_nothing_publish_no_model():
    """Nothing need be asked for: a score that is no better than chance is not a forecast."""
    rng = np.random.default_rng(5)
    noise = [
        replace(
            one, features=pd.DataFrame({"noise": rng.normal(size=len(one.label))}, one.label.index)
        )
        for one in snapshots(3)
    ]
    failed = [g for g in fitted(noise).card.gates if not g.passed]
    assert [g.name for g in failed] == ["above_chance"]


def test_the_reach_of_chance_is_the_mann_whitney_law():
    """Against SciPy's test, where the AUC is just above the bound and just below it."""
    rng = np.random.default_rng(6)
    label = (np.arange(400) < 60).astype(float)
    for shift in (0.0, 0.1, 0.2, 0.3, 0.4):
        score = rng.normal(size=400) + shift * label
        found = mannwhitneyu(
            score[label == 1], score[label == 0], alternative="greater",
            use_continuity=False, method="asymptotic",
        )  # fmt: skip
        assert (auc(label, score) > chance_auc(label)) == (found.pvalue < CHANCE)


def test_a_rule_to_beat_that_nobody_gave_is_an_error():
    with pytest.raises(ModelError, match=r"no baseline 'rfm_score'.*base_rate, recency, truth"):
        fitted(publish_if=PublishIf(beats=("rfm_score",)))


def test_too_few_positives_are_no_model_and_few_are_a_warning():
    small = tuple(snapshot(i, 100) for i in range(3))
    with pytest.raises(InsufficientDataError, match="100 or more"):
        fitted(small)
    middling = tuple(snapshot(i, 300) for i in range(3))
    assert any("below 500" in note for note in fitted(middling).card.notes)


@pytest.mark.parametrize("algorithm", ONE_OF_EACH)
def test_a_stored_model_gives_the_same_answers(algorithm):
    one = model(algorithm)
    back = PropensityModel.from_dict(json.loads(json.dumps(one.to_dict())))
    people = snapshots()[3].features.head(200)
    pd.testing.assert_frame_equal(back.predict(people), one.predict(people), check_exact=True)
    pd.testing.assert_frame_equal(back.explain(people), one.explain(people), check_exact=True)
    assert back.version == one.version
    assert back.card == one.card


def test_damaged_text_is_refused():
    with pytest.raises(ModelError, match="cannot be read"):
        PropensityModel.from_dict({**model("logistic").to_dict(), "algorithm": "magic"})


@pytest.mark.parametrize("algorithm", ONE_OF_EACH)
def test_the_order_of_rows_changes_nothing(algorithm):
    def shuffled(one, seed):
        order = np.random.default_rng(seed).permutation(len(one.label))
        return replace(
            one,
            features=one.features.iloc[order],
            label=one.label.iloc[order[::-1]],
            baselines=one.baselines.iloc[order],
        )

    mixed = tuple(shuffled(one, i) for i, one in enumerate(snapshots(3)))[::-1]
    assert fitted(mixed, algorithms=(algorithm,)).version == model(algorithm).version
    people = snapshots()[3].features.head(300)
    order = np.random.default_rng(8).permutation(len(people))
    there = model(algorithm).predict(people)
    here = model(algorithm).predict(people.iloc[order])
    pd.testing.assert_frame_equal(here.loc[there.index], there, check_exact=True)


def test_other_algorithms_in_the_race_do_not_change_one():
    both = fitted(snapshots(3), algorithms=("gradient_boosting", "logistic")).card.candidates
    for algorithm in both:
        assert both[algorithm] == model(algorithm).card.candidates[algorithm]


def test_a_percentile_moves_only_with_the_person():
    one = model("logistic")
    people = snapshots()[2].features
    all_together = one.predict(people)
    few = one.predict(people.iloc[:7])
    assert (few["percentile"] == all_together["percentile"].iloc[:7]).all()
    twins = pd.concat([people.iloc[[5]]] * 3)
    assert one.predict(twins)["percentile"].nunique() == 1
    ranked = all_together.sort_values(["probability", "percentile"])["percentile"]
    assert ranked.is_monotonic_increasing
    assert all_together["percentile"].between(0, 100).all()
    # On the people of the cut points it is the share who score strictly lower.
    score = pd.Series(one.scorer.score(one.inputs.matrix(people)), people.index)
    lower = score.rank(method="min") - 1
    assert (all_together["percentile"] == np.floor(100 * lower / len(people) + 1e-9)).all()


@pytest.mark.parametrize("calibrate", ["isotonic", "sigmoid"])
def test_sql_gives_what_predict_gives(calibrate):
    one = fitted(calibrate=calibrate)
    assert one.calibration.method == calibrate
    people = snapshots()[0].features
    warehouse = DuckDBWarehouse()
    columns = {name: pa.array(people[name], from_pandas=True) for name in people}
    warehouse.load(
        "features", pa.table({"profile_id": pa.array(list(people.index), pa.string()), **columns})
    )
    sql = one.predict_sql()
    rows = pd.DataFrame(warehouse.rows(sql), columns=["profile_id", "probability", "percentile"])
    rows = rows.set_index("profile_id").loc[people.index]
    wanted = one.predict(people)
    assert (rows["probability"].round(9) == wanted["probability"].round(9)).all()
    assert (rows["percentile"] == wanted["percentile"]).all()
    if calibrate == "isotonic":
        for engine in ENGINES:
            assert render(sql, engine)


def test_what_is_no_sum_has_no_sql():
    assert model("gradient_boosting").predict_sql() is None


def test_unknown_values_are_filled_by_the_median_and_flagged():
    one = model("logistic")
    assert [c.feature for c in one.inputs.columns if c.is_indicator] == ["spend_log"]
    known = np.concatenate([s.features["spend_log"].dropna() for s in snapshots(3)])
    at = one.inputs.features.index("spend_log")
    assert one.inputs.medians[at] == np.median(known)
    people = snapshots()[0].features.assign(spend_log=np.nan)
    assert one.predict(people)["probability"].notna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="orders"), "'orders' is not there"),
        (lambda f: f.assign(orders=np.inf), "'orders' is infinite"),
        (lambda f: f.assign(orders="many"), "'orders' is not a number"),
    ],
)
def test_impossible_features_raise(change, message):
    with pytest.raises(ModelError, match=message):
        model("logistic").predict(change(snapshots()[0].features))


def test_features_come_as_a_warehouse_gives_them():
    """Money as decimals, counts as nullable whole numbers, truth values as they are."""
    people = snapshots()[0].features.head(50)
    raw = people.assign(
        orders=people["orders"].astype("Int64"),
        spend_log=[None if np.isnan(v) else Decimal(repr(v)) for v in people["spend_log"]],
        recency_days=people["recency_days"].astype(int),
    )
    pd.testing.assert_frame_equal(model("logistic").predict(raw), model("logistic").predict(people))


def test_nobody_is_scored_without_fuss():
    empty = model("gradient_boosting").predict(snapshots()[0].features.iloc[:0])
    assert list(empty.columns) == ["probability", "percentile", "reasons"]
    assert empty.empty


def test_large_training_sets_are_sampled():
    one = fitted(max_rows=500)
    assert any("500 rows" in note for note in one.card.notes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": ("percentile",)}, "always come together"),
        ({"outputs": ("probability",)}, "always come together"),
        ({"algorithms": ("magic",)}, "'magic'"),
        ({"algorithms": ()}, "names no algorithm"),
        ({"calibrate": "beta"}, "'beta'"),
        ({"folds": 0}, "at least 1"),
    ],
)
def test_impossible_settings_raise(changes, message):
    with pytest.raises(ModelError, match=message):
        spec(**changes)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda s: replace(s, label=s.label * 2), "neither 0 nor 1"),
        (lambda s: replace(s, label=s.label.iloc[1:]), "different people"),
        (lambda s: replace(s, features=pd.concat([s.features] * 2)), "twice"),
        (lambda s: replace(s, features=s.features.drop(columns="orders")), "not those"),
        (lambda s: replace(s, as_of=s.as_of.replace(tzinfo=None)), "time zone"),
        (lambda s: replace(s, baselines=s.baselines.iloc[1:]), "lacks people"),
    ],
)
def test_snapshots_that_contradict_themselves_raise(harm, message):
    cutoffs = snapshots(3)
    with pytest.raises(ModelError, match=message):
        checked((*cutoffs[:2], harm(cutoffs[2])), model="m")


def test_the_window_of_the_tests_is_the_one_that_is_simulated():
    assert snapshots()[1].as_of - snapshots()[0].as_of > timedelta(days=WINDOW)
