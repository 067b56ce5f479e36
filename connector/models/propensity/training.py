"""Fit a propensity model: compare in the past, choose, calibrate, judge, fit on everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import numpy as np
import pandas as pd

from connector.errors import InsufficientDataError, ModelError
from connector.models.card import ModelCard
from connector.models.inputs import omissions
from connector.models.inputs.values import Form
from connector.models.propensity.backtest import Backtest, Fitted, Tested
from connector.models.propensity.calibration import Calibration
from connector.models.propensity.curves import calibration_table, gain_curve
from connector.models.propensity.gates import baseline_measures, feature_aucs, gates
from connector.models.propensity.metrics import Floats
from connector.models.propensity.model import Cuts, Evaluation, PropensityModel
from connector.models.propensity.snapshots import Snapshot, checked
from connector.models.propensity.spec import (
    FEW_POSITIVES,
    KIND,
    LEAST_POSITIVES,
    PropensitySpec,
)
from connector.models.propensity.worth import WorthIt
from connector.models.reasons import Wording
from connector.numbers import several

NO_WORDINGS: Mapping[str, Wording] = MappingProxyType({})


def fit(
    spec: PropensitySpec,
    snapshots: Sequence[Snapshot],
    *,
    as_of: datetime,
    rng: np.random.Generator,
    wordings: Mapping[str, Wording] = NO_WORDINGS,
) -> PropensityModel:
    """Fit one model.

    Args:
        spec: The settings.
        snapshots: Past cut-offs with features, outcomes and baselines, in any order; see
            :func:`connector.models.propensity.snapshots.cut_offs` for which.
        as_of: Now, aware: the window of every cut-off has ended by it.
        rng: The only source of chance.
        wordings: Feature -> how it is put into words in the reasons.

    Returns:
        The model; whether it may be used says ``card.is_publishable``.

    Raises:
        InsufficientDataError: Too few cut-offs, people who did it, or features.
        ModelError: The snapshots contradict each other, or an outcome is not complete yet.
    """
    ordered = checked(snapshots, model=spec.name)
    now = as_of.astimezone(UTC)
    complete = ordered[-1].as_of + timedelta(days=spec.window_days)
    if complete > now:
        raise ModelError(
            f"The outcomes of the cut-off {ordered[-1].as_of.date()} of {spec.name!r} are complete"
            f" on {complete.date()} only.",
            hint=f"Give cut-offs at least {spec.window_days} days back.",
        )
    n_positive = _check_positives(spec, ordered)
    backtest = Backtest(spec, ordered, seed=int(rng.integers(2**63)))
    candidates = {name: backtest.test(name) for name in spec.algorithms}
    chosen = backtest.choose(candidates)
    fitted, calibration = backtest.final(chosen)
    latest = candidates[chosen][-1]
    judged = ordered[latest.cutoff]
    label = judged.label.to_numpy(dtype=np.float64)
    gains = gain_curve(label, latest.probability)
    worth = None if spec.profit is None else WorthIt.of(gains, spec.profit)
    card = _Card(spec, ordered, n_positive, backtest, candidates, chosen, worth).make(
        now, fitted, calibration
    )
    scores = fitted.score(ordered[-1].features)
    return PropensityModel(
        name=spec.name,
        outputs=spec.outputs,
        n_reasons=spec.n_reasons,
        wordings={n: w for n, w in wordings.items() if n in fitted.inputs.features},
        inputs=fitted.inputs,
        scorer=fitted.scorer,
        calibration=calibration,
        cuts=Cuts.fit(scores),
        evaluation=Evaluation(
            as_of=judged.as_of,
            gains=gains,
            calibration=calibration_table(label, latest.probability),
        ),
        card=card,
        worth=worth,
    )


def _check_positives(spec: PropensitySpec, snapshots: Sequence[Snapshot]) -> int:
    """Distinct people who did it at least once.

    Raises:
        InsufficientDataError: They, or those who did not, are too few for any model.
    """
    did = pd.concat([one.label for one in snapshots])
    n_positive = int(did.index[did == 1].nunique())
    n_negative = int(did.index[did == 0].nunique())
    if min(n_positive, n_negative) < LEAST_POSITIVES:
        raise InsufficientDataError(
            f"The model {spec.name!r} saw {n_positive} people who did it within {spec.window_days}"
            f" days and {n_negative} who did not; each must be {LEAST_POSITIVES} or more.",
            hint="Predict a longer window or something more frequent, or wait for more history.",
        )
    return n_positive


@dataclass(frozen=True)
class _Card:
    """Everything that the card tells, gathered from the backtest."""

    spec: PropensitySpec
    snapshots: Sequence[Snapshot]
    n_positive: int
    backtest: Backtest
    candidates: Mapping[str, list[Tested]]
    chosen: str
    worth: WorthIt | None

    @property
    def latest(self) -> Tested:
        """The chosen algorithm on the latest cut-off."""
        return self.candidates[self.chosen][-1]

    def make(self, as_of: datetime, fitted: Fitted, calibration: Calibration) -> ModelCard:
        """The card."""
        judged = self.snapshots[self.latest.cutoff]
        label = _label(judged)
        past = self.snapshots[: self.latest.cutoff]
        baselines = baseline_measures(
            judged.baselines,
            # Without columns of its own a past cut-off still tells the base rate.
            [(_baselines(one, judged), _label(one)) for one in past],
            label,
            probabilities=self.spec.probability_baselines,
        )
        alone = feature_aucs(fitted.inputs, judged.features, label)
        found = self.latest.measures
        people = pd.concat([one.label for one in self.snapshots]).index.nunique()
        return ModelCard(
            name=self.spec.name,
            kind=KIND,
            algorithm=self.chosen,
            as_of=as_of,
            n_people=int(people),
            data_from=self.snapshots[0].as_of,
            features=fitted.inputs.features,
            metrics=found
            | {
                "n_positive": float(self.n_positive),
                "n_tested": float(label.size),
                "n_tested_positive": float(label.sum()),
                "base_rate": float(label.mean()),
            },
            baselines=baselines,
            candidates={name: self.backtest.mean(tests) for name, tests in self.candidates.items()},
            gates=gates(
                self.spec.publish_if,
                alarm_at=self.spec.leakage_alarm_at,
                n_positive=self.n_positive,
                label=label,
                found=found,
                baselines=baselines,
                feature_aucs=alone,
            ),
            notes=tuple(self._notes(judged, fitted, calibration)),
            n_rows=fitted.n_rows,
        )

    def _notes(self, judged: Snapshot, fitted: Fitted, calibration: Calibration) -> list[str]:
        """What a person should know, in whole sentences."""
        spec, tests = self.spec, len(self.backtest.tested)
        notes = [
            f"Tested on what happened in the {spec.window_days} days after {judged.as_of.date()},"
            " which neither fit nor calibration had seen; then fitted again on all"
            f" {len(self.snapshots)} cut-offs, {fitted.n_rows:,} rows.",
        ]
        if len(self.candidates) > 1 and tests > 1:
            notes.append(
                f"Chosen on {several(tests - 1, 'earlier cut-off')}: the simplest algorithm whose"
                " logarithmic loss is within one standard error of the best."
            )
        elif len(self.candidates) > 1:
            notes.append(
                "There was one cut-off to test on, so it also chose the algorithm: the figures"
                " flatter a little."
            )
        if tests < spec.folds:
            notes.append(f"{spec.folds} cut-offs to test on are asked for; there were {tests}.")
        if self.n_positive < FEW_POSITIVES:
            notes.append(
                f"Only {self.n_positive} people did it: below {FEW_POSITIVES} the figures wobble"
                " from one fit to the next."
            )
        if spec.calibrate != calibration.method:
            notes.append(
                f"Calibrated by {calibration.method}, since there are too few outcomes for"
                f" {spec.calibrate}."
            )
        notes += omissions(fitted.inputs)
        reference = calibration.apply(fitted.scorer.score(fitted.inputs.reference[None, :]))[0]
        texts = any(form is Form.WORD for form in fitted.inputs.forms.values())
        words = " or its commonest word" if texts else ""
        notes.append(
            f"Reasons compare with the typical person, every feature at its median{words}, whose"
            f" probability is {reference:.1%}."
        )
        if self.worth is not None:
            notes.append(self.worth.note(judged.as_of.date()))
        return notes


def _label(snapshot: Snapshot) -> Floats:
    return snapshot.label.to_numpy(dtype=np.float64)


def _baselines(one: Snapshot, judged: Snapshot) -> pd.DataFrame:
    """Columns of the naive rules at an earlier cut-off.

    Raises:
        ModelError: It lacks one that the latest cut-off has.
    """
    wanted = [] if judged.baselines is None else list(judged.baselines.columns)
    given = pd.DataFrame(index=one.label.index) if one.baselines is None else one.baselines
    missing = [str(name) for name in wanted if name not in given.columns]
    if missing:
        raise ModelError(
            f"The cut-off {one.as_of.date()} lacks the baselines {', '.join(missing)}.",
            hint="Give every baseline at every cut-off.",
        )
    return given
