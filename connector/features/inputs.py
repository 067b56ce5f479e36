"""What a model may read of the features, with missing values filled by a stated rule.

Two steps, so that scoring is filled as training was: :func:`learn_inputs` looks at the frame that a
model is fitted on and writes down what it needs (a median, whether a flag is worth having), and
:func:`apply_inputs` uses it on any frame. A row that is scored alone gets the same numbers as in a
crowd.

* Numbers: the median of training, and ``<name>_missing`` (1 or 0) where training had gaps.
* Texts: ``(unknown)``.
* Embeddings: one number a component, ``<name>_0`` on, filled alike, with one flag.
* A column that is missing more often than a limit is dropped: it would be mostly invention.
* Denied and describe-only columns are never inputs, nor what reads columns that change in place:
  asking for one by name is an error.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from connector.errors import ConfigError, ModelError

UNKNOWN = "(unknown)"
FLAG = "_missing"
DROP_ABOVE = 0.6


@dataclass(frozen=True, slots=True)
class InputRules:
    """Which columns may be inputs.

    Attributes:
        deny: Never an input: protected attributes and whatever else the configuration names.
        report_only: May describe a segment, may not form it.
        mutable: Read columns that change in place, so that past instants would know the future.
        drop_above: A column is dropped when a larger share of its values is missing (0 to 1).
    """

    deny: frozenset[str] = frozenset()
    report_only: frozenset[str] = frozenset()
    mutable: frozenset[str] = frozenset()
    drop_above: float = DROP_ABOVE

    @property
    def shut(self) -> frozenset[str]:
        """Whatever is never an input."""
        return self.deny | self.report_only | self.mutable


@dataclass(frozen=True, slots=True)
class Inputs:
    """How a frame becomes the inputs of a model; plain values, so that it can be stored as JSON.

    Attributes:
        numbers: Column -> the median of training.
        flags: Columns that had gaps in training, and get a flag.
        texts: Columns of text.
        vectors: Column -> the median of each component.
        dropped: Column -> why it is no input although it was allowed.
    """

    numbers: Mapping[str, float]
    flags: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of :func:`apply_inputs`, in order."""
        vectors = [f"{name}_{i}" for name, parts in self.vectors.items() for i in range(len(parts))]
        flags = [f"{name}{FLAG}" for name in self.flags]
        return (*self.numbers, *vectors, *flags, *self.texts)


def allowed_inputs(
    names: Sequence[str], known: Collection[str], rules: InputRules, *, what: str = "features"
) -> tuple[str, ...]:
    """The columns that a model reads.

    Args:
        names: Those that it asks for; none: all that are allowed.
        known: All columns that there are.
        rules: Which of them may be inputs.
        what: What asks, for messages: ``models.personas.features``.

    Raises:
        ConfigError: A name is unknown, denied, there to describe only, or reads what changes in
            place.
    """
    if not names:
        return tuple(name for name in known if name not in rules.shut)
    for name in names:
        if name in rules.deny:
            raise ConfigError(
                f"{what}: {name} is in features.deny and never an input of a model.",
                hint="Take it out of one of the two lists.",
            )
        if name in rules.report_only:
            raise ConfigError(
                f"{what}: {name} may describe a segment, but not form it.",
                hint="Take it out here, or out of features.report_only.",
            )
        if name in rules.mutable:
            raise ConfigError(
                f"{what}: {name} reads a column that changes in place, so at past instants it"
                " already knows what came later, and a model would learn from that.",
                hint="Take it out here; or give the column a date of its own (a return as a row)"
                " and take it out of tables.*.mutable.",
            )
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=1)
            meant = f"Did you mean {near[0]!r}?" if near else "See `liftline check` for all."
            raise ConfigError(f"{what}: there is no feature {name!r}.", hint=meant)
    return tuple(dict.fromkeys(names))


def learn_inputs(frame: pd.DataFrame, names: Sequence[str], rules: InputRules) -> Inputs:
    """Work out from training data how inputs are filled.

    Args:
        frame: Rows of training.
        names: Its columns that are inputs, from :func:`allowed_inputs`.
        rules: Whose ``drop_above`` holds, and whose lists are held once more.

    Raises:
        ModelError: Nothing is left, or a column is not allowed or not in the frame.
    """
    shut = [name for name in names if name in rules.shut]
    absent = [name for name in names if name not in frame.columns]
    if shut or absent:
        raise ModelError(
            f"These columns are no inputs: {', '.join([*shut, *absent])}.",
            hint="Denied and report-only columns never are, nor what changes in place.",
        )
    numbers: dict[str, float] = {}
    vectors: dict[str, tuple[float, ...]] = {}
    flags, texts, dropped = [], [], {}
    for name in names:
        column = frame[name]
        gone = _missing(column)
        share = float(gone.mean()) if len(column) else 1.0
        if share > rules.drop_above or share == 1.0:
            dropped[name] = f"{share:.0%} of its values are missing"
        elif _is_time(column):
            dropped[name] = "a time is no input; use the days since"
        elif _is_vector(column):
            parts = _components(column)
            if parts is None:
                dropped[name] = "its vectors have different lengths, or hold no numbers"
                continue
            vectors[name] = tuple(float(x) for x in np.nanmedian(parts, axis=0))
            flags += [name] * bool(np.isnan(parts[:, 0]).any())
        elif _is_text(column):
            texts.append(name)
        else:
            values = _numbers(column)
            numbers[name] = float(np.nanmedian(values))
            flags += [name] * bool(np.isnan(values).any())
    inputs = Inputs(numbers, tuple(flags), tuple(texts), vectors, dropped)
    if not inputs.columns:
        raise ModelError(
            "No feature is left as an input.",
            hint="; ".join(f"{name}: {why}" for name, why in dropped.items()),
        )
    return inputs


def apply_inputs(frame: pd.DataFrame, inputs: Inputs) -> pd.DataFrame:
    """The inputs of a model for every row: no value is missing, the index is kept.

    Raises:
        ModelError: The frame lacks a column.
    """
    wanted = [*inputs.numbers, *inputs.vectors, *inputs.texts]
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise ModelError(f"The features lack {', '.join(absent)}, which the model was fitted on.")
    made: dict[str, Any] = {}
    flags: dict[str, Any] = {}
    for name, median in inputs.numbers.items():
        values = _numbers(frame[name])
        flags[name] = np.isnan(values).astype(float)
        made[name] = np.where(np.isnan(values), median, values)
    for name, medians in inputs.vectors.items():
        parts = _components(frame[name], size=len(medians))
        if parts is None:
            parts = np.full((len(frame), len(medians)), np.nan)
        flags[name] = np.isnan(parts[:, 0]).astype(float)
        for i, median in enumerate(medians):
            made[f"{name}_{i}"] = np.where(np.isnan(parts[:, i]), median, parts[:, i])
    for name in inputs.flags:
        made[f"{name}{FLAG}"] = flags[name]
    for name in inputs.texts:
        column = frame[name]
        made[name] = column.astype(object).where(~_missing(column), UNKNOWN).astype(str).to_numpy()
    return pd.DataFrame(made, index=frame.index, columns=list(inputs.columns))


# ---------------------------------------------------------------------- kinds of columns
def _missing(column: pd.Series[Any]) -> pd.Series[bool]:
    gone: pd.Series[bool] = column.isna()
    if _is_text(column):
        gone |= column.astype(object).map(lambda v: isinstance(v, str) and not v.strip())
    elif pd.api.types.is_float_dtype(column):
        gone |= np.isinf(column.astype(float))
    return gone


def _first(column: pd.Series[Any]) -> object:
    """The first value that is not missing."""
    held = column[column.notna()]
    return held.iloc[0] if len(held) else None


def _is_time(column: pd.Series[Any]) -> bool:
    from datetime import date

    return pd.api.types.is_datetime64_any_dtype(column) or isinstance(_first(column), date)


def _is_text(column: pd.Series[Any]) -> bool:
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return False
    return isinstance(_first(column), str) and not _is_vector(column)


def _is_vector(column: pd.Series[Any]) -> bool:
    if pd.api.types.is_numeric_dtype(column):
        return False
    first = _first(column)
    if isinstance(first, str):
        return first.strip().startswith("[") and _vector(first) is not None
    return isinstance(first, list | tuple | np.ndarray)


def _numbers(column: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Floating point; Decimal, booleans and infinities included, the last as missing."""
    values = pd.to_numeric(column.astype(object), errors="coerce").to_numpy(float, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _vector(value: object) -> list[float] | None:
    """The numbers of one embedding; None when it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, list | tuple | np.ndarray) or not len(value):
        return None
    try:
        numbers = [float(x) for x in value]
    except (TypeError, ValueError):
        return None
    return numbers if all(math.isfinite(x) for x in numbers) else None


def _components(
    column: pd.Series[Any], *, size: int | None = None
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """One row a person, one column a component; NaN where a vector is missing or broken.

    Args:
        column: Lists, or their texts.
        size: Expected length; None: that of all vectors, which must be the same.
    """
    rows = [_vector(value) for value in column]
    sizes = {len(row) for row in rows if row is not None}
    if size is None:
        if len(sizes) != 1:
            return None
        (size,) = sizes
    nothing = [math.nan] * size
    return np.array([row if row is not None and len(row) == size else nothing for row in rows])
