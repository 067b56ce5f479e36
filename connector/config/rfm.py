"""The RFM model's block: how scores are cut, and which group each cell of the grid belongs to.

The groups are boxes on a grid of scores (5 x 5 x 5 by default), and the first box that holds a cell
wins; their arithmetic is the model's own (:mod:`connector.models.groups`). Here they are read, and
for a box that earlier ones cover entirely it is found out which ones those are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt

from connector.config.values import Days, Name, Refit, Scores, Section, refuse
from connector.models.groups import DEFAULT_GROUPS, Cell, Group, cells


def _edges(value: object) -> object:
    if isinstance(value, list | tuple) and value:
        numbers = [
            v for v in value if isinstance(v, int | float) and not isinstance(v, bool) and v > 0
        ]
        if len(numbers) == len(value) <= 9 and all(low < high for low, high in pairwise(numbers)):
            return tuple(numbers)
    raise refuse("1 to 9 growing positive numbers, such as [30, 90, 180, 365]")


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


_SHIPPED = tuple(
    RfmGroup(name=group.name, r=group.r, f=group.f, m=group.m) for group in DEFAULT_GROUPS
)


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
    refit: Refit = "with_training"
    groups: tuple[RfmGroup, ...] = Field(default=_SHIPPED, min_length=1)
    no_orders: Name = "prospects"
    lapsed: Name = "lapsed"

    @property
    def shape(self) -> Cell:
        """Number of scores of recency, frequency and monetary value."""
        return self.recency.n_scores, self.frequency.n_scores, self.monetary.n_scores

    @property
    def boxes(self) -> tuple[Group, ...]:
        """The groups as the model takes them."""
        return tuple(Group(group.name, group.r, group.f, group.m) for group in self.groups)

    @property
    def group_names(self) -> tuple[str, ...]:
        """Every value that ``rfm.group`` may take, in the order of the file, each once."""
        return tuple(dict.fromkeys([*(g.name for g in self.groups), self.no_orders, self.lapsed]))


def shadowed_groups(groups: Sequence[Group], shape: Cell) -> dict[int, tuple[int, ...]]:
    """Groups inside the grid that no cell ever reaches.

    Returns:
        Index of the group -> indexes of the earlier groups that take its cells.
    """
    takers: dict[int, set[int]] = {i: set() for i in range(len(groups))}
    for cell in cells(shape):
        holders = [i for i, group in enumerate(groups) if cell in group]
        for i in holders:
            takers[i].add(holders[0])
    return {i: tuple(sorted(taken)) for i, taken in takers.items() if i not in taken}
