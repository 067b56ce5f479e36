"""What the configuration says about one cluster model, and what a search by it has found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.errors import ModelError
from connector.models.clusters.quality import CRITERIA, UNSTABLE
from connector.models.inputs import MissingRule
from connector.models.matching import LabelRules

ASSIGNING = ("kmeans", "hierarchical")
"""Algorithms that place everybody, and so may become the model; the first wins a tie."""
COMPARED = ("dbscan", "hdbscan")
"""Algorithms that are shown beside it and find the outliers."""


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """What the configuration says about one cluster model.

    Attributes:
        name: Prefix of the output columns.
        features: Columns to compare people by.
        logs: Those whose logarithm is taken first (signed, of 1 + the amount).
        algorithms: Of ``kmeans``, ``hierarchical``, ``dbscan``, ``hdbscan``.
        k: Smallest and largest number of clusters to try.
        choose_by: Criterion -> weight.
        missing: What stands for unknown values.
        labels: How labels pass to the next model.
        min_jaccard: The clusters' mean bootstrap Jaccard must exceed it to be published.
        min_people: Below so many people there is no answer.
        n_bootstrap: Bootstrap samples for each candidate.
        fit_sample: People to fit on, at most.
        choose_sample: People to judge candidates on, at most.
        density_sample: People for the density methods, at most.
    """

    name: str = "personas"
    features: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ("kmeans", "hierarchical", "dbscan")
    k: tuple[int, int] = (4, 8)
    choose_by: Mapping[str, float] = field(
        default_factory=lambda: {
            "silhouette": 0.4,
            "bootstrap_ari": 0.4,
            "min_segment_share": 0.2,
        }
    )
    missing: MissingRule = field(default_factory=MissingRule)
    labels: LabelRules = field(default_factory=LabelRules)
    min_jaccard: float = UNSTABLE
    min_people: int = 200
    n_bootstrap: int = 20
    fit_sample: int = 100_000
    choose_sample: int = 5_000
    density_sample: int = 5_000

    @property
    def sought(self) -> str:
        """What the clusters and their number are chosen by, the same text for the same settings."""
        weights = {name: float(weight) for name, weight in sorted(self.choose_by.items())}
        algorithms = sorted(set(self.algorithms) & set(ASSIGNING))
        return json.dumps({"k": self.k, "algorithms": algorithms, "choose_by": weights})

    def check(self) -> None:
        """Refuse settings that make no model.

        Raises:
            ModelError: An algorithm or criterion is unknown, none assigns people, or k is no range
                from 2 on.
        """
        known = (*ASSIGNING, *COMPARED)
        if not set(self.algorithms) <= set(known) or not set(self.algorithms) & set(ASSIGNING):
            raise ModelError(
                f"The model {self.name!r} needs algorithms of {', '.join(known)}.",
                hint=f"At least one of {' and '.join(ASSIGNING)}: the others leave people out.",
            )
        if not self.choose_by or not set(self.choose_by) <= set(CRITERIA):
            raise ModelError(
                f"The model {self.name!r} chooses by {', '.join(self.choose_by) or 'nothing'}.",
                hint=f"Weigh some of {', '.join(CRITERIA)}.",
            )
        if not 2 <= self.k[0] <= self.k[1]:
            raise ModelError(
                f"The model {self.name!r} cannot try {self.k[0]} to {self.k[1]} clusters.",
                hint="Give a range from 2 on, such as 4-8.",
            )


@dataclass(frozen=True, slots=True)
class Search:
    """How clusters and their number were chosen; retrains carry it on.

    Attributes:
        settings: :attr:`ClusterSpec.sought` of that day.
        compared: Algorithm and number of clusters -> measures.
        day: Of the data, such as 2026-03-02.
    """

    settings: str
    compared: Mapping[str, Mapping[str, float]]
    day: str

    @property
    def ranked(self) -> tuple[tuple[str, int, Mapping[str, float]], ...]:
        """Algorithm, number of clusters and measures, fewest clusters first."""
        rows = []
        for name, found in self.compared.items():
            algorithm, _, k = name.partition(" k=")
            rows.append((algorithm, int(k), found))
        return tuple(sorted(rows, key=lambda one: (one[1], ASSIGNING.index(one[0]))))

    @property
    def chosen(self) -> tuple[str, int] | None:
        """Algorithm and number of clusters of the best score; of equal ones the fewest clusters."""
        if not self.compared:
            return None
        algorithm, k, _ = max(self.ranked, key=lambda one: one[2]["score"])
        return algorithm, k

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "settings": self.settings,
            "compared": {name: dict(found) for name, found in self.compared.items()},
            "day": self.day,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Search:
        """Inverse of :meth:`to_dict`."""
        compared = {
            str(name): {str(key): float(value) for key, value in found.items()}
            for name, found in data["compared"].items()
        }
        return cls(str(data["settings"]), compared, str(data["day"]))
