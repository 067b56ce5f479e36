"""What both kinds of lifetime value model store alike, and the card that both carry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from connector.models.clv import purchase_fit
from connector.models.clv.card import Card, Trial
from connector.models.clv.purchases import PurchaseModel
from connector.models.clv.transactions import Customers
from connector.models.clv.value import Horizon, Tier


def purchases_to_dict(purchases: PurchaseModel) -> dict[str, object]:
    """A model of purchases as plain values for JSON."""
    return {"model": purchases.name, "parameters": purchase_fit.parameters(purchases)}


def purchases_from_dict(data: Mapping[str, Any]) -> PurchaseModel:
    """Inverse of :func:`purchases_to_dict`.

    Raises:
        ModelError: The model or its parameters are unknown.
    """
    return purchase_fit.from_parameters(data["model"], data["parameters"])


def card_of(
    customers: Customers,
    features: Sequence[str],
    as_of: datetime,
    n_rows: int,
    trials: Sequence[Trial],
    notes: Sequence[str],
) -> Card:
    """The card of a model that was fitted on these customers."""
    epoch = date(1970, 1, 1).toordinal()
    return Card(
        as_of=as_of,
        first_day=date.fromordinal(epoch + int(customers.first_day.min())),
        last_day=date.fromordinal(epoch + customers.end_day),
        n_rows=n_rows,
        n_customers=len(customers),
        n_repeaters=customers.histories.n_repeaters,
        features=tuple(features),
        trials=tuple(trials),
        notes=tuple(notes),
    )


def version_of(data: Mapping[str, object]) -> str:
    """Twelve hexadecimal digits that change whenever the data do."""
    text = json.dumps(data, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def common_to_dict(
    name: str,
    value: str,
    horizon: Horizon,
    tiers: Sequence[Tier],
    cuts: Sequence[float],
    card: Card,
) -> dict[str, object]:
    """What both kinds store alike; a tier that nobody reaches has the cut null."""
    return {
        "name": name,
        "value": value,
        "horizon": {
            "days": float(horizon.days),
            "annual_discount_rate": float(horizon.annual_discount_rate),
        },
        "tiers": [{"name": tier.name, "top_share": float(tier.top_share)} for tier in tiers],
        "cuts": [cut if np.isfinite(cut) else None for cut in cuts],
        "card": card.to_dict(),
    }


def common_from_dict(data: Mapping[str, Any]) -> dict[str, Any]:
    """Inverse of :func:`common_to_dict`."""
    tiers = tuple(Tier(str(t["name"]), float(t["top_share"])) for t in data["tiers"])
    cuts = tuple(float("inf") if cut is None else float(cut) for cut in data["cuts"])
    if len(cuts) != len(tiers) - 1:
        raise ValueError(f"{len(tiers)} tiers have {len(cuts)} cuts")
    return {
        "name": str(data["name"]),
        "value": str(data["value"]),
        "horizon": Horizon(
            float(data["horizon"]["days"]), float(data["horizon"]["annual_discount_rate"])
        ),
        "tiers": tiers,
        "cuts": cuts,
        "card": Card.from_dict(data["card"]),
    }
