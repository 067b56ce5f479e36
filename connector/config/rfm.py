"""The RFM model's block: how scores are cut, and which group each cell of the grid belongs to.

The groups are boxes on a grid of scores (5 x 5 x 5 by default), and the first box that holds a cell
wins. Two mistakes are easy to make and invisible in a report: a cell that no box reaches, and a box
that earlier ones cover entirely. Both are found here by walking the whole grid, which is small.
(R's ``rfm`` package ships an example map with 10 such cells.)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise, product
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt
from pydantic_core import PydanticCustomError

from connector.config.values import Box, Days, Name, Scores, Section, refuse, whole_days

Cell = tuple[int, int, int]


def _edges(value: object) -> object:
    if isinstance(value, list | tuple) and value:
        numbers = [
            v for v in value if isinstance(v, int | float) and not isinstance(v, bool) and v > 0
        ]
        if len(numbers) == len(value) <= 9 and all(low < high for low, high in pairwise(numbers)):
            return tuple(numbers)
    raise refuse("1 to 9 growing positive numbers, such as [30, 90, 180, 365]")


def _refit(value: object) -> object:
    words = ("with_training", "every_run")
    if value in words:
        return value
    try:
        return whole_days(value)
    except PydanticCustomError:
        raise refuse("with_training, every_run, or an age such as 30d", words=words) from None


class Scale(Section):
    """How one dimension is cut into scores.

    Attributes:
        method: ``quantile``: equal shares of people; ``fixed``: at ``edges``.
        bins: Number of scores, for ``quantile``.
        edges: First value of each further bin, for ``fixed``: ``[2, 3, 4, 6]`` makes 1 | 2 | 3 |
            4-5 | 6 and more. For recency in days (the fewest days get the highest score).
    """

    method: Literal["quantile", "fixed"] = "quantile"
    bins: Annotated[StrictInt, Field(ge=2, le=10)] | None = None
    edges: Annotated[tuple[StrictInt | StrictFloat, ...], BeforeValidator(_edges)] | None = None

    @property
    def n_scores(self) -> int:
        """How many scores there are: 1 to this number."""
        return len(self.edges) + 1 if self.edges is not None else self.bins or 5


class MonetaryScale(Scale):
    """The scale of the amount spent; ``value`` says which amount."""

    value: Literal["net_revenue"] = "net_revenue"


class RfmGroup(Section):
    """One named box of the grid."""

    name: Name
    r: Scores
    f: Scores
    m: Scores

    def holds(self, cell: Cell) -> bool:
        """Whether the box holds the cell (r, f, m)."""
        return cell[0] in self.r and cell[1] in self.f and cell[2] in self.m


def _group(name: str, r: tuple[int, int], f: tuple[int, int], m: tuple[int, int]) -> RfmGroup:
    return RfmGroup(name=name, r=Box(*r), f=Box(*f), m=Box(*m))


DEFAULT_GROUPS: tuple[RfmGroup, ...] = (
    _group("champions", (4, 5), (4, 5), (4, 5)),
    _group("cant_lose", (1, 2), (4, 5), (4, 5)),
    _group("loyal", (3, 5), (3, 5), (3, 5)),
    _group("at_risk", (1, 2), (3, 5), (1, 5)),
    _group("new_customers", (5, 5), (1, 1), (1, 5)),
    _group("promising", (4, 4), (1, 1), (1, 5)),
    _group("potential_loyalist", (4, 5), (2, 5), (1, 5)),
    _group("need_attention", (3, 3), (2, 5), (1, 5)),
    _group("about_to_sleep", (3, 3), (1, 1), (1, 5)),
    _group("hibernating", (2, 2), (1, 2), (1, 5)),
    _group("lost", (1, 1), (1, 2), (1, 5)),
)
"""The map that is used when the file names no groups; it reaches every cell of a 5 x 5 x 5 grid."""


class RfmModel(Section):
    """Recency, frequency, monetary value.

    Attributes:
        window: How far back orders count.
        refit: When cut points are fitted anew: with training, in every run, or when they are older
            than a duration.
        groups: First match wins.
        no_orders: Group of people who never bought.
        lapsed: Group of people who bought, but not within the window.
    """

    type: Literal["rfm"] = "rfm"
    window: Days = timedelta(days=730)
    recency: Scale = Scale(method="quantile", bins=5)
    frequency: Scale = Scale(method="fixed", edges=(2, 3, 4, 6))
    monetary: MonetaryScale = MonetaryScale(method="quantile", bins=5)
    refit: Annotated[Literal["with_training", "every_run"] | timedelta, BeforeValidator(_refit)] = (
        "with_training"
    )
    groups: tuple[RfmGroup, ...] = Field(default=DEFAULT_GROUPS, min_length=1)
    no_orders: Name = "prospects"
    lapsed: Name = "lapsed"

    @property
    def shape(self) -> Cell:
        """Number of scores of recency, frequency and monetary value."""
        return self.recency.n_scores, self.frequency.n_scores, self.monetary.n_scores

    @property
    def group_names(self) -> tuple[str, ...]:
        """Every value that ``rfm.group`` may take, in the order of the file, each once."""
        return tuple(dict.fromkeys([*(g.name for g in self.groups), self.no_orders, self.lapsed]))


class Models(Section):
    """The models; RFM runs with its defaults when the file says nothing."""

    rfm: RfmModel = RfmModel()


def cells(shape: Cell) -> tuple[Cell, ...]:
    """Every cell (r, f, m) of a grid."""
    return tuple(product(*(range(1, n + 1) for n in shape)))  # type: ignore[arg-type]


def owner_of(cell: Cell, groups: Sequence[RfmGroup]) -> int | None:
    """Index of the first group that holds the cell, or None."""
    return next((i for i, group in enumerate(groups) if group.holds(cell)), None)


def unreached_cells(groups: Sequence[RfmGroup], shape: Cell) -> tuple[Cell, ...]:
    """The cells that no group holds."""
    return tuple(cell for cell in cells(shape) if owner_of(cell, groups) is None)


def shadowed_groups(groups: Sequence[RfmGroup], shape: Cell) -> dict[int, tuple[int, ...]]:
    """Groups that no cell ever reaches.

    Returns:
        Index of the group -> indexes of the earlier groups that take its cells (empty: it lies
        outside the grid).
    """
    owners = {cell: owner_of(cell, groups) for cell in cells(shape)}
    shadowed: dict[int, tuple[int, ...]] = {}
    for i, group in enumerate(groups):
        takers = {owners[cell] for cell in owners if group.holds(cell)}
        if i not in takers:
            shadowed[i] = tuple(sorted(taker for taker in takers if taker is not None))
    return shadowed
