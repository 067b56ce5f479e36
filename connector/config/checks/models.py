"""Checks of models: what they predict exists, and is meant in one way."""

from __future__ import annotations

from collections.abc import Iterator

from connector.config.checks.draft import Draft
from connector.config.models import AssociationModel, PropensityModel, UpliftModel
from connector.config.problems import KeyPath, Problem
from connector.config.values import duration_text
from connector.domain import Arm


def predictions_are_whole(draft: Draft) -> Iterator[Problem]:
    """A propensity model counts rows of a configured table, or their absence, in one window."""
    for name, model in draft.config.models.named():
        if not isinstance(model, PropensityModel):
            continue
        path: KeyPath = ("models", name)
        predict = model.predict
        if predict.at_least is not None and predict.none_within is not None:
            yield draft.problem(
                (*path, "predict"), "both at_least and none_within", allowed="one of them"
            )
        elif predict.none_within not in (None, model.predict_window):
            yield draft.problem(
                (*path, "predict_window"),
                f"found {duration_text(model.predict_window)}, but none_within is"
                f" {duration_text(predict.none_within)}",
                allowed="the same",
            )
        if "tables" not in draft.broken:
            configured = tuple(table for table, _ in draft.config.tables.items())
            yield from draft.unknown(
                (*path, "predict", "event"), "configured table", predict.event, configured
            )


def uplift_learns_from_an_experiment(draft: Draft) -> Iterator[Problem]:
    """The campaign of an uplift model exists and has an arm to compare with; so does the metric."""
    metrics = (*draft.config.metrics, *draft.names("metrics"))
    for name, model in draft.config.models.named():
        if not isinstance(model, UpliftModel):
            continue
        path: KeyPath = ("models", name, "train_on", "campaign")
        known, source = draft.names("campaigns"), model.train_on.campaign
        yield from draft.unknown(path, "campaign", source, known)
        if model.metric is not None:
            yield from draft.unknown(
                ("models", name, "metric"), "metric", model.metric, tuple(dict.fromkeys(metrics))
            )
        campaign = draft.config.campaigns.get(source)
        if campaign is None:
            continue
        if model.train_on.offer is not None:
            yield from draft.unknown(
                ("models", name, "train_on", "offer"),
                f"offer of {source}",
                model.train_on.offer,
                tuple(campaign.offers),
            )
        held = {arm.value for arm, share in campaign.arms.items() if share} - {Arm.TREATMENT.value}
        if not held:
            yield draft.problem(
                path,
                f"campaign {source} treats everybody, so nothing can be learned of its effect",
                hint="Keep a share of its people as no_contact or business_as_usual.",
            )
        elif model.train_on.control not in (None, *held):
            yield draft.problem(
                ("models", name, "train_on", "control"),
                f"campaign {source} has no arm {model.train_on.control}",
                allowed=" or ".join(sorted(held)),
            )


def products_are_mapped(draft: Draft) -> Iterator[Problem]:
    """Affinity and pairs read order items, and products where their level is a category."""
    if "tables" in draft.broken:
        return
    configured = {table for table, _ in draft.config.tables.items()}
    for name, model in draft.config.models.named():
        level = getattr(model, "level", None)
        if level is None:
            continue
        needed = {"order_items"} if level == "product" else {"order_items", "products"}
        for table in sorted(needed - configured):
            yield draft.problem(
                ("models", name, "level"),
                f"level {level} is read from {table}, which is not configured",
                hint=f"Add tables.{table}.",
            )
        if isinstance(model, AssociationModel) and model.affinity is not None:
            others = tuple(other for other, one in draft.config.models.named() if one.type == "lda")
            yield from draft.unknown(
                ("models", name, "affinity"), "affinity model", model.affinity, others
            )
