"""The benches of clusters and affinity at toy size: they follow the models' relations."""

from __future__ import annotations

from bench import affinity, clusters


def test_sql_places_people_where_numpy_does() -> None:
    found = clusters.measure(1500, n_bootstrap=2)
    assert found["mismatches"] == 0
    assert found["loss"] < 1.02


def test_what_is_compared_with_scikit_learn_recovers_planted_topics() -> None:
    lines, phi = affinity.order_lines(500, seed=2)
    _, weights, documents, items = affinity.once(lines)
    assert documents.shape == (500, len(items))
    assert 0.8 < affinity.recovery(phi, items, weights) <= 1.0
    lines, phi = affinity.order_lines(50)
    assert lines["basket_id"].nunique() == 250
    assert phi.shape == (affinity.K, affinity.N_ITEMS)
