"""``liftline explain`` on a terminal: one person, the answer first, then why."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from connector.cli.screen import console, say, subject
from connector.numbers import minus, percent
from connector.report.format import iso_day, iso_moment

if TYPE_CHECKING:
    from rich.console import Console

    from connector.pipeline.person.explanation import Condition, Explanation, SegmentView
    from connector.pipeline.person.scored_person import ModelsView

CAMPAIGN_MARKS = {
    "addressed": ("✓", "green"),
    "held_out": ("○", "cyan"),
    "waiting": ("…", "yellow"),
    "blocked": ("✗", "yellow"),
    "not_in_segment": ("·", "dim"),
    "not_running": ("·", "dim"),
}
HOLDS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}


def show_explanation(found: Explanation) -> None:
    """One person, block by block."""
    out = console()
    person = found.person
    accounts = f", {person.accounts} accounts" if person.accounts > 1 else ""
    zone = found.timezone
    since = f", customer since {_day(person.since, zone)}" if person.since else ""
    out.print(
        Text.assemble(
            (person.profile_id, "bold"), f"  {person.address or 'no address'}{accounts}{since}"
        )
    )
    if person.former_ids:
        out.print(Text(f"  merged from {', '.join(person.former_ids)}", style="dim"))
    until = f"; the newest order is of {_day(found.data_until, zone)}" if found.data_until else ""
    out.print(Text(f"  as of {iso_moment(found.as_of, zone)} ({zone}){until}", style="dim"))
    for warning in found.stale:
        say(out, "!", "yellow", warning, indent=2)

    rfm = found.rfm
    _head(out, f"RFM group: {rfm.group}")
    if rfm.previous_group:
        now = f"since {_day(rfm.group_since, zone)}" if rfm.group_since else "new, in no run yet"
        out.print(f"  before: {rfm.previous_group}; this one {now}")
    for score in rfm.scores:
        out.print(f"  {score.words}")
    if rfm.words:
        out.print(Text(f"  {rfm.words}", style="dim"))

    _models(out, found.models, zone)

    _head(out, "Campaigns")
    for campaign in found.campaigns:
        mark, colour = CAMPAIGN_MARKS.get(campaign.status, ("·", ""))
        say(out, mark, colour, subject(campaign.campaign, campaign.why), indent=2)
    out.print(Text(f"  Global holdout: {found.global_holdout}", style="dim"))

    _head(out, "Segments")
    for segment in found.segments:
        _segment(out, segment, zone)

    _head(out, "Permission")
    for consent in found.consents:
        out.print(f"  {consent.destination}: {consent.words}")
    for exclusion in found.exclusions:
        out.print(f"  on the exclusion list {exclusion.name} ({exclusion.applies_to})")

    _head(out, "Destinations")
    for destination in found.destinations:
        out.print(Padding(subject(destination.destination, destination.words), (0, 0, 0, 2)))
        for one in destination.lists:
            state = {"yes": "on", "maybe": "perhaps on", "no": "not on"}[one.presence]
            refused = f", refused: {one.blocked}" if one.blocked else ""
            out.print(f"    {state} the list {one.name}{refused}")
        if destination.blocked:
            out.print(f"    properties refused: {destination.blocked}")
        for issue in destination.issues:
            told = f"    {_day(issue.at, zone)}: {issue.words} ({issue.code})"
            out.print(Text(told, style="dim"))


def _models(out: Console, models: ModelsView, zone: str) -> None:
    """What the models say, each with what it rests on."""
    named = (
        models.propensities,
        models.values,
        models.personas,
        models.affinities,
        models.next_products,
        models.uplifts,
    )
    if not any(named):
        return
    _head(out, "Scores")
    for score in models.propensities:
        out.print(Padding(subject(score.model, score.words), (0, 0, 0, 2)))
        for driver in score.drivers:
            sign, colour = ("+", "green") if driver.part > 0 else ("-", "red")
            say(out, sign, colour, driver.words, indent=6)
        if score.drivers:
            told = f"everything else {_points(score.rest)}; together {_points(score.total)}"
            out.print(Padding(Text(told, style="dim"), (0, 0, 0, 8)))
    for value in models.values:
        out.print(Padding(subject(value.model, value.words), (0, 0, 0, 2)))
        day = _day(value.next_order, zone)
        ahead = f" The next order is as likely before as after {day}." if value.next_order else ""
        if value.basis:
            out.print(Padding(Text(f"{value.basis}{ahead}", style="dim"), (0, 0, 0, 6)))
    for persona in models.personas:
        since = f" Since {_day(persona.since, zone)}." if persona.since else ""
        out.print(Padding(subject(persona.model, f"{persona.words}{since}"), (0, 0, 0, 2)))
        for reason in persona.reasons:
            say(out, "·", "dim", reason, indent=6)
    for affinity in models.affinities:
        out.print(Padding(subject(affinity.model, affinity.words), (0, 0, 0, 2)))
        for one in affinity.leanings[1:3]:
            say(out, "·", "dim", f"{one.topic} ({percent(one.share)})", indent=6)
    for ahead_of in models.next_products:
        out.print(Padding(subject(ahead_of.model, ahead_of.words), (0, 0, 0, 2)))
        if len(ahead_of.items) > 1:
            say(out, "·", "dim", f"then {', '.join(ahead_of.items[1:])}", indent=6)
        if ahead_of.goes_with:
            goes = ", ".join(ahead_of.goes_with)
            say(out, "·", "dim", f"goes with the last basket: {goes}", indent=6)
    for uplift in models.uplifts:
        out.print(Padding(subject(uplift.model, uplift.words), (0, 0, 0, 2)))


def _points(part: float) -> str:
    # What rounds to nothing has no sign.
    shown = round(100 * part, 1) + 0.0
    return minus(f"{shown:+.1f} points") if shown else "0.0 points"


def _segment(out: Console, segment: SegmentView, zone: str) -> None:
    mark, colour = ("✓", "green") if segment.member else ("·", "dim")
    since = f" since {_day(segment.since, zone)}" if segment.since else ""
    state = f"member{since}" if segment.member else "not a member"
    say(out, mark, colour, subject(segment.segment, state), indent=2)
    for condition in segment.conditions:
        _condition(out, condition)
    if segment.steadiness.words:
        say(out, "↔", "cyan", segment.steadiness.words, indent=6)
    if segment.steadiness.state in {"leaving", "staying", "entering"}:
        return
    verb, change = ("leaves", segment.to_leave) if segment.member else ("enters", segment.to_enter)
    told = f"{verb} when {' and '.join(change)}" if change else f"never {verb} under this rule"
    out.print(Padding(Text(told, style="dim"), (0, 0, 0, 6)))
    for figure in segment.figures:
        out.print(Padding(Text(figure, style="dim"), (0, 0, 0, 8)))


def _condition(out: Console, condition: Condition) -> None:
    mark, colour = HOLDS[condition.holds]
    value = f"  (now {condition.value})" if condition.value else ""
    if condition.holds is None:
        value = "  (not known)"
    say(out, mark, colour, Text.assemble(condition.text, (value, "dim")), indent=6)


def _head(out: Console, text: str) -> None:
    out.print()
    out.print(Text(text, style="bold"))


def _day(moment: datetime | None, zone: str) -> str:
    return iso_day(moment, zone) if moment else ""
