"""The next products of a person: own habits, what goes with the last baskets, taste, best sellers.

Each item gets four chances to be in the person's next baskets:

* *again*: how often the person buys it, times how far its cycle has run (things that are used up);
* *goes with*: the chance of it beside something in the last baskets (:mod:`.model`);
* *taste*: its chance under the person's topics (:mod:`connector.models.affinity`);
* *popular*: the share of recent baskets that hold it.

Their weighted sum ranks the items, and the largest part is the reason that is given. The weights
are found on a past window by what people then bought of their lists; the card tells it of a later
window, beside best sellers and beside the person's own favourites. Something that was just bought
and is not used up is not offered, unless that past window says that in this shop people buy such
things again at once (a wholesaler's customers do).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix

from connector.errors import ModelError
from connector.models.affinity.model import AffinityModel
from connector.models.arrays import decode, digest, encode
from connector.models.baskets import Baskets, read_baskets
from connector.models.card import ModelCard, ScoreColumn
from connector.models.pairs.history import Cycles, own_counts, purchases
from connector.models.pairs.model import SEPARATOR, PairsModel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

KIND = "next_products"
"""The model's type in the store."""
PARTS = ("again", "goes_with", "taste", "popular")
"""What an item's score is made of, in the order of the weights."""
FADES_AFTER = 3.0
"""Cycles without a purchase after which a habit counts for less and less."""
BLOCK = 2_000
"""People who are scored at once."""


@dataclass(frozen=True, slots=True)
class NextSpec:
    """Settings of the next products.

    Attributes:
        name: Prefix of the output columns.
        top: Items a person gets, at most.
        horizon_days: Days ahead that the list is judged by, and back that "popular" looks.
        rest_days: What was bought within so many days and is not used up is not offered.
        recent_baskets: Last baskets of a person that something may go with.
        max_items: Items that are in most baskets; the rest are left out.
        min_people: Buyers in the window below which the weights stay at their defaults.
    """

    name: str = "recommendations"
    top: int = 5
    horizon_days: int = 30
    rest_days: int = 60
    recent_baskets: int = 3
    max_items: int = 2_000
    min_people: int = 100


@dataclass(frozen=True, slots=True, eq=False)
class NextModel:
    """What is needed to recommend.

    Attributes:
        name: Prefix of the output columns.
        items: Sorted names of the items that may be offered.
        popularity: Share of recent baskets with each item.
        cycles: How items are bought again.
        pairs: Evidence of what goes with what; over its own items.
        affinity: Topics, or None.
        weights: Of :data:`PARTS`.
        rests: Whether what was just bought and is not used up is left out.
        basket_size: Mean items of a basket, which makes a taste's chance one of a basket.
        spec: Settings.
        card: Where the model comes from and how good it is.
    """

    name: str
    items: tuple[str, ...]
    popularity: Floats
    cycles: Cycles
    pairs: PairsModel
    affinity: AffinityModel | None
    weights: tuple[float, float, float, float]
    rests: bool
    basket_size: float
    spec: NextSpec
    card: ModelCard

    kind: ClassVar[str] = KIND

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change whenever the model's answers may."""
        return digest(self.to_dict())

    @property
    def columns(self) -> tuple[ScoreColumn, ...]:
        """What the model adds to a profile."""
        n = self.spec.top
        return (
            ScoreColumn(f"top{n}", "VARCHAR", "items", f"The {n} likeliest next products."),
            ScoreColumn(f"top{n}_names", "VARCHAR", "items", "The same by name."),
            ScoreColumn("reason", "VARCHAR", "text", "Why the first of them."),
        )

    def predict(
        self, frame: pd.DataFrame, *, as_of: datetime, names: Mapping[str, str] | None = None
    ) -> pd.DataFrame:
        """Each person's list in one row; index ``profile_id``, sorted.

        Args:
            frame: As for :meth:`recommend`.
            as_of: As for :meth:`recommend`.
            names: As for :meth:`recommend`.
        """
        listed = self.recommend(frame, as_of=as_of, names=names)
        grouped = listed.groupby("profile_id", sort=True)
        n = self.spec.top
        return pd.DataFrame(
            {
                f"top{n}": grouped["item"].agg(SEPARATOR.join),
                f"top{n}_names": grouped["name"].agg(SEPARATOR.join),
                "reason": grouped["reason"].first(),
            }
        )

    def recommend(
        self, frame: pd.DataFrame, *, as_of: datetime, names: Mapping[str, str] | None = None
    ) -> pd.DataFrame:
        """The next products of everybody who ever bought.

        Args:
            frame: Order lines before ``as_of``: ``profile_id``, ``basket_id``, ``item``, ``at``.
            as_of: The instant to look ahead from, aware.
            names: Item -> what it is called; None: as it is.

        Returns:
            ``profile_id``, ``rank`` (from 1), ``item``, ``name``, ``score``, ``part`` (of
            :data:`PARTS`, the largest) and ``reason``; sorted by person and rank. Equal scores are
            ranked by item.

        Raises:
            ModelError: The lines lack a column.
        """
        names = names or {}
        known = parts_of(self, frame, as_of)
        frames = []
        for start in range(0, len(known.people), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(known.people)))
            parts = known.block(rows)
            blocked = known.blocked(rows) if self.rests else None
            scores, order = ranked(parts, self.weights, blocked, self.spec.top)
            picked = np.take_along_axis(scores, order, axis=1)
            person, rank = np.nonzero(picked > 0)
            item = order[person, rank]
            largest = np.stack(
                [w * part[person, item] for w, part in zip(self.weights, parts, strict=True)]
            ).argmax(axis=0)
            frames.append(
                pd.DataFrame(
                    {
                        "profile_id": known.people[rows[person]],
                        "rank": rank + 1,
                        "item": np.array(self.items, dtype=object)[item],
                        "score": np.round(picked[person, rank], 9),
                        "part": np.array(PARTS, dtype=object)[largest],
                        "reason": known.reasons(rows[person], item, largest, names),
                    }
                )
            )
        columns = ["profile_id", "rank", "item", "score", "part", "reason"]
        listed = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
        listed.insert(3, "name", [names.get(item, item) for item in listed["item"]])
        return listed

    def predict_sql(self, features: str) -> None:
        """None: the order lines are not in the features."""
        return

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        spec = self.spec
        return {
            "kind": self.kind,
            "name": self.name,
            "items": list(self.items),
            "popularity": encode(self.popularity),
            "is_consumable": encode(self.cycles.is_consumable),
            "cycle_days": encode(self.cycles.days),
            "pairs": self.pairs.to_dict(),
            "affinity": None if self.affinity is None else self.affinity.to_dict(),
            "weights": list(self.weights),
            "rests": self.rests,
            "basket_size": self.basket_size,
            "spec": {
                "name": spec.name,
                "top": spec.top,
                "horizon_days": spec.horizon_days,
                "rest_days": spec.rest_days,
                "recent_baskets": spec.recent_baskets,
                "max_items": spec.max_items,
                "min_people": spec.min_people,
            },
            "card": self.card.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NextModel:
        """Inverse of :meth:`to_dict`.

        Raises:
            ModelError: The data has another shape.
        """
        try:
            again, goes_with, taste, popular = map(float, data["weights"])
            affinity = data["affinity"]
            return cls(
                name=str(data["name"]),
                items=tuple(map(str, data["items"])),
                popularity=decode(data["popularity"]),
                cycles=Cycles(decode(data["is_consumable"]), decode(data["cycle_days"])),
                pairs=PairsModel.from_dict(data["pairs"]),
                affinity=None if affinity is None else AffinityModel.from_dict(affinity),
                weights=(again, goes_with, taste, popular),
                rests=bool(data["rests"]),
                basket_size=float(data["basket_size"]),
                spec=NextSpec(**data["spec"]),
                card=ModelCard.from_dict(data["card"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise ModelError(
                "A stored model of next products cannot be read.", hint="Fit the model again."
            ) from problem


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What is known of people before an instant, enough to score any block of them.

    Attributes:
        model: The model.
        people: Ids, sorted.
        counts: Baskets of each person with each item.
        since: Days since the last of them, at the same entries.
        share: The chance of buying each item again, at the same entries.
        recent: Which items are in the person's last baskets.
        beside: Chance of each item (column) beside another (row).
        affinities: Shares of topics, or None.
    """

    model: NextModel
    people: pd.Index
    counts: csr_matrix
    since: csr_matrix
    share: csr_matrix
    recent: csr_matrix
    beside: csr_matrix
    affinities: pd.DataFrame | None

    def block(self, rows: Ints) -> tuple[Floats, Floats, Floats, Floats]:
        """The four parts of some people, each of shape (people, items)."""
        # Independent reasons: the chance that not one of them holds, taken from one.
        beside = self.beside.copy()
        beside.data = -np.log1p(-np.minimum(beside.data, 0.999))
        goes_with = -np.expm1(-(self.recent[rows] @ beside).toarray())
        popular = np.broadcast_to(self.model.popularity, goes_with.shape)
        return self.share[rows].toarray(), goes_with, self._taste(rows), popular

    def _taste(self, rows: Ints) -> Floats:
        items, affinity = self.model.items, self.model.affinity
        if affinity is None or self.affinities is None:
            return np.zeros((len(rows), len(items)))
        chances = affinity.item_chances(self.affinities.iloc[rows]) * self.model.basket_size
        place = pd.Index(affinity.items).get_indexer(pd.Index(items))
        taste: Floats = np.where(place >= 0, chances[:, place], 0.0)
        return taste

    def blocked(self, rows: Ints) -> npt.NDArray[np.bool_]:
        """What was just bought and is not used up."""
        since = self.since[rows].tocoo()
        lately = since.data <= self.model.spec.rest_days
        lately &= ~self.model.cycles.is_consumable[since.col]
        result = np.zeros(since.shape, dtype=bool)
        result[since.row[lately], since.col[lately]] = True
        return result

    def reasons(
        self, people: Ints, items: Ints, largest: Ints, names: Mapping[str, str]
    ) -> list[str]:
        """Why each item is on each person's list, in words.

        Args:
            people: Rows.
            items: Columns, of the same length.
            largest: Which of :data:`PARTS` is the largest, likewise.
            names: Item -> what it is called.
        """
        known = self.model.items
        since = np.asarray(self.since[people, items]).ravel()
        counts = np.asarray(self.counts[people, items]).ravel()
        near = csr_matrix(self.recent[people].multiply(csr_matrix(self.beside.T)[items]))
        beside = np.asarray(near.argmax(axis=1)).ravel()
        topics = None if self.affinities is None else self.affinities["top_name"].to_numpy()
        words = []
        for n, part in enumerate(largest.tolist()):
            if PARTS[part] == "again":
                cycle = self.model.cycles.days[items[n]]
                words.append(_again(int(counts[n]), float(since[n]), float(cycle)))
            elif PARTS[part] == "goes_with":
                other = known[beside[n]]
                words.append(f"goes with {names.get(other, other)}")
            elif PARTS[part] == "taste" and topics is not None:
                topic = topics[people[n]]
                words.append(f"fits {topic}" if isinstance(topic, str) else "popular now")
            else:
                words.append("popular now")
        return words


def _again(n: int, days_since: float, cycle: float) -> str:
    """A habit in words."""
    days = round(days_since)
    ago = f"last {days} day{'' if days == 1 else 's'} ago"
    if np.isnan(cycle):
        return f"bought {n} time{'' if n == 1 else 's'}, {ago}"
    cycle_days = max(1, round(cycle))
    return f"usually bought again after {cycle_days} day{'' if cycle_days == 1 else 's'}, {ago}"


def ranked(
    parts: tuple[Floats, ...],
    weights: tuple[float, ...],
    blocked: npt.NDArray[np.bool_] | None,
    top: int,
) -> tuple[Floats, Ints]:
    """Scores of all items, and the positions of each person's best, best first.

    Args:
        parts: Each of shape (people, items).
        weights: One for each part.
        blocked: What may not be offered, of the same shape; None: everything may.
        top: Length of a list.
    """
    scores: Floats = np.zeros(parts[0].shape)
    for weight, part in zip(weights, parts, strict=True):
        if weight:
            scores += weight * part
    if blocked is not None:
        scores[blocked] = 0.0
    # Rounded, so that a tie is a tie; the stable sort then leaves the order of the items.
    order = np.argsort(-np.round(scores, 12), axis=1, kind="stable")[:, :top]
    return scores, order.astype(np.int64)


def parts_of(model: NextModel, lines: pd.DataFrame, as_of: datetime) -> Parts:
    """Gather what is known of everybody in the lines, as of an instant."""
    baskets = read_baskets(lines, items=model.items)
    bought = purchases(baskets)
    own = own_counts(bought, np.datetime64(as_of.astimezone(UTC).replace(tzinfo=None), "s"))
    shape = (len(baskets.profiles), len(model.items))
    at = (own["owner"].to_numpy(), own["item"].to_numpy())
    cycle = model.cycles.days[own["item"]]
    run = np.maximum(own["days_since"].to_numpy(), 1e-6) / cycle
    run = np.minimum(1.0, run) * np.minimum(1.0, FADES_AFTER / run)
    # Without a known cycle nothing is known of the moment, so habit alone counts.
    run = np.where(np.isnan(cycle), 1.0, run)
    n_baskets = baskets.n_of_people()[own["owner"]]
    share = own["n"] / (n_baskets + 1.0) * run
    affinities = None
    if model.affinity is not None:
        affinities = model.affinity.predict(lines).reindex(baskets.profiles)
    return Parts(
        model=model,
        people=baskets.profiles,
        counts=csr_matrix((own["n"], at), shape=shape),
        since=csr_matrix((np.maximum(own["days_since"], 1e-6), at), shape=shape),
        share=csr_matrix((share, at), shape=shape),
        recent=_recent(baskets, model.spec.recent_baskets),
        beside=_aligned(model.pairs, model.items),
        affinities=affinities,
    )


def _recent(baskets: Baskets, n_last: int) -> csr_matrix:
    """Which items are in each person's last baskets, ones and zeros."""
    owned = np.flatnonzero(baskets.owners >= 0)
    if baskets.at is None:
        raise ModelError("The order lines lack the column at.", hint="Pass the time of the order.")
    times = baskets.at.to_numpy()[owned]
    order = owned[np.lexsort((owned, times, baskets.owners[owned]))]
    owner = baskets.owners[order]
    from_end = pd.Series(owner).groupby(owner).cumcount(ascending=False).to_numpy()
    last = order[from_end < n_last]
    pick = csr_matrix(
        (np.ones(len(last)), (baskets.owners[last], last)),
        shape=(len(baskets.profiles), baskets.table.shape[0]),
    )
    recent = csr_matrix(pick @ baskets.table)
    recent.data[:] = 1.0
    return recent


def _aligned(pairs: PairsModel, items: tuple[str, ...]) -> csr_matrix:
    """Confidences of the pairs over another list of items."""
    place = pd.Index(items).get_indexer(pd.Index(pairs.items))
    found = pairs.confidences().tocoo()
    a, b = place[found.row], place[found.col]
    inside = (a >= 0) & (b >= 0)
    n = len(items)
    table: csr_matrix = csr_matrix((found.data[inside], (a[inside], b[inside])), shape=(n, n))
    return table
