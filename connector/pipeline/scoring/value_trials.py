"""The contenders for lifetime value, tried on the shop's own past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pandas as pd

from connector.config.models import ClvModel as Settings
from connector.errors import InsufficientDataError
from connector.models.clv import backtest, model, two_stage
from connector.models.clv.backtest import Accuracy, Choice, Target, Window
from connector.models.clv.histories import Floats
from connector.models.clv.model import ClvSpec
from connector.models.clv.purchase_fit import Family
from connector.models.clv.scores import ValueScores
from connector.models.clv.transactions import Customers, Transactions, observe, outcome
from connector.models.clv.value import Horizon, LifetimeValues, Tier
from connector.models.inputs import fit_inputs
from connector.pipeline.scoring.context import ScoringContext
from connector.pipeline.scoring.transactions import EPOCH, observed_to

LAST_YEAR, ZERO = "last_365d_value", "zero"
BASELINES = (LAST_YEAR, ZERO)

FAMILIES = {
    "bg_nbd_gamma_gamma": Family.BG,
    "mbg_nbd_gamma_gamma": Family.MBG,
    "pareto_nbd_gamma_gamma": Family.PARETO,
}
TREES = "two_stage_gbm"

SHORTEST_HOLDOUT_DAYS = 28
TOTAL_ERROR_AT_MOST = 0.5
"""Of the total, where the file sets no bound: a model further off is no better than a guess."""


def family_of(settings: Settings, algorithm: str) -> Family:
    """The model of purchases of an algorithm; of the trees, the first that the file lists beside.

    Args:
        settings: Of the model.
        algorithm: Such as the winner's.
    """
    listed = [FAMILIES[one] for one in settings.algorithms if one in FAMILIES]
    return FAMILIES.get(algorithm, listed[0] if listed else Family.MBG)


def holdouts(transactions: Transactions, settings: Settings, last_day: int) -> tuple[Window, ...]:
    """The windows to try contenders in: the horizon, or a third of a shorter history.

    Raises:
        InsufficientDataError: The history is too short for any.
    """
    history = last_day - int(transactions.day.min())
    length = min(settings.horizon.days, history // 3)
    if length < SHORTEST_HOLDOUT_DAYS:
        raise InsufficientDataError(
            f"{history} days of orders are too few to try a value model on.",
            hint=f"It takes {3 * SHORTEST_HOLDOUT_DAYS} days at least.",
        )
    step = max(length // 4, 1)
    room = 1 + max(0, (history - 2 * length) // step)
    n = min(settings.publish_if.backtest_windows, room)
    latest = min(last_day, int(transactions.day.max()))
    return backtest.last_windows(latest, length, n, step)


def try_contenders(
    context: ScoringContext,
    name: str,
    settings: Settings,
    transactions: Transactions,
    windows: Sequence[Window],
) -> tuple[dict[str, tuple[Accuracy, ...]], dict[str, str]]:
    """How every algorithm of the file and every naive rule would have done.

    Returns:
        Contender -> its accuracy in each window; and algorithm -> why it could not be tried.

    Raises:
        InsufficientDataError: None could.
    """
    rate = float(settings.discount_rate)
    naive: dict[str, backtest.Contender] = {
        LAST_YEAR: backtest.predict_last_year,
        ZERO: backtest.predict_zero,
    }
    found = backtest.backtest(transactions, windows, naive, Target.VALUE, annual_discount_rate=rate)
    refused: dict[str, str] = {}
    for algorithm in settings.algorithms:
        contender = (
            _trees(context, name, settings)
            if algorithm == TREES
            else _parametric(settings, FAMILIES[algorithm])
        )
        context.progress(f"trying {algorithm} for {name}")
        try:
            found |= backtest.backtest(
                transactions,
                windows,
                {algorithm: contender},
                Target.VALUE,
                annual_discount_rate=rate,
            )
        except InsufficientDataError as problem:
            refused[algorithm] = problem.message
    if len(found) == len(naive):
        raise InsufficientDataError(
            f"No algorithm of {name} can be fitted: {' '.join(dict.fromkeys(refused.values()))}",
            hint="Choose another horizon, or wait for more history.",
        )
    return found, refused


def _parametric(settings: Settings, family: Family) -> backtest.Contender:
    def predict(transactions: Transactions, customers: Customers, window: Window) -> Floats:
        spec = spec_of("backtest", settings, family)
        spec = replace(spec, horizon=Horizon(window.n_days, float(settings.discount_rate)))
        at = datetime.combine(EPOCH + timedelta(days=window.end_day), time(), UTC)
        fitted = model.fit(spec, customers, as_of=at, n_rows=int(transactions.day.size))
        return fitted.predict(customers.histories, customers.mean_value).expected

    return predict


def _trees(context: ScoringContext, name: str, settings: Settings) -> backtest.Contender:
    features = tree_features(context, name, settings)

    def predict(transactions: Transactions, customers: Customers, window: Window) -> Floats:
        # Learnt from the window before: features then, value since.
        day = window.end_day - window.n_days
        then = observe(transactions, day)
        happened = outcome(
            transactions,
            then,
            after_day=day,
            n_days=window.n_days,
            annual_discount_rate=float(settings.discount_rate),
        )
        past = customer_features(
            context, features, transactions, then, instant_of(context, day + 1)
        )
        inputs = fit_inputs(past, context.missing)
        trees = two_stage.fit(inputs.names, inputs.matrix(past), happened.value, context.rng(name))
        now = instant_of(context, window.end_day + 1)
        present = customer_features(context, features, transactions, customers, now)
        return trees.predict(inputs.matrix(present)).expected

    return predict


def choose(settings: Settings, accuracies: Mapping[str, Sequence[Accuracy]]) -> Choice:
    """The winner, or why nobody may be published."""
    bound = settings.publish_if.total_error_at_most
    return backtest.choose(
        accuracies,
        BASELINES,
        total_error_at_most=TOTAL_ERROR_AT_MOST if bound is None else bound,
        beats=settings.publish_if.beats,
    )


def by_error(accuracies: Mapping[str, Sequence[Accuracy]]) -> list[str]:
    """The algorithms by their squared error, the least wrong first, whoever may be published."""
    able = [name for name in accuracies if name not in BASELINES]
    return sorted(able, key=lambda name: float(np.mean([one.rmse for one in accuracies[name]])))


def least_wrong(accuracies: Mapping[str, Sequence[Accuracy]]) -> str:
    """The algorithm of the smallest squared error, whoever may be published."""
    return by_error(accuracies)[0]


def instant_of(context: ScoringContext, day: int) -> datetime:
    """The first instant of a day in the project's time zone."""
    zone = context.config.project.zone
    return datetime.combine(EPOCH + timedelta(days=day), time(), zone).astimezone(UTC)


def tree_features(context: ScoringContext, name: str, settings: Settings) -> tuple[str, ...]:
    """What the trees read."""
    return context.model_inputs(settings.features, f"models.{name}.features")


def customer_features(
    context: ScoringContext,
    features: Sequence[str],
    transactions: Transactions,
    customers: Customers,
    as_of: datetime,
) -> pd.DataFrame:
    """Features of the customers as of an instant, in their order."""
    relation = "features" if as_of == context.as_of else context.features_at(as_of)
    frame = context.frame(features, relation=relation)
    return frame.reindex(transactions.ids[customers.index])


def spec_of(name: str, settings: Settings, family: Family) -> ClvSpec:
    """What the file says of a model, for the models' own steps."""
    return ClvSpec(
        name=name,
        value=settings.value,
        horizon=Horizon(settings.horizon.days, float(settings.discount_rate)),
        family=family,
        tiers=tuple(Tier(tier, share) for tier, share in settings.tiers.items()),
    )


def values_of(
    context: ScoringContext, scores: ValueScores, transactions: Transactions, customers: Customers
) -> LifetimeValues:
    """What a fitted model says of customers, as of the end of their observation."""
    if isinstance(scores.model, model.ClvModel):
        return scores.model.predict(customers.histories, customers.mean_value)
    today = customers.end_day == observed_to(context)
    at = context.as_of if today else instant_of(context, customers.end_day + 1)
    frame = customer_features(context, scores.model.inputs.features, transactions, customers, at)
    return scores.model.predict(frame, customers.histories)
