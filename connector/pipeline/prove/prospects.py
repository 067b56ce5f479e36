"""What each campaign will be able to show, as findings in a marketer's words.

Said before an offer is paid for: the smallest effect that would show, whether a verdict can be
expected at all, and what it would take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from connector.config import Config
from connector.domain import Finding, Level
from connector.lift.metrics import MetricKind
from connector.numbers import gain, money, percent, short_of
from connector.pipeline.prove.detectable import Basis, Prospect
from connector.report.words import ARMS, mean_text, phrase

TWO_YEARS = 104
"""Weeks beyond which a campaign is not worth waiting for."""


def sensitivity(p: Prospect, config: Config) -> Finding:
    """What a comparison will be able to show, in a marketer's words."""
    subject = p.subject
    sizes = (
        f"{p.n_eligible:,} people can be addressed now: {p.n_treatment:,} would get it,"
        f" {p.n_holdout:,} are compared with ({phrase(ARMS, p.arm).title.lower()})."
    )
    if p.n_kept_back:
        sizes = f"{sizes[:-1]}, {p.n_kept_back:,} stay in the global holdout."
    if p.lift is None:
        hint = "Look at the segment's rule, at consent, and at the metric's window."
        return Finding(Level.WARNING, subject, f"{sizes} {p.obstacle}", hint)
    verdict = _verdict(p)
    wanted = config.detect
    shown = (
        f"The smallest effect that would show (with {percent(config.power)}"
        f" probability) is {gain(p.lift)}, {_per_person(p, p.mean * p.lift, config)};"
        f" you want to see {percent(wanted)}."
    )
    if p.impossible:
        shown = "Not even everybody reaching the goal would show in groups so small."
    if not p.is_large:
        shown += f" {_too_small(p)}"
    is_enough = p.is_enough(wanted)
    return Finding(
        Level.OK if is_enough else Level.WARNING,
        subject,
        f"{sizes} {_base(p, config)} {shown} {verdict}",
        "" if is_enough else _remedy(p, config),
    )


def consequence(p: Prospect) -> str:
    """What follows from a comparison's numbers, in one line."""
    if p.lift is None:
        return p.obstacle
    if p.impossible:
        return "Groups so small show nothing, not even if everybody reached the goal."
    more = ""
    if p.even_lift is not None and p.even_lift < 0.9 * p.lift:
        more = f"; with half of the people held out, {gain(p.even_lift)} would show"
    if not p.is_large:
        more += f". {_too_small(p).removesuffix('.')}"
    if p.buyers < p.directional_from:
        return f"Too few buyers for any verdict: it takes {p.directional_from:.0f}{more}."
    if p.buyers < p.verdict_from:
        return f"A direction at most: a verdict takes {p.verdict_from:.0f} buyers{more}."
    return f"Enough buyers for a verdict on effects from {gain(p.lift)}{more}."


def _too_small(p: Prospect) -> str:
    n = min(p.n_treatment, p.n_holdout)
    return f"A group of {n:,} is below holdouts.power.min_people_per_arm, {p.n_least:,}."


def _base(p: Prospect, config: Config) -> str:
    """What people did without the campaign."""
    days = p.metric.window_days
    if p.basis is Basis.ELIGIBLE_THEN:
        who = f"{p.n_past:,} people would have qualified {days} days ago"
    else:
        who = f"History is too short to ask earlier people; {p.n_past:,} of now were looked at"
    if p.metric.kind is MetricKind.SHARE:
        return f"{who}; {percent(p.mean)} of them reached the goal since, without it."
    brought = _per_person(p, p.mean, config)
    return f"{who}; {percent(p.rate)} of them bought since, {brought}, without it."


def _per_person(p: Prospect, value: float, config: Config) -> str:
    if p.metric.kind is MetricKind.SHARE:
        return f"{100 * value:.2g} points"
    return f"{mean_text(value, p.metric.kind, config.project.currency)} per person"


def _verdict(p: Prospect) -> str:
    """The verdict's thresholds, which are on expected buyers."""
    buyers = f"About {short_of(p.buyers)} buyers can be expected in the smaller group"
    if p.buyers < p.directional_from:
        return (
            f"{buyers}: no verdict is possible (it takes {p.directional_from:.0f} to say anything)."
        )
    if p.buyers < p.verdict_from:
        return f"{buyers}: directional only (a verdict takes {p.verdict_from:.0f})."
    return f"{buyers}, enough for a verdict."


def _remedy(p: Prospect, config: Config) -> str:
    """How many people it takes, how long that lasts, and what else could be done."""
    choices = "choose a metric that varies less, or read the result as a rough hint"
    if p.even_lift is not None and p.lift is not None and p.even_lift < 0.9 * p.lift:
        choices = f"hold out more (half of them: {gain(p.even_lift)}), {choices}"
    if p.n_required is None or p.lift is None or p.lift <= config.detect:
        return f"To be surer, {choices}."
    people = round(p.n_required, 1 - math.floor(math.log10(p.n_required)))
    weeks = p.weeks
    away = "more than two years away"
    if weeks is not None and weeks <= TWO_YEARS:
        away = f"about {max(math.ceil(weeks), 1)} weeks away"
    return (
        f"To show {percent(config.detect)} it takes about {people:,} people; about"
        f" {p.n_weekly:,.0f} newly qualify in a week, so that is {away}. Or {choices}."
    )


def budget(p: Prospect, config: Config) -> Iterator[Finding]:
    """A first run above its budget is held, or takes the best alone; better known now."""
    campaign = config.campaigns[p.campaign]
    strategy = config.strategies.get(campaign.strategy or "")
    if campaign.budget is None or strategy is None or strategy.cost_per_contact is None:
        return
    cost, limit = p.n_treatment * float(strategy.cost_per_contact), float(campaign.budget.per_run)
    if cost > limit and campaign.rank_by is not None:
        people = int(limit / float(strategy.cost_per_contact))
        yield Finding(
            Level.NOTE,
            f"campaigns.{p.campaign}.budget",
            f"A run reaches about {people:,} of {p.n_treatment:,} people: whoever has more of"
            f" {campaign.rank_by} joins first, the others in later runs.",
        )
    elif cost > limit:
        spent, allowed = (money(amount, config.project.currency) for amount in (cost, limit))
        yield Finding(
            Level.WARNING,
            f"campaigns.{p.campaign}.budget",
            f"The first run would cost about {spent}, above {allowed}.",
            "It would be held; raise the budget, narrow the segment, or say with rank_by who joins"
            " first.",
        )
