"""Behavioural clusters: fitted on features, labelled by a registry that people edit."""

from __future__ import annotations

from collections.abc import Sequence

from connector.config.models import ClusterModel as Settings
from connector.features.phrases import phrase_of
from connector.models.card import ScoreColumn
from connector.models.clusters import ClusterModel, ClusterSpec, FeatureMeaning, fit
from connector.models.clusters.words import plain_name
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
        choose_by=settings.choose_by.weights,
        missing=context.missing,
        labels=rules_of(settings.labels),
    )
    frame = context.frame(features, where=context.condition(settings.eligible, f"{path}.eligible"))
    fresh = fit(
        frame,
        spec,
        as_of=context.as_of,
        rng=context.rng(name),
        meanings=_meanings(context, features),
        before=before,
    )
    return Fitted(*hand_over(context, name, settings.labels, fresh, before, frame))


def _meanings(context: ScoringContext, features: Sequence[str]) -> dict[str, FeatureMeaning]:
    """Words for the features: the file's own, or the catalogue's."""
    own = {one.name: one for one in context.config.features.custom}
    found = {}
    for feature in features:
        phrase, custom = phrase_of(feature), own.get(feature)
        plain = plain_name(feature)
        if custom is not None and (custom.high or custom.low):
            found[feature] = FeatureMeaning(
                custom.high or f"high {plain}", custom.low or f"low {plain}"
            )
        elif custom is None and phrase is not None:
            found[feature] = FeatureMeaning(phrase.high, phrase.low)
    return found


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
