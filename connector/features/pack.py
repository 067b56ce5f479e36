"""What a feature is: a column about a profile as of an instant, written down as data.

A pack is one logical table with the columns computed from it. Each column is an aggregate
expression in the house dialect, a condition, a window in days before ``as_of``, a unit and a
meaning; the builder makes the whole pack ONE scan with one GROUP BY. Windows are never part of the
expression, so that no column can look past ``as_of`` by mistake.

Some features need two steps: the gaps between a person's orders, the products that were looked at,
the category that was bought most. Such a step is a :class:`Level`: a statement over rows that the
builder has cut off at ``as_of`` already. It can name nothing else, so it cannot peek either. Levels
cost a scan (or a sort) each and are made only for features that somebody asks for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from connector.errors import ModelError

AS_OF = "as_of"
"""Column that an expression may use for the instant of the features."""

VECTOR, TALLY = "vector", "tally"
"""Units that say how a value is to be read: an embedding's list of numbers, or how often somebody
did which of many things, as the dialect's ``tally()`` writes it."""

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class FeatureMeta:
    """What a feature column means; the report and the vendors' field descriptions show it.

    Attributes:
        name: Column name.
        type: SQL type.
        unit: Unit of the value.
        meaning: One sentence for people.
        empty: What stands for people without rows; ``NULL`` where no number would be true.
        pack: The pack that it comes from.
        describe_only: It may describe a segment; it may not form one, nor feed a model.
    """

    name: str
    type: str
    unit: str
    meaning: str
    empty: str = "NULL"
    pack: str = ""
    describe_only: bool = False


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """One feature computed from the rows of a relation.

    Attributes:
        name: Column name in the relation ``features``.
        expression: Aggregate over the relation's columns and ``as_of``, such as
            ``sum(net_revenue)``.
        unit: Unit of the value: ``orders``, ``days``, ``currency``.
        meaning: One sentence for people.
        where: Condition on the rows; empty: all rows.
        window_days: Only rows of so many days before ``as_of``; None: all rows before it.
        type: SQL type of the value; ``DOUBLE`` is rounded to six places, because engines add up in
            different orders.
        empty: SQL literal for profiles without rows; ``NULL`` where no number would be true.
        needs: Columns of logical tables, such as ``orders.discount``, without which the value would
            say nothing; where one is not mapped, there is no such feature.
    """

    name: str
    expression: str
    unit: str
    meaning: str
    where: str = ""
    window_days: int | None = None
    type: str = "BIGINT"
    empty: str = "0"
    needs: tuple[str, ...] = ()

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
        expression: Over feature names, of this pack or of others.
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
class ProfileColumn:
    """One feature that is known of the person rather than counted: a country, a year of birth.

    Attributes:
        name: Column name in the relation ``features``.
        expression: Over the columns of the person's representative customer and ``as_of``.
        unit: Unit of the value.
        meaning: One sentence for people.
        type: SQL type of the value; empty: as it is in the table (an embedding's list).
        needs: As for :class:`FeatureColumn`.
        describe_only: It may describe a segment; it may not form one, nor feed a model.
    """

    name: str
    expression: str
    unit: str
    meaning: str
    type: str = "VARCHAR"
    needs: tuple[str, ...] = ()
    describe_only: bool = True


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table that a level may see: those before ``as_of``.

    Attributes:
        table: Relation with ``profile_id`` and a time.
        time: The column that says when a row happened, UTC.
    """

    table: str
    time: str


@dataclass(frozen=True, slots=True)
class Level:
    """A step between a table and features, such as one row a person and category.

    Attributes:
        name: Name of the relation.
        sql: One SELECT with ``profile_id``, in the house dialect, over the names of ``reads`` and
            over no other relation; ``as_of`` stands for the instant.
        reads: Name in ``sql`` -> rows of a table, or another level.
    """

    name: str
    sql: str
    reads: tuple[tuple[str, Rows | Level], ...]


@dataclass(frozen=True, slots=True)
class LevelColumns:
    """Features computed from a level instead of the table itself.

    Attributes:
        level: The relation.
        columns: Aggregates over it.
        time: Its column that windows go by; empty: it has none, and no column has a window.
    """

    level: Level
    columns: tuple[FeatureColumn, ...]
    time: str = ""

    def __post_init__(self) -> None:
        for column in self.columns:
            if column.window_days is not None and not self.time:
                raise ModelError(
                    f"The feature {column.name} has a window, but {self.level.name} has no time."
                )


Column = FeatureColumn | DerivedColumn | ProfileColumn


@dataclass(frozen=True, slots=True)
class FeaturePack:
    """Features that come from one table.

    Attributes:
        name: The pack's name.
        table: Relation with ``profile_id`` and a time; read only where ``columns`` are given.
        time: The column that says when a row happened, UTC.
        columns: Computed from the table.
        derived: Computed from other features.
        levels: Computed in two steps, only where asked for.
        attributes: Known of the person.
        needs: Logical tables without which there is no such pack.
    """

    name: str
    table: str
    time: str
    columns: tuple[FeatureColumn, ...] = ()
    derived: tuple[DerivedColumn, ...] = ()
    levels: tuple[LevelColumns, ...] = ()
    attributes: tuple[ProfileColumn, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """Every feature of the pack."""
        stepped = (column for part in self.levels for column in part.columns)
        return (*self.attributes, *self.columns, *stepped, *self.derived)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all features of the pack."""
        return tuple(column.name for column in self.all_columns)

    @property
    def metas(self) -> tuple[FeatureMeta, ...]:
        """Unit, meaning and rule for empty values of every feature."""
        return tuple(
            FeatureMeta(
                column.name,
                column.type,
                column.unit,
                column.meaning,
                getattr(column, "empty", "NULL"),
                self.name,
                getattr(column, "describe_only", False),
            )
            for column in self.all_columns
        )

    def keeping(self, names: frozenset[str]) -> FeaturePack:
        """The pack with only those of its features that are named."""
        levels = tuple(
            replace(part, columns=tuple(c for c in part.columns if c.name in names))
            for part in self.levels
        )
        return replace(
            self,
            columns=tuple(c for c in self.columns if c.name in names),
            derived=tuple(c for c in self.derived if c.name in names),
            levels=tuple(part for part in levels if part.columns),
            attributes=tuple(c for c in self.attributes if c.name in names),
        )


def words(text: str) -> frozenset[str]:
    """The names (and keywords) that occur in an expression or any other text."""
    return frozenset(_WORD.findall(text))
