"""One comparison of two arms: from moments to numbers, everything but the verdict.

A verdict waits for the correction for many comparisons, which needs all of their p-values:
:func:`connector.lift.conclude.conclude` gives it. Neither knows where the moments come from, so an
experiment that was run elsewhere is judged by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connector.errors import InsufficientDataError
from connector.lift.adjustment import covariate_check
from connector.lift.breakdown import alternatives_of, classes_of, relative_of
from connector.lift.conclude import conclude
from connector.lift.estimate import Estimated, estimate
from connector.lift.intervals import incremental_roas, incremental_total
from connector.lift.joint import JointMoments
from connector.lift.looks import Plan, Sight, decision_p, looks_so_far, series, sight
from connector.lift.metrics import MetricKind
from connector.lift.outcome import Outcome
from connector.lift.power import Sensitivity, power_left
from connector.lift.question import Draft, Other, Question, Side
from connector.lift.result import (
    Alternative,
    CampaignLift,
    GuardrailCheck,
    HealthFinding,
    Look,
    Money,
    Outlook,
    SegmentLift,
    Stage,
)
from connector.lift.rules import MeasurementSpec
from connector.lift.sequential import Critical, Design
from connector.lift.verdict import Evidence, Unit, Verdict, judge_guardrail
from connector.lift.wording import arm_mean, buyers_of, summary
from connector.numbers import percent

__all__ = ["Draft", "MeasurementSpec", "Other", "Question", "Side", "compare", "conclude"]


def compare(
    asked: Question,
    treatment: Side,
    holdout: Side,
    rules: MeasurementSpec,
    *,
    others: Sequence[Other] = (),
    account: Callable[[Critical], Money] | None = None,
) -> Draft:
    """Everything about one comparison but its verdict.

    Args:
        asked: What is asked.
        treatment: The treated arm.
        holdout: The arm that it is compared with.
        rules: How.
        others: Sensitivities that needed a look at the people themselves.
        account: Makes the account of the goal's window, its intervals drawn as the decision's.
    """
    metric = asked.outcome
    t = None if treatment.measured is None else treatment.measured.total
    c = None if holdout.measured is None else holdout.measured.total
    unit, is_money = metric.unit, metric.is_money
    found, obstacle, seen = None, asked.refusal, None
    buyers: float | None = None
    if t is not None and c is not None and not asked.refusal:
        buyers = buyers_of(metric.kind, t.y, c.y)
        try:
            found = estimate(metric.kind, t, c, rules.methods)
        except InsufficientDataError as problem:
            obstacle = problem.message
    difference = relative = total = roas = None
    p_value: float | None = None
    health, distrust = list(asked.health), asked.distrust
    stage = _stage(asked, rules)
    until = asked.as_of if asked.plan.ends_at is None else min(asked.as_of, asked.plan.ends_at)
    looks: tuple[Look, ...] = ()
    classes: list[tuple[SegmentLift, Evidence]] = []
    alternatives: list[Alternative] = []
    if found is not None and t is not None and c is not None:
        assert treatment.measured is not None  # noqa: S101 - it has moments
        assert holdout.measured is not None  # noqa: S101
        counts = looks_so_far(treatment.measured, holdout.measured, until)
        seen = sight(rules.design, asked.plan, counts, asked.as_of, confidence=rules.confidence)
        stage = seen.stage
        difference = found.interval_at(seen.critical)
        p_value = decision_p(found, seen, t.n + c.n, asked.plan, confidence=rules.confidence)
        relative = relative_of(found, seen)
        if metric.kind is not MetricKind.RATIO:
            total = incremental_total(difference, t.n)
            if metric.kind is MetricKind.SUM and is_money and asked.cost and asked.cost_is_fixed:
                roas = incremental_roas(total, asked.cost)
        bias = _bias(metric, t, c, rules)
        if bias is not None:
            health.append(bias)
            if bias.alarm and not distrust:
                distrust = bias.message
        looks = series(
            metric.kind,
            treatment.measured,
            holdout.measured,
            rules.methods,
            asked.plan,
            rules.design,
            until=until,
            confidence=rules.confidence,
            least_buyers=rules.thresholds.directional_from,
        )
        both = treatment.measured, holdout.measured
        classes = classes_of(
            asked, *both, (treatment.label, holdout.label), rules, seen, _too_early(asked, seen)
        )
        alternatives = alternatives_of(metric, *both, rules, seen)
        alternatives += [other.drawn(seen.critical) for other in others]
    evidence = Evidence(
        difference,
        buyers,
        None if c is None else arm_mean(metric.kind, c),
        distrust,
        obstacle,
        basis=metric.basis,
        is_running=seen is not None and seen.stage is Stage.RUNNING,
        too_early=_too_early(asked, seen),
        alpha=1.0 - rules.confidence,
        more_is_worse=metric.more_is_worse,
    )
    lift = CampaignLift(
        campaign=asked.campaign,
        epoch=asked.epoch,
        metric=metric.name,
        kind=metric.kind,
        window_days=metric.window_days,
        is_goal=asked.is_goal,
        as_of=asked.as_of,
        treatment=summary(treatment, metric.kind),
        holdout=summary(holdout, metric.kind),
        difference=difference,
        relative=relative,
        incremental=total,
        cost=asked.cost if t is not None and c is not None else None,
        incremental_roas=roas,
        expected_buyers=buyers,
        srm_p=asked.srm_p,
        verdict=Verdict.NOT_ENOUGH_DATA,
        reason="",
        comparison=asked.comparison,
        unit=unit.label,
        scale=unit.scale,
        digits=unit.digits,
        is_money=is_money,
        p_value=p_value,
        method="" if found is None else found.method,
        method_note="" if found is None else _method_note(found, seen, asked.plan, rules),
        stage=stage,
        series=looks,
        segments=tuple(one for one, _ in classes),
        segments_note=asked.segments_note,
        sensitivities=tuple(alternatives),
        health=tuple(health),
        guardrail=_guardrail(metric, evidence, unit),
        is_surrogate=metric.kind is MetricKind.DELTA,
        money=None if account is None or seen is None else account(seen.critical),
        outlook=_outlook(asked, found, seen, (treatment, holdout), rules),
    )
    return Draft(lift, evidence, unit, tuple(e for _, e in classes), asked.is_corrected)


def _bias(
    metric: Outcome, t: JointMoments, c: JointMoments, rules: MeasurementSpec
) -> HealthFinding | None:
    """Whether the arms already differed before; None where nothing of that time was measured."""
    if not metric.has_covariate or not rules.covariate_days:
        return None
    try:
        found = covariate_check(t, c)
    except InsufficientDataError:
        return None
    alarm = found.p_value < rules.pre_period_below
    return HealthFinding("pre_period", found.p_value, alarm, found.message)


def _guardrail(metric: Outcome, evidence: Evidence, unit: Unit) -> GuardrailCheck | None:
    if metric.max_increase is None:
        return None
    found = judge_guardrail(evidence, max_increase=metric.max_increase, unit=unit)
    return GuardrailCheck(metric.max_increase, found.guardrail.value, found.reason)


def _outlook(
    asked: Question,
    found: Estimated | None,
    seen: Sight | None,
    sides: tuple[Side, Side],
    rules: MeasurementSpec,
) -> Outlook:
    """End date and power left."""
    end = asked.plan.ends_at
    detectable, note = None, ""
    if found is not None and seen is not None and asked.outcome.kind is not MetricKind.RATIO:
        test = Sensitivity(1.0 - seen.critical.confidence, rules.power)
        wanted = percent(rules.wanted)
        try:
            left = power_left(
                found.treatment,
                found.holdout,
                lift=rules.wanted,
                planned_treatment=found.treatment.n + sides[0].n_open,
                planned_holdout=found.holdout.n + sides[1].n_open,
                test=test,
            )
        except InsufficientDataError:
            left = None
        if left is not None:
            detectable = left.detectable
            note = (
                f"With everybody assigned so far counted, an effect of {wanted} is found in"
                f" {percent(left.planned)} of cases; one of {percent(left.detectable)} in"
                f" {percent(rules.power)}."
            )
            if left.information < 1.0:
                note += (
                    f" Given what was seen so far, in {percent(left.conditional)} if the effect is"
                    f" {wanted} from now on."
                )
    return Outlook(
        registered_end=None if end is None else end.date(),
        end_note=asked.plan.end_note,
        detectable=detectable,
        wanted=rules.wanted,
        power_note=note,
    )


def _stage(asked: Question, rules: MeasurementSpec) -> Stage:
    """Which interval would decide now, where there is none."""
    if rules.design is Design.FIXED:
        return Stage.FIXED
    end = asked.plan.ends_at
    return Stage.FINAL if end is not None and asked.as_of >= end else Stage.RUNNING


def _method_note(found: Estimated, seen: Sight | None, plan: Plan, rules: MeasurementSpec) -> str:
    if seen is None or seen.stage is Stage.FIXED:
        return found.note
    if seen.stage is Stage.FINAL:
        return f"{found.note} The registered end has come, and this interval decides."
    wide = "The interval allows for being looked at again and again, so it is wider"
    until = "" if plan.ends_at is None else " until the registered end"
    return f"{found.note} {wide}{until}."


def _too_early(asked: Question, seen: Sight | None) -> str:
    """Why nothing may be decided yet."""
    if seen is None or not seen.is_early or asked.plan.ends_at is None:
        return ""
    day = asked.plan.ends_at.date()
    return f"A fixed design is read once, on its registered day, {day:%Y-%m-%d}."
