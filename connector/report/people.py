"""Who there is: segments and the RFM grid, as the report shows them.

**Small cells.** What fewer than :data:`SMALL_CELL` people spent comes close to what a person spent.
Counts are kept, money is dropped as soon as such a row is made, so that neither the page nor the
JSON can show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

SMALL_CELL = 10
"""Groups of fewer people have no money figure."""


def money_of_group(people: int, amount: float | None) -> float | None:
    """The amount, or None where so few people stand behind it that it must not be shown."""
    return None if 0 < people < SMALL_CELL else amount


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One segment. Segments may overlap, so shares need not add up to 1.

    Attributes:
        name: Its name.
        people: Members.
        share: Members as a share of all profiles (0-1).
        revenue_365d: Net revenue of its members in the last 365 days, in the project's currency;
            None where it is not shown.
        previous_people: Members at the run before; None when there was none.
        campaigns: Names of the campaigns that address it.
        rule: Its rule, in the words of the configuration; may be empty.
        destinations: Where those campaigns send it.
        joins, leaves: People who came and went since the run before; None when there was none.
    """

    name: str
    people: int
    share: float
    revenue_365d: float | None
    previous_people: int | None = None
    campaigns: tuple[str, ...] = ()
    rule: str = ""
    destinations: tuple[str, ...] = ()
    joins: int | None = None
    leaves: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "revenue_365d", money_of_group(self.people, self.revenue_365d))

    @property
    def volatility(self) -> float | None:
        """Share of those who were or are members for whom that changed (0-1)."""
        if self.joins is None or self.leaves is None or not self.people + self.leaves:
            return None
        return (self.joins + self.leaves) / (self.people + self.leaves)


@dataclass(frozen=True, slots=True)
class RfmAxis:
    """The cut points of one dimension, with the fields of a stored model, to be copied from one.

    Attributes:
        dimension: ``recency`` (days), ``frequency`` (orders) or ``monetary`` (currency).
        method: ``quantile`` puts a value that equals an edge below it, every other method above it.
        edges: Ascending; one fewer than there are scores.
        reverse: Small values score high (recency).
        empty_bins: Scores that nobody had when the edges were fitted.
    """

    dimension: str
    method: str
    edges: tuple[float, ...]
    reverse: bool = False
    empty_bins: tuple[int, ...] = ()

    @property
    def bins(self) -> int:
        """Number of scores."""
        return len(self.edges) + 1

    @classmethod
    def of(cls, dimension: str, cuts: Mapping[str, Any]) -> RfmAxis:
        """From a stored model's cut points (their ``to_dict``), whose edges are texts.

        Args:
            dimension: ``recency``, ``frequency`` or ``monetary``.
            cuts: ``method``, ``edges``, ``reverse`` and ``empty_bins``.
        """
        return cls(
            dimension,
            str(cuts["method"]),
            tuple(float(edge) for edge in cuts["edges"]),
            bool(cuts["reverse"]),
            tuple(int(score) for score in cuts["empty_bins"]),
        )


@dataclass(frozen=True, slots=True)
class RfmCell:
    """The people of one recency and one frequency score, over all money scores.

    Attributes:
        r, f: Scores from 1 upwards; 5 of 5 is the best.
        people: How many.
        revenue: Net revenue within the model's window; None where it is not shown.
    """

    r: int
    f: int
    people: int
    revenue: float | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "revenue", money_of_group(self.people, self.revenue))


@dataclass(frozen=True, slots=True)
class RfmMoney:
    """The people of one money score, over all recency and frequency scores.

    Attributes:
        m: Score from 1 upwards.
        people: How many.
        revenue: Net revenue within the model's window; None where it is not shown.
    """

    m: int
    people: int
    revenue: float | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "revenue", money_of_group(self.people, self.revenue))


@dataclass(frozen=True, slots=True)
class RfmGroup:
    """One named group of the grid; ``lapsed`` and people who never bought have no cells.

    Attributes:
        name: Its name.
        people: How many.
        revenue: Net revenue within the model's window; None where it is not shown.
        previous_people: How many at the run before; None when there was none.
    """

    name: str
    people: int
    revenue: float | None
    previous_people: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "revenue", money_of_group(self.people, self.revenue))


@dataclass(frozen=True, slots=True)
class RfmSummary:
    """One RFM model's grid.

    Attributes:
        name: The model's name.
        window_days: Orders older than so many days do not count.
        fitted_at: The instant whose data the cut points come from, aware.
        recency, frequency, monetary: The cut points.
        cells: Cells that have people; the others are taken as empty.
        groups: In the map's order, without those of no order in the window.
        n_lapsed: People whose last order is older than the window.
        n_prospects: People who never ordered.
        money: The money scores that have people; empty where a run did not tell them.
    """

    name: str
    window_days: int
    fitted_at: datetime
    recency: RfmAxis
    frequency: RfmAxis
    monetary: RfmAxis
    cells: tuple[RfmCell, ...]
    groups: tuple[RfmGroup, ...]
    n_lapsed: int = 0
    n_prospects: int = 0
    money: tuple[RfmMoney, ...] = ()
