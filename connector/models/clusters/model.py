"""Fitted clusters: frozen axes and centroids, applied by numpy or as SQL, with reasons.

A person belongs to the nearest centroid. Who had a cluster before keeps it until another centroid
is nearer by a tenth (hysteresis): a person on a border would otherwise cross it with every order.
Who has none of the features has no cluster, rather than the cluster of the average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.errors import ModelError
from connector.models.arrays import decode, digest, encode
from connector.models.card import ModelCard, ScoreColumn
from connector.models.clusters.lloyd import squared_distances
from connector.models.clusters.projection import Projection
from connector.models.clusters.reshape import Gains
from connector.models.clusters.scaling import Scaler
from connector.models.clusters.spec import Search
from connector.models.clusters.sql import assignment_sql
from connector.models.clusters.ward import Tree
from connector.models.clusters.words import FeatureMeaning, direction, words_for
from connector.models.handover import codes_of, labels_of
from connector.models.labels import Registry
from connector.models.matching import Changes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

KIND = "cluster"
"""The model's type, as in the configuration and in the store."""


@dataclass(frozen=True, slots=True, eq=False)
class ClusterModel:
    """Clusters of people, frozen until the next retrain.

    Attributes:
        name: Prefix of the output columns.
        scaler: The axes.
        centroids: In scaled units, shape (k, dimensions).
        ids: Stable id of each cluster.
        names: What each is called: the human's name, or the suggestion.
        contrasts: What sets each apart in words, strongest first; names are suggested from these.
        shares: Share of people in each, at the fit.
        origin: Mean of all people in scaled units: what "more than most" is measured from.
        spread: Standard deviation of all people in scaled units, by dimension.
        outlier_cut: Distance from the own centroid from which on a person is an outlier; None:
            nobody is.
        projection: The map.
        tree: The dendrogram, when hierarchical clusters were among the algorithms.
        hysteresis: Share by which another centroid must be nearer for a person to change.
        formed: What cutting or joining its clusters would have brought when they were made.
        meanings: Words for the features.
        changes: Clusters of the model before that came apart or grew together in this fit.
        search: How the clusters and their number were chosen, when they were.
        card: Where the model comes from and how good it is.
    """

    name: str
    scaler: Scaler
    centroids: Floats
    ids: tuple[str, ...]
    names: tuple[str, ...]
    contrasts: tuple[tuple[str, ...], ...]
    shares: tuple[float, ...]
    origin: Floats
    spread: Floats
    outlier_cut: float | None
    projection: Projection
    tree: Tree | None
    hysteresis: float
    formed: Gains
    card: ModelCard
    meanings: Mapping[str, FeatureMeaning] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    search: Search = field(default_factory=lambda: Search("", {}, ""))

    kind: ClassVar[str] = KIND
    ID_PREFIX: ClassVar[str] = "c"
    LABEL_COLUMN: ClassVar[str] = "cluster"

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return digest(self.to_dict())

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """What the model adds to a profile."""
        return (
            ScoreColumn("cluster", "VARCHAR", "label id", "Stable id of the cluster.", self.ids),
            ScoreColumn("name", "VARCHAR", "label", "What the cluster is called.", self.names),
            ScoreColumn(
                "distance",
                "DOUBLE",
                "standard deviations",
                "Distance from the centre of the cluster; the smaller the more typical.",
            ),
            ScoreColumn(
                "is_outlier", "BOOLEAN", "yes or no", "Whether the person is in no crowd at all."
            ),
        )

    def labelled(self, ids: Sequence[str], registry: Registry) -> ClusterModel:
        """The same clusters under these ids, with the registry's names."""
        return replace(self, ids=tuple(ids), names=registry.shown(ids))

    def named(self, registry: Registry) -> ClusterModel:
        """The same clusters under the registry's present names."""
        return self.labelled(self.ids, registry)

    def with_card(self, card: ModelCard) -> ClusterModel:
        """The same clusters with another card."""
        return replace(self, card=card)

    def codes(self, frame: pd.DataFrame, previous: pd.Series | None = None) -> Ints:
        """Number of each person's cluster; -1 for a person without any feature.

        Args:
            frame: Features, index ``profile_id``.
            previous: Ids of the clusters that people hold; ids of other models count as none.
        """
        return self._assign(frame, previous)[0]

    def predict(self, frame: pd.DataFrame, previous: pd.Series | None = None) -> pd.DataFrame:
        """The columns for each person of the frame, its index kept.

        Args:
            frame: Features, index ``profile_id``.
            previous: ``profile_id`` -> id of the cluster that the person holds, for hysteresis.
        """
        codes, distances = self._assign(frame, previous)
        known = codes >= 0
        cut = np.inf if self.outlier_cut is None else self.outlier_cut
        return pd.DataFrame(
            {
                "cluster": labels_of(self.ids, codes, frame.index),
                "name": labels_of(self.names, codes, frame.index),
                "distance": np.where(known, np.round(distances, 6), np.nan),
                "is_outlier": known & (distances >= cut),
            },
            index=frame.index,
        )

    def predict_sql(self, features: str, previous: str | None = None) -> str | None:
        """The same as SQL in the house dialect: ``profile_id`` and the columns.

        Args:
            features: Relation with ``profile_id`` and the features.
            previous: Relation with ``profile_id`` and ``cluster``: the ids that people hold.

        Returns:
            None where the statement would be too large for some warehouse, or an embedding is
            among the features.
        """
        return assignment_sql(
            features,
            previous,
            scaler=self.scaler,
            centroids=self.centroids,
            ids=self.ids,
            names=self.names,
            keep=(1 - self.hysteresis) ** 2,
            outlier_cut=self.outlier_cut,
        )

    def project(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Coordinates ``x``, ``y``, ``z`` on the map (fewer with fewer dimensions)."""
        points = np.round(self.projection.project(self.scaler.transform(frame)), 6)
        return pd.DataFrame(points, index=frame.index, columns=list("xyz")[: points.shape[1]])

    def drivers(self, frame: pd.DataFrame, *, top: int = 3) -> pd.DataFrame:
        """Why each person is in this cluster: what pulls it there and away from the average.

        Args:
            frame: Features of the people to explain, index ``profile_id``.
            top: Reasons a person, at most.

        Returns:
            ``profile_id``, ``rank``, ``feature``, ``difference`` (from the average person, in
            standard deviations) and ``words``; strongest first, nobody without a cluster.
        """
        codes = self.codes(frame)
        inside = np.flatnonzero(codes >= 0)
        points = self.scaler.transform(frame)[inside]
        pull = (points - self.origin) ** 2 - (points - self.centroids[codes[inside]]) ** 2
        # As many standard deviations count alike, whichever axis they are on.
        strongest = np.argsort(-np.round(pull, 9), axis=1, kind="stable")[:, :top]
        rows = []
        for i, person in enumerate(inside.tolist()):
            for rank, j in enumerate(strongest[i].tolist(), start=1):
                if pull[i, j] > 0:
                    difference = float((points[i, j] - self.origin[j]) / self.spread[j])
                    dimension = self.scaler.dimensions[j]
                    words = direction(self.meanings, dimension, difference)
                    rows.append(
                        (frame.index[person], rank, dimension.key, round(difference, 6), words)
                    )
        return pd.DataFrame(rows, columns=["profile_id", "rank", "feature", "difference", "words"])

    def _assign(self, frame: pd.DataFrame, previous: pd.Series | None) -> tuple[Ints, Floats]:
        """Number of the cluster and distance from its centroid."""
        squares = squared_distances(self.scaler.transform(frame), self.centroids)
        rows = np.arange(len(frame))
        codes = squares.argmin(axis=1).astype(np.int64)
        if previous is not None:
            held = codes_of(previous.reindex(frame.index), self.ids)
            stays = held >= 0
            keep = (1 - self.hysteresis) ** 2
            stays[stays] = (
                squares[rows[stays], codes[stays]] > keep * squares[rows[stays], held[stays]]
            )
            codes = np.where(stays, held, codes)
        distances = np.sqrt(squares[rows, codes])
        codes[~self.scaler.is_known(frame)] = -1
        return codes, distances

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "scaler": self.scaler.to_dict(),
            "centroids": encode(self.centroids),
            "ids": list(self.ids),
            "names": list(self.names),
            "contrasts": [list(words) for words in self.contrasts],
            "shares": list(self.shares),
            "origin": encode(self.origin),
            "spread": encode(self.spread),
            "outlier_cut": self.outlier_cut,
            "projection": self.projection.to_dict(),
            "tree": None if self.tree is None else self.tree.to_dict(),
            "hysteresis": self.hysteresis,
            "meanings": {f: m.to_dict() for f, m in self.meanings.items()},
            "formed": self.formed.to_dict(),
            "changes": self.changes.to_dict(),
            "search": self.search.to_dict(),
            "card": self.card.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ClusterModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            cut, tree = data["outlier_cut"], data["tree"]
            model = cls(
                name=str(data["name"]),
                scaler=Scaler.from_dict(data["scaler"]),
                centroids=decode(data["centroids"]),
                ids=tuple(map(str, data["ids"])),
                names=tuple(map(str, data["names"])),
                contrasts=tuple(tuple(map(str, words)) for words in data["contrasts"]),
                shares=tuple(map(float, data["shares"])),
                origin=decode(data["origin"]),
                spread=decode(data["spread"]),
                outlier_cut=None if cut is None else float(cut),
                projection=Projection.from_dict(data["projection"]),
                tree=None if tree is None else Tree.from_dict(tree),
                hysteresis=float(data["hysteresis"]),
                meanings={str(f): FeatureMeaning.from_dict(m) for f, m in data["meanings"].items()},
                formed=Gains.from_dict(data["formed"]),
                changes=Changes.from_dict(data["changes"]),
                search=Search.from_dict(data["search"]),
                card=ModelCard.from_dict(data["card"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                "A stored cluster model cannot be read.", hint="Fit the model again."
            ) from problem
        if model.centroids.shape != (len(model.ids), len(model.scaler.dimensions)):
            raise ModelError("A stored cluster model cannot be read.", hint="Fit the model again.")
        return model


def describe(
    scaler: Scaler,
    centroids: Floats,
    origin: Floats,
    spread: Floats,
    meanings: Mapping[str, FeatureMeaning],
) -> tuple[tuple[str, ...], ...]:
    """What sets each cluster apart from all people, strongest first."""
    differences = (centroids - origin) / spread
    return tuple(words_for(meanings, scaler.dimensions, row) for row in differences)
