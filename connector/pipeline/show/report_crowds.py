"""The report's rows about crowds: personas with their map and dendrogram, topics, and pairs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from connector.pipeline.scoring.lines import names_of
from connector.pipeline.scoring.reading import feature_frame
from connector.pipeline.understand.act import Understanding
from connector.report import models as rows
from connector.report.people import SMALL_CELL
from connector.warehouse.render import quote

Floats = npt.NDArray[np.float64]

_MOST_FEET = 12
"""Branches that the dendrogram begins with, at most."""
_MOST_PAIRS = 15
_TOP_ITEMS = 6
_PEOPLE_A_DOT = 8
"""People that a dot of the map stands for on the mean, where the people allow it."""

_WIDEST, _NARROWEST = 48, 8
"""Most and fewest columns of the map's grid."""


# ---------------------------------------------------------------------- personas
def personas(found: Understanding) -> tuple[rows.PersonaSummary, ...]:
    """Every cluster model in use."""
    return tuple(
        _personas(found, name, found.scores.models[name])
        for name, settings in found.context.config.models.named()
        if settings.type == "cluster" and name in found.scores.models
    )


def _personas(found: Understanding, name: str, model: Any) -> rows.PersonaSummary:  # noqa: ANN401
    cluster = f"{name}.cluster"
    counted = {
        key: (int(n), int(outliers or 0))
        for key, n, outliers in found.warehouse.rows(
            f"SELECT s.{quote(cluster)} AS c, count(*) AS n,"
            f" sum(CASE WHEN s.{quote(f'{name}.is_outlier')} THEN 1 ELSE 0 END) AS o"
            " FROM scored AS s GROUP BY 1"
        )
    }
    frame = feature_frame(
        found.warehouse,
        "scored",
        model.scaler.features,
        found.context.features,
        where=f"{quote(cluster)} IS NOT NULL",
    )
    order = sorted(range(len(model.ids)), key=lambda i: (-counted.get(model.ids[i], (0, 0))[0], i))
    codes = model.codes(frame, found.context.held(name))
    place = _three(model.project(frame).to_numpy())
    centres = _three(model.projection.project(model.centroids))
    ranked = np.argsort(order)[codes]
    return rows.PersonaSummary(
        model=name,
        personas=tuple(
            rows.PersonaRow(
                id=model.ids[i],
                name=model.names[i],
                people=counted.get(model.ids[i], (0, 0))[0],
                contrasts=tuple(model.contrasts[i]),
                x=float(centres[i][0]),
                y=float(centres[i][1]),
                z=float(centres[i][2]),
            )
            for i in order
        ),
        n_without=counted.get(None, (0, 0))[0],
        n_outliers=sum(outliers for _, outliers in counted.values()),
        explained=tuple(model.projection.explained[:3]),
        dots=tuple(_dots(place[:, :2], ranked)),
        side=tuple(_dots(place[:, [0, 2]], ranked)) if len(model.projection.explained) > 2 else (),
        contenders=tuple(_contenders(model)),
        compared_on=date.fromisoformat(model.search.day) if model.search.day else None,
        tree=None if model.tree is None else _tree(model),
        eligible=_eligible(found, name),
        silhouette=model.card.metrics.get("silhouette"),
        shuffled=model.card.baselines.get("shuffled_features", {}).get("silhouette"),
    )


def _three(places: Floats) -> Floats:
    """Coordinates on three axes; 0 where there are fewer."""
    return np.column_stack([places, np.zeros((len(places), max(0, 3 - places.shape[1])))])[:, :3]


def _contenders(model: Any) -> Iterator[rows.ContenderRow]:  # noqa: ANN401
    """What was compared when the clusters were chosen, and the density methods of the last fit."""
    for algorithm, k, found in model.search.ranked:
        yield rows.ContenderRow(
            algorithm=algorithm,
            k=k,
            silhouette=found["silhouette"],
            ari=found["bootstrap_ari"],
            jaccard=found["bootstrap_jaccard"],
            smallest=found["min_segment_share"],
            score=found["score"],
            is_chosen=(algorithm, k) == model.search.chosen,
        )
    for name, found in model.card.candidates.items():
        if "left_out_share" in found:
            yield rows.ContenderRow(
                algorithm=name,
                k=int(found["n_clusters"]),
                silhouette=found["silhouette"],
                ari=found["ari_with_chosen"],
                left_out=found["left_out_share"],
            )


def _tree(model: Any) -> rows.TreeSummary:  # noqa: ANN401
    """The dendrogram's last joins, drawn by scipy's layout, and its cuts."""
    from scipy.cluster.hierarchy import dendrogram

    tree, n = model.tree, len(model.tree.leaves)
    people = tree.weights.tolist()
    for a, b in tree.linkage[:, :2].astype(int).tolist():
        people.append(people[a] + people[b])
    shown = min(max(_MOST_FEET, len(model.ids)), n)
    drawn = dendrogram(tree.linkage, p=shown, truncate_mode="lastp", no_plot=True)
    top = tree.height(1)
    # scipy stands the feet at 5, 15, 25, ...
    across, total = 10.0 * shown, tree.weights.sum()
    k = len(model.ids)
    tried = {size for _, size, _ in model.search.ranked} | {k}
    return rows.TreeSummary(
        branches=tuple(
            rows.Branch(
                left=xs[0] / across,
                right=xs[2] / across,
                left_from=ys[0] / top,
                right_from=ys[3] / top,
                height=ys[1] / top,
            )
            for xs, ys in zip(drawn["icoord"], drawn["dcoord"], strict=True)
        ),
        feet=tuple(
            ((10.0 * i + 5) / across, people[node] / total)
            for i, node in enumerate(drawn["leaves"] or ())
        ),
        cuts=tuple(
            rows.CutRow(size, tree.height(size) / top, _largest_first(tree.sizes(size)))
            for size in sorted(tried)
            if 2 <= size <= n
        ),
        k=k,
    )


def _largest_first(shares: Floats) -> tuple[float, ...]:
    return tuple(np.round(np.sort(shares)[::-1], 6).tolist())


def _eligible(found: Understanding, name: str) -> str:
    """Whom a model is about, as the configuration says it; empty for everybody."""
    return getattr(dict(found.context.config.models.named())[name], "eligible", None) or ""


def _dots(
    place: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    persona: np.ndarray[Any, np.dtype[np.int64]],
) -> Iterator[rows.Dot]:
    """People by place: on a grid as fine as their number allows, the far ends drawn in."""
    if len(place) < rows.LEAST_DOT:
        return
    low, high = np.quantile(place, 0.005, axis=0), np.quantile(place, 0.995, axis=0)
    columns = int(np.clip((1.6 * len(place) / _PEOPLE_A_DOT) ** 0.5, _NARROWEST, _WIDEST))
    cells = np.array([columns, max(int(columns / 1.6), 4)])
    size = np.where(high > low, high - low, 1.0) / cells
    at = np.clip(((place - low) / size).astype(np.int64), 0, cells - 1)
    keys, inverse = np.unique(at, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    tallies = np.zeros((len(keys), int(persona.max()) + 1), dtype=np.int64)
    np.add.at(tallies, (inverse, persona), 1)
    for key, tally in zip(keys, tallies, strict=True):
        people = int(tally.sum())
        if people >= rows.LEAST_DOT:
            x, y = low + (key + 0.5) * size
            yield rows.Dot(round(float(x), 3), round(float(y), 3), people, int(tally.argmax()))


# ---------------------------------------------------------------------- affinity
def affinity(found: Understanding) -> tuple[rows.TopicSummary, ...]:
    """Every affinity model in use."""
    made = []
    for name, settings in found.context.config.models.named():
        model: Any = found.scores.models.get(name)
        if settings.type != "lda" or model is None:
            continue
        counted = dict(
            found.warehouse.rows(
                f"SELECT s.{quote(f'{name}.top_id')} AS t, count(*) AS n FROM scored AS s GROUP"
                " BY 1"
            )
        )
        topics = [
            rows.TopicRow(key, label, int(counted.get(key, 0)), tuple(items[:_TOP_ITEMS]))
            for key, label, items in zip(model.ids, model.names, model.contrasts, strict=True)
        ]
        topics.sort(key=lambda one: (-one.people, one.id))
        made.append(rows.TopicSummary(name, tuple(topics), int(counted.get(None, 0))))
    return tuple(made)


# ---------------------------------------------------------------------- pairs
def pairs(found: Understanding) -> tuple[rows.PairSummary, ...]:
    """Every model of pairs in use."""
    return tuple(
        _pairs(found, name, settings.level, found.scores.models[name].model.pairs)  # type: ignore[attr-defined]
        for name, settings in found.context.config.models.named()
        if settings.type == "association" and name in found.scores.models
    )


def _pairs(found: Understanding, name: str, level: str, model: Any) -> rows.PairSummary:  # noqa: ANN401
    called = names_of(found.context, level)
    table = model.rules()
    # Both directions of a pair have one lift and stand one after the other by name.
    confidence = {
        (a, b): share
        for a, b, share in zip(table["item"], table["goes_with"], table["confidence"], strict=True)
    }
    listed = table[(table["item"] < table["goes_with"]) & (table["n_both"] >= SMALL_CELL)]
    return rows.PairSummary(
        model=name,
        pairs=tuple(
            rows.PairRow(
                first=called.get(one.item, one.item),
                second=called.get(one.goes_with, one.goes_with),
                both=int(one.n_both),
                of_first=float(one.confidence),
                of_second=float(confidence[one.goes_with, one.item]),
                lift=float(one.lift),
                low=float(one.lift_low),
                high=float(one.lift_high),
            )
            for one in listed.head(_MOST_PAIRS).itertuples()
        ),
        n_pairs=len(table) // 2,
        n_baskets=int(model.n_baskets),
    )
