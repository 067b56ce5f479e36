"""Fit an uplift model: judge it on unseen people, beside one-column rules; then fit it on all."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from connector.models.card import Gate, ModelCard
from connector.models.inputs import Inputs, fit_inputs, omissions
from connector.models.propensity.metrics import Floats
from connector.models.propensity.model import Cuts
from connector.models.threads import one_thread
from connector.models.uplift.judging import Bounds, Judgement, judge
from connector.models.uplift.learners import Effect, Sample, fit_effect
from connector.models.uplift.model import UpliftModel
from connector.models.uplift.spec import KIND, LEAST_PER_ARM, UpliftSpec
from connector.models.uplift.trials import Codes, Rows, Trials, arm_sizes, checked

BY_CHANCE = "by_chance"
"""The rule that ranks nobody; every card has it."""


def fit(
    spec: UpliftSpec,
    trials: Trials,
    *,
    as_of: datetime,
    data_from: datetime | None = None,
    rng: np.random.Generator,
    notes: tuple[str, ...] = (),
) -> UpliftModel:
    """Fit one model.

    Args:
        spec: The settings.
        trials: People of past randomised arms, in any order.
        as_of: Now, aware: the window of everybody has closed by it.
        data_from: The first assignment.
        rng: The only source of chance.
        notes: What the card says besides.

    Returns:
        The model; whether it may be used says ``card.is_publishable``.

    Raises:
        InsufficientDataError: One arm is missing or too small, outcomes do not differ, or no
            feature tells people apart.
        ModelError: The trials contradict themselves.
    """
    rows = checked(trials, spec)
    seed = int(rng.integers(2**31))

    def trained(at: Codes) -> tuple[Inputs, Effect]:
        frame = rows.features.iloc[at]
        inputs = fit_inputs(frame, spec.missing)
        sample = Sample(
            inputs.matrix(frame),
            rows.outcome[at],
            rows.treated[at],
            rows.chance[at],
            rows.person[at],
            n_values=inputs.n_values,
        )
        return inputs, fit_effect(spec.learner, spec.algorithm, sample, seed=seed)

    def unseen_scores(seen: Codes, unseen: Codes) -> Floats:
        inputs, effect = trained(seen)
        return effect.predict(inputs.matrix(rows.features.iloc[unseen]))

    with one_thread():
        found = judge(
            rows,
            unseen_scores,
            folds=spec.folds,
            replicates=spec.replicates,
            confidence=spec.confidence,
            rng=rng,
        )
        inputs, effect = trained(np.arange(len(rows), dtype=np.int64))
    scores = effect.predict(inputs.matrix(rows.features))
    return UpliftModel(
        name=spec.name,
        campaign=spec.campaign,
        metric=spec.metric,
        unit=spec.unit,
        inputs=inputs,
        effect=effect,
        cuts=Cuts.fit(scores),
        card=ModelCard(
            name=spec.name,
            kind=KIND,
            algorithm=f"{spec.learner} of {spec.algorithm}",
            as_of=as_of.astimezone(UTC),
            n_people=rows.n_people,
            data_from=None if data_from is None else data_from.astimezone(UTC),
            features=inputs.features,
            metrics=_measures(rows, found),
            baselines={
                BY_CHANCE: {"qini": 0.0},
                **{name: {"qini": one.estimate} for name, one in found.rules.items()},
            },
            gates=gates(spec, rows, found),
            notes=(*_notes(spec, rows, found, inputs), *notes),
        ),
    )


def gates(spec: UpliftSpec, rows: Rows, found: Judgement) -> tuple[Gate, ...]:
    """Every gate, passed or not.

    Args:
        spec: What is asked.
        rows: What the model was fitted on.
        found: How it did on unseen people.
    """
    least = max(spec.publish_if.min_per_arm, LEAST_PER_ARM)
    sizes = arm_sizes(rows)
    above = max(spec.publish_if.qini_ci_low_above, 0.0)
    result = [
        Gate(
            "min_per_arm",
            f"{least:,} people in each arm",
            f"{sizes[0]:,} in treatment, {sizes[1]:,} in control",
            min(sizes) >= least,
        ),
        Gate(
            "qini_ci_low_above",
            f"a Qini interval ({spec.confidence:.0%}) above {above:g}",
            f"{found.qini}",
            found.qini.low > above,
        ),
    ]
    if best := found.best_rule:
        margin = found.margins[best]
        result.append(
            Gate(
                "beats",
                f"a Qini above that of {best} alone, {found.rules[best].estimate:.4g}, and the"
                " interval of the difference above 0",
                f"{found.qini.estimate:.4g}, a difference of {margin}",
                margin.low > 0,
            )
        )
    return tuple(result)


def _measures(rows: Rows, found: Judgement) -> dict[str, float]:
    treated, control = arm_sizes(rows)
    return {
        "qini": found.qini.estimate,
        "qini_low": found.qini.low,
        "qini_high": found.qini.high,
        "effect": found.effect.estimate,
        "effect_top_fifth": found.fifths[0].estimate,
        "effect_bottom_fifth": found.fifths[-1].estimate,
        "n_treated": float(treated),
        "n_control": float(control),
    }


def _notes(spec: UpliftSpec, rows: Rows, found: Judgement, inputs: Inputs) -> list[str]:
    """What a person should know, in whole sentences."""
    notes = [
        f"Learned from the arms of {spec.campaign}, {len(rows):,} rows of {rows.n_people:,} people"
        f" whose windows of {spec.metric} have closed; judged on parts of them that the fit had not"
        " seen, with intervals from drawing people anew.",
        f"Treatment brought {_said(found.effect, spec)} on the mean; {_said(found.fifths[0], spec)}"
        f" in the fifth that the model ranks highest, {_said(found.fifths[-1], spec)} in the"
        " lowest.",
    ]
    if len(np.unique(np.round(rows.chance, 9))) > 1:
        notes.append(
            "Arms were drawn with several shares; people are weighted by the inverse of their"
            " chance."
        )
    if not rows.rules:
        notes.append("No one-column rule was there to be held against.")
    return [*notes, *omissions(inputs)]


def _said(found: Bounds, spec: UpliftSpec) -> str:
    return f"{found} {spec.unit} per person"
