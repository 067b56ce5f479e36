"""Expressions of the configuration, bound to the columns that a physical table really has."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from connector.errors import SchemaError
from connector.warehouse.dialect import Expression, parse_expression
from connector.warehouse.grammar import Liftline
from connector.warehouse.render import quote


class PhysicalTable:
    """The columns of one physical relation, found in any letter case.

    Attributes:
        relation: Its name, as in the configuration.
        columns: Column -> type.
    """

    def __init__(self, relation: str, columns: Mapping[str, str]) -> None:
        self.relation = relation
        self.columns = dict(columns)
        self._by_lower = {name.lower(): name for name in columns}

    @property
    def sql(self) -> str:
        """The relation's name, quoted."""
        return ".".join(quote(part) for part in self.relation.split("."))

    def find(self, name: str) -> str | None:
        """The column's real name, or None."""
        return name if name in self.columns else self._by_lower.get(name.lower())

    def bind(self, text: str, *, subject: str, grouped: bool = False) -> Expression:
        """Parse and check an expression.

        A text that is the name of a column is that column, whatever characters it holds.

        Args:
            text: A column name or an expression.
            subject: What the expression is for, in messages: ``tables.orders.columns.gross``.
            grouped: Whether it may add up rows.

        Raises:
            SchemaError: It names a column that the table does not have.
            ExpressionError: It cannot be read, or is not allowed.
        """
        real = self.find(text)
        if real is not None:
            text = quote(real)
        else:
            self._refuse_missing(text, subject)
        return parse_expression(text, columns=self.columns, what=subject, allow_aggregates=grouped)

    def _refuse_missing(self, text: str, subject: str) -> None:
        """Answer a missing column with those that there are; the rest is the dialect's to judge."""
        try:
            tree = parse_one(text, dialect=Liftline)
        except SqlglotError:
            return
        for column in tree.find_all(exp.Column):
            name = ".".join(part.name for part in column.parts)
            if self.find(name) is None:
                close = difflib.get_close_matches(name.lower(), self._by_lower, n=1)
                meant = f"Did you mean {self._by_lower[close[0]]!r}? " if close else ""
                raise SchemaError(
                    f"{subject}: the table {self.relation} has no column {name!r}.",
                    hint=f"{meant}It has: {', '.join(self.columns)}.",
                )
