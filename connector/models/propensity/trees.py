"""Taking the score of an ensemble of trees apart, exactly.

The question is what each feature adds when the typical person is turned into this one. Asking it
in one fixed order gives an answer that depends on the order; Shapley's value averages over all
orders, and is the only division that adds up, treats equal features equally and gives nothing to a
feature that does not matter. For trees and one reference person it needs no sampling: a leaf is
reached by a mixture of the two exactly when every feature on its path that only the person
satisfies comes from the person, and every one that only the reference satisfies comes from the
reference. With p of the former and m of the latter, a share (p-1)! m! / (p+m)! of all orders makes
a feature of the first kind the one that opens the leaf, and p! (m-1)! / (p+m)! makes one of the
second kind the one that closes it.

Path attribution (Saabas) is cheaper and also adds up, but credits features low in a tree too much,
so that a feature can matter more and be credited less. Replacing features along random orders needs
two full predictions for each feature and order, and is not exact.

References:
    Lundberg, Erion, Chen et al. (2020), "From local explanations to global understanding with
    explainable AI for trees" (interventional tree SHAP); Lundberg, Erion and Lee (2018),
    "Consistent individualized feature attribution for tree ensembles" (why not Saabas).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np
import numpy.typing as npt

from connector.models.propensity.metrics import Floats

CHUNK = 16_384
"""People taken apart at a time: what is looked at over and over stays in the processor's cache."""

Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tree:
    """One binary tree; arrays by node, node 0 the root.

    Attributes:
        feature: Column that is tested; meaningless at a leaf.
        threshold: Left when the value is at or below it.
        left, right: Children; meaningless at a leaf.
        is_leaf: Whether it ends here.
        value: What a leaf adds to the score.
    """

    feature: npt.NDArray[np.int64]
    threshold: Floats
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    is_leaf: Truths
    value: Floats


@dataclass(frozen=True)
class _Leaf:
    """A leaf as the reference sees it.

    Attributes:
        value: What it adds to the score.
        opening: Players that the reference fails: the person must bring them. Each with the tests
            on the path, as positions of (test, wanted answer).
        closing: Players that the reference satisfies.
    """

    value: float
    opening: tuple[tuple[int, tuple[tuple[int, bool], ...]], ...]
    closing: tuple[tuple[int, tuple[tuple[int, bool], ...]], ...]


def contributions(
    trees: Sequence[Tree], matrix: Floats, reference: Floats, players: npt.NDArray[np.int64]
) -> Floats:
    """What each player adds to the score of each person, against the reference.

    Args:
        trees: The ensemble; its score is the sum of the trees.
        matrix: People x columns, without NaN, in the precision that the trees were grown in.
        reference: One row of the same columns.
        players: Of each column the player that it belongs to.

    Returns:
        People x players; each row adds up to the person's score less the reference's.
    """
    n_players = int(players.max()) + 1
    result = np.empty((len(matrix), n_players))
    prepared = [_prepare(tree, reference, players) for tree in trees]
    for start in range(0, len(matrix), CHUNK):
        columns = np.ascontiguousarray(matrix[start : start + CHUNK].T)
        added = np.zeros((n_players, columns.shape[1]))
        for tree, (tests, leaves) in zip(trees, prepared, strict=True):
            passes = {i: columns[tree.feature[i]] <= tree.threshold[i] for i in tests}
            fails = {i: ~answer for i, answer in passes.items()}
            for leaf in leaves:
                _add_leaf(leaf, passes, fails, added)
        result[start : start + CHUNK] = added.T
    return result


def _add_leaf(
    leaf: _Leaf, passes: dict[int, Truths], fails: dict[int, Truths], added: Floats
) -> None:
    """Credit the players of one leaf, in place."""

    def meets(tests: tuple[tuple[int, bool], ...]) -> Truths:
        first, *rest = (passes[i] if wanted else fails[i] for i, wanted in tests)
        met = first
        for other in rest:
            met = met & other
        return met

    live = None
    for _, tests in leaf.opening:
        met = meets(tests)
        live = met if live is None else live & met
    if live is not None and not live.any():
        return
    missed = [(player, ~meets(tests)) for player, tests in leaf.closing]
    p = len(leaf.opening)
    count = np.zeros(added.shape[1], dtype=np.uint8)
    for _, bad in missed:
        count += bad
    opens, closes = _weights(p, len(missed))
    if leaf.opening:
        gain = (opens * leaf.value)[count]
        gain *= live if live is not None else 1
        for player, _ in leaf.opening:
            added[player] += gain
    if missed:
        loss = (closes * leaf.value)[count]
        if live is not None:
            loss *= live
        for player, bad in missed:
            added[player] -= loss * bad


def _weights(p: int, most: int) -> tuple[Floats, Floats]:
    """Shares of the orders in which a player opens, or closes, a leaf, by number of closers."""
    opens, closes = np.zeros(most + 1), np.zeros(most + 1)
    for m in range(most + 1):
        if p:
            opens[m] = factorial(p - 1) * factorial(m) / factorial(p + m)
        if m:
            closes[m] = factorial(p) * factorial(m - 1) / factorial(p + m)
    return opens, closes


def _prepare(
    tree: Tree, reference: Floats, players: npt.NDArray[np.int64]
) -> tuple[list[int], list[_Leaf]]:
    """The tests of a tree, and its leaves sorted out by what the reference satisfies."""
    leaves: list[_Leaf] = []
    tests: list[int] = []
    stack: list[tuple[int, tuple[tuple[int, bool], ...]]] = [(0, ())]
    while stack:
        node, path = stack.pop()
        if tree.is_leaf[node]:
            leaves.append(_leaf(tree, float(tree.value[node]), path, reference, players))
            continue
        tests.append(node)
        stack.append((int(tree.right[node]), (*path, (node, False))))
        stack.append((int(tree.left[node]), (*path, (node, True))))
    return tests, leaves


def _leaf(
    tree: Tree,
    value: float,
    path: tuple[tuple[int, bool], ...],
    reference: Floats,
    players: npt.NDArray[np.int64],
) -> _Leaf:
    """One leaf with the tests on its path gathered by player."""
    by_player: dict[int, list[tuple[int, bool]]] = {}
    satisfied: dict[int, bool] = {}
    for node, wanted in path:
        column = int(tree.feature[node])
        player = int(players[column])
        answer = bool(reference[column] <= tree.threshold[node])
        by_player.setdefault(player, []).append((node, wanted))
        satisfied[player] = satisfied.get(player, True) and answer == wanted
    return _Leaf(
        value=value,
        opening=tuple((p, tuple(t)) for p, t in by_player.items() if not satisfied[p]),
        closing=tuple((p, tuple(t)) for p, t in by_player.items() if satisfied[p]),
    )
