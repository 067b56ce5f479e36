"""Training data of an uplift model: people of past randomised arms, and what became of them.

A row is one person in one epoch of a campaign: what was known when the arm was drawn, the arm, the
chance that it was drawn with, and the outcome of a window that has closed. Whoever was in several
epochs has several rows; these always go the same way when people are split or drawn anew, for they
are no independent witnesses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.errors import InsufficientDataError, ModelError
from connector.models.propensity.metrics import Floats
from connector.models.uplift.spec import LEAST_DIFFERING, LEAST_PER_ARM, UpliftSpec

Codes = npt.NDArray[np.int64]

KEYS = ["profile_id", "epoch"]


@dataclass(frozen=True, slots=True)
class Trials:
    """Everybody of the two arms whose window has closed.

    Attributes:
        features: As of each person's assignment: index ``profile_id`` and ``epoch``; as
            :func:`connector.models.inputs.fit_inputs` reads them.
        outcome: Same rows: the metric of one person.
        treated: Same rows: 1 in the treatment arm, 0 in the control arm.
        chance: Same rows: the chance of treatment, given that it was one of the two arms, that the
            person was drawn with; strictly between 0 and 1.
        rules: Same rows: a column for each one-column rule that the model is held against.
    """

    features: pd.DataFrame
    outcome: pd.Series
    treated: pd.Series
    chance: pd.Series
    rules: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The same as arrays, in an order that does not depend on the input's.

    Attributes:
        features: Frame whose index is the person's number.
        outcome, treated, chance: One number a row.
        rules: Name -> one number a row, NaN for unknown.
        person: Number of the person, from 0, ascending with the id.
    """

    features: pd.DataFrame
    outcome: Floats
    treated: Floats
    chance: Floats
    rules: dict[str, Floats]
    person: Codes

    def __len__(self) -> int:
        return self.outcome.size

    @property
    def n_people(self) -> int:
        """Distinct people."""
        return int(self.person.max()) + 1

    @property
    def weight(self) -> Floats:
        """Of each row, so that both arms stand for one population; all 1 where chances are equal.

        Arms drawn with different shares, in different epochs or after a change of the file, hold
        different mixes of times. The inverse of the chance undoes that.
        """
        share = float(self.chance.mean())
        drawn = np.where(self.treated == 1, self.chance, 1 - self.chance)
        return np.where(self.treated == 1, share, 1 - share) / drawn


def checked(trials: Trials, spec: UpliftSpec) -> Rows:
    """The trials in order of their people, if a model can be fitted on them.

    Raises:
        ModelError: They contradict themselves.
        InsufficientDataError: One arm is missing or too small, or outcomes do not differ.
    """
    index = trials.features.index
    if list(index.names) != KEYS or not index.is_unique:
        raise ModelError(f"The trials of {spec.name!r} need one row for each person and epoch.")
    parts = (trials.outcome, trials.treated, trials.chance, trials.rules)
    if any(len(one) != len(index) or not one.index.isin(index).all() for one in parts):
        raise ModelError(f"Features and outcomes of {spec.name!r} are of different people.")
    order = index.sort_values()
    people = order.get_level_values(KEYS[0])
    person = np.unique(people, return_inverse=True)[1].astype(np.int64)
    rows = Rows(
        features=trials.features.reindex(order).set_axis(pd.Index(person), axis=0),
        outcome=trials.outcome.reindex(order).to_numpy(dtype=np.float64),
        treated=trials.treated.reindex(order).to_numpy(dtype=np.float64),
        chance=trials.chance.reindex(order).to_numpy(dtype=np.float64),
        rules={
            str(name): trials.rules[name].reindex(order).to_numpy(dtype=np.float64)
            for name in trials.rules.columns
        },
        person=person,
    )
    if not np.isin(rows.treated, (0.0, 1.0)).all() or not np.isfinite(rows.outcome).all():
        raise ModelError(f"An outcome of {spec.name!r} is not known, or an arm is neither 0 nor 1.")
    if not ((rows.chance > 0) & (rows.chance < 1)).all():
        raise ModelError(
            f"Somebody in the trials of {spec.name!r} could be in one arm only.",
            hint="Leave out people whose configuration gave an arm no share.",
        )
    _check_arms(rows, spec)
    return rows


def _check_arms(rows: Rows, spec: UpliftSpec) -> None:
    """Refuse arms that nothing can be learned from.

    Raises:
        InsufficientDataError: They are too small, or outcomes do not differ in one.
    """
    sizes = arm_sizes(rows)
    where = f"The campaign {spec.campaign!r} that {spec.name!r} learns from"
    wait = "Wait until more windows have closed, or learn from a larger campaign."
    if min(sizes) < LEAST_PER_ARM:
        raise InsufficientDataError(
            f"{where} has {sizes[0]:,} people in treatment and {sizes[1]:,} in control whose"
            f" windows have closed; each must be {LEAST_PER_ARM:,} or more.",
            hint="It takes two arms with a share each." if not min(sizes) else wait,
        )
    values, counts = np.unique(rows.outcome, return_counts=True)
    differs = rows.outcome != values[np.argmax(counts)]
    found = [int(differs[rows.treated == arm].sum()) for arm in (1, 0)]
    if min(found) < LEAST_DIFFERING:
        raise InsufficientDataError(
            f"{where} has an outcome ({spec.metric}) other than the commonest in {found[0]:,} cases"
            f" of treatment and {found[1]:,} of control; each must be {LEAST_DIFFERING} or more.",
            hint="Choose a metric with a longer window or a more frequent event, or wait.",
        )


def arm_sizes(rows: Rows) -> tuple[int, int]:
    """Distinct people in treatment and in control."""
    return (
        int(np.unique(rows.person[rows.treated == 1]).size),
        int(np.unique(rows.person[rows.treated == 0]).size),
    )
