"""People whose own effect is known, in two arms drawn by chance, and models fitted on them once."""

from datetime import UTC, datetime
from functools import cache

import numpy as np
import pandas as pd

from connector.models.uplift import PublishIf, Trials, UpliftModel, UpliftSpec, fit

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEARNERS = ("two_model", "x_learner", "direct")


def people(seed: int, n: int) -> pd.DataFrame:
    """What is known of so many people."""
    rng = np.random.default_rng([seed, 1])
    return pd.DataFrame(
        {
            "recency_days": rng.integers(0, 400, n).astype(float),
            "orders": rng.poisson(2, n).astype(float),
            "taste": rng.normal(size=n),
            "noise": rng.normal(size=n),
        },
        index=pd.MultiIndex.from_arrays(
            [[f"p_{i:05d}" for i in range(n)], np.ones(n, dtype=int)], names=["profile_id", "epoch"]
        ),
    )


def effects(x: pd.DataFrame, size: float) -> np.ndarray:
    """The truth: taste decides for whom the offer works, and for the long lapsed it works less."""
    return size * (0.5 + x["taste"] - 0.5 * (x["recency_days"] > 200)).to_numpy()


def trials(
    seed: int = 1, n: int = 3_000, *, size: float = 1.0, share: float = 0.7, rises: bool = True
) -> Trials:
    """An experiment; ``rises``: the outcome depends on the features without the offer, too."""
    rng = np.random.default_rng([seed, 2])
    x = people(seed, n)
    treated = (rng.random(n) < share).astype(float)
    before = 2 + 0.5 * x["orders"] + x["noise"] if rises else 2.0
    outcome = before + effects(x, size) * treated + rng.normal(scale=2, size=n)

    def series(values: object) -> pd.Series:
        return pd.Series(np.broadcast_to(values, n).copy(), index=x.index)

    return Trials(x, series(outcome), series(treated), series(share), x[["recency_days", "orders"]])


def spec(**changes) -> UpliftSpec:
    """A quick model, unless told otherwise."""
    return UpliftSpec(
        **{
            "name": "m", "campaign": "winback", "metric": "revenue_30d", "unit": "currency",
            "algorithm": "linear", "replicates": 100, "publish_if": PublishIf(min_per_arm=200),
        }
        | changes
    )  # fmt: skip


def fitted(given: Trials | None = None, seed: int = 1, **changes) -> UpliftModel:
    """A model of these people."""
    return fit(spec(**changes), given or trials(), as_of=NOW, rng=np.random.default_rng(seed))


@cache
def model(learner: str, algorithm: str = "linear") -> UpliftModel:
    """One model of each learner, fitted once for all tests."""
    return fitted(learner=learner, algorithm=algorithm)


def gates(one: UpliftModel) -> dict[str, bool]:
    """Gate -> whether it holds."""
    return {gate.name: gate.passed for gate in one.card.gates}
