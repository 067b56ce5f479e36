"""A retrained model takes over the labels of the one before it, or is not used.

The same for clusters and topics. Their numbers mean nothing across refits; people do. So labels
pass by the people in them (:mod:`connector.models.matching`), people on a border stay where they
were (hysteresis), and what is left is published as label churn. Above the set churn the old model
stays in use and a person has to look: a campaign must not change its audience because an optimiser
found another optimum. Groups that really came apart or grew together are told as such and gated
apart: their people change label because they changed, and must not keep the news from coming out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.models.card import Gate, ModelCard
from connector.models.labels import Registry, settle
from connector.models.matching import (
    Changes,
    Event,
    Fate,
    LabelRules,
    Matching,
    contingency,
    match,
)


class Labelled(Protocol):
    """A model that puts each person into one of several labelled groups."""

    ID_PREFIX: ClassVar[str]
    """First letters of the ids of its labels."""
    LABEL_COLUMN: ClassVar[str]
    """The output column with the id of a person's label."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Stable id of each group."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """What each group is called."""
        ...

    @property
    def contrasts(self) -> tuple[tuple[str, ...], ...]:
        """What sets each group apart in words, strongest first."""
        ...

    @property
    def card(self) -> ModelCard:
        """Where the model comes from."""
        ...

    @property
    def changes(self) -> Changes:
        """Groups of the model before that the fit found come apart or grown together."""
        ...

    def predict(self, frame: pd.DataFrame, previous: pd.Series | None = None) -> pd.DataFrame:
        """The output columns; people keep the label of ``previous`` on a border."""
        ...

    def labelled(self, ids: Sequence[str], registry: Registry) -> Self:
        """The same groups under these ids, with the registry's names."""
        ...

    def with_card(self, card: ModelCard) -> Self:
        """The same model with another card."""
        ...


M = TypeVar("M", bound=Labelled)


@dataclass(frozen=True, slots=True)
class Relabelled(Generic[M]):
    """A model with stable labels, and what it took.

    Attributes:
        model: With stable ids and the registry's names; its card has the churn and its gate. When
            ``is_accepted`` is false, keep the model before it, and its registry.
        registry: To be written once the model is put to use.
        matching: How its groups follow from the old ones; None for a first model.
        churn: Share of people whose label changes, of those that both models placed.
        churn_elsewhere: The same among people whom no split or merger concerns; this one is gated.
        raw_churn: That of all people, had the groups kept their bare numbers.
        is_accepted: Whether enough people keep their label.
    """

    model: M
    registry: Registry
    matching: Matching | None
    churn: float
    churn_elsewhere: float
    raw_churn: float
    is_accepted: bool


def relabel(
    model: M,
    registry: Registry,
    *,
    rules: LabelRules | None = None,
    before: M | None = None,
    frame: pd.DataFrame | None = None,
    held: pd.Series | None = None,
) -> Relabelled[M]:
    """Give a fitted model its stable labels.

    Args:
        model: Fresh from a fit.
        registry: The labels so far.
        rules: Thresholds of matching and of acceptance.
        before: The model in use; None for a first model.
        frame: What both models predict from, of the people by whom they are compared; needed with
            ``before``.
        held: ``profile_id`` -> id of the label that the person holds; None: what ``before`` says
            of the frame.

    Raises:
        ModelError: The registry lacks a label of ``before``.
        ValueError: ``before`` without ``frame``.
    """
    rules = rules or LabelRules()
    day = model.card.as_of.astimezone(UTC).date()
    if before is None:
        ids, registry = settle(registry, model.contrasts, prefix=model.ID_PREFIX, day=day)
        return Relabelled(
            model.labelled(ids, registry), registry, None, 0.0, 0.0, 0.0, is_accepted=True
        )
    if frame is None:
        msg = "a model is compared with the one before it by people: give their data"
        raise ValueError(msg)
    if held is None:
        held = before.predict(frame)[before.LABEL_COLUMN]
    fresh = model.predict(frame)[model.LABEL_COLUMN]
    held = held.reindex(fresh.index)
    old, raw = codes_of(held, before.ids), codes_of(fresh, model.ids)
    matching = match(contingency(old, raw, n_before=len(before.ids), n_after=len(model.ids)), rules)
    ids, settled = settle(
        registry,
        model.contrasts,
        prefix=model.ID_PREFIX,
        day=day,
        matching=matching,
        before=before.ids,
    )
    renamed = model.labelled(ids, settled)
    new = renamed.predict(frame, previous=held)[model.LABEL_COLUMN]
    both = (old >= 0) & (raw >= 0)
    n = max(1, int(both.sum()))
    moves = both & (held.to_numpy() != new.to_numpy())
    elsewhere = both & ~model.changes.concerned(matching, old, raw)
    churn = float(moves.sum()) / n
    churn_elsewhere = float((moves & elsewhere).sum()) / max(1, int(elsewhere.sum()))
    n_concerned = n - int(elsewhere.sum()) if both.any() else 0
    card = _with_churn(renamed.card, churn, churn_elsewhere, n_concerned, matching, rules)
    notes = tuple(
        _sentence(event, before.names, renamed.names)
        for event in matching.events
        if event.fate is not Fate.SURVIVED
    )
    return Relabelled(
        renamed.with_card(replace(card, notes=(*card.notes, *notes))),
        settled,
        matching,
        churn,
        churn_elsewhere,
        raw_churn=float((old[both] != raw[both]).sum()) / n,
        is_accepted=card.gates[-1].passed,
    )


def codes_of(ids: pd.Series, known: Sequence[str]) -> npt.NDArray[np.int64]:
    """Position of each id among the known ones; -1 for any other and for none."""
    return pd.Index(known).get_indexer(pd.Index(ids)).astype(np.int64)


def labels_of(labels: Sequence[str], codes: npt.NDArray[np.int64], index: pd.Index) -> pd.Series:
    """Labels by position; missing for -1."""
    values = np.array([*labels, None], dtype=object)[codes]
    return pd.Series(values, index=index, dtype="str")


def _with_churn(
    card: ModelCard,
    churn: float,
    elsewhere: float,
    n_concerned: int,
    matching: Matching,
    rules: LabelRules,
) -> ModelCard:
    """The card with the churn, its gate last."""
    besides = f" besides the {n_concerned:,} who came apart or grew together" if n_concerned else ""
    gate = Gate(
        "min_overlap",
        f"at least {rules.min_overlap:.0%}",
        f"{1 - elsewhere:.1%} of people keep their label{besides}",
        1 - elsewhere >= rules.min_overlap,
    )
    refusal = (
        ()
        if gate.passed
        else (
            "Keep the old model in use and open a review: too many people would change their"
            f" label. `liftline train --accept-labels {card.name}` puts it to use all the same.",
        )
    )
    return replace(
        card,
        metrics={
            **card.metrics,
            "ari_with_previous": round(matching.ari, 6),
            "label_churn": round(churn, 6),
            "label_churn_elsewhere": round(elsewhere, 6),
        },
        gates=(*card.gates, gate),
        notes=(*card.notes, *refusal),
    )


def _sentence(event: Event, before: Sequence[str], after: Sequence[str]) -> str:
    """An event in words."""
    old = " and ".join(f"«{before[i]}»" for i in event.before)
    new = " and ".join(f"«{after[j]}»" for j in event.after)
    match event.fate:
        case Fate.SPLIT:
            return f"{old} split into {new}."
        case Fate.MERGED:
            return f"{old} went into {new}."
        case Fate.DISAPPEARED:
            return f"{old} is found no longer."
        case _:
            return f"{new} is new."
