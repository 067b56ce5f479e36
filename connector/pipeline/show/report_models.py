"""The report's rows about models, from the first act, the state and what runs have published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from connector.config import Config
from connector.config.activation import Strategy
from connector.models.card import ModelCard
from connector.pipeline.scoring.context import number_frame
from connector.pipeline.scoring.grid import RFM
from connector.pipeline.show.standing import Standing, contest, standings
from connector.pipeline.understand.act import Understanding
from connector.report import models as rows
from connector.warehouse.render import literal, quote

if TYPE_CHECKING:
    from connector.pipeline.project import Project

_TOP_ITEMS = 6
_PEOPLE_A_DOT = 8
"""People that a dot of the map stands for on the mean, where the people allow it."""

_WIDEST, _NARROWEST = 48, 8
"""Most and fewest columns of the map's grid."""


def models(project: Project, found: Understanding) -> tuple[rows.ModelRow, ...]:
    """Every model of the file but RFM, which has a section of its own."""
    return tuple(
        _model(project.config, found, one)
        for one in standings(found, project.journal)
        if one.kind != RFM
    )


def _model(config: Config, found: Understanding, one: Standing) -> rows.ModelRow:
    card = one.shown
    evaluation = getattr(found.scores.models.get(one.name), "evaluation", None)
    return rows.ModelRow(
        name=one.name,
        kind=one.kind,
        algorithm=card.algorithm if card else "",
        use=one.use.value,
        version=one.version,
        fitted_at=card.as_of if card else None,
        people=card.n_people if card else None,
        measures=tuple(_measures(card)) if card else (),
        gates=tuple(rows.GateRow(g.name, g.required, g.found, g.passed) for g in card.gates)
        if card
        else (),
        notes=card.notes if card else (),
        refused=one.refusal.reasons if one.refusal else (),
        is_refused=one.card is None,
        tenths=tuple(
            rows.TenthRow(t.number, t.rate, t.lift, t.gain)
            for t in (evaluation.tenths if evaluation else ())
        ),
        bins=tuple(
            rows.BinRow(b.n_people, b.predicted, b.observed)
            for b in (evaluation.calibration if evaluation else ())
        ),
        profits=tuple(_profits(config, found, one.name, evaluation))
        if evaluation and evaluation.gains
        else (),
    )


def _measures(card: ModelCard) -> Iterator[rows.MeasureRow]:
    """The measure that the model is known by, then the others."""
    known = contest(card)
    first = [known.measure] if known else []
    for name in dict.fromkeys([*first, *card.metrics]):
        yield rows.MeasureRow(
            name,
            card.metrics[name],
            {rule: found[name] for rule, found in card.baselines.items() if name in found},
        )


# ---------------------------------------------------------------------- profit
def _profits(
    config: Config,
    found: Understanding,
    model: str,
    evaluation: Any,  # noqa: ANN401 - of a propensity model; imported there, for it is slow
) -> Iterator[rows.ProfitRow]:
    """The profit curve of the model's own value and cost, and those of the campaigns that use it.

    Of a campaign whose segment reads the model and whose strategy names a cost, a response is worth
    the mean order less what a redemption costs.
    """
    own = getattr(dict(config.models.named())[model], "profit", None)
    if own is not None:
        yield _profit(evaluation, "", float(own.value), float(own.cost))
    reads = {
        segment.name
        for segment in found.segments
        if any(column.startswith(f"{model}.") for column in segment.columns)
    }
    mean = _mean_order(found)
    for name, campaign in config.campaigns.items():
        costs = _costs(config.strategies.get(campaign.strategy or ""))
        if campaign.segment not in reads or costs is None or mean is None:
            continue
        contact, redemption = costs
        if mean > redemption:
            yield _profit(evaluation, name, mean - redemption, contact)


def _profit(evaluation: Any, campaign: str, value: float, cost: float) -> rows.ProfitRow:  # noqa: ANN401
    from connector.models.propensity.curves import profit_curve

    curve = profit_curve(evaluation.gains, value=value, cost=cost)
    people = evaluation.gains[-1].n_people
    return rows.ProfitRow(
        campaign=campaign,
        value=round(value, 2),
        cost=cost,
        cutoff=curve.best.probability,
        share=curve.best.n_people / people,
        best=1000 * curve.best.profit / people,
        everybody=1000 * curve.points[-1].profit / people,
        points=tuple(
            rows.ProfitPoint(p.n_people / people, 1000 * p.profit / people) for p in curve.points
        ),
    )


def _costs(strategy: Strategy | None) -> tuple[float, float] | None:
    """Cost of a contact and of a redemption; None where the strategy names neither."""
    if strategy is None or (
        strategy.cost_per_contact is None and strategy.cost_per_redemption is None
    ):
        return None
    return float(strategy.cost_per_contact or 0), float(strategy.cost_per_redemption or 0)


def _mean_order(found: Understanding) -> float | None:
    """Net revenue of an order of the last 365 days, on the mean."""
    since = found.as_of - timedelta(days=365)
    ((mean,),) = found.warehouse.rows(
        "SELECT avg(CAST(o.net_revenue AS DOUBLE)) AS mean FROM clean_orders AS o"
        f" WHERE NOT o.is_return AND o.ordered_at >= {literal(since)}"
        f" AND o.ordered_at < {literal(found.as_of)}"
    )
    return None if mean is None else float(mean)


# ---------------------------------------------------------------------- personas
def personas(found: Understanding) -> tuple[rows.PersonaSummary, ...]:
    """Every cluster model in use."""
    return tuple(
        _personas(found, name, found.scores.models[name])
        for name, settings in found.context.config.models.named()
        if settings.type == "cluster" and name in found.scores.models
    )


def _personas(found: Understanding, name: str, model: Any) -> rows.PersonaSummary:  # noqa: ANN401
    cluster = f"{name}.cluster"
    counted = {
        key: (int(n), int(outliers or 0))
        for key, n, outliers in found.warehouse.rows(
            f"SELECT s.{quote(cluster)} AS c, count(*) AS n,"
            f" sum(CASE WHEN s.{quote(f'{name}.is_outlier')} THEN 1 ELSE 0 END) AS o"
            " FROM scored AS s GROUP BY 1"
        )
    }
    frame = number_frame(
        found.warehouse, "scored", model.scaler.features, where=f"{quote(cluster)} IS NOT NULL"
    )
    order = sorted(range(len(model.ids)), key=lambda i: (-counted.get(model.ids[i], (0, 0))[0], i))
    codes = model.codes(frame, found.context.held(name))
    place = model.project(frame).to_numpy()
    if place.shape[1] < 2:
        place = np.column_stack([place[:, 0], np.zeros(len(place))])
    centres = model.projection.project(model.centroids)
    return rows.PersonaSummary(
        model=name,
        personas=tuple(
            rows.PersonaRow(
                id=model.ids[i],
                name=model.names[i],
                people=counted.get(model.ids[i], (0, 0))[0],
                contrasts=tuple(model.contrasts[i]),
                x=float(centres[i][0]),
                y=float(centres[i][1]) if centres.shape[1] > 1 else 0.0,
            )
            for i in order
        ),
        n_without=counted.get(None, (0, 0))[0],
        n_outliers=sum(outliers for _, outliers in counted.values()),
        explained=tuple(model.projection.explained[:2]),
        dots=tuple(_dots(place[:, :2], np.argsort(order)[codes])),
    )


def _dots(
    place: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    persona: np.ndarray[Any, np.dtype[np.int64]],
) -> Iterator[rows.Dot]:
    """People by place: on a grid as fine as their number allows, the far ends drawn in."""
    if len(place) < rows.LEAST_DOT:
        return
    low, high = np.quantile(place, 0.005, axis=0), np.quantile(place, 0.995, axis=0)
    columns = int(np.clip((1.6 * len(place) / _PEOPLE_A_DOT) ** 0.5, _NARROWEST, _WIDEST))
    cells = np.array([columns, max(int(columns / 1.6), 4)])
    size = np.where(high > low, high - low, 1.0) / cells
    at = np.clip(((place - low) / size).astype(np.int64), 0, cells - 1)
    keys, inverse = np.unique(at, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    tallies = np.zeros((len(keys), int(persona.max()) + 1), dtype=np.int64)
    np.add.at(tallies, (inverse, persona), 1)
    for key, tally in zip(keys, tallies, strict=True):
        people = int(tally.sum())
        if people >= rows.LEAST_DOT:
            x, y = low + (key + 0.5) * size
            yield rows.Dot(round(float(x), 3), round(float(y), 3), people, int(tally.argmax()))


# ---------------------------------------------------------------------- affinity
def affinity(found: Understanding) -> tuple[rows.TopicSummary, ...]:
    """Every affinity model in use."""
    made = []
    for name, settings in found.context.config.models.named():
        model: Any = found.scores.models.get(name)
        if settings.type != "lda" or model is None:
            continue
        counted = dict(
            found.warehouse.rows(
                f"SELECT s.{quote(f'{name}.top_id')} AS t, count(*) AS n FROM scored AS s GROUP"
                " BY 1"
            )
        )
        topics = [
            rows.TopicRow(key, label, int(counted.get(key, 0)), tuple(items[:_TOP_ITEMS]))
            for key, label, items in zip(model.ids, model.names, model.contrasts, strict=True)
        ]
        topics.sort(key=lambda one: (-one.people, one.id))
        made.append(rows.TopicSummary(name, tuple(topics), int(counted.get(None, 0))))
    return tuple(made)


# ---------------------------------------------------------------------- lifetime value
def lifetime(found: Understanding) -> tuple[rows.ValueSummary, ...]:
    """Every lifetime value model in use."""
    return tuple(
        _lifetime(found, name, found.scores.models[name])
        for name, settings in found.context.config.models.named()
        if settings.type == "clv" and name in found.scores.models
    )


def _lifetime(found: Understanding, name: str, scores: Any) -> rows.ValueSummary:  # noqa: ANN401
    there = found.columns
    columns = {key: f"{name}.{key}" for key in ("expected", "low_80", "high_80", "tier")}
    picks = {
        key: f"s.{quote(column)}" if column in there else "NULL" for key, column in columns.items()
    }
    frame = found.warehouse.connection.execute(
        f"SELECT {picks['tier']}, count(*), sum({picks['expected']}), median({picks['low_80']}),"
        f" median({picks['high_80']}) FROM scored s WHERE"
        f" coalesce({', '.join(f'CAST({one} AS VARCHAR)' for one in picks.values())}) IS NOT NULL"
        " GROUP BY 1"
    ).fetchall()
    tiers = {tier: (int(n), e, low, high) for tier, n, e, low, high in frame}
    card, inner = scores.card, scores.model.card
    people = sum(n for n, *_ in tiers.values())
    known = [float(e) for _, e, *_ in tiers.values() if e is not None]
    return rows.ValueSummary(
        model=name,
        what=scores.model.value,
        horizon_days=float(scores.model.horizon.days),
        people=people,
        expected=sum(known) if known else None,
        tiers=tuple(
            rows.TierRow(tier.name, *tiers[tier.name])
            for tier in scores.model.tiers
            if tier.name in tiers
        ),
        trials=tuple(sorted(_trials(card), key=lambda one: (one.is_rule, one.rmse))),
        n_windows=len(inner.trials[0].windows) if inner.trials else 0,
    )


def _trials(card: ModelCard) -> Iterator[rows.TrialRow]:
    measured = [
        *((name, found, False) for name, found in card.candidates.items()),
        *((name, found, True) for name, found in card.baselines.items()),
    ]
    for name, found, is_rule in measured:
        yield rows.TrialRow(
            name=name,
            is_rule=is_rule,
            is_chosen=name == card.algorithm,
            mae=found["mae"],
            rmse=found["rmse"],
            bias=found["total_error"],
            correlation=found["correlation"],
        )
