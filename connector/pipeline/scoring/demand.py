"""Demand of a run: the lifetime value model's purchase model times what people put in baskets.

The backtest tries the same past windows as that of lifetime value. Segments are those of the
window's beginning: their rules are applied to the features, the RFM groups and this model's scores
as of then. A segment that reads anything else (another model's scores) has no error of its own,
since nobody can tell who would have been in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from connector.config.models import ClvModel as Settings
from connector.errors import InsufficientDataError
from connector.models import demand, demand_backtest, rfm
from connector.models.clv import purchase_fit
from connector.models.clv.histories import pairs
from connector.models.clv.purchases import PurchaseModel, expected_purchases
from connector.models.clv.scores import ValueScores
from connector.models.clv.transactions import Customers, Transactions, observe
from connector.models.demand import Buyers
from connector.models.demand_backtest import DemandBacktest, Window
from connector.models.scored import build_scored
from connector.pipeline.scoring import transactions as orders
from connector.pipeline.scoring import value_trials as trials
from connector.pipeline.scoring.context import ScoringContext, load_frame
from connector.segments.rules import Segment
from connector.warehouse.render import literal, quote


@dataclass(frozen=True, slots=True)
class Demand:
    """Orders to expect, and how wrong such numbers were.

    Attributes:
        table: As of :func:`connector.models.demand.expect`, with ``model``, ``first_day`` and
            ``last_day`` (of the project's time zone) in front, and the errors of the backtest;
            empty where no order holds a category.
        tried: The backtest; None where the history is too short for one.
        untried: Segments without an error of their own.
    """

    table: pd.DataFrame
    tried: DemandBacktest | None
    untried: tuple[str, ...] = ()


def forecast(
    context: ScoringContext,
    name: str,
    settings: Settings,
    members: pd.DataFrame,
    scores: ValueScores | None = None,
    segments: Sequence[Segment] = (),
) -> Demand:
    """Orders to expect of each segment in each category over a value model's horizon.

    Args:
        context: The run's data.
        name: The lifetime value model.
        settings: Of it.
        members: ``profile_id``, ``segment``.
        scores: The model in use; without one, or where it tells of no purchases, one is fitted.
        segments: Their rules, for the backtest.

    Raises:
        InsufficientDataError: Nobody has bought.
    """
    held = baskets(context)
    transactions = orders.read_transactions(context, name, settings)
    day = orders.observed_to(context)
    customers = observe(transactions, day)
    purchases = scores.model.purchases if scores is not None else None
    if purchases is None:
        purchases = _purchases(settings, customers, _winner(scores))
    buyers = _buyers(transactions, customers, purchases, settings.horizon.days)
    tried, untried = None, tuple(segment.name for segment in segments)
    # Too short a history: the forecast stands without errors, and says so by their absence.
    with contextlib.suppress(InsufficientDataError):
        tried, untried = backtest(context, name, settings, scores, segments)
    table = demand.expect(
        buyers, held, members, model_variance=tried.model_variance if tried else 0.0
    )
    table = demand_backtest.with_errors(table.drop(columns="variance"), tried)
    if held.empty:
        table = table.iloc[:0]
    first = orders.EPOCH + timedelta(days=day + 1)
    table.insert(0, "model", name)
    table.insert(1, "first_day", first)
    table.insert(2, "last_day", first + timedelta(days=settings.horizon.days - 1))
    return Demand(table, tried, untried)


def backtest(
    context: ScoringContext,
    name: str,
    settings: Settings,
    scores: ValueScores | None = None,
    segments: Sequence[Segment] = (),
    *,
    algorithm: str = "",
) -> tuple[DemandBacktest, tuple[str, ...]]:
    """The same for past windows, beside as many as in the last period of equal length.

    Args:
        context: The run's data.
        name: The lifetime value model.
        settings: Of it; its windows are tried.
        scores: The model in use.
        segments: Their rules.
        algorithm: Whose kind of purchase model is tried; by default that of the model in use.

    Returns:
        The backtest, and the segments that could not be formed in the past.

    Raises:
        InsufficientDataError: The history is too short for a window, or no order holds a category.
    """
    transactions = orders.read_transactions(context, name, settings)
    windows = trials.holdouts(transactions, settings, orders.observed_to(context))
    past = _Past(
        context, name, settings, scores, algorithm or _winner(scores), transactions, segments
    )
    # As in the fits: a return is no order, a free order is one.
    bought = ~transactions.is_return
    days = pd.DataFrame(
        {
            "profile_id": transactions.ids[transactions.customer[bought]],
            "day": transactions.day[bought],
        }
    )
    tried = demand_backtest.backtest(
        baskets(context),
        days,
        [Window(one.end_day, one.n_days) for one in windows],
        past.buyers,
        past.members,
    )
    return tried, tuple(past.untried)


def baskets(context: ScoringContext, level: str = "category") -> pd.DataFrame:
    """What orders held: ``profile_id``, local ``day``, ``category``, each once.

    Args:
        context: The run's data.
        level: Column of the products: ``category`` or ``subcategory``.
    """
    zone = literal(context.config.project.timezone)
    reader = context.warehouse.batches(
        "SELECT DISTINCT i.profile_id AS profile_id,"
        f" days_between(TIMESTAMP '1970-01-01 00:00:00', to_local(i.ordered_at, {zone})) AS day,"
        f" i.{level} AS category FROM clean_items AS i"
        f" WHERE NOT i.is_return AND i.quantity > 0 AND i.{level} IS NOT NULL"
        f" AND i.ordered_at < {literal(context.as_of)}"
    )
    frame: pd.DataFrame = pa.Table.from_batches(list(reader), reader.schema).to_pandas()
    return frame.sort_values(["profile_id", "day", "category"], ignore_index=True)


@dataclass(slots=True)
class _Past:
    """What would have been known of people at the beginning of a window."""

    context: ScoringContext
    name: str
    settings: Settings
    scores: ValueScores | None
    algorithm: str
    transactions: Transactions
    segments: Sequence[Segment]
    untried: list[str] = field(default_factory=list)

    def buyers(self, window: Window) -> Buyers:
        """Everybody who had bought, and what a model fitted then expects of them."""
        customers = observe(self.transactions, window.end_day)
        purchases = _purchases(self.settings, customers, self.algorithm)
        return _buyers(self.transactions, customers, purchases, window.n_days)

    def members(self, window: Window) -> pd.DataFrame:
        """Who would have been in each segment, by its rule alone: waiting times are left out."""
        if not self.segments:
            return pd.DataFrame({"profile_id": [], "segment": []}, dtype="object")
        warehouse, day = self.context.warehouse, window.end_day + 1
        features = self.context.features_at(trials.instant_of(self.context, day))
        scored = f"scored_{day}"
        made = [f"rfm_{day}"]
        rfm.predict(warehouse, self.context.rfm, features=features, output=made[0])
        if self.scores is not None:
            made.append(f"{self.name}_{day}")
            self._score(self.scores, window, made[1])
        build_scored(warehouse, made, features=features, output=scored)
        columns = set(warehouse.columns(scored))
        self.untried = [one.name for one in self.segments if not one.columns <= columns]
        able = [one for one in self.segments if one.columns <= columns]
        rows = [
            row
            for one in able
            for row in warehouse.rows(
                f"SELECT s.profile_id AS profile_id, {literal(one.name)} AS segment"
                f" FROM {quote(scored)} AS s WHERE {one.condition.sql()}"
            )
        ]
        return pd.DataFrame(rows, columns=["profile_id", "segment"], dtype="object")

    def _score(self, scores: ValueScores, window: Window, output: str) -> None:
        """The model in use, applied to what was known then."""
        customers = observe(self.transactions, window.end_day)
        values = trials.values_of(self.context, scores, self.transactions, customers)
        index = pd.Index(self.transactions.ids[customers.index], name="profile_id")
        table = scores.table(values, index, orders.EPOCH + timedelta(days=window.end_day))
        load_frame(self.context.warehouse, output, table.add_prefix(f"{self.name}."))


def _winner(scores: ValueScores | None) -> str:
    """The algorithm in use; empty where there is none."""
    return "" if scores is None else scores.card.algorithm


def _purchases(settings: Settings, customers: Customers, algorithm: str) -> PurchaseModel:
    """The algorithm's model of purchases, or the pooled rate where it cannot be fitted."""
    return purchase_fit.fit_or_rule(customers.histories, trials.family_of(settings, algorithm))[0]


def _buyers(
    transactions: Transactions, customers: Customers, purchases: PurchaseModel, n_days: int
) -> Buyers:
    index = pd.Index(transactions.ids[customers.index], name="profile_id")
    histories = customers.histories
    expected = expected_purchases(purchases, histories, n_days)
    pair = pairs(histories)
    days = np.full(pair.repeats.size, float(n_days))
    two = purchases.pairs_if_alive(pair.repeats, pair.age_days, days)[pair.codes]
    return Buyers(
        orders=pd.Series(histories.repeats + 1.0, index=index),
        expected=pd.Series(np.asarray(expected, dtype=np.float64), index=index),
        pairs=pd.Series(two * purchases.p_alive(histories), index=index),
    )
