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

The same is asked at four gates (:class:`Gate`), because people get lost between them and only the
gate says where: a split that is right when assigned and wrong when joined to outcomes has lost
people of one arm on the way. And two more questions are asked of the data: whether the arms already
differed before (:func:`pre_period_bias`), and how many people had the other arm's treatment
(:class:`Contamination`).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special, stats

from connector.domain import Arm, Finding, Level
from connector.errors import InsufficientDataError, ModelError
from connector.lift.intervals import studentised
from connector.lift.moments import ArmMoments
from connector.numbers import percent

ALARM_BELOW = 0.001
"""Chance below which a split is held to be broken and not unlucky."""

LEAST_EXPECTED = 5.0
"""Below so many people expected in an arm, chi-square does not describe the statistic."""


WARN_CONTAMINATED = 0.01
"""Share of people treated as another arm from which the report warns."""

ALARM_CONTAMINATED = 0.1
"""Share from which the comparison is no longer of what it says it is."""


class Gate(enum.StrEnum):
    """Where people are counted, in the order in which they pass; the split must hold at each."""

    ASSIGNED = "assigned"
    """Everybody who was drawn into an arm."""
    ELIGIBLE = "eligible"
    """Those of them who were eligible at that instant."""
    WOULD_SEND = "would_send"
    """Those to whom the campaign would have been sent, after suppression, consent and caps."""
    JOINED = "joined"
    """Those whose outcome is known."""


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


def gate_ratios(intakes: Mapping[Gate, Sequence[Intake]]) -> dict[Gate, SampleRatio]:
    """Test the split at every gate where people are counted.

    Args:
        intakes: Gate -> what passed it, one :class:`Intake` for each version of the configuration.
            Gates that are not counted are left out, and a gate that nobody at all has passed yet
            is not tested.

    Returns:
        In the order in which people pass.
    """
    return {
        gate: sample_ratio(intakes[gate])
        for gate in Gate
        if any(intake.n for intake in intakes.get(gate, ()))
    }


def first_alarm(ratios: Mapping[Gate, SampleRatio]) -> tuple[Gate, SampleRatio] | None:
    """The first gate whose split is broken: what went wrong, went wrong just before it."""
    return next(
        ((gate, ratios[gate]) for gate in Gate if gate in ratios and ratios[gate].alarm), None
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


@dataclass(frozen=True, slots=True)
class PrePeriodBias:
    """Whether the arms were alike before the campaign.

    Attributes:
        difference: Treatment minus holdout per person, of something from before the assignment.
        z: How many standard errors that is, skewness taken out.
        p_value: Two-sided.
        alarm: Whether the analysis is not to be trusted.
        message: One sentence for people.
    """

    difference: float
    z: float
    p_value: float
    alarm: bool
    message: str


def pre_period_bias(treatment: ArmMoments, holdout: ArmMoments) -> PrePeriodBias:
    """Test whether the arms differ in something from before the assignment.

    The z test, on Hall's scale: revenue before the campaign is as skewed as revenue after it, and
    far out in the tail a plain z test would raise many times the false alarms it promises.

    Args:
        treatment: Moments of an outcome that was complete before the assignment.
        holdout: Likewise.

    Raises:
        InsufficientDataError: An arm has fewer than two people, or nothing varies.
    """
    found = studentised(treatment, holdout)
    z = found.transformed()
    p_value = float(2.0 * special.ndtr(-abs(z)))
    alarm = p_value < ALARM_BELOW
    message = (
        f"The groups already differed before the campaign (p = {p_value:.2g})."
        if alarm
        else f"The groups were alike before the campaign (p = {p_value:.2g})."
    )
    return PrePeriodBias(found.estimate, z, p_value, alarm, message)


@dataclass(frozen=True, slots=True)
class Contamination:
    """People who had what another arm was to have.

    People stay in the arm they were first drawn into, so contamination hides part of an effect and
    never makes one: with a share c of the holdout reached, the difference shrinks by about that
    share. Hence the rule: from 1 % on it is said, from 10 % on the comparison is not to be trusted.

    Attributes:
        n_people: Everybody in the comparison.
        n_in_two_arms: Profiles merged from people of different arms; they count in the earlier one.
        n_holdout: People held out.
        n_holdout_reached: Of these, people whom the vendor reached all the same.
    """

    n_people: int
    n_in_two_arms: int
    n_holdout: int
    n_holdout_reached: int

    def __post_init__(self) -> None:
        """Refuse impossible counts.

        Raises:
            ModelError: A part is larger than its whole, or negative.
        """
        if not (
            0 <= self.n_in_two_arms <= self.n_people
            and 0 <= self.n_holdout_reached <= self.n_holdout <= self.n_people
        ):
            raise ModelError("The counts of contaminated people contradict each other.")

    @property
    def share(self) -> float:
        """The larger of the two shares: of all people in two arms, of the holdout reached."""
        return max(
            self.n_in_two_arms / self.n_people if self.n_people else 0.0,
            self.n_holdout_reached / self.n_holdout if self.n_holdout else 0.0,
        )

    @property
    def level(self) -> Level:
        """How bad it is."""
        if self.share >= ALARM_CONTAMINATED:
            return Level.ERROR
        return Level.WARNING if self.share >= WARN_CONTAMINATED else Level.OK

    @property
    def alarm(self) -> bool:
        """Whether the analysis is not to be trusted."""
        return self.level is Level.ERROR

    @property
    def message(self) -> str:
        """One sentence for people."""
        if not self.n_in_two_arms and not self.n_holdout_reached:
            return "Nobody had what another group was to have."
        reached = self.n_holdout_reached / self.n_holdout if self.n_holdout else 0.0
        return (
            f"{self.n_holdout_reached:,} of {self.n_holdout:,} people held out "
            f"({percent(reached)}) were reached all the same, and {self.n_in_two_arms:,} people "
            "were in two groups before they were found to be one person; the effect may be larger "
            "than measured."
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
    """The p-value of the arms' sizes; see :func:`split_p`."""
    return split_p([observed[arm] for arm in observed], [expected[arm] for arm in observed])


def split_p(observed: Sequence[int], expected: Sequence[float]) -> float | None:
    """p-value of the sizes of arms, whatever they are called.

    Args:
        observed: People of each arm.
        expected: People expected in each, the same order.

    Returns:
        0 for people in an arm that was meant for nobody; None where the test is no good.
    """
    pairs = list(zip(observed, expected, strict=True))
    if any(due == 0 and found > 0 for found, due in pairs):
        return 0.0
    tested = [(found, due) for found, due in pairs if due > 0]
    if len(tested) < 2 or min(due for _, due in tested) < LEAST_EXPECTED:
        return None
    statistic = sum((found - due) ** 2 / due for found, due in tested)
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
