"""Which model is used: the stored one while it is good, or a new one that passes its gates.

A model that may not be published leaves the one before in its place; where there is none, its
columns hold nothing and everybody is told why. So a bad night's data costs freshness, never sense.
A fit that fails by an error that nobody foresaw is treated alike, and the others go on: the place
of the error is told, and the log at -v holds the calls that led there.

Scoring is another matter. Without scores a segment empties and its people are taken off their
lists; so where a model cannot score, because its source lacks what it reads, the run is held, and
an error that nobody foresaw stops it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connector.config import Config
from connector.config.models import Model
from connector.domain import Finding, Level
from connector.errors import InsufficientDataError, LiftlineError, ModelError
from connector.features.build import FeatureMeta
from connector.log import place, trace
from connector.models import store
from connector.models.card import ModelCard, ScoreColumn
from connector.pipeline import specs
from connector.pipeline.scoring.context import ScoringContext
from connector.pipeline.scoring.kinds import FittedModel, Kind, kind_of
from connector.report import model_words
from connector.state.database import parse_utc
from connector.state.journal import Journal
from connector.warehouse.render import quote

logger = logging.getLogger(__name__)

TRY_AGAIN = timedelta(days=7)
"""How long a model that failed its gates is left alone, when it is fitted with training only."""

REFUSED = ":refused"
"""After a model's name: its last version that was not published, kept for its card alone."""

ORDER = ("lda", "association", "cluster", "clv", "propensity", "uplift")
"""Kinds in the order that they run in: later ones may read the scores of earlier ones."""


@dataclass(slots=True)
class Scores:
    """What the models of the file have made.

    Attributes:
        relations: To be joined with the features, one row a profile each.
        meanings: Of every score column, by its full name.
        domains: Label column -> the labels that it may hold.
        findings: What a person should know.
        cards: Model -> card of the one in use.
        models: Model -> the one in use itself.
        versions: Model -> version in the state; None for one that was fitted just now.
        fresh: Documents to be stored, by name.
        files: Path -> content to be written with them.
    """

    relations: list[str] = field(default_factory=list)
    meanings: dict[str, FeatureMeta] = field(default_factory=dict)
    domains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    cards: dict[str, ModelCard] = field(default_factory=dict)
    models: dict[str, FittedModel] = field(default_factory=dict)
    versions: dict[str, int | None] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)
    files: dict[Path, str] = field(default_factory=dict)


def score_models(
    context: ScoringContext,
    journal: Journal,
    *,
    retrain: bool = False,
    given: Mapping[str, str] | None = None,
) -> Scores:
    """Fit what is due, choose what is used, and score everybody.

    Args:
        context: The run's data.
        journal: Read for stored models; nothing is written.
        retrain: Fit every model anew.
        given: Documents of the models to use; then nothing is fitted or looked up.

    Raises:
        ConfigError: A model names a feature that does not exist.
    """
    scores = Scores()
    for name, settings in _in_order(context):
        context.progress(f"scoring {name}")
        kind = kind_of(settings)
        if given is not None:
            model = store.loads(given[name]) if name in given else None
        else:
            model = _chosen(context, journal, name, settings, kind, scores, retrain=retrain)
        relation = f"{name}_scores"
        columns = kind.columns(settings)
        if model is not None:
            if name not in scores.fresh:
                model = kind.refresh(context, name, settings, model)
            try:
                kind.score(context, name, settings, model, relation)
            except InsufficientDataError as problem:
                message = f"Nobody can be scored: {problem.message}"
                scores.findings.append(
                    Finding(Level.ERROR, f"models.{name}", message, problem.hint)
                )
                model = None
            else:
                columns = model.columns
                scores.cards[name] = model.card
                scores.models[name] = model
        if model is None:
            _nothing(context, name, columns, relation)
        scores.relations.append(relation)
        for column in columns:
            full = f"{name}.{column.name}"
            scores.meanings[full] = FeatureMeta(full, column.type, column.unit, column.meaning)
            if column.labels:
                scores.domains[full] = column.labels
    return scores


def _in_order(context: ScoringContext) -> Iterator[tuple[str, Model]]:
    named = list(context.config.models.named())
    yield from sorted(named, key=lambda one: ORDER.index(one[1].type))


def _chosen(
    context: ScoringContext,
    journal: Journal,
    name: str,
    settings: Model,
    kind: Kind,
    scores: Scores,
    *,
    retrain: bool,
) -> FittedModel | None:
    digest = settings_digest(context.config, settings)
    row = journal.model(name)
    before, stored_digest = _read(row, name, scores)
    attempt = journal.model(name + REFUSED)
    due = _due(settings, digest, row, stored_digest, attempt, as_of=context.as_of)
    if before is not None and row is not None and before.card.rule:
        # A rule gives way as soon as there is enough to go by.
        due = due or context.as_of - parse_utc(row[2]) >= TRY_AGAIN
    if retrain or due:
        fitted = _fitted(context, name, settings, kind, before, digest, scores)
        if fitted is not None:
            scores.versions[name] = None
            context.documents[name] = scores.fresh[name]
            return fitted
    elif attempt is not None and before is None:
        scores.findings.append(_still_refused(name, json.loads(attempt[1])))
    if before is not None and row is not None:
        scores.versions[name] = row[0]
        context.documents[name] = row[1]
    return before


def _read(
    row: tuple[int, str, str] | None, name: str, scores: Scores
) -> tuple[FittedModel | None, str]:
    if row is None:
        return None, ""
    try:
        stored = store.read(row[1])
    except ModelError as problem:
        scores.findings.append(
            Finding(Level.WARNING, f"models.{name}", problem.message, problem.hint)
        )
        return None, ""
    return stored.model, stored.settings


def _fitted(
    context: ScoringContext,
    name: str,
    settings: Model,
    kind: Kind,
    before: FittedModel | None,
    digest: str,
    scores: Scores,
) -> FittedModel | None:
    """A new model, or None and the reason where it may not be used."""
    left = "The model before stays in use." if before else "Its columns hold nothing meanwhile."
    try:
        fitted = kind.fit(context, name, settings, before)
    except ModelError as problem:
        _unfitted(name, digest, scores, problem.message, left, problem.hint)
        return None
    except LiftlineError:
        raise
    except Exception as problem:  # noqa: BLE001 - a library's fit may raise anything on odd data
        logger.warning("models.%s could not be fitted: %s", name, place(problem))
        logger.info("the calls that led there:\n%s", trace(problem))
        message = f"The fit failed ({place(problem)})."
        hint = "Report it as a bug, with this line; `liftline -v check` tells more."
        _unfitted(name, digest, scores, message, left, hint)
        return None
    model = fitted.model
    failed = [gate for gate in model.card.gates if not gate.passed]
    if failed:
        reasons = [model_words.gate(g.name, g.found, g.required) for g in failed]
        scores.findings.append(
            Finding(
                Level.WARNING,
                f"models.{name}",
                f"The new model is not published: {'; '.join(reasons)}. {left}",
                _remedy({gate.name for gate in failed}),
            )
        )
        scores.fresh[name + REFUSED] = json.dumps(
            {"settings": digest, "reasons": reasons, "card": model.card.to_dict()}
        )
        return None
    for note in model.card.notes:
        level = Level.WARNING if note == model.card.rule else Level.NOTE
        scores.findings.append(Finding(level, f"models.{name}", note))
    scores.fresh[name] = store.dumps(model, settings=digest)
    scores.files.update(fitted.files)
    return model


def _unfitted(name: str, digest: str, scores: Scores, message: str, left: str, hint: str) -> None:
    """Tell why there is no new model."""
    scores.findings.append(Finding(Level.WARNING, f"models.{name}", f"{message} {left}", hint))
    refused = {"settings": digest, "reasons": [message]}
    scores.fresh[name + REFUSED] = json.dumps(refused)


def _remedy(failed: set[str]) -> str:
    if failed & {"leakage_alarm", "feature_leakage_alarm"}:
        return (
            "Look whether an input is written after the outcome; where so good a model is to be"
            " expected, raise leakage_alarm_at."
        )
    return "More history, other features, or gates that fit the case."


def _still_refused(name: str, attempt: Mapping[str, Any]) -> Finding:
    return Finding(
        Level.WARNING,
        f"models.{name}",
        f"No model is published: {'; '.join(attempt['reasons']).rstrip('.')}. Its columns hold"
        " nothing.",
        "It is tried again with `liftline train`, when its settings change, and weekly.",
    )


def _due(
    settings: Model,
    digest: str,
    row: tuple[int, str, str] | None,
    stored_digest: str,
    attempt: tuple[int, str, str] | None,
    *,
    as_of: datetime,
) -> bool:
    """Whether a fit is due: never fitted, other settings, too old; a refused one rests a while."""
    if settings.refit == "every_run":
        return True
    wait = settings.refit if isinstance(settings.refit, timedelta) else None
    if attempt is not None and json.loads(attempt[1])["settings"] == digest:
        rested = as_of - parse_utc(attempt[2]) >= (wait or TRY_AGAIN)
        newer = row is None or parse_utc(attempt[2]) > parse_utc(row[2])
        if newer:
            return rested and (row is None or stored_digest != digest or wait is not None)
    if row is None or stored_digest != digest:
        return True
    return wait is not None and as_of - parse_utc(row[2]) >= wait


def settings_digest(config: Config, settings: Model) -> str:
    """Of everything that a fit depends on in the file."""
    plain = settings.model_dump(mode="json", exclude={"refit"})
    plain["missing"] = config.quality.missing.model_dump(mode="json")
    if getattr(settings, "value", None) == "margin":
        # Somebody who maps the costs that were missed need not wait for the next training.
        plain["margin_of"] = specs.margin_of(config)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def _nothing(
    context: ScoringContext, name: str, columns: tuple[ScoreColumn, ...], relation: str
) -> None:
    """A relation whose scores are all unknown."""
    empty = ", ".join(
        f"CAST(NULL AS {column.type}) AS {quote(f'{name}.{column.name}')}" for column in columns
    )
    context.warehouse.create_table_as(
        relation, f"SELECT profile_id{', ' if empty else ''}{empty} FROM features"
    )
