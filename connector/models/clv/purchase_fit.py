"""Fitting a model of repeat purchases, or falling back to a rule with the reason why not.

When a fit is refused (:mod:`connector.models.clv.fitting`), :func:`fit_or_rule` answers with
:class:`connector.models.clv.purchases.PooledRate` and the refusal's text.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from connector.errors import InsufficientDataError, ModelError
from connector.models.clv import beta_geometric, fitting, pareto
from connector.models.clv.beta_geometric import BetaGeometric, Variant
from connector.models.clv.histories import Histories, Unit, Weighted, compress
from connector.models.clv.pareto import Pareto
from connector.models.clv.purchases import PooledRate, PurchaseModel

TIMES = frozenset({"alpha", "beta"})
"""Parameters that are times; the others are pure numbers."""


class Family(enum.StrEnum):
    """A kind of model of repeat purchases."""

    BG = "bg_nbd"
    MBG = "mbg_nbd"
    PARETO = "pareto_nbd"


@dataclass(frozen=True, slots=True)
class PurchaseFit:
    """A fitted model of repeat purchases.

    Attributes:
        model: With the most likely parameters.
        log_likelihood: Sum over customers, times in days.
        standard_errors: Of the parameters, alpha and beta in days.
        condition: Condition number of the curvature in log parameters.
        n_customers: Histories fitted on.
        n_repeats: Their repeat purchases.
    """

    model: PurchaseModel
    log_likelihood: float
    standard_errors: Mapping[str, float]
    condition: float
    n_customers: int
    n_repeats: int

    def parameters(self, unit: Unit = Unit.DAYS) -> dict[str, float]:
        """Parameters with times in this unit, as papers print them."""
        return _in_unit(parameters(self.model), unit)

    def errors(self, unit: Unit = Unit.DAYS) -> dict[str, float]:
        """Standard errors of :meth:`parameters`."""
        return _in_unit(self.standard_errors, unit)

    def log_likelihood_in(self, unit: Unit) -> float:
        """Log-likelihood of the same histories with times in this unit.

        A density is per unit of time for each repeat, so the unit shifts it by a constant.
        """
        return self.log_likelihood + self.n_repeats * float(np.log(unit.value))


def parameters(model: PurchaseModel) -> dict[str, float]:
    """The parameters by their names in the literature, times in days.

    Raises:
        ModelError: The model is not one of this package.
    """
    match model:
        case BetaGeometric():
            return {"r": model.r, "alpha": model.alpha_days, "a": model.a, "b": model.b}
        case Pareto():
            return {
                "r": model.r, "alpha": model.alpha_days, "s": model.s, "beta": model.beta_days
            }  # fmt: skip
        case PooledRate():
            return {"r": model.r, "alpha": model.alpha_days}
        case _:
            raise ModelError(f"There is no model of purchases named {model.name!r}.")


def from_parameters(name: str, values: Mapping[str, float]) -> PurchaseModel:
    """Inverse of :func:`parameters`, given the model's name.

    Raises:
        ModelError: The name is unknown, or a parameter is missing or not a positive number.
    """
    wanted = {
        Family.BG: beta_geometric.NAMES,
        Family.MBG: beta_geometric.NAMES,
        Family.PARETO: pareto.NAMES,
        "pooled_rate": ("r", "alpha"),
    }.get(name)
    if wanted is None or set(values) != set(wanted):
        raise ModelError(
            f"A model of purchases {name!r} with the parameters {sorted(values)} is unknown.",
            hint=f"Known models: {', '.join(Family)}, pooled_rate.",
        )
    least = 0.0 if name == "pooled_rate" else np.finfo(np.float64).tiny
    if not all(np.isfinite(value) and value >= least for value in values.values()):
        raise ModelError(f"A parameter of {name!r} is not a positive number: {dict(values)}.")
    ordered = [float(values[key]) for key in wanted]
    if name == "pooled_rate":
        return PooledRate(*ordered)
    return _build(Family(name), ordered)


def _build(family: Family, values: list[float]) -> BetaGeometric | Pareto:
    """A model of the family with parameters in the order of its names."""
    if family is Family.PARETO:
        return Pareto(*values)
    return BetaGeometric(Variant(family.value), *values)


def fit(histories: Histories, family: Family) -> PurchaseFit:
    """Fit one family by maximum likelihood.

    Args:
        histories: One for each customer, all observed to the same day.
        family: What to fit.

    Raises:
        InsufficientDataError: The data do not carry the model; the reason is told.
    """
    fitting.refuse_few_repeaters(histories.n_repeaters)
    data = compress(histories)
    sample = data.sample(fitting.SAMPLE_CUSTOMERS)
    names = pareto.NAMES if family is Family.PARETO else beta_geometric.NAMES
    full = _objective(family, data)
    optimum = fitting.maximise(
        full,
        full if sample is data else _objective(family, sample),
        names=names,
        starts=_starts(family, histories),
        bounds=pareto.BOUNDS if family is Family.PARETO else beta_geometric.BOUNDS,
        n_customers=data.n_customers,
    )
    return PurchaseFit(
        model=_build(family, [float(value) for value in optimum.parameters]),
        log_likelihood=optimum.log_likelihood,
        standard_errors=fitting.named(names, optimum.standard_errors),
        condition=optimum.condition,
        n_customers=len(histories),
        n_repeats=int(histories.repeats.sum()),
    )


def fit_or_rule(histories: Histories, family: Family) -> tuple[PurchaseModel, str]:
    """A fitted model and an empty text, or the pooled rate and why the fit was refused.

    Raises:
        InsufficientDataError: Not even the rule has anything to go by.
    """
    try:
        return fit(histories, family).model, ""
    except InsufficientDataError as refusal:
        return PooledRate.of(histories), str(refusal)


def _objective(family: Family, data: Weighted) -> fitting.Objective:
    if family is Family.PARETO:
        return pareto.objective(data)
    return beta_geometric.objective(Variant(family.value), data)


def _starts(family: Family, histories: Histories) -> list[tuple[float, float, float, float]]:
    """Three places to start from: few, some and many differences between customers."""
    age = float(histories.age_days.mean())
    # Repeats while active: the pooled rate over the time up to the last purchase.
    active = float(histories.last_age_days.sum()) + age
    rate = float(histories.repeats.sum()) / active
    if family is Family.PARETO:
        return [(r, r / rate, s, age / 2) for r, s in ((0.5, 0.5), (1.0, 1.0), (0.1, 0.3))]
    return [(r, r / rate, a, b) for r, a, b in ((0.5, 0.8, 2.0), (1.0, 1.0, 5.0), (0.1, 0.3, 1.0))]


def _in_unit(values: Mapping[str, float], unit: Unit) -> dict[str, float]:
    return {name: value / unit.value if name in TIMES else value for name, value in values.items()}
