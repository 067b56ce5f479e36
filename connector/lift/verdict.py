"""One word and one sentence for a marketer, from numbers that a statistician would accept.

The rules, in this order; the first that applies decides:

================  ==================================================================================
do_not_trust      the split is broken (sample-ratio mismatch, empty arm), or outcomes are missing
not_enough_data   no interval can be computed, or below 20 buyers are expected in the smaller arm
directional_only  below 45 are expected: the tails of the interval are not yet what they claim
win, loss         the interval of the absolute difference excludes zero
flat              the whole interval lies within the stated margin, a share of the holdout's mean
not_enough_data   the interval includes zero and is wider than the margin: more people would tell
================  ==================================================================================

Why the last is ``not_enough_data`` and not ``flat``: absence of evidence is no evidence of absence,
and the list of words is closed. Its reason says so, and tells it apart from the early case. A
difference that excludes zero *and* lies within the margin is a win or a loss, a small one; its size
stands beside the word.

The thresholds are on *expected* buyers, because a rule on the buyers found in the holdout would let
through more often those holdouts that happened to buy little.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from connector.errors import ModelError
from connector.lift.intervals import Interval
from connector.numbers import difference_digits, level, percent, short_of

DIRECTIONAL_FROM = 20.0
"""Expected buyers in the smaller arm below which nothing is said."""

VERDICT_FROM = 45.0
"""Expected buyers in the smaller arm from which the interval's tails hold; see
:mod:`connector.lift.intervals`."""


class Verdict(enum.StrEnum):
    """What may be said about a campaign; the list is closed."""

    WIN = "win"
    LOSS = "loss"
    FLAT = "flat"
    DIRECTIONAL_ONLY = "directional_only"
    NOT_ENOUGH_DATA = "not_enough_data"
    DO_NOT_TRUST = "do_not_trust"


@dataclass(frozen=True, slots=True)
class Unit:
    """How differences are spoken of.

    Attributes:
        label: What one is, such as ``EUR per person`` or ``percentage points``.
        scale: Times this before it is spoken: 100 for shares.
        digits: Usual decimals, after scaling.
    """

    label: str
    scale: float = 1.0
    digits: int = 2

    def say(self, difference: Interval) -> str:
        """The difference in words, as the report shows it."""
        numbers = [x * self.scale for x in (difference.estimate, difference.low, difference.high)]
        digits = difference_digits(*numbers[1:], usual=self.digits)
        estimate, low, high = (f"{x:+,.{digits}f}" for x in numbers)
        return f"{estimate} {self.label} ({level(difference.confidence)} interval {low} to {high})"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers behind a verdict.

    Attributes:
        difference: Absolute difference per person; None when no interval could be computed.
        expected_buyers: Buyers expected in the smaller arm; None when an arm has nobody yet.
        holdout_mean: Outcome per person held out; None when that arm has nobody yet.
        distrust: Why nothing here is to be believed, as a sentence; empty when all is well.
        obstacle: Why there is no interval, as a sentence; empty when there is one.
    """

    difference: Interval | None
    expected_buyers: float | None
    holdout_mean: float | None
    distrust: str = ""
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the sentence that explains it."""

    verdict: Verdict
    reason: str


def judge(evidence: Evidence, *, flat_margin: float, unit: Unit) -> Judgement:
    """Say what may be said.

    Args:
        evidence: The numbers.
        flat_margin: Largest difference that still counts as none, as a share of the holdout's mean
            (0.01 = 1 %); 0 or more.
        unit: How the sentence speaks of the difference.

    Raises:
        ModelError: The margin is negative.
    """
    if flat_margin < 0:
        raise ModelError(f"A margin is 0 or more, not {flat_margin}.")
    if evidence.distrust:
        return Judgement(Verdict.DO_NOT_TRUST, f"Do not use these numbers. {evidence.distrust}")
    difference, buyers = evidence.difference, evidence.expected_buyers
    if difference is None or buyers is None or evidence.holdout_mean is None:
        return Judgement(
            Verdict.NOT_ENOUGH_DATA,
            evidence.obstacle or "One of the two groups has nobody whose result is complete yet.",
        )
    if buyers < DIRECTIONAL_FROM:
        return Judgement(
            Verdict.NOT_ENOUGH_DATA,
            f"Only about {short_of(buyers)} buyers can be expected in the smaller group; "
            f"nothing can be said below {DIRECTIONAL_FROM:.0f}.",
        )
    spoken = unit.say(difference)
    if buyers < VERDICT_FROM:
        way = (
            "up"
            if difference.estimate > 0
            else "down"
            if difference.estimate < 0
            else "neither way"
        )
        return Judgement(
            Verdict.DIRECTIONAL_ONLY,
            f"It points {way}, no more than that: {spoken}, but only about {short_of(buyers)}"
            f" buyers can be expected in the smaller group, and a verdict needs"
            f" {VERDICT_FROM:.0f}.",
        )
    if difference.low > 0:
        return Judgement(Verdict.WIN, f"Treated people brought more: {spoken}.")
    if difference.high < 0:
        return Judgement(Verdict.LOSS, f"Treated people brought less: {spoken}.")
    margin = flat_margin * abs(evidence.holdout_mean)
    if margin > 0 and -margin <= difference.low and difference.high <= margin:
        return Judgement(
            Verdict.FLAT,
            f"No difference worth speaking of: {spoken}, which stays within {percent(flat_margin)} "
            "of what people who were held out brought.",
        )
    return Judgement(
        Verdict.NOT_ENOUGH_DATA,
        f"It could be more or less: {spoken}. The interval still includes zero and is wider than "
        f"the flat margin of {percent(flat_margin)}; more people would tell.",
    )
