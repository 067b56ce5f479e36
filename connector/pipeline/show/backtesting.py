"""Backtests on request: every contender for lifetime value, window by window, and who wins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connector.config.models import ClvModel
from connector.config.problems import did_you_mean
from connector.errors import ConfigError, InsufficientDataError

if TYPE_CHECKING:
    from connector.pipeline.project import Project
    from connector.pipeline.understand.act import Understanding


@dataclass(frozen=True, slots=True)
class Result:
    """One contender in one window.

    Attributes:
        name: Algorithm or naive rule.
        is_rule: Whether it is a naive one.
        people: Customers predicted.
        mae, rmse: Error of a person, currency.
        actual, predicted: Totals, currency.
        bias: Predicted total over the actual one, minus 1; None where nothing happened.
        correlation: Of prediction and outcome.
    """

    name: str
    is_rule: bool
    people: int
    mae: float
    rmse: float
    actual: float
    predicted: float
    bias: float | None
    correlation: float


@dataclass(frozen=True, slots=True)
class WindowResult:
    """One holdout: known up to its first day, held against what came in it."""

    first_day: date
    last_day: date
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class DemandPart:
    """How well the orders of one category, or of one segment, were foretold.

    Attributes:
        name: Of the category or the segment.
        actual: Orders that came, of all windows.
        wape: Absolute errors over them; None where none came.
        wape_last_period: The same for as many as in the last period of equal length.
    """

    name: str
    actual: float
    wape: float | None
    wape_last_period: float | None


@dataclass(frozen=True, slots=True)
class DemandResult:
    """How well orders by category were foretold in the same windows.

    Attributes:
        n_categories: Categories that anybody bought.
        wape: Absolute errors of all categories over the orders that came.
        wape_last_period: The same for as many as in the last period of equal length.
        total_error: Orders foretold over those that came, minus 1.
        worst: The busy category that was foretold worst.
        categories: Of everybody, busiest first.
        segments: All orders of the people who would have been in each, as in the file.
        untried: Segments that nobody can form in the past, as they read other models' scores.
    """

    n_categories: int
    wape: float
    wape_last_period: float
    total_error: float
    worst: str
    categories: tuple[DemandPart, ...] = ()
    segments: tuple[DemandPart, ...] = ()
    untried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClvBacktest:
    """The backtest of one lifetime value model.

    Attributes:
        model: Its name.
        value: ``margin`` or ``net_revenue``.
        windows: Oldest first.
        chosen: The winner; None where nobody may be published.
        why: Why it won, or why nobody did.
        refusals: Why each of the others may not be published, or could not be tried.
        demand: Orders by category; None where orders hold no category.
    """

    model: str
    value: str
    windows: tuple[WindowResult, ...]
    chosen: str | None
    why: str
    refusals: Mapping[str, str]
    demand: DemandResult | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        document = asdict(self)
        for window in document["windows"]:
            for name in ("first_day", "last_day"):
                window[name] = window[name].isoformat()
        return document


def backtest_clv(
    project: Project, *, model: str | None = None, as_of: datetime | None = None
) -> tuple[ClvBacktest, ...]:
    """Try every contender for lifetime value on the shop's own past; nothing is stored.

    Args:
        project: The project.
        model: Name of a model; all of the file by default.
        as_of: Overrides the file's instant.

    Raises:
        ConfigError: The file has no such model.
        InsufficientDataError: The history is too short for any holdout.
    """
    known = {
        name: settings
        for name, settings in project.config.models.named()
        if isinstance(settings, ClvModel)
    }
    if model is not None and model not in known:
        raise ConfigError(
            f"models: there is no lifetime value model {model!r}.",
            hint=did_you_mean(model, known) or "Its type is clv.",
        )
    if not known:
        raise ConfigError(
            "models: there is no lifetime value model.", hint="Add one of type clv to the file."
        )
    with project.workspace() as warehouse:
        found = project.understand(warehouse, as_of=as_of)
        return tuple(
            _tried(found, name, settings)
            for name, settings in known.items()
            if model in (None, name)
        )


def _tried(run: Understanding, name: str, settings: ClvModel) -> ClvBacktest:
    from connector.pipeline.scoring import transactions as orders
    from connector.pipeline.scoring import value_trials as trials

    context = run.context
    transactions = orders.read_transactions(context, name, settings)
    last_day = orders.observed_to(context)
    windows = trials.holdouts(transactions, settings, last_day)
    found, untried = trials.try_contenders(context, name, settings, transactions, windows)
    choice = trials.choose(settings, found)
    order = [one for one in (*settings.algorithms, *trials.BASELINES) if one in found]
    made = []
    for i, window in enumerate(windows):
        results = tuple(
            Result(
                name=one,
                is_rule=one in trials.BASELINES,
                people=found[one][i].n_customers,
                mae=found[one][i].mae,
                rmse=found[one][i].rmse,
                actual=found[one][i].actual_total,
                predicted=found[one][i].predicted_total,
                bias=found[one][i].bias_share if found[one][i].actual_total else None,
                correlation=found[one][i].correlation,
            )
            for one in order
        )
        first = orders.EPOCH + timedelta(days=window.end_day + 1)
        made.append(WindowResult(first, first + timedelta(days=window.n_days - 1), results))
    why = "Nobody passes, so no new model is published."
    if choice.name is not None:
        why = "The smallest squared error of those whose total holds and who beat every naive rule."
    return ClvBacktest(
        name,
        settings.value,
        tuple(made),
        choice.name,
        why,
        {**choice.refusals, **untried},
        _demand(run, name, settings, choice.name or trials.least_wrong(found)),
    )


def _demand(
    run: Understanding, name: str, settings: ClvModel, algorithm: str
) -> DemandResult | None:
    from connector.pipeline.scoring import demand

    scores: Any = run.scores.models.get(name)
    try:
        tried, untried = demand.backtest(
            run.context, name, settings, scores, run.segments, algorithm=algorithm
        )
    except InsufficientDataError:
        return None
    errors = tried.errors
    busy = errors[errors["actual"] >= errors["actual"].median()]
    parts = tried.by_part
    whole = parts[parts["segment"].notna() & parts["category"].isna()].set_index("segment")
    return DemandResult(
        n_categories=len(errors),
        wape=tried.wape(),
        wape_last_period=tried.wape("last_period"),
        total_error=tried.total_error(),
        worst=str(busy.sort_values(["wape", "category"])["category"].iloc[-1]),
        categories=tuple(_part(row["category"], row) for row in errors.to_dict("records")),
        segments=tuple(
            _part(segment.name, whole.loc[segment.name].to_dict())
            for segment in run.segments
            if segment.name in whole.index
        ),
        untried=untried,
    )


def _part(name: str, row: Mapping[Any, Any]) -> DemandPart:
    errors = (float(row[column]) for column in ("wape", "wape_last_period"))
    return DemandPart(
        name, float(row["actual"]), *(None if math.isnan(one) else one for one in errors)
    )
