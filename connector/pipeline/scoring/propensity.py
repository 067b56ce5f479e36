"""Propensity: past instants are computed like the present one, and models compared on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd

from connector.config.models import PropensityModel as Settings
from connector.errors import InsufficientDataError
from connector.features.pack import TALLY, VECTOR, FeatureMeta
from connector.models.card import ScoreColumn
from connector.models.propensity import (
    PropensityModel,
    PropensitySpec,
    PublishIf,
    Snapshot,
    cut_offs,
    fit,
)
from connector.models.propensity.external import ExternalModel
from connector.models.propensity.goals import EventTable, Goal, label_sql
from connector.models.propensity.model import COLUMNS
from connector.models.propensity.worth import COLUMN as WORTH_IT
from connector.models.reasons import Wording
from connector.pipeline.scoring import btyd, external
from connector.pipeline.scoring.btyd import BTYD
from connector.pipeline.scoring.context import ScoringContext, load_frame
from connector.pipeline.scoring.kinds import Fitted, Kind
from connector.pipeline.scoring.reading import number_frame
from connector.warehouse.dialect import ExpressionError
from connector.warehouse.render import literal, quote

RFM_SCORE = "rfm_score"
"""Naive rule: the sum of the three RFM scores as of the cut-off."""

SAME_AS = {"last_order_recency": "recency_days"}
"""Names that the field uses for naive rules -> the feature that they are."""

WARM_UP = timedelta(days=90)
"""History that a person's features need before the first cut-off says anything."""

EVENTS: Mapping[str, tuple[str, str, str]] = {
    "orders": ("clean_orders", "ordered_at", "NOT e.is_return"),
    "order_items": ("clean_items", "ordered_at", "NOT e.is_return"),
    "events": ("clean_events", "occurred_at", ""),
    "tickets": ("clean_tickets", "opened_at", ""),
    "social": ("clean_social", "occurred_at", ""),
    "loyalty": ("clean_loyalty", "occurred_at", ""),
}
"""Logical table -> relation, its time, and which of its rows count."""


def _fit(
    context: ScoringContext, name: str, settings: Settings, _before: PropensityModel | None
) -> Fitted:
    spec = _spec(context, name, settings)
    snapshots = _snapshots(context, name, settings, spec)
    if settings.external is not None:
        return Fitted(external.judged(context, name, settings, snapshots))
    model = fit(
        spec,
        snapshots,
        as_of=context.as_of,
        rng=context.rng(name),
        wordings=_wordings(context),
    )
    return Fitted(model)


def _snapshots(
    context: ScoringContext, name: str, settings: Settings, spec: PropensitySpec
) -> list[Snapshot]:
    """Past cut-offs: what was known then, and what came after."""
    goal, events = _goal(settings), _events(context, name, settings)
    given = {RFM_SCORE, *((BTYD,) if btyd.foretells(settings) else ())}
    baselines = [b for b in settings.publish_if.beats if b not in given]
    columns = [SAME_AS.get(b, b) for b in baselines]
    known = context.model_rules(columns, f"models.{name}.publish_if.beats") if columns else ()
    snapshots: list[Snapshot] = []
    rivals: list[pd.Series | None] = []
    for cutoff in cut_offs(
        context.as_of,
        window_days=spec.window_days,
        gap_days=spec.gap_days,
        folds=spec.folds,
        earliest=_earliest(context, name),
    ):
        context.progress(f"training {name} as of {cutoff:%Y-%m-%d}")
        relation = context.features_at(cutoff)
        label = _labels(context, name, goal, events, relation, cutoff)
        inputs = context.model_inputs(settings.features, f"models.{name}.features")
        frame = context.frame(inputs, relation=relation).reindex(label.index)
        rules = context.frame(known, relation=relation).reindex(label.index)
        rules = rules[columns].set_axis(baselines, axis=1)
        rules[RFM_SCORE] = _rfm_scores(context, relation).reindex(label.index)
        if BTYD in given:
            rivals.append(btyd.probabilities(context, settings, cutoff, label.index))
        snapshots.append(Snapshot(cutoff, frame, label, rules))
    return _beside(snapshots, rivals)


def _beside(snapshots: list[Snapshot], rivals: list[pd.Series | None]) -> list[Snapshot]:
    """The snapshots with the purchase model's probability, where it is known at all of them."""
    known = [one for one in rivals if one is not None]
    if len(known) < len(snapshots):
        return snapshots
    return [
        replace(one, baselines=pd.DataFrame(one.baselines).assign(**{BTYD: rival}))
        for one, rival in zip(snapshots, known, strict=True)
    ]


def _spec(context: ScoringContext, name: str, settings: Settings) -> PropensitySpec:
    gates = settings.publish_if
    return PropensitySpec(
        name=name,
        window_days=settings.predict_window.days,
        algorithms=settings.algorithms,
        folds=settings.validate_.folds,
        gap_days=0 if settings.validate_.gap is None else settings.validate_.gap.days,
        calibrate=settings.calibrate,
        publish_if=PublishIf(
            positives_at_least=gates.positives_at_least,
            auc_at_least=gates.auc_at_least,
            beats=gates.beats,
            ece_at_most=gates.ece_at_most,
        ),
        outputs=settings.outputs,
        leakage_alarm_at=settings.leakage_alarm_at,
        missing=context.missing,
        probability_baselines=(BTYD,),
        profit=external.profit_of(settings),
    )


def _goal(settings: Settings) -> Goal:
    predict = settings.predict
    absent = predict.none_within is not None
    return Goal(
        window_days=settings.predict_window.days,
        at_least=None if absent else predict.at_least or 1,
        none_within_days=settings.predict_window.days if absent else None,
        where=predict.where or "",
        eligible=settings.eligible or "",
    )


def _events(context: ScoringContext, name: str, settings: Settings) -> EventTable:
    place = EVENTS.get(settings.predict.event)
    columns = context.warehouse.columns(place[0]) if place else {}
    if place is None or not columns:
        raise context.config.config_error(
            f"models.{name}.predict.event",
            f"rows of {settings.predict.event} have no person and no time of their own",
            f"Predict one of {', '.join(EVENTS)}.",
        )
    return EventTable(place[0], place[1], columns, only=place[2])


def _labels(
    context: ScoringContext,
    name: str,
    goal: Goal,
    events: EventTable,
    relation: str,
    cutoff: datetime,
) -> pd.Series:
    """Outcomes of the people who were known at the cut-off.

    Whoever came later is in ``profiles`` today. Without history at the cut-off, and with an order
    soon after it, they would teach a model that strangers buy.
    """
    try:
        sql = label_sql(
            goal,
            events,
            as_of=cutoff,
            feature_columns=context.warehouse.columns("features"),
            what=f"models.{name}",
            features=quote(relation),
        )
    except ExpressionError as problem:
        key = "predict.where" if ": where" in problem.what else "eligible"
        raise context.config.config_error(
            f"models.{name}.{key}", problem.message, problem.hint
        ) from problem
    known = (
        f"SELECT f.profile_id AS profile_id FROM {quote(relation)} AS f"
        " JOIN profiles AS p ON p.profile_id = f.profile_id"
        f" WHERE f.lifetime_orders > 0 OR p.created_at < {literal(cutoff)}"
    )
    context.warehouse.create_table_as(
        "training_labels",
        f"SELECT l.profile_id AS profile_id, l.label AS label FROM ({sql}) AS l"
        f" JOIN ({known}) AS k ON k.profile_id = l.profile_id",
    )
    return number_frame(context.warehouse, "training_labels", ["label"])["label"]


def _earliest(context: ScoringContext, name: str) -> datetime:
    ((first,),) = context.warehouse.rows(
        "SELECT min(o.ordered_at) AS first FROM clean_orders AS o"
        f" WHERE o.ordered_at < {literal(context.as_of)}"
    )
    if first is None:
        raise InsufficientDataError(
            f"The model {name} has no orders to learn from.", hint="Check tables.orders."
        )
    began: datetime = first.replace(tzinfo=UTC)
    return began + WARM_UP


def _rfm_scores(context: ScoringContext, relation: str) -> pd.Series:
    """Sum of the scores by the cut points of today's model; 0 for people without."""
    r, f, m = (quote(column) for column in context.rfm.columns[:3])
    context.warehouse.create_table_as(
        "training_rfm",
        f"SELECT s.profile_id AS profile_id, coalesce(s.{r} + s.{f} + s.{m}, 0) AS rfm_score"
        f" FROM ({context.rfm.predict_sql(quote(relation))}) AS s",
    )
    return number_frame(context.warehouse, "training_rfm", [RFM_SCORE])[RFM_SCORE]


def _wordings(context: ScoringContext) -> dict[str, Wording]:
    return {
        # What stands behind a semicolon tells when there is no value: not of this person.
        name: Wording.plain(meta.meaning.partition(";")[0], "" if _is_plain(meta) else meta.unit)
        for name, meta in context.features.items()
    }


def _is_plain(meta: FeatureMeta) -> bool:
    """Whether a value stands for itself: money has its sign elsewhere, a word has no unit."""
    return meta.unit in ("currency", VECTOR, TALLY) or meta.type.upper().startswith("VARCHAR")


def _score(
    context: ScoringContext,
    name: str,
    settings: Settings,
    model: PropensityModel | ExternalModel,
    output: str,
) -> None:
    if isinstance(model, ExternalModel):
        external.score(context, name, settings, model, output)
        return
    where = context.condition(settings.eligible, f"models.{name}.eligible")
    frame = context.frame(model.inputs.features, where=where)
    load_frame(context.warehouse, output, model.predict(frame).add_prefix(f"{name}."))


def _columns(settings: Settings) -> tuple[ScoreColumn, ...]:
    outputs = settings.outputs if settings.external is None else ("probability", "percentile")
    columns = tuple(column for name, column in COLUMNS.items() if name in outputs)
    return columns if settings.profit is None else (*columns, WORTH_IT)


KIND = Kind(fit=_fit, score=_score, columns=_columns)
