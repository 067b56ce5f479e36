"""Proxies for protected attributes: the statistics against scipy and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import contingency
from sklearn.metrics import roc_auc_score

from connector.domain import Level
from connector.features.proxies import MAX_CATEGORIES, Statistic, associations, proxies

N = 2_000
RNG = np.random.default_rng(7)
GENDER = RNG.choice(["f", "m"], N, p=[0.6, 0.4])
COUNTRY = RNG.choice(["DE", "FR", "IT"], N)
AGE = RNG.integers(18, 90, N).astype(float)
NOISE = RNG.normal(size=N)


def one(outcome, attribute):
    (found,) = associations(pd.DataFrame({"o": outcome}), pd.DataFrame({"a": attribute}))
    return found


def test_a_label_and_a_category_by_cramers_v():
    label = np.where(RNG.random(N) < 0.5, COUNTRY, "DE")
    found = one(label, COUNTRY)
    table = pd.crosstab(label, COUNTRY).to_numpy()
    assert found.statistic is Statistic.CRAMERS_V
    assert found.value == pytest.approx(contingency.association(table, method="cramer"))
    assert found.p == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    assert found.is_proxy


def test_a_score_and_a_category_by_the_area_under_the_curve():
    score = NOISE + 1.2 * (GENDER == "m")
    found = one(score, GENDER)
    assert found.statistic is Statistic.AUC
    assert found.value == pytest.approx(roc_auc_score(GENDER == "m", score))
    ranks = stats.mannwhitneyu(score[GENDER == "m"], score[GENDER == "f"])
    assert found.p == pytest.approx(ranks.pvalue)
    assert found.is_proxy


def test_an_area_counts_in_both_directions_and_for_the_strongest_category():
    score = NOISE - 2 * (COUNTRY == "IT")
    found = one(score, COUNTRY)
    assert found.at == "IT"
    assert found.value == pytest.approx(1 - roc_auc_score(COUNTRY == "IT", score))


def test_a_segment_and_a_number_by_the_area_under_the_curve():
    member = AGE + 10 * NOISE > 60
    found = one(member, AGE)
    assert found.statistic is Statistic.AUC
    assert found.value == pytest.approx(roc_auc_score(member, AGE))


def test_a_score_and_a_number_by_rank_correlation():
    score = -AGE + 20 * NOISE
    found = one(score, AGE)
    assert found.statistic is Statistic.SPEARMAN
    assert found.value == pytest.approx(stats.spearmanr(score, AGE).statistic)
    assert found.is_proxy


def test_what_is_independent_warns_of_nothing():
    outcomes = pd.DataFrame(
        {"score": NOISE, "member": RNG.random(N) < 0.2, "label": RNG.choice(["a", "b", "c"], N)}
    )
    attributes = pd.DataFrame({"gender": GENDER, "country": COUNTRY, "age": AGE})
    found = associations(outcomes, attributes)
    assert len(found) == 9
    assert proxies(outcomes, attributes) == []
    assert {one.finding.level for one in found} == {Level.OK}


def test_a_warning_says_what_stands_for_what_and_what_to_do():
    outcomes = pd.DataFrame({"premium": GENDER == "m", "score": NOISE + 1.2 * (GENDER == "m")})
    strong, weak = proxies(outcomes, pd.DataFrame({"gender": GENDER}))
    assert strong.level is Level.WARNING
    assert strong.message == ("premium stands in for gender: Cramér's V 1.00 among 2,000 people")
    assert weak.subject == "score"
    assert "take the features out" in strong.hint


def test_too_few_people_or_one_value_alone_say_nothing():
    few = pd.DataFrame({"member": GENDER[:40] == "m"})
    assert associations(few, pd.DataFrame({"gender": GENDER[:40]})) == []
    all_in = pd.DataFrame({"member": np.ones(N, bool)})
    assert associations(all_in, pd.DataFrame({"gender": GENDER})) == []
    nothing = pd.Series(np.where(np.arange(N) < 30, GENDER, None), dtype=object)
    assert associations(pd.DataFrame({"m": NOISE}), pd.DataFrame({"gender": nothing})) == []


def test_chance_in_a_small_group_is_no_proxy():
    """Three of sixty people: whatever the area, it tells nothing."""
    few = np.array(["rare"] * 3 + ["common"] * 57)
    found = associations(pd.DataFrame({"s": NOISE[:60]}), pd.DataFrame({"a": few}))
    assert found == []


def test_many_categories_are_made_few():
    cities = RNG.choice([f"city {i}" for i in range(500)], N)
    assert one(RNG.random(N) < 0.5, cities).value < 0.3
    table = pd.Series(cities).value_counts()
    assert len(table) > MAX_CATEGORIES
