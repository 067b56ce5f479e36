"""Every model as it stands: the one in use with its card, and why a newer one is not used.

What the next plan would use and what a person may want to change are told alike everywhere: by
``liftline check`` and ``liftline train``, in a plan's header, in what a run publishes and in the
report.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from connector.models.card import ModelCard
from connector.pipeline.scoring.grid import RFM
from connector.pipeline.scoring.run import REFUSED
from connector.pipeline.understand.act import Understanding
from connector.state.database import parse_utc
from connector.state.journal import Journal


class Use(enum.StrEnum):
    """Which model gives the scores."""

    NEW = "new"
    """One that was fitted just now and passed its gates."""
    STORED = "stored"
    """One that was fitted earlier."""
    NONE = "none"
    """None: its columns hold nothing."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The newest fit that may not be used.

    Attributes:
        reasons: Gates that failed, or why nothing could be fitted.
        at: When it was tried; None: just now.
        card: Of the refused model; None where there was not enough data for one.
    """

    reasons: tuple[str, ...]
    at: datetime | None
    card: ModelCard | None


@dataclass(frozen=True, slots=True)
class Contest:
    """The measure that a model is known by, beside the best naive rule.

    Attributes:
        measure: Such as ``auc``.
        value: Of the model, on data that it did not see.
        rule: The best naive rule; empty where the measure has none.
        baseline: Of that rule; None where there is none.
    """

    measure: str
    value: float
    rule: str
    baseline: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One model of the file.

    Attributes:
        name: Its name.
        kind: Its type in the file.
        use: Which model gives the scores.
        version: Its number in the state; None where it is not stored yet.
        card: Of the model in use; None where there is none.
        refusal: The newest fit that may not be used, where it is newer than the one in use.
        zone: The project's; days are told in it.
    """

    name: str
    kind: str
    use: Use
    version: int | None
    card: ModelCard | None
    refusal: Refusal | None = None
    zone: tzinfo = UTC

    @property
    def shown(self) -> ModelCard | None:
        """The card that says most: of the model in use, else of the refused one."""
        return self.card or (self.refusal.card if self.refusal else None)

    @property
    def contest(self) -> Contest | None:
        """How the model does beside the best naive rule; None where nothing was measured."""
        return None if self.shown is None else contest(self.shown)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        refusal = self.refusal
        return {
            **self.short(),
            "card": None if self.card is None else self.card.to_dict(),
            "refused": None
            if refusal is None
            else {
                "reasons": list(refusal.reasons),
                "at": None if refusal.at is None else refusal.at.isoformat(),
                "card": None if refusal.card is None else refusal.card.to_dict(),
            },
        }

    def short(self) -> dict[str, Any]:
        """What a plan's header says of it."""
        card, found = self.shown, self.contest
        return {
            "name": self.name,
            "kind": self.kind,
            "use": self.use.value,
            "version": self.version,
            "algorithm": card.algorithm if card else "",
            "as_of": card.as_of.isoformat() if card else None,
            "day": card.as_of.astimezone(self.zone).date().isoformat() if card else None,
            "people": card.n_people if card else None,
            "measure": found.measure if found else "",
            "value": found.value if found else None,
            "rule": found.rule if found else "",
            "baseline": found.baseline if found else None,
            "gates": [] if card is None else [[g.name, g.passed] for g in card.gates],
            "refused": list(self.refusal.reasons) if self.refusal else [],
        }


_MEASURES: Mapping[str, tuple[str, bool]] = {
    "propensity": ("auc", True),
    "clv": ("rmse", False),
    "cluster": ("silhouette", True),
    "lda": ("perplexity", False),
    "association": ("hit_rate", True),
    "next_products": ("hit_rate", True),
    "uplift": ("qini", True),
}
"""Kind of a card -> the measure that it is known by, and whether more of it is better."""


def contest(card: ModelCard) -> Contest | None:
    """A card's measure beside that of its best naive rule."""
    measure, is_more_better = _MEASURES.get(card.kind, ("", True))
    if measure not in card.metrics:
        return None
    rules = {name: found[measure] for name, found in card.baselines.items() if measure in found}
    if not rules:
        return Contest(measure, card.metrics[measure], "", None)
    best = (max if is_more_better else min)(sorted(rules), key=rules.__getitem__)
    return Contest(measure, card.metrics[measure], best, rules[best])


def standings(
    found: Understanding, journal: Journal, versions: Mapping[str, int] | None = None
) -> tuple[Standing, ...]:
    """RFM and every other model of the file, in its order.

    Args:
        found: The first act.
        journal: Read for fits that were refused earlier.
        versions: Model -> version in the state, where new ones have been stored meanwhile.
    """
    return (_rfm(found, versions or {}), *_others(found, journal, versions or {}))


def standings_json(models: Sequence[Standing]) -> list[dict[str, Any]]:
    """As plain values."""
    return [one.to_json() for one in models]


def _rfm(found: Understanding, versions: Mapping[str, int]) -> Standing:
    model = found.rfm_model
    cuts = (model.recency, model.frequency, model.monetary)
    card = ModelCard(
        name=RFM,
        kind=RFM,
        algorithm=" and ".join(dict.fromkeys(f"{cut.method}" for cut in cuts)) + " cut points",
        as_of=model.card.as_of.astimezone(UTC),
        n_people=model.card.n_people,
        features=("recency_days", "frequency", "monetary"),
    )
    use = Use.NEW if found.rfm_version is None else Use.STORED
    zone = found.context.config.project.zone
    return Standing(RFM, RFM, use, versions.get(RFM, found.rfm_version), card, zone=zone)


def _others(
    found: Understanding, journal: Journal, versions: Mapping[str, int]
) -> Iterator[Standing]:
    scores = found.scores
    for name, settings in found.context.config.models.named():
        card = scores.cards.get(name)
        use = Use.NONE if card is None else Use.NEW if name in scores.fresh else Use.STORED
        version = versions.get(name, scores.versions.get(name))
        refusal = _refusal(found, journal, name)
        zone = found.context.config.project.zone
        yield Standing(name, settings.type, use, version, card, refusal, zone)


def _refusal(found: Understanding, journal: Journal, name: str) -> Refusal | None:
    """The refused fit of this run, or of an earlier one that no good fit has followed."""
    fresh = found.scores.fresh
    if name in fresh:
        return None
    if name + REFUSED in fresh:
        return _read(fresh[name + REFUSED], None)
    attempt, stored = journal.model(name + REFUSED), journal.model(name)
    if attempt is None or (stored is not None and parse_utc(stored[2]) >= parse_utc(attempt[2])):
        return None
    return _read(attempt[1], parse_utc(attempt[2]))


def _read(document: str, at: datetime | None) -> Refusal:
    data = json.loads(document)
    card = data.get("card")
    return Refusal(
        tuple(map(str, data["reasons"])), at, ModelCard.from_dict(card) if card else None
    )
