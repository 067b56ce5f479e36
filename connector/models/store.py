"""Fitted models as JSON text: readable, diffable, and harmless to load, which a pickle is not.

The envelope holds a digest of the settings that the model was fitted with, so that a changed
configuration is noticed, and the model's version, so that a changed text is.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connector.errors import ModelError

FORMAT = 1
"""Version of the envelope around a stored model."""

REFIT = "Run `liftline train`; it fits the model again."

_CLASSES: Mapping[str, tuple[str, str]] = {
    "rfm": ("connector.models.rfm", "RfmModel"),
    "propensity": ("connector.models.propensity", "PropensityModel"),
    "external_propensity": ("connector.models.propensity.external", "ExternalModel"),
    "clv_scores": ("connector.models.clv.scores", "ValueScores"),
    "cluster": ("connector.models.clusters", "ClusterModel"),
    "lda": ("connector.models.affinity", "AffinityModel"),
    "uplift": ("connector.models.uplift", "UpliftModel"),
    "next_products": ("connector.models.pairs", "NextModel"),
}
"""Kind -> where its class is; imported when such a model is read, for some imports are slow."""


class StoredModel(Protocol):
    """What every fitted model offers to be kept."""

    @property
    def kind(self) -> str:
        """Which class reads it."""
        ...

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, ``kind`` among them."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A model that was read back.

    Attributes:
        model: The model.
        settings: Digest of the settings that it was fitted with; empty where none was written.
    """

    model: Any
    settings: str


def dumps(model: StoredModel, *, settings: str = "") -> str:
    """The model as JSON text, keys sorted, so that equal models give equal texts."""
    envelope = {
        "format": FORMAT,
        "version": model.version,
        "settings": settings,
        "model": model.to_dict(),
    }
    return json.dumps(envelope, sort_keys=True, ensure_ascii=False)


def loads(text: str) -> Any:  # noqa: ANN401 - the class depends on the text
    """The model of :func:`dumps`.

    Raises:
        ModelError: As :func:`read`.
    """
    return read(text).model


def read(text: str) -> Stored:
    """Inverse of :func:`dumps`.

    Raises:
        ModelError: The text is damaged, of an unknown kind or format, or was changed after it was
            written.
    """
    try:
        envelope: Any = json.loads(text)
    except ValueError as problem:
        raise ModelError("A stored model is not JSON.", hint=REFIT) from problem
    data = envelope.get("model") if isinstance(envelope, dict) else None
    if not isinstance(data, dict) or envelope.get("format") != FORMAT:
        raise ModelError("A stored model has an unknown format.", hint=REFIT)
    place = _CLASSES.get(str(data.get("kind")))
    if place is None:
        raise ModelError(
            f"A stored model is of the unknown kind {data.get('kind')!r}.",
            hint=f"Known: {', '.join(_CLASSES)}.",
        )
    model = getattr(importlib.import_module(place[0]), place[1]).from_dict(data)
    if model.version != envelope.get("version"):
        name = data.get("name") or data.get("card", {}).get("name")
        raise ModelError(f"The stored model {name!r} was changed after it was written.", hint=REFIT)
    return Stored(model, str(envelope.get("settings", "")))
