"""Lifetime value: contenders are backtested on the shop's own past, and the winner is fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.config.models import ClvModel as Settings
from connector.errors import InsufficientDataError
from connector.models.card import Gate, ModelCard, ScoreColumn
from connector.models.clv import backtest, model, two_stage
from connector.models.clv.backtest import Accuracy, Choice, Target, Window
from connector.models.clv.card import trials
from connector.models.clv.histories import Floats
from connector.models.clv.model import ClvSpec
from connector.models.clv.purchase_fit import Family
from connector.models.clv.scores import ValueScores, columns
from connector.models.clv.transactions import Customers, Transactions, observe, outcome
from connector.models.clv.value import Horizon, Tier
from connector.models.propensity.model import Cuts
from connector.pipeline.scoring.context import ScoringContext, load_frame
from connector.pipeline.scoring.kinds import Fitted, Kind
from connector.pipeline.scoring.transactions import (
    EPOCH,
    margins,
    observed_to,
    read_transactions,
)

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


def _fit(
    context: ScoringContext, name: str, settings: Settings, _before: ValueScores | None
) -> Fitted:
    transactions = read_transactions(context, name, settings)
    last_day = observed_to(context)
    windows = holdouts(transactions, settings, last_day)
    accuracies, refused = try_contenders(context, name, settings, transactions, windows)
    choice = choose(settings, accuracies)
    chosen = choice.name or _least_wrong(accuracies)
    customers = observe(transactions, last_day)
    spec = _spec(name, settings, FAMILIES.get(chosen, Family.MBG))
    told = trials(accuracies, BASELINES)
    fitted: model.ClvModel | model.TwoStageClvModel
    if chosen == TREES:
        day = last_day - settings.horizon.days
        features = _tree_features(context, name, settings)
        then = observe(transactions, day)
        happened = outcome(
            transactions,
            then,
            after_day=day,
            n_days=settings.horizon.days,
            annual_discount_rate=float(settings.discount_rate),
        )
        fitted = model.fit_two_stage(
            spec,
            then,
            features,
            _matrix(context, features, transactions, then, _instant(context, day + 1)),
            happened.value,
            context.rng(name),
            as_of=context.as_of,
            n_rows=int(transactions.day.size),
            trials=told,
        )
        expected = fitted.predict(
            _matrix(context, features, transactions, customers, context.as_of)
        ).expected
    else:
        fitted = model.fit(
            spec,
            customers,
            as_of=context.as_of,
            n_rows=int(transactions.day.size),
            trials=told,
        )
        expected = fitted.predict(customers.histories, customers.mean_value).expected
    card = ModelCard(
        name=name,
        kind="clv",
        algorithm=chosen,
        as_of=context.as_of.astimezone(UTC),
        n_people=len(customers),
        data_from=datetime.combine(
            EPOCH + timedelta(days=int(customers.first_day.min())), time(), UTC
        ),
        features=tuple(fitted.card.features),
        metrics=_measures(accuracies[chosen]),
        baselines={b: _measures(accuracies[b]) for b in BASELINES},
        candidates={a: _measures(accuracies[a]) for a in settings.algorithms if a in accuracies},
        gates=_gates(settings, choice, chosen),
        notes=tuple(
            note
            for note in (
                *_notes(settings, windows, refused, fitted.card.notes),
                margins(context, name).note if settings.value == "margin" else "",
            )
            if note
        ),
    )
    return Fitted(ValueScores(fitted, Cuts.fit(expected), settings.scores, card))


def _score(
    context: ScoringContext, name: str, settings: Settings, scores: ValueScores, output: str
) -> None:
    transactions = read_transactions(context, name, settings)
    last_day = observed_to(context)
    customers = observe(transactions, last_day)
    if isinstance(scores.model, model.ClvModel):
        values = scores.model.predict(customers.histories, customers.mean_value)
    else:
        features = scores.model.trees.features
        values = scores.model.predict(
            _matrix(context, features, transactions, customers, context.as_of)
        )
    index = pd.Index(transactions.ids[customers.index], name="profile_id")
    table = scores.table(values, index, EPOCH + timedelta(days=last_day))
    load_frame(context.warehouse, output, table.add_prefix(f"{name}."))


def _columns(settings: Settings) -> tuple[ScoreColumn, ...]:
    return columns(settings.scores, settings.horizon.days, settings.value, tuple(settings.tiers))


KIND = Kind(fit=_fit, score=_score, columns=_columns)


# ---------------------------------------------------------------------- data
def _instant(context: ScoringContext, day: int) -> datetime:
    """The first instant of a day in the project's time zone."""
    zone = context.config.project.zone
    return datetime.combine(EPOCH + timedelta(days=day), time(), zone).astimezone(UTC)


def _tree_features(context: ScoringContext, name: str, settings: Settings) -> tuple[str, ...]:
    return context.model_inputs(settings.features, f"models.{name}.features")


def _matrix(
    context: ScoringContext,
    features: Sequence[str],
    transactions: Transactions,
    customers: Customers,
    as_of: datetime,
) -> Floats:
    """Features of the customers as of an instant, in their order."""
    relation = "features" if as_of == context.as_of else context.features_at(as_of)
    frame = context.frame(features, relation=relation)
    ids = transactions.ids[customers.index]
    matrix: npt.NDArray[np.float64] = frame.reindex(ids).to_numpy(dtype=np.float64)
    return matrix


def _spec(name: str, settings: Settings, family: Family) -> ClvSpec:
    return ClvSpec(
        name=name,
        value=settings.value,
        horizon=Horizon(settings.horizon.days, float(settings.discount_rate)),
        family=family,
        tiers=tuple(Tier(tier, share) for tier, share in settings.tiers.items()),
    )


# ---------------------------------------------------------------------- backtest
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
            f"No algorithm of {name} can be fitted: {' '.join(refused.values())}",
            hint="Choose another horizon, or wait for more history.",
        )
    return found, refused


def _parametric(settings: Settings, family: Family) -> backtest.Contender:
    def predict(transactions: Transactions, customers: Customers, window: Window) -> Floats:
        spec = _spec("backtest", settings, family)
        spec = replace(spec, horizon=Horizon(window.n_days, float(settings.discount_rate)))
        at = datetime.combine(EPOCH + timedelta(days=window.end_day), time(), UTC)
        fitted = model.fit(spec, customers, as_of=at, n_rows=int(transactions.day.size))
        return fitted.predict(customers.histories, customers.mean_value).expected

    return predict


def _trees(context: ScoringContext, name: str, settings: Settings) -> backtest.Contender:
    features = _tree_features(context, name, settings)

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
        trees = two_stage.fit(
            features,
            _matrix(context, features, transactions, then, _instant(context, day + 1)),
            happened.value,
            context.rng(name),
        )
        now = _instant(context, window.end_day + 1)
        return trees.predict(_matrix(context, features, transactions, customers, now)).expected

    return predict


def choose(settings: Settings, accuracies: Mapping[str, Sequence[Accuracy]]) -> Choice:
    """The winner, or why nobody may be published."""
    bound = settings.publish_if.total_error_at_most
    return backtest.choose(
        accuracies,
        BASELINES,
        total_error_at_most=TOTAL_ERROR_AT_MOST if bound is None else bound,
    )


def _least_wrong(accuracies: Mapping[str, Sequence[Accuracy]]) -> str:
    able = [name for name in accuracies if name not in BASELINES]
    return min(able, key=lambda name: float(np.mean([one.rmse for one in accuracies[name]])))


def _measures(windows: Sequence[Accuracy]) -> dict[str, float]:
    return {
        "mae": float(np.mean([one.mae for one in windows])),
        "rmse": float(np.mean([one.rmse for one in windows])),
        "total_error": float(np.mean([one.bias_share for one in windows])),
        "correlation": float(np.mean([one.correlation for one in windows])),
    }


def _gates(settings: Settings, choice: Choice, chosen: str) -> tuple[Gate, ...]:
    required = f"beats {', '.join(BASELINES)} in squared error, and the total holds"
    if choice.name is not None:
        return (Gate("backtest", required, "holds", passed=True),)
    return (Gate("backtest", required, f"{chosen}: {choice.refusals[chosen]}", passed=False),)


def _notes(
    settings: Settings,
    windows: Sequence[Window],
    refused: Mapping[str, str],
    notes: Sequence[str],
) -> list[str]:
    days = windows[0].n_days
    found = [f"Tried on {len(windows)} window(s) of {days} days that the fits had not seen."]
    if days < settings.horizon.days:
        found.append(f"The history is too short to try a horizon of {settings.horizon.days} days.")
    found += [f"{algorithm} could not be tried: {why}" for algorithm, why in refused.items()]
    return [*found, *notes]
