"""Association pairs: evidence for cross-selling, and what goes with a person's last basket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix

from connector.errors import InsufficientDataError, ModelError
from connector.models.arrays import decode, digest, encode
from connector.models.baskets import Baskets, read_baskets
from connector.models.card import Gate, ModelCard, ScoreColumn
from connector.models.pairs.rules import PairCounts, count_pairs, lift_interval, rule_table

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

KIND = "association"
"""The model's type, as in the configuration and in the store."""
TOP = 3
"""Items that go with a person's last basket, at most."""
SEPARATOR = " | "
"""Between the items of a text column: commas are in names of products."""


@dataclass(frozen=True, slots=True)
class PairSpec:
    """What the configuration says about one model of pairs.

    Attributes:
        name: Prefix of the output columns.
        min_support: Baskets that must hold both items.
        min_lift: Least lift.
        max_items: Items that are in most baskets; the rest are left out.
        basket_cap: Baskets with more items are left out: they hold every pair there is.
        min_baskets: Below so many baskets there is no answer.
    """

    name: str = "pairs"
    min_support: int = 200
    min_lift: float = 1.5
    max_items: int = 5_000
    basket_cap: int = 100
    min_baskets: int = 500


@dataclass(frozen=True, slots=True, eq=False)
class PairsModel:
    """Pairs of items with their counts.

    Attributes:
        name: Prefix of the output columns.
        items: Sorted names.
        n_item: Baskets of each item.
        n_baskets: All baskets.
        pairs: Counts of the pairs that pass the thresholds.
        card: Where the model comes from.
    """

    name: str
    items: tuple[str, ...]
    n_item: Ints
    n_baskets: int
    pairs: PairCounts
    card: ModelCard

    kind: ClassVar[str] = KIND

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return digest(self.to_dict())

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """What the model adds to a profile."""
        return (
            ScoreColumn(
                "top3", "VARCHAR", "items", "What goes best with the last basket, surest first."
            ),
        )

    def rules(self) -> pd.DataFrame:
        """See :func:`connector.models.pairs.rules.rule_table`."""
        return rule_table(self.pairs, self.items, self.n_item, self.n_baskets)

    def confidences(self) -> csr_matrix:
        """Chance of each item (column) in a basket with another (row).

        Only of pairs whose lift is above 1 beyond doubt (lower end of its interval).
        """
        pairs = self.pairs
        _, low, _ = lift_interval(
            pairs.n_both, self.n_item[pairs.first], self.n_item[pairs.second], self.n_baskets
        )
        sure = low > 1
        a = np.concatenate([pairs.first[sure], pairs.second[sure]])
        b = np.concatenate([pairs.second[sure], pairs.first[sure]])
        both = np.concatenate([pairs.n_both[sure], pairs.n_both[sure]])
        n = len(self.items)
        table: csr_matrix = csr_matrix((both / self.n_item[a], (a, b)), shape=(n, n))
        return table

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What goes with each person's last basket and is not in it.

        Args:
            frame: Order lines: ``profile_id``, ``basket_id``, ``item``, ``at``.

        Returns:
            Index ``profile_id``, sorted; missing where nothing is known to go with the basket.

        Raises:
            ModelError: The lines have no ``at``.
        """
        baskets = read_baskets(frame, items=self.items)
        last = csr_matrix(baskets.table[last_baskets(baskets)])
        tables = dict(iter(self.rules().groupby("item", sort=False)))
        empty: list[Any] = []
        texts = []
        for row in range(last.shape[0]):
            have = {self.items[i] for i in last.indices[last.indptr[row] : last.indptr[row + 1]]}
            best: dict[str, float] = {}
            for item in sorted(have & tables.keys()):
                known = tables[item]
                for other, low in zip(known["goes_with"], known["lift_low"], strict=True):
                    if other not in have:
                        best[other] = max(best.get(other, 0.0), low)
            ranked = sorted(best.items(), key=lambda pair: (-round(pair[1], 9), pair[0]))[:TOP]
            texts.append(SEPARATOR.join(item for item, _ in ranked) or None)
        values = pd.Series(texts or empty, index=baskets.profiles, dtype="str")
        return pd.DataFrame({"top3": values})

    def predict_sql(self, features: str) -> None:
        """None: the last basket is in the order lines, not in the features."""
        return

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "items": list(self.items),
            "n_item": encode(self.n_item),
            "n_baskets": self.n_baskets,
            "first": encode(self.pairs.first),
            "second": encode(self.pairs.second),
            "n_both": encode(self.pairs.n_both),
            "card": self.card.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PairsModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            return cls(
                name=str(data["name"]),
                items=tuple(map(str, data["items"])),
                n_item=decode(data["n_item"]),
                n_baskets=int(data["n_baskets"]),
                pairs=PairCounts(
                    decode(data["first"]), decode(data["second"]), decode(data["n_both"])
                ),
                card=ModelCard.from_dict(data["card"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                "A stored model of pairs cannot be read.", hint="Fit the model again."
            ) from problem


def last_baskets(baskets: Baskets) -> Ints:
    """Row of each person's last basket; of equal times the one with the largest id.

    Raises:
        ModelError: The baskets have no times.
    """
    if baskets.at is None:
        raise ModelError("The order lines lack the column at.", hint="Pass the time of the order.")
    owned = np.flatnonzero(baskets.owners >= 0)
    times = baskets.at.to_numpy()[owned]
    order = owned[np.lexsort((owned, times, baskets.owners[owned]))]
    ends = np.flatnonzero(np.diff(baskets.owners[order], append=-1))
    return order[ends]


def fit(
    lines: pd.DataFrame,
    spec: PairSpec,
    *,
    as_of: datetime,
    rng: np.random.Generator | None = None,
) -> PairsModel:
    """Count pairs.

    Args:
        lines: Order lines before ``as_of``: ``profile_id`` (may be missing), ``basket_id``,
            ``item``; their order does not matter.
        spec: What the configuration says.
        as_of: The instant of the data, aware.
        rng: Not needed: counting is exact.

    Raises:
        InsufficientDataError: Too few baskets.
        ModelError: The lines lack a column.
    """
    del rng
    baskets = read_baskets(lines, max_items=spec.max_items)
    usable = np.flatnonzero(baskets.sizes <= spec.basket_cap)
    n_giant = len(baskets.sizes) - len(usable)
    if len(usable) < spec.min_baskets:
        raise InsufficientDataError(
            f"The model {spec.name!r} has {len(usable)} baskets, {spec.min_baskets} are needed.",
            hint="Wait for more orders.",
        )
    table = csr_matrix(baskets.table[usable])
    n_item = np.asarray(table.sum(axis=0)).ravel().astype(np.int64)
    counted = count_pairs(table, min_support=spec.min_support)
    lift, low, _ = lift_interval(
        counted.n_both, n_item[counted.first], n_item[counted.second], len(usable)
    )
    keep = lift >= spec.min_lift
    notes = [
        f"{n_giant} baskets with more than {spec.basket_cap} items are left out."
    ] if n_giant else []  # fmt: skip
    n_sure = int((low[keep] > 1).sum())
    return PairsModel(
        name=spec.name,
        items=baskets.items,
        n_item=n_item,
        n_baskets=len(usable),
        pairs=PairCounts(counted.first[keep], counted.second[keep], counted.n_both[keep]),
        card=ModelCard(
            name=spec.name,
            kind=KIND,
            algorithm="pair_counts",
            as_of=as_of.astimezone(UTC),
            n_people=len(baskets.profiles),
            features=("profile_id", "basket_id", "item"),
            metrics={
                "n_baskets": float(len(usable)),
                "n_pairs": float(keep.sum()),
                "n_sure_pairs": float(n_sure),
                "largest_lift": round(float(lift[keep].max(initial=0.0)), 6),
            },
            baselines={"independence": {"largest_lift": 1.0}},
            gates=(Gate("pairs_found", "at least 1 sure pair", f"{n_sure:,}", n_sure > 0),),
            notes=tuple(notes),
            n_rows=len(usable),
        ),
    )
