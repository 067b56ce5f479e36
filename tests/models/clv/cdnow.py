"""The CDNOW sample as the literature cuts it, and simulated shops whose truth is known."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from connector.models.clv.histories import Histories
from connector.models.clv.transactions import Customers, Outcome, Transactions, observe, outcome
from tests.profiles.tables import shared_data

CALIBRATION_END = int(np.datetime64("1997-09-30", "D").astype(int))
HOLDOUT_DAYS = 39 * 7


@dataclass(frozen=True)
class Sample:
    transactions: Transactions
    customers: Customers
    holdout: Outcome

    @property
    def histories(self) -> Histories:
        return self.customers.histories


def cdnow() -> Sample:
    """1,411 one-time buyers and 946 others, observed to 1997-09-30, and the 39 weeks after it."""
    return _read(str(shared_data("cdnow_sample", "cdnow_sample.csv.gz")))


@cache
def _read(path: str) -> Sample:
    rows = pd.read_csv(path, dtype={"sample_customer_id": str}, parse_dates=["date"])
    transactions = Transactions.of(
        rows["sample_customer_id"].to_numpy(dtype=object),
        rows["date"].to_numpy(),
        rows["dollar_value"].to_numpy(),
    )
    customers = observe(transactions, CALIBRATION_END)
    after = outcome(transactions, customers, after_day=CALIBRATION_END, n_days=HOLDOUT_DAYS)
    return Sample(transactions, customers, after)


@dataclass(frozen=True)
class Future:
    """Simulated customers: what was seen of them by T, and how often they bought after it."""

    histories: Histories
    bought: np.ndarray
    first_wait: np.ndarray


def beta_geometric_shop(
    rng: np.random.Generator,
    age_days: np.ndarray,
    horizon_days: float,
    *,
    r: float,
    alpha: float,
    a: float,
    b: float,
    modified: bool,
) -> Future:
    """Customers who drop out after a purchase; times are continuous."""
    n = age_days.size
    rate = np.maximum(rng.gamma(r, 1 / alpha, n), 1e-12)
    leaves = rng.beta(a, b, n)
    stays = np.flatnonzero(rng.random(n) >= leaves) if modified else np.arange(n)
    shop = _Tape(age_days, horizon_days)
    now = np.zeros(n)
    while stays.size:
        now[stays] += rng.exponential(1 / rate[stays])
        stays = shop.record(stays, now)
        stays = stays[rng.random(stays.size) >= leaves[stays]]
    return shop.done()


def pareto_shop(
    rng: np.random.Generator,
    age_days: np.ndarray,
    horizon_days: float,
    *,
    r: float,
    alpha: float,
    s: float,
    beta: float,
) -> Future:
    """Customers who drop out at any moment."""
    n = age_days.size
    rate = np.maximum(rng.gamma(r, 1 / alpha, n), 1e-12)
    gone = rng.exponential(1 / np.maximum(rng.gamma(s, 1 / beta, n), 1e-12))
    shop = _Tape(age_days, horizon_days)
    now = np.zeros(n)
    stays = np.arange(n)
    while stays.size:
        now[stays] += rng.exponential(1 / rate[stays])
        stays = stays[now[stays] <= gone[stays]]
        stays = shop.record(stays, now)
    return shop.done()


class _Tape:
    """Counts purchases before and after each customer's T."""

    def __init__(self, age_days: np.ndarray, horizon_days: float) -> None:
        self.age, self.horizon = age_days, horizon_days
        self.x, self.last, self.after = (np.zeros(age_days.size) for _ in range(3))
        self.wait = np.full(age_days.size, np.inf)

    def record(self, who: np.ndarray, now: np.ndarray) -> np.ndarray:
        """Book one purchase of each; returns those whose next one can still matter."""
        who = who[now[who] <= self.age[who] + self.horizon]
        before = who[now[who] <= self.age[who]]
        later = who[now[who] > self.age[who]]
        self.x[before] += 1
        self.last[before] = now[before]
        self.after[later] += 1
        self.wait[later] = np.minimum(self.wait[later], now[later] - self.age[later])
        return who

    def done(self) -> Future:
        return Future(Histories(self.x, self.last, self.age), self.after, self.wait)
