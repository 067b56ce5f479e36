"""Why somebody has a score, in words: "bought 12 days ago (+8 points)".

A model takes its score apart into what each feature adds or takes away against the typical person;
this module turns the largest parts into a sentence. It does not know models: parts, values and
wording come from the caller, and a million people are worded column by column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.errors import ModelError

TYPICAL = "close to the typical score"
"""Of somebody whom no feature sets apart."""

LEAST_POINTS = 0.05
"""Parts that would show as 0.0 are not named."""

SEPARATOR = "; "


@dataclass(frozen=True, slots=True)
class Wording:
    """How one feature is put into words.

    Attributes:
        text: With ``{value}`` in it, such as ``bought {value} days ago``.
        unknown: Of somebody whose value is not known, such as ``has never bought``.
        decimals: Of the value.
        one: Of somebody whose value is shown as 1, such as ``bought yesterday``; empty: as others.
    """

    text: str
    unknown: str
    decimals: int = 0
    one: str = ""

    def __post_init__(self) -> None:
        if "{value}" not in self.text:
            raise ModelError(
                f"The wording {self.text!r} does not show the value.",
                hint="Put {value} where it belongs.",
            )

    @classmethod
    def plain(cls, label: str, unit: str = "", decimals: int = 0) -> Wording:
        """Of a feature that nobody has worded: its name or meaning, and the value with unit."""
        value = f"{{value}} {unit}".rstrip()
        return cls(
            f"{label.replace('{', '(').replace('}', ')')}: {value}", f"{label}: unknown", decimals
        )


def reasons(
    parts: pd.DataFrame,
    values: pd.DataFrame,
    wordings: Mapping[str, Wording],
    *,
    top: int = 3,
    scale: float = 100.0,
    unit: tuple[str, str] = ("point", "points"),
) -> pd.Series:
    """The largest parts of each person's score in words, largest first.

    Args:
        parts: People x features: what each adds to the score, such as 0.08 of a probability.
        values: The same people and at least the same columns: numbers, or texts as objects; NaN
            or None for unknown.
        wordings: Feature -> wording; one without is named by its column.
        top: Parts to name.
        scale: From parts to what is shown: 100 turns a probability into percentage points.
        unit: Of what is shown, for one and for several.

    Returns:
        Text by person, with the index of ``parts``.

    Raises:
        ModelError: Parts and values are of different people.
    """
    if not parts.index.equals(values.index):
        raise ModelError("Reasons need the values of the same people, in the same order.")
    amounts = parts.to_numpy(dtype=np.float64) * scale
    n_people, n_features = amounts.shape
    rows = np.arange(n_people)
    # Stable, so that of two equal parts the earlier feature is named first.
    best = np.argsort(-np.abs(amounts), axis=1, kind="stable")[:, : min(top, n_features)]
    text = np.full(n_people, "", dtype=object)
    for feature_of in best.T:
        amount = amounts[rows, feature_of]
        named = np.abs(amount) >= LEAST_POINTS
        phrase = np.full(n_people, "", dtype=object)
        for j in np.unique(feature_of[named]):
            name = str(parts.columns[j])
            mine = np.flatnonzero(named & (feature_of == j))
            said = _said(values[parts.columns[j]].to_numpy()[mine], name, wordings.get(name))
            phrase[mine] = said + " (" + _points(amount[mine], unit) + ")"
        joint = np.where((text != "") & named, SEPARATOR, "").astype(object)
        text = text + joint + phrase
    text[text == ""] = TYPICAL
    return pd.Series(text, index=parts.index, name="reasons")


Texts = npt.NDArray[np.object_]


def _said(found: npt.NDArray[Any], name: str, wording: Wording | None) -> Texts:
    """Each value in words; a text stands for itself."""
    if found.dtype == object:
        wording = wording or Wording.plain(name)
        codes, distinct = pd.factorize(found)
        texts = [wording.text.replace("{value}", str(value)) for value in distinct]
        return np.array([*texts, wording.unknown], dtype=object)[codes]
    known = found.astype(np.float64)
    return _values(known, wording or _plain(name, known))


def _plain(name: str, values: npt.NDArray[np.float64]) -> Wording:
    """The wording of a feature that has none: two decimals where its values are not whole."""
    known = values[~np.isnan(values)]
    return Wording.plain(name, decimals=0 if (known == np.round(known)).all() else 2)


def _values(values: npt.NDArray[np.float64], wording: Wording) -> Texts:
    """The wording of each value; equal values are worded once."""
    codes, distinct = pd.factorize(np.round(values, wording.decimals) + 0.0)
    texts = [
        wording.one
        if wording.one and value == 1
        else wording.text.replace("{value}", f"{value:,.{wording.decimals}f}")
        for value in distinct
    ]
    return np.array([*texts, wording.unknown], dtype=object)[codes]


def _points(amounts: npt.NDArray[np.float64], unit: tuple[str, str]) -> Texts:
    """Signed amounts with their unit: whole from one on, else with one decimal."""
    large = np.abs(np.round(amounts, 1)) >= 1
    shown = np.where(large, np.round(amounts), np.round(amounts, 1))
    codes, distinct = pd.factorize(shown)
    texts = [
        f"{value:+.{0 if abs(value) >= 1 else 1}f} {unit[0] if abs(value) == 1 else unit[1]}"
        for value in distinct
    ]
    return np.array([*texts, ""], dtype=object)[codes]
