"""Fitted models as JSON text: readable, diffable, and harmless to load, which a pickle is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from connector.errors import ModelError
from connector.models import rfm

FORMAT = 1
"""Version of the envelope around a stored model."""

_READERS: Mapping[str, Callable[[Mapping[str, object]], rfm.RfmModel]] = {
    rfm.KIND: rfm.RfmModel.from_dict
}


def dumps(model: rfm.RfmModel) -> str:
    """The model as JSON text, keys sorted, so that equal models give equal texts."""
    envelope = {"format": FORMAT, "version": model.version, "model": model.to_dict()}
    return json.dumps(envelope, sort_keys=True, ensure_ascii=False)


def loads(text: str) -> rfm.RfmModel:
    """Inverse of :func:`dumps`.

    Raises:
        ModelError: The text is damaged, of an unknown kind or format, or was changed after it was
            written.
    """
    try:
        envelope: Any = json.loads(text)
    except ValueError as problem:
        raise ModelError(
            "A stored model is not JSON.", hint="Run `liftline train`; it fits the model again."
        ) from problem
    data = envelope.get("model") if isinstance(envelope, dict) else None
    if not isinstance(data, dict) or envelope.get("format") != FORMAT:
        raise ModelError(
            "A stored model has an unknown format.",
            hint="Run `liftline train`; it fits the model again.",
        )
    reader = _READERS.get(str(data.get("kind")))
    if reader is None:
        raise ModelError(
            f"A stored model is of the unknown kind {data.get('kind')!r}.",
            hint=f"Known: {', '.join(_READERS)}.",
        )
    model = reader(data)
    if model.version != envelope.get("version"):
        raise ModelError(
            f"The stored model {model.name!r} was changed after it was written.",
            hint="Run `liftline train`; it fits the model again.",
        )
    return model
