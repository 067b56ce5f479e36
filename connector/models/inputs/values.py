"""Four kinds of features, read from a frame: numbers, words, vectors and tallies.

A *vector* is an embedding: a list of numbers, as each engine and each export writes it. A *tally*
says how often somebody did which of many things, as text: ``search > product_view=3;cart_add >
checkout=1``. What cannot be read is unknown, as is what is not there.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.errors import ModelError
from connector.warehouse.macros.text import CONSTANTS

Floats = npt.NDArray[np.float64]

BLANKS = CONSTANTS["_spaces"]
"""What the house dialect's ``trim`` takes off, so that a blank word is unknown in SQL too."""


class Form(enum.StrEnum):
    """What a feature is made of."""

    NUMBER = "number"
    WORD = "word"
    VECTOR = "vector"
    TALLY = "tally"


def form_of(column: pd.Series[Any]) -> Form:
    """What a column holds, by its first known value; a column without one counts as numbers.

    Raises:
        ModelError: It holds times.
    """
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return Form.NUMBER
    held = column.dropna()
    first = held.iloc[0] if len(held) else None
    if isinstance(first, date) or pd.api.types.is_datetime64_any_dtype(column):
        raise ModelError(
            f"The feature {column.name!r} is a time.", hint="Give the model the days since."
        )
    if isinstance(first, str):
        return Form.WORD
    if isinstance(first, Mapping):
        return Form.TALLY
    return Form.VECTOR if isinstance(first, list | tuple | np.ndarray) else Form.NUMBER


def column_of(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    """One column.

    Raises:
        ModelError: The frame lacks it.
    """
    if name not in frame.columns:
        raise ModelError(
            f"The feature {name!r} is not there.",
            hint="Build the features that the model was fitted on, or fit it again.",
        )
    column: pd.Series[Any] = frame[name]
    return column


def numbers(frame: pd.DataFrame, name: str) -> Floats:
    """A column as float64, NaN where unknown.

    Raises:
        ModelError: It is not there, is no number, or is infinite.
    """
    column = column_of(frame, name)
    try:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise ModelError(
            f"The feature {name!r} is not a number: it holds values that are no numbers.",
            hint="Leave it out of the model, or turn it into a number.",
        ) from None
    if np.isinf(values).any():
        row = frame.index[int(np.flatnonzero(np.isinf(values))[0])]
        raise ModelError(
            f"The feature {name!r} is infinite for the profile {row}.",
            hint="Guard its expression against division by zero with nullif().",
        )
    return values


def words(frame: pd.DataFrame, name: str) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """A column of texts as codes, -1 where unknown or blank, and the text of each code.

    Raises:
        ModelError: It is not there, or holds something else than text.
    """
    codes, found = pd.factorize(column_of(frame, name).astype(object))
    if not all(isinstance(word, str) for word in found):
        raise ModelError(
            f"The feature {name!r} is not a text.", hint="Fit the model again on what it is now."
        )
    blank = np.array([not word.strip(BLANKS) for word in found], dtype=bool)
    if blank.any():
        codes = np.where((codes >= 0) & blank[codes], -1, codes)
    return codes.astype(np.int64), tuple(map(str, found))


def vectors(frame: pd.DataFrame, name: str, size: int | None = None) -> Floats | None:
    """A column of vectors, one row a person; NaN all along where one is unknown or broken.

    Args:
        frame: Features.
        name: Of the column: lists of numbers, or what :func:`as_vector` reads.
        size: Expected length; None: that of all vectors, which must be the same.

    Returns:
        Shape (people, size), or None where vectors have several lengths, or there is none.

    Raises:
        ModelError: The column is not there.
    """
    rows = [as_vector(value) for value in column_of(frame, name)]
    if size is None:
        sizes = {len(row) for row in rows if row is not None}
        if len(sizes) != 1:
            return None
        (size,) = sizes
    result = np.full((len(rows), size), np.nan)
    for i, row in enumerate(rows):
        if row is not None and len(row) == size:
            result[i] = row
    return result


def tallies(frame: pd.DataFrame, name: str) -> list[Mapping[str, float] | None]:
    """A column of tallies: thing -> how often, None where unknown.

    Raises:
        ModelError: The column is not there.
    """
    return [value if isinstance(value, Mapping) else None for value in column_of(frame, name)]


def as_vector(value: object) -> Sequence[float] | None:
    """The numbers of an embedding: a list, or its text, ``[0.1, 2]`` or Postgres' ``{0.1,2}``.

    Returns:
        None when it is none, or one of its numbers is missing or infinite.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{") and text.endswith("}"):
            text = f"[{text[1:-1]}]"
        try:
            value = json.loads(text)
        except ValueError:
            return None
    if not isinstance(value, list | tuple | np.ndarray) or not len(value):
        return None
    try:
        found = [float(x) for x in value]
    except (TypeError, ValueError):
        return None
    return found if all(map(math.isfinite, found)) else None


def as_tally(value: object) -> Mapping[str, float] | None:
    """What ``tally()`` of the house dialect wrote; None where nothing was counted."""
    if not isinstance(value, str):
        return None
    found = {}
    for entry in filter(None, value.split(";")):
        thing, _, count = entry.rpartition("=")
        found[thing] = float(count)
    return found
