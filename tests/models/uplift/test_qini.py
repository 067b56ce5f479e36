"""The Qini coefficient: scikit-uplift's curve, the definition by hand, what must not move it."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.models.uplift.qini import Ranking, effect, qini

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))


def sample(seed: int, n: int = 300, levels: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, outcomes and arms of which the scores know something."""
    rng = np.random.default_rng(seed)
    score = rng.integers(0, levels, n).astype(float)
    treated = (rng.random(n) < 0.6).astype(float)
    outcome = rng.lognormal(1, 1, n) * (rng.random(n) < 0.3) + 0.2 * score * treated
    return score, outcome, treated


def by_hand(score: np.ndarray, outcome: np.ndarray, treated: np.ndarray) -> float:
    """The definition, tie by tie, in plain loops."""
    n, n_treated = score.size, treated.sum()
    points = [(0.0, 0.0)]
    for bound in sorted(set(score), reverse=True):
        inside = [i for i in range(n) if score[i] >= bound]
        in_t = [i for i in inside if treated[i] == 1]
        in_c = [i for i in inside if treated[i] == 0]
        if in_t and in_c:
            gain = sum(outcome[i] for i in in_t)
            gain -= sum(outcome[i] for i in in_c) * len(in_t) / len(in_c)
            points.append((len(inside) / n, gain / n_treated))
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
    return area - points[-1][1] / 2


@pytest.mark.parametrize("name", GOLDEN)
def test_the_curve_is_scikit_uplifts(name):
    case = {key: np.array(value) for key, value in GOLDEN[name].items()}
    outcome, treated = case["outcome"].astype(float), case["treated"].astype(float)
    n, n_treated = outcome.size, treated.sum()
    ranking = Ranking.of(case["score"], outcome, treated, np.ones(n))
    share, gain = ranking.curve()
    assert share * n == pytest.approx(case["x"], abs=1e-9)
    assert gain * n_treated == pytest.approx(case["y"], abs=1e-9)
    # Its coefficient is the same area, as a share of that under the best curve that could be.
    straight = case["y"][-1] * n / 2
    best = np.trapezoid(case["perfect_y"], case["perfect_x"]) - straight
    found = ranking.coefficient() * n * n_treated / best
    assert found == pytest.approx(float(case["normalised"]), abs=1e-9)


@pytest.mark.parametrize("levels", [3, 20, 10_000])
def test_the_coefficient_is_its_definition(levels):
    score, outcome, treated = sample(4, levels=levels)
    assert qini(score, outcome, treated) == pytest.approx(by_hand(score, outcome, treated))


def test_counting_a_row_twice_is_having_it_twice():
    score, outcome, treated = sample(5)
    times = np.random.default_rng(6).integers(0, 4, score.size)
    counted = Ranking.of(score, outcome, treated, np.ones(score.size)).coefficient(
        times.astype(float)
    )
    repeated = (np.repeat(one, times) for one in (score, outcome, treated))
    assert counted == pytest.approx(qini(*repeated))


@given(seed=st.integers(0, 10**6), shift=st.floats(-50, 50), scale=st.floats(0.01, 100))
@settings(max_examples=40, deadline=None)
def test_what_must_not_move_it(seed, shift, scale):
    score, outcome, treated = sample(seed, n=120)
    found = qini(score, outcome, treated)
    order = np.random.default_rng(seed).permutation(score.size)
    assert qini(score[order], outcome[order], treated[order]) == pytest.approx(found, abs=1e-9)
    # Only the order of the scores counts.
    assert qini(np.exp(score / 10), outcome, treated) == pytest.approx(found, abs=1e-9)
    # What everybody brings anyway is no effect, and its unit is the outcome's.
    assert qini(score, outcome + shift, treated) == pytest.approx(found, abs=1e-7)
    assert qini(score, outcome * scale, treated) == pytest.approx(found * scale, abs=1e-7)


def test_a_constant_score_is_zero_and_so_is_chance_on_the_mean():
    _, outcome, treated = sample(7)
    assert qini(np.full(outcome.size, 3.0), outcome, treated) == 0.0
    rng = np.random.default_rng(8)
    found = [qini(rng.random(outcome.size), outcome, treated) for _ in range(400)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 20


def test_the_true_order_is_the_best_and_its_reverse_the_worst():
    """Groups with an effect of their own and even arms: no other order of them comes near."""
    true = np.array([3.0, 2.0, 1.0, 0.0, -1.0])
    group = np.repeat(np.arange(5), 20)
    treated = np.tile([1.0, 0.0], 50)
    outcome = 4 + true[group] * treated
    rng = np.random.default_rng(9)
    best = qini(true[group], outcome, treated)
    others = [qini(rng.permutation(5)[group].astype(float), outcome, treated) for _ in range(60)]
    assert best == pytest.approx(max([best, *others]))
    assert qini(-true[group], outcome, treated) == pytest.approx(-best)
    assert min(others) >= -best - 1e-12


def test_weights_undo_arms_of_several_shares():
    """Two times of different means and shares, no effect: unweighted, the later time looks good."""
    rng = np.random.default_rng(10)
    n = 40_000
    late = rng.random(n) < 0.5
    chance = np.where(late, 0.9, 0.5)
    treated = (rng.random(n) < chance).astype(float)
    outcome = np.where(late, 6.0, 2.0) + rng.normal(size=n)
    drawn = np.where(treated == 1, chance, 1 - chance)
    weight = np.where(treated == 1, chance.mean(), 1 - chance.mean()) / drawn
    assert effect(outcome, treated, np.ones(n)) > 0.5
    assert abs(effect(outcome, treated, weight)) < 0.08


def test_a_tie_of_one_arm_says_nothing_yet():
    score = np.array([3.0, 3.0, 2.0, 2.0, 1.0, 1.0])
    treated = np.array([1.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    outcome = np.array([9.0, 9.0, 1.0, 1.0, 1.0, 1.0])
    share, gain = Ranking.of(score, outcome, treated, np.ones(6)).curve()
    assert share.tolist() == pytest.approx([0, 4 / 6, 1])
    assert gain[1] == pytest.approx((19 - 3 * 1) / 4)
    assert np.isnan(effect(outcome[:2], treated[:2], np.ones(2)))
