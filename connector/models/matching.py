"""Which group of a refit is which group of the model before it, judged by the people in them.

A refit numbers its clusters and topics afresh, so raw numbers say nothing: in a simulated weekly
refit 85 % of people "changed" cluster although hardly anybody had moved. Here the groups of both
models are paired by the people they share (the Hungarian method), and each old group gets exactly
one event, after MONIC. A label passes on only to a group that is the old one both ways: it keeps
most of its people, and is made mostly of them. Otherwise the group is new, with the old ones as its
parents, because a name that slides onto other people is worse than no name.

References:
    Spiliopoulou, Ntoutsi, Theodoridis, Schult: MONIC, modeling and monitoring cluster transitions,
    KDD 2006 (survival .7, split .3).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAJORITY = 0.5
"""Least share of a new group that must come from the old group whose label it takes."""


@dataclass(frozen=True, slots=True)
class LabelRules:
    """How labels pass from one model to the next.

    Attributes:
        min_overlap: Least share of people who keep their label; below it the new model is not used.
        survival: Least share of an old group's people that its heir must hold.
        split: Least share of an old group's people for a new group to be a part of it.
        hysteresis: A person changes group only when the new one is nearer (or larger) by so much,
            as a share.
    """

    min_overlap: float = 0.8
    survival: float = 0.7
    split: float = 0.3
    hysteresis: float = 0.1


class Fate(enum.StrEnum):
    """What became of a group."""

    SURVIVED = "survived"
    SPLIT = "split"
    MERGED = "merged"
    DISAPPEARED = "disappeared"
    APPEARED = "appeared"


@dataclass(frozen=True, slots=True)
class Event:
    """What became of one old group, or that a new one came from nowhere.

    Attributes:
        fate: Which of the five.
        before: Numbers of the old groups; empty for one that appeared.
        after: Numbers of the new groups; empty for one that disappeared.
        share: Of the old group's people, how many are in ``after``; 0 for one that appeared.
    """

    fate: Fate
    before: tuple[int, ...]
    after: tuple[int, ...]
    share: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "fate": self.fate.value,
            "before": list(self.before),
            "after": list(self.after),
            "share": self.share,
        }


@dataclass(frozen=True, slots=True)
class Changes:
    """What a refit changed on purpose, because people have come apart or grown together.

    Attributes:
        n_splits: Groups that it cut in two.
        n_mergers: Pairs that it joined.
        fresh: Numbers of the new groups that came of that.
    """

    n_splits: int = 0
    n_mergers: int = 0
    fresh: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "n_splits": self.n_splits,
            "n_mergers": self.n_mergers,
            "fresh": list(self.fresh),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Changes:
        """Inverse of :meth:`to_dict`."""
        fresh = tuple(map(int, data["fresh"]))
        return cls(int(data["n_splits"]), int(data["n_mergers"]), fresh)

    def concerned(self, matching: Matching, before: Ints, after: Ints) -> npt.NDArray[np.bool_]:
        """Who is in a group that came apart or grew together.

        Nobody, where the groups tell of more splits or mergers than were made on purpose: then the
        refit went astray, and its events are no news about people.

        Args:
            matching: Of the two models.
            before: Old group of each person, negative for none.
            after: New group, by the new model alone.
        """
        split = {i for e in matching.events if e.fate is Fate.SPLIT for i in e.before}
        merged = {e.before[0]: e.after for e in matching.events if e.fate is Fate.MERGED}
        if len(split) > self.n_splits or len(set(merged.values())) > self.n_mergers:
            return np.zeros(len(before), dtype=bool)
        return np.isin(after, self.fresh) | np.isin(before, [*split, *merged])


@dataclass(frozen=True, slots=True)
class Matching:
    """How the groups of two models belong together.

    Attributes:
        heirs: For each new group the old one whose label it takes, or None.
        parents: For each new group the old groups that it came from.
        events: One for each old group in order, then one for each new group that appeared.
        ari: Adjusted Rand index of the two partitions: 1 the same, about 0 unrelated.
        n_people: People that both models placed.
    """

    heirs: tuple[int | None, ...]
    parents: tuple[tuple[int, ...], ...]
    events: tuple[Event, ...]
    ari: float
    n_people: int


def contingency(before: Ints, after: Ints, *, n_before: int, n_after: int) -> Ints:
    """Count people by old and new group.

    Args:
        before: Old group of each person, 0 to ``n_before`` - 1; negative where there is none.
        after: New group of the same people, likewise.
        n_before: Number of old groups.
        n_after: Number of new groups.

    Returns:
        Shape (``n_before``, ``n_after``); people without a group on either side are left out.
    """
    both = (before >= 0) & (after >= 0)
    flat = before[both] * n_after + after[both]
    counts = np.bincount(flat, minlength=n_before * n_after)
    return counts.reshape(n_before, n_after).astype(np.int64)


def adjusted_rand(counts: Ints) -> float:
    """Adjusted Rand index from a contingency table (Hubert and Arabie 1985).

    Returns:
        1 for equal partitions, also when both are one single group.
    """

    def pairs(n: npt.NDArray[Any]) -> float:
        x = n.astype(np.float64)
        return float((x * (x - 1) / 2).sum())

    both, rows, columns = pairs(counts), pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0))
    total = pairs(counts.sum(keepdims=True))
    if total == 0:
        return 1.0
    expected, most = rows * columns / total, (rows + columns) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def match(counts: Ints, rules: LabelRules | None = None) -> Matching:
    """Pair the groups of two models and say what became of each.

    Args:
        counts: People by old group (rows) and new group (columns).
        rules: The thresholds.

    Returns:
        A pairing that does not depend on how either side numbers its groups, ties aside.
    """
    rules = rules or LabelRules()
    n_before, n_after = counts.shape
    kept = _shares(counts, axis=1)
    made = _shares(counts, axis=0)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    heirs: list[int | None] = [None] * n_after
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        if kept[i, j] >= rules.survival and made[i, j] >= MAJORITY:
            heirs[j] = i
    parents: list[list[int]] = [[] for _ in range(n_after)]
    events = []
    for i in range(n_before):
        event = _event(i, kept[i], heirs, rules)
        for j in event.after:
            parents[j].append(i)
        events.append(event)
    events += [Event(Fate.APPEARED, (), (j,), 0.0) for j in range(n_after) if not parents[j]]
    return Matching(
        heirs=tuple(heirs),
        parents=tuple(map(tuple, parents)),
        events=tuple(events),
        ari=adjusted_rand(counts),
        n_people=int(counts.sum()),
    )


def _event(i: int, kept: Floats, heirs: list[int | None], rules: LabelRules) -> Event:
    """What became of old group ``i``; ``kept``: the share of its people in each new group."""
    if i in heirs:
        j = heirs.index(i)
        return Event(Fate.SURVIVED, (i,), (j,), float(kept[j]))
    best = int(kept.argmax())
    if kept[best] >= rules.survival:
        return Event(Fate.MERGED, (i,), (best,), float(kept[best]))
    parts = np.flatnonzero(kept >= rules.split)
    together = float(kept[parts].sum())
    if len(parts) > 1 and together >= rules.survival:
        return Event(Fate.SPLIT, (i,), tuple(parts.tolist()), together)
    return Event(Fate.DISAPPEARED, (i,), (), 0.0)


def _shares(counts: Ints, *, axis: int) -> Floats:
    """Counts divided by their sums along an axis; 0 where there is nobody."""
    total = counts.sum(axis=axis, keepdims=True)
    shares: Floats = counts / np.maximum(total, 1)
    return shares
