"""The report's rows about models, from the first act, the state and what runs have published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from connector.config import Config
from connector.config.activation import Strategy
from connector.models.card import ModelCard
from connector.pipeline.scoring.context import seed_of
from connector.pipeline.scoring.grid import RFM
from connector.pipeline.scoring.transactions import MOST_UNKNOWN
from connector.pipeline.show.standing import Standing, contest, standings
from connector.pipeline.specs import margin_of
from connector.pipeline.understand.act import Understanding
from connector.report import models as rows
from connector.warehouse.render import literal

if TYPE_CHECKING:
    from connector.pipeline.project import Project


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
        data_from=card.data_from if card else None,
        rows=card.n_rows if card else None,
        features=card.features if card else (),
        seed=f"{seed_of(one.name):016x}" if card else "",
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
    the mean margin of an order, where margins are known, else its mean revenue, less what a
    redemption costs.
    """
    own = getattr(dict(config.models.named())[model], "profit", None)
    if own is not None:
        yield _profit(evaluation, "", float(own.value), float(own.cost), "")
    reads = {
        segment.name
        for segment in found.segments
        if any(column.startswith(f"{model}.") for column in segment.columns)
    }
    mean, basis = _mean_order(config, found)
    for name, campaign in config.campaigns.items():
        costs = _costs(config.strategies.get(campaign.strategy or ""))
        if campaign.segment not in reads or costs is None or mean is None:
            continue
        contact, redemption = costs
        if mean > redemption:
            yield _profit(evaluation, name, mean - redemption, contact, basis)


def _profit(
    evaluation: Any,  # noqa: ANN401 - as above
    campaign: str,
    value: float,
    cost: float,
    basis: str,
) -> rows.ProfitRow:
    from connector.models.propensity.curves import profit_curve

    curve = profit_curve(evaluation.gains, value=value, cost=cost)
    people = evaluation.gains[-1].n_people
    return rows.ProfitRow(
        campaign=campaign,
        value=round(value, 2),
        cost=cost,
        basis=basis,
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


def _mean_order(config: Config, found: Understanding) -> tuple[float | None, str]:
    """What an order of the last 365 days brought on the mean, and whether that is its margin."""
    since = found.as_of - timedelta(days=365)
    if margin_of(config) is not None:
        picked = "count(o.margin) AS known, avg(CAST(o.margin AS DOUBLE)) AS margin"
    else:
        picked = "0 AS known, NULL AS margin"
    ((n, revenue, known, margin),) = found.warehouse.rows(
        f"SELECT count(*) AS n, avg(CAST(o.net_revenue AS DOUBLE)) AS revenue, {picked}"
        " FROM clean_orders AS o"
        f" WHERE NOT o.is_return AND o.ordered_at >= {literal(since)}"
        f" AND o.ordered_at < {literal(found.as_of)}"
    )
    if margin is not None and known >= (1 - MOST_UNKNOWN) * n:
        return float(margin), "margin"
    return (None if revenue is None else float(revenue)), "revenue"
