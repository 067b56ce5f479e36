"""Half a year of weekly retrains: labels stay, and a true split and a true merger are told once.

Six crowds waver and drift. From week 9 on half of one wanders off within three weeks; from week 18
on another walks over to its neighbour. Whoever simulates them knows who belongs together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from connector.models.clusters import ClusterModel, ClusterSpec, Relabelled, fit, relabel
from connector.models.labels import Registry
from connector.models.matching import Fate
from tests.models.clusters.people import AS_OF, FEATURES

N_PEOPLE, N_WEEKS, SPREAD = 1_000, 26, 0.6
SPLIT_FROM, MERGER_FROM, TAKES = 9, 18, 3
SHIFT = np.array([0.0, 4.0, 0.0, 4.0])
SPEC = ClusterSpec(
    features=FEATURES, algorithms=("kmeans",), k=(4, 9), n_bootstrap=2, choose_sample=300
)
MOST_CHURN = 0.03


def centres(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Six places, such that nobody passes through a crowd that is not meant."""
    while True:
        found = rng.normal(0, 2.2, (6, 4))
        apart = np.linalg.norm(found[:, None] - found, axis=2) + 9 * np.eye(6)
        ways = [found[0] + s * SHIFT for s in (0.5, 1)]
        ways += [found[1] + s * (found[2] - found[1]) for s in (0.5, 1)]
        others = [found[1:], found[1:], found[[0, 3, 4, 5]], found[[0, 3, 4, 5]]]
        free = [
            np.linalg.norm(place - crowd, axis=1).min()
            for place, crowd in zip(ways, others, strict=True)
        ]
        moved = np.linalg.norm(found[0] + SHIFT - found, axis=1).min()
        if apart.min() > 5 * SPREAD and min(*free, moved) > 5 * SPREAD:
            return found


def world(seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], list[pd.DataFrame]]:
    """The crowd of each person, who wanders off, and everybody's features week by week."""
    rng = np.random.default_rng(seed)
    places = centres(rng)
    crowd = rng.integers(0, 6, N_PEOPLE)
    wanders = (crowd == 0) & (rng.random(N_PEOPLE) < 0.5)
    base = places[crowd] + rng.normal(0, SPREAD, (N_PEOPLE, 4))
    wave = rng.normal(0, 0.12, (N_PEOPLE, 4))
    index = pd.Index([f"p{i:05d}" for i in range(N_PEOPLE)], name="profile_id")
    frames = []
    for week in range(N_WEEKS + 1):
        points = base + wave + 0.01 * week * np.array([1, 0, 0, 0])
        gone = np.clip((week - SPLIT_FROM + 1) / TAKES, 0, 1)
        points[wanders] += gone * SHIFT
        near = np.clip((week - MERGER_FROM + 1) / TAKES, 0, 1)
        points[crowd == 1] += near * (places[2] - places[1])
        frames.append(pd.DataFrame(points, columns=list(FEATURES), index=index))
        wave = 0.9 * wave + 0.44 * rng.normal(0, 0.12, (N_PEOPLE, 4))
    return crowd, wanders, frames


@dataclass
class Year:
    """What was published, week by week."""

    weeks: list[Relabelled[ClusterModel]] = field(default_factory=list)
    held: list[pd.Series] = field(default_factory=list)

    def label(self, week: int, of: npt.NDArray[np.bool_]) -> str:
        """The label that nearly all of these people held."""
        (label, n), *_ = self.held[week][of].value_counts().items()
        assert n > 0.9 * of.sum()
        return str(label)

    def events(self, fate: Fate) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        """Week, old id and new ids of every event of a kind."""
        for week, done in enumerate(self.weeks[1:], start=1):
            assert done.matching is not None
            for event in done.matching.events:
                if event.fate is fate:
                    before = [self.weeks[week - 1].model.ids[i] for i in event.before]
                    after = tuple(done.model.ids[j] for j in event.after)
                    yield week, before[0] if before else "", after


def lived_through(frames: list[pd.DataFrame]) -> Year:
    year = Year()
    for week, frame in enumerate(frames):
        before = year.weeks[-1] if year.weeks else None
        fresh = fit(
            frame,
            SPEC,
            as_of=AS_OF + timedelta(weeks=week),
            rng=np.random.default_rng(week),
            before=before.model if before else None,
        )
        done = (
            relabel(fresh, Registry("p"))
            if before is None
            else relabel(
                fresh, before.registry, before=before.model, frame=frame, held=year.held[-1]
            )
        )
        assert done.is_accepted
        year.weeks.append(done)
        year.held.append(done.model.predict(frame, year.held[-1] if year.held else None)["cluster"])
        if before is None:
            # Somebody names what they see; the names must outlive everything.
            named = tuple(
                replace(label, name=f"crowd {label.id}") for label in done.registry.labels
            )
            registry = replace(done.registry, labels=named)
            year.weeks[0] = replace(done, model=done.model.named(registry), registry=registry)
    return year


@pytest.mark.parametrize("seed", [1, 2])
def test_labels_stay_and_true_changes_are_told_once(seed: int) -> None:
    crowd, wanders, frames = world(seed)
    year = lived_through(frames)
    assert len(year.weeks[0].model.ids) == 6

    ((split_week, split_id, halves),) = year.events(Fate.SPLIT)
    assert SPLIT_FROM <= split_week < SPLIT_FROM + TAKES
    assert split_id == year.label(0, crowd == 0)
    assert set(halves) == {year.label(N_WEEKS, one) for one in (wanders, (crowd == 0) & ~wanders)}

    mergers = list(year.events(Fate.MERGED))
    assert len({(week, after) for week, _, after in mergers}) == 1
    merger_week, _, (union,) = mergers[0]
    assert MERGER_FROM <= merger_week < MERGER_FROM + TAKES
    old = {year.label(0, crowd == 1), year.label(0, crowd == 2)}
    assert {before for _, before, _ in mergers} <= old
    assert union == year.label(N_WEEKS, (crowd == 1) | (crowd == 2))

    for fate in (Fate.DISAPPEARED, Fate.APPEARED):
        assert not list(year.events(fate))
    final = year.weeks[-1].registry
    for label_id in halves:
        label = final.label(label_id)
        assert label is not None
        assert label.parents == (split_id,)
    for stays in (3, 4, 5):
        label_id = year.label(0, crowd == stays)
        assert {year.label(week, crowd == stays) for week in range(N_WEEKS + 1)} == {label_id}
        assert year.weeks[-1].model.names[year.weeks[-1].model.ids.index(label_id)] == (
            f"crowd {label_id}"
        )

    wandering = {start + week for start in (SPLIT_FROM, MERGER_FROM) for week in range(TAKES + 1)}
    unmoved = crowd > 2
    for week, done in enumerate(year.weeks[1:], start=1):
        moves = (year.held[week] != year.held[week - 1]).to_numpy()
        assert moves[unmoved].mean() < MOST_CHURN
        assert done.churn_elsewhere < MOST_CHURN
        if week not in wandering:
            assert done.churn < MOST_CHURN
    truth = np.where(wanders, 6, np.where(crowd == 1, 2, crowd))
    assert adjusted_rand_score(truth, year.held[-1]) > 0.95


def test_no_room_is_told_and_not_taken() -> None:
    _, _, frames = world(1)
    rng = np.random.default_rng(0)
    fixed = replace(SPEC, k=(6, 6))
    first = fit(frames[0], fixed, as_of=AS_OF, rng=rng)
    later = fit(
        frames[SPLIT_FROM + 1], fixed, as_of=AS_OF + timedelta(weeks=10), rng=rng, before=first
    )
    assert len(later.ids) == 6
    assert later.changes.fresh == ()
    assert any("come apart in two, but `k` allows no more than 6" in n for n in later.card.notes)
