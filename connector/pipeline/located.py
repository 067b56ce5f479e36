"""Errors of expressions with the line of the file that they were written on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from connector.config import Config
from connector.warehouse.dialect import ExpressionError

if TYPE_CHECKING:
    import pyarrow as pa


@contextlib.contextmanager
def located(config: Config, path: str) -> Iterator[None]:
    """Give an expression's error the line of its key.

    Raises:
        ConfigError: Instead of the ExpressionError within.
    """
    try:
        yield
    except ExpressionError as error:
        raise config.config_error(path, error.message, error.hint) from error


def text_table(rows: pa.Table) -> pa.Table:
    """A result of the state, all of text: ADBC guesses the types of an empty one."""
    import pyarrow as pa

    return rows.cast(pa.schema([(name, pa.string()) for name in rows.column_names]))
