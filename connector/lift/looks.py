"""When a comparison is looked at, and how wide its interval is at each look.

The design, the planned number of people and the end are registered before anybody looks. While the
campaign runs, the interval allows for every look that may still come; on the registered end the
interval of that one day decides, and what happens afterwards no longer changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.errors import InsufficientDataError
from connector.lift.estimate import Estimated, Methods, estimate
from connector.lift.intervals import normal_quantile
from connector.lift.joint import JointMoments
from connector.lift.metrics import MetricKind
from connector.lift.multiple import two_sided_p
from connector.lift.power import expected_buyers, expected_rarer
from connector.lift.result import Look, Stage
from connector.lift.scan import Measured
from connector.lift.sequential import Critical, Design, Phase, always_valid_p, critical_at


@dataclass(frozen=True, slots=True)
class Plan:
    """What was registered of one comparison.

    Attributes:
        planned: People that it was planned with, both arms; at least 1.
        ends_at: The instant of the last look; None: it runs on.
        end_note: What must be said of the end.
    """

    planned: int = 1
    ends_at: datetime | None = None
    end_note: str = ""


UNPLANNED = Plan()


@dataclass(frozen=True, slots=True)
class Sight:
    """How the interval is drawn at one look, and what the look is.

    Attributes:
        critical: Of the interval.
        stage: Which interval it is.
        is_early: Whether the design allows no decision yet.
    """

    critical: Critical
    stage: Stage
    is_early: bool = False


def sight(
    design: Design, plan: Plan, counts: Sequence[int], at: datetime, *, confidence: float
) -> Sight:
    """How the interval is drawn at the last of several looks.

    Args:
        design: As configured.
        plan: What was registered.
        counts: People of both arms at every look so far, the one in question last.
        at: The instant of that look.
        confidence: Of the whole design.
    """
    ended = plan.ends_at is not None and at >= plan.ends_at
    n = counts[-1]
    if design is Design.FIXED:
        early = plan.ends_at is not None and not ended
        return Sight(Critical(normal_quantile(confidence), confidence), Stage.FIXED, early)
    if plan.ends_at is None:
        # Nothing is reserved for an end that will not come.
        design = Design.SEQUENCE
    stage = Stage.FINAL if ended and design is not Design.SEQUENCE else Stage.RUNNING
    fractions = (
        _fractions(counts, plan.planned, ended=ended) if design is Design.OBRIEN_FLEMING else ()
    )
    critical = critical_at(
        design,
        Phase.ENDED if ended else Phase.RUNNING,
        n=n,
        planned=plan.planned,
        confidence=confidence,
        fractions=fractions,
    )
    return Sight(critical, stage)


def _fractions(counts: Sequence[int], planned: int, *, ended: bool) -> list[float]:
    """Information at the looks over what is planned; the end is 1, and nothing before it is."""
    made: list[float] = []
    for n in counts[:-1] if ended else counts:
        share = min(n / planned, 0.99)
        if share > (made[-1] if made else 0.0):
            made.append(share)
    return [*made, 1.0] if ended else made or [0.01]


def decision_p(found: Estimated, seen: Sight, n: int, plan: Plan, *, confidence: float) -> float:
    """The p-value on the scale of the whole design: below alpha where the interval excludes zero.

    Args:
        found: The estimate.
        seen: How its interval is drawn.
        n: People, both arms.
        plan: What was registered.
        confidence: Of the whole design.
    """
    alpha, own = 1.0 - confidence, 1.0 - seen.critical.confidence
    if seen.stage is Stage.FIXED:
        return found.p_value
    if own < alpha * 0.999 and seen.stage is Stage.FINAL:
        return min(1.0, found.p_value * alpha / own)
    value = always_valid_p(found.z, n, planned=plan.planned, alpha=own)
    sequence = critical_at(
        Design.SEQUENCE, Phase.RUNNING, n=n, planned=plan.planned, confidence=1.0 - own
    )
    if abs(sequence.value - seen.critical.value) < 1e-9:
        return min(1.0, value * alpha / own)
    # Declared looks: how far beyond its bound, on the scale of the chance that the bound has.
    return min(1.0, found.p_value / two_sided_p(seen.critical.value) * alpha)


def series(
    kind: MetricKind,
    treatment: Measured,
    holdout: Measured,
    methods: Methods,
    plan: Plan,
    design: Design,
    *,
    until: datetime,
    confidence: float,
    least_buyers: float,
) -> tuple[Look, ...]:
    """The comparison as it stood at every look, each with a band that allows for all of them.

    Looks with fewer expected buyers than anything may be said on are left out: out there the bands
    are not what they claim.

    Args:
        kind: Of the metric.
        treatment: By week.
        holdout: Likewise.
        methods: Which estimator.
        plan: What was registered.
        design: As configured; a fixed one has no band of its own, so the sequence is shown.
        until: The instant of the last look.
        confidence: Of the whole design.
        least_buyers: Expected buyers in the smaller arm that a look needs.
    """
    band = Design.SEQUENCE if design is Design.FIXED else design
    running = Plan(plan.planned, plan.ends_at)
    made: list[Look] = []
    counts: list[int] = []
    for at, t, c in _standings(treatment, holdout, until):
        counts.append(t.n + c.n)
        if _buyers(kind, t, c) < least_buyers:
            continue
        try:
            found = estimate(kind, t, c, methods)
        except InsufficientDataError:
            continue
        # The band is the one that was valid on the way, on the last day too.
        before_end = at if plan.ends_at is None else min(at, plan.ends_at - timedelta(seconds=1))
        seen = sight(band, running, counts, before_end, confidence=confidence)
        drawn = found.interval_at(seen.critical)
        made.append(Look(at, t.n, c.n, found.estimate, drawn.low, drawn.high))
    return tuple(made)


def looks_so_far(treatment: Measured, holdout: Measured, until: datetime) -> list[int]:
    """People of both arms at every look."""
    return [t.n + c.n for _, t, c in _standings(treatment, holdout, until)]


def _buyers(kind: MetricKind, t: JointMoments, c: JointMoments) -> float:
    rarer = expected_rarer if kind is MetricKind.SHARE else expected_buyers
    return rarer(t.y, c.y)


def _standings(
    treatment: Measured, holdout: Measured, until: datetime
) -> list[tuple[datetime, JointMoments, JointMoments]]:
    """Both arms as they stood at the end of every week in which a window ended."""
    parts = (dict(treatment.looks), dict(holdout.looks))
    arms: list[JointMoments | None] = [None, None]
    made = []
    for monday in sorted({*parts[0], *parts[1]}):
        for i, part in enumerate(parts):
            fresh, known = part.get(monday), arms[i]
            if fresh is not None:
                arms[i] = fresh if known is None else known.merge(fresh)
        t, c = arms
        if t is not None and c is not None:
            made.append((min(monday + timedelta(days=7), until), t, c))
    return made
