"""What a buy-till-you-die model says of the same outcome: the fair rival of a purchase forecast.

A forecast of the next purchase that does no better than counts and dates of orders has learned
nothing from all its other features. MBG/NBD knows those alone, so its probability stands beside
every model that predicts orders, and ``publish_if.beats: [btyd]`` makes it a gate.
"""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd
import pyarrow as pa

from connector.config.models import PropensityModel as Settings
from connector.errors import InsufficientDataError
from connector.models.clv.purchase_fit import Family, fit_or_rule
from connector.models.clv.purchases import p_at_least
from connector.models.clv.transactions import Transactions, observe
from connector.pipeline.scoring.context import ScoringContext
from connector.warehouse.render import literal

BTYD = "btyd"
"""Name of the rule: its probability of the outcome."""


def foretells(settings: Settings) -> bool:
    """Whether a model of purchases can say anything of the outcome: any order, or none."""
    return settings.predict.event == "orders" and not settings.predict.where


def probabilities(
    context: ScoringContext, settings: Settings, cutoff: datetime, people: pd.Index
) -> pd.Series | None:
    """Probability of the outcome for people, by their orders before a cut-off alone.

    Days are those of the project's time zone; the day of the cut-off itself is not yet over and is
    left out. Whoever has not bought yet has no history: their chance to buy is 0.

    Args:
        context: The run.
        settings: Say what is predicted; see :func:`foretells`.
        cutoff: Only orders before it are read.
        people: Profile ids.

    Returns:
        0 to 1 under the ids; None where there are too few orders for any rule.
    """
    zone = context.config.project.timezone
    day = (cutoff.astimezone(context.config.project.zone).date() - date(1970, 1, 1)).days
    reader = context.warehouse.batches(
        "SELECT o.profile_id AS profile_id,"
        f" days_between(TIMESTAMP '1970-01-01 00:00:00', to_local(o.ordered_at, {literal(zone)}))"
        " AS day, CAST(coalesce(o.net_revenue, 0) AS DOUBLE) AS amount"
        f" FROM clean_orders AS o WHERE o.ordered_at < {literal(cutoff)}"
    )
    rows = pa.Table.from_batches(list(reader), reader.schema).sort_by(
        [("profile_id", "ascending"), ("day", "ascending"), ("amount", "ascending")]
    )
    try:
        orders = Transactions.of(
            rows["profile_id"].to_numpy(), rows["day"].to_numpy(), rows["amount"].to_numpy()
        )
        known = observe(orders, day - 1)
        model, _ = fit_or_rule(known.histories, Family.MBG)
    except InsufficientDataError:
        return None
    absent = settings.predict.none_within is not None
    n = 1 if absent else settings.predict.at_least or 1
    window = settings.predict_window.days
    buys = pd.Series(p_at_least(model, known.histories, window, n), orders.ids[known.index])
    buys = buys.reindex(people).fillna(0.0).clip(0.0, 1.0)
    return 1.0 - buys if absent else buys
