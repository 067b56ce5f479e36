"""Whether the arms are what the randomisation must have made: sample-ratio mismatch and empty arms.

A wrong split is the surest sign of a broken experiment: people lost on the way, a filter after the
assignment, two systems that disagree. No interval can mend it, so the analysis is not to be trusted
at all. The test is the chi-square test of the counts against the intended shares, at p < 0.001,
because it is looked at again in every run.

Shares that changed over time: the newly eligible are drawn with the shares of their day, so what is
expected is the sum over the configuration versions, each with the people it assigned. The variance
of such a sum is a little below what the test assumes, which errs towards silence and never towards
a false alarm.

An arm that is meant to have people and has none does not appear in the data at all; it is looked
for by name. It alarms when so many empty draws have a chance below the same 0.001; an empty arm of
eight people is no news.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from connector.domain import Arm, Finding, Level
from connector.errors import InsufficientDataError, ModelError

ALARM_BELOW = 0.001
"""Chance below which a split is held to be broken and not unlucky."""

LEAST_EXPECTED = 5.0
"""Below so many people expected in an arm, chi-square does not describe the statistic."""


@dataclass(frozen=True, slots=True)
class Intake:
    """The people that one version of the configuration assigned in one epoch.

    Attributes:
        shares: Arm -> intended share, adding up to 1; arms that are left out have none.
        counts: Arm -> people assigned; arms that are left out have none.
    """

    shares: Mapping[Arm, float]
    counts: Mapping[Arm, int]

    def __post_init__(self) -> None:
        """Refuse shares that cannot be meant.

        Raises:
            ModelError: The shares do not add up to 1, or one is negative.
        """
        if not math.isclose(sum(self.shares.values()), 1.0, abs_tol=1e-6) or any(
            share < 0 for share in self.shares.values()
        ):
            raise ModelError(f"Intended shares must add up to 1: {dict(self.shares)}.")

    @property
    def n(self) -> int:
        """People assigned, all arms."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether the arms have the sizes that were intended.

    Attributes:
        observed: Arm -> people, for every arm that is intended or found.
        expected: Arm -> people expected, the same arms.
        p_value: Of the chi-square test; None while an arm has too few people expected for it.
        empty_arms: Arms that should have people and have none, where that is no accident.
        alarm: Whether the analysis is not to be trusted.
        message: One sentence for people.
    """

    observed: Mapping[Arm, int]
    expected: Mapping[Arm, float]
    p_value: float | None
    empty_arms: tuple[Arm, ...]
    alarm: bool
    message: str

    def finding(self, subject: str) -> Finding:
        """The result as a line of a check.

        Args:
            subject: What was looked at, such as ``campaigns.winback, epoch 1``.
        """
        if not self.alarm:
            return Finding(Level.OK, subject, self.message)
        return Finding(
            Level.ERROR,
            subject,
            self.message,
            "Look for people lost after the assignment (filters, merges, a second writer), "
            "then start a new epoch.",
        )


def sample_ratio(intakes: Sequence[Intake]) -> SampleRatio:
    """Test the sizes of the arms of one epoch against what was intended.

    Args:
        intakes: One for each version of the configuration that assigned people.

    Raises:
        InsufficientDataError: Nobody has been assigned.
    """
    if not any(intake.n for intake in intakes):
        raise InsufficientDataError("Nobody has been assigned, so there is no split to test.")
    arms = [
        arm
        for arm in Arm
        if any(i.shares.get(arm, 0.0) > 0 or i.counts.get(arm, 0) > 0 for i in intakes)
    ]
    observed = {arm: sum(i.counts.get(arm, 0) for i in intakes) for arm in arms}
    expected = {arm: sum(i.n * i.shares.get(arm, 0.0) for i in intakes) for arm in arms}

    uninvited = [arm for arm in arms if observed[arm] > 0 and expected[arm] == 0]
    empty = tuple(arm for arm in arms if observed[arm] == 0 and _is_no_accident(arm, intakes))
    p_value = _chi_square_p(observed, expected)
    alarm = bool(uninvited or empty) or (p_value is not None and p_value < ALARM_BELOW)
    return SampleRatio(
        observed, expected, p_value, empty, alarm, _message(observed, expected, p_value, empty)
    )


def _is_no_accident(arm: Arm, intakes: Sequence[Intake]) -> bool:
    """Whether it is no accident that nobody was drawn for an arm."""
    log_chance = 0.0
    for intake in intakes:
        share = intake.shares.get(arm, 0.0)
        if share >= 1.0 and intake.n:
            return True
        log_chance += intake.n * math.log1p(-share) if share < 1.0 else 0.0
    return log_chance < math.log(ALARM_BELOW)


def _chi_square_p(observed: Mapping[Arm, int], expected: Mapping[Arm, float]) -> float | None:
    """The p-value: 0 for people in an arm not meant for anybody, None where the test is no good."""
    if any(expected[arm] == 0 and observed[arm] > 0 for arm in observed):
        return 0.0
    tested = [arm for arm in observed if expected[arm] > 0]
    if len(tested) < 2 or min(expected[arm] for arm in tested) < LEAST_EXPECTED:
        return None
    statistic = sum((observed[arm] - expected[arm]) ** 2 / expected[arm] for arm in tested)
    return float(stats.chi2.sf(statistic, len(tested) - 1))


def _message(
    observed: Mapping[Arm, int],
    expected: Mapping[Arm, float],
    p_value: float | None,
    empty: tuple[Arm, ...],
) -> str:
    if empty:
        names = " and ".join(_words(arm) for arm in empty)
        due = sum(expected[arm] for arm in empty)
        return f"Nobody is in the {names} group, where about {due:,.0f} people should be."
    sizes = ", ".join(
        f"{_words(arm)} {observed[arm]:,} (intended {expected[arm]:,.0f})" for arm in observed
    )
    if p_value is None:
        return f"Too few people to test the split: {sizes}."
    if p_value < ALARM_BELOW:
        return f"The groups do not have the intended sizes (p = {p_value:.2g}): {sizes}."
    return f"The groups have the intended sizes (p = {p_value:.2g}): {sizes}."


def _words(arm: Arm) -> str:
    return {
        Arm.TREATMENT: "treatment",
        Arm.BUSINESS_AS_USUAL: "business-as-usual",
        Arm.NO_CONTACT: "no-contact",
    }[arm]
