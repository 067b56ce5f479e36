"""When a result is read, and on what: registered before anybody looks, and never moved by a look.

The day is that of the file: ``decide_on``, or the one on which the last window closes after
``end``. It is written down with the first run that is applied, at the latest when an epoch is first
measured; from then on the state's day counts, and a file that says another is told so. Who may move
the day after a look can stop at a lucky one. The goal is registered in the same way: who may choose
among ten metrics after a look finds one that won. A new epoch registers anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from connector.config import Config
from connector.config.activation import Campaign
from connector.state.database import parse_utc, utc_text

if TYPE_CHECKING:
    from connector.state.database import State

NAME = "registered_end:{campaign}:{epoch}"
GOAL = "registered_goal:{campaign}:{epoch}"
ENDLESS = "It has no registered end, so every interval allows for looking on and on."


@dataclass(frozen=True, slots=True)
class Registered:
    """The end of one campaign's newest epoch.

    Attributes:
        at: The instant of the last look; None: it runs on.
        note: What must be said of it; may be empty.
    """

    at: datetime | None
    note: str = ""


def registered_end(config: Config, state: State, name: str) -> Registered:
    """The registered end of a campaign, written down now where it was not yet.

    Args:
        config: Says when the campaign ends.
        state: Keeps what was registered.
        name: The campaign.
    """
    campaign, zone = config.campaigns[name], config.project.zone
    planned = _planned(config, campaign)
    key = NAME.format(campaign=name, epoch=campaign.epoch)
    stored = state.get(key)
    if stored is None:
        if planned is None:
            return Registered(None, ENDLESS)
        state.put(key, utc_text(planned))
        return Registered(planned)
    kept = parse_utc(stored).astimezone(zone)
    if kept == planned:
        return Registered(kept)
    said = "no end" if planned is None else f"{planned:%Y-%m-%d}"
    return Registered(
        kept,
        f"{kept:%Y-%m-%d} was registered, and the file now says {said}: what was "
        "registered counts, since an end that moves after a look can be moved to a lucky day. A "
        "new epoch registers anew.",
    )


def registered_goal(config: Config, state: State, name: str) -> tuple[str, str]:
    """The metric that a campaign is judged on, and what must be said of it.

    Written down now where it was not yet. A metric that the file has no longer cannot judge: then
    the file's own does, and that is said.

    Args:
        config: Names the goal.
        state: Keeps what was registered.
        name: The campaign.
    """
    campaign = config.campaigns[name]
    key = GOAL.format(campaign=name, epoch=campaign.epoch)
    stored = state.get(key)
    if stored is None:
        state.put(key, campaign.goal)
        return campaign.goal, ""
    if stored == campaign.goal:
        return stored, ""
    if stored not in config.measured:
        return campaign.goal, (
            f"It was registered to be judged on {stored}, which is no metric of the file any more;"
            f" {campaign.goal} was chosen after it began, so take its verdict as a hint."
        )
    return stored, (
        f"It was registered to be judged on {stored}, and the file now says {campaign.goal}: what"
        " was registered decides, since a goal that is chosen after a look can be chosen to win. A"
        " new epoch registers anew."
    )


def register(config: Config, state: State) -> None:
    """Register the ends and goals of all campaigns, before anybody has seen a result."""
    for name in config.campaigns:
        registered_end(config, state, name)
        registered_goal(config, state, name)


def _planned(config: Config, campaign: Campaign) -> datetime | None:
    """The instant that the file means."""
    zone = config.project.zone
    if campaign.decide_on is not None:
        return datetime.combine(campaign.decide_on, time(), zone)
    if campaign.end is None:
        return None
    last = datetime.combine(campaign.end + timedelta(days=1), time(), zone).astimezone(UTC)
    # Windows are whole days of 24 hours, whatever the clocks do meanwhile.
    return (last + config.metrics[campaign.goal].window).astimezone(zone)
