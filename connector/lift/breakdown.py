"""One comparison taken apart: within classes of people, and by other estimators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from connector.errors import InsufficientDataError
from connector.lift.adjustment import stratified
from connector.lift.estimate import Estimated, MeanMethod, Methods, equivalent, estimate
from connector.lift.intervals import Interval
from connector.lift.joint import JointMoments, merge_all_joint
from connector.lift.looks import Sight, decision_p, sight
from connector.lift.metrics import MetricKind
from connector.lift.moments import ArmMoments
from connector.lift.outcome import Outcome
from connector.lift.question import Question, Side
from connector.lift.result import Alternative, SegmentLift, Stage
from connector.lift.rules import MeasurementSpec
from connector.lift.scan import Measured
from connector.lift.verdict import Evidence, Verdict
from connector.lift.wording import arm_mean, buyers_of, summary

SMALL_CELL = 10
"""People of an arm below which a class is not shown by itself."""

SMALL_CLASSES = "(smaller ones)"
"""Name of the classes of a dimension that are too small to be shown."""

UNKNOWN_CLASS = "(not known)"
"""Name of those whose class was not published."""


def classes_of(
    asked: Question,
    treatment: Measured,
    holdout: Measured,
    labels: tuple[str, str],
    rules: MeasurementSpec,
    seen: Sight,
    too_early: str,
) -> list[tuple[SegmentLift, Evidence]]:
    """The comparison within every class that an arm has.

    Args:
        asked: What is asked of the whole arms.
        treatment: The treated arm.
        holdout: The arm that it is compared with.
        labels: Names of the two.
        rules: How.
        seen: How the whole comparison's interval is drawn.
        too_early: Why nothing may be decided yet.

    Returns:
        Each class with the evidence for its verdict, which waits for the correction.
    """
    metric, made = asked.outcome, []
    whole = treatment.total.n + holdout.total.n
    for (dimension, name), parts in _large_enough(treatment, holdout).items():
        t, c = parts
        difference = relative = p_value = buyers = None
        obstacle = ""
        if t is not None and c is not None:
            buyers = buyers_of(metric.kind, t.y, c.y)
            try:
                found = estimate(metric.kind, t, c, rules.methods)
            except InsufficientDataError as problem:
                obstacle = problem.message
            else:
                n = t.n + c.n
                # The plan of a class is its share of the whole plan.
                plan = replace(asked.plan, planned=max(1, round(asked.plan.planned * n / whole)))
                at = (
                    seen
                    if seen.stage is not Stage.RUNNING
                    else sight(rules.design, plan, [n], asked.as_of, confidence=rules.confidence)
                )
                difference = found.interval_at(at.critical)
                relative = relative_of(found, at)
                p_value = decision_p(found, at, n, plan, confidence=rules.confidence)
        sides = [
            summary(Side(label, _alone(part, asked.as_of)), metric.kind)
            for label, part in zip(labels, parts, strict=True)
        ]
        evidence = Evidence(
            difference,
            buyers,
            None if c is None else arm_mean(metric.kind, c),
            asked.distrust,
            obstacle,
            basis=metric.basis,
            is_running=seen is not None and seen.stage is Stage.RUNNING,
            too_early=too_early,
            alpha=1.0 - rules.confidence,
            more_is_worse=metric.more_is_worse,
        )
        made.append(
            (
                SegmentLift(
                    dimension,
                    name or UNKNOWN_CLASS,
                    sides[0],
                    sides[1],
                    difference,
                    relative,
                    p_value,
                    None,
                    buyers,
                    Verdict.NOT_ENOUGH_DATA,
                    "",
                ),
                evidence,
            )
        )
    return made


def _large_enough(
    treatment: Measured, holdout: Measured
) -> dict[tuple[str, str], tuple[JointMoments | None, JointMoments | None]]:
    """The classes of both arms, in order; small ones of a dimension are put together.

    What fewer than :data:`SMALL_CELL` people of an arm brought comes close to what a person did,
    so it is shown of a larger class or not at all.
    """
    shown: dict[tuple[str, str], tuple[JointMoments | None, JointMoments | None]] = {}
    small: dict[str, list[tuple[JointMoments | None, JointMoments | None]]] = {}
    for key in sorted({*treatment.classes, *holdout.classes}):
        parts = treatment.classes.get(key), holdout.classes.get(key)
        if all(part is not None and part.n >= SMALL_CELL for part in parts):
            shown[key] = parts
        else:
            small.setdefault(key[0], []).append(parts)
    for dimension, folded in small.items():
        t, c = (_together([parts[i] for parts in folded]) for i in (0, 1))
        if t is not None and c is not None and min(t.n, c.n) >= SMALL_CELL:
            shown[dimension, SMALL_CLASSES] = (t, c)
    return shown


def _together(parts: Sequence[JointMoments | None]) -> JointMoments | None:
    known = [part for part in parts if part is not None]
    return merge_all_joint(known) if known else None


def alternatives_of(
    metric: Outcome,
    treatment: Measured,
    holdout: Measured,
    rules: MeasurementSpec,
    seen: Sight,
) -> list[Alternative]:
    """The same comparison by the roads that moments suffice for.

    Args:
        metric: What is measured.
        treatment: The treated arm.
        holdout: The arm that it is compared with.
        rules: How.
        seen: How the whole comparison's interval is drawn.
    """
    t, c = treatment.total, holdout.total
    if metric.kind in (MetricKind.SHARE, MetricKind.RATIO):
        return []
    made = []
    ways: list[tuple[str, str, Methods]] = []
    if rules.methods.mean is not MeanMethod.WELCH:
        label = "Welch's interval, which takes no account of skewness"
        ways.append(("welch", label, replace(rules.methods, mean=MeanMethod.WELCH)))
    if rules.methods.adjusts and t.x.variance + c.x.variance > 0:
        label = "Without the adjustment for what people did before (CUPED)"
        ways.append(("no_cuped", label, replace(rules.methods, adjusts=False)))
    for name, label, methods in ways:
        made.append(Alternative(name, label, _drawn(metric.kind, t, c, methods, seen)))
    for dimension in dict.fromkeys(d for d, _ in sorted(treatment.classes)):
        parts = [
            (
                _own(treatment.classes.get((dimension, name))),
                _own(holdout.classes.get((dimension, name))),
            )
            for name in sorted(
                {n for d, n in {*treatment.classes, *holdout.classes} if d == dimension}
            )
        ]
        try:
            drawn: Interval | None = seen.critical.interval(stratified(parts))
        except InsufficientDataError:
            drawn = None
        made.append(
            Alternative(
                f"post_stratified:{dimension}",
                f"Compared within each {dimension} and put together by their sizes",
                drawn,
            )
        )
    return made


def _alone(moments: JointMoments | None, at: datetime) -> Measured | None:
    return None if moments is None else Measured(((at, moments),))


def _own(moments: JointMoments | None) -> ArmMoments | None:
    return None if moments is None else moments.y


def _drawn(
    kind: MetricKind, t: JointMoments, c: JointMoments, methods: Methods, seen: Sight
) -> Interval | None:
    try:
        return estimate(kind, t, c, methods).interval_at(seen.critical)
    except InsufficientDataError:
        return None


def relative_of(found: Estimated, seen: Sight) -> Interval | None:
    """The percentage, under the confidence that the design gives it."""
    made = found.relative(equivalent(seen.critical))
    return None if made is None else replace(made, confidence=seen.critical.confidence)
