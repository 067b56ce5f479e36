"""The kernel against scikit-learn's LDA, scipy, and its own laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.special import psi
from sklearn.decomposition import LatentDirichletAllocation

from connector.models.affinity.lda import (
    exp_psi,
    expected_log_exp,
    fit_topics,
    halves,
    infer,
    padded_lengths,
    predictive_log_likelihood,
    shares,
    start_from_people,
    statistics,
)
from connector.models.affinity.model import person_documents
from connector.models.baskets import read_baskets
from tests.models.affinity.shoppers import planted

K = 5


def documents(seed: int = 1, n_people: int = 400) -> tuple[csr_matrix, np.ndarray]:
    lines, phi, _ = planted(seed, n_people=n_people, k=K)
    baskets = read_baskets(lines)
    known = [int(name.split()[1]) for name in baskets.items]
    return person_documents(baskets, 50), phi[:, known]


def test_exp_psi_is_scipys() -> None:
    x = np.logspace(-1.7, 5, 5000)
    np.testing.assert_allclose(exp_psi(x), np.exp(psi(x)), rtol=1e-9)


def test_inference_is_scikit_learns() -> None:
    counts, phi = documents()
    theirs = LatentDirichletAllocation(
        K, random_state=0, max_iter=1, mean_change_tol=1e-9, max_doc_update_iter=2000
    ).fit(counts)
    theirs.components_ = phi * 300 + 1 / K
    theirs.exp_dirichlet_component_ = expected_log_exp(theirs.components_)
    topics = expected_log_exp(theirs.components_)
    ours = infer(counts, topics, 1 / K, tolerance=1e-9, max_steps=2000)
    np.testing.assert_allclose(shares(ours), theirs.transform(counts), atol=1e-7)


def test_long_documents_share_few_lengths() -> None:
    lengths = np.arange(1, 3000)
    padded = padded_lengths(lengths)
    assert (padded >= lengths).all()
    assert (padded <= 1.25 * lengths).all()
    assert len(np.unique(padded)) < 50


def test_a_document_does_not_know_its_neighbours() -> None:
    counts, phi = documents()
    topics = expected_log_exp(phi * 300 + 1 / K)
    together = infer(counts, topics, 1 / K)
    order = np.random.default_rng(0).permutation(counts.shape[0])
    np.testing.assert_array_equal(infer(csr_matrix(counts[order]), topics, 1 / K), together[order])
    alone = infer(csr_matrix(counts[7:8]), topics, 1 / K)
    np.testing.assert_array_equal(alone, together[7:8])


def test_an_empty_document_has_its_prior() -> None:
    counts, phi = documents()
    topics = expected_log_exp(phi * 300 + 1 / K)
    nobody = csr_matrix((2, counts.shape[1]))
    np.testing.assert_array_equal(infer(nobody, topics, 1 / K), np.full((2, K), 1 / K))


def test_the_statistics_keep_every_purchase() -> None:
    counts, phi = documents()
    topics = expected_log_exp(phi * 300 + 1 / K)
    given = statistics(counts, topics, infer(counts, topics, 1 / K))
    np.testing.assert_allclose(given.sum(axis=0), np.asarray(counts.sum(axis=0)).ravel())


def recovery(phi: np.ndarray, weights: np.ndarray) -> float:
    """Mean Bhattacharyya coefficient (1 - squared Hellinger distance) of the matched topics."""
    overlap = np.sqrt(phi) @ np.sqrt(shares(weights)).T
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return float(overlap[rows, columns].mean())


def test_planted_topics_are_recovered_as_well_as_by_scikit_learn() -> None:
    counts, phi = documents(2, n_people=500)
    rng = np.random.default_rng(0)
    start = start_from_people(K, counts, 1 / K, rng)
    ours = fit_topics(counts, start, alpha=1 / K, eta=1 / K).weights
    theirs = max(
        (
            LatentDirichletAllocation(
                K, random_state=seed, learning_method="online", batch_size=100, max_iter=3
            ).fit(counts)
            for seed in range(2)
        ),
        key=lambda model: recovery(phi, model.components_),
    )
    assert recovery(phi, ours) > 0.97
    assert recovery(phi, ours) > recovery(phi, theirs.components_) - 0.005


def test_halves_hide_what_the_other_shows() -> None:
    counts, _ = documents()
    seen, hidden = halves(counts, np.random.default_rng(0))
    several = counts[np.diff(counts.indptr) > 1]
    assert abs(seen + hidden - several).max() < 1e-12
    assert seen.multiply(hidden).nnz == 0
    assert (np.diff(seen.indptr) > 0).all()
    assert (np.diff(hidden.indptr) > 0).all()


def test_the_predictive_likelihood_is_that_of_its_formula() -> None:
    phi = np.array([[6.0, 2.0, 2.0]])
    seen, hidden = csr_matrix([[1.0, 0, 0]]), csr_matrix([[0, 1.0, 2.0]])
    found = predictive_log_likelihood(seen, hidden, phi, 1.0)
    assert found == pytest.approx(np.log(0.2))
