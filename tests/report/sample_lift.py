"""A report with every verdict and everything behind it, judged by the analysis' own functions.

People are simulated with known buying rates and baskets; nothing of a result is written down by
hand but health findings, the account's notes and the offers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache

import numpy as np

from connector.lift import money
from connector.lift.compare import MeasurementSpec, Other, Question, Side, compare, conclude
from connector.lift.estimate import estimate
from connector.lift.intervals import incremental_total
from connector.lift.joint import JointMoments
from connector.lift.looks import Plan
from connector.lift.metrics import MetricKind
from connector.lift.outcome import Outcome
from connector.lift.question import Draft
from connector.lift.result import CampaignLift, HealthFinding, Money, OpenInterval
from connector.lift.scan import Measured
from connector.lift.sequential import Critical, Design
from connector.lift.verdict import Unit
from connector.report.data import ReportData
from connector.report.lift import Estimate, GlobalHoldout, LiftRow, Rules
from connector.report.offers import OfferCell, OfferClass, OfferPair, OfferSummary
from tests.report import sample

RULES = MeasurementSpec(design=Design.HYBRID, flat_margin=0.05)
GROUPS = ("champions", "at_risk", "lost", "cant_lose")
WEEKS = 6
FIXED = MeasurementSpec()

REVENUE = Outcome("revenue_per_person_30d", MetricKind.SUM, 30, Unit("EUR per person"), True)
CONVERSION = Outcome("conversion_30d", MetricKind.SHARE, 30, Unit("percentage points", scale=100.0))
UNSUBSCRIBED = Outcome(
    "unsubscribed_30d", MetricKind.SHARE, 30, Unit("percentage points", scale=100.0),
    more_is_worse=True, max_increase=0.01,
)  # fmt: skip
VALUE = Outcome("expected_value_90d", MetricKind.DELTA, 30, Unit("EUR per person, predicted"), True)
BASKET = Outcome("order_value_30d", MetricKind.RATIO, 30, Unit("EUR per order"))

HEALTHY = (
    HealthFinding("assigned", 0.42, False, "The groups have the intended sizes (p = 0.42)."),
    HealthFinding("eligible", 0.42, False, "The groups have the intended sizes (p = 0.42)."),
    HealthFinding("would_send", 0.37, False, "The groups have the intended sizes (p = 0.37)."),
    HealthFinding("joined", 0.44, False, "The groups have the intended sizes (p = 0.44)."),
    HealthFinding("contamination", None, False, "Nobody was in two groups."),
)


def _measured(
    outcome: Outcome, n: int, rate: float, rng: np.random.Generator, *, classes: bool
) -> Measured:
    """People spread over the weeks and the groups; the last group has very few."""
    bought = rng.random(n) < rate
    y = bought.astype(float)
    if outcome.kind is not MetricKind.SHARE:
        y = y * rng.lognormal(4.2, 0.7, n)
    x = bought.astype(float) if outcome.kind is MetricKind.RATIO else np.zeros(n)
    week, group = rng.integers(0, WEEKS, n), rng.integers(0, 3, n)
    group[:3] = 3
    last = datetime.combine(sample.AS_OF.date(), time(), UTC)
    monday = last - timedelta(days=last.weekday() + 7 * WEEKS)
    looks = tuple(
        (monday + timedelta(days=7 * i), JointMoments.from_values(y[week == i], x[week == i]))
        for i in range(WEEKS)
    )
    parts = {
        ("rfm.group", name): JointMoments.from_values(y[group == i], x[group == i])
        for i, name in enumerate(GROUPS)
    }
    return Measured(looks, parts if classes else {})


def _draft(
    campaign: str,
    outcome: Outcome,
    people: tuple[int, int],
    rates: tuple[float, float],
    *,
    seed: int,
    arms: tuple[str, str] = ("treatment", "no_contact"),
    ends_in: int | None = 0,
    is_goal: bool = True,
    cost: float | None = None,
    health: Sequence[HealthFinding] = HEALTHY,
    rules: MeasurementSpec = RULES,
    classes: bool = True,
) -> Draft:
    rng = np.random.default_rng(seed)
    sides = [
        Side(arm, _measured(outcome, n, rate, rng, classes=classes), n // 10, n)
        for arm, n, rate in zip(arms, people, rates, strict=True)
    ]
    t, c = (side.measured.total for side in sides if side.measured is not None)
    ends_at = None
    if ends_in is not None:
        ends_at = datetime.combine(sample.AS_OF.date(), time(), UTC) + timedelta(days=ends_in)

    def account(at: Critical) -> Money:
        revenue = incremental_total(
            estimate(outcome.kind, t, c, rules.methods).interval_at(at), t.n
        )
        spent = (cost or 0.0) * t.n
        orders = revenue.scaled(1 / 72.0)
        return Money(
            cost=spent,
            cost_note=f"The cost is {cost:g} for each person treated.",
            revenue=revenue,
            margin=revenue.scaled(0.4),
            orders=orders,
            roas=_open(revenue.scaled(1 / spent)),
            margin_on_cost=_open(revenue.scaled(0.4 / spent)),
            cost_per_order=money.cost_per_incremental_order(orders, spent),
            margin_note="Margin is net revenue less the cost of the goods, after the cost.",
        )

    distrust = next((one.message for one in health if one.alarm), "")
    endless = "" if ends_at or rules is FIXED else "It has no end."
    asked = Question(
        campaign, 1, outcome, is_goal, sample.AS_OF,
        plan=Plan(round(1.2 * sum(people)), ends_at, endless),
        health=tuple(health), srm_p=0.42, distrust=distrust,
        cost=None if cost is None else cost * t.n,
    )  # fmt: skip
    others = [Other("winsorised", "Large values capped", t.y, c.y, "Capped at 499.00 EUR.")]
    return compare(
        asked, sides[0], sides[1], rules,
        others=others if outcome.kind is MetricKind.SUM else (),
        account=account if cost is not None and is_goal else None,
    )  # fmt: skip


def _open(interval: object) -> OpenInterval:
    return OpenInterval(*(getattr(interval, f.name) for f in dataclasses.fields(Estimate)))


@cache
def analysed() -> tuple[CampaignLift, ...]:
    """Every verdict, as the analysis hands it on."""
    won = ("win_back", (6894, 2463))
    bau = {"arms": ("treatment", "business_as_usual")}
    broken = HealthFinding(
        "joined", 1e-9, True,
        "The groups do not have the intended sizes (p < 0.001): treatment 1,480, held out 71.",
    )  # fmt: skip
    drafts = [
        _draft(won[0], REVENUE, won[1], (0.075, 0.042), seed=1, cost=0.02),
        _draft(won[0], CONVERSION, won[1], (0.066, 0.042), seed=2, is_goal=False),
        _draft(won[0], VALUE, won[1], (0.05, 0.045), seed=3, is_goal=False, classes=False),
        _draft(won[0], BASKET, won[1], (0.066, 0.042), seed=4, is_goal=False, classes=False),
        _draft(won[0], REVENUE, (6894, 1900), (0.066, 0.055), seed=5, **bau),
        _draft(won[0], UNSUBSCRIBED, (6894, 1900), (0.011, 0.0105), seed=6, is_goal=False, **bau),
        _draft("kitchen_launch", REVENUE, (9000, 3000), (0.04, 0.09), seed=7, ends_in=45, cost=0.3),
        _draft("vip_early_access", REVENUE, (3162, 558), (0.31, 0.30), seed=8, ends_in=21,
               cost=2.5),
        _draft("second_order", CONVERSION, (5013, 557), (0.074, 0.056), seed=9, ends_in=None),
        _draft("birthday", REVENUE, (1480, 71), (0.05, 0.04), seed=10,
               health=(*HEALTHY[:3], broken, HEALTHY[4])),
        _draft("seasonal", CONVERSION, (40_000, 40_000), (0.5, 0.5), seed=11),
        _draft("quiet", REVENUE, (400, 120), (0.03, 0.03), seed=12, ends_in=60),
    ]  # fmt: skip
    return tuple(conclude(drafts, RULES))


def rows() -> tuple[LiftRow, ...]:
    """The same as the report reads them."""
    return tuple(LiftRow.from_json(lift.to_json()) for lift in analysed())


def offers() -> OfferSummary:
    """Two offers of the campaign that won; in one segment too few people for a number."""
    best, lead = Estimate(1.9, 0.8, 3.0, 0.95), Estimate(1.2, 0.1, 2.3, 0.95)
    other = Estimate(0.7, -0.4, 1.8, 0.95)

    def cells(*people: int) -> tuple[OfferCell, ...]:
        names, means = ("15_percent", "free_shipping", "no_contact"), (5.1, 3.9, 3.2)
        return tuple(map(OfferCell, names, people, means))

    return OfferSummary(
        "win_back", 1, "revenue_per_person_30d", "EUR per person", 1.0, False,
        (
            OfferClass(
                "", cells(3440, 3454, 2463), "15_percent", "15_percent", best, lead,
                "15_percent beats control and every other offer by 1.2 per person.",
                (
                    OfferPair("15_percent", "free_shipping", lead, 0.02),
                    OfferPair("15_percent", "no_contact", best, 0.001),
                    OfferPair("free_shipping", "no_contact", other, 0.21),
                ),
            ),
            OfferClass("vip", cells(40, 8, 30), None, "15_percent", best, lead,
                       "15_percent leads, but with 3 expected buyers nothing is proved.",
                       (OfferPair("15_percent", "no_contact", best, 0.3),)),
        ),
    )  # fmt: skip


def proven() -> ReportData:
    """The shop of :mod:`tests.report.sample` with everything that can stand behind a verdict."""
    data = sample.sample()
    whole = conclude(
        [_draft("universal_2026", REVENUE, (41_800, 2201), (0.081, 0.066), seed=20, ends_in=None)],
        RULES,
    )
    return dataclasses.replace(
        data,
        lifts=rows(),
        rules=Rules(flat_margin=RULES.flat_margin),
        offers=(offers(),),
        global_holdout=GlobalHoldout(
            "universal_2026", 0.05, 2411,
            tuple(LiftRow.from_json(lift.to_json()) for lift in whole),
        ),
    )  # fmt: skip


def experiment() -> ReportData:
    """Somebody else's experiment: two arms and a control, nobody known here."""
    drafts = [
        _draft("checkout", outcome, people, rates, seed=seed, arms=arms, ends_in=None,
               is_goal=outcome is REVENUE, health=HEALTHY[:1], rules=FIXED)
        for outcome, is_first in ((REVENUE, True), (CONVERSION, False))
        for seed, arms, people, rates in (
            (30 + is_first, ("ten_percent", "control"), (12_000, 6000), (0.08, 0.058)),
            (32 + is_first, ("free_shipping", "control"), (12_000, 6000), (0.058, 0.058)),
            (34 + is_first, ("ten_percent", "free_shipping"), (12_000, 12_000), (0.08, 0.058)),
        )
    ]  # fmt: skip
    lifts = [
        dataclasses.replace(
            lift, series=(), window_days=0, metric="revenue" if lift.is_goal else "converted"
        )
        for lift in conclude(drafts, FIXED)
    ]
    return ReportData(
        project="checkout",
        currency="EUR",
        timezone="UTC",
        as_of=sample.AS_OF,
        generated_at=sample.AS_OF,
        lifts=tuple(LiftRow.from_json(lift.to_json()) for lift in lifts),
    )
