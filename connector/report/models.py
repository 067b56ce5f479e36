"""What the models found, as the report shows it: cards, personas, topics, values, trends.

Nothing here is about one person: a dot of the map stands for :data:`LEAST_DOT` people or more, and
what fewer than ten people are worth is not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

LEAST_DOT = 3
"""Fewer people make no dot of the map."""

_Z_95 = 1.959963984540054
"""Quantile of the standard normal at .975."""


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One measure on unseen data.

    Attributes:
        name: Such as ``auc``.
        value: Of the model.
        baselines: Naive rule -> the same measure.
    """

    name: str
    value: float
    baselines: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateRow:
    """One condition of publishing a model."""

    name: str
    required: str
    found: str
    passed: bool


@dataclass(frozen=True, slots=True)
class TenthRow:
    """One tenth of the unseen people, best first.

    Attributes:
        number: 1 for the best.
        rate: Share of them who did it.
        lift: That over the share of all.
        gain: Share of all who did it in this tenth and those above it.
    """

    number: int
    rate: float
    lift: float
    gain: float


@dataclass(frozen=True, slots=True)
class BinRow:
    """Unseen people of like probability: what was predicted, and what they did."""

    people: int
    predicted: float
    observed: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share who did it, by Wilson.

        References:
            E. B. Wilson (1927), "Probable inference, the law of succession, and statistical
            inference", Journal of the American Statistical Association 22(158).
        """
        n, z2 = self.people, _Z_95 * _Z_95
        if n <= 0:
            return 0.0, 1.0
        centre = (self.observed + z2 / (2 * n)) / (1 + z2 / n)
        spread = self.observed * (1 - self.observed) / n + z2 / (4 * n * n)
        half = _Z_95 * spread**0.5 / (1 + z2 / n)
        return max(centre - half, 0.0), min(centre + half, 1.0)


@dataclass(frozen=True, slots=True)
class ProfitPoint:
    """What treating a share of the people, best first, would have brought a thousand people."""

    share: float
    profit: float


@dataclass(frozen=True, slots=True)
class ProfitRow:
    """What a campaign over a model's people would bring, by where it stops.

    Attributes:
        campaign: Its name; empty for the value and cost that the model itself was given.
        value: What a response brings, less what an offer costs, currency.
        cost: Of a contact, currency.
        basis: What a response brings: an order's ``margin`` or ``revenue``; empty where the model
            itself says it.
        cutoff: The probability with the most profit.
        share: People at or above it (0-1).
        best: Profit there, for a thousand people.
        everybody: Profit of treating all, for a thousand people.
        points: The curve.
    """

    campaign: str
    value: float
    cost: float
    cutoff: float
    share: float
    best: float
    everybody: float
    points: tuple[ProfitPoint, ...] = ()
    basis: str = "revenue"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model's card.

    Attributes:
        name: Its name.
        kind: Its type in the file.
        algorithm: The one that was chosen; empty where no model could be fitted.
        use: ``new``, ``stored`` or ``none``: which model gives the scores.
        version: Its number; None where it is not stored yet.
        fitted_at: The instant of its data; None where there is no model.
        people: Whom it was fitted on.
        measures: The one that it is known by first.
        gates: Of the model that is shown.
        notes: What a person should know.
        refused: Why a newer fit is not used.
        is_refused: Whether the card is of a model that is not used.
        data_from: The oldest instant that it looked at; None: all that there was.
        rows: Of its training table; None where it is not told.
        features: What it reads of a person.
        seed: Of its randomness, hexadecimal; empty where it has none.
        tenths, bins: Of propensity models, on unseen people.
        profits: Of the campaigns whose segment reads the model.
    """

    name: str
    kind: str
    algorithm: str
    use: str
    version: int | None = None
    fitted_at: datetime | None = None
    people: int | None = None
    measures: tuple[MeasureRow, ...] = ()
    gates: tuple[GateRow, ...] = ()
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    is_refused: bool = False
    data_from: datetime | None = None
    rows: int | None = None
    features: tuple[str, ...] = ()
    seed: str = ""
    tenths: tuple[TenthRow, ...] = ()
    bins: tuple[BinRow, ...] = ()
    profits: tuple[ProfitRow, ...] = ()


@dataclass(frozen=True, slots=True)
class PersonaRow:
    """One cluster.

    Attributes:
        id: Its stable id.
        name: What it is called.
        people: How many.
        contrasts: What sets it apart, strongest first.
        x, y, z: Its centre on the map: across, upwards, and into the page.
    """

    id: str
    name: str
    people: int
    contrasts: tuple[str, ...] = ()
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0


@dataclass(frozen=True, slots=True)
class Dot:
    """People at one place of the map.

    Attributes:
        x, y: Where.
        people: How many.
        persona: Number of the cluster that most of them are in, from 0.
    """

    x: float
    y: float
    people: int
    persona: int


@dataclass(frozen=True, slots=True)
class ContenderRow:
    """One algorithm with one number of clusters, when the clusters were chosen.

    Attributes:
        algorithm: Such as ``kmeans``.
        k: Number of clusters that it made.
        silhouette: How well they stand apart, -1 to 1.
        ari: Agreement with people drawn anew, or of a density method with the clusters in use.
        jaccard: Mean share of a cluster that comes back; None for a density method.
        smallest: Share of people in the smallest cluster; None likewise.
        left_out: Share of people in no cluster; None for methods that place everybody.
        score: By which it was chosen; None for a method that is only compared.
        is_chosen: Whether it is the one in use.
    """

    algorithm: str
    k: int
    silhouette: float
    ari: float
    jaccard: float | None = None
    smallest: float | None = None
    left_out: float | None = None
    score: float | None = None
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """One join of the dendrogram: two branches from their own heights up to a common one.

    Attributes:
        left, right: Where the branches stand, 0 to 1 across.
        left_from, right_from: Heights that they come from, 0 to 1.
        height: Where they are joined, 0 to 1.
    """

    left: float
    right: float
    left_from: float
    right_from: float
    height: float


@dataclass(frozen=True, slots=True)
class CutRow:
    """The dendrogram cut into ``k``: where the line lies (0 to 1), and the parts' shares."""

    k: int
    height: float
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TreeSummary:
    """The dendrogram's upper part.

    Attributes:
        branches: Lowest join first.
        feet: Where the lowest branches stand, 0 to 1 across, and their share of people.
        cuts: Every number of clusters that was tried.
        k: The cut at the number of clusters in use.
    """

    branches: tuple[Branch, ...]
    feet: tuple[tuple[float, float], ...]
    cuts: tuple[CutRow, ...]
    k: int


@dataclass(frozen=True, slots=True)
class PersonaSummary:
    """One cluster model.

    Attributes:
        model: Its name.
        personas: Largest first.
        n_without: People the model is not about.
        n_outliers: People who are in no crowd.
        explained: Share of the variance along each axis of the map, three at most.
        dots: Everybody, by place.
        side: The same seen from the side: across, and into the page; empty with two axes.
        contenders: What the clusters were chosen from.
        compared_on: The day of the data that they were chosen on.
        tree: The dendrogram, where hierarchical clusters were among them.
        eligible: Whom the model is about, as the configuration says it; empty: everybody.
        silhouette: How well the personas stand apart; None where it is not known.
        shuffled: The same with shuffled features.
    """

    model: str
    personas: tuple[PersonaRow, ...]
    n_without: int = 0
    n_outliers: int = 0
    explained: tuple[float, ...] = ()
    dots: tuple[Dot, ...] = ()
    side: tuple[Dot, ...] = ()
    contenders: tuple[ContenderRow, ...] = ()
    compared_on: date | None = None
    tree: TreeSummary | None = None
    eligible: str = ""
    silhouette: float | None = None
    shuffled: float | None = None


@dataclass(frozen=True, slots=True)
class TopicRow:
    """One topic: its name, how many lean to it most, and what tells it from others."""

    id: str
    name: str
    people: int
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicSummary:
    """One affinity model; ``n_without`` have bought too seldom to tell a taste."""

    model: str
    topics: tuple[TopicRow, ...]
    n_without: int = 0


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two items that are bought together.

    Attributes:
        first, second: What they are called.
        both: Baskets with both.
        of_first, of_second: Share of the baskets with the one that hold the other.
        lift: How many times more often than by chance.
        low, high: Ends of its 95 % interval.
    """

    first: str
    second: str
    both: int
    of_first: float
    of_second: float
    lift: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairSummary:
    """One model of pairs: the surest first, how many there are, and of how many baskets."""

    model: str
    pairs: tuple[PairRow, ...]
    n_pairs: int
    n_baskets: int


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One segment at one run: members, and how many came and went since the run before."""

    as_of: datetime
    people: int
    joins: int
    leaves: int


@dataclass(frozen=True, slots=True)
class SegmentTrend:
    """One segment over the last runs, oldest first, and now."""

    segment: str
    points: tuple[TrendPoint, ...]
