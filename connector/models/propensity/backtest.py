"""Compare the algorithms in the past, choose one, and fit it on everything.

The past is walked forwards. For each cut-off a scorer is fitted on the cut-offs before it (whose
outcomes had ended by then) and scores it unseen. Those unseen scores serve twice: the ones before a
tested cut-off calibrate the scorer that is tested there, and all of them calibrate the final one,
which is fitted on everything. So every calibration is on people of a later time than the fit, and
the final model goes through exactly what was tested, one step later.

The rule of choice: least logarithmic loss of the calibrated probability (a proper score: it rewards
order and size alike), averaged over the tested cut-offs without the latest one; a simpler algorithm
is taken when its loss is not worse by more than one standard error of the people's differences. The
latest cut-off is left out of the choice where there are two or more, so that the figures on the
card come from people whom neither fit nor calibration nor choice has seen.

References:
    Breiman, Friedman, Olshen and Stone (1984), section 3.4.3 (the rule of one standard error).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from connector.errors import InsufficientDataError
from connector.models.inputs import Inputs, fit_inputs
from connector.models.propensity.calibration import Calibration, fit_calibration
from connector.models.propensity.metrics import Floats, losses, mean_measures, measures
from connector.models.propensity.scorers import Scorer, fit_scorer
from connector.models.propensity.snapshots import LEAST_CUTOFFS, Snapshot, earlier
from connector.models.propensity.spec import ALGORITHMS, PropensitySpec


@dataclass(frozen=True)
class Fitted:
    """A scorer with the inputs that it was fitted on."""

    inputs: Inputs
    scorer: Scorer
    n_rows: int

    def score(self, features: pd.DataFrame) -> Floats:
        """Rounded log-odds of the people."""
        return self.scorer.score(self.inputs.matrix(features))


@dataclass(frozen=True)
class Tested:
    """One algorithm on one cut-off.

    Attributes:
        cutoff: Position of the cut-off.
        score: Unseen scores of its people.
        probability: The same, calibrated on earlier unseen scores.
        measures: How good they are.
    """

    cutoff: int
    score: Floats
    probability: Floats
    measures: dict[str, float]


@dataclass
class Backtest:
    """Walks one set of snapshots forwards.

    Attributes:
        spec: The model's settings.
        snapshots: Checked, oldest first.
        seed: Of everything random.
        tested: Positions of the cut-offs to test on.
    """

    spec: PropensitySpec
    snapshots: Sequence[Snapshot]
    seed: int
    tested: list[int] = field(init=False)
    _scores: dict[tuple[str, int], Floats] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        testable = [i for i in range(len(self.snapshots)) if self._calibrating(i)]
        if not testable:
            step = self.spec.window_days + self.spec.gap_days
            raise InsufficientDataError(
                f"The model {self.spec.name!r} has {len(self.snapshots)} cut-offs, of which no"
                f" {LEAST_CUTOFFS} lie {step} days apart: one to learn from, one to calibrate on,"
                " one to test on.",
                hint="Give earlier cut-offs, a shorter window or a smaller gap.",
            )
        self.tested = testable[-self.spec.folds :]

    def test(self, algorithm: str) -> list[Tested]:
        """The algorithm on every tested cut-off.

        Raises:
            InsufficientDataError: A cut-off lacks one of the outcomes.
        """
        result = []
        for i in self.tested:
            score, label = self._unseen(algorithm, i), self._label(i)
            probability = self._calibrate(algorithm, self._calibrating(i)).apply(score)
            result.append(Tested(i, score, probability, measures(label, score, probability)))
        return result

    def choose(self, candidates: dict[str, list[Tested]]) -> str:
        """The algorithm by the rule of this module."""
        folds = range(max(len(self.tested) - 1, 1))
        loss = {
            name: np.concatenate(
                [losses(self._label(found[k].cutoff), found[k].probability) for k in folds]
            )
            for name, found in candidates.items()
        }
        best = min(loss, key=lambda name: (float(loss[name].mean()), ALGORITHMS.index(name)))
        for name in sorted(loss, key=ALGORITHMS.index):
            difference = loss[name] - loss[best]
            error = float(difference.std()) / np.sqrt(difference.size)
            if name == best or float(difference.mean()) <= error:
                return name
        return best

    def final(self, algorithm: str) -> tuple[Fitted, Calibration]:
        """The scorer fitted on everything, calibrated on all unseen scores."""
        everything = list(range(len(self.snapshots)))
        calibrating = [i for i in everything if self._earlier(i)]
        return self._fit(algorithm, everything, at=len(everything)), self._calibrate(
            algorithm, calibrating
        )

    def mean(self, found: Sequence[Tested]) -> dict[str, float]:
        """Each measure averaged over the tested cut-offs."""
        return dict(mean_measures([one.measures for one in found]))

    def _earlier(self, i: int) -> list[int]:
        as_ofs = [one.as_of for one in self.snapshots]
        return earlier(as_ofs, i, window_days=self.spec.window_days, gap_days=self.spec.gap_days)

    def _calibrating(self, i: int) -> list[int]:
        """Cut-offs before ``i`` that were themselves scored unseen."""
        return [j for j in self._earlier(i) if self._earlier(j)]

    def _label(self, i: int) -> Floats:
        label = self.snapshots[i].label.to_numpy(dtype=np.float64)
        if not 0 < label.sum() < label.size:
            raise InsufficientDataError(
                f"At the cut-off {self.snapshots[i].as_of.date()} of {self.spec.name!r} everybody"
                " has the same outcome.",
                hint="Predict a longer window, or widen who is eligible.",
            )
        return label

    def _unseen(self, algorithm: str, i: int) -> Floats:
        """Scores of cut-off ``i`` by a scorer that was fitted on the cut-offs before it."""
        key = (algorithm, i)
        if key not in self._scores:
            fitted = self._fit(algorithm, self._earlier(i), at=i)
            self._scores[key] = fitted.score(self.snapshots[i].features)
        return self._scores[key]

    def _calibrate(self, algorithm: str, cutoffs: Sequence[int]) -> Calibration:
        score = np.concatenate([self._unseen(algorithm, j) for j in cutoffs])
        label = np.concatenate([self._label(j) for j in cutoffs])
        return fit_calibration(self.spec.calibrate, score, label)

    def _fit(self, algorithm: str, cutoffs: Sequence[int], *, at: int) -> Fitted:
        """Fit on some cut-offs; the random numbers depend on the algorithm and on ``at`` only."""
        rng = np.random.default_rng([self.seed, ALGORITHMS.index(algorithm), at])
        features = pd.concat([self.snapshots[j].features for j in cutoffs])
        label = np.concatenate([self._label(j) for j in cutoffs])
        if len(features) > self.spec.max_rows:
            keep = np.sort(rng.choice(len(features), self.spec.max_rows, replace=False))
            features, label = features.iloc[keep], label[keep]
        inputs = fit_inputs(features, self.spec.missing)
        scorer = fit_scorer(
            algorithm,
            inputs.matrix(features),
            label,
            n_values=inputs.n_values,
            seed=int(rng.integers(2**31)),
        )
        return Fitted(inputs, scorer, len(features))
