"""Fitting next products: weights found in one past window, judged in the next.

Two windows before ``as_of``: at the start of the first the model is built from what was known then,
and the weights are those whose lists the people of that window bought most of; at the start of the
second it is built again, and what was bought of its lists is what the card tells. The model that is
returned knows everything before ``as_of`` and has those weights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd

from connector.errors import InsufficientDataError, ModelError
from connector.models.affinity.fit import AffinitySpec
from connector.models.affinity.fit import fit as fit_affinity
from connector.models.affinity.model import AffinityModel
from connector.models.baskets import read_baskets
from connector.models.card import Gate, ModelCard
from connector.models.pairs.history import learn_cycles, naive_times, purchases
from connector.models.pairs.model import PairSpec
from connector.models.pairs.model import fit as fit_pairs
from connector.models.pairs.next_products import (
    BLOCK,
    KIND,
    PARTS,
    NextModel,
    NextSpec,
    parts_of,
    ranked,
)

Floats = npt.NDArray[np.float64]
Weights = tuple[float, float, float, float]

DEFAULT_WEIGHTS: Weights = (1.0, 0.5, 0.5, 0.25)
"""Weights where there is too little past to find better ones."""
FAVOURITES: Weights = (1.0, 0.0, 0.0, 1e-6)
"""What a person buys most, and best sellers where that gives nothing."""
BEST_SELLERS: Weights = (0.0, 0.0, 0.0, 1.0)
TRIED = ((1.0, 0.0), (0.0, 0.25, 0.5, 1.0), (0.0, 0.25, 0.5, 1.0), (0.1, 0.5))
"""Weights that are tried for each of the parts."""
RESTLESS_GAIN = 0.02
"""By how much more must be bought of the lists before what was just bought is offered again; less
is no reason to show somebody the sofa of last week."""
JUDGED_PEOPLE = 3_000
"""People of a window that lists are judged by, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """People who bought in a window, what is known of them before it, and what they bought."""

    parts: tuple[Floats, ...]
    blocked: npt.NDArray[np.bool_]
    bought: npt.NDArray[np.bool_]

    def hits(self, weights: Weights, top: int, *, rests: bool) -> npt.NDArray[np.int64]:
        """How many items of their list people bought.

        Args:
            weights: Of the parts.
            top: Length of a list.
            rests: Whether what was just bought and is not used up is left out.
        """
        scores, order = ranked(self.parts, weights, self.blocked if rests else None, top)
        offered = np.take_along_axis(scores, order, axis=1) > 0
        hit = np.take_along_axis(self.bought, order, axis=1) & offered
        return np.asarray(hit.sum(axis=1), dtype=np.int64)

    def measures(self, weights: Weights, top: int, *, rests: bool) -> dict[str, float]:
        """Share of people who bought something of their list, and share of the list they bought."""
        hits = self.hits(weights, top, rests=rests)
        return {
            "hit_rate": round(float((hits > 0).mean()), 6),
            "precision": round(float(hits.mean()) / top, 6),
        }


def fit_next(
    lines: pd.DataFrame,
    spec: NextSpec,
    *,
    as_of: datetime,
    rng: np.random.Generator,
    pairs: PairSpec | None = None,
    affinity: AffinityModel | None = None,
    consumables: Collection[str] | None = None,
) -> NextModel:
    """Learn to recommend.

    Args:
        lines: Order lines: ``profile_id``, ``basket_id``, ``item``, ``at``; those at or after
            ``as_of`` are left out. Their order does not matter.
        spec: Settings.
        as_of: The instant of the data, aware.
        rng: Source of all randomness.
        pairs: Settings of the pairs.
        affinity: The topics in use; for the past windows topics as many are fitted anew, so that
            none of them knows the future. None: without taste.
        consumables: Items that are used up; None: learn it.

    Raises:
        InsufficientDataError: Too few baskets.
        ModelError: The lines lack a column.
    """
    if "at" not in lines:
        raise ModelError("The order lines lack the column at.", hint="Pass the time of the order.")
    pairs = pairs or PairSpec()
    lines = lines.assign(at=naive_times(lines["at"])).reset_index(drop=True)
    horizon = timedelta(days=spec.horizon_days)
    model = _build(_before(lines, as_of), spec, as_of, pairs, affinity, consumables)
    first, second = (
        _window(lines, spec, as_of - n * horizon, pairs, affinity,
                consumables, rng)
        for n in (2, 1)
    )  # fmt: skip
    if first is not None:
        weights, rests = _best_weights(first, spec, has_taste=affinity is not None)
        model = replace(model, weights=weights, rests=rests)
    return replace(model, card=_card(model, first, second, spec))


def _before(lines: pd.DataFrame, instant: datetime) -> pd.DataFrame:
    return lines[lines["at"] < pd.Timestamp(instant.astimezone(UTC).replace(tzinfo=None))]


def _build(
    lines: pd.DataFrame,
    spec: NextSpec,
    as_of: datetime,
    pairs: PairSpec,
    affinity: AffinityModel | None,
    consumables: Collection[str] | None,
) -> NextModel:
    """The model of what was known at an instant, with default weights."""
    baskets = read_baskets(lines, max_items=spec.max_items)
    found = fit_pairs(lines, pairs, as_of=as_of)
    times = naive_times(baskets.at) if baskets.at is not None else np.array([])
    start = np.datetime64(
        (as_of.astimezone(UTC) - timedelta(days=spec.horizon_days)).replace(tzinfo=None), "s"
    )
    # A shop that was closed for the window has its best sellers of all time.
    lately = times >= start if (times >= start).any() else np.ones(len(times), dtype=bool)
    table = baskets.table[np.flatnonzero(lately)]
    return NextModel(
        name=spec.name,
        items=baskets.items,
        popularity=np.round(np.asarray(table.mean(axis=0)).ravel(), 12),
        cycles=learn_cycles(purchases(baskets), baskets.items, consumables=consumables),
        pairs=found,
        affinity=affinity,
        weights=DEFAULT_WEIGHTS,
        rests=True,
        basket_size=round(float(baskets.sizes.mean()), 9),
        spec=spec,
        card=found.card,
    )


def _window(
    lines: pd.DataFrame,
    spec: NextSpec,
    start: datetime,
    pairs: PairSpec,
    affinity: AffinityModel | None,
    consumables: Collection[str] | None,
    rng: np.random.Generator,
) -> _Window | None:
    """A past window, or None where there is too little before or in it."""
    known = _before(lines, start)
    ahead = _before(lines, start + timedelta(days=spec.horizon_days))
    ahead = ahead.drop(index=known.index)
    try:
        topics = None if affinity is None else _earlier(affinity, known, start, rng)
        model = _build(known, spec, start, pairs, topics, consumables)
    except InsufficientDataError:
        return None
    parts = parts_of(model, known, start)
    bought = read_baskets(ahead, items=model.items)
    people = parts.people.get_indexer(bought.profiles)
    rows = np.flatnonzero((people >= 0) & (bought.n_of_people() > 0))
    rows = np.sort(rng.permutation(rows)[:JUDGED_PEOPLE])
    if len(rows) < spec.min_people:
        return None
    pieces = [parts.block(people[rows[i : i + BLOCK]]) for i in range(0, len(rows), BLOCK)]
    return _Window(
        tuple(np.concatenate([piece[k] for piece in pieces]) for k in range(len(PARTS))),
        parts.blocked(people[rows]),
        bought.by_person()[rows].toarray() > 0,
    )


def _earlier(
    affinity: AffinityModel, known: pd.DataFrame, start: datetime, rng: np.random.Generator
) -> AffinityModel:
    """As many topics, from what was known earlier."""
    k = len(affinity.ids)
    spec = AffinitySpec(topics=(k, k), min_baskets=affinity.min_baskets, n_starts=1)
    return fit_affinity(known, spec, as_of=start, rng=rng)


def _best_weights(window: _Window, spec: NextSpec, *, has_taste: bool) -> tuple[Weights, bool]:
    """Weights whose lists were bought most of, and whether what was just bought rests.

    By items and not by people with a hit: where people buy much, nearly everybody has one. Of equal
    weights the first that were tried.
    """
    tried = [
        FAVOURITES,
        *(weights for weights in product(*TRIED) if has_taste or not weights[2]),
    ]

    def best(*, rests: bool) -> tuple[int, Weights]:
        found = [int(window.hits(weights, spec.top, rests=rests).sum()) for weights in tried]
        place = int(np.argmax(found))
        return found[place], tried[place]

    rested, restless = best(rests=True), best(rests=False)
    if restless[0] > (1.0 + RESTLESS_GAIN) * rested[0]:
        return restless[1], False
    return rested[1], True


def _card(
    model: NextModel, first: _Window | None, second: _Window | None, spec: NextSpec
) -> ModelCard:
    metrics: dict[str, float] = {
        f"weight_{part}": weight for part, weight in zip(PARTS, model.weights, strict=True)
    }
    baselines: dict[str, dict[str, float]] = {}
    notes: tuple[str, ...] = ()
    nothing = {"precision": 0.0}
    found, popular, own = nothing, nothing, nothing
    if first is None:
        notes += ("Too little past to find weights: the defaults are used.",)
    if not model.rests:
        notes += ("What was just bought is offered again: people here bought it again at once.",)
    if second is None:
        notes += ("Too little past to judge the lists.",)
    else:
        found = second.measures(model.weights, spec.top, rests=model.rests)
        popular = second.measures(BEST_SELLERS, spec.top, rests=False)
        own = second.measures(FAVOURITES, spec.top, rests=False)
        metrics |= {**found, "n_judged": float(len(second.bought))}
        baselines = {"popularity": popular, "own_favourites": own}
    return ModelCard(
        name=spec.name,
        kind=KIND,
        algorithm="weighted_parts",
        as_of=model.card.as_of,
        n_people=model.card.n_people,
        features=("profile_id", "basket_id", "item", "at"),
        metrics=metrics,
        baselines=baselines,
        gates=_gates(found, popular, own) if second else _untried(spec),
        notes=notes,
    )


def _gates(
    found: Mapping[str, float], popular: Mapping[str, float], own: Mapping[str, float]
) -> tuple[Gate, ...]:
    """The lists beside those of the two simple rules, on the same people."""
    bought = f"{found['precision']:.1%} of what is listed was bought"
    return (
        Gate(
            "beats_popularity",
            f"more than the {popular['precision']:.1%} of a list of best sellers",
            bought,
            found["precision"] > popular["precision"],
        ),
        Gate(
            "beats_own_favourites",
            f"no less than the {own['precision']:.1%} of a list of what the person buys most",
            bought,
            found["precision"] >= own["precision"],
        ),
    )


def _untried(spec: NextSpec) -> tuple[Gate, ...]:
    """What nobody has tried is not published, and no share is told that nobody has measured."""
    return (
        Gate(
            "beats_popularity",
            f"at least {spec.min_people} people who were known {spec.horizon_days} days ago and"
            " have bought since, to try the lists on",
            "too little past",
            passed=False,
        ),
    )
