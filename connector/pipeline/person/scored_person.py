"""What the models say of one person, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Driver:
    """What one feature adds to a probability.

    Attributes:
        words: Such as ``bought 12 days ago (+8 points)``.
        feature: Its name.
        value: The person's number or word; None where it is not known.
        part: What it adds, as a probability (0.08 = 8 points).
    """

    words: str
    feature: str
    value: float | str | None
    part: float


@dataclass(frozen=True, slots=True)
class PropensityView:
    """One propensity score, and where it comes from.

    Attributes:
        model: Its name.
        words: The score in a sentence, or why there is none.
        probability: None where there is none.
        percentile: Share of the training people who score lower, in per cent.
        reference: The typical person's probability.
        drivers: The largest parts, largest first.
        rest: Sum of the parts that are not among them.
        total: Sum of all parts: ``probability`` less ``reference``.
    """

    model: str
    words: str
    probability: float | None = None
    percentile: int | None = None
    reference: float | None = None
    drivers: tuple[Driver, ...] = ()
    rest: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class ValueView:
    """A lifetime value, and what it rests on.

    Attributes:
        model: Its name.
        words: The value in a sentence, or why there is none.
        basis: What it rests on, in a sentence.
        expected, low, high: Over the horizon and the ends of the 80 % range, currency.
        p_alive: Probability to be a customer still.
        tier: Class by expected value.
        next_order: Median day of the next order.
        orders: Ever made.
        days_since: Since the last one.
        mean_value: Of an order, currency.
    """

    model: str
    words: str
    basis: str = ""
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    p_alive: float | None = None
    tier: str | None = None
    next_order: datetime | None = None
    orders: int | None = None
    days_since: int | None = None
    mean_value: float | None = None


@dataclass(frozen=True, slots=True)
class PersonaView:
    """A cluster, and why the person is in it.

    Attributes:
        model: Its name.
        words: In a sentence.
        cluster: Its id; None where the person has none.
        name: What it is called.
        is_outlier: Whether the person is in no crowd.
        reasons: What pulls the person there, strongest first.
        since: When a run first knew the person there.
    """

    model: str
    words: str
    cluster: str | None = None
    name: str | None = None
    is_outlier: bool = False
    reasons: tuple[str, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Leaning:
    """The share of a topic in what a person buys."""

    topic: str
    share: float


@dataclass(frozen=True, slots=True)
class AffinityView:
    """What a person tends to buy, largest share first."""

    model: str
    words: str
    leanings: tuple[Leaning, ...] = ()


@dataclass(frozen=True, slots=True)
class NextView:
    """What a person may buy next.

    Attributes:
        model: Its name.
        words: In a sentence.
        items: Likeliest first.
        reason: Why the first of them.
        goes_with: What goes with the last basket.
    """

    model: str
    words: str
    items: tuple[str, ...] = ()
    reason: str | None = None
    goes_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpliftView:
    """What treatment is expected to bring of a person.

    Attributes:
        model: Its name.
        words: In a sentence.
        uplift: In the unit of the model's metric; None where there is none.
        percentile: Share of the training people whose uplift is smaller, in per cent.
    """

    model: str
    words: str
    uplift: float | None = None
    percentile: int | None = None


@dataclass(frozen=True, slots=True)
class ModelsView:
    """Everything that the models of the file say of one person, in its order."""

    propensities: tuple[PropensityView, ...] = ()
    values: tuple[ValueView, ...] = ()
    personas: tuple[PersonaView, ...] = ()
    affinities: tuple[AffinityView, ...] = ()
    next_products: tuple[NextView, ...] = ()
    uplifts: tuple[UpliftView, ...] = ()
