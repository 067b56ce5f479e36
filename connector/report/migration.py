"""Who moved from group to group, as the report shows it; cells of few people are dropped.

As in :mod:`connector.report.people`: what a handful of people did comes close to what one person
did, so flows of fewer than :data:`~connector.report.people.SMALL_CELL` people leave as soon as such
a value is made. How many people they hold together is kept, where that is many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connector.report.people import SMALL_CELL

NOT_DESCRIBED = "~none"
"""Place of people whom a model is not about."""

NOT_KNOWN = "~absent"
"""Place of people who were not known yet, or are known no more."""


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """One group, persona, or nowhere.

    Attributes:
        id: Its stable id.
        name: What it is called.
    """

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class FlowRow:
    """People who were in one place and are in another, or in the same.

    Attributes:
        before, after: Ids of places.
        people: How many.
    """

    before: str
    after: str
    people: int

    @property
    def is_stay(self) -> bool:
        """Whether they are where they were."""
        return self.before == self.after


@dataclass(frozen=True, slots=True)
class MigrationSummary:
    """Everybody's place at two instants, by one model.

    Attributes:
        model: Its name.
        kind: ``rfm`` or ``cluster``.
        since, until: The two instants, aware.
        places: In the order that they are drawn in.
        flows: From each place to each, people who stayed included.
        is_refitted: Whether the model was fitted anew in between, which moves people by itself.
        n_small: People in flows too small to be shown.
    """

    model: str
    kind: str
    since: datetime
    until: datetime
    places: tuple[PlaceRow, ...]
    flows: tuple[FlowRow, ...]
    is_refitted: bool = False
    n_small: int = 0

    def __post_init__(self) -> None:
        small = sum(one.people for one in self.flows if one.people < SMALL_CELL)
        shown = tuple(one for one in self.flows if one.people >= SMALL_CELL)
        object.__setattr__(self, "flows", shown)
        object.__setattr__(self, "n_small", self.n_small + small)

    @property
    def names(self) -> Mapping[str, str]:
        """Id of a place -> what it is called."""
        return {place.id: place.name for place in self.places}

    @property
    def stayed(self) -> int:
        """People who are where they were."""
        return sum(one.people for one in self.flows if one.is_stay)

    @property
    def moved(self) -> int:
        """People who are elsewhere; who came or went with the shop's knowledge is not counted."""
        return sum(one.people for one in self.moves)

    @property
    def moves(self) -> tuple[FlowRow, ...]:
        """Flows between two places that are some place, largest first."""
        real = [
            one for one in self.flows
            if not one.is_stay and NOT_KNOWN not in (one.before, one.after)
        ]  # fmt: skip
        return tuple(sorted(real, key=lambda one: (-one.people, one.before, one.after)))

    @property
    def others(self) -> tuple[FlowRow, ...]:
        """Flows that are no moves: people who stayed, came to be known, or are known no more."""
        moves = set(self.moves)
        rest = [one for one in self.flows if one not in moves]
        return tuple(sorted(rest, key=lambda one: (not one.is_stay, -one.people, one.before)))

    def people_before(self, place: str) -> int:
        """People who were in a place, of the flows that are shown."""
        return sum(one.people for one in self.flows if one.before == place)

    def people_after(self, place: str) -> int:
        """People who are in a place, of the flows that are shown."""
        return sum(one.people for one in self.flows if one.after == place)
