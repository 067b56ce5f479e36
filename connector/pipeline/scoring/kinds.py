"""What differs between kinds of models: how one is fitted, and how it scores everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connector.config.models import Model
from connector.models.card import ModelCard, ScoreColumn
from connector.models.store import StoredModel
from connector.pipeline.scoring.context import ScoringContext


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
class Kind:
    """How one kind of model is run.

    Attributes:
        fit: Fits it from the run's data; the model before is given where one is stored.
        score: Makes the relation of that name: ``profile_id`` and the columns, names in front.
        columns: What it would say of a person, where no model can be used.
    """

    fit: Callable[[ScoringContext, str, Any, Any], FittedModel]
    score: Callable[[ScoringContext, str, Any, Any, str], None]
    columns: Callable[[Any], tuple[ScoreColumn, ...]]


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
}
"""Type in the file -> module of this package."""
