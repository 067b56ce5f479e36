"""How long it takes to score a million people and to say why, for each algorithm.

People are simulated: thirty features, a sixth of the values of five of them unknown. The floor is
the score alone, so the ratio tells what the reasons cost. A million is made of repeated slices of
:data:`SLICE` people, which is how the engine works anyway, and the memory told is that of a slice.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from bench.measure import Measure, in_child, peak_gb
from connector.models.propensity import PropensitySpec, Snapshot, fit
from connector.models.propensity.spec import ALGORITHMS

PEOPLE = 1_000_000
SLICE = 131_072
N_FEATURES = 30
N_TRAINED = 20_000
MAX_S = 300.0
WINDOW_DAYS = 30


def run() -> list[Measure]:
    """Seconds of scores with reasons for a million people."""
    result = []
    for algorithm in ALGORITHMS:
        found = in_child("bench.reasons", algorithm, PEOPLE, N_TRAINED)
        seconds, alone = found["seconds"], found["score_s"]
        result.append(
            Measure(
                f"reasons of {PEOPLE:,} people, {algorithm}",
                f"{seconds:.0f} s, {found['peak_gb']:.1f} GB",
                f"{alone:.1f} s, scores alone",
                f"{seconds / alone:.0f}",
                f"<= {MAX_S:.0f} s, parts add up",
                seconds <= MAX_S and found["off"] < 1e-9,
            )
        )
    return result


def people(n: int, seed: int) -> pd.DataFrame:
    """Features of made-up people."""
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(size=(n, N_FEATURES)))
    values[:, :10] = np.floor(values[:, :10] * 3)
    values[:, :5][rng.random((n, 5)) < 1 / 6] = np.nan
    names = [f"feature_{i}" for i in range(N_FEATURES)]
    ids = pd.Index([f"p_{i:07d}" for i in range(n)], name="profile_id")
    return pd.DataFrame(values, ids, names)


def snapshot(number: int, n: int) -> Snapshot:
    """One cut-off of them; what happens depends on five features and a pair."""
    rng = np.random.default_rng([5, number])
    features = people(n, seed=number)
    known = np.log1p(features.fillna(1.0).to_numpy())
    odds = -2.5 + known[:, 3] - known[:, 7] + known[:, 11] * known[:, 12] - known[:, 20]
    label = pd.Series((rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int), features.index)
    as_of = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number * WINDOW_DAYS)
    return Snapshot(as_of, features, label)


def measure(algorithm: str, n_people: int, n_trained: int) -> dict[str, float]:
    """Fit once, then score and explain that many people."""
    cutoffs = [snapshot(i, n_trained) for i in range(3)]
    spec = PropensitySpec("m", WINDOW_DAYS, algorithms=(algorithm,), folds=1)
    model = fit(
        spec,
        cutoffs,
        as_of=cutoffs[-1].as_of + timedelta(days=WINDOW_DAYS),
        rng=np.random.default_rng(1),
    )
    seconds = score_s = off = 0.0
    for start in range(0, n_people, SLICE):
        frame = people(min(SLICE, n_people - start), seed=1_000 + start)
        began = time.perf_counter()
        answer = model.predict(frame)
        seconds += time.perf_counter() - began
        began = time.perf_counter()
        model.scorer.score(model.inputs.matrix(frame))
        score_s += time.perf_counter() - began
        few = frame.iloc[:500]
        total = model.explain(few).sum(axis=1)
        rise = answer["probability"].iloc[:500] - model.reference_probability
        off = max(off, float((total - rise).abs().max()))
    return {"seconds": seconds, "score_s": score_s, "off": off, "peak_gb": peak_gb()}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
