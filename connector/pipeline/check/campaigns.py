"""What ``liftline check`` says of campaigns: whom they reach, where they meet, what would show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from connector.config import Config
from connector.domain import Finding, Level
from connector.numbers import percent
from connector.pipeline import specs
from connector.pipeline.prove import detectable, prospects
from connector.pipeline.prove.detectable import Prospect
from connector.pipeline.prove.power_plan import earlier_acts
from connector.pipeline.understand.act import Understanding
from connector.report.words import BLOCKED, label, phrase

if TYPE_CHECKING:
    from connector.pipeline.project import Project


def reachable(config: Config, found: Understanding) -> Iterator[Finding]:
    """Whom each destination may be used for; makes ``candidates`` for the parts that follow."""
    detectable.load_candidates(
        found,
        config,
        detectable.plain_destinations(config),
        detectable.coming_campaigns(config, as_of=found.as_of),
    )
    rows = found.warehouse.connection.execute(
        "SELECT destination, blocked, count(*) FROM reach GROUP BY ALL ORDER BY 3 DESC, 2"
    ).fetchall()
    for name, one in config.destinations.items():
        mine = {blocked: n for destination, blocked, n in rows if destination == name}
        free, total = mine.pop(None, 0), sum(n for d, _, n in rows if d == name)
        needs = "no consent is needed"
        if one.requires is not None:
            needs = f"{one.requires.purpose} by {one.requires.channel}"
        why = ", ".join(f"{n:,} {phrase(BLOCKED, b).title.lower()}" for b, n in mine.items())
        yield Finding(
            Level.OK if free else Level.WARNING,
            f"destinations.{name}.requires",
            f"{free:,} of {total:,} people may be written to ({needs}){f'; {why}' if why else ''}.",
            "" if free else "Check consent.columns, and the words of consent.granted.",
        )


def overlaps(config: Config, found: Understanding) -> Iterator[Finding]:
    """People whom two campaigns would address at one time; a priority list has settled the rest."""
    rows = found.warehouse.connection.execute(
        "SELECT a.campaign, b.campaign, count(*) FROM candidates a JOIN candidates b"
        " ON b.profile_id = a.profile_id AND a.campaign < b.campaign"
        " WHERE a.blocked IS NULL AND b.blocked IS NULL GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    clashes = [(one, other, n) for one, other, n in rows if _meet(config, one, other)]
    for one, other, n in clashes:
        first, second = config.campaigns[one].segment, config.campaigns[other].segment
        both = f"{first} and {second}" if first != second else f"{first}, which both address"
        yield Finding(
            Level.WARNING,
            f"campaigns.{one}.segment",
            f"{n:,} people would get this campaign and {other}: they are in {both}.",
            f"Put {first} and {second} in one priority list, if one message is enough."
            if first != second
            else "Give them different segments, or make them one campaign.",
        )
    if config.campaigns and not clashes:
        yield Finding(Level.OK, "priority_lists", "Nobody would get two campaigns at a time.")


def _meet(config: Config, one: str, other: str) -> bool:
    """Whether two campaigns ever run on one day."""
    a, b = config.campaigns[one], config.campaigns[other]
    return not any(
        first.end is not None and second.start is not None and first.end < second.start
        for first, second in ((a, b), (b, a))
    )


def skipped(config: Config, usable: Config) -> Iterator[Finding]:
    """What could not be looked at, because something that it is made of is broken."""
    for name, one in config.campaigns.items():
        if name not in usable.campaigns:
            message = f"Not looked at: its segment {one.segment} cannot be computed."
            yield Finding(Level.NOTE, f"campaigns.{name}", message)
    if config.consent is not None and usable.consent is None:
        message = "Consents cannot be read, so nobody counts as having agreed in what follows."
        yield Finding(Level.NOTE, "consent", message)


def rankings(config: Config, found: Understanding) -> Iterator[Finding]:
    """Whoever joins first where a budget does not reach everybody.

    Raises:
        ConfigError: A ranking is no number over what is known of people; the line is named.
    """
    for name, one in config.campaigns.items():
        if one.rank_by is not None:
            specs.ranking(config, name, one, found.columns)
            yield Finding(
                Level.OK,
                f"campaigns.{name}.rank_by",
                f"While the budget is short, whoever has more of {one.rank_by} joins first.",
            )


def provable(
    project: Project, config: Config, found: Understanding, seen: list[Prospect]
) -> Iterator[Finding]:
    """Arms, and the smallest effect that each campaign can show.

    Args:
        project: Whose state and clock are read.
        config: What is left of the configuration.
        found: The first act, after :func:`reachable`.
        seen: Gets every comparison's numbers.
    """
    coming = {spec.name for spec in detectable.coming_campaigns(config, as_of=found.as_of)}
    for name, one in config.campaigns.items():
        shares = ", ".join(f"{label(arm)} {percent(s)}" for arm, s in one.arms.items() if s)
        yield Finding(Level.OK, f"campaigns.{name}.arms", f"Add up to 100 %: {shares}.")
        if name not in coming:
            yield Finding(Level.NOTE, f"campaigns.{name}.end", f"Ended on {one.end}.")
    for prospect in detectable.foresee(config, found, earlier_acts(project, config, found)):
        seen.append(prospect)
        yield prospects.sensitivity(prospect, config)
        yield from prospects.budget(prospect, config)
