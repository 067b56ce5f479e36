"""Behavioural clusters: fitted on features, labelled by a registry that people edit."""

from __future__ import annotations

from connector.config.models import ClusterModel as Settings
from connector.models.card import ScoreColumn
from connector.models.clusters import ClusterModel, ClusterSpec, fit
from connector.pipeline.scoring.context import ScoringContext, load_frame
from connector.pipeline.scoring.kinds import Fitted, Kind
from connector.pipeline.scoring.registers import hand_over, registry_of, rules_of


def _fit(
    context: ScoringContext, name: str, settings: Settings, before: ClusterModel | None
) -> Fitted:
    path = f"models.{name}"
    features = context.model_inputs(settings.features, f"{path}.features")
    spec = ClusterSpec(
        name=name,
        features=features,
        algorithms=settings.algorithms,
        k=settings.k,
        choose_by={
            "silhouette": settings.choose_by.silhouette,
            "bootstrap_ari": settings.choose_by.bootstrap_ari,
            "min_segment_share": settings.choose_by.min_segment_share,
        },
        missing=context.missing,
        labels=rules_of(settings.labels),
    )
    frame = context.frame(features, where=context.condition(settings.eligible, f"{path}.eligible"))
    fresh = fit(frame, spec, as_of=context.as_of, rng=context.rng(name), before=before)
    return Fitted(*hand_over(context, name, settings.labels, fresh, before, frame))


def _refresh(
    context: ScoringContext, name: str, settings: Settings, model: ClusterModel
) -> ClusterModel:
    registry = registry_of(context, name, settings.labels)
    return model.named(registry) if registry.labels else model


def _score(
    context: ScoringContext, name: str, settings: Settings, model: ClusterModel, output: str
) -> None:
    where = context.condition(settings.eligible, f"models.{name}.eligible")
    frame = context.frame(model.scaler.features, where=where)
    held = context.held(name)
    scored = model.predict(frame, previous=held if len(held) else None)
    load_frame(context.warehouse, output, scored.add_prefix(f"{name}."))


def _columns(_settings: Settings) -> tuple[ScoreColumn, ...]:
    return (
        ScoreColumn("cluster", "VARCHAR", "label id", "Stable id of the cluster."),
        ScoreColumn("name", "VARCHAR", "label", "What the cluster is called."),
        ScoreColumn("distance", "DOUBLE", "standard deviations", "Distance from the centre."),
        ScoreColumn("is_outlier", "BOOLEAN", "yes or no", "Whether the person is in no crowd."),
    )


KIND = Kind(fit=_fit, score=_score, columns=_columns, refresh=_refresh)
