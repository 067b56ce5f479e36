"""Lifetime value: contenders are backtested on the shop's own past, and the winner is fitted.

Where no model can be fitted at all (three customers, nobody who came back), a rule stands in: the
pooled rate of repeats times the pooled spend, each drawn towards the person's own. It is called a
rule wherever it is shown, is tried no window, and gives way to the first model that can be fitted;
a model that was published before stays instead. A model that can be fitted and fails its gates is
never replaced by the rule: those gates were set to keep bad numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from statistics import fmean

import pandas as pd

from connector.config.models import ClvModel as Settings
from connector.errors import InsufficientDataError
from connector.models.card import Gate, ModelCard, ScoreColumn
from connector.models.clv import model, purchase_fit
from connector.models.clv.backtest import Accuracy, Choice, Window
from connector.models.clv.card import trials
from connector.models.clv.purchases import PooledRate
from connector.models.clv.scores import ValueScores, columns
from connector.models.clv.transactions import Customers, Transactions, observe, outcome
from connector.models.propensity.model import Cuts
from connector.numbers import several
from connector.pipeline.scoring.context import ScoringContext, load_frame
from connector.pipeline.scoring.kinds import Fitted, Kind
from connector.pipeline.scoring.transactions import (
    EPOCH,
    margins,
    observed_to,
    read_transactions,
)
from connector.pipeline.scoring.value_trials import (
    BASELINES,
    TREES,
    by_error,
    choose,
    customer_features,
    family_of,
    holdouts,
    instant_of,
    spec_of,
    tree_features,
    try_contenders,
    values_of,
)
from connector.report import model_words

RULE = "pooled_rule"
"""What stands in where no model can be fitted."""


def _fit(
    context: ScoringContext, name: str, settings: Settings, before: ValueScores | None
) -> Fitted:
    try:
        return _model(context, name, settings)
    except InsufficientDataError as problem:
        if before is not None and not before.card.rule:
            raise
        return _rule(context, name, settings, problem)


def _model(context: ScoringContext, name: str, settings: Settings) -> Fitted:
    """The winner of the backtest.

    Raises:
        InsufficientDataError: There is no window, no algorithm can be fitted, or nobody wins and
            not even the least wrong of them is more than a rule.
    """
    transactions = read_transactions(context, name, settings)
    last_day = observed_to(context)
    windows = holdouts(transactions, settings, last_day)
    accuracies, refused = try_contenders(context, name, settings, transactions, windows)
    choice = choose(settings, accuracies)
    customers = observe(transactions, last_day)
    notes = _tried(settings, windows, refused)
    # Where nobody wins, the least wrong that can be fitted is what is refused by its gates: a rule
    # must not be published in the place of models that were tried and lost.
    ranked = [choice.name] if choice.name else by_error(accuracies)
    parametric = {
        algorithm: model.fit(
            spec_of(name, settings, family_of(settings, algorithm)),
            customers,
            as_of=context.as_of,
            n_rows=int(transactions.day.size),
            trials=trials(accuracies, BASELINES),
        )
        for algorithm in ranked
        if algorithm != TREES
    }
    chosen = next((n for n in ranked if n == TREES or not _is_rule(parametric[n])), ranked[0])
    fitted: model.ClvModel | model.TwoStageClvModel
    if chosen == TREES:
        fitted, noted = _trees(context, name, settings, transactions, customers, accuracies)
        notes += noted
        expected = fitted.predict(
            customer_features(
                context, fitted.inputs.features, transactions, customers, context.as_of
            )
        ).expected
        rule = ""
    else:
        fitted = parametric[chosen]
        expected = fitted.predict(customers.histories, customers.mean_value).expected
        notes += fitted.card.notes
        rule = fitted.card.notes[0] if _is_rule(fitted) else ""
        if rule and choice.name is None:
            raise InsufficientDataError(rule)
    card = ModelCard(
        name=name,
        kind="clv",
        algorithm=RULE if rule else chosen,
        as_of=context.as_of.astimezone(UTC),
        n_people=len(customers),
        data_from=_first_day(customers),
        features=tuple(fitted.card.features),
        metrics=_measures(accuracies[chosen]),
        baselines={b: _measures(accuracies[b]) for b in BASELINES},
        candidates={a: _measures(accuracies[a]) for a in settings.algorithms if a in accuracies},
        gates=_gates(settings, choice, chosen),
        notes=(*notes, *_unknown_margins(context, name, settings)),
        rule=rule,
        n_rows=int(transactions.day.size),
    )
    return Fitted(ValueScores(fitted, Cuts.fit(expected), settings.scores, card))


def _is_rule(fitted: model.ClvModel) -> bool:
    """Whether no model of purchases could be fitted, so that a rule answers."""
    return isinstance(fitted.purchases, PooledRate)


def _trees(
    context: ScoringContext,
    name: str,
    settings: Settings,
    transactions: Transactions,
    customers: Customers,
    accuracies: Mapping[str, Sequence[Accuracy]],
) -> tuple[model.TwoStageClvModel, list[str]]:
    """The two-stage model, a model of purchases beside it, and what a person should know of that.

    It learns from the last whole horizon: features at its beginning, value in it.
    """
    day = customers.end_day - settings.horizon.days
    features = tree_features(context, name, settings)
    then = observe(transactions, day)
    happened = outcome(
        transactions,
        then,
        after_day=day,
        n_days=settings.horizon.days,
        annual_discount_rate=float(settings.discount_rate),
    )
    family = family_of(settings, TREES)
    purchases, refused = purchase_fit.fit_or_rule(customers.histories, family)
    fitted = model.fit_two_stage(
        spec_of(name, settings, family),
        then,
        customer_features(context, features, transactions, then, instant_of(context, day + 1)),
        happened.value,
        context.rng(name),
        as_of=context.as_of,
        n_rows=int(transactions.day.size),
        trials=trials(accuracies, BASELINES),
        purchases=purchases,
        missing=context.missing,
    )
    told = (
        "Trees do not tell who is active still, how many orders come and when the next does;"
        f" that is told by a {purchases.name} model of purchases beside them."
    )
    if refused:
        told += f" (No {family.value} model: {refused} The rule knows of nobody who has left.)"
    return fitted, [told, *fitted.card.notes]


def _rule(
    context: ScoringContext, name: str, settings: Settings, problem: InsufficientDataError
) -> Fitted:
    """The rule that stands in where no model can be fitted, and why it does.

    Raises:
        InsufficientDataError: There is not even enough for the rule.
    """
    transactions = read_transactions(context, name, settings)
    customers = observe(transactions, observed_to(context))
    try:
        fitted = model.rule(
            spec_of(name, settings, family_of(settings, RULE)),
            customers,
            as_of=context.as_of,
            n_rows=int(transactions.day.size),
        )
    except InsufficientDataError as least:
        raise InsufficientDataError(
            f"{problem.message} There is no rule in its place either: {least.message}",
            hint=problem.hint,
        ) from least
    expected = fitted.predict(customers.histories, customers.mean_value).expected
    why = (
        "A rule stands in for a model: everybody's rate of repeat orders and spend, each drawn"
        f" towards the person's own; nobody is taken to have left. {problem.message}"
    )
    card = ModelCard(
        name=name,
        kind="clv",
        algorithm=RULE,
        as_of=context.as_of.astimezone(UTC),
        n_people=len(customers),
        data_from=_first_day(customers),
        features=tuple(fitted.card.features),
        notes=(why, *_unknown_margins(context, name, settings)),
        rule=why,
    )
    return Fitted(ValueScores(fitted, Cuts.fit(expected), settings.scores, card))


def _score(
    context: ScoringContext, name: str, settings: Settings, scores: ValueScores, output: str
) -> None:
    transactions = read_transactions(context, name, settings)
    last_day = observed_to(context)
    customers = observe(transactions, last_day)
    values = values_of(context, scores, transactions, customers)
    index = pd.Index(transactions.ids[customers.index], name="profile_id")
    table = scores.table(values, index, EPOCH + timedelta(days=last_day))
    load_frame(context.warehouse, output, table.add_prefix(f"{name}."))


def _columns(settings: Settings) -> tuple[ScoreColumn, ...]:
    return columns(settings.scores, settings.horizon.days, settings.value, tuple(settings.tiers))


KIND = Kind(fit=_fit, score=_score, columns=_columns)


# ---------------------------------------------------------------------- the card
def _first_day(customers: Customers) -> datetime:
    return datetime.combine(EPOCH + timedelta(days=int(customers.first_day.min())), time(), UTC)


def _measures(windows: Sequence[Accuracy]) -> dict[str, float]:
    """Means over the windows; the error of a total of nothing is no number and left out."""
    found = {
        "mae": fmean(one.mae for one in windows),
        "rmse": fmean(one.rmse for one in windows),
        "total_error": fmean(one.bias_share for one in windows),
        "correlation": fmean(one.correlation for one in windows),
    }
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _gates(settings: Settings, choice: Choice, chosen: str) -> tuple[Gate, ...]:
    rivals = " and ".join(
        f"\u201c{model_words.rule(name)}\u201d" for name in settings.publish_if.beats
    )
    required = f"a smaller squared error than {rivals}, and " * bool(rivals)
    required += "a total about right"
    named = model_words.algorithm(chosen)
    if choice.name is not None:
        return (Gate("backtest", required, f"{named} has it", passed=True),)
    why = choice.refusals[chosen].rstrip(".")
    return (Gate("backtest", required, f"{named}: {why[:1].lower()}{why[1:]}", passed=False),)


def _tried(settings: Settings, windows: Sequence[Window], refused: Mapping[str, str]) -> list[str]:
    days = windows[0].n_days
    tried = several(len(windows), "window")
    found = [f"Tried on {tried} of {days} days that the fits had not seen."]
    if days < settings.horizon.days:
        found.append(f"The history is too short to try a horizon of {settings.horizon.days} days.")
    found += [f"{algorithm} could not be tried: {why}" for algorithm, why in refused.items()]
    return found


def _unknown_margins(context: ScoringContext, name: str, settings: Settings) -> tuple[str, ...]:
    note = margins(context, name).note if settings.value == "margin" else ""
    return (note,) if note else ()
