"""Splits and mergers are seen where they are, and nowhere in a continuum."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from connector.models.clusters.lloyd import kmeans, refine
from connector.models.clusters.reshape import Gains, apartness, gains, reshape

Floats = npt.NDArray[np.float64]
N = 1_200

CONTINUA: dict[str, Callable[[np.random.Generator], Floats]] = {
    "one crowd": lambda rng: rng.normal(0, 1, (N, 4)),
    "overlapping": lambda rng: (
        rng.normal(0, 1.2, (6, 4))[rng.integers(0, 6, N)] + rng.normal(0, 0.9, (N, 4))
    ),
    "skewed": lambda rng: np.clip(rng.lognormal(0, 1, (N, 4)), 0, 6),
    "counts": lambda rng: np.column_stack(
        [rng.poisson(0.8, N), rng.random(N) < 0.3, rng.exponential(1, N), rng.normal(0, 1, N)]
    ).astype(float),
}


@pytest.mark.parametrize("kind", CONTINUA)
@pytest.mark.parametrize("k", [4, 7])
def test_in_a_continuum_nothing_ever_happens(kind: str, k: int) -> None:
    rng = np.random.default_rng(k)
    points = CONTINUA[kind](rng)
    centroids = kmeans(points, k, rng=rng)
    formed = gains(points, centroids, rng=rng)
    wave = rng.normal(0, 0.12, points.shape)
    for week in range(8):
        wave = 0.9 * wave + 0.44 * rng.normal(0, 0.12, points.shape)
        today = points + wave + 0.01 * week
        done = reshape(today, centroids, formed, k=(2, 12), rng=rng)
        assert done.changes.fresh == ()
        assert done.blocked == ()
        centroids, formed = refine(today, done.start), done.formed


def test_apartness_is_that_of_known_distributions() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(0, 1, (200_000, 2))
    other = rng.normal(0, 1, (200_000, 2)) + np.array([3.0, 0.0])
    assert apartness(one, other) == pytest.approx(3, abs=0.02)
    # Halves of a normal: means at +-sqrt(2/pi), variance 1 - 2/pi; of a uniform: sqrt(12).
    line = one[:, :1]
    halved = 2 * math.sqrt(2 / math.pi) / math.sqrt(1 - 2 / math.pi)
    assert apartness(line[line[:, 0] > 0], line[line[:, 0] < 0]) == pytest.approx(halved, abs=0.02)
    even = rng.random((200_000, 1))
    lower = even[:, 0] < 0.5
    assert apartness(even[lower], even[~lower]) == pytest.approx(math.sqrt(12), abs=0.02)
    assert apartness(one[:1], one[:1]) == 0.0
    assert apartness(one[:1], one[1:2]) == math.inf


def test_what_was_never_apart_does_not_merge() -> None:
    rng = np.random.default_rng(1)
    near = rng.normal(0, 0.6, (600, 2))
    far = rng.normal(0, 0.6, (300, 2)) + np.array([9.0, 0.0])
    third = rng.normal(0, 0.6, (300, 2)) + np.array([0.0, 9.0])
    points = np.vstack([near, far, third])
    # The first crowd is cut by two centroids: one crowd from the start, whatever k-means says.
    centroids = refine(points, np.array([[-0.5, 0], [0.5, 0], [9.0, 0], [0, 9.0]]))
    formed = gains(points, centroids, rng=rng)
    assert reshape(points, centroids, formed, k=(2, 8), rng=rng).changes.n_mergers == 0
    apart = formed.apart.copy()
    apart[:2, :2] = [[0, 9.0], [9.0, 0]]
    once = Gains(formed.cuts, formed.joins - 1, apart)
    met = reshape(points, centroids, once, k=(2, 8), rng=rng)
    assert met.changes.n_mergers == 1
    assert len(met.start) == 3
    blocked = reshape(points, centroids, once, k=(4, 8), rng=rng)
    assert blocked.blocked == ((0, 1),)
    again = Gains.from_dict(json.loads(json.dumps(once.to_dict())))
    assert (again.apart == once.apart).all()
