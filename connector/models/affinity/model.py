"""Fitted topics: what each person leans to, as shares that add up to one.

A topic is a way of filling baskets (``yoga mats, dumbbells, shaker bottles``). A person's shares
say how much of what they bought each topic explains. Whoever has bought too seldom has none: three
baskets of tea say little, one says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix

from connector.errors import ModelError
from connector.models.affinity.lda import expected_log_exp, infer, shares
from connector.models.arrays import decode, digest, encode
from connector.models.baskets import Baskets, read_baskets
from connector.models.card import ModelCard, ScoreColumn
from connector.models.handover import codes_of, labels_of
from connector.models.labels import Registry
from connector.models.matching import Changes

Floats = npt.NDArray[np.float64]

KIND = "lda"
"""The model's type, as in the configuration and in the store."""

RELEVANCE = 0.3
"""How much an item's share of the topic counts against its lift when a topic is named."""
NAMING_LIFT = 1.25
"""Least lift of an item that a topic is named after."""
NAMING_ITEMS = 8
"""Items that a topic's name may be made of."""
DECIMALS = 4
"""Shares are rounded to so many decimals."""
CAREFUL = 3e-4
"""A person's shares are computed to this tolerance, finer than a fit needs."""

_OWN_COLUMNS = ("top_id", "top_name", "top_share")


@dataclass(frozen=True, slots=True, eq=False)
class AffinityModel:
    """Topics over items, frozen until the next retrain.

    Attributes:
        name: Prefix of the output columns.
        items: Names of the columns of ``weights``, sorted.
        weights: Dirichlet parameters of each topic over the items, shape (topics, items).
        popularity: Share of each item among all.
        alpha: Prior of each topic in a person.
        ids: Stable id of each topic.
        names: What each is called: the human's name, or the suggestion.
        keys: Output column of each topic: made from the human's name, or the id.
        min_baskets: Fewer baskets give no affinity.
        basket_cap: A basket with more items counts as one with so many.
        hysteresis: Share by which another topic must be larger to become a person's first.
        sought: Fewest and most topics that were tried.
        card: Where the model comes from and how good it is.
    """

    name: str
    items: tuple[str, ...]
    weights: Floats
    popularity: Floats
    alpha: float
    ids: tuple[str, ...]
    names: tuple[str, ...]
    keys: tuple[str, ...]
    min_baskets: int
    basket_cap: int
    hysteresis: float
    sought: tuple[int, int]
    card: ModelCard

    kind: ClassVar[str] = KIND
    ID_PREFIX: ClassVar[str] = "t"
    LABEL_COLUMN: ClassVar[str] = "top_id"

    @property
    def changes(self) -> Changes:
        """None: topics are carried on as many as they are."""
        return Changes()

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return digest(self.to_dict())

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """What the model adds to a profile."""
        return (
            *(
                ScoreColumn(key, "DOUBLE", "share (0-1)", f"Leaning to the topic «{name}».")
                for key, name in zip(self.keys, self.names, strict=True)
            ),
            ScoreColumn("top_id", "VARCHAR", "label id", "Stable id of the first topic.", self.ids),
            ScoreColumn(
                "top_name", "VARCHAR", "label", "What the first topic is called.", self.names
            ),
            ScoreColumn("top_share", "DOUBLE", "share (0-1)", "Leaning to the first topic."),
        )

    @property
    def contrasts(self) -> tuple[tuple[str, ...], ...]:
        """The items that set each topic apart, strongest first."""
        return name_items(self.items, self.weights, self.popularity)

    def labelled(self, ids: Sequence[str], registry: Registry) -> AffinityModel:
        """The same topics under these ids, with the registry's names."""
        labels = registry.require(ids)
        return replace(
            self,
            ids=tuple(ids),
            names=tuple(label.shown for label in labels),
            keys=tuple(label.id if label.key in _OWN_COLUMNS else label.key for label in labels),
        )

    def named(self, registry: Registry) -> AffinityModel:
        """The same topics under the registry's present names."""
        return self.labelled(self.ids, registry)

    def with_card(self, card: ModelCard) -> AffinityModel:
        """The same topics with another card."""
        return replace(self, card=card)

    def predict(self, frame: pd.DataFrame, previous: pd.Series | None = None) -> pd.DataFrame:
        """The columns for each person with a basket.

        Args:
            frame: Order lines (``profile_id``, ``basket_id``, ``item``), in any order.
            previous: ``profile_id`` -> id of the topic that was the person's first, for hysteresis.

        Returns:
            Index ``profile_id``, sorted; nothing known of people with too few baskets.
        """
        baskets = read_baskets(frame, items=self.items)
        documents = person_documents(baskets, self.basket_cap)
        found = self._shares(documents)
        known = (baskets.n_of_people() >= self.min_baskets) & (np.diff(documents.indptr) > 0)
        first = self._first(found, previous, baskets.profiles)
        codes = np.where(known, first, -1)
        found[~known] = np.nan
        scores = pd.DataFrame(found, index=baskets.profiles, columns=list(self.keys))
        scores["top_id"] = labels_of(self.ids, codes, scores.index)
        scores["top_name"] = labels_of(self.names, codes, scores.index)
        scores["top_share"] = found[np.arange(len(found)), first]
        return scores

    def predict_sql(self, features: str) -> None:
        """None: inference is iterative, so it cannot be a statement over ``features``."""
        return

    def item_chances(self, affinities: pd.DataFrame) -> Floats:
        """Chance of each item in a person's next pick, shape (people, items).

        Args:
            affinities: The shares of :meth:`predict`; people without any get what is popular.
        """
        theta = affinities[list(self.keys)].to_numpy(dtype=np.float64)
        unknown = np.isnan(theta).any(axis=1)
        chances: Floats = np.where(unknown[:, None], 0.0, theta) @ shares(self.weights)
        chances[unknown] = self.popularity
        return chances

    def _shares(self, documents: csr_matrix) -> Floats:
        topics = expected_log_exp(self.weights)
        gamma = infer(documents, topics, self.alpha, tolerance=CAREFUL)
        found: Floats = np.round(shares(gamma), DECIMALS)
        return found

    def _first(
        self, found: Floats, previous: pd.Series | None, people: pd.Index
    ) -> npt.NDArray[np.int64]:
        """Position of each person's first topic."""
        rows = np.arange(len(found))
        first = np.asarray(found.argmax(axis=1), dtype=np.int64)
        if previous is None:
            return first
        held = codes_of(previous.reindex(people), self.ids)
        stays = held >= 0
        best, kept = found[rows, first], found[rows, np.maximum(held, 0)]
        stays &= best < (1 + self.hysteresis) * kept
        first[stays] = held[stays]
        return first

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "items": list(self.items),
            "weights": encode(self.weights),
            "popularity": encode(self.popularity),
            "alpha": self.alpha,
            "ids": list(self.ids),
            "names": list(self.names),
            "keys": list(self.keys),
            "min_baskets": self.min_baskets,
            "basket_cap": self.basket_cap,
            "hysteresis": self.hysteresis,
            "sought": list(self.sought),
            "card": self.card.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AffinityModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            model = cls(
                name=str(data["name"]),
                items=tuple(map(str, data["items"])),
                weights=decode(data["weights"]),
                popularity=decode(data["popularity"]),
                alpha=float(data["alpha"]),
                ids=tuple(map(str, data["ids"])),
                names=tuple(map(str, data["names"])),
                keys=tuple(map(str, data["keys"])),
                min_baskets=int(data["min_baskets"]),
                basket_cap=int(data["basket_cap"]),
                hysteresis=float(data["hysteresis"]),
                sought=(int(data["sought"][0]), int(data["sought"][1])),
                card=ModelCard.from_dict(data["card"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                "A stored affinity model cannot be read.", hint="Fit the model again."
            ) from problem
        if model.weights.shape != (len(model.ids), len(model.items)):
            raise ModelError("A stored affinity model cannot be read.", hint="Fit the model again.")
        return model


def person_documents(baskets: Baskets, basket_cap: int) -> csr_matrix:
    """For each person how much they buy each item, shape (people, items).

    That is 1 + ln(n) for n baskets with the item, because people repeat themselves: forty tins of
    cat food are one cat and not forty reasons. With bare counts a year of groceries (Complete
    Journey) is foretold worse by topics than by best sellers; with these it is foretold better.

    Args:
        baskets: Of all people.
        basket_cap: A basket with more items is scaled down to so many.
    """
    documents = baskets.by_person(np.minimum(1.0, basket_cap / np.maximum(baskets.sizes, 1)))
    documents.data = np.where(
        documents.data > 1, 1 + np.log(np.maximum(documents.data, 1)), documents.data
    )
    return documents


def name_items(
    items: Sequence[str], weights: Floats, popularity: Floats
) -> tuple[tuple[str, ...], ...]:
    """Items that tell each topic, strongest first.

    Ranked by relevance (Sievert and Shirley, LDAvis, 2014): .3 log of the item's share in the topic
    and .7 log of its lift. The share alone names every topic after the best seller, the lift alone
    after what was sold twice.
    """
    phi = shares(weights)
    lift = np.log(phi / popularity)
    relevance = np.round(RELEVANCE * np.log(phi) + (1 - RELEVANCE) * lift, 9)
    best = np.argsort(-relevance, axis=1, kind="stable")[:, :NAMING_ITEMS]
    return tuple(
        tuple(items[i] for i in row if lift[k, i] >= np.log(NAMING_LIFT))
        for k, row in enumerate(best.tolist())
    )
