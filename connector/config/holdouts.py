"""How people are held out: the salt, the global holdouts, and what a campaign must be able to show.

New arms are drawn by a new ``epoch`` of the campaign, here and nowhere else: a command that
redraws would leave a file that no longer says how its arms came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from connector.config.values import Day, Name, Names, Probability, Section, Share, Whole


class Assignment(Section):
    """The secret that makes arms unpredictable, and the same in every run."""

    salt: SecretStr = Field(min_length=1)


class GlobalHoldout(Section):
    """People whom no campaign reaches while it lasts, except the exempt ones.

    Attributes:
        start: First day; None: at once.
        end: Last day, included; None: open.
        then: What becomes of the people afterwards: campaigns address them again.
        exempt_campaigns: Campaigns that reach them all the same.
        exempt_tags: Likewise every campaign that has one of these tags, or whose segment has.
    """

    name: Name = "universal"
    share: Share
    start: Day | None = None
    end: Day | None = None
    then: Literal["release"] = "release"
    exempt_campaigns: Names = ()
    exempt_tags: Names = ()

    def holds_on(self, day: date) -> bool:
        """Whether a day is one of its days."""
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)


class Power(Section):
    """What a campaign should be able to show, before it starts.

    Attributes:
        detect: The relative lift; None: ``measurement.detect``.
        power: With which probability; None: ``measurement.power``.
        alpha: Two-sided chance of a false verdict; None: what the measurement's confidence leaves.
            Under a sequential hybrid the verdict spends half of it at the end, and so does this.
        on_underpowered: Whether a campaign that could not show it is told of, or holds the run that
            would start it until somebody approves.
        min_people_per_arm: Smaller arms are too small, whatever they could show.
    """

    detect: Share | None = None
    power: Probability | None = None
    alpha: Probability | None = None
    on_underpowered: Literal["warn", "hold"] = "warn"
    min_people_per_arm: Whole = 1000


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, Mapping) else value


class Holdouts(Section):
    """How people are held out.

    Attributes:
        unit: What is drawn: the stitched person.
        log: How assignments are kept: each is written before the first push, and never changed.
        global_: Global holdouts, one after the other; one alone may stand without a list (key
            ``global``).
    """

    unit: Literal["person"] = "person"
    assign: Assignment
    log: Literal["append_only"] = "append_only"
    global_: Annotated[tuple[GlobalHoldout, ...], BeforeValidator(_one_or_several)] = Field(
        default=(), alias="global"
    )
    power: Power = Power()

    def global_on(self, day: date) -> GlobalHoldout | None:
        """The global holdout of a day; there is one at most."""
        return next((one for one in self.global_ if one.holds_on(day)), None)

    def global_shown(self, day: date) -> GlobalHoldout | None:
        """The global holdout to tell of on a day: that of the day, else the last that has ended."""
        ended = [one for one in self.global_ if one.end is not None and one.end < day]
        return self.global_on(day) or max(ended, key=lambda one: str(one.end), default=None)
