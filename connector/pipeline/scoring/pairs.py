"""What goes together, and what each person may buy next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connector.config.models import AssociationModel as Settings
from connector.models import store
from connector.models.affinity import AffinityModel
from connector.models.card import ModelCard, ScoreColumn
from connector.models.pairs import NextModel, NextSpec, PairSpec, fit_next
from connector.pipeline.scoring.context import ScoringContext, load_frame
from connector.pipeline.scoring.kinds import Fitted, Kind
from connector.pipeline.scoring.lines import names_of, order_lines

GOES_WITH = ScoreColumn(
    "goes_with", "VARCHAR", "items", "What goes best with the last basket, surest first."
)


@dataclass(frozen=True, slots=True)
class Offers:
    """Next products together with what goes with the last basket."""

    model: NextModel

    @property
    def kind(self) -> str:
        """Which class reads it back: that of the next products, which hold the pairs."""
        return self.model.kind

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return self.model.version

    @property
    def card(self) -> ModelCard:
        """Where it comes from and how good it is."""
        return self.model.card

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """What it says of a person."""
        return (*self.model.columns, GOES_WITH)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return self.model.to_dict()


def _fit(
    context: ScoringContext, name: str, settings: Settings, _before: NextModel | None
) -> Fitted:
    model = fit_next(
        order_lines(context, settings.level),
        NextSpec(name=name, top=settings.recommend),
        as_of=context.as_of,
        rng=context.rng(name),
        pairs=PairSpec(
            name=name, min_support=settings.min_support, min_lift=float(settings.min_lift)
        ),
        affinity=_affinity(context, settings),
    )
    return Fitted(Offers(model))


def _affinity(context: ScoringContext, settings: Settings) -> AffinityModel | None:
    """The topics in use, where the file names some over the same items."""
    document = context.documents.get(settings.affinity or "")
    model = None if document is None else store.loads(document)
    return model if isinstance(model, AffinityModel) else None


def _refresh(_context: ScoringContext, _name: str, _settings: Settings, model: NextModel) -> Offers:
    return Offers(model)


def _score(
    context: ScoringContext, name: str, settings: Settings, model: Offers, output: str
) -> None:
    lines = order_lines(context, settings.level)
    names = names_of(context, settings.level)
    ahead = model.model.predict(lines, as_of=context.as_of, names=names)
    beside = model.model.pairs.predict(lines).set_axis([GOES_WITH.name], axis=1)
    scored = ahead.join(beside, how="outer")
    load_frame(context.warehouse, output, scored.add_prefix(f"{name}."))


def _columns(settings: Settings) -> tuple[ScoreColumn, ...]:
    n = settings.recommend
    return (
        ScoreColumn(f"top{n}", "VARCHAR", "items", f"The {n} likeliest next products."),
        ScoreColumn(f"top{n}_names", "VARCHAR", "items", "The same by name."),
        ScoreColumn("reason", "VARCHAR", "text", "Why the first of them."),
        GOES_WITH,
    )


KIND = Kind(fit=_fit, score=_score, columns=_columns, refresh=_refresh)
