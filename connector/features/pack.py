"""What a feature is: a column about a profile as of an instant, written down as data.

A pack is one logical table with the columns computed from it. Each column is an aggregate
expression in the house dialect, a condition, a window in days before ``as_of``, a unit and a
meaning; the builder makes the whole pack ONE scan with one GROUP BY. Windows are never part of the
expression, so that no column can look past ``as_of`` by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

from connector.errors import ModelError

AS_OF = "as_of"
"""Column that an expression may use for the instant of the features."""


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """One feature computed from the rows of the pack's table.

    Attributes:
        name: Column name in the relation ``features``.
        expression: Aggregate over the table's columns and ``as_of``, such as ``sum(net_revenue)``.
        unit: Unit of the value: ``orders``, ``days``, ``currency``.
        meaning: One sentence for people.
        where: Condition on the table's rows; empty: all rows.
        window_days: Only rows of so many days before ``as_of``; None: all rows before it.
        type: SQL type of the value.
        empty: SQL literal for profiles without rows; ``NULL`` where no number would be true.
    """

    name: str
    expression: str
    unit: str
    meaning: str
    where: str = ""
    window_days: int | None = None
    type: str = "BIGINT"
    empty: str = "0"

    def __post_init__(self) -> None:
        if self.window_days is not None and self.window_days < 1:
            raise ModelError(
                f"The feature {self.name} has a window of {self.window_days} days; a window has"
                " at least one."
            )


@dataclass(frozen=True, slots=True)
class DerivedColumn:
    """One feature computed from other features of the same profile.

    Attributes:
        name: Column name in the relation ``features``.
        expression: Over feature names.
        unit: Unit of the value.
        meaning: One sentence for people.
        type: SQL type of the value.
    """

    name: str
    expression: str
    unit: str
    meaning: str
    type: str = "DECIMAL(18, 2)"


@dataclass(frozen=True, slots=True)
class FeaturePack:
    """Features that come from one table.

    Attributes:
        name: The pack's name.
        table: Relation with ``profile_id`` and a time.
        time: The column that says when a row happened, UTC.
        columns: Computed from the table.
        derived: Computed from ``columns``.
    """

    name: str
    table: str
    time: str
    columns: tuple[FeatureColumn, ...]
    derived: tuple[DerivedColumn, ...] = ()

    @property
    def all_columns(self) -> tuple[FeatureColumn | DerivedColumn, ...]:
        """Every feature of the pack."""
        return (*self.columns, *self.derived)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all features of the pack."""
        return tuple(column.name for column in self.all_columns)
