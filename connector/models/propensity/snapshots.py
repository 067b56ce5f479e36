"""Training data of a forecast: what was known at a cut-off, and what happened after it.

The one way to be honest about a forecast is to have made it in the past. So a training set is a
series of cut-offs, each with the features as of that instant and the outcome in the window after
it, and a model is only ever tested on a cut-off whose past it has seen: every outcome that it
learned from had ended ``gap`` days before. Random folds would let it learn from the same week, and
often the same person, that it is tested on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from connector.errors import InsufficientDataError, ModelError

LEAST_CUTOFFS = 3
"""One to learn from, one to calibrate on, one to test on."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One cut-off.

    Attributes:
        as_of: The cut-off, aware: features read what lies strictly before it.
        features: One row a person who is eligible at the cut-off: index ``profile_id``; as
            :func:`connector.models.inputs.fit_inputs` reads them.
        label: Same people: 1 where the outcome happened in (cut-off, cut-off + window], else 0.
        baselines: Same people: a column for each naive rule that the model is held against, such as
            ``rfm_score``; larger or smaller may mean likelier, which is learned from the past.
    """

    as_of: datetime
    features: pd.DataFrame
    label: pd.Series
    baselines: pd.DataFrame | None = None


def cut_offs(
    as_of: datetime,
    *,
    window_days: int,
    gap_days: int = 0,
    folds: int = 3,
    earliest: datetime | None = None,
) -> tuple[datetime, ...]:
    """The cut-offs to compute features and outcomes for, oldest first.

    The latest one lies a whole window back, so that every outcome is known; each earlier one lies
    a window and the gap before the next.

    Args:
        as_of: Now, aware: outcomes up to it are known.
        window_days: Length of the outcome's window.
        gap_days: Days between the end of a window and the next cut-off.
        folds: Cut-offs to test on.
        earliest: No cut-off before it, for want of history.

    Raises:
        InsufficientDataError: The history holds fewer than three.
    """
    step = timedelta(days=window_days + gap_days)
    latest = as_of.astimezone(UTC) - timedelta(days=window_days)
    wanted = [latest - i * step for i in range(folds + LEAST_CUTOFFS - 1)]
    found = sorted(one for one in wanted if earliest is None or one >= earliest)
    if len(found) < LEAST_CUTOFFS:
        raise InsufficientDataError(
            f"The history holds {len(found)} cut-offs {step.days} days apart; {LEAST_CUTOFFS} are"
            " needed: one to learn from, one to calibrate on, one to test on.",
            hint="Predict a shorter window, or wait for more history.",
        )
    return tuple(found)


def checked(snapshots: Sequence[Snapshot], *, model: str) -> tuple[Snapshot, ...]:
    """The snapshots in order of time, people in order of their id, columns alike.

    Args:
        snapshots: As given.
        model: Its name, for messages.

    Raises:
        ModelError: A snapshot contradicts itself or the others.
        InsufficientDataError: There is none.
    """
    if not snapshots:
        raise InsufficientDataError(f"The model {model!r} has no cut-off to learn from.")
    if any(one.as_of.tzinfo is None for one in snapshots):
        raise ModelError(f"A cut-off of {model!r} has no time zone.", hint="Pass an aware time.")
    ordered = sorted(snapshots, key=lambda one: one.as_of)
    columns = list(ordered[0].features.columns)
    result = []
    for one in ordered:
        where = f"the cut-off {one.as_of.date()} of {model!r}"
        if sorted(map(str, one.features.columns)) != sorted(map(str, columns)):
            raise ModelError(f"The features of {where} are not those of the first cut-off.")
        if not one.features.index.is_unique:
            raise ModelError(f"Somebody is in {where} twice.", hint="One row a profile.")
        if not one.label.index.is_unique or set(one.label.index) != set(one.features.index):
            raise ModelError(f"Features and outcomes of {where} are of different people.")
        features = one.features[columns].sort_index()
        label = one.label.reindex(features.index).astype(np.float64)
        if not label.isin((0.0, 1.0)).all():
            raise ModelError(f"An outcome of {where} is neither 0 nor 1.")
        baselines = one.baselines
        if baselines is not None:
            if not set(features.index) <= set(baselines.index) or not baselines.index.is_unique:
                raise ModelError(f"A baseline of {where} lacks people, or has them twice.")
            baselines = baselines.reindex(features.index).astype(np.float64)
        result.append(Snapshot(one.as_of.astimezone(UTC), features, label, baselines))
    if len({one.as_of for one in result}) < len(result):
        raise ModelError(f"The model {model!r} has one cut-off twice.")
    return tuple(result)


def earlier(as_ofs: Sequence[datetime], i: int, *, window_days: int, gap_days: int) -> list[int]:
    """The cut-offs whose outcomes had ended ``gap_days`` before cut-off ``i``."""
    step = timedelta(days=window_days + gap_days)
    return [j for j in range(i) if as_ofs[j] + step <= as_ofs[i]]
