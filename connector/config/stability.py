"""How slowly people move in and out of segments; nothing here means at once."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictFloat, StrictInt

from connector.config.values import Days, Section, refuse

_RUNS = re.compile(r"(\d{1,2})\s*runs?")
_ALWAYS = ("consent", "exclusion_lists", "erasure")


def _runs(value: object) -> object:
    match = _RUNS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[1]) < 1:
        raise refuse("a number of runs, such as 1 run or 2 runs")
    return int(match[1])


def _bypass(value: object) -> object:
    if isinstance(value, list | tuple):
        for word in _ALWAYS:
            if word not in value:
                raise refuse(f"a list with {', '.join(_ALWAYS)}: leaving for these never waits")
    return value


Runs = Annotated[int, BeforeValidator(_runs)]
"""A number of runs on different days, written ``2 runs``."""


def _sides(value: object) -> object:
    """A bare number is the margin for leaving, as in ``probability: 0.03``."""
    return {"exit": value} if isinstance(value, int | float) else value


class Sides(Section):
    """How far beyond its threshold a score must go, on each side; in the score's own unit.

    Attributes:
        enter: Above the threshold, before somebody enters.
        leave: Below it, before a member leaves (key ``exit``).
    """

    enter: Annotated[StrictFloat | StrictInt, Field(ge=0, lt=100)] = 0.0
    leave: Annotated[StrictFloat | StrictInt, Field(ge=0, lt=100, alias="exit")] = 0.0


def _below_one(sides: Sides) -> Sides:
    if max(sides.enter, sides.leave) >= 1:
        raise refuse("less than 1")
    return sides


class Margin(Section):
    """How far beyond its threshold a score must go before somebody enters or leaves.

    A bare number is the margin for leaving alone.

    Attributes:
        probability: Of scores between 0 and 1.
        percentile: Of scores between 0 and 100.
    """

    probability: Annotated[Sides, BeforeValidator(_sides), AfterValidator(_below_one)] = Sides()
    percentile: Annotated[Sides, BeforeValidator(_sides)] = Sides()

    @property
    def has_entry(self) -> bool:
        """Whether anything is asked for beyond the threshold before somebody enters."""
        return bool(self.probability.enter or self.percentile.enter)


class Stability(Section):
    """Against flapping: what is required before somebody enters or leaves.

    Attributes:
        enter_after: Runs in a row, on different days, on which the rule must hold.
        exit_after: Likewise, on which it must fail.
        min_stay: Shortest time in the segment.
        margin: Enter at the threshold plus the one margin, leave at the threshold less the other.
        bypass: For what leaving is immediate; only ``goal_reached`` (a member who bought since
            entering, and whom the rule no longer covers) may be left out.
    """

    enter_after: Runs = 1
    exit_after: Runs = 1
    min_stay: Days = timedelta(0)
    margin: Margin = Margin()
    bypass: Annotated[
        tuple[Literal["consent", "exclusion_lists", "erasure", "goal_reached"], ...],
        BeforeValidator(_bypass),
    ] = ("consent", "exclusion_lists", "erasure", "goal_reached")
