"""Labels of clusters and topics: the registry's file, and handing labels on to a new model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import TypeVar

import pandas as pd

from connector.config.models import Labels
from connector.models.handover import Labelled, relabel
from connector.models.labels import Registry, read_registry, write_registry
from connector.models.matching import LabelRules
from connector.pipeline.scoring.context import ScoringContext

M = TypeVar("M", bound=Labelled)


def rules_of(labels: Labels | None) -> LabelRules:
    """How labels pass to the next model."""
    return LabelRules() if labels is None else LabelRules(min_overlap=labels.min_overlap)


def registry_of(context: ScoringContext, name: str, labels: Labels | None) -> Registry:
    """The labels so far; none where the file says nothing of a registry, or it is not there yet.

    Raises:
        ConfigError: The file cannot be read; the message names its line.
    """
    if labels is None:
        return Registry(name)
    path = _path(context, labels)
    if (text := context.registries.get(path)) is not None:
        return read_registry(text, model=name, what=labels.registry)
    if not path.exists():
        return Registry(name)
    return read_registry(path.read_text(encoding="utf-8"), model=name, what=labels.registry)


def newest_registry(
    context: ScoringContext, name: str, labels: Labels | None, files: Mapping[Path, str]
) -> Registry:
    """The labels with those of a fit of this run, whose file is not written yet."""
    if labels is not None and (text := files.get(_path(context, labels))) is not None:
        return read_registry(text, model=name, what=labels.registry)
    return registry_of(context, name, labels)


def hand_over(
    context: ScoringContext,
    name: str,
    labels: Labels | None,
    fresh: M,
    before: M | None,
    frame: pd.DataFrame,
) -> tuple[M, dict[Path, str]]:
    """Give a new model the labels of the one before.

    Labels of the model before that its file has lost are put back first: otherwise their ids would
    soon mean other people.

    Args:
        context: The run's data.
        name: The model's name.
        labels: Where the registry lies; without one labels start anew with every fit.
        fresh: The new model.
        before: The model in use.
        frame: What both predict from.

    Returns:
        The labelled model, and the registry's file to be written when it is put to use.
    """
    written = registry_of(context, name, labels)
    registry = written
    if before is not None and labels is not None:
        day = before.card.as_of.astimezone(UTC).date()
        registry = written.with_lost(before.ids, before.names, day)
    # Without a registry, labels start anew with every fit.
    kept = None if labels is None else before
    held = context.held(name)
    rules = rules_of(labels)
    done = relabel(
        fresh,
        registry,
        # Somebody has looked at the review and takes the new labels as they are.
        rules=replace(rules, min_overlap=0.0) if name in context.accepted else rules,
        before=kept,
        frame=None if kept is None else frame,
        # Before the first applied run nobody holds a label: then the model before says who would.
        held=None if kept is None or held.empty else held,
    )
    if labels is None:
        return done.model, {}
    notes = list(done.model.card.notes)
    if lost := [one.id for one in registry.labels if written.label(one.id) is None]:
        notes.append(
            f"{labels.registry} lacked {', '.join(lost)}: put back from the model in use. Names"
            " that people gave are best brought back from version control."
        )
    if done.churn_elsewhere > 1 - rules.min_overlap and done.is_accepted:
        notes.append(f"Accepted after a review: {done.churn:.0%} of people change their label.")
    model = done.model.with_card(replace(done.model.card, notes=tuple(notes)))
    return model, {_path(context, labels): write_registry(done.registry)}


def _path(context: ScoringContext, labels: Labels) -> Path:
    return Path(context.config.resolve(labels.registry))
