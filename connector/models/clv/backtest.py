"""Backtests: predict from what was known at a past day, and hold it against what came after.

**The rule of choice** (:func:`choose`). A contender qualifies when the total that it predicts is
within ``total_error_at_most`` of the actual total, on the mean of the windows, and its squared
error is smaller than that of every naive baseline that is named; among those who qualify, the
smallest squared error wins. Nobody qualifying, nobody is chosen, and the reasons are told.

Why squared and not absolute error: the mean minimises the one, the median the other, and most
customers do not come back. On the CDNOW sample "predict zero" has a mean absolute error of .80, at
a bias of -100 %, beside .79 of a BG/NBD that is right on the total within 12 %. Absolute error and
correlation are reported, and decide nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from connector.errors import ModelError
from connector.models.clv.histories import Floats
from connector.models.clv.transactions import Customers, Transactions, observe, outcome


@dataclass(frozen=True, slots=True)
class Window:
    """A holdout: what is known ends with one day, and the days after it are predicted.

    Attributes:
        end_day: Last day that may be known.
        n_days: Length of the holdout.
    """

    end_day: int
    n_days: int


class Target(enum.StrEnum):
    """What is predicted of each customer."""

    PURCHASES = "purchases"
    VALUE = "value"


Contender = Callable[[Transactions, Customers, Window], Floats]
"""Predicts the target of each customer; must read no row after ``window.end_day``."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How good predictions were in one window.

    Attributes:
        n_customers: Customers predicted.
        actual_total, predicted_total: Sums over them, in purchases or currency.
        mae: Mean absolute error of a customer.
        rmse: Root of the mean squared error of a customer.
        correlation: Pearson's; 0 where nothing varies.
    """

    n_customers: int
    actual_total: float
    predicted_total: float
    mae: float
    rmse: float
    correlation: float

    @property
    def bias_share(self) -> float:
        """Predicted total over the actual one, minus 1; infinite if nothing happened."""
        if self.actual_total == 0:
            return 0.0 if self.predicted_total == 0 else float("inf")
        return self.predicted_total / self.actual_total - 1.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome of :func:`choose`.

    Attributes:
        name: The winner; None when nobody qualifies.
        refusals: Why each of the others may not be published, by name.
    """

    name: str | None
    refusals: Mapping[str, str]


def accuracy(predicted: Floats, actual: Floats) -> Accuracy:
    """Compare predictions with what happened, one position a customer.

    Raises:
        ModelError: There is nobody, the lengths differ, or a prediction is not a number.
    """
    if predicted.shape != actual.shape or not actual.size:
        raise ModelError(
            f"{predicted.size} predictions cannot be held against {actual.size} customers."
        )
    if not np.isfinite(predicted).all():
        raise ModelError(
            f"{int((~np.isfinite(predicted)).sum())} predictions are missing or infinite."
        )
    error = predicted - actual
    varies = bool(np.ptp(predicted) and np.ptp(actual))
    return Accuracy(
        n_customers=int(actual.size),
        actual_total=float(actual.sum()),
        predicted_total=float(predicted.sum()),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        correlation=float(np.corrcoef(predicted, actual)[0, 1]) if varies else 0.0,
    )


def last_windows(last_day: int, n_days: int, n_windows: int, step_days: int) -> tuple[Window, ...]:
    """Holdouts that end on the last day and at steps before it, oldest first."""
    return tuple(
        Window(last_day - n_days - step_days * i, n_days) for i in reversed(range(n_windows))
    )


def backtest(
    transactions: Transactions,
    windows: Sequence[Window],
    contenders: Mapping[str, Contender],
    target: Target,
    *,
    annual_discount_rate: float = 0.0,
) -> dict[str, tuple[Accuracy, ...]]:
    """Accuracy of every contender in every window, among the customers known at its start.

    Args:
        transactions: Of the shop, reaching to the end of the last window.
        windows: Holdouts.
        contenders: Models and baselines by name; each is fitted anew within its call.
        target: What they predict.
        annual_discount_rate: Of the actual values, as the contenders discount theirs.

    Raises:
        ModelError: The transactions end before a window does.
    """
    last_day = int(transactions.day.max()) if transactions.day.size else 0
    results: dict[str, list[Accuracy]] = {name: [] for name in contenders}
    for window in windows:
        if window.end_day + window.n_days > last_day:
            raise ModelError(
                f"The transactions end on day {last_day}, before the holdout of {window.n_days}"
                f" days after day {window.end_day} does.",
                hint="Choose an earlier or a shorter holdout.",
            )
        customers = observe(transactions, window.end_day)
        happened = outcome(
            transactions,
            customers,
            after_day=window.end_day,
            n_days=window.n_days,
            annual_discount_rate=annual_discount_rate,
        )
        actual = happened.purchases if target is Target.PURCHASES else happened.value
        for name, contender in contenders.items():
            results[name].append(accuracy(contender(transactions, customers, window), actual))
    return {name: tuple(found) for name, found in results.items()}


def choose(
    results: Mapping[str, Sequence[Accuracy]],
    baselines: Collection[str],
    *,
    total_error_at_most: float,
    beats: Collection[str] | None = None,
) -> Choice:
    """Apply the rule of choice that the module states.

    Args:
        results: Of :func:`backtest`, baselines included.
        baselines: Names of the naive ones, which cannot win.
        total_error_at_most: Bound on the mean absolute bias, as a share.
        beats: Those of them that a winner must beat; by default all.

    Raises:
        ModelError: A baseline has no results.
    """
    rivals = sorted(baselines if beats is None else beats)
    missing = {*baselines, *rivals} - set(results)
    if missing:
        raise ModelError(f"The baselines {sorted(missing)} were not backtested.")
    squared = {
        name: float(np.mean([one.rmse**2 for one in found])) for name, found in results.items()
    }
    refusals = {}
    for name, found in results.items():
        if name in baselines:
            continue
        off = float(np.mean([abs(one.bias_share) for one in found]))
        better = [b for b in rivals if squared[b] <= squared[name]]
        if off > total_error_at_most:
            refusals[name] = (
                f"The total is off by {off:.1%} on the mean of the windows; at most"
                f" {total_error_at_most:.1%} is accepted."
            )
        elif better:
            refusals[name] = f"It does not beat {', '.join(better)} in squared error."
    able = [name for name in results if name not in baselines and name not in refusals]
    return Choice(min(able, key=squared.__getitem__) if able else None, refusals)


def predict_zero(transactions: Transactions, customers: Customers, window: Window) -> Floats:
    """Baseline: nobody ever comes back."""
    return np.zeros(len(customers))


def predict_same_rate(transactions: Transactions, customers: Customers, window: Window) -> Floats:
    """Baseline for purchases: everybody goes on at the own rate, x / T, for ever."""
    histories = customers.histories
    return np.divide(
        histories.repeats * window.n_days,
        histories.age_days,
        out=np.zeros(len(customers)),
        where=histories.age_days > 0,
    )


def predict_last_year(transactions: Transactions, customers: Customers, window: Window) -> Floats:
    """Baseline for value: what was spent in the last 365 days, in proportion to the horizon."""
    spent = outcome(transactions, customers, after_day=window.end_day - 365, n_days=365).value
    return spent * (window.n_days / 365.0)
