"""Product affinity: topics over what people buy, labelled by a registry that people edit."""

from __future__ import annotations

from connector.config.models import AffinityModel as Settings
from connector.models.affinity import AffinityModel, AffinitySpec, fit
from connector.models.card import ScoreColumn
from connector.pipeline.scoring.context import ScoringContext, load_frame
from connector.pipeline.scoring.kinds import Fitted, Kind
from connector.pipeline.scoring.lines import order_lines
from connector.pipeline.scoring.registers import hand_over, registry_of, rules_of


def _fit(
    context: ScoringContext, name: str, settings: Settings, before: AffinityModel | None
) -> Fitted:
    lines = order_lines(context, settings.level)
    spec = AffinitySpec(
        name=name,
        topics=settings.topics,
        min_baskets=settings.min_baskets,
        labels=rules_of(settings.labels),
    )
    fresh = fit(lines, spec, as_of=context.as_of, rng=context.rng(name), before=before)
    return Fitted(*hand_over(context, name, settings.labels, fresh, before, lines))


def _refresh(
    context: ScoringContext, name: str, settings: Settings, model: AffinityModel
) -> AffinityModel:
    registry = registry_of(context, name, settings.labels)
    return model.named(registry) if registry.labels else model


def _score(
    context: ScoringContext, name: str, settings: Settings, model: AffinityModel, output: str
) -> None:
    held = context.held(name)
    scored = model.predict(
        order_lines(context, settings.level), previous=held if len(held) else None
    )
    load_frame(context.warehouse, output, scored.add_prefix(f"{name}."))


def _columns(_settings: Settings) -> tuple[ScoreColumn, ...]:
    return (
        ScoreColumn("top_id", "VARCHAR", "label id", "Stable id of the first topic."),
        ScoreColumn("top_name", "VARCHAR", "label", "What the first topic is called."),
        ScoreColumn("top_share", "DOUBLE", "share (0-1)", "Leaning to the first topic."),
    )


KIND = Kind(fit=_fit, score=_score, columns=_columns, refresh=_refresh)
