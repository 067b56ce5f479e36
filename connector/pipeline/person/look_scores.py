"""What the models say of one person: scores with their parts, and what each rests on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from connector.models.reasons import LEAST_POINTS, reasons
from connector.numbers import minus, money, money_range, percent, several
from connector.pipeline.person.scored_person import (
    AffinityView,
    Driver,
    Leaning,
    ModelsView,
    NextView,
    PersonaView,
    PropensityView,
    UpliftView,
    ValueView,
)
from connector.pipeline.person.subject import Subject
from connector.pipeline.scoring.reading import feature_frame
from connector.state import schema
from connector.state.database import parse_utc
from connector.warehouse.render import literal

if TYPE_CHECKING:
    import pandas as pd

    from connector.config import Config

TOP_DRIVERS = 5
SEPARATOR = " | "
"""Between the items of a text column."""

NO_MODEL = "No model is published, so there is no score."
NOT_ABOUT = "The model is not about this person."


@dataclass(frozen=True, slots=True)
class ScoreLook(Subject):
    """What the models say of one person.

    Attributes:
        config: The configuration.
    """

    config: Config

    def models(self) -> ModelsView:
        """Every model of the file but RFM."""
        made: dict[str, list[Any]] = {}
        looks = {
            "propensity": self._propensity,
            "clv": self._value,
            "cluster": self._persona,
            "lda": self._affinity,
            "association": self._next,
            "uplift": self._uplift,
        }
        for name, settings in self.config.models.named():
            made.setdefault(settings.type, []).append(looks[settings.type](name))
        return ModelsView(
            propensities=tuple(made.get("propensity", ())),
            values=tuple(made.get("clv", ())),
            personas=tuple(made.get("cluster", ())),
            affinities=tuple(made.get("lda", ())),
            next_products=tuple(made.get("association", ())),
            uplifts=tuple(made.get("uplift", ())),
        )

    def _scores(self, name: str) -> dict[str, Any]:
        """The model's columns of this person, by their names without the prefix."""
        columns = [c for c in self.found.columns if c.startswith(f"{name}.")]
        if not columns:
            return {}
        listed = ", ".join(f'"{column}"' for column in columns)
        ((*values,),) = self.rows(f"SELECT {listed} FROM scored WHERE profile_id = $who")
        return {
            column.removeprefix(f"{name}."): value
            for column, value in zip(columns, values, strict=True)
        }

    def _frame(self, features: Sequence[str]) -> pd.DataFrame:
        """The features of this person, as they were scored."""
        mine = f"profile_id = {literal(self.profile_id)}"
        return feature_frame(
            self.found.warehouse, "scored", features, self.found.context.features, where=mine
        )

    # ------------------------------------------------------------------ propensity
    def _propensity(self, name: str) -> PropensityView:
        model: Any = self.found.scores.models.get(name)
        if model is None:
            return PropensityView(name, NO_MODEL)
        if not hasattr(model, "explain"):
            return self._made_elsewhere(name)
        if all(value is None for value in self._scores(name).values()):
            return PropensityView(name, NOT_ABOUT)
        frame = self._frame(model.inputs.features)
        parts, shown = model.explain(frame), model.inputs.shown(frame)
        row = parts.iloc[0]
        order = row.abs().sort_values(ascending=False, kind="stable").index
        top = [f for f in order if abs(row[f]) * 100 >= LEAST_POINTS][:TOP_DRIVERS]
        drivers = tuple(
            Driver(
                words=str(reasons(parts[[f]], shown, model.wordings, top=1).iloc[0]),
                feature=str(f),
                value=_value(shown[f].iloc[0]),
                part=float(row[f]),
            )
            for f in top
        )
        total = math.fsum(row)
        reference = model.reference_probability
        scored = model.predict(frame).iloc[0]
        probability, percentile = float(scored["probability"]), int(scored["percentile"])
        return PropensityView(
            model=name,
            words=(
                f"{percent(probability)}, higher than {percentile} % of people; the typical person"
                f" has {percent(reference)}."
            ),
            probability=probability,
            percentile=percentile,
            reference=reference,
            drivers=drivers,
            rest=total - math.fsum(one.part for one in drivers),
            total=total,
        )

    def _made_elsewhere(self, name: str) -> PropensityView:
        """A score that was not made here has no parts to show."""
        score = self._scores(name)
        probability, percentile = score.get("probability"), score.get("percentile")
        if probability is None:
            return PropensityView(name, NOT_ABOUT)
        words = f"{percent(probability)}; made elsewhere, so its reasons are not known."
        return PropensityView(
            name, words, float(probability), None if percentile is None else int(percentile)
        )

    # ------------------------------------------------------------------ value
    def _value(self, name: str) -> ValueView:
        scores: Any = self.found.scores.models.get(name)
        if scores is None:
            return ValueView(name, NO_MODEL)
        score = self._scores(name)
        if all(value is None for value in score.values()):
            return ValueView(name, "Has never bought, so there is no lifetime value.")
        currency, days = self.config.project.currency, f"{scores.model.horizon.days:g}"
        words = f"within {days} days"
        expected, low, high = (_number(score.get(key)) for key in ("expected", "low_80", "high_80"))
        if expected is not None:
            words = f"{money(expected, currency)} expected {words}"
        if low is not None and high is not None:
            words += f", 80 % range {money_range(low, high, currency)}"
        if score.get("tier"):
            words += f"; tier {score['tier']}"
        ((orders, ago, mean),) = self.rows(
            "SELECT lifetime_orders, last_order_age_days, lifetime_revenue"
            " / nullif(lifetime_orders, 0) FROM scored WHERE profile_id = $who"
        )
        basis = f"Rests on {several(orders or 0, 'order')}"
        if ago is not None:
            basis += f", the last one {several(ago, 'day')} ago"
        if mean is not None:
            basis += f", {money(float(mean), currency, digits=2)} on the mean"
        alive = _number(score.get("p_alive"))
        if alive is not None:
            basis += f"; a customer still with {percent(alive)}"
        ahead = score.get("next_order_date")
        return ValueView(
            model=name,
            words=f"{words}.",
            basis=f"{basis}.",
            expected=expected,
            low=low,
            high=high,
            p_alive=alive,
            tier=score.get("tier"),
            next_order=None if ahead is None else ahead.replace(tzinfo=UTC),
            orders=orders,
            days_since=ago,
            mean_value=_number(mean),
        )

    # ------------------------------------------------------------------ personas and taste
    def _persona(self, name: str) -> PersonaView:
        model: Any = self.found.scores.models.get(name)
        if model is None:
            return PersonaView(name, NO_MODEL)
        score = self._scores(name)
        if score["cluster"] is None:
            return PersonaView(name, NOT_ABOUT)
        drivers = model.drivers(self._frame(model.scaler.features))
        since = next(
            (
                parse_utc(row.since)
                for row in self.stored(schema.labels)
                if row.model == name and row.label == score["cluster"]
            ),
            None,
        )
        outlier = "; an outlier, in no crowd" if score["is_outlier"] else ""
        return PersonaView(
            model=name,
            words=f"«{score['name']}» ({score['cluster']}){outlier}.",
            cluster=score["cluster"],
            name=score["name"],
            is_outlier=bool(score["is_outlier"]),
            reasons=tuple(
                f"{row.words} ({row.difference:+.1f} standard deviations from the average)"
                for row in drivers.itertuples()
            ),
            since=since,
        )

    def _affinity(self, name: str) -> AffinityView:
        model: Any = self.found.scores.models.get(name)
        if model is None:
            return AffinityView(name, NO_MODEL)
        score = self._scores(name)
        if score["top_id"] is None:
            return AffinityView(name, "Has bought too seldom to tell a taste.")
        leanings = sorted(
            (
                Leaning(topic, float(score[key]))
                for key, topic in zip(model.keys, model.names, strict=True)
            ),
            key=lambda one: (-one.share, one.topic),
        )
        words = f"Leans to «{score['top_name']}» ({percent(float(score['top_share']))})."
        return AffinityView(name, words, tuple(leanings))

    def _next(self, name: str) -> NextView:
        model: Any = self.found.scores.models.get(name)
        if model is None:
            return NextView(name, NO_MODEL)
        score = self._scores(name)
        names = next((value for key, value in score.items() if key.endswith("_names")), None)
        if not names:
            return NextView(name, "Has never bought, so nothing is foreseen.")
        items = tuple(str(names).split(SEPARATOR))
        beside = score.get("goes_with")
        return NextView(
            model=name,
            words=f"{items[0]}: {score['reason']}.",
            items=items,
            reason=score["reason"],
            goes_with=tuple(str(beside).split(SEPARATOR)) if beside else (),
        )

    # ------------------------------------------------------------------ uplift
    def _uplift(self, name: str) -> UpliftView:
        model: Any = self.found.scores.models.get(name)
        if model is None:
            return UpliftView(name, NO_MODEL)
        score = self._scores(name)
        uplift, percentile = score.get("uplift"), score.get("percentile")
        if uplift is None or percentile is None:
            return UpliftView(name, NOT_ABOUT)
        amount = minus(f"{float(uplift):+.3g}")
        return UpliftView(
            model=name,
            words=(
                f"{model.campaign} is expected to bring {amount} {model.unit} in {model.metric},"
                f" more than for {int(percentile)} % of people."
            ),
            uplift=float(uplift),
            percentile=int(percentile),
        )


def _value(shown: Any) -> float | str | None:  # noqa: ANN401 - a number or a word
    if shown is None or isinstance(shown, str):
        return shown
    return None if math.isnan(shown) else float(shown)


def _number(value: Any) -> float | None:  # noqa: ANN401 - whatever the engine holds
    return None if value is None else float(value)
