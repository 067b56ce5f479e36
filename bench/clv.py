"""Lifetime value at scale: seconds of processor time, beside `lifetimes` on the same customers.

Processor time of one thread, not time on the clock, so that a busy machine does not decide; each
figure is the median of three. Two sizes, because a fit that is quick on a sample need not be on the
whole. The peer is installed into a virtual environment of its own, made for
the run; where that fails, its line says so and our seconds stand alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from bench.measure import Measure, in_child
from connector.models.clv import spend as spend_models
from connector.models.clv.histories import Histories
from connector.models.clv.purchase_fit import Family, fit
from connector.models.clv.purchases import expected_purchases, p_alive
from connector.models.clv.transactions import Transactions, observe
from connector.models.clv.value import Horizon, lifetime_values, percentiles, tier_cuts, tier_of

N_CUSTOMERS = (100_000, 1_000_000)
N_TRANSACTIONS = {100_000: 500_000, 1_000_000: 5_000_000}
HORIZON_DAYS = 365.0
ROUNDS = 3
SEED = 20_260_301

BARS_S = {
    (100_000, "bg_nbd_fit"): 0.05,
    (100_000, "pareto_nbd_fit"): 0.88,
    (1_000_000, "bg_nbd_fit"): 0.3,
    (1_000_000, "bg_nbd_score"): 0.3,
    (1_000_000, "spend"): 1.26,
    (1_000_000, "transactions"): 3.0,
}
"""Customers and part -> most seconds: fits with standard errors; scores; from raw transactions to
values with ranges and tiers."""

BARS_RATIO = {1_000_000: 70.0}
"""Customers -> how many times our fit the peer's must take."""

PARTS = {
    "bg_nbd_fit": "BG/NBD fit + errors",
    "bg_nbd_score": "BG/NBD P(active) and expected purchases",
    "mbg_nbd_fit": "MBG/NBD fit + errors",
    "mbg_nbd_score": "MBG/NBD P(active) and expected purchases",
    "pareto_nbd_fit": "Pareto/NBD fit + errors",
    "pareto_nbd_score": "Pareto/NBD P(active) and expected purchases",
    "spend": "Gamma-Gamma fit + errors",
}
PEERS = {"bg_nbd_fit": "fit", "bg_nbd_score": "score", "pareto_nbd_fit": "pareto", "spend": "spend"}
"""Our part -> the peer's."""

PARETO_OF_PEER = 100_000
"""Customers up to which the peer's Pareto/NBD is timed: it takes minutes beyond."""

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}

PEER = """
import json, sys, time
import numpy as np
from lifetimes import BetaGeoFitter, GammaGammaFitter, ParetoNBDFitter
data = np.load(sys.argv[1])
x, last, age, mean = (data[name] for name in ("x", "last", "age", "mean"))
found = {}
def timed(part, work):
    began = time.process_time()
    work()
    found[part] = time.process_time() - began
model = BetaGeoFitter()
timed("fit", lambda: model.fit(x, last, age))
expected = model.conditional_expected_number_of_purchases_up_to_time
timed("score", lambda: expected(365.0, x, last, age))
timed("spend", lambda: GammaGammaFitter().fit(x[x > 0], mean[x > 0]))
if x.size <= int(sys.argv[2]):
    try:
        timed("pareto", lambda: ParetoNBDFitter().fit(x, last, age))
    except Exception:
        pass  # It does not converge on every data set, and says so by an exception.
print(json.dumps(found))
"""


def run() -> list[Measure]:
    """All lines of the table."""
    os.environ.update(ONE_THREAD)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        python = _peer(Path(folder) / "peer")
        for n in N_CUSTOMERS:
            data = Path(folder) / f"histories_{n}.npz"
            ours = in_child("bench.clv", data, n, N_TRANSACTIONS[n])
            rows += table(n, ours, {} if python is None else _timed_peer(python, data))
    if python is None:
        rows.append(Measure("lifetimes", "cannot be installed here"))
    return rows


def table(n: int, ours: dict[str, float], peer: dict[str, float]) -> list[Measure]:
    """The lines of one size.

    Args:
        n: Customers.
        ours: Our seconds, by part.
        peer: The peer's, by part; what it was not timed on is not there.
    """
    rows = [
        _line(n, part, f"{what}, {n:,} customers", ours[f"{part}_s"])
        for part, what in PARTS.items()
    ]
    transactions = f"{N_TRANSACTIONS[n]:,} transactions to values, ranges, tiers"
    rows.append(_line(n, "transactions", transactions, ours["transactions_s"]))
    for part, theirs in PEERS.items():
        if theirs in peer:
            mine, ratio = ours[f"{part}_s"], peer[theirs] / ours[f"{part}_s"]
            least = BARS_RATIO.get(n) if part == "bg_nbd_fit" else None
            rows.append(
                Measure(
                    f"{PARTS[part]} of lifetimes, {n:,} customers",
                    f"{peer[theirs]:.2f} s",
                    f"{mine:.3f} s",
                    f"{ratio:.0f}x",
                    "" if least is None else f">= {least:.0f}x",
                    least is None or ratio >= least,
                )
            )
    return rows


def _line(n: int, part: str, name: str, seconds_taken: float) -> Measure:
    most = BARS_S.get((n, part))
    bar = "" if most is None else f"<= {most:g} s"
    return Measure(
        name, f"{seconds_taken:.3f} s", bar=bar, ok=most is None or seconds_taken <= most
    )


def shop(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Histories in whole days of customers who live by a BG/NBD: x, t_x, T."""
    rate = np.maximum(rng.gamma(0.243, 1 / 30.9, n), 1e-9)
    leaves = rng.beta(0.793, 2.426, n)
    age = rng.integers(30, 731, n).astype(np.float64)
    x, last, now = np.zeros(n), np.zeros(n), np.zeros(n)
    active = np.arange(n)
    while active.size:
        now[active] += np.ceil(rng.exponential(1 / rate[active]))
        active = active[now[active] <= age[active]]
        x[active] += 1
        last[active] = now[active]
        active = active[rng.random(active.size) >= leaves[active]]
    return x, last, age


def measure(data: Path, n_customers: int, n_transactions: int) -> dict[str, float]:
    """Our seconds, and the histories left in ``data`` for the peer."""
    rng = np.random.default_rng(SEED)
    x, last, age = shop(rng, n_customers)
    nu = rng.gamma(3.74, 1 / 15.44, n_customers)
    mean = rng.gamma(6.25 * np.maximum(x, 1), 1 / nu) / np.maximum(x, 1)
    np.savez(data, x=x, last=last, age=age, mean=mean)
    histories = Histories.of(x, last, age)
    found: dict[str, float] = {}
    for family in Family:
        model = fit(histories, family).model
        found[f"{family}_fit_s"] = seconds(lambda f=family: fit(histories, f))

        def score(model=model):
            return p_alive(model, histories), expected_purchases(model, histories, HORIZON_DAYS)

        found[f"{family}_score_s"] = seconds(score)
    found["spend_s"] = seconds(lambda: spend_models.fit(x, mean))
    customer, day, value = transactions(rng, n_customers, n_transactions)
    found["transactions_s"] = seconds(lambda: value_everybody(customer, day, value))
    return found


def transactions(
    rng: np.random.Generator, n_customers: int, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows in no order, two per cent of them returns."""
    weight = rng.gamma(0.5, size=n_customers)
    customer = np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(n)).clip(
        max=n_customers - 1
    )
    day = 20_000 + np.floor(730 * rng.random(n) ** 1.3).astype(np.int64)
    level = 1 / rng.gamma(3.74, 1 / 15.44, n_customers)
    value = np.round(rng.gamma(6.25, level[customer]), 2)
    return customer, day, np.where(rng.random(n) < 0.02, -value, value)


def value_everybody(customer: np.ndarray, day: np.ndarray, value: np.ndarray) -> int:
    """From raw rows to values with ranges, percentiles and tiers; returns how many customers."""
    known = observe(Transactions.of(customer, day, value), int(day.max()))
    purchases = fit(known.histories, Family.MBG).model
    spend = spend_models.fit(known.histories.repeats, known.mean_value).model
    values = lifetime_values(
        purchases, spend, known.histories, known.mean_value, Horizon(HORIZON_DAYS)
    )
    tier_of(values.expected, tier_cuts(values.expected))
    return percentiles(values.expected).size


def seconds(work: Callable[[], object]) -> float:
    """Median processor time of the work."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return median(times)


def _peer(home: Path) -> Path | None:
    """The interpreter of a new environment with the peer; None where it cannot be installed."""
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [python, "-m", "pip", "install", "--quiet", "lifetimes==0.11.3"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        return None
    return python


def _timed_peer(python: Path, data: Path) -> dict[str, float]:
    """The peer's seconds on the same histories."""
    environment = {**os.environ, **ONE_THREAD, "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, "-c", PEER, data, str(PARETO_OF_PEER)],
        capture_output=True,
        check=True,
        text=True,
        env=environment,
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
