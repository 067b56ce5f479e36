"""Closed forms of the effects against simulation, integration and the laws of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from connector.demo.effects import Baskets, Effect, simulate_campaign, true_effect


def test_mean_of_capped_baskets_is_the_integral():
    baskets = Baskets()
    law = stats.lognorm(s=baskets.sigma, scale=np.exp(baskets.mu))
    below, _ = integrate.quad(lambda x: x * law.pdf(x), 0, baskets.cap)
    assert baskets.mean() == pytest.approx(below + baskets.cap * law.sf(baskets.cap))
    drawn = baskets.draw(np.random.default_rng(1), 200_000)
    assert drawn.max() == baskets.cap
    assert drawn.mean() == pytest.approx(baskets.mean(), rel=0.01)


def test_truth_of_a_simulated_campaign_is_that_of_the_negative_binomial():
    shape, share, factor = 0.7, 0.12, 1.6
    truth = simulate_campaign(
        np.random.default_rng(0), n=10, holdout_share=0.1, buying_share=share,
        effect=Effect(factor), shape=shape,
    ).truth  # fmt: skip
    mean = truth.baseline_orders_per_person
    base = stats.nbinom(shape, shape / (shape + mean))
    lifted = stats.nbinom(shape, shape / (shape + factor * mean))
    assert base.sf(0) == pytest.approx(share)
    assert truth.conversion == pytest.approx(lifted.sf(0) - base.sf(0))
    assert truth.orders_per_person == pytest.approx(lifted.mean() - base.mean())
    assert truth.revenue_per_person == pytest.approx(truth.orders_per_person * Baskets().mean())


def test_simulated_campaigns_show_their_truth_on_average():
    """The mean of 400 estimates lies within four standard errors of the truth."""
    estimates = []
    for seed in range(400):
        drawn = simulate_campaign(
            np.random.default_rng(seed),
            n=4000,
            holdout_share=0.3,
            buying_share=0.1,
            effect=Effect(1.5),
        )
        arms = [drawn.treated, ~drawn.treated]
        estimates.append(
            [
                float(np.subtract(*(values[arm].mean() for arm in arms)))
                for values in (drawn.revenue, drawn.orders, drawn.orders > 0)
            ]
        )
    found = np.array(estimates)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    truth = drawn.truth
    expected = np.array([truth.revenue_per_person, truth.orders_per_person, truth.conversion])
    assert (np.abs(found.mean(axis=0) - expected) < 4 * error).all()
    assert (expected > 10 * error).all()


def test_holdout_share_is_the_chance_of_being_held_out():
    drawn = simulate_campaign(
        np.random.default_rng(3),
        n=100_000,
        holdout_share=0.05,
        buying_share=0.009,
        effect=Effect(1.0),
    )
    assert (~drawn.treated).mean() == pytest.approx(0.05, abs=0.003)
    assert (drawn.orders > 0).mean() == pytest.approx(0.009, abs=0.0012)
    assert drawn.truth.revenue_per_person == drawn.truth.conversion == 0


def test_true_effect_follows_the_poisson_law():
    rng = np.random.default_rng(5)
    expected = rng.gamma(0.8, 0.2, 300)
    truth = true_effect(expected, expected * 70, 1.4, 30)
    untreated, treated = stats.poisson(expected), stats.poisson(1.4 * expected)
    assert truth.orders_per_person == pytest.approx((treated.mean() - untreated.mean()).mean())
    assert truth.conversion == pytest.approx((treated.sf(0) - untreated.sf(0)).mean())
    assert truth.revenue_per_person == pytest.approx(0.4 * 70 * expected.mean())
    assert truth.n_profiles == 300


def test_no_effect_is_exactly_none_and_a_harm_is_negative():
    expected = np.full(50, 0.3)
    none, harm = (true_effect(expected, expected, factor, 30) for factor in (1.0, 0.5))
    assert none.revenue_per_person == none.orders_per_person == none.conversion == 0
    assert harm.revenue_per_person < 0
    assert harm.conversion < 0


@pytest.mark.parametrize(("factor", "days"), [(-0.1, 30), (float("nan"), 30), (1.2, 0)])
def test_impossible_effects_are_refused(factor, days):
    with pytest.raises(ValueError, match="rate_factor"):
        Effect(factor, days)
