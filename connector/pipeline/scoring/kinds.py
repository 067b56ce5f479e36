"""What differs between kinds of models: how one is fitted, and how it scores everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from connector.config.models import Model
from connector.models.card import ModelCard, ScoreColumn
from connector.models.store import StoredModel
from connector.pipeline.scoring.context import ScoringContext


def _as_it_is(
    _context: ScoringContext,
    _name: str,
    _settings: Any,  # noqa: ANN401 - each kind has settings of its own
    model: FittedModel,
) -> FittedModel:
    return model


class FittedModel(StoredModel, Protocol):
    """A model as the pipeline sees it."""

    @property
    def card(self) -> ModelCard:
        """Where it comes from and how good it is."""
        ...

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """What it says of a person."""
        ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """A new model, and the files that change when it is put to use.

    Attributes:
        model: The model; its gates may not hold.
        files: Path -> content, such as a registry of labels.
    """

    model: FittedModel
    files: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of model is run.

    Attributes:
        fit: Fits it from the run's data; the model before is given where one is stored.
        score: Makes the relation of that name: ``profile_id`` and the columns, names in front.
        columns: What it would say of a person, where no model can be used.
        refresh: The stored model with what people may have changed since, such as names.
    """

    fit: Callable[[ScoringContext, str, Any, Any], Fitted]
    score: Callable[[ScoringContext, str, Any, Any, str], None]
    columns: Callable[[Any], tuple[ScoreColumn, ...]]
    refresh: Callable[[ScoringContext, str, Any, Any], FittedModel] = _as_it_is


def kind_of(settings: Model) -> Kind:
    """The kind of a model of the file; imported here, for scikit-learn takes a second to load."""
    import importlib

    module = importlib.import_module(f"connector.pipeline.scoring.{_MODULES[settings.type]}")
    kind: Kind = module.KIND
    return kind


_MODULES: Mapping[str, str] = {
    "propensity": "propensity",
    "clv": "value",
    "cluster": "personas",
    "lda": "affinity",
    "association": "pairs",
    "uplift": "uplift",
}
"""Type in the file -> module of this package."""
