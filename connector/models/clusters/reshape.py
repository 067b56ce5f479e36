"""Whether a cluster has come apart, or two have grown together, since they were made.

A warm restart keeps the number of clusters, so a crowd that comes apart must take a centroid from
somebody else: Lloyd's iterations then push two unrelated crowds into one, and a third of all people
change their label for a change that concerned a sixth of them. Hence a retrain first looks, from
where the old centroids are, at each cluster cut in two and at each pair joined, and judges the cut
or the join by the people concerned alone: by how much it raises their mean simplified silhouette
(how much nearer they are to their own centroid than to the next). Over everybody, a real split of
one cluster among eight drowns in the noise of the other seven.

Behaviour is mostly a continuum, and there a cut or a join may pay at any time. What counts is
therefore the *change*: each cluster remembers what its cut would have paid when it was made, each
pair what its join would have, and only a gain that has risen by :data:`MARGIN` since then is a
split or a merger. In data that only waver nothing ever is. And what is reported must be plain to
the eye: the halves of a split lie :data:`APART` today, a merged pair did when it was made and is
:data:`TOGETHER` today, measured along the line between their means. (The size of the gain does not
tell: where another crowd is near, the silhouette of two true crowds may well be lower than that of
their union.) Last, a split or a merger moves the people concerned and nobody else: one that would
shake up the others more than the plain warm restart does is not taken. A retail shop's customers,
refitted weekly for half a year in seven clusters of a continuum, lost two thirds of their labels
to one slow false merger before the last two rules were there.

References:
    Vendramin, Campello, Hruschka, Relative clustering validity criteria, 2010 (simplified
    silhouette); Ashman, Bird, Zepf, Detecting bimodality in astronomical datasets, 1994 (D);
    Spiliopoulou and others, MONIC, 2006 (splits and absorptions over time).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from connector.models.arrays import decode, encode
from connector.models.clusters.lloyd import kmeans, n_distinct, nearest, refine, squared_distances
from connector.models.matching import Changes, contingency, match

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MARGIN = 0.15
"""Rise of the mean silhouette of the people concerned that makes a split or a merger."""
APART = 4.0
"""Ashman's D from which on two groups are two crowds: two normal ones leave a gap from 2 on, but
the halves of a single one that is cut have 2.7, those of an even spread 3.5."""
TOGETHER = 3.2
"""Ashman's D up to which two groups are one crowd, cut in two."""
ELSEWHERE = 0.05
"""Share of people whom a reshaped fit may move from clusters that do not change, beyond those whom
the warm restart moves."""
LEAST_PART = 0.2
"""Share of a cluster's people that its smaller half must have: a few outliers are no crowd."""
LEAST_PEOPLE = 10
"""People that each half must have."""
SAMPLE = 20_000
"""People who are looked at, at most; as many as tell a thirtieth of the margin."""
FAR = 99.0
"""Two groups are not told to lie farther apart than so many standard deviations."""
NEVER = -9.0
"""Gain of a cut or join that is not possible; no mean silhouette can fall by more than 2."""


@dataclass(frozen=True, slots=True, eq=False)
class Gains:
    """What cutting each cluster, and joining each pair, would bring the people concerned.

    Attributes:
        cuts: Rise of their mean silhouette by cutting, shape (k,).
        joins: By joining, shape (k, k), symmetric; the diagonal is :data:`NEVER`.
        apart: Ashman's D of each pair, at most :data:`FAR`, shape (k, k); the diagonal is 0.
    """

    cuts: Floats
    joins: Floats
    apart: Floats

    def filled(self, now: Gains) -> Gains:
        """These, and today's where none could be told before."""
        return Gains(
            np.where(self.cuts == NEVER, now.cuts, self.cuts),
            np.where(self.joins == NEVER, now.joins, self.joins),
            np.where(self.joins == NEVER, now.apart, self.apart),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "cuts": encode(self.cuts),
            "joins": encode(self.joins),
            "apart": encode(self.apart),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Gains:
        """Inverse of :meth:`to_dict`."""
        return cls(decode(data["cuts"]), decode(data["joins"]), decode(data["apart"]))


@dataclass(frozen=True, slots=True, eq=False)
class Reshaped:
    """Where a retrain starts from.

    Attributes:
        start: Centroids, the old ones in their order first.
        formed: Gains when each cluster was made: those of old clusters and pairs as they were.
        changes: How many clusters came apart or grew together, and which are new by that.
        blocked: Old clusters that came apart (one position) or grew together (two) while the
            allowed numbers of clusters leave no room for it.
    """

    start: Floats
    formed: Gains
    changes: Changes
    blocked: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Gains as they are today, the halves of each cluster, and what is plain to the eye."""

    gains: Gains
    halves: list[Floats]
    may_cut: npt.NDArray[np.bool_]


def gains(points: Floats, centroids: Floats, *, rng: np.random.Generator) -> Gains:
    """What every cut and every join would bring now.

    Args:
        points: Shape (people, dimensions).
        centroids: Shape (k, dimensions).
        rng: Draws the starts of the cuts.
    """
    return _look(points[:: -(-len(points) // SAMPLE)], centroids, rng).gains


def reshape(
    points: Floats,
    carried: Floats,
    formed: Gains,
    *,
    k: tuple[int, int],
    rng: np.random.Generator,
) -> Reshaped:
    """Cut what has come apart and join what has grown together, the plainest case first.

    Args:
        points: Of today, shape (people, dimensions).
        carried: Centroids of the model in use, in today's space.
        formed: Gains when its clusters were made.
        k: Smallest and largest number of clusters.
        rng: Draws the starts of the cuts.
    """
    points = points[:: -(-len(points) // SAMPLE)]
    warm = start = refine(points, carried)
    made_before, fresh = formed, np.zeros(len(carried), dtype=bool)
    old, n_splits, n_mergers = list(range(len(carried))), 0, 0
    blocked: list[tuple[int, ...]] = []
    # Each step makes one of at most k[1] clusters fresh, and what is fresh is left alone.
    for _ in range(2 * k[1]):
        seen = _look(points, start, rng)
        formed = formed.filled(seen.gains)
        cuts = np.where(seen.may_cut & ~fresh, seen.gains.cuts - formed.cuts, 0.0)
        have_met = (formed.apart >= APART) & (seen.gains.apart <= TOGETHER)
        have_met &= ~fresh[:, None] & ~fresh & ~np.eye(len(start), dtype=bool)
        joins = np.where(have_met, seen.gains.joins - formed.joins, 0.0)
        cut, (i, j) = int(cuts.argmax()), divmod(int(joins.argmax()), len(start))
        wants_cut, wants_join = cuts[cut] >= MARGIN, joins[i, j] >= MARGIN
        if wants_cut and len(start) < k[1]:
            start = np.vstack([np.delete(start, cut, axis=0), seen.halves[cut]])
            gone, n_new, n_splits = [cut], 2, n_splits + 1
        elif wants_join and len(start) > k[0]:
            codes = nearest(points, start)
            union = points[(codes == i) | (codes == j)].mean(axis=0)
            start = np.vstack([np.delete(start, [i, j], axis=0), union])
            gone, n_new, n_mergers = [i, j], 1, n_mergers + 1
        else:
            if wants_cut:
                blocked.append((old[cut],))
            if wants_join:
                blocked.append((old[i], old[j]))
            break
        start = refine(points, start)
        old = [one for at, one in enumerate(old) if at not in gone]
        fresh = np.append(np.delete(fresh, gone), np.ones(n_new, dtype=bool))
        formed = _formed(points, start, formed, gone, n_new, rng)
    made = tuple(np.flatnonzero(fresh).tolist())
    changes = Changes(n_splits, n_mergers, made)
    if made:
        shaken = _shaken(points, carried, start, changes)
        if shaken > _shaken(points, carried, warm, Changes()) + ELSEWHERE:
            return Reshaped(warm, made_before, Changes(), ())
    return Reshaped(start, formed, changes, tuple(blocked))


def _shaken(points: Floats, before: Floats, after: Floats, changes: Changes) -> float:
    """Share of people who change cluster though theirs neither came apart nor grew together."""
    old, new = nearest(points, before), nearest(points, after)
    matching = match(contingency(old, new, n_before=len(before), n_after=len(after)))
    heirs = np.array([-1 if one is None else one for one in matching.heirs])
    moved = heirs[new] != old
    return float((moved & ~changes.concerned(matching, old, new)).mean())


def _formed(
    points: Floats,
    start: Floats,
    before: Gains,
    gone: list[int],
    n_new: int,
    rng: np.random.Generator,
) -> Gains:
    """The gains of clusters that stay as they were, those of the new ones as they are now."""
    now = gains(points, start, rng=rng)
    n_old = len(start) - n_new
    now.cuts[:n_old] = np.delete(before.cuts, gone)
    for mine, theirs in ((now.joins, before.joins), (now.apart, before.apart)):
        mine[:n_old, :n_old] = np.delete(np.delete(theirs, gone, axis=0), gone, axis=1)
    return now


def _look(points: Floats, centroids: Floats, rng: np.random.Generator) -> _Seen:
    """Every cluster cut in two and every pair joined, as things are today."""
    k = len(centroids)
    squares = squared_distances(points, centroids)
    codes = squares.argmin(axis=1)
    rows = [np.flatnonzero(codes == j) for j in range(k)]
    as_is = _silhouettes(squares)
    cuts, may_cut = np.full(k, NEVER), np.zeros(k, dtype=bool)
    halves = [centroids[[j, j]] for j in range(k)]
    for j in range(k):
        mine = points[rows[j]]
        if len(mine) < 2 * LEAST_PEOPLE or n_distinct(mine, at_least=2) < 2:
            continue
        halves[j] = kmeans(mine, 2, rng=rng)
        side = nearest(mine, halves[j]) == 1
        smaller = min(side.sum(), (~side).sum())
        may_cut[j] = smaller >= max(LEAST_PEOPLE, LEAST_PART * len(mine)) and (
            apartness(mine[side], mine[~side]) >= APART
        )
        others = np.delete(squares[rows[j]], j, axis=1)
        cut = np.hstack([others, squared_distances(mine, halves[j])])
        cuts[j] = (_silhouettes(cut) - as_is[rows[j]]).mean()
    joins, apart = np.full((k, k), NEVER), np.zeros((k, k))
    for i, j in combinations(range(k), 2):
        people = np.concatenate([rows[i], rows[j]])
        if k > 2 and len(rows[i]) and len(rows[j]):
            union = points[people].mean(axis=0)
            others = np.delete(squares[people], [i, j], axis=1)
            own = squared_distances(points[people], union[None])[:, 0]
            # The union is everybody's own, also where another centroid is nearer to it.
            gain = (_silhouettes(others, own) - as_is[people]).mean()
            joins[i, j] = joins[j, i] = gain
            far = min(apartness(points[rows[i]], points[rows[j]]), FAR)
            apart[i, j] = apart[j, i] = far
    found = Gains(np.round(cuts, 9), np.round(joins, 9), np.round(apart, 9))
    return _Seen(found, halves, may_cut)


def apartness(one: Floats, other: Floats) -> float:
    """Ashman's D of two groups along the line between their means.

    Args:
        one: Shape (people, dimensions), at least one person.
        other: Likewise.

    Returns:
        Distance of the means over the root of the mean variance along the line; infinite for two
        points.
    """
    line = one.mean(axis=0) - other.mean(axis=0)
    length = float(np.linalg.norm(line))
    if length == 0:
        return 0.0
    variance = ((one @ line).var() + (other @ line).var()) / (2 * length**2)
    return float(length / np.sqrt(variance)) if variance > 0 else np.inf


def _silhouettes(squares: Floats, own: Floats | None = None) -> Floats:
    """Simplified silhouette of each point.

    Args:
        squares: Squared distances from centroids.
        own: That from the point's own centroid, not among them; None: the nearest of them is it.
    """
    if own is None:
        two = np.partition(squares, 1, axis=1)
        own, other = two[:, 0], two[:, 1]
    else:
        other = squares.min(axis=1)
    a, b = np.sqrt(own), np.sqrt(other)
    found: Floats = (b - a) / np.maximum(np.maximum(a, b), np.finfo(float).tiny)
    return found
