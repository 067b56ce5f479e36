"""Finding topics: how many, from which start, and whether they say more than best sellers do.

LDA depends on its start, so several are tried. Both the number of topics and the start are chosen
by how well they foretell items that were hidden from them: of people kept out of the fit, half of
the items are shown and the other half must be guessed. A model that guesses no better than "what
everybody buys" is not published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix

from connector.errors import InsufficientDataError, ModelError
from connector.models.affinity.lda import (
    fit_topics,
    halves,
    predictive_log_likelihood,
    shares,
    start_from_people,
)
from connector.models.affinity.model import KIND, AffinityModel, name_items, person_documents
from connector.models.baskets import read_baskets
from connector.models.card import Gate, ModelCard
from connector.models.labels import Registry, settle
from connector.models.matching import LabelRules
from connector.models.threads import one_thread
from connector.numbers import several

Floats = npt.NDArray[np.float64]

WORTH_A_TOPIC = 0.005
"""Gain of a hidden item's mean log likelihood (nats) below which fewer topics are preferred."""
MAX_SIZES = 5
"""Numbers of topics that are tried, evenly spread over the range."""
LEAST_KEPT = 0.5
"""Share of earlier purchases whose items must still be there for their topics to be carried on."""
FINAL_PASSES = 10
"""Passes over everybody, after the topics were found on a sample."""


@dataclass(frozen=True, slots=True)
class AffinitySpec:
    """What the configuration says about one affinity model.

    Attributes:
        name: Prefix of the output columns.
        topics: Fewest and most topics to try.
        min_baskets: People with fewer baskets are neither learnt from nor scored.
        labels: How labels pass to the next model.
        max_items: Items that are in most baskets; the rest are left out.
        basket_cap: A basket with more items counts as one with so many.
        n_starts: Starts for the chosen number of topics.
        min_people: Below so many people with enough baskets there is no answer.
        fit_sample: People to fit on, at most.
        choose_sample: People to choose on, at most.
    """

    name: str = "affinity"
    topics: tuple[int, int] = (8, 16)
    min_baskets: int = 3
    labels: LabelRules = field(default_factory=lambda: LabelRules(min_overlap=0.7))
    max_items: int = 1_000
    basket_cap: int = 50
    n_starts: int = 3
    min_people: int = 200
    fit_sample: int = 20_000
    choose_sample: int = 3_000


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """A sample of people: some to fit on, the others' items shown and hidden."""

    train: csr_matrix
    seen: csr_matrix
    hidden: csr_matrix

    def fit(self, start: Floats) -> tuple[Floats, float]:
        """Topics from a start, and how well they foretell hidden items."""
        k = len(start)
        found = fit_topics(self.train, start, alpha=1 / k, eta=1 / k).weights
        return found, predictive_log_likelihood(self.seen, self.hidden, found, 1 / k)

    def popularity_score(self, popularity: Floats) -> float:
        """The same for guessing by popularity alone."""
        guessed = np.log(popularity[self.hidden.indices])
        return float((self.hidden.data * guessed).sum() / self.hidden.data.sum())


def fit(
    lines: pd.DataFrame,
    spec: AffinitySpec,
    *,
    as_of: datetime,
    rng: np.random.Generator,
    before: AffinityModel | None = None,
) -> AffinityModel:
    """Find topics in what people buy.

    Args:
        lines: Order lines before ``as_of``: ``profile_id``, ``basket_id``, ``item``; their order
            does not matter.
        spec: What the configuration says.
        as_of: The instant of the data, aware.
        rng: Source of all randomness.
        before: The model in use, for a warm restart with as many topics; None: choose anew, as
            when the numbers to try, or most items, are others than its own.

    Returns:
        A model with provisional ids; :func:`connector.models.affinity.relabel` gives the stable
        ones.

    Raises:
        InsufficientDataError: Too few people with enough baskets, or fewer items than topics.
        ModelError: The settings make no model, or the lines lack a column.
    """
    if not 2 <= spec.topics[0] <= spec.topics[1]:
        raise ModelError(
            f"The model {spec.name!r} cannot try {spec.topics[0]} to {spec.topics[1]} topics.",
            hint="Give a range from 2 on, such as 8-16.",
        )
    baskets = read_baskets(lines, max_items=spec.max_items)
    documents = person_documents(baskets, spec.basket_cap)
    enough = (baskets.n_of_people() >= spec.min_baskets) & (np.diff(documents.indptr) > 0)
    documents = csr_matrix(documents[np.flatnonzero(enough)])
    n_people, n_items = documents.shape
    _check_enough(n_people, n_items, spec)
    with one_thread():
        sample = csr_matrix(documents[np.sort(rng.permutation(n_people)[: spec.fit_sample])])
        # Half a purchase of everything, so that an item of the known list is never impossible.
        bought = np.asarray(sample.sum(axis=0)).ravel() + 0.5
        popularity = np.round(bought / bought.sum(), 12)
        trial = _trial(sample, spec, rng)
        notes = []
        if n_capped := int((baskets.sizes > spec.basket_cap).sum()):
            notes.append(f"{n_capped} baskets hold more than {spec.basket_cap} items and count as"
                         " baskets of that size.")  # fmt: skip
        if before is not None and before.sought != spec.topics:
            before = None
            notes.append("The numbers of topics to try have changed: they were chosen anew.")
        elif before is not None and _kept_share(before, baskets.items) < LEAST_KEPT:
            before = None
            notes.append("Most items are new: topics were chosen anew.")
        if before is None:
            scores = _try_sizes(trial, spec, rng)
            k = _fewest_good(scores)
            tried = [trial.fit(start_from_people(k, trial.train, 1 / k, rng))
                     for _ in range(max(1, spec.n_starts))]  # fmt: skip
        else:
            k = len(before.ids)
            scores, tried = {}, [trial.fit(_carried(before, baskets.items))]
        best = max(range(len(tried)), key=lambda i: round(tried[i][1], 9))
        weights = fit_topics(
            sample, _rescaled(tried[best][0], sample), alpha=1 / k, eta=1 / k,
            max_passes=FINAL_PASSES,
        ).weights  # fmt: skip
        if before is None:
            weights = weights[np.argsort(-weights.sum(axis=1), kind="stable")]
        score = predictive_log_likelihood(trial.seen, trial.hidden, tried[best][0], 1 / k)
        naive = trial.popularity_score(popularity)
    agreement = _agreement([found for found, _ in tried], best)
    weights = np.array([[float(f"{w:.9g}") for w in row] for row in weights.tolist()])
    contrasts = name_items(baskets.items, weights, popularity)
    ids, provisional = settle(
        Registry(spec.name),
        contrasts,
        prefix=AffinityModel.ID_PREFIX,
        day=as_of.astimezone(UTC).date(),
    )
    card = ModelCard(
        name=spec.name,
        kind=KIND,
        algorithm="lda",
        as_of=as_of.astimezone(UTC),
        n_people=n_people,
        features=("profile_id", "basket_id", "item"),
        metrics={
            "topics": float(k),
            **_measures(score),
            **({} if agreement is None else {"start_agreement": agreement}),
        },
        baselines={"popularity": _measures(naive)},
        candidates={f"lda k={size}": _measures(value) for size, value in scores.items()},
        gates=(
            Gate("beats_popularity", f"below the {np.exp(-naive):.1f} of best sellers",
                 f"perplexity {np.exp(-score):.1f}", score > naive),
        ),
        notes=tuple(notes),
        n_rows=int(baskets.table.shape[0]),
    )  # fmt: skip
    return AffinityModel(
        name=spec.name,
        items=baskets.items,
        weights=weights,
        popularity=popularity,
        alpha=1 / k,
        ids=ids,
        names=tuple(label.shown for label in provisional.labels),
        keys=ids,
        min_baskets=spec.min_baskets,
        basket_cap=spec.basket_cap,
        hysteresis=spec.labels.hysteresis,
        sought=spec.topics,
        card=card,
    )


def _check_enough(n_people: int, n_items: int, spec: AffinitySpec) -> None:
    if n_people < spec.min_people:
        raise InsufficientDataError(
            f"The model {spec.name!r} has {n_people} people with {spec.min_baskets} or more"
            f" baskets, {spec.min_people} are needed.",
            hint="Wait for more orders, or lower `min_baskets`.",
        )
    if n_items <= spec.topics[1]:
        raise InsufficientDataError(
            f"The model {spec.name!r} sees {several(n_items, 'item')}; topics up to"
            f" {spec.topics[1]} need more than that.",
            hint="Take a finer `level`, or fewer topics.",
        )


def _trial(sample: csr_matrix, spec: AffinitySpec, rng: np.random.Generator) -> _Trial:
    rows = rng.permutation(sample.shape[0])[: spec.choose_sample]
    n_train = max(1, int(0.8 * len(rows)))
    seen, hidden = halves(csr_matrix(sample[rows[n_train:]]), rng)
    if seen.shape[0] == 0:
        raise InsufficientDataError(
            f"In the model {spec.name!r} nobody bought two different items.",
            hint="Take a finer `level`.",
        )
    return _Trial(csr_matrix(sample[rows[:n_train]]), seen, hidden)


def _try_sizes(trial: _Trial, spec: AffinitySpec, rng: np.random.Generator) -> dict[int, float]:
    """Score of each number of topics."""
    low, high = spec.topics
    sizes = np.unique(np.linspace(low, high, MAX_SIZES).round().astype(int)).tolist()
    return {k: trial.fit(start_from_people(k, trial.train, 1 / k, rng))[1] for k in sizes}


def _fewest_good(scores: dict[int, float]) -> int:
    """The fewest topics that are nearly as good as the best number."""
    best = max(scores.values())
    return min(k for k, score in scores.items() if score >= best - WORTH_A_TOPIC)


def _kept_share(before: AffinityModel, items: tuple[str, ...]) -> float:
    """Share of what was bought at the old fit whose items are still there."""
    there = pd.Index(before.items).isin(items)
    return float(before.popularity[there].sum())


def _carried(before: AffinityModel, items: tuple[str, ...]) -> Floats:
    """The old topics over the new items; a new item starts as likely in each."""
    target = pd.Index(items).get_indexer(pd.Index(before.items))
    inside = target >= 0
    start = np.full((len(before.ids), len(items)), 1 / len(before.ids))
    start[:, target[inside]] = before.weights[:, inside]
    return start


def _rescaled(weights: Floats, documents: csr_matrix) -> Floats:
    """Topics found on a sample, as certain as the whole makes them."""
    rescaled: Floats = weights * max(1.0, documents.sum() / weights.sum())
    return rescaled


def _agreement(found: list[Floats], best: int) -> float | None:
    """How alike the topics of the other starts are to the best one's: 1 the same, 0 disjoint."""
    others = [topics for i, topics in enumerate(found) if i != best]
    if not others:
        return None
    root = np.sqrt(shares(found[best]))
    means = []
    for topics in others:
        overlap = root @ np.sqrt(shares(topics)).T
        rows, columns = linear_sum_assignment(overlap, maximize=True)
        means.append(overlap[rows, columns].mean())
    return round(float(np.mean(means)), 6)


def _measures(score: float) -> dict[str, float]:
    return {"log_likelihood": round(score, 6), "perplexity": round(float(np.exp(-score)), 6)}
