"""Groups of two models are paired by people; MONIC's events, Hubert and Arabie's index."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from connector.models.matching import Fate, adjusted_rand, contingency, match


@pytest.mark.parametrize("seed", range(5))
def test_the_adjusted_rand_index_is_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, 300), rng.integers(0, 6, 300)
    b[:200] = a[:200]
    counts = contingency(a, b, n_before=4, n_after=6)
    assert adjusted_rand(counts) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)


def test_one_group_on_both_sides_agrees() -> None:
    assert adjusted_rand(np.array([[7]])) == 1.0
    assert adjusted_rand(np.zeros((2, 2), dtype=np.int64)) == 1.0


def test_people_without_a_group_are_not_counted() -> None:
    counts = contingency(np.array([0, -1, 1, 1]), np.array([0, 0, -1, 1]), n_before=2, n_after=2)
    assert counts.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("seed", range(5))
def test_numbering_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 30, (5, 5)) + np.diag([400, 500, 600, 700, 800])
    order = rng.permutation(5)
    plain, shuffled = match(counts), match(counts[:, order])
    assert plain.heirs == (0, 1, 2, 3, 4)
    assert shuffled.heirs == tuple(order.tolist())
    assert shuffled.ari == pytest.approx(plain.ari)
    assert all(event.fate is Fate.SURVIVED for event in shuffled.events)


def test_each_event_of_monic() -> None:
    counts = np.array(
        [
            [90, 10, 0, 0, 0],  # survives
            [0, 45, 55, 0, 0],  # splits
            [0, 0, 0, 100, 0],  # merges with the next
            [0, 0, 0, 95, 5],  # merges
            [25, 25, 25, 25, 0],  # disappears
        ]
    )
    found = match(counts)
    assert [event.fate for event in found.events] == [
        Fate.SURVIVED,
        Fate.SPLIT,
        Fate.SURVIVED if found.heirs[3] == 2 else Fate.MERGED,
        Fate.MERGED,
        Fate.DISAPPEARED,
        Fate.APPEARED,
    ]
    assert found.events[1].after == (1, 2)
    assert found.parents[3] == (2, 3)
    # The merged group is not mostly either of its parents: it takes neither's label.
    assert found.heirs == (0, None, None, None, None)


def test_a_small_group_that_joins_a_large_one_leaves_the_large_ones_label() -> None:
    found = match(np.array([[900, 0], [100, 0], [0, 500]]))
    assert found.heirs == (0, 2)
    assert [e.fate for e in found.events] == [Fate.SURVIVED, Fate.MERGED, Fate.SURVIVED]


def test_the_thresholds_are_monics() -> None:
    kept = match(np.array([[70, 30], [0, 400]]))
    lost = match(np.array([[69, 31], [0, 400]]))
    assert (kept.heirs, lost.heirs) == ((0, 1), (None, 1))
    assert lost.events[0].fate is Fate.SPLIT
