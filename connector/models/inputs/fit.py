"""What training data tell of each feature: its median, whether a flag is worth it, its words.

Features that are mostly unknown, never differ, or repeat another are left out with the reason. A
word must be shared by ten people to have a column: rarer ones tell nothing that would last, and a
model must not hold a text that points to somebody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.errors import InsufficientDataError
from connector.models.inputs import values as read
from connector.models.inputs.matrix import MISSING, OTHER, Column, Inputs, Part
from connector.models.inputs.values import Form

UNKNOWN = "(unknown)"
TWIN = "it is the same as"
"""How the reason begins why a feature is left out that repeats another."""

MOST_WORDS = 12
"""Words of a text, or things of a tally, that get a column; the commonest."""
LEAST_PEOPLE = 10
"""People who must share a word or a thing for it to get a column."""

CONSTANT = "everybody has the same value"


@dataclass(frozen=True, slots=True)
class MissingRule:
    """What stands for the unknown; ``quality.missing`` of the configuration.

    Attributes:
        flags: Whether a number that is unknown for some gets a column that says so.
        word: What an unknown text is called; it is a word of its own.
        drop_above: A feature is left out when a larger share of people lacks it, 0 to 1.
        flag_above: A flag, or the column of an unknown text, is made when a larger share lacks it.
    """

    flags: bool = True
    word: str = UNKNOWN
    drop_above: float = 0.6
    flag_above: float = 0.0


def fit_inputs(frame: pd.DataFrame, rule: MissingRule | None = None) -> Inputs:
    """Learn how features become numbers.

    Args:
        frame: Features of the training set, one row a person (and cut-off), index ``profile_id``.
        rule: What stands for the unknown.

    Raises:
        InsufficientDataError: No feature is left.
        ModelError: A column is a time, or holds neither numbers, texts, vectors nor tallies.
    """
    rule = rule or MissingRule()
    learn = {
        Form.NUMBER: _number,
        Form.WORD: _words,
        Form.VECTOR: _vector,
        Form.TALLY: _tally,
    }
    columns: list[Column] = []
    left_out: dict[str, str] = {}
    seen: dict[bytes, str] = {}
    for name in map(str, frame.columns):
        form = read.form_of(frame[name])
        found = learn[form](frame, name, rule)
        if isinstance(found, str):
            left_out[name] = found
        elif (other := seen.setdefault(_bytes(frame, name, form), name)) != name:
            # Twins would share one effect between them, and be named side by side as reasons.
            left_out[name] = f"{TWIN} {other} for everybody"
        else:
            columns += found
    if not columns:
        raise InsufficientDataError(
            "No feature tells people apart: " + "; ".join(f"{n}: {w}" for n, w in left_out.items()),
            hint="Give the model other features.",
        )
    return Inputs(
        features=tuple(dict.fromkeys(one.feature for one in columns)),
        columns=tuple(sorted(columns, key=lambda one: one.is_indicator)),
        left_out=left_out,
    )


def omissions(inputs: Inputs) -> tuple[str, ...]:
    """Which features are left out, a sentence for each reason and not for each feature."""
    names: dict[str, list[str]] = {}
    for name, why in sorted(inputs.left_out.items()):
        names.setdefault("" if why.startswith(TWIN) else why, []).append(name)
    found = []
    for why, left in names.items():
        many = ", ".join(left)
        if not why:
            found.append(f"Left out, since another feature says the same: {many}.")
        elif len(left) == 1:
            found.append(f"The feature {many} is left out: {why}.")
        else:
            found.append(f"The features {many} are left out: {why}.")
    return tuple(found)


def _mostly(unknown: npt.NDArray[np.bool_], rule: MissingRule) -> str:
    """Why a feature is left out that too few have; empty: enough have it."""
    share = float(unknown.mean()) if unknown.size else 1.0
    return f"{share:.0%} of its values are unknown" if share > rule.drop_above or share == 1 else ""


def _flag(name: str, unknown: npt.NDArray[np.bool_], rule: MissingRule) -> list[Column]:
    wanted = rule.flags and unknown.mean() > rule.flag_above
    return [Column(name, Part.UNKNOWN, MISSING)] if wanted else []


def _number(frame: pd.DataFrame, name: str, rule: MissingRule) -> list[Column] | str:
    values = read.numbers(frame, name)
    unknown = np.isnan(values)
    if why := _mostly(unknown, rule):
        return why
    known, flag = values[~unknown], _flag(name, unknown, rule)
    if not flag and known.min() == known.max():
        return CONSTANT
    median = float(np.median(known))
    return [Column(name, Part.VALUE, fill=median, typical=median), *flag]


def _vector(frame: pd.DataFrame, name: str, rule: MissingRule) -> list[Column] | str:
    found = read.vectors(frame, name)
    if found is None:
        return "its vectors have different lengths, or hold no numbers"
    unknown = np.isnan(found[:, 0])
    if why := _mostly(unknown, rule):
        return why
    medians, flag = np.median(found[~unknown], axis=0), _flag(name, unknown, rule)
    if not flag and (np.ptp(found[~unknown], axis=0) == 0).all():
        return CONSTANT
    parts = [
        Column(name, Part.COMPONENT, place=i, fill=float(x), typical=float(x))
        for i, x in enumerate(medians)
    ]
    return [*parts, *flag]


def _words(frame: pd.DataFrame, name: str, rule: MissingRule) -> list[Column] | str:
    codes, words = read.words(frame, name)
    unknown = codes < 0
    if why := _mostly(unknown, rule):
        return why
    # A person may be there at several cut-offs, and is one person nevertheless.
    people = pd.Series(frame.index.to_numpy()).groupby(codes).nunique()
    rows = np.bincount(codes[~unknown], minlength=len(words))
    common = [i for i in np.unique(codes[~unknown]).tolist() if people[i] >= LEAST_PEOPLE]
    common = sorted(common, key=lambda i: (-rows[i], words[i]))[:MOST_WORDS]
    if not common:
        return f"no word of it is shared by {LEAST_PEOPLE} people"
    made = [Column(name, Part.IS, words[i]) for i in common]
    # The commonest word is the typical person's.
    made[0] = replace(made[0], typical=1.0)
    if int(rows.sum()) > int(rows[common].sum()):
        made.append(Column(name, Part.OTHER, OTHER))
    if unknown.mean() > rule.flag_above:
        made.append(Column(name, Part.UNKNOWN, rule.word))
    return made if len(made) > 1 else CONSTANT


def _tally(frame: pd.DataFrame, name: str, rule: MissingRule) -> list[Column] | str:
    tallies = read.tallies(frame, name)
    del rule  # who has no tally has done nothing, which is known
    pairs = {
        (who, thing)
        for who, tally in zip(frame.index, tallies, strict=True)
        for thing in tally or ()
    }
    did = Counter(thing for _, thing in pairs)
    common = sorted((t for t in did if did[t] >= LEAST_PEOPLE), key=lambda t: (-did[t], t))
    if not common:
        return f"nothing in it was done by {LEAST_PEOPLE} people"
    made = []
    for thing in common[:MOST_WORDS]:
        counts = [0.0 if tally is None else tally.get(thing, 0.0) for tally in tallies]
        made.append(Column(name, Part.COUNT, thing, typical=float(np.median(counts))))
    return made


def _bytes(frame: pd.DataFrame, name: str, form: Form) -> bytes:
    """Equal for columns that say the same of everybody."""
    match form:
        case Form.NUMBER:
            return read.numbers(frame, name).tobytes()
        case Form.WORD:
            codes, words = read.words(frame, name)
            return "\0".join(np.array([*words, "\1"], dtype=object)[codes]).encode()
        case Form.VECTOR:
            found = read.vectors(frame, name)
            return b"" if found is None else found.tobytes()
        case Form.TALLY:
            return repr([one and sorted(one.items()) for one in read.tallies(frame, name)]).encode()
