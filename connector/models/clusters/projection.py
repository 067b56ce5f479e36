"""The map: principal components of the scaled space, turned the same way at every refit.

A component's sign is arbitrary, so a map drawn each week would flip at random. The first map makes
each component's largest loading positive; later ones follow the map before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from connector.models.arrays import decode, encode

Floats = npt.NDArray[np.float64]

DECIMALS = 9
"""Loadings are rounded to so many decimals."""
ALIKE = 0.8
"""Two components whose variances have at least this ratio have no direction of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Up to three principal components.

    Attributes:
        mean: Of the scaled values, shape (dimensions,).
        axes: Unit vectors, shape (components, dimensions).
        explained: Share of the total variance that each component explains.
    """

    mean: Floats
    axes: Floats
    explained: tuple[float, ...]

    def project(self, points: Floats) -> Floats:
        """Coordinates on the map, shape (points, components)."""
        coordinates: Floats = (points - self.mean) @ self.axes.T
        return coordinates

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "mean": encode(self.mean),
            "axes": encode(self.axes),
            "explained": list(self.explained),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Projection:
        """Inverse of :meth:`to_dict`."""
        return cls(decode(data["mean"]), decode(data["axes"]), tuple(map(float, data["explained"])))


def fit_projection(
    points: Floats, *, n_components: int = 3, before: Projection | None = None
) -> Projection:
    """Principal components of the points.

    Args:
        points: Shape (people, dimensions), at least 2 people.
        n_components: As many at most; never more than there are dimensions.
        before: The map to follow, when it has as many axes and dimensions.
    """
    mean = points.mean(axis=0)
    spread = np.cov(points, rowvar=False, ddof=1).reshape(points.shape[1], points.shape[1])
    values, vectors = np.linalg.eigh(spread)
    order = np.argsort(-values, kind="stable")[:n_components]
    values, axes = values[order], vectors[:, order].T
    if before is not None and before.axes.shape == axes.shape:
        axes = _turned(axes, values, before.axes)
    else:
        largest = np.abs(np.round(axes, 6)).argmax(axis=1)
        axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    total = max(float(np.trace(spread)), np.finfo(float).tiny)
    explained = np.einsum("ij,jk,ik->i", axes, spread, axes) / total
    return Projection(
        np.round(mean, DECIMALS), np.round(axes, DECIMALS), tuple(np.round(explained, 9).tolist())
    )


def _turned(axes: Floats, values: Floats, before: Floats) -> Floats:
    """Axes turned towards those of the map before, as far as the data leave open.

    A component of its own may only flip. Components of nearly equal variance are any pair of
    perpendicular directions in their plane, so there the nearest such pair is taken (orthogonal
    Procrustes, Schoenemann 1966).
    """
    turned = axes.copy()
    start = 0
    for end in range(1, len(axes) + 1):
        if end < len(axes) and values[end] > ALIKE * values[end - 1]:
            continue
        u, _, v = np.linalg.svd(before[start:end] @ axes[start:end].T)
        turned[start:end] = u @ v @ axes[start:end]
        start = end
    return turned
