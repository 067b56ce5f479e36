"""Demand of a run: the lifetime value model's purchase model times what people put in baskets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from connector.config.models import ClvModel as Settings
from connector.models import demand
from connector.models.clv import purchase_fit
from connector.models.clv.model import ClvModel
from connector.models.clv.purchase_fit import Family
from connector.models.clv.purchases import PurchaseModel, expected_purchases
from connector.models.clv.scores import ValueScores
from connector.models.clv.transactions import Customers, Transactions, observe
from connector.models.demand import Buyers, DemandBacktest, Window
from connector.pipeline.scoring import transactions as orders
from connector.pipeline.scoring import value_trials as trials
from connector.pipeline.scoring.context import ScoringContext
from connector.warehouse.render import literal


def forecast(
    context: ScoringContext,
    name: str,
    settings: Settings,
    members: pd.DataFrame,
    scores: ValueScores | None = None,
) -> pd.DataFrame:
    """Orders to expect of each segment in each category over a value model's horizon.

    Args:
        context: The run's data.
        name: The lifetime value model.
        settings: Of it.
        members: ``profile_id``, ``segment``.
        scores: The model in use; without one, or where it is no model of purchases, one is fitted.

    Returns:
        As of :func:`connector.models.demand.expect`, with ``first_day``, ``last_day`` (of the
        project's time zone) and ``model`` in front; empty where no order holds a category.

    Raises:
        InsufficientDataError: Nobody has bought.
    """
    held = baskets(context)
    transactions = orders.read_transactions(context, name, settings)
    day = orders.observed_to(context)
    customers = observe(transactions, day)
    fitted = scores.model if scores is not None else None
    purchases = (
        fitted.purchases if isinstance(fitted, ClvModel) else _purchases(settings, customers)
    )
    buyers = _buyers(transactions, customers, purchases, settings.horizon.days)
    table = demand.expect(buyers, held, members)
    if held.empty:
        table = table.iloc[:0]
    first = orders.EPOCH + timedelta(days=day + 1)
    table.insert(0, "model", name)
    table.insert(1, "first_day", first)
    table.insert(2, "last_day", first + timedelta(days=settings.horizon.days - 1))
    return table


def backtest(context: ScoringContext, name: str, settings: Settings) -> DemandBacktest:
    """The same for past windows, beside as many as in the last period of equal length.

    Args:
        context: The run's data.
        name: The lifetime value model.
        settings: Of it; its windows are tried.

    Raises:
        InsufficientDataError: The history is too short for a window, or no order holds a category.
    """
    transactions = orders.read_transactions(context, name, settings)
    windows = trials.holdouts(transactions, settings, orders.observed_to(context))

    def known(window: Window) -> Buyers:
        customers = observe(transactions, window.end_day)
        purchases = _purchases(settings, customers)
        return _buyers(transactions, customers, purchases, window.n_days)

    bought = transactions.value > 0
    days = pd.DataFrame(
        {
            "profile_id": transactions.ids[transactions.customer[bought]],
            "day": transactions.day[bought],
        }
    )
    return demand.backtest(
        baskets(context), days, [Window(one.end_day, one.n_days) for one in windows], known
    )


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


def _purchases(settings: Settings, customers: Customers) -> PurchaseModel:
    """The file's first model of purchases, or the pooled rate where it cannot be fitted."""
    families: Mapping[str, Family] = trials.FAMILIES
    named = [families[one] for one in settings.algorithms if one in families]
    family = named[0] if named else Family.MBG
    return purchase_fit.fit_or_rule(customers.histories, family)[0]


def _buyers(
    transactions: Transactions, customers: Customers, purchases: PurchaseModel, n_days: int
) -> Buyers:
    index = pd.Index(transactions.ids[customers.index], name="profile_id")
    expected = expected_purchases(purchases, customers.histories, n_days)
    return Buyers(
        orders=pd.Series(customers.histories.repeats + 1.0, index=index),
        expected=pd.Series(np.asarray(expected, dtype=np.float64), index=index),
    )
