"""Behavioural clusters: fitted on features, labelled by a registry that people edit."""

from __future__ import annotations

from pathlib import Path

from connector.config.models import ClusterModel as Settings
from connector.config.models import Labels
from connector.models.card import ScoreColumn
from connector.models.clusters import ClusterModel, ClusterSpec, fit, relabel
from connector.models.labels import Registry, read_registry, write_registry
from connector.models.matching import LabelRules
from connector.pipeline.scoring.context import ScoringContext, load_frame
from connector.pipeline.scoring.kinds import Fitted, Kind


def _fit(
    context: ScoringContext, name: str, settings: Settings, before: ClusterModel | None
) -> Fitted:
    path = f"models.{name}"
    features = context.model_inputs(settings.features, f"{path}.features")
    rules = LabelRules() if settings.labels is None else _rules(settings.labels)
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
        labels=rules,
    )
    frame = context.frame(features, where=context.condition(settings.eligible, f"{path}.eligible"))
    fresh = fit(frame, spec, as_of=context.as_of, rng=context.rng(name), before=before)
    registry = registry_of(context, name, settings.labels)
    if before is not None and not registry.labels:
        before = None  # somebody deleted the file: start over
    labelled = relabel(
        fresh,
        registry,
        rules=rules,
        before=before,
        frame=None if before is None else frame,
        held=None if before is None else context.held(name),
    )
    files = {}
    if settings.labels is not None:
        files[registry_path(context, settings.labels)] = write_registry(labelled.registry)
    return Fitted(labelled.model, files)


def _rules(labels: Labels) -> LabelRules:
    return LabelRules(min_overlap=labels.min_overlap)


def registry_path(context: ScoringContext, labels: Labels) -> Path:
    """Where the registry of a model lies."""
    return Path(context.config.resolve(labels.registry))


def registry_of(context: ScoringContext, name: str, labels: Labels | None) -> Registry:
    """The labels so far.

    Raises:
        ConfigError: The file cannot be read; the message names its line.
    """
    if labels is None or not (path := registry_path(context, labels)).exists():
        return Registry(name)
    return read_registry(path.read_text(encoding="utf-8"), model=name, what=labels.registry)


def _refresh(
    context: ScoringContext, name: str, settings: Settings, model: ClusterModel
) -> ClusterModel:
    registry = registry_of(context, name, settings.labels)
    return model.named(registry) if registry.labels else model


def _score(
    context: ScoringContext, name: str, settings: Settings, model: ClusterModel, output: str
) -> None:
    where = context.condition(settings.eligible, f"models.{name}.eligible")
    features = model.scaler.features
    frame = context.frame(features, where=where)
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
