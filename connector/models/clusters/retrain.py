"""A retrained model takes over the labels of the one before it, or is not used.

Numbers of clusters mean nothing across refits; people do. So the labels pass by the people in them
(:mod:`connector.models.matching`), people on a border stay where they were (hysteresis), and what
is left is published as label churn. Above the set churn the old model stays in use and a person has
to look: a campaign must not change its audience because an optimiser found another optimum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC

import pandas as pd

from connector.models.card import Gate
from connector.models.clusters.fit import ID_PREFIX
from connector.models.clusters.model import ClusterModel, codes_of
from connector.models.labels import Registry, settle
from connector.models.matching import Event, Fate, LabelRules, Matching, contingency, match


@dataclass(frozen=True, slots=True)
class Relabelled:
    """A model with stable labels, and what it took.

    Attributes:
        model: With stable ids and the registry's names; its card has the churn and its gate. When
            ``is_accepted`` is false, keep the model before it, and its registry.
        registry: To be written once the model is put to use.
        matching: How its clusters follow from the old ones; None for a first model.
        churn: Share of people whose label changes, of those that both models placed.
        raw_churn: The same had the clusters kept their bare numbers.
        is_accepted: Whether enough people keep their label.
    """

    model: ClusterModel
    registry: Registry
    matching: Matching | None
    churn: float
    raw_churn: float
    is_accepted: bool


def relabel(
    model: ClusterModel,
    registry: Registry,
    *,
    rules: LabelRules | None = None,
    before: ClusterModel | None = None,
    frame: pd.DataFrame | None = None,
    held: pd.Series | None = None,
) -> Relabelled:
    """Give a fitted model its stable labels.

    Args:
        model: Fresh from :func:`connector.models.clusters.fit`.
        registry: The labels so far.
        rules: Thresholds of matching and of acceptance.
        before: The model in use; None for a first model.
        frame: Features of the people by whom the two are compared; needed with ``before``.
        held: ``profile_id`` -> id of the cluster that the person holds; None: what ``before`` says
            of the frame.

    Raises:
        ModelError: The registry lacks a label of ``before``.
        ValueError: ``before`` without ``frame``.
    """
    rules = rules or LabelRules()
    day = model.card.as_of.astimezone(UTC).date()
    if before is None:
        ids, registry = settle(registry, model.contrasts, prefix=ID_PREFIX, day=day)
        return Relabelled(
            replace(model, ids=ids).named(registry), registry, None, 0.0, 0.0, is_accepted=True
        )
    if frame is None:
        msg = "a model is compared with the one before it by people: give their features"
        raise ValueError(msg)
    if held is None:
        held = before.predict(frame)["cluster"]
    old = codes_of(held.reindex(frame.index), before.ids)
    raw = model.codes(frame)
    matching = match(contingency(old, raw, n_before=len(before.ids), n_after=len(model.ids)), rules)
    ids, settled = settle(
        registry, model.contrasts, prefix=ID_PREFIX, day=day, matching=matching, before=before.ids
    )
    labelled = replace(model, ids=ids).named(settled)
    new = labelled.predict(frame, previous=held)["cluster"]
    both = (old >= 0) & (raw >= 0)
    n = max(1, int(both.sum()))
    changed = held.reindex(frame.index).to_numpy()[both] != new.to_numpy()[both]
    churn, raw_churn = float(changed.sum()) / n, float((old[both] != raw[both]).sum()) / n
    gate = Gate(
        "min_overlap",
        f"at least {rules.min_overlap:.0%} of people keep their label",
        f"{1 - churn:.1%}",
        1 - churn >= rules.min_overlap,
    )
    card = labelled.card
    notes = tuple(_sentence(e, before, labelled) for e in matching.events if e.fate != "survived")
    if not gate.passed:
        notes += ("Keep the old model in use and open a review: too many people would change"
                  " their label.",)  # fmt: skip
    card = replace(
        card,
        metrics={**card.metrics, "ari_with_previous": round(matching.ari, 6),
                 "label_churn": round(churn, 6)},
        gates=(*card.gates, gate),
        notes=(*card.notes, *notes),
    )  # fmt: skip
    return Relabelled(
        replace(labelled, card=card), settled, matching, churn, raw_churn, gate.passed
    )


def _sentence(event: Event, before: ClusterModel, after: ClusterModel) -> str:
    """An event in words."""
    old = " and ".join(before.names[i] for i in event.before)
    new = " and ".join(after.names[j] for j in event.after)
    match event.fate:
        case Fate.SPLIT:
            return f"«{old}» split into «{new}»."
        case Fate.MERGED:
            return f"«{old}» went into «{new}»."
        case Fate.DISAPPEARED:
            return f"«{old}» is found no longer."
        case _:
            return f"«{new}» is new."
