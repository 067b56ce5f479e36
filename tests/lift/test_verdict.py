"""The rule book of verdicts, row by row."""

from __future__ import annotations

import pytest

from connector.errors import ConfigError, ModelError
from connector.lift.intervals import Interval
from connector.lift.verdict import (
    Basis,
    Evidence,
    Guardrail,
    Unit,
    Verdict,
    check_goal,
    judge,
    judge_guardrail,
)

EUR = Unit("EUR per person")
MEAN = 10.0  # of the holdout: a margin of 1 % is 0.10


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 0.95)


@pytest.mark.parametrize(
    ("low", "high", "buyers", "margin", "verdict"),
    [
        # enough buyers
        (0.20, 0.90, 45.0, 0.01, Verdict.WIN),
        (-0.90, -0.20, 45.0, 0.01, Verdict.LOSS),
        (-0.05, 0.08, 45.0, 0.01, Verdict.FLAT),
        (-0.10, 0.10, 45.0, 0.01, Verdict.FLAT),
        (-0.05, 0.11, 45.0, 0.01, Verdict.NOT_ENOUGH_DATA),
        (-0.11, 0.05, 45.0, 0.01, Verdict.NOT_ENOUGH_DATA),
        (-3.00, 3.00, 4_500.0, 0.01, Verdict.NOT_ENOUGH_DATA),
        # an effect inside the margin that is real is a small win, not flat
        (0.01, 0.05, 4_500.0, 0.01, Verdict.WIN),
        (-0.05, -0.01, 4_500.0, 0.01, Verdict.LOSS),
        # touching zero does not exclude it
        (0.00, 0.90, 45.0, 0.01, Verdict.NOT_ENOUGH_DATA),
        (-0.90, 0.00, 45.0, 0.01, Verdict.NOT_ENOUGH_DATA),
        # no margin, nothing is flat
        (-0.05, 0.08, 45.0, 0.0, Verdict.NOT_ENOUGH_DATA),
        # thresholds
        (0.20, 0.90, 44.99, 0.01, Verdict.DIRECTIONAL_ONLY),
        (-0.05, 0.08, 44.99, 0.01, Verdict.DIRECTIONAL_ONLY),
        (0.20, 0.90, 20.0, 0.01, Verdict.DIRECTIONAL_ONLY),
        (0.20, 0.90, 19.99, 0.01, Verdict.NOT_ENOUGH_DATA),
        (-0.90, -0.20, 0.0, 0.01, Verdict.NOT_ENOUGH_DATA),
    ],
)
def test_the_rules(low, high, buyers, margin, verdict):
    found = judge(Evidence(interval(low, high), buyers, MEAN), flat_margin=margin, unit=EUR)
    assert found.verdict is verdict
    assert found.reason


@pytest.mark.parametrize("buyers", [0.0, 30.0, 4_500.0])
@pytest.mark.parametrize("difference", [None, interval(0.2, 0.9)])
def test_distrust_comes_before_everything(buyers, difference):
    found = judge(
        Evidence(difference, buyers, MEAN, distrust="The groups do not have the intended sizes."),
        flat_margin=0.01,
        unit=EUR,
    )
    assert found.verdict is Verdict.DO_NOT_TRUST
    assert "intended sizes" in found.reason


def test_without_an_interval_the_obstacle_is_the_reason():
    found = judge(Evidence(None, 60.0, MEAN, obstacle="Too few."), flat_margin=0.01, unit=EUR)
    assert (found.verdict, found.reason) == (Verdict.NOT_ENOUGH_DATA, "Too few.")
    found = judge(Evidence(None, None, None), flat_margin=0.01, unit=EUR)
    assert found.verdict is Verdict.NOT_ENOUGH_DATA
    assert "complete" in found.reason


def test_the_margin_is_a_share_of_the_size_of_a_negative_mean_too():
    found = judge(Evidence(interval(-0.05, 0.08), 100.0, -MEAN), flat_margin=0.01, unit=EUR)
    assert found.verdict is Verdict.FLAT


def test_the_inconclusive_verdict_says_why():
    found = judge(Evidence(interval(-1.0, 2.0), 100.0, MEAN), flat_margin=0.01, unit=EUR)
    assert "still includes zero and is wider than the flat margin of 1\u00a0%" in found.reason


def test_sentences_carry_the_numbers():
    win = judge(Evidence(interval(0.2, 0.9), 100.0, MEAN), flat_margin=0.01, unit=EUR)
    assert "+0.55 EUR per person (95\u00a0% interval +0.20 to +0.90)" in win.reason
    points = Unit("percentage points", scale=100.0)
    loss = judge(Evidence(interval(-0.009, -0.001), 100.0, 0.05), flat_margin=0.01, unit=points)
    assert "-0.50 percentage points (95\u00a0% interval -0.90 to -0.10)" in loss.reason
    hint = judge(Evidence(interval(-0.9, -0.2), 30.4, MEAN), flat_margin=0.01, unit=EUR)
    assert "points down" in hint.reason
    assert "about 30 buyers" in hint.reason


def test_a_bound_next_to_zero_is_not_rounded_to_zero():
    said = EUR.say(Interval(0.5, 0.0004, 1.0, 0.95))
    assert "+0.0004 to +1.0000" in said
    assert EUR.say(Interval(0.0, 0.0, 0.0, 0.95)).startswith("+0.00 EUR")


def test_a_negative_margin_is_refused():
    with pytest.raises(ModelError):
        judge(Evidence(interval(0, 1), 100.0, MEAN), flat_margin=-0.01, unit=EUR)


def test_the_list_of_words_is_closed():
    assert {v.value for v in Verdict} == {
        "win", "loss", "flat", "directional_only", "not_enough_data", "do_not_trust",
    }  # fmt: skip


POINTS = Unit("percentage points", scale=100.0)


@pytest.mark.parametrize("buyers", [10.0, 30.0, 100.0])
@pytest.mark.parametrize(("low", "high"), [(0.2, 0.9), (-0.9, -0.2), (-0.05, 0.08), (-1.0, 2.0)])
def test_running_or_predicted_changes_the_sentence_and_never_the_word(buyers, low, high):
    plain, running, predicted = (
        judge(
            Evidence(interval(low, high), buyers, MEAN, basis=basis, is_running=is_running),
            flat_margin=0.01,
            unit=EUR,
        )
        for basis, is_running in (
            (Basis.REALISED, False),
            (Basis.REALISED, True),
            (Basis.SURROGATE, False),
        )
    )
    assert plain.verdict is running.verdict is predicted.verdict
    assert ("predicted and not yet earned" in predicted.reason) is (buyers >= 20)
    assert ("still runs" in running.reason) is (buyers >= 45)
    assert "still runs" not in plain.reason + predicted.reason


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.9), (-0.9, -0.2), (-0.05, 0.08), (-1.0, 2.0)])
def test_a_ratio_is_never_more_than_a_direction(low, high):
    found = judge(
        Evidence(interval(low, high), 4_500.0, MEAN, basis=Basis.RATIO), flat_margin=0.01, unit=EUR
    )
    assert found.verdict is Verdict.DIRECTIONAL_ONLY
    assert "those who acted" in found.reason
    few = judge(
        Evidence(interval(low, high), 10.0, MEAN, basis=Basis.RATIO), flat_margin=0.01, unit=EUR
    )
    assert few.verdict is Verdict.NOT_ENOUGH_DATA


def test_a_ratio_cannot_be_the_goal():
    with pytest.raises(ConfigError, match="order_value"):
        check_goal("order_value", Basis.RATIO)
    check_goal("revenue", Basis.REALISED)
    check_goal("clv", Basis.SURROGATE)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-0.002, 0.003, Guardrail.KEPT),
        (-0.009, -0.002, Guardrail.KEPT),
        (0.001, 0.003, Guardrail.KEPT),
        (0.001, 0.0031, Guardrail.UNCLEAR),
        (-0.01, 0.02, Guardrail.UNCLEAR),
        (0.003, 0.02, Guardrail.UNCLEAR),
        (0.0031, 0.02, Guardrail.BROKEN),
    ],
)
@pytest.mark.parametrize("events", [3.0, 300.0])
def test_a_guardrail_is_about_its_limit(low, high, word, events):
    found = judge_guardrail(
        Evidence(interval(low, high), events, 0.01), max_increase=0.003, unit=POINTS
    )
    assert found.guardrail is word
    assert "+0.30 percentage points" in found.reason


def test_a_guardrail_without_numbers_or_trust_is_unclear():
    distrusted = judge_guardrail(
        Evidence(interval(0.1, 0.2), 100.0, 0.01, distrust="Nobody is held out."),
        max_increase=0.003,
        unit=POINTS,
    )
    assert distrusted.guardrail is Guardrail.UNCLEAR
    assert "Nobody is held out." in distrusted.reason
    nothing = judge_guardrail(Evidence(None, None, None), max_increase=0.0, unit=POINTS)
    assert nothing.guardrail is Guardrail.UNCLEAR
    with pytest.raises(ModelError):
        judge_guardrail(Evidence(None, None, None), max_increase=-0.1, unit=POINTS)
