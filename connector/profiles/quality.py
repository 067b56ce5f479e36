"""The data-quality summary of a run: what became of every row, as plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


class Reports(Protocol):
    """A report that can write itself as lines."""

    def lines(self) -> Sequence[tuple[str, str, int]]:
        """Rows of table, measure and number."""
        ...


@dataclass(frozen=True, slots=True)
class QualityLine:
    """One number of the summary: ``orders | missing_customer | 3,710``."""

    table: str
    measure: str
    n: int


@dataclass(frozen=True, slots=True)
class QualitySummary:
    """What became of every row in one run, in the order of the flow."""

    lines: tuple[QualityLine, ...]

    @classmethod
    def of(cls, reports: Iterable[Reports]) -> QualitySummary:
        """Gather the reports of all steps."""
        return cls(tuple(QualityLine(*line) for report in reports for line in report.lines()))

    def count(self, table: str, measure: str) -> int:
        """One number; 0 when it was not reported."""
        return sum(x.n for x in self.lines if x.table == table and x.measure == measure)

    def rows(self) -> list[tuple[str, str, int]]:
        """Lines that say something (zeros are passed over), to be printed or stored."""
        return [(x.table, x.measure, x.n) for x in self.lines if x.n]

    def text(self) -> str:
        """The summary as aligned plain text."""
        rows = self.rows()
        if not rows:
            return "no rows"
        table = max(len(row[0]) for row in rows)
        measure = max(len(row[1]) for row in rows)
        number = max(len(f"{row[2]:,}") for row in rows)
        return "\n".join(f"{t:<{table}}  {m:<{measure}}  {n:>{number},}" for t, m, n in rows)
