"""Cut points: how a number becomes a score, for good, and the same for equal numbers.

Scores come from edges that were fitted once and stored, never from ranks at run time. Ranking
splits people with equal values by row order (on CDNOW 43.8 % of customers change their frequency
score when the rows are shuffled), moves a person because somebody else bought, and costs two to
four times as much on every engine that was measured.

Three rules:

* ``quantile``: edges are type-7 quantiles (R's and numpy's default); score = 1 + number of edges
  below the value.
* ``fixed``: edges are given; score = 1 + number of edges at or below the value, so ``[2, 3, 4, 6]``
  reads 1 | 2 | 3 | 4-5 | 6 and more.
* ``r_rfm``: the rule of R's package ``rfm``: type-7 quantiles plus 1, intervals [lower, upper).

Quantiles are exact: the engine reports the order statistics out of a histogram of values, and the
interpolation is done in rational numbers here. Interpolating in floats puts an edge a hair beside a
value that it equals.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from connector.errors import InsufficientDataError, ModelError
from connector.ports import Warehouse

EDGE_DECIMALS = 6
"""Decimals of a stored edge: finer than any two different edges of money or days can lie apart."""


class Method(enum.StrEnum):
    """Where the edges come from, and which side of an edge its own value falls on."""

    QUANTILE = "quantile"
    FIXED = "fixed"
    R_RFM = "r_rfm"


@dataclass(frozen=True, slots=True)
class CutSpec:
    """How one of the three dimensions is cut.

    Attributes:
        method: The rule.
        bins: Number of scores, 2 to 10; for ``fixed`` it follows from the edges.
        edges: Edges of ``fixed``, strictly ascending, in the dimension's own unit.
    """

    method: Method = Method.QUANTILE
    bins: int = 5
    edges: tuple[Decimal, ...] = ()

    def __post_init__(self) -> None:
        if self.method is Method.FIXED:
            if not self.edges or any(
                a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)
            ):
                raise ModelError(
                    f"Fixed edges must ascend strictly, found {[str(e) for e in self.edges]}.",
                    hint="Write for example edges: [2, 3, 4, 6].",
                )
            object.__setattr__(self, "bins", len(self.edges) + 1)
        elif self.edges:
            raise ModelError(
                f"The method {self.method} finds its own edges.",
                hint="Drop the edges, or say fixed.",
            )
        if not 2 <= self.bins <= 10:
            raise ModelError(f"A score needs 2 to 10 bins, found {self.bins}.")

    @classmethod
    def fixed(cls, edges: Sequence[float | Decimal | str]) -> CutSpec:
        """Cut at given edges."""
        return cls(Method.FIXED, edges=tuple(Decimal(str(edge)) for edge in edges))

    @classmethod
    def quantile(cls, bins: int = 5) -> CutSpec:
        """Cut at type-7 quantiles."""
        return cls(Method.QUANTILE, bins)


QUINTILES = CutSpec.quantile(5)
"""Five equal shares, the default of every dimension."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Fitted edges of one dimension.

    Attributes:
        method: The rule that the edges were fitted under.
        edges: Ascending, ``bins - 1`` of them; equal edges leave empty bins between them.
        reverse: Small values score high (recency).
        empty_bins: Scores that nobody had when the edges were fitted.
    """

    method: Method
    edges: tuple[Decimal, ...]
    reverse: bool
    empty_bins: tuple[int, ...] = ()

    @property
    def bins(self) -> int:
        """Number of scores."""
        return len(self.edges) + 1

    def score_sql(self, value: str) -> str:
        """The score of the SQL expression ``value``, which must not be NULL."""
        compare = ">" if self.method is Method.QUANTILE else ">="
        terms = [f"CASE WHEN {value} {compare} {edge} THEN 1 ELSE 0 END" for edge in self.edges]
        below = " + ".join(terms)
        return f"({self.bins} - ({below}))" if self.reverse else f"(1 + {below})"

    def score(self, value: float | Decimal | int) -> int:
        """The score of one number, by the same rule as :meth:`score_sql`."""
        number = Decimal(str(value))
        if self.method is Method.QUANTILE:
            below = sum(edge < number for edge in self.edges)
        else:
            below = sum(edge <= number for edge in self.edges)
        return self.bins - below if self.reverse else 1 + below

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "method": str(self.method),
            "edges": [str(edge) for edge in self.edges],
            "reverse": self.reverse,
            "empty_bins": list(self.empty_bins),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Cuts:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        edges, empty = data.get("edges"), data.get("empty_bins")
        if not isinstance(edges, list) or not isinstance(empty, list):
            raise ModelError("A stored model has no list of edges.", hint="Fit the model again.")
        return cls(
            method=Method(str(data["method"])),
            edges=tuple(Decimal(str(edge)) for edge in edges),
            reverse=bool(data["reverse"]),
            empty_bins=tuple(int(b) for b in empty),
        )


def fit_cuts(
    warehouse: Warehouse, spec: CutSpec, *, population: str, value: str, reverse: bool
) -> Cuts:
    """Find the edges of one dimension, and the bins that they leave empty.

    Args:
        warehouse: Where the population lies.
        spec: The rule.
        population: A SELECT with one row a person.
        value: The column of it to cut; never NULL there.
        reverse: Small values score high.

    Raises:
        InsufficientDataError: Quantiles were asked of nobody.
    """
    if spec.method is Method.FIXED:
        edges = spec.edges
    else:
        edges = quantiles(warehouse, population=population, value=value, bins=spec.bins)
        if spec.method is Method.R_RFM:
            edges = tuple(edge + 1 for edge in edges)
    cuts = Cuts(spec.method, edges, reverse)
    score = cuts.score_sql(f"p.{value}")
    rows = warehouse.rows(
        f"SELECT {score} AS score, count(*) AS n FROM ({population}) AS p GROUP BY {score}"
    )
    taken = {int(row[0]) for row in rows}
    empty = tuple(s for s in range(1, cuts.bins + 1) if s not in taken)
    return Cuts(spec.method, edges, reverse, empty)


def quantiles(
    warehouse: Warehouse, *, population: str, value: str, bins: int
) -> tuple[Decimal, ...]:
    """Type-7 quantiles at 1/bins, 2/bins, ..., exact to ``EDGE_DECIMALS``.

    One aggregation to a histogram of distinct values, one running sum over it, and the order
    statistics that the quantiles interpolate between; nothing is sorted per person.

    Raises:
        InsufficientDataError: The population is empty.

    References:
        Hyndman & Fan (1996), Sample quantiles in statistical packages, definition 7.
    """
    (n_people,) = warehouse.rows(f"SELECT count(*) AS n FROM ({population}) AS p")[0]
    if not n_people:
        raise InsufficientDataError(
            f"There is nobody to fit the quantiles of {value} on.",
            hint="Check that orders fall into the model's window, or give fixed edges.",
        )
    positions = [Fraction((n_people - 1) * i, bins) for i in range(1, bins)]
    ranks = sorted({r for p in positions for r in (int(p), min(int(p) + 1, n_people - 1))})
    # Counted from the top: BigQuery has no window in ascending order with NULLs last.
    picks = ", ".join(
        f"max(CASE WHEN c.downto > {n_people - 1 - rank} THEN c.v END) AS v{i}"
        for i, rank in enumerate(ranks)
    )
    found = warehouse.rows(
        f"SELECT {picks} FROM (SELECT h.v AS v, sum(h.n) OVER (ORDER BY h.v DESC NULLS LAST"
        " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS downto FROM ("
        f"SELECT p.{value} AS v, count(*) AS n FROM ({population}) AS p GROUP BY p.{value}"
        ") AS h) AS c"
    )[0]
    at = {rank: Fraction(Decimal(str(v))) for rank, v in zip(ranks, found, strict=True)}
    return tuple(_interpolate(at, position, n_people) for position in positions)


def _interpolate(at: Mapping[int, Fraction], position: Fraction, n_people: int) -> Decimal:
    """The value at a fractional 0-based rank, between its two neighbours."""
    low = int(position)
    high = min(low + 1, n_people - 1)
    exact = at[low] + (position - low) * (at[high] - at[low])
    decimal = Decimal(exact.numerator) / Decimal(exact.denominator)
    return decimal.quantize(Decimal(1).scaleb(-EDGE_DECIMALS), rounding=ROUND_HALF_EVEN).normalize()
