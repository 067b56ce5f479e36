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

Two more keep a win or a loss from being given: the difference does not survive the correction for
the many others that are looked at with it, or the one look that a fixed design allows has not come.
It is then ``directional_only``, with the reason.

Three things may be added to a verdict and never turn it round:

* **while the campaign runs** the interval is the sequence's, which allows for looking again and
  again. A word given then holds; an inconclusive one says that it is not the end yet.
* **a surrogate** (a predicted value, such as the change of expected CLV) is named as one in every
  sentence, since nothing of it has been earned.
* **a ratio** among those who act (order value, click rate per mail) compares people whom the
  campaign itself has sorted. It describes and is never more than ``directional_only``; as the goal
  of a campaign it is refused (:func:`check_goal`).

A **guardrail** asks another question, whether something bad has risen by more than a limit, and has
words of its own (:class:`Guardrail`). It knows no thresholds of expected buyers: its interval is
one of shares, which keeps its word at small counts, and an alarm that had to wait for many people
to unsubscribe would come too late.

The thresholds are on *expected* buyers, because a rule on the buyers found in the holdout would let
through more often those holdouts that happened to buy little.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from connector.errors import ConfigError, ModelError
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


class Guardrail(enum.StrEnum):
    """What may be said about a metric that must not rise; the list is closed."""

    KEPT = "kept"
    BROKEN = "broken"
    UNCLEAR = "unclear"


class Basis(enum.StrEnum):
    """What a metric's numbers are."""

    REALISED = "realised"
    """What people did, per person assigned."""
    SURROGATE = "surrogate"
    """A prediction of what they will do, per person assigned."""
    RATIO = "ratio"
    """One sum over another, such as revenue over orders: about those who acted."""


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
        basis: What the numbers are.
        is_running: Whether the registered end lies ahead and the interval is the sequence's.
        too_early: Why nothing may be decided yet, as a sentence; empty when it may.
        p_adjusted: p-value after the correction for many comparisons; None: not corrected.
        n_comparisons: Comparisons that it was corrected for.
        alpha: What ``p_adjusted`` is held against.
        more_is_worse: Whether a rise is bad news, as of people who unsubscribe.
    """

    difference: Interval | None
    expected_buyers: float | None
    holdout_mean: float | None
    distrust: str = ""
    obstacle: str = ""
    basis: Basis = Basis.REALISED
    is_running: bool = False
    too_early: str = ""
    p_adjusted: float | None = None
    n_comparisons: int = 1
    alpha: float = 0.05
    more_is_worse: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the sentence that explains it."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Expected buyers in the smaller arm that words need.

    Attributes:
        directional_from: Below it nothing is said.
        verdict_from: Below it there is a direction at most.
    """

    directional_from: float = DIRECTIONAL_FROM
    verdict_from: float = VERDICT_FROM

    def __post_init__(self) -> None:
        """Refuse thresholds in the wrong order.

        Raises:
            ModelError: A verdict would need fewer buyers than a direction.
        """
        if not 0 <= self.directional_from <= self.verdict_from:
            raise ModelError("A verdict needs at least as many buyers as a direction.")


STANDARD = Thresholds()


def judge(
    evidence: Evidence, *, flat_margin: float, unit: Unit, thresholds: Thresholds = STANDARD
) -> Judgement:
    """Say what may be said.

    Args:
        evidence: The numbers.
        flat_margin: Largest difference that still counts as none, as a share of the holdout's mean
            (0.01 = 1 %); 0 or more.
        unit: How the sentence speaks of the difference.
        thresholds: Buyers that words need.

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
    if buyers < thresholds.directional_from:
        return Judgement(
            Verdict.NOT_ENOUGH_DATA,
            f"Only about {short_of(buyers)} buyers can be expected in the smaller group; "
            f"nothing can be said below {thresholds.directional_from:.0f}.",
        )
    spoken = unit.say(difference)
    if evidence.basis is Basis.SURROGATE:
        spoken += ", predicted and not yet earned"
    if buyers < thresholds.verdict_from:
        return Judgement(
            Verdict.DIRECTIONAL_ONLY,
            f"It points {_way(difference)}, no more than that: {spoken}, but only about"
            f" {short_of(buyers)} buyers can be expected in the smaller group, and a verdict needs"
            f" {thresholds.verdict_from:.0f}.",
        )
    if evidence.basis is Basis.RATIO:
        return Judgement(
            Verdict.DIRECTIONAL_ONLY,
            f"It points {_way(difference)}, no more than that: {spoken}. It is an average over"
            " those who acted, and the campaign itself changes who they are.",
        )
    still = " It holds whenever one looks, although the campaign still runs."
    still = still if evidence.is_running else ""
    if evidence.too_early:
        return Judgement(
            Verdict.DIRECTIONAL_ONLY,
            f"It points {_way(difference)}: {spoken}. {evidence.too_early}",
        )
    if difference.excludes_zero:
        return _decided(evidence, difference, spoken, still)
    margin = flat_margin * abs(evidence.holdout_mean)
    if margin > 0 and -margin <= difference.low and difference.high <= margin:
        return Judgement(
            Verdict.FLAT,
            f"No difference worth speaking of: {spoken}, which stays within {percent(flat_margin)} "
            f"of what people who were held out brought.{still}",
        )
    hope = "the campaign still runs, and its end decides" if evidence.is_running else ""
    return Judgement(
        Verdict.NOT_ENOUGH_DATA,
        f"It could be more or less: {spoken}. The interval still includes zero and is wider than "
        f"the flat margin of {percent(flat_margin)}; {hope or 'more people would tell'}.",
    )


def _decided(evidence: Evidence, difference: Interval, spoken: str, still: str) -> Judgement:
    """A difference that is clear of zero."""
    if evidence.p_adjusted is not None and evidence.p_adjusted > evidence.alpha:
        return Judgement(
            Verdict.DIRECTIONAL_ONLY,
            f"It points {_way(difference)}: {spoken}. By itself it would be clear of zero, but "
            f"{evidence.n_comparisons:,} such comparisons are looked at together, and among so "
            "many one like it comes up by chance.",
        )
    rose = difference.low > 0
    if evidence.more_is_worse:
        word, said = (
            (Verdict.LOSS, "more often, which is bad")
            if rose
            else (Verdict.WIN, "less often, which is good")
        )
        return Judgement(word, f"Among treated people it happened {said}: {spoken}.{still}")
    word, said = (Verdict.WIN, "more") if rose else (Verdict.LOSS, "less")
    return Judgement(word, f"Treated people brought {said}: {spoken}.{still}")


def check_goal(metric: str, basis: Basis) -> None:
    """Refuse a ratio as what a campaign is judged on.

    Args:
        metric: Its name, for the message.
        basis: What its numbers are.

    Raises:
        ConfigError: It is a ratio.
    """
    if basis is Basis.RATIO:
        raise ConfigError(
            f"Metric {metric!r} is a ratio, and a campaign cannot be judged on it: whoever acts is "
            "sorted by the campaign itself.",
            hint="Make its numerator per person the goal and show the ratio beside it.",
        )


@dataclass(frozen=True, slots=True)
class GuardrailJudgement:
    """Whether a metric that must not rise has stayed within its limit, and the sentence."""

    guardrail: Guardrail
    reason: str


def judge_guardrail(evidence: Evidence, *, max_increase: float, unit: Unit) -> GuardrailJudgement:
    """Say whether a metric that must not rise has stayed within its limit.

    Kept where the whole interval lies at or below the limit, broken where it lies above: no more
    than alpha of the harmless are called broken, and no more than alpha of the harmful kept.

    Args:
        evidence: The numbers; the difference on the scale of the limit.
        max_increase: The largest increase that is accepted, 0 or more (0.003 = 0.3 percentage
            points of a share).
        unit: How the sentence speaks of the difference.

    Raises:
        ModelError: The limit is negative.
    """
    if not max_increase >= 0:
        raise ModelError(f"A limit on an increase is 0 or more, not {max_increase}.")
    if evidence.distrust:
        return GuardrailJudgement(
            Guardrail.UNCLEAR, f"Do not use these numbers. {evidence.distrust}"
        )
    difference = evidence.difference
    if difference is None:
        return GuardrailJudgement(
            Guardrail.UNCLEAR,
            evidence.obstacle or "One of the two groups has nobody whose result is complete yet.",
        )
    spoken = unit.say(difference)
    scaled = max_increase * unit.scale
    digits = difference_digits(scaled, scaled, usual=unit.digits)
    limit = f"the limit of +{scaled:,.{digits}f} {unit.label}"
    if difference.low > max_increase:
        return GuardrailJudgement(Guardrail.BROKEN, f"It rose by more than {limit}: {spoken}.")
    if difference.high <= max_increase:
        return GuardrailJudgement(Guardrail.KEPT, f"It stayed within {limit}: {spoken}.")
    return GuardrailJudgement(
        Guardrail.UNCLEAR, f"It may have passed {limit} or not: {spoken}; more people would tell."
    )


def _way(difference: Interval) -> str:
    if difference.estimate > 0:
        return "up"
    return "down" if difference.estimate < 0 else "neither way"
