"""People with a known probability, at several cut-offs, and models fitted on them once."""

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pandas as pd

from connector.models.propensity import PropensityModel, PropensitySpec, Snapshot, fit
from connector.models.reasons import Wording

WINDOW = 30
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
WORDING = Wording("bought {value} days ago", "never bought", one="bought yesterday")
ONE_OF_EACH = ("logistic", "random_forest", "gradient_boosting", "neural_net")


def probability(x: pd.DataFrame) -> np.ndarray:
    """The truth: a sum with one interaction."""
    odds = -0.8 - 0.012 * x["recency_days"] + 0.5 * x["orders"] + 0.4 * (x["spend_log"] - 4)
    odds += 0.5 * ((x["recency_days"] < 20) & (x["orders"] > 2))
    return (1 / (1 + np.exp(-odds))).to_numpy()


def snapshot(number: int, n: int = 1_500, *, unknown: float = 0.1) -> Snapshot:
    """Cut-off ``number``, 40 days after the one before; its baselines hold the truth itself."""
    rng = np.random.default_rng([7, number])
    ids = pd.Index([f"p_{i:05d}" for i in range(n)], name="profile_id")
    x = pd.DataFrame(
        {
            "recency_days": rng.integers(0, 200, n).astype(float),
            "orders": rng.poisson(2, n).astype(float),
            "spend_log": rng.normal(4, 1, n),
            "noise": rng.normal(size=n),
            "constant": 1.0,
        },
        index=ids,
    )
    truth = probability(x)
    label = pd.Series((rng.random(n) < truth).astype(int), index=ids)
    x.loc[rng.random(n) < unknown, "spend_log"] = np.nan
    baselines = pd.DataFrame({"recency": x["recency_days"], "truth": truth}, index=ids)
    return Snapshot(FIRST + timedelta(days=40 * number), x, label, baselines)


@cache
def snapshots(k: int = 4, n: int = 1_500) -> tuple[Snapshot, ...]:
    """The first ``k`` cut-offs."""
    return tuple(snapshot(i, n) for i in range(k))


def now(cutoffs: tuple[Snapshot, ...]) -> datetime:
    """The first instant at which every outcome is known."""
    return max(one.as_of for one in cutoffs) + timedelta(days=WINDOW)


def spec(**changes) -> PropensitySpec:
    """A model of one algorithm, unless told otherwise."""
    return PropensitySpec(
        **{"name": "m", "window_days": WINDOW, "algorithms": ("logistic",)} | changes
    )


def fitted(cutoffs=None, seed: int = 1, **changes) -> PropensityModel:
    """A model on these cut-offs."""
    cutoffs = cutoffs or snapshots()
    return fit(
        spec(**changes),
        cutoffs,
        as_of=now(cutoffs),
        rng=np.random.default_rng(seed),
        wordings={"recency_days": WORDING},
    )


@cache
def model(algorithm: str) -> PropensityModel:
    """One model of each algorithm, fitted once for all tests."""
    return fitted(snapshots(3), algorithms=(algorithm,))
