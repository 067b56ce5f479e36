"""What the page and the terminal show of results: each number as text, its interval beside it.

A card is one campaign (of an experiment run elsewhere: one pair of groups). It is headed by the
result that it is judged on; what stands behind that comes from :mod:`connector.report.proof`.
Other metrics, the comparison with the usual programme and earlier epochs follow as rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from connector.numbers import short_of
from connector.report import charts, class_rows, proof
from connector.report.data import ReportData
from connector.report.figures import Figures, figures, mean_text, shows_figures, unit_for
from connector.report.format import Spoken, count, local_day, money, p_value, percent
from connector.report.lift import ArmResult, LiftRow
from connector.report.story import Topic, topics
from connector.report.words import (
    AGAINST,
    GUARDED,
    VERDICTS,
    Phrase,
    arm_name,
    label,
    metric_label,
    metric_title,
    phrase,
)


@dataclass(frozen=True, slots=True)
class ArmLine:
    """One arm of a card: name, people counted, those still open, buyers, outcome per person."""

    name: str
    people: str
    n_open: str
    buyers: str
    mean: str


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One result beside the one that a campaign is judged on.

    Attributes:
        metric: With its window.
        against: What it is compared with.
        epoch: Randomisation epoch.
        code, verdict: The word.
        figures: None where nothing may be shown.
        reason: Why, in one sentence.
        guard: What became of its limit, where it has one.
        guard_state: ``kept``, ``broken`` or ``unclear``; empty without a limit.
        is_surrogate: Whether it is a prediction.
    """

    metric: str
    against: str
    epoch: int
    code: str
    verdict: Phrase
    figures: Figures | None
    reason: str
    guard: Phrase | None = None
    guard_state: str = ""
    is_surrogate: bool = False


@dataclass(frozen=True, slots=True)
class Usual:
    """The campaign against the usual programme: segmented against non-segmented.

    Attributes:
        code, verdict, reason: Of its goal.
        difference, total: None where nothing may be shown.
        arms: Both arms.
        rows: Its other metrics.
    """

    code: str
    verdict: Phrase
    reason: str
    difference: Spoken | None
    total: Spoken | None
    arms: tuple[ArmLine, ...]
    rows: tuple[ResultRow, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One campaign's results.

    Attributes:
        uid: Unique in the page.
        name: Its name for people.
        code: The verdict's code.
        verdict: The verdict in words.
        reason: Why, in one sentence.
        figures: Of the result that it is judged on.
        plot: The difference drawn; empty where there are no figures.
        metric: What is measured, with the window.
        against: What it is compared with.
        unit: Of the drawing.
        silence: Why no figure is shown; empty where one is.
        arms: Both arms.
        facts: More about the result: title and text.
        others: Other metrics of the same comparison.
        earlier: Other epochs and comparisons.
        usual: Against the usual programme; None where that decides, or is not measured.
        trail: The difference over time.
        account: What was earned and spent.
        classes: The effect by class, and every metric beside it.
        classes_note: Why there are none.
        roads: The same by other roads.
        health: The checks.
        methods: How the numbers came about.
        whole: Whether it speaks of all campaigns together.
        is_surrogate: Whether it is judged on a prediction.
    """

    uid: str
    name: str
    code: str
    verdict: Phrase
    reason: str
    figures: Figures | None
    plot: Markup
    metric: str
    against: str
    unit: str
    silence: str
    arms: tuple[ArmLine, ...]
    facts: tuple[Phrase, ...]
    others: tuple[ResultRow, ...]
    earlier: tuple[ResultRow, ...]
    usual: Usual | None
    trail: proof.Trail | None
    account: proof.AccountTable | None
    classes: tuple[class_rows.Classes, ...]
    classes_note: str
    roads: tuple[proof.RoadLine, ...]
    health: proof.Health | None
    methods: tuple[str, ...]
    whole: bool = False
    is_surrogate: bool = False


def cards(data: ReportData) -> tuple[Card, ...]:
    """One card for all campaigns together, where they are measured, and one for each campaign.

    In the order of the sentences above them: the largest first.
    """
    return tuple(_card(data, topic, str(i)) for i, topic in enumerate(topics(data)))


def _card(data: ReportData, topic: Topic, key: str) -> Card:
    judged, name = topic.judged, topic.who
    shown = figures(judged, data.rules, data.currency)
    beside = [lift for lift in topic.lifts if lift is not judged]
    same = [lift for lift in beside if _is_same(lift, judged)]
    usual = [lift for lift in beside if _is_usual(lift, judged)]
    rest = [lift for lift in beside if lift not in same and lift not in usual]
    return Card(
        uid=f"result-{key}",
        name=name,
        code=judged.verdict,
        verdict=phrase(VERDICTS, judged.verdict),
        reason=_reason(judged, data),
        figures=shown,
        plot=_plot(judged, shown, data, name, f"plot-{key}"),
        metric=_metric(judged),
        against=topic.against,
        unit=unit_for(judged, data.currency).per_person,
        silence=_silence(judged) if shown is None else "",
        arms=_arms(judged, data, with_means=shown is not None),
        facts=tuple(_facts(judged, data)),
        others=tuple(_other(lift, data) for lift in same),
        earlier=tuple(_other(lift, data) for lift in rest),
        usual=_usual(usual, data),
        trail=proof.trail(judged, data, name=name, uid=f"trail-{key}"),
        account=proof.account(judged, data),
        classes=class_rows.classes([judged, *same], data),
        classes_note=judged.segments_note,
        roads=proof.roads(judged, data),
        health=proof.health(judged, data),
        methods=proof.methods(judged),
        whole=topic.whole,
        is_surrogate=judged.is_surrogate,
    )


def _is_same(lift: LiftRow, judged: LiftRow) -> bool:
    """Whether it compares the same two groups."""
    return (lift.epoch, lift.treatment.arm, lift.holdout.arm) == (
        judged.epoch,
        judged.treatment.arm,
        judged.holdout.arm,
    )


def _is_usual(lift: LiftRow, judged: LiftRow) -> bool:
    return lift.epoch == judged.epoch and lift.holdout.arm == "business_as_usual"


def _usual(lifts: Sequence[LiftRow], data: ReportData) -> Usual | None:
    goal = next((lift for lift in lifts if lift.is_goal), None)
    if goal is None:
        return None
    shown = figures(goal, data.rules, data.currency)
    return Usual(
        goal.verdict,
        phrase(VERDICTS, goal.verdict),
        _reason(goal, data),
        shown.difference if shown else None,
        shown.total if shown else None,
        _arms(goal, data, with_means=shown is not None),
        tuple(_other(lift, data) for lift in lifts if lift is not goal),
    )


def _metric(lift: LiftRow) -> str:
    if not lift.window_days:
        return metric_title(lift)
    return f"{metric_title(lift)} within {lift.window_days} days"


def _silence(lift: LiftRow) -> str:
    if lift.verdict == "do_not_trust":
        return "No figure is shown: it would compare groups that cannot be compared."
    return "No figure is shown yet: there is too little to read anything from it."


def _reason(lift: LiftRow, data: ReportData) -> str:
    """The analysis' own sentence, or when the first results come."""
    if (lift.treatment.n and lift.holdout.n) or not lift.window_days:
        return proof.minus_signs(lift.reason)
    campaign = next((c for c in data.campaigns if c.name == lift.campaign), None)
    when = ""
    if campaign is not None and campaign.first_result_at is not None:
        when = f" The first results come on {local_day(campaign.first_result_at, data.timezone)}."
    return f"Nobody's {lift.window_days} days are over yet.{when}"


def _plot(lift: LiftRow, shown: Figures | None, data: ReportData, name: str, uid: str) -> Markup:
    if shown is None or lift.difference is None:
        return Markup()
    unit = unit_for(lift, data.currency)
    return charts.forest_plot(
        lift.difference,
        scale=unit.scale,
        margin=data.rules.flat_margin * abs(lift.holdout.mean or 0.0),
        firm=lift.verdict,
        title=f"{name}: difference per person in {unit.per_person}",
        description=f"{shown.difference}. Zero means no difference.",
        uid=uid,
    )


def _arms(lift: LiftRow, data: ReportData, *, with_means: bool) -> tuple[ArmLine, ...]:
    def line(arm: ArmResult) -> ArmLine:
        mean = mean_text(lift, arm.mean if with_means else None, data.currency)
        return ArmLine(
            arm_name(arm.arm), count(arm.n), count(arm.n_open), count(arm.n_buyers), mean
        )

    return line(lift.treatment), line(lift.holdout)


def _facts(lift: LiftRow, data: ReportData) -> Iterable[Phrase]:
    """What a reader needs to weigh the verdict."""
    rules = data.rules
    if lift.expected_buyers is not None:
        yield Phrase(
            "Expected buyers",
            f"{short_of(lift.expected_buyers)} (a verdict needs {count(rules.verdict_from)})",
        )
    broken = lift.srm_p is not None and lift.srm_p < rules.srm_below
    fair = "the split is broken" if broken else "as drawn"
    tested = p_value(lift.srm_p, floor=rules.srm_below)
    yield Phrase("Group sizes (SRM)", tested if lift.srm_p is None else f"{fair}, {tested}")
    if lift.outlook is not None and lift.outlook.registered_end is not None:
        end = lift.outlook.registered_end
        over = ", reached" if lift.stage == "final" else ""
        yield Phrase("Registered end", f"{end.day}\u00a0{end:%B}\u00a0{end.year}{over}")
    if lift.outlook is not None and lift.outlook.detectable is not None:
        least = percent(lift.outlook.detectable)
        yield Phrase("Smallest effect it can show", f"{least} of what was held out brought")
    if lift.n_open:
        yield Phrase("Still open", f"{count(lift.n_open)} people, counted later")
    yield from _cost(lift, data)


def _cost(lift: LiftRow, data: ReportData) -> Iterable[Phrase]:
    """What the campaign cost, or why its return cannot be told; with an account it says so."""
    if lift.money is not None and (lift.money.cost is not None or lift.money.cost_note):
        if not shows_figures(lift, data.rules):
            cost = lift.money.cost
            said = lift.money.cost_note if cost is None else money(cost, data.currency)
            yield Phrase("Cost", said)
        return
    if lift.cost is not None:
        yield Phrase("Cost", f"{money(lift.cost, data.currency)} for those counted")
        if lift.kind != "sum":
            yield Phrase("Return on cost", f"Not told: {metric_label(lift)} is not an amount.")
        return
    campaign = next((c for c in data.campaigns if c.name == lift.campaign), None)
    if campaign is None:
        return
    contact, redemption = (
        None if cost is None else money(cost, data.currency)
        for cost in (campaign.cost_per_contact, campaign.cost_per_redemption)
    )
    if redemption is not None:
        sending = f"Sending cost {contact} a person; " if contact is not None else ""
        used = f"{sending}each use of the offer costs {redemption}"
        nobody = "nothing in the data says who used it, so the return is not told."
        yield Phrase("Cost", f"{used}, and {nobody}")
    elif contact is None:
        yield Phrase("Cost", "The strategy names none, so the return is not told.")


def _other(lift: LiftRow, data: ReportData) -> ResultRow:
    guard = lift.guardrail
    return ResultRow(
        metric=_metric(lift),
        against=AGAINST.get(lift.holdout.arm, label(lift.holdout.arm)),
        epoch=lift.epoch,
        code=lift.verdict,
        verdict=phrase(VERDICTS, lift.verdict),
        figures=figures(lift, data.rules, data.currency),
        reason=proof.minus_signs(lift.reason),
        guard=(
            Phrase(phrase(GUARDED, guard.state).title, proof.minus_signs(guard.message))
            if guard
            else None
        ),
        guard_state=guard.state if guard else "",
        is_surrogate=lift.is_surrogate,
    )
