"""Several offers in one campaign: each against control, each against the others, and which is best.

The treatment arm was divided by chance, so offers are compared as arms are. Of two offers and a
control there are three comparisons, in every segment three more; all that were looked at are
corrected together (Benjamini and Hochberg), those of everybody by themselves and those of segments
by themselves. Intervals of what is then called best are drawn at the level that the selection
leaves them (Benjamini and Yekutieli), and the design of the campaign holds here too: while it runs,
p-values and intervals allow for being looked at again and again.

**Best** is an offer only where it beats control *and* every other offer, each by its corrected
p-value, with enough expected buyers in both of its groups. That it leads is not enough: of two
offers that do the same, one always leads. Where none is best the strategy says what is given
otherwise. Money that an offer itself costs is not taken off here; let the metric be a margin where
offers cost differently.

References:
    Benjamini & Hochberg (1995), "Controlling the false discovery rate", Journal of the Royal
    Statistical Society B 57(1). Benjamini & Yekutieli (2005), "False discovery rate-adjusted
    multiple confidence intervals for selected parameters", Journal of the American Statistical
    Association 100(469).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import combinations
from typing import Any

from scipy import stats

from connector.errors import InsufficientDataError
from connector.lift.compare import MeasurementSpec
from connector.lift.estimate import Estimated, estimate
from connector.lift.intervals import Interval, normal_quantile
from connector.lift.joint import JointMoments
from connector.lift.looks import Plan, decision_p, sight
from connector.lift.metrics import MetricKind
from connector.lift.multiple import benjamini_hochberg, false_coverage_confidence
from connector.lift.outcome import Outcome
from connector.lift.power import expected_buyers, expected_rarer
from connector.lift.result import Stage
from connector.lift.sequential import Critical, Design, Phase, critical_at
from connector.numbers import minus

EVERYBODY = ("", "")
"""Dimension and name of the class that everybody is in."""

LEAST_EXPECTED = 5.0
"""Expected people of a group below which its size is not tested."""

Groups = Mapping[tuple[str, str], Mapping[str, JointMoments]]
"""(dimension, class) -> offer or control arm -> what its people did."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One campaign that tries offers, in its newest epoch.

    Attributes:
        campaign: Its name.
        epoch: Randomisation epoch.
        outcome: What is compared: the campaign's goal.
        offers: Names, in order.
        control: Name of the control arm; empty: there is none, and offers are compared with each
            other only.
        planned: People whom the campaign was planned with, all arms; at least 1.
        ends_at: The registered instant of the last look; None: it runs on.
        distrust: Why nothing is to be believed; empty when all is well.
    """

    campaign: str
    epoch: int
    outcome: Outcome
    offers: tuple[str, ...]
    control: str
    planned: int = 1
    ends_at: datetime | None = None
    distrust: str = ""


@dataclass(frozen=True, slots=True)
class OfferComparison:
    """Two offers, or an offer and the control arm, in one class of people.

    Attributes:
        dimension: What people are classed by; empty: everybody.
        name: The class.
        first: An offer.
        second: Another, or the control arm.
        n_first: People whose window has closed.
        n_second: Likewise.
        mean_first: Outcome per person; None while there is nobody.
        mean_second: Likewise.
        difference: First less second, per person; None when it cannot be computed.
        p_value: Two-sided, of the design, before correction.
        p_adjusted: After it.
        expected_buyers: In the smaller group.
        note: Why there is no interval; empty when there is one.
    """

    dimension: str
    name: str
    first: str
    second: str
    n_first: int
    n_second: int
    mean_first: float | None
    mean_second: float | None
    difference: Interval | None
    p_value: float | None
    p_adjusted: float | None
    expected_buyers: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class BestOffer:
    """The offer that has proved best in one class of people, or why none has.

    Attributes:
        dimension: What people are classed by; empty: everybody.
        name: The class.
        offer: None: none has.
        leader: The offer with the best mean; None while there is nobody.
        gain: What the leader brings against control, per person; None where there is no control.
        lead: What it brings against the one behind it.
        reason: One sentence.
    """

    dimension: str
    name: str
    offer: str | None
    leader: str | None
    gain: Interval | None
    lead: Interval | None
    reason: str


@dataclass(frozen=True, slots=True)
class OfferLift:
    """Everything about the offers of one campaign.

    Attributes:
        campaign: Its name.
        epoch: Randomisation epoch.
        metric: What was compared.
        unit: What a difference is in, after it was multiplied by ``scale``.
        scale: 100 for shares.
        confidence: Of every decision.
        stage: Which interval decides.
        comparisons: Of everybody first, then by class.
        best: Of everybody first, then by class.
    """

    campaign: str
    epoch: int
    metric: str
    unit: str
    scale: float
    confidence: float
    stage: Stage
    comparisons: tuple[OfferComparison, ...]
    best: tuple[BestOffer, ...]

    def best_of(self, dimension: str = "", name: str = "") -> str | None:
        """The offer that has proved best in a class; of everybody where none is named."""
        return next(
            (b.offer for b in self.best if (b.dimension, b.name) == (dimension, name)), None
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes, at full precision."""
        return {**asdict(self), "stage": self.stage.value}


def split_alarm(observed: Mapping[str, int], expected: Mapping[str, float], *, below: float) -> str:
    """Why a split into offers and control is not what was drawn; empty when it is.

    Args:
        observed: Label -> people assigned.
        expected: Label -> people expected by the shares that each was drawn with; the same total.
        below: p-value of the chi-square test below which nothing is believed.
    """
    labels = sorted(label for label, n in expected.items() if n > 0)
    if len(labels) < 2 or min(expected[label] for label in labels) < LEAST_EXPECTED:
        return ""
    counts = [observed.get(label, 0) for label in labels]
    wanted = [expected[label] for label in labels]
    p = float(stats.chisquare(counts, [w * sum(counts) / sum(wanted) for w in wanted]).pvalue)
    if p >= below:
        return ""
    said = ", ".join(
        f"{label.replace('_', ' ')} {n:,} of {w:,.0f}"
        for label, n, w in zip(labels, counts, wanted, strict=True)
    )
    return f"The offers do not have the sizes that were drawn ({said} expected; p = {p:.1g})."


def compare_offers(
    trial: Trial, groups: Groups, rules: MeasurementSpec, *, as_of: datetime
) -> OfferLift:
    """Compare everything with everything, correct, and say what is best.

    Args:
        trial: The campaign.
        groups: What people of each offer and of the control arm did, in every class; everybody
            under :data:`EVERYBODY`.
        rules: How.
        as_of: Instant of the analysis.
    """
    drawn = _Drawing(trial, groups, rules, as_of)
    made: list[_Pair] = []
    for place in sorted(groups):
        labels = [one for one in (*trial.offers, trial.control) if one]
        made += [drawn.pair(place, first, second) for first, second in combinations(labels, 2)]
    adjusted = _adjusted(made, rules)
    finished = [
        drawn.finished(pair, p, level) for pair, (p, level) in zip(made, adjusted, strict=True)
    ]
    unit = trial.outcome.unit
    return OfferLift(
        campaign=trial.campaign,
        epoch=trial.epoch,
        metric=trial.outcome.name,
        unit=unit.label,
        scale=unit.scale,
        confidence=rules.confidence,
        stage=drawn.stage,
        comparisons=tuple(finished),
        best=tuple(_best(trial, place, finished, rules, unit.scale) for place in sorted(groups)),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """A comparison before it is corrected."""

    shown: OfferComparison
    found: Estimated | None
    n: int


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Draws intervals and p-values by the design of one campaign."""

    trial: Trial
    groups: Groups
    rules: MeasurementSpec
    as_of: datetime

    @property
    def stage(self) -> Stage:
        return sight(
            self.rules.design, self._plan(1), [1], self.as_of, confidence=self.rules.confidence
        ).stage

    def pair(self, place: tuple[str, str], first: str, second: str) -> _Pair:
        """One comparison, its p-value not corrected yet."""
        a, b = (self.groups[place].get(label) for label in (first, second))
        kind = self.trial.outcome.kind
        shown = OfferComparison(
            dimension=place[0],
            name=place[1],
            first=first,
            second=second,
            n_first=0 if a is None else a.y.n,
            n_second=0 if b is None else b.y.n,
            mean_first=None if a is None else a.y.mean,
            mean_second=None if b is None else b.y.mean,
            difference=None,
            p_value=None,
            p_adjusted=None,
            expected_buyers=None,
        )
        if a is None or b is None:
            return _Pair(replace(shown, note="Nobody's window has closed yet."), None, 0)
        rarer = expected_rarer if kind is MetricKind.SHARE else expected_buyers
        shown = replace(shown, expected_buyers=rarer(a.y, b.y))
        try:
            found = estimate(kind, a, b, self.rules.methods)
        except InsufficientDataError as problem:
            return _Pair(replace(shown, note=problem.message), None, 0)
        n = a.y.n + b.y.n
        seen = sight(
            self.rules.design, self._plan(n), [n], self.as_of, confidence=self.rules.confidence
        )
        p = decision_p(found, seen, n, self._plan(n), confidence=self.rules.confidence)
        return _Pair(replace(shown, p_value=p), found, n)

    def finished(self, pair: _Pair, p_adjusted: float | None, level: float) -> OfferComparison:
        """With its corrected p-value, and the interval at the level that the correction leaves."""
        if pair.found is None:
            return pair.shown
        drawn = pair.found.interval_at(self._critical(pair.n, level))
        return replace(pair.shown, p_adjusted=p_adjusted, difference=drawn)

    def _critical(self, n: int, confidence: float) -> Critical:
        design = self.rules.design
        if design is Design.FIXED:
            return Critical(normal_quantile(confidence), confidence)
        ended = self.stage is Stage.FINAL
        if self.trial.ends_at is None:
            design = Design.SEQUENCE
        elif design is Design.OBRIEN_FLEMING:
            # Its bounds are those of declared looks, which classes and pairs have none of.
            design = Design.HYBRID
        phase = Phase.ENDED if ended else Phase.RUNNING
        at = critical_at(design, phase, n=n, planned=self._plan(n).planned, confidence=confidence)
        return Critical(at.value, confidence)

    def _plan(self, n: int) -> Plan:
        """A pair's share of what was planned."""
        known = self.groups.get(EVERYBODY, {}).values()
        whole = max(sum(one.y.n for one in known), 1)
        return Plan(max(1, round(self.trial.planned * n / whole)), self.trial.ends_at)


def _adjusted(pairs: Sequence[_Pair], rules: MeasurementSpec) -> list[tuple[float | None, float]]:
    """Corrected p-value and the confidence of the interval, of each pair."""
    made: list[tuple[float | None, float]] = [(None, rules.confidence)] * len(pairs)
    q = 1.0 - rules.confidence
    for of_everybody in (True, False):
        family = [
            i
            for i, one in enumerate(pairs)
            if ((one.shown.dimension, one.shown.name) == EVERYBODY) is of_everybody
            and one.shown.p_value is not None
        ]
        p_values = [pairs[i].shown.p_value or 0.0 for i in family]
        if not family:
            continue
        corrected = benjamini_hochberg(p_values) if rules.corrects else tuple(p_values)
        n_selected = sum(p <= q for p in corrected)
        level = (
            false_coverage_confidence(n_selected, len(family), q=q)
            if rules.corrects
            else rules.confidence
        )
        for i, p in zip(family, corrected, strict=True):
            made[i] = (p, level)
    return made


def _best(
    trial: Trial,
    place: tuple[str, str],
    comparisons: Sequence[OfferComparison],
    rules: MeasurementSpec,
    scale: float,
) -> BestOffer:
    """The offer that beats everything else in a class."""
    mine = [one for one in comparisons if (one.dimension, one.name) == place]
    sides = [
        side
        for one in mine
        for side in ((one.first, one.mean_first), (one.second, one.mean_second))
    ]
    means = {label: mean for label, mean in sides if mean is not None}
    sign = -1.0 if trial.outcome.more_is_worse else 1.0
    order = sorted(
        (label for label in trial.offers if label in means),
        key=lambda label: (-sign * means[label], label),
    )
    if not order:
        return BestOffer(*place, None, None, None, None, "Nobody's window has closed yet.")
    leader = order[0]
    against = {_other(one, leader): _turned(one, leader) for one in mine if leader in _both(one)}
    gain = against[trial.control].difference if trial.control in against else None
    lead = against[order[1]].difference if len(order) > 1 else None

    def said(reason: str, *, best: bool = False) -> BestOffer:
        return BestOffer(*place, leader if best else None, leader, gain, lead, reason)

    if trial.distrust:
        return said(trial.distrust)
    if len(order) < len(trial.offers) or (trial.control and trial.control not in means):
        return said("Not every offer and the control group have people whose window has closed.")
    few = rules.thresholds.verdict_from
    least = min(one.expected_buyers or 0.0 for one in against.values())
    if least < few:
        return said(
            f"{leader} leads, but with {least:.0f} expected buyers in the smaller group"
            f" ({few:.0f} are needed) nothing is proved."
        )
    open_to = [
        label
        for label, one in against.items()
        if one.p_adjusted is None
        or one.p_adjusted > 1.0 - rules.confidence
        or one.difference is None
        or sign * one.difference.estimate <= 0
    ]
    if open_to:
        rivals = " and ".join(sorted(label.replace("_", " ") for label in open_to))
        return said(f"{leader} leads, but it is not proved that it does better than {rivals}.")
    found = "" if lead is None else f" by {minus(f'{lead.estimate * scale:.3g}')} per person"
    others = " and every other offer" if len(order) > 1 else ""
    return said(f"{leader} beats{' control' if trial.control else ''}{others}{found}.", best=True)


def _both(one: OfferComparison) -> tuple[str, str]:
    return one.first, one.second


def _other(one: OfferComparison, label: str) -> str:
    return one.second if one.first == label else one.first


def _turned(one: OfferComparison, first: str) -> OfferComparison:
    """The comparison with the label first."""
    if one.first == first:
        return one
    seen = one.difference
    turned = (
        None
        if seen is None
        else replace(seen, estimate=-seen.estimate, low=-seen.high, high=-seen.low)
    )
    return replace(
        one,
        first=one.second,
        second=one.first,
        n_first=one.n_second,
        n_second=one.n_first,
        mean_first=one.mean_second,
        mean_second=one.mean_first,
        difference=turned,
    )
