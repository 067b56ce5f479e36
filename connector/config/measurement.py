"""What is measured and how it is judged: metrics and the measurement's rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from connector.config.values import (
    Days,
    Expression,
    Names,
    Probability,
    Section,
    Share,
    Switch,
    Text,
    refuse,
    whole_days,
)

_OF_NONZERO = re.compile(r"(\d{1,2}(?:\.\d+)?)\s*%\s+of\s+non-?zero")
_POINTS = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*pp")


def _winsorise(value: object) -> object:
    if isinstance(value, float):
        return value
    match = _OF_NONZERO.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not 0 < Decimal(match[1]) < 100:
        raise refuse(
            "a percent of the people whose value is not zero, such as 99.9% of non-zero (where few "
            "buy, 99.9% of everybody is zero)",
            words=("99.9% of non-zero",),
        )
    return float(Decimal(match[1]) / 100)


def _points(value: object) -> object:
    if isinstance(value, float):
        return value
    match = _POINTS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not 0 < Decimal(match[1]) <= 100:
        raise refuse("percentage points, such as 0.3pp (a percent could be a share of the rate)")
    return float(Decimal(match[1]) / 100)


def _cuped(value: object) -> object:
    if value is None or value == "none":
        return None
    try:
        return whole_days(value)
    except PydanticCustomError:
        raise refuse("none, or a stretch of whole days such as 90d", words=("none", "90d")) from (
            None
        )


Winsorise = Annotated[float, BeforeValidator(_winsorise)]
"""A share of the non-zero units, written ``99.9% of non-zero``."""
Points = Annotated[float, BeforeValidator(_points)]
"""A difference of shares, written ``0.3pp``."""


Countable = Literal[
    "orders",
    "order_items",
    "events",
    "returns",
    "redemptions",
    "email_sends",
    "email_deliveries",
    "email_opens",
    "email_clicks",
    "email_bounces",
    "unsubscribes",
]
"""Tables whose rows are counted, and counts of a person."""


class Guardrail(Section):
    """How much worse a metric may get."""

    max_increase: Points


class Metric(Section):
    """A number for one person, over a window from the day they first qualified.

    Exactly one of ``sum``, ``count``, ``share``, ``ratio`` and ``delta`` is given.

    Attributes:
        sum_of: Expression summed over rows of ``from`` (key ``sum``).
        count_of: Table whose rows are counted, or a count of the person (key ``count``).
        share_of: Condition over the person's totals; its share of people (key ``share``).
        ratio_of: Two of the person's totals; the first over the second (key ``ratio``).
        delta_of: A published score; its change over the window (key ``delta``).
        source: Table of ``sum`` (key ``from``).
        where: Condition on the rows of ``sum`` or ``count``.
        winsorise: Where the cap of the capped comparison lies, which is shown beside the result.
        guardrail: Makes it a metric that must not rise.
    """

    sum_of: Expression | None = Field(default=None, alias="sum")
    count_of: Countable | None = Field(default=None, alias="count")
    share_of: Expression | None = Field(default=None, alias="share")
    ratio_of: Annotated[tuple[Expression, ...] | None, Field(min_length=2, max_length=2)] = Field(
        default=None, alias="ratio"
    )
    delta_of: Text | None = Field(default=None, alias="delta")
    source: Literal["orders", "order_items", "events"] = Field(default="orders", alias="from")
    where: Expression | None = None
    window: Days
    winsorise: Winsorise | None = None
    guardrail: Guardrail | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """Which of the five it gives; exactly one in a file that was accepted."""
        kinds = {
            "sum": self.sum_of,
            "count": self.count_of,
            "share": self.share_of,
            "ratio": self.ratio_of,
            "delta": self.delta_of,
        }
        return tuple(kind for kind, value in kinds.items() if value is not None)

    @property
    def kind(self) -> str:
        """Which of the five it is."""
        return self.given[0] if self.given else "sum"


def _metric(**keys: object) -> Metric:
    return Metric.model_validate(keys)


SHIPPED: Mapping[str, Metric] = {
    "revenue_per_person_30d": _metric(sum="net_revenue", window="30d"),
    "orders_per_person_60d": _metric(count="orders", window="60d"),
    "conversion_30d": _metric(share="orders >= 1", window="30d"),
}
"""Metrics that every campaign is measured on, unless ``also_report`` says otherwise."""

DEFAULT_METRICS: Mapping[str, Metric] = {
    **SHIPPED,
    "margin_per_person_30d": _metric(sum="margin - offer_cost - contact_cost", window="30d"),
    "margin_per_person_90d": _metric(sum="margin - offer_cost - contact_cost", window="90d"),
    "aov_30d": _metric(ratio=["net_revenue", "orders"], window="30d"),
    "repeat_rate_60d": _metric(share="orders >= 1", window="60d"),
    "retention_90d": _metric(share="orders >= 1", window="90d"),
    "clv_growth": _metric(delta="clv_365d.expected", window="90d"),
    "click_rate": _metric(ratio=["email_clicks", "email_sends"], window="30d"),
    "unsubscribe_rate": _metric(share="unsubscribed", window="30d"),
}
"""Metrics that every file may name; one of the same name in the file replaces it."""


class Estimator(Section):
    """How a difference is estimated.

    Attributes:
        mean: Interval of means: Hall's takes the skewness out, Welch's does not.
        share: Interval of shares.
        cuped: How far back the covariate of the same metric reaches; None: none.
        ci: Confidence; None: ``measurement.confidence``.
        peeking: What allows for looking more than once.
    """

    mean: Literal["hall", "welch"] = "hall"
    share: Literal["agresti_caffo", "score"] = "agresti_caffo"
    cuped: Annotated[timedelta | None, BeforeValidator(_cuped)] = timedelta(days=90)
    ci: Probability | None = None
    peeking: Literal["sequential_hybrid", "obrien_fleming", "confidence_sequence", "fixed"] = (
        "sequential_hybrid"
    )


class Buyers(Section):
    """Buyers expected in the smaller arm: below ``verdict`` nothing is said."""

    directional: Annotated[float, Field(gt=0)] = 45
    verdict: Annotated[float, Field(gt=0)] = 20


class Corrections(Section):
    """What is done about many comparisons."""

    many_campaigns: Literal["benjamini_hochberg", "none"] = "benjamini_hochberg"


class Health(Section):
    """When the experiment itself is not to be trusted."""

    srm_p_below: Probability = 0.001
    pre_period_bias_p_below: Probability = 0.001
    contaminated_share_above: Share = 0.01


Word = Literal["win", "loss", "flat", "directional_only", "not_enough_data", "do_not_trust"]
WORDS: tuple[Word, ...] = (
    *("win", "loss", "flat"),
    *("directional_only", "not_enough_data", "do_not_trust"),
)


def _all_words(value: object) -> object:
    if isinstance(value, list | tuple) and set(value) == set(WORDS):
        return tuple(value)
    raise refuse(f"exactly these words: {', '.join(WORDS)} (the list is closed)")


class Measurement(Section):
    """How lift is judged.

    Attributes:
        population: Everybody assigned, whether or not the message arrived; there is no other.
        confidence: Of the intervals, where ``estimator.ci`` does not say it.
        flat_margin: A relative difference inside it counts as none.
        detect: The relative lift that a campaign should be able to show.
        power: With which probability.
        verdicts: The words that may be said; the list is closed.
        also_report: Metrics shown beside every campaign's goal; None: the file's own and the
            shipped ones.
        segments_by: Columns that people are classed by, as they were when they were assigned;
            None: every label of a model, and the fifths of every score that has a percentile.
        equal_size: Also compare groups of equal size, as a labelled sensitivity.
    """

    population: Literal["intent_to_treat"] = "intent_to_treat"
    estimator: Estimator = Estimator()
    min_expected_buyers: Buyers = Buyers()
    confidence: Probability = 0.95
    flat_margin: Share = 0.01
    correct_for: Corrections = Corrections()
    health: Health = Health()
    detect: Share = 0.03
    power: Probability = 0.8
    verdicts: Annotated[tuple[Word, ...], BeforeValidator(_all_words)] = WORDS
    also_report: Names | None = None
    segments_by: tuple[Text, ...] | None = None
    equal_size: Switch = False

    @property
    def ci(self) -> float:
        """The confidence of the intervals."""
        return self.confidence if self.estimator.ci is None else self.estimator.ci
