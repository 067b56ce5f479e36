"""Named groups of RFM cells: boxes over the three scores, of which the first that matches wins.

A map is checked as a whole before it is used: cells that no box covers, and boxes that earlier ones
cover completely, are mistakes that look like empty segments months later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from connector.domain import Finding, Level
from connector.errors import ModelError

UNNAMED = "unnamed"
"""Group of the cells that no box covers."""

Cell = tuple[int, int, int]
"""Recency, frequency and monetary score."""


@dataclass(frozen=True, slots=True)
class Span:
    """Scores from ``low`` to ``high``, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.high:
            raise ModelError(
                f"A range of scores runs from 1 upwards, found {self.low}-{self.high}."
            )

    @classmethod
    def parse(cls, text: str | int) -> Span:
        """Read ``5`` or ``2-4``.

        Raises:
            ModelError: It is neither.
        """
        low, _, high = str(text).replace(" ", "").partition("-")
        try:
            return cls(int(low), int(high or low))
        except ValueError:
            raise ModelError(
                f"{text!r} is not a range of scores.", hint="Write 5, or 2-4."
            ) from None

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"

    def __contains__(self, score: int) -> bool:
        return self.low <= score <= self.high


@dataclass(frozen=True, slots=True)
class Group:
    """A named box of cells."""

    name: str
    r: Span
    f: Span
    m: Span

    @classmethod
    def of(cls, name: str, r: str | int, f: str | int, m: str | int) -> Group:
        """Build from the configuration's texts, such as ``Group.of("new", 5, 1, "1-5")``."""
        return cls(name, Span.parse(r), Span.parse(f), Span.parse(m))

    def __contains__(self, cell: Cell) -> bool:
        return cell[0] in self.r and cell[1] in self.f and cell[2] in self.m

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return {"name": self.name, "r": str(self.r), "f": str(self.f), "m": str(self.m)}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Group:
        """Inverse of :meth:`to_dict`."""
        return cls.of(str(data["name"]), str(data["r"]), str(data["f"]), str(data["m"]))


DEFAULT_GROUPS: tuple[Group, ...] = (
    Group.of("champions", "4-5", "4-5", "4-5"),
    Group.of("cant_lose", "1-2", "4-5", "4-5"),
    Group.of("loyal", "3-5", "3-5", "3-5"),
    Group.of("at_risk", "1-2", "3-5", "1-5"),
    Group.of("new_customers", "5", "1", "1-5"),
    Group.of("promising", "4", "1", "1-5"),
    Group.of("potential_loyalist", "4-5", "2-5", "1-5"),
    Group.of("need_attention", "3", "2-5", "1-5"),
    Group.of("about_to_sleep", "3", "1", "1-5"),
    Group.of("hibernating", "2", "1-2", "1-5"),
    Group.of("lost", "1", "1-2", "1-5"),
)
"""The map that is used when the configuration gives none: every cell of 5 x 5 x 5 is named, every
box is reached."""

R_RFM_GROUPS: tuple[Group, ...] = (
    Group.of("Champions", "5", "5", "5"),
    Group.of("Potential Loyalist", "3-5", "3-5", "2-5"),
    Group.of("Loyal Customers", "2-4", "2-4", "2-4"),
    Group.of("Promising", "3-4", "1-3", "3-5"),
    Group.of("New Customers", "4-5", "1-3", "1-5"),
    Group.of("Can't Lose Them", "1-2", "3-4", "4-5"),
    Group.of("At Risk", "1-2", "2-5", "4-5"),
    Group.of("Need Attention", "1-3", "3-5", "3-5"),
    Group.of("About To Sleep", "2-3", "1-3", "1-4"),
    Group.of("Lost", "1", "1-5", "1-5"),
)
"""The example map of R's package ``rfm``; it leaves 10 of the 125 cells without a name."""


def cells(bins: Cell) -> Iterator[Cell]:
    """Every cell of a grid with so many scores in each dimension."""
    r, f, m = (range(1, n + 1) for n in bins)
    return product(r, f, m)


def group_of(groups: Sequence[Group], cell: Cell) -> str:
    """The name of the first box that holds the cell, or ``UNNAMED``."""
    return next((group.name for group in groups if cell in group), UNNAMED)


def unnamed_cells(groups: Sequence[Group], bins: Cell = (5, 5, 5)) -> tuple[Cell, ...]:
    """Cells that no box covers."""
    return tuple(cell for cell in cells(bins) if not any(cell in group for group in groups))


def unreachable_groups(groups: Sequence[Group], bins: Cell = (5, 5, 5)) -> tuple[str, ...]:
    """Names of boxes that no cell falls into: earlier ones take theirs."""
    reached = {
        next((i for i, group in enumerate(groups) if cell in group), None) for cell in cells(bins)
    }
    return tuple(group.name for i, group in enumerate(groups) if i not in reached)


def check_groups(
    groups: Sequence[Group], bins: Cell = (5, 5, 5), *, subject: str = "models.rfm.groups"
) -> list[Finding]:
    """Lint a map: what it leaves unnamed, and what in it can never match."""
    findings = []
    unnamed = unnamed_cells(groups, bins)
    n_cells = bins[0] * bins[1] * bins[2]
    if unnamed:
        shown = ", ".join("".join(map(str, cell)) for cell in unnamed[:10])
        findings.append(
            Finding(
                Level.WARNING,
                subject,
                f"{len(unnamed)} of {n_cells} cells have no name:"
                f" {shown}{' ...' if len(unnamed) > 10 else ''}.",
                f"Add groups for them; until then their people are in the group {UNNAMED!r}.",
            )
        )
    findings += [
        Finding(
            Level.WARNING,
            subject,
            f"The group {name!r} can never match: groups above it take all of its cells.",
            "Move it up, or drop it.",
        )
        for name in unreachable_groups(groups, bins)
    ]
    return findings
