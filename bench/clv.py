"""Lifetime value at scale: seconds of processor time for a million customers, beside `lifetimes`.

Processor time of one thread, not time on the clock, so that a busy machine does not decide; each
figure is the median of three. The peer is installed into a virtual environment of its own, made for
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

N_CUSTOMERS = 1_000_000
N_TRANSACTIONS = 5_000_000
HORIZON_DAYS = 365.0
ROUNDS = 3
SEED = 20_260_301

BAR_S = 0.3
"""Most seconds for a fit with standard errors, and for the scores, of a million customers."""

BAR_TRANSACTIONS_S = 3.0
"""Most seconds from five million transactions to values with ranges and tiers."""

BAR_RATIO = 70.0
"""How many times the peer's fit must take."""

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}

PEER = """
import json, sys, time
import numpy as np
from lifetimes import BetaGeoFitter
data = np.load(sys.argv[1])
model = BetaGeoFitter()
began = time.process_time()
model.fit(data["x"], data["last"], data["age"])
fitted = time.process_time()
model.conditional_expected_number_of_purchases_up_to_time(
    365.0, data["x"], data["last"], data["age"]
)
print(json.dumps({"fit_s": fitted - began, "score_s": time.process_time() - fitted,
                  "parameters": model.params_.to_dict()}))
"""


def run() -> list[Measure]:
    """All lines of the table."""
    os.environ.update(ONE_THREAD)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "histories.npz"
        ours = in_child("bench.clv", data, N_CUSTOMERS, N_TRANSACTIONS)
        peer = _peer(Path(folder), data)
    rows = [
        Measure(
            f"BG/NBD fit + errors, {N_CUSTOMERS:,} customers",
            f"{ours['bg_nbd_fit_s']:.3f} s",
            bar=f"<= {BAR_S} s",
            ok=ours["bg_nbd_fit_s"] <= BAR_S,
        ),
        Measure(
            "BG/NBD P(active) and expected purchases",
            f"{ours['bg_nbd_score_s']:.3f} s",
            bar=f"<= {BAR_S} s",
            ok=ours["bg_nbd_score_s"] <= BAR_S,
        ),
    ]
    rows += [
        Measure(f"{family} {part}", f"{ours[f'{family}_{part}_s']:.3f} s")
        for family in (Family.MBG, Family.PARETO)
        for part in ("fit", "score")
    ]
    rows += [
        Measure("Gamma-Gamma fit + errors", f"{ours['spend_s']:.3f} s"),
        Measure(
            f"{N_TRANSACTIONS:,} transactions to values, ranges, tiers",
            f"{ours['transactions_s']:.2f} s",
            bar=f"<= {BAR_TRANSACTIONS_S:.0f} s",
            ok=ours["transactions_s"] <= BAR_TRANSACTIONS_S,
        ),
    ]
    if peer is None:
        rows.append(Measure("BG/NBD fit of lifetimes", "cannot be installed here"))
    else:
        ratio = peer["fit_s"] / ours["bg_nbd_fit_s"]
        rows.append(
            Measure(
                "BG/NBD fit of lifetimes, the same customers",
                f"{peer['fit_s']:.1f} s",
                f"{ours['bg_nbd_fit_s']:.3f} s",
                f"{ratio:.0f}x",
                f">= {BAR_RATIO:.0f}x",
                ratio >= BAR_RATIO,
            )
        )
        rows.append(
            Measure(
                "BG/NBD expected purchases of lifetimes",
                f"{peer['score_s']:.2f} s",
                f"{ours['bg_nbd_score_s']:.3f} s",
                f"{peer['score_s'] / ours['bg_nbd_score_s']:.0f}x",
            )
        )
    return rows


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
    np.savez(data, x=x, last=last, age=age)
    histories = Histories.of(x, last, age)
    found: dict[str, float] = {}
    for family in Family:
        model = fit(histories, family).model
        found[f"{family}_fit_s"] = seconds(lambda f=family: fit(histories, f))

        def score(model=model):
            return p_alive(model, histories), expected_purchases(model, histories, HORIZON_DAYS)

        found[f"{family}_score_s"] = seconds(score)
    nu = rng.gamma(3.74, 1 / 15.44, n_customers)
    mean = rng.gamma(6.25 * np.maximum(x, 1), 1 / nu) / np.maximum(x, 1)
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


def _peer(folder: Path, data: Path) -> dict[str, float] | None:
    """The peer's seconds on the same histories; None where it cannot be installed."""
    home = folder / "peer"
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [python, "-m", "pip", "install", "--quiet", "lifetimes==0.11.3"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        return None
    environment = {**os.environ, **ONE_THREAD, "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, "-c", PEER, data], capture_output=True, check=True, text=True, env=environment
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
