"""Gauss rules: numerical integrals that are exact to the last digits with few nodes."""

from __future__ import annotations

from functools import cache

import numpy as np

from connector.models.clv.histories import Floats


@cache
def legendre(n_nodes: int) -> tuple[Floats, Floats]:
    """Nodes and weights on (0, 1) for a plain integral; weights sum to 1."""
    y, weights = np.polynomial.legendre.leggauss(n_nodes)
    return (1.0 + y) / 2.0, weights / 2.0


def beta_rule(a: float, b: Floats, n_nodes: int) -> tuple[Floats, Floats]:
    """Nodes and weights on (0, 1) for means over beta distributions.

    Args:
        a: First parameter of all of them, positive.
        b: Second parameters, positive, shape (n,).
        n_nodes: At least 3; a rule is exact for polynomials below twice that degree.

    Returns:
        Nodes and weights, each of shape (n, n_nodes); weights sum to 1.

    References:
        Golub & Welsch (1969), Calculation of Gauss quadrature rules, Mathematics of Computation
        23: nodes are eigenvalues of the Jacobi matrix, weights come from its eigenvectors.
    """
    # Jacobi's weight (1 - y)^c (1 + y)^d on (-1, 1), with p = (1 + y) / 2.
    c, d = np.asarray(b, dtype=np.float64)[:, None] - 1.0, a - 1.0
    i = np.arange(n_nodes, dtype=np.float64)[None, :]
    s = 2.0 * i + c + d
    diagonal = np.empty_like(s)
    diagonal[:, :1] = (d - c) / (c + d + 2.0)
    diagonal[:, 1:] = (d**2 - c**2) / (s[:, 1:] * (s[:, 1:] + 2.0))
    beside = np.empty((s.shape[0], n_nodes - 1))
    beside[:, :1] = 4.0 * (1.0 + c) * (1.0 + d) / ((2.0 + c + d) ** 2 * (3.0 + c + d))
    j, sj = i[:, 2:], s[:, 2:]
    beside[:, 1:] = 4.0 * j * (j + c) * (j + d) * (j + c + d) / (sj**2 * (sj + 1.0) * (sj - 1.0))
    matrix = np.zeros((*s.shape, n_nodes))
    spots = np.arange(n_nodes)
    matrix[:, spots, spots] = diagonal
    matrix[:, spots[1:], spots[:-1]] = np.sqrt(beside)
    # The lower triangle is all that eigh reads.
    values, vectors = np.linalg.eigh(matrix)
    # A node at a vanishing p may come out a hair below zero.
    nodes = np.clip((1.0 + values) / 2.0, np.finfo(np.float64).tiny, 1.0)
    return nodes, vectors[:, 0, :] ** 2
