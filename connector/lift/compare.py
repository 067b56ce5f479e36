"""One comparison of two arms: from moments to numbers, and from all numbers together to verdicts.

It comes in two steps, because the correction for many comparisons needs all of their p-values
before any verdict can be given: :func:`compare` makes a draft of one, :func:`conclude` corrects and
judges them all. Neither knows where the moments come from, so an experiment that was run elsewhere
is judged by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from connector.errors import InsufficientDataError
from connector.lift.adjustment import covariate_check, stratified
from connector.lift.estimate import (
    Estimated,
    MeanMethod,
    Methods,
    ShareMethod,
    equivalent,
    estimate,
)
from connector.lift.intervals import Interval, incremental_roas, incremental_total, studentised
from connector.lift.joint import JointMoments
from connector.lift.looks import UNPLANNED, Plan, Sight, decision_p, looks_so_far, series, sight
from connector.lift.metrics import MetricKind
from connector.lift.moments import ArmMoments
from connector.lift.multiple import benjamini_hochberg
from connector.lift.outcome import Outcome
from connector.lift.power import Sensitivity, expected_buyers, expected_rarer, power_left
from connector.lift.result import (
    Alternative,
    ArmSummary,
    CampaignLift,
    GuardrailCheck,
    HealthFinding,
    Look,
    Money,
    Outlook,
    SegmentLift,
    Stage,
)
from connector.lift.scan import Measured
from connector.lift.sequential import Critical, Design
from connector.lift.verdict import STANDARD as USUAL
from connector.lift.verdict import Evidence, Thresholds, Unit, judge, judge_guardrail
from connector.lift.verdict import Verdict as Word
from connector.numbers import percent

UNKNOWN_CLASS = "(not known)"
"""Name of those whose class was not published."""


@dataclass(frozen=True, slots=True)
class MeasurementSpec:
    """How everything is measured.

    Attributes:
        confidence: Of every decision, between 0 and 1.
        flat_margin: Largest difference that still counts as none, as a share of the holdout's mean.
        currency: For sentences.
        mean: Interval of means.
        share: Interval of shares.
        covariate_days: How long before the assignment the covariate reaches; 0: nothing is
            adjusted.
        design: What allows for looking more than once.
        thresholds: Expected buyers that words need.
        corrects: Whether many comparisons are corrected for.
        srm_below: p-value of a split below which nothing is believed.
        pre_period_below: p-value of a difference before the assignment, likewise.
        contaminated_above: Share of people in two arms, or reached although they were held out,
            from which that is said first.
        power: Chance to find an effect, for the sentence on the power left.
        wanted: The relative effect that a campaign should be able to show.
        equal_size: Whether groups of equal size are compared as well.
    """

    confidence: float = 0.95
    flat_margin: float = 0.01
    currency: str = "EUR"
    mean: MeanMethod = MeanMethod.HALL
    share: ShareMethod = ShareMethod.AGRESTI_CAFFO
    covariate_days: int = 0
    design: Design = Design.FIXED
    thresholds: Thresholds = USUAL
    corrects: bool = True
    srm_below: float = 0.001
    pre_period_below: float = 0.001
    contaminated_above: float = 0.01
    power: float = 0.8
    wanted: float = 0.03
    equal_size: bool = False

    @property
    def methods(self) -> Methods:
        """Which estimator for which kind of outcome."""
        return Methods(self.mean, self.share, self.covariate_days > 0)


@dataclass(frozen=True, slots=True)
class Side:
    """One arm of a comparison.

    Attributes:
        label: Its name.
        measured: What its people did; None while nobody's outcome is known.
        n_open: People whose window has not closed.
        n_closed: People whose window has closed, their outcome known or not.
    """

    label: str
    measured: Measured | None
    n_open: int = 0
    n_closed: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of two arms.

    Attributes:
        campaign: Name of the campaign or of a foreign experiment.
        epoch: Randomisation epoch.
        outcome: What is measured.
        is_goal: Whether the campaign is judged on it.
        as_of: Instant of the analysis.
        comparison: What is compared with what, in words.
        plan: What was registered.
        health: Checks of the whole experiment.
        srm_p: p-value of the split.
        distrust: Why nothing is to be believed; empty when all is well.
        refusal: Why the comparison means nothing; empty when it means something.
        cost: Money spent on treated people; None where it is not known.
        cost_is_fixed: Whether the cost was known at assignment.
        is_corrected: Whether it is one of the many that are corrected together.
        segments_note: Why there are no classes.
    """

    campaign: str
    epoch: int
    outcome: Outcome
    is_goal: bool
    as_of: datetime
    comparison: str = ""
    plan: Plan = UNPLANNED
    health: tuple[HealthFinding, ...] = ()
    srm_p: float | None = None
    distrust: str = ""
    refusal: str = ""
    cost: float | None = None
    cost_is_fixed: bool = True
    is_corrected: bool = True
    segments_note: str = ""


@dataclass(frozen=True, slots=True)
class Other:
    """The two arms counted otherwise, for a labelled sensitivity.

    Attributes:
        name: As in :class:`connector.lift.result.Alternative`.
        label: What was done otherwise.
        treatment: Moments of the treated arm; None while nobody is left in it.
        holdout: Likewise.
        note: What a reader must know.
    """

    name: str
    label: str
    treatment: ArmMoments | None
    holdout: ArmMoments | None
    note: str = ""

    def drawn(self, at: Critical) -> Alternative:
        """The difference with an interval as wide as the decision's own, nothing adjusted."""
        try:
            if self.treatment is None or self.holdout is None:
                raise InsufficientDataError("Nobody is left.")
            found: Interval | None = at.interval(studentised(self.treatment, self.holdout))
        except InsufficientDataError:
            found = None
        return Alternative(self.name, self.label, found, self.note)


@dataclass(frozen=True, slots=True)
class Draft:
    """A comparison before it is judged.

    Attributes:
        lift: The result, its verdict still open.
        evidence: What the verdict is given on.
        unit: How it is spoken of.
        segments: The evidence of each of its classes.
        is_corrected: Whether it is one of the many that are corrected together.
    """

    lift: CampaignLift
    evidence: Evidence
    unit: Unit
    segments: tuple[Evidence, ...] = ()
    is_corrected: bool = True


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
        buyers = _buyers(metric.kind, t.y, c.y)
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
        relative = found.relative(equivalent(seen.critical))
        relative = None if relative is None else replace(relative, confidence=difference.confidence)
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
        classes = _classes(asked, *both, (treatment.label, holdout.label), rules, seen)
        alternatives = _alternatives(metric, *both, rules, seen)
        alternatives += [other.drawn(seen.critical) for other in others]
    evidence = Evidence(
        difference,
        buyers,
        None if c is None else _mean(metric.kind, c),
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
        verdict=Word.NOT_ENOUGH_DATA,
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


def conclude(drafts: Iterable[Draft], rules: MeasurementSpec) -> list[CampaignLift]:
    """Correct for the number of comparisons, and give every verdict.

    Goals are corrected together, over the campaigns, each in its newest epoch; classes of people
    are corrected together too, for each metric over all campaigns. Other metrics are shown beside
    the goal and are not corrected.

    Args:
        drafts: All comparisons that were looked at, not only promising ones.
        rules: How.
    """
    made = list(drafts)
    newest: dict[str, int] = {}
    for one in made:
        newest[one.lift.campaign] = max(newest.get(one.lift.campaign, 0), one.lift.epoch)
    family = [
        i
        for i, one in enumerate(made)
        if rules.corrects
        and one.is_corrected
        and one.lift.is_goal
        and one.lift.epoch == newest[one.lift.campaign]
        and one.lift.p_value is not None
        and not one.evidence.distrust
    ]
    adjusted = dict(
        zip(
            family,
            benjamini_hochberg([made[i].lift.p_value or 0.0 for i in family]),
            strict=True,
        )
    )
    corrected = _corrected_segments(made, rules)
    return [
        _judged(
            one,
            adjusted.get(i) if len(family) > 1 else None,
            len(family),
            corrected.get(i, ()),
            rules,
        )
        for i, one in enumerate(made)
    ]


def _corrected_segments(
    drafts: Sequence[Draft], rules: MeasurementSpec
) -> dict[int, tuple[tuple[SegmentLift, int], ...]]:
    """Classes with their adjusted p-values and the size of their family, by draft."""
    families: dict[str, list[tuple[int, int]]] = {}
    for i, one in enumerate(drafts):
        for j, part in enumerate(one.lift.segments):
            if part.p_value is not None and not one.evidence.distrust:
                families.setdefault(one.lift.metric, []).append((i, j))
    found: dict[tuple[int, int], tuple[float, int]] = {}
    for places in families.values():
        p_values = [drafts[i].lift.segments[j].p_value or 0.0 for i, j in places]
        values = benjamini_hochberg(p_values) if rules.corrects else tuple(p_values)
        found |= {place: (value, len(places)) for place, value in zip(places, values, strict=True)}
    result = {}
    for i, one in enumerate(drafts):
        parts = []
        for j, part in enumerate(one.lift.segments):
            value, n = found.get((i, j), (None, 1))
            parts.append((replace(part, p_adjusted=value), n))
        result[i] = tuple(parts)
    return result


def _judged(
    draft: Draft,
    p_adjusted: float | None,
    n_family: int,
    segments: Sequence[tuple[SegmentLift, int]],
    rules: MeasurementSpec,
) -> CampaignLift:
    evidence = replace(draft.evidence, p_adjusted=p_adjusted, n_comparisons=max(n_family, 1))
    judgement = judge(
        evidence, flat_margin=rules.flat_margin, unit=draft.unit, thresholds=rules.thresholds
    )
    parts = []
    for (part, n), known in zip(segments, draft.segments, strict=True):
        word = judge(
            replace(known, p_adjusted=part.p_adjusted, n_comparisons=n),
            flat_margin=rules.flat_margin,
            unit=draft.unit,
            thresholds=rules.thresholds,
        )
        parts.append(replace(part, verdict=word.verdict, reason=word.reason))
    return replace(
        draft.lift,
        p_adjusted=p_adjusted,
        verdict=judgement.verdict,
        reason=judgement.reason,
        segments=tuple(parts),
    )


# ---------------------------------------------------------------------- parts
def _classes(
    asked: Question,
    treatment: Measured,
    holdout: Measured,
    labels: tuple[str, str],
    rules: MeasurementSpec,
    seen: Sight,
) -> list[tuple[SegmentLift, Evidence]]:
    """The comparison within every class that an arm has."""
    metric, made = asked.outcome, []
    whole = treatment.total.n + holdout.total.n
    for dimension, name in sorted({*treatment.classes, *holdout.classes}):
        parts = treatment.classes.get((dimension, name)), holdout.classes.get((dimension, name))
        t, c = parts
        difference = relative = p_value = buyers = None
        obstacle = ""
        if t is not None and c is not None:
            buyers = _buyers(metric.kind, t.y, c.y)
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
                relative = _relative(found, at)
                p_value = decision_p(found, at, n, plan, confidence=rules.confidence)
        sides = [
            summary(Side(label, _alone(part, asked.as_of)), metric.kind)
            for label, part in zip(labels, parts, strict=True)
        ]
        evidence = Evidence(
            difference,
            buyers,
            None if c is None else _mean(metric.kind, c),
            asked.distrust,
            obstacle,
            basis=metric.basis,
            is_running=seen is not None and seen.stage is Stage.RUNNING,
            too_early=_too_early(asked, seen),
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
                    Word.NOT_ENOUGH_DATA,
                    "",
                ),
                evidence,
            )
        )
    return made


def _alternatives(
    metric: Outcome,
    treatment: Measured,
    holdout: Measured,
    rules: MeasurementSpec,
    seen: Sight,
) -> list[Alternative]:
    """The same comparison by the roads that moments suffice for."""
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


def _relative(found: Estimated, seen: Sight) -> Interval | None:
    """The percentage, under the confidence that the design gives it."""
    made = found.relative(equivalent(seen.critical))
    return None if made is None else replace(made, confidence=seen.critical.confidence)


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


# ---------------------------------------------------------------------- words
def summary(side: Side, kind: MetricKind) -> ArmSummary:
    """One arm's numbers."""
    if side.measured is None:
        return ArmSummary(side.label, 0, side.n_open, 0, None, 0.0)
    whole = side.measured.total
    y = whole.y
    ratio = kind is MetricKind.RATIO
    return ArmSummary(
        side.label,
        y.n,
        side.n_open,
        y.n_nonzero,
        _mean(kind, whole),
        y.total,
        y.variance if y.n > 1 else None,
        whole.x.total if ratio else None,
    )


def _mean(kind: MetricKind, moments: JointMoments) -> float | None:
    """An arm's outcome as it is shown: a ratio is that of the totals."""
    if kind is not MetricKind.RATIO:
        return moments.y.mean
    return moments.y.total / moments.x.total if moments.x.total else None


def _buyers(kind: MetricKind, t: ArmMoments, c: ArmMoments) -> float:
    return expected_rarer(t, c) if kind is MetricKind.SHARE else expected_buyers(t, c)
