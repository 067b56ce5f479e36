"""What a frame of features is turned into: a matrix without holes, and the same in SQL.

A feature makes one column or several: a number itself; an embedding each of its components; a tally
how often each of its common things; a text one column a word, 1 where it is that word, and one for
all other words. What is unknown takes the training median, and a column of its own says so (a
*flag*), since *that* a value is unknown often tells more than any value.

All columns of a feature belong to one *player*, the feature, when a score is taken apart.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.models.inputs import values as read
from connector.models.inputs.values import Floats, Form
from connector.warehouse.render import literal, quote

MISSING = "missing"
OTHER = "(other)"
KNOWN = "known"
"""What is told of an embedding: its numbers mean nothing to people."""


class Part(enum.StrEnum):
    """What a column says of its feature."""

    VALUE = "value"
    COMPONENT = "component"
    COUNT = "count"
    IS = "is"
    OTHER = "other"
    UNKNOWN = "unknown"


_INDICATORS = (Part.IS, Part.OTHER, Part.UNKNOWN)
_FORMS = {
    Part.VALUE: Form.NUMBER,
    Part.COMPONENT: Form.VECTOR,
    Part.COUNT: Form.TALLY,
    Part.IS: Form.WORD,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the matrix.

    Attributes:
        feature: The feature that it belongs to.
        part: What it says of it.
        key: The word (``IS``) or the thing (``COUNT``); of ``UNKNOWN``, how it is called.
        place: Position in the vector (``COMPONENT``), from 0.
        fill: What stands in for an unknown value: the training median; 0 for a count.
        typical: Of the typical person.
    """

    feature: str
    part: Part
    key: str = ""
    place: int = 0
    fill: float = 0.0
    typical: float = 0.0

    @property
    def is_indicator(self) -> bool:
        """Whether it is 1 where something holds, else 0."""
        return self.part in _INDICATORS

    @property
    def name(self) -> str:
        """For people, and the same across refits."""
        match self.part:
            case Part.VALUE:
                return self.feature
            case Part.COMPONENT:
                return f"{self.feature} {self.place + 1}"
            case Part.COUNT:
                return f"{self.feature}: {self.key}"
            case _:
                return f"{self.feature} is {self.key}"


@dataclass(frozen=True)
class Inputs:
    """What a frame is turned into; learned by :func:`connector.models.inputs.fit_inputs`.

    Attributes:
        features: Names of the features in use, in order.
        columns: Of the matrix: values in the order of the features, then indicators likewise.
        left_out: Feature -> why it is not in use.
    """

    features: tuple[str, ...]
    columns: tuple[Column, ...]
    left_out: Mapping[str, str]

    @cached_property
    def players(self) -> npt.NDArray[np.int64]:
        """Of each column of the matrix, the position of the feature that it belongs to."""
        position = {name: i for i, name in enumerate(self.features)}
        return np.array([position[one.feature] for one in self.columns], dtype=np.int64)

    @property
    def n_values(self) -> int:
        """So many columns from the left hold values; the others are indicators."""
        return sum(not one.is_indicator for one in self.columns)

    @property
    def medians(self) -> Floats:
        """What stands in for an unknown value, of each column that holds values."""
        return np.array([one.fill for one in self.columns if not one.is_indicator])

    @property
    def reference(self) -> Floats:
        """The row of the typical person: each at its median or commonest word, all known."""
        return np.array([one.typical for one in self.columns])

    def of(self, feature: str) -> tuple[Column, ...]:
        """The columns of one feature."""
        return tuple(one for one in self.columns if one.feature == feature)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(one.name for one in self.columns)

    @cached_property
    def forms(self) -> Mapping[str, Form]:
        """Feature -> what it is made of."""
        found = [(one.feature, _FORMS[one.part]) for one in self.columns if one.part in _FORMS]
        return dict(found)

    def matrix(self, frame: pd.DataFrame) -> Floats:
        """Values and indicators, one row a person, without a hole.

        Raises:
            ModelError: A feature is missing, is of another kind than in training, or is infinite.
        """
        holed = self.holed(frame)
        fill = np.array([one.fill for one in self.columns])
        return np.where(np.isnan(holed), fill, holed)

    def holed(self, frame: pd.DataFrame) -> Floats:
        """The same with NaN where a value is unknown.

        Raises:
            ModelError: As of :meth:`matrix`.
        """
        result = np.empty((len(frame), len(self.columns)))
        for i, name in enumerate(self.features):
            mine = np.flatnonzero(self.players == i)
            for j, found in zip(mine, self._columns(frame, name, mine), strict=True):
                result[:, j] = found
        return result

    def _columns(
        self, frame: pd.DataFrame, name: str, mine: npt.NDArray[np.int64]
    ) -> Iterator[Floats]:
        """Those of one feature."""
        columns = [self.columns[j] for j in mine]
        match self.forms[name]:
            case Form.NUMBER:
                values = read.numbers(frame, name)
                for one in columns:
                    yield values if one.part is Part.VALUE else np.isnan(values).astype(np.float64)
            case Form.VECTOR:
                size = sum(one.part is Part.COMPONENT for one in columns)
                found = read.vectors(frame, name, size)
                assert found is not None  # noqa: S101 - the size is given
                for one in columns:
                    value = found[:, one.place]
                    yield value if one.part is Part.COMPONENT else np.isnan(value).astype(float)
            case Form.TALLY:
                tallies = read.tallies(frame, name)
                for one in columns:
                    counts = [0.0 if each is None else each.get(one.key, 0.0) for each in tallies]
                    yield np.array(counts, dtype=np.float64)
            case Form.WORD:
                codes, words = read.words(frame, name)
                listed = [one.key for one in columns if one.part is Part.IS]
                at = {word: i for i, word in enumerate(words)}
                inside = np.array([word in listed for word in (*words, "")], dtype=bool)
                for one in columns:
                    if one.part is Part.IS:
                        yield (codes == at.get(one.key, -2)).astype(np.float64)
                    elif one.part is Part.UNKNOWN:
                        yield (codes < 0).astype(np.float64)
                    else:
                        yield ((codes >= 0) & ~inside[codes]).astype(np.float64)

    def is_known(self, frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
        """Whether anything is known of a person.

        Raises:
            ModelError: As of :meth:`matrix`.
        """
        known = np.zeros(len(frame), dtype=bool)
        for name, form in self.forms.items():
            match form:
                case Form.NUMBER:
                    known |= ~np.isnan(read.numbers(frame, name))
                case Form.WORD:
                    known |= read.words(frame, name)[0] >= 0
                case Form.VECTOR:
                    known |= np.array([read.as_vector(v) is not None for v in frame[name]], bool)
                case Form.TALLY:
                    known |= np.array([v is not None for v in read.tallies(frame, name)], bool)
        return known

    def shown(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What may be told of each feature: its number or word; of a tally, its commonest thing."""
        made: dict[str, Any] = {}
        for name in self.features:
            match self.forms[name]:
                case Form.NUMBER:
                    made[name] = read.numbers(frame, name)
                case Form.WORD:
                    codes, words = read.words(frame, name)
                    made[name] = np.array([*words, None], dtype=object)[codes]
                case Form.VECTOR:
                    known = [read.as_vector(value) is not None for value in frame[name]]
                    made[name] = np.array([KNOWN if one else None for one in known], dtype=object)
                case Form.TALLY:
                    made[name] = np.array(
                        [_commonest(one) for one in read.tallies(frame, name)], dtype=object
                    )
        return pd.DataFrame(made, index=frame.index, columns=list(self.features))

    # ------------------------------------------------------------------ SQL
    def sql(self, alias: str) -> tuple[str, ...] | None:
        """Each column of the matrix as an expression over the relation ``alias``.

        Returns:
            None where a vector is among the features: engines take lists apart in too many ways.
        """
        made = [self._sql(one, alias) for one in self.columns]
        found = tuple(one for one in made if one is not None)
        return found if len(found) == len(made) else None

    def unknown_sql(self, feature: str, alias: str) -> str:
        """Condition that nothing is known of a feature."""
        column = f"{alias}.{quote(feature)}"
        if self.forms[feature] is Form.WORD:
            return f"({column} IS NULL OR trim({column}) = '')"
        return f"{column} IS NULL"

    def _sql(self, one: Column, alias: str) -> str | None:
        column = f"{alias}.{quote(one.feature)}"
        match one.part:
            case Part.COMPONENT:
                return None
            case Part.VALUE:
                return f"coalesce(CAST({column} AS DOUBLE), {literal(one.fill)})"
            case Part.COUNT:
                return f"tally_of({column}, {literal(one.key)})"
            case Part.IS:
                return f"CASE WHEN {column} = {literal(one.key)} THEN 1.0 ELSE 0.0 END"
            case Part.UNKNOWN:
                unknown = self.unknown_sql(one.feature, alias)
                if self.forms[one.feature] is Form.VECTOR:
                    return None
                return f"CASE WHEN {unknown} THEN 1.0 ELSE 0.0 END"
            case Part.OTHER:
                words = [literal(c.key) for c in self.of(one.feature) if c.part is Part.IS]
                unknown = self.unknown_sql(one.feature, alias)
                listed = f"{column} IN ({', '.join(words)})"
                return f"CASE WHEN {unknown} OR {listed} THEN 0.0 ELSE 1.0 END"

    # ------------------------------------------------------------------ store
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "features": list(self.features),
            "columns": [
                [c.feature, c.part.value, c.key, c.place, c.fill, c.typical] for c in self.columns
            ],
            "left_out": dict(self.left_out),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Inputs:
        """Inverse of :meth:`to_dict`; raises KeyError, TypeError or ValueError on another shape."""
        inputs = cls(
            features=tuple(map(str, data["features"])),
            columns=tuple(
                Column(str(feature), Part(part), str(key), int(place), float(fill), float(typical))
                for feature, part, key, place, fill, typical in data["columns"]
            ),
            left_out={str(name): str(why) for name, why in data["left_out"].items()},
        )
        if set(inputs.forms) != set(inputs.features) or inputs.players.size == 0:
            raise ValueError("columns of other features")
        return inputs


def _commonest(tally: Mapping[str, float] | None) -> str | None:
    if not tally:
        return None
    thing = min(tally, key=lambda one: (-tally[one], one))
    return f"{thing} ({tally[thing]:g})"
