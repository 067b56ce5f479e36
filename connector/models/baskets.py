"""Order lines as a sparse table of baskets and items: what affinity, pairs and next products read.

An item is whatever level the caller chose: product, subcategory, category. A basket holds an item
or does not; how many pieces of it were bought says more about the item (screws, yoghurt) than about
the taste.

Giant baskets (resellers, offices, test orders) are capped: they hold every pair there is, and their
number of pairs grows with the square of their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix

from connector.errors import ModelError

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Baskets:
    """Which basket of which person holds which items.

    Attributes:
        items: Sorted names of the columns.
        profiles: Sorted ids of the people.
        owners: Position of each basket's person among the profiles; -1 for guests.
        table: Ones and zeros, shape (baskets, items); baskets in the order of their ids.
        at: Time of each basket, where the lines had one.
    """

    items: tuple[str, ...]
    profiles: pd.Index
    owners: Ints
    table: csr_matrix
    at: pd.Series | None = None

    @property
    def sizes(self) -> Ints:
        """Distinct items of each basket."""
        return np.diff(self.table.indptr).astype(np.int64)

    def n_of_people(self) -> Ints:
        """Baskets of each person."""
        owned = self.owners[self.owners >= 0]
        return np.bincount(owned, minlength=len(self.profiles)).astype(np.int64)

    def by_person(self, weights: npt.NDArray[np.float64] | None = None) -> csr_matrix:
        """Each person's baskets added up, shape (people, items).

        Args:
            weights: Of each basket; None: 1.
        """
        inside = np.flatnonzero(self.owners >= 0)
        ones = np.ones(len(inside)) if weights is None else weights[inside]
        shape = (len(self.profiles), self.table.shape[0])
        owned: csr_matrix = csr_matrix((ones, (self.owners[inside], inside)), shape=shape)
        added = csr_matrix(owned @ self.table)
        added.sort_indices()
        return added


def read_baskets(
    lines: pd.DataFrame, *, items: Sequence[str] | None = None, max_items: int | None = None
) -> Baskets:
    """Turn order lines into baskets; the order of the lines does not matter.

    Args:
        lines: Columns ``profile_id`` (missing for guests), ``basket_id``, ``item`` and, if wanted,
            ``at``; lines without basket or item are left out.
        items: Known items, in the order of the columns; others are left out, their baskets stay.
        max_items: Keep so many items that are in most baskets (ties by name).

    Raises:
        ModelError: A column is missing, or a basket belongs to two people.
    """
    missing = {"profile_id", "basket_id", "item"} - set(lines)
    if missing:
        raise ModelError(f"The order lines lack the columns {', '.join(sorted(missing))}.")
    lines = lines[lines["basket_id"].notna() & lines["item"].notna()]
    basket_codes, baskets = pd.factorize(lines["basket_id"], sort=True)
    item_codes, names = pd.factorize(lines["item"].astype("str"), sort=True)
    owner_codes, profiles = pd.factorize(lines["profile_id"], sort=True)
    owners = np.full(len(baskets), -1, dtype=np.int64)
    owners[basket_codes] = owner_codes
    torn = np.flatnonzero(owners[basket_codes] != owner_codes)
    if len(torn):
        raise ModelError(
            f"The basket {lines['basket_id'].iloc[int(torn[0])]} belongs to two people.",
            hint="Make basket ids unique over all people.",
        )
    table = csr_matrix(
        (np.ones(len(lines)), (basket_codes, item_codes)), shape=(len(baskets), len(names))
    )
    table.sum_duplicates()
    table.data[:] = 1.0
    kept = [str(name) for name in names]
    if items is not None:
        table, kept = _columns(table, kept, items), list(items)
    elif max_items is not None and len(kept) > max_items:
        popularity = np.asarray(table.sum(axis=0)).ravel()
        common = np.sort(np.argsort(-popularity, kind="stable")[:max_items])
        table, kept = csr_matrix(table[:, common]), [kept[i] for i in common]
    at = None
    if "at" in lines:
        at = lines.groupby(basket_codes)["at"].min().reset_index(drop=True)
    return Baskets(tuple(kept), pd.Index(profiles, name="profile_id"), owners, table, at)


def _columns(table: csr_matrix, have: Sequence[str], want: Sequence[str]) -> csr_matrix:
    """The table with other columns; those it lacks are empty."""
    target = pd.Index(want).get_indexer(pd.Index(have))
    inside = np.flatnonzero(target >= 0)
    chosen = table[:, inside].tocoo()
    columns = target[inside][chosen.col]
    result = csr_matrix((chosen.data, (chosen.row, columns)), shape=(table.shape[0], len(want)))
    result.sort_indices()
    return result
