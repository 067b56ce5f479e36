"""The card of a lifetime value model: what it was fitted on, how it did, beside which baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from connector.errors import ModelError
from connector.models.clv.backtest import Accuracy


@dataclass(frozen=True, slots=True)
class Trial:
    """One contender's backtest.

    Attributes:
        name: Of the model or the baseline.
        baseline: Whether it is a naive one.
        windows: Its accuracy in each holdout, oldest first.
    """

    name: str
    baseline: bool
    windows: tuple[Accuracy, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """What a person must know about a fitted model.

    Attributes:
        as_of: The instant that it was fitted as of, aware UTC.
        first_day, last_day: The transactions that it was fitted on.
        n_rows: Transactions.
        n_customers: Customers with a purchase.
        n_repeaters: Those with more than one.
        features: What the model reads of a customer.
        trials: Backtests of the model, its rivals and the baselines.
        notes: Refusals and fall-backs, for a person; empty when all went well.
    """

    as_of: datetime
    first_day: date
    last_day: date
    n_rows: int
    n_customers: int
    n_repeaters: int
    features: tuple[str, ...]
    trials: tuple[Trial, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.as_of.tzinfo is None:
            raise ModelError("The instant of a model's card must know its time zone.")

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "as_of": self.as_of.isoformat(),
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "n_rows": self.n_rows,
            "n_customers": self.n_customers,
            "n_repeaters": self.n_repeaters,
            "features": list(self.features),
            "trials": [
                {
                    "name": trial.name,
                    "baseline": trial.baseline,
                    "windows": [asdict(window) for window in trial.windows],
                }
                for trial in self.trials
            ],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Card:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            return cls(
                as_of=datetime.fromisoformat(data["as_of"]),
                first_day=date.fromisoformat(data["first_day"]),
                last_day=date.fromisoformat(data["last_day"]),
                n_rows=int(data["n_rows"]),
                n_customers=int(data["n_customers"]),
                n_repeaters=int(data["n_repeaters"]),
                features=tuple(str(name) for name in data["features"]),
                trials=tuple(
                    Trial(
                        name=str(trial["name"]),
                        baseline=bool(trial["baseline"]),
                        windows=tuple(Accuracy(**window) for window in trial["windows"]),
                    )
                    for trial in data["trials"]
                ),
                notes=tuple(str(note) for note in data["notes"]),
            )
        except (KeyError, TypeError, ValueError) as problem:
            raise ModelError("A model's card cannot be read.", hint="Fit it again.") from problem


def trials(
    results: Mapping[str, Sequence[Accuracy]], baselines: Sequence[str]
) -> tuple[Trial, ...]:
    """The results of a backtest, for a card."""
    return tuple(
        Trial(name, name in baselines, tuple(windows)) for name, windows in results.items()
    )
