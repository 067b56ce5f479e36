"""Latent Dirichlet allocation by variational Bayes, for short documents over few items.

The model and the updates are those of scikit-learn (Hoffman, Blei and Bach 2010); what differs is
the order of the work. scikit-learn takes one document at a time: one pass over 200,000 shoppers
takes it 16 s and more, and the bar is a million baskets, everything included, in 20 s. Shoppers
have few distinct items, so here documents with about as many are taken together as one dense block,
and each leaves the block as soon as it has converged. A document's result never depends on its
neighbours, so neither on the order of the rows.

References:
    Blei, Ng and Jordan, Latent Dirichlet Allocation, JMLR 2003; Hoffman, Blei and Bach, Online
    Learning for LDA, NIPS 2010.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.special import psi

from connector.models.clusters.lloyd import kmeans, nearest

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK = 300_000
"""Numbers (documents x items x topics) that are worked on at once: about the size of a cache."""
KEEP_BLOCK = 0.7
"""A block is thinned out when fewer than this share of its documents still move."""
TOLERANCE = 1e-3
"""A document has converged when its topic weights move by less, on average over the topics."""
LONG = 10.0
"""Purchases above which the tolerance grows with their number, since the weights do."""
MAX_STEPS = 100
"""Updates of a document at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What a fit ends with.

    Attributes:
        weights: Dirichlet parameters of each topic over the items, shape (topics, items).
        n_passes: Passes over the documents.
    """

    weights: Floats
    n_passes: int


def expected_log_exp(weights: Floats) -> Floats:
    """exp(E[log x]) of Dirichlet distributions, one a row."""
    result: Floats = np.exp(psi(weights) - psi(weights.sum(axis=1, keepdims=True)))
    return result


def exp_psi(x: Floats) -> Floats:
    """exp(psi(x)) for positive x, relative error below 1e-10, in half of scipy's time.

    The recurrence carries x beyond 6, where the asymptotic series holds (Abramowitz and Stegun
    6.3.5 and 6.3.18); its six reciprocals are one fraction. Most of the work of an update is here.
    """
    u = x * (x + 5.0)
    below = (2.0 * x + 5.0) * ((3.0 * u + 20.0) * u + 24.0) / (u * ((u + 10.0) * u + 24.0))
    inverse = 1.0 / (x + 6.0)
    square = inverse * inverse
    tail = square * (1 / 240 - square / 132)
    tail = inverse / 2 + square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - tail)))
    result: Floats = (x + 6.0) * np.exp(-(below + tail))
    return result


def padded_lengths(lengths: Ints) -> Ints:
    """Lengths rounded up to few different ones: exact up to 16, then four an octave.

    Long documents rarely have an equally long neighbour; alone, each would cost as much as a block.
    """
    octave = np.floor(np.log2(np.maximum(lengths, 1))).astype(np.int64)
    step = np.where(lengths > 16, 2 ** np.maximum(octave - 2, 0), 1)
    return -(-lengths // step) * step


def _blocks(documents: csr_matrix, n_topics: int) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Documents of about the same length: rows, items and counts, shape (rows, length).

    What a document is shorter than the block is filled with none of the first item, so how a
    document is summed depends on its own length only.
    """
    lengths = np.diff(documents.indptr).astype(np.int64)
    padded = padded_lengths(lengths)
    order = np.argsort(padded, kind="stable")
    edges = np.flatnonzero(np.diff(padded[order], prepend=0, append=-1)).tolist()
    for start, end in pairwise(edges):
        length = int(padded[order[start]])
        step = max(1, BLOCK // (length * n_topics))
        for at in range(start, end, step):
            rows = order[at : min(at + step, end)]
            place = np.arange(length)
            inside = place < lengths[rows][:, None]
            entries = np.where(inside, documents.indptr[rows][:, None] + place, 0)
            items = np.where(inside, documents.indices[entries], 0)
            yield rows, items, np.where(inside, documents.data[entries], 0.0)


def infer(
    documents: csr_matrix,
    topics: Floats,
    alpha: float,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> Floats:
    """Dirichlet parameters of each document over the topics, shape (documents, topics).

    Args:
        documents: Counts, shape (documents, items), without stored zeros.
        topics: From :func:`expected_log_exp`, shape (topics, items).
        alpha: Prior of each topic in a document.
        tolerance: See :data:`TOLERANCE`.
        max_steps: See :data:`MAX_STEPS`.

    Returns:
        ``alpha`` everywhere for a document without items.
    """
    n_topics = len(topics)
    result = np.full((documents.shape[0], n_topics), alpha)
    by_item = np.ascontiguousarray(topics.T)
    for rows, items, counts in _blocks(documents, n_topics):
        here = by_item[items]
        gamma = np.ones((len(rows), n_topics))
        moving = np.ones(len(rows), dtype=bool)
        near = tolerance * np.maximum(1.0, counts.sum(axis=1) / LONG)
        for _ in range(max_steps):
            theta = exp_psi(gamma)
            mixture = np.einsum("bnk,bk->bn", here, theta)
            updated = alpha + theta * np.einsum("bn,bnk->bk", counts / mixture, here)
            done = moving & (np.abs(updated - gamma).mean(axis=1) < near)
            gamma = updated
            result[rows[done]] = gamma[done]
            moving &= ~done
            left = np.count_nonzero(moving)
            if left == 0:
                break
            # To copy a block costs as much as an update, so it waits until that is worth it; what
            # has converged keeps the numbers that it converged with.
            if left < KEEP_BLOCK * len(rows):
                rows, here, counts = rows[moving], here[moving], counts[moving]
                gamma, near = gamma[moving], near[moving]
                moving = np.ones(left, dtype=bool)
        result[rows[moving]] = gamma[moving]
    return result


def statistics(documents: csr_matrix, topics: Floats, gamma: Floats) -> Floats:
    """Expected number of each item that each topic gave, shape (topics, items)."""
    theta = exp_psi(gamma)
    by_item = np.ascontiguousarray(topics.T)
    ratio = documents.copy()
    row = np.repeat(np.arange(documents.shape[0]), np.diff(documents.indptr))
    for start in range(0, len(row), 1 << 18):
        part = slice(start, start + (1 << 18))
        mixture = np.einsum("ij,ij->i", theta[row[part]], by_item[documents.indices[part]])
        ratio.data[part] = documents.data[part] / mixture
    given: Floats = np.asarray((ratio.T @ theta).T) * topics
    return given


def fit_topics(
    documents: csr_matrix,
    start: Floats,
    *,
    alpha: float,
    eta: float,
    max_passes: int = 20,
    settled: float = 3e-3,
) -> Fitted:
    """Improve topics pass by pass until they stand still.

    Args:
        documents: Counts, shape (documents, items).
        start: Dirichlet parameters to start from, shape (topics, items).
        alpha: Prior of each topic in a document.
        eta: Prior of each item in a topic.
        max_passes: Passes over the documents at most.
        settled: Stop when no topic moves by more between two passes (total variation distance).
    """
    weights, n = start, 0
    while n < max_passes:
        n += 1
        topics = expected_log_exp(weights)
        # Each pass starts its documents afresh. Going on where they stopped was tried: a topic that
        # once left a document never returns (its weight is e to the -12), and the fit ends early.
        gamma = infer(documents, topics, alpha)
        updated = eta + statistics(documents, topics, gamma)
        moved = np.abs(shares(updated) - shares(weights)).sum(axis=1).max() / 2
        weights = updated
        if moved < settled:
            break
    return Fitted(weights, n)


def start_from_people(
    n_topics: int, documents: csr_matrix, eta: float, rng: np.random.Generator
) -> Floats:
    """Dirichlet parameters to start from: what groups of alike people buy.

    From scikit-learn's nearly even random start, two topics often end as one and another is cut in
    halves; k-means on the square roots of the shares (Hellinger's distance) parts most of them.

    Args:
        n_topics: Number of groups; there must be as many different documents.
        documents: Counts, shape (documents, items), none empty.
        eta: Prior of each item in a topic.
        rng: Seeds the groups.
    """
    points = np.sqrt(shares(documents.toarray()))
    codes = nearest(points, kmeans(points, n_topics, rng=rng, n_init=1))
    rows = np.arange(len(codes))
    owner = csr_matrix((np.ones(len(codes)), (codes, rows)), shape=(n_topics, len(codes)))
    bought = (owner @ documents).toarray()
    everybody = bought.sum(axis=0, keepdims=True) / n_topics
    start: Floats = eta + 0.9 * bought + 0.1 * everybody
    return start


def shares(weights: Floats) -> Floats:
    """Each row divided by its sum."""
    result: Floats = weights / weights.sum(axis=1, keepdims=True)
    return result


def halves(documents: csr_matrix, rng: np.random.Generator) -> tuple[csr_matrix, csr_matrix]:
    """Each document's counts in two halves; documents with one item are left out of both.

    Args:
        documents: Whole or fractional counts.
        rng: Decides which half an odd item falls to.
    """
    several = documents[np.flatnonzero(np.diff(documents.indptr) > 1)].tocsr()
    lengths = np.diff(several.indptr)
    place = np.arange(several.nnz) - np.repeat(several.indptr[:-1], lengths)
    turn = np.repeat(rng.integers(0, 2, len(lengths)), lengths)
    first = (place + turn) % 2 == 0
    seen, hidden = several.copy(), several.copy()
    seen.data = np.where(first, several.data, 0.0)
    hidden.data = np.where(first, 0.0, several.data)
    seen.eliminate_zeros()
    hidden.eliminate_zeros()
    return seen, hidden


def predictive_log_likelihood(
    seen: csr_matrix, hidden: csr_matrix, weights: Floats, alpha: float
) -> float:
    """Mean log probability of a hidden item, given the seen ones of its document (nats)."""
    theta = shares(infer(seen, expected_log_exp(weights), alpha))
    phi = shares(weights)
    row = np.repeat(np.arange(hidden.shape[0]), np.diff(hidden.indptr))
    chance = np.einsum("ij,ji->i", theta[row], phi[:, hidden.indices])
    return float((hidden.data * np.log(chance)).sum() / hidden.data.sum())
