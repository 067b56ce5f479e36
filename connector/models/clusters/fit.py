"""Finding clusters: try algorithms and numbers of clusters, choose, fit, and say how good it is.

Candidates are judged on a sample: fitted on one part, silhouette on the other, and refitted on
bootstrap samples. The chosen one is fitted on up to 100,000 people. Ward's tree proposes centroids
and Lloyd's iterations settle them, so that both algorithms end where each centroid is the mean of
its people; otherwise the first warm restart would move every cluster of the tree.

The naive baseline is the same search on columns that were shuffled each for itself: what it finds
is the shape of single features, and clusters worth a name must beat it.

A retrain starts warm from the model before it and keeps its clusters, but for those that have come
apart or grown together (:mod:`connector.models.clusters.reshape`). Algorithm and k are chosen anew
only when people change what they are chosen by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.errors import InsufficientDataError, ModelError
from connector.models.card import Gate, ModelCard
from connector.models.clusters.density import Density, dbscan, hdbscan, outlier_cut
from connector.models.clusters.lloyd import kmeans, n_distinct, nearest, refine
from connector.models.clusters.model import KIND, ClusterModel, describe
from connector.models.clusters.projection import fit_projection
from connector.models.clusters.quality import (
    UNSTABLE,
    Quality,
    bootstrap,
    prediction_strength,
    silhouette,
    stability_word,
)
from connector.models.clusters.reshape import Reshaped, gains, reshape
from connector.models.clusters.scaling import fit_scaler
from connector.models.clusters.spec import ASSIGNING, COMPARED, ClusterSpec, Search
from connector.models.clusters.ward import Tree, build_tree
from connector.models.clusters.words import FeatureMeaning
from connector.models.labels import Registry, settle
from connector.models.matching import Changes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Candidate:
    algorithm: str
    k: int
    quality: Quality

    def score(self, weights: Mapping[str, float]) -> float:
        total = sum(weights.values())
        return sum(w * self.quality.criterion(name) for name, w in weights.items()) / total


def fit(
    frame: pd.DataFrame,
    spec: ClusterSpec,
    *,
    as_of: datetime,
    rng: np.random.Generator,
    meanings: Mapping[str, FeatureMeaning] | None = None,
    before: ClusterModel | None = None,
) -> ClusterModel:
    """Find clusters of people.

    Args:
        frame: Features, index ``profile_id``; the order of its rows does not matter.
        spec: What the configuration says.
        as_of: The instant of the features, aware.
        rng: Source of all randomness.
        meanings: Words for the features.
        before: The model in use, for a warm restart; None: choose everything anew. It is chosen
            anew as well when the features, or the settings that decide, are others than its own.

    Returns:
        A model with provisional ids; :func:`connector.models.clusters.relabel` gives the stable
        ones.

    Raises:
        InsufficientDataError: Too few people, or too few different ones.
        ModelError: The settings make no model, or a feature is missing or no number.
    """
    spec.check()
    frame = frame.sort_index()
    if not frame.index.is_unique:
        raise ModelError("A profile is in the features twice.", hint="Build the features again.")
    sample = _sample(frame, spec, rng)
    scaler, notes = fit_scaler(sample, spec.features, logs=spec.logs, missing=spec.missing)
    sample = sample[scaler.is_known(sample)]
    points = scaler.transform(sample)
    _check_enough(len(points), n_distinct(points, at_least=spec.k[1]), spec)

    trial = points[_draw(len(points), spec.choose_sample, rng)]
    tree = build_tree(trial, rng=rng) if "hierarchical" in spec.algorithms else None
    carried = None if before is None else before.scaler.carry(before.centroids, scaler)
    if before is not None and carried is None:
        notes += ("The features have changed: fitted from scratch.",)
    elif before is not None and before.search.settings != spec.sought:
        carried = None
        notes += ("The settings have changed: clusters and their number were chosen anew.",)
    changes, day = Changes(), as_of.astimezone(UTC).date()
    if before is not None and carried is not None:
        reshaped = reshape(points, carried, before.formed, k=spec.k, rng=rng)
        changes, start = reshaped.changes, reshaped.start
        notes += _left_alone(reshaped, before.names, spec)
        candidates = _judge(trial, [before.card.algorithm], (len(start),), spec, rng)
        chosen, search = candidates[0], before.search
    else:
        assigning = [a for a in ASSIGNING if a in spec.algorithms]
        candidates = _judge(trial, assigning, range(spec.k[0], spec.k[1] + 1), spec, rng)
        # Of equal scores the fewest clusters; Python's max keeps the first.
        chosen = max(candidates, key=lambda c: round(c.score(spec.choose_by), 6))
        search = Search(spec.sought, _compared(candidates, spec), day.isoformat())
        is_tree = chosen.algorithm == "hierarchical"
        start = _centroids(trial, chosen.k, tree if is_tree else None, rng)
    centroids = refine(points, start)
    codes = nearest(points, centroids)
    if carried is None:
        order = np.argsort(-np.bincount(codes, minlength=len(centroids)), kind="stable")
        centroids = centroids[order]
        codes = nearest(points, centroids)

    origin, spread = np.round(points.mean(axis=0), 9), np.round(points.std(axis=0), 9)
    spread = np.where(spread > 0, spread, 1.0)
    shares = np.bincount(codes, minlength=len(centroids)) / len(codes)
    contrasts = describe(scaler, centroids, origin, spread, meanings or {})
    ids, provisional = settle(
        Registry(spec.name),
        contrasts,
        prefix=ClusterModel.ID_PREFIX,
        day=day,
    )
    names = tuple(label.shown for label in provisional.labels)
    density, cut = _crowds(points, centroids, spec, rng)
    return ClusterModel(
        name=spec.name,
        scaler=scaler,
        centroids=centroids,
        ids=ids,
        names=names,
        contrasts=contrasts,
        shares=tuple(np.round(shares, 9).tolist()),
        origin=origin,
        spread=spread,
        outlier_cut=cut,
        projection=fit_projection(points, before=before.projection if before else None),
        tree=tree,
        hysteresis=spec.labels.hysteresis,
        formed=gains(points, centroids, rng=rng) if carried is None else reshaped.formed,
        changes=changes,
        search=search,
        meanings=dict(meanings or {}),
        card=_card(spec, chosen, candidates, density, trial, as_of, len(frame), scaler.features,
                   notes, rng),
    )  # fmt: skip


def _left_alone(reshaped: Reshaped, names: Sequence[str], spec: ClusterSpec) -> tuple[str, ...]:
    """Sentences on what ``k`` leaves no room for."""
    notes = []
    for old in reshaped.blocked:
        which = " and ".join(f"«{names[i]}»" for i in old)
        happened, limit = (
            (f"{which} has come apart in two", f"more than {spec.k[1]}")
            if len(old) == 1
            else (f"{which} have grown together", f"fewer than {spec.k[0]}")
        )
        notes.append(f"{happened}, but `k` allows no {limit} clusters.")
    return tuple(notes)


def _sample(frame: pd.DataFrame, spec: ClusterSpec, rng: np.random.Generator) -> pd.DataFrame:
    """The people to fit on, in the order of their ids."""
    columns = [f for f in spec.features if f in frame]
    return frame[columns].iloc[_draw(len(frame), spec.fit_sample, rng, in_order=True)]


def _draw(n: int, most: int, rng: np.random.Generator, *, in_order: bool = False) -> Ints:
    """Rows of a sample without replacement, in random order or in their own."""
    rows = rng.permutation(n)[:most].astype(np.int64)
    return np.sort(rows) if in_order else rows


def _check_enough(n_people: int, n_different: int, spec: ClusterSpec) -> None:
    if n_people < spec.min_people:
        raise InsufficientDataError(
            f"The model {spec.name!r} has {n_people} people with features, {spec.min_people} are"
            " needed.",
            hint="Wait for more people, or widen `eligible`.",
        )
    if n_different < 2 * spec.k[1]:
        raise InsufficientDataError(
            f"The model {spec.name!r} sees only {n_different} different people; for"
            f" {spec.k[1]} clusters {2 * spec.k[1]} are needed.",
            hint="Add features that tell people apart, or try fewer clusters.",
        )


def _judge(
    trial: Floats,
    algorithms: list[str],
    ks: range | tuple[int, ...],
    spec: ClusterSpec,
    rng: np.random.Generator,
) -> list[_Candidate]:
    """Every algorithm with every k, judged on people that it did not see and by bootstrap."""
    n_seen = max(2 * max(ks), int(0.7 * len(trial)))
    seen, unseen = trial[:n_seen], trial[n_seen:]
    samples = [np.unique(rng.integers(0, len(seen), len(seen))) for _ in range(spec.n_bootstrap)]
    found = []
    for algorithm in algorithms:
        is_tree = algorithm == "hierarchical"
        tree = build_tree(seen, rng=rng) if is_tree else None
        trees = [build_tree(seen[rows], rng=rng) if is_tree else None for rows in samples]
        for k in ks:
            centroids = _centroids(seen, k, tree, rng)
            labels = nearest(seen, centroids)
            refits = [
                _centroids(seen[rows], k, one, rng)
                for rows, one in zip(samples, trees, strict=True)
            ]
            jaccard, ari = bootstrap(seen, labels, k, samples, refits)
            sizes = np.bincount(labels, minlength=k) / len(labels)
            strength = prediction_strength(seen, lambda x, k=k: kmeans(x, k, rng=rng))  # type: ignore[misc]
            found.append(
                _Candidate(
                    algorithm,
                    k,
                    Quality(
                        silhouette(unseen, nearest(unseen, centroids)),
                        jaccard,
                        ari,
                        strength,
                        float(sizes.min()),
                    ),
                )
            )
    return sorted(found, key=lambda c: (c.k, ASSIGNING.index(c.algorithm)))


def _centroids(points: Floats, k: int, tree: Tree | None, rng: np.random.Generator) -> Floats:
    """Centroids by k-means, or settled from a cut of the tree."""
    if tree is None or len(tree.leaves) < k:
        return kmeans(points, k, rng=rng)
    return refine(points, tree.centroids(k))


def _crowds(
    points: Floats, centroids: Floats, spec: ClusterSpec, rng: np.random.Generator
) -> tuple[dict[str, Density], float | None]:
    """What the density methods find in a sample, and where outliers begin."""
    crowd = points[_draw(len(points), spec.density_sample, rng)]
    labels = nearest(crowd, centroids)
    methods = {"dbscan": dbscan, "hdbscan": hdbscan}
    found = {name: methods[name](crowd, labels) for name in COMPARED if name in spec.algorithms}
    if not found:
        return found, None
    first = next(iter(found.values()))
    return found, outlier_cut(crowd, centroids, first.labels)


def _card(
    spec: ClusterSpec,
    chosen: _Candidate,
    candidates: list[_Candidate],
    density: Mapping[str, Density],
    trial: Floats,
    as_of: datetime,
    n_people: int,
    features: tuple[str, ...],
    notes: tuple[str, ...],
    rng: np.random.Generator,
) -> ModelCard:
    shuffled = np.column_stack([rng.permutation(column) for column in trial.T])
    few = ClusterSpec(n_bootstrap=max(2, spec.n_bootstrap // 4))
    noise = _judge(shuffled, [chosen.algorithm], (chosen.k,), few, rng)[0].quality
    quality = chosen.quality
    word = stability_word(quality.bootstrap_jaccard)
    weak = sum(j <= UNSTABLE for j in quality.jaccard)
    if weak:
        notes += (f"{weak} of {chosen.k} clusters do not come back reliably when people are drawn"
                  " anew (bootstrap Jaccard of .6 or less).",)  # fmt: skip
    if quality.silhouette <= noise.silhouette:
        notes += ("People are no better separated than with shuffled features: the clusters cut a"
                  " continuum into ranges.",)  # fmt: skip
    return ModelCard(
        name=spec.name,
        kind=KIND,
        algorithm=chosen.algorithm,
        as_of=as_of.astimezone(UTC),
        n_people=n_people,
        features=features,
        metrics={"k": float(chosen.k), **_rounded(quality.measures())},
        baselines={"shuffled_features": _rounded(noise.measures())},
        candidates={
            **_compared(candidates, spec),
            **{name: _rounded(found.measures) for name, found in density.items()},
        },
        gates=(
            Gate(
                "bootstrap_jaccard",
                f"more than {spec.min_jaccard:.0%}",
                f"{quality.bootstrap_jaccard:.0%} of a group on the mean ({word})",
                quality.bootstrap_jaccard > spec.min_jaccard,
            ),
        ),
        notes=notes,
        n_rows=n_people,
    )


def _compared(candidates: list[_Candidate], spec: ClusterSpec) -> dict[str, dict[str, float]]:
    """Measures of everything that was tried."""
    return {
        f"{c.algorithm} k={c.k}": _rounded(
            {**c.quality.measures(), "score": c.score(spec.choose_by)}
        )
        for c in candidates
    }


def _rounded(measures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in measures.items()}
