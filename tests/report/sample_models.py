"""Models as a report might show them, written down by hand; numbers are made to be told apart."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta

import numpy as np

from connector.report.data import ReportData
from connector.report.demand import DemandRow, DemandSummary
from connector.report.lifetime import TierRow, TopShare, TrialRow, ValueBin, ValueSummary
from connector.report.migration import FlowRow, MigrationSummary, PlaceRow
from connector.report.models import (
    BinRow,
    Branch,
    ContenderRow,
    CutRow,
    Dot,
    GateRow,
    MeasureRow,
    ModelRow,
    PairRow,
    PairSummary,
    PersonaRow,
    PersonaSummary,
    ProfitPoint,
    ProfitRow,
    SegmentTrend,
    TenthRow,
    TopicRow,
    TopicSummary,
    TreeSummary,
    TrendPoint,
)
from tests.report import sample

FITTED = datetime(2026, 4, 6, 4, tzinfo=UTC)
BINS = (6_100, 2_400, 1_250, 820, 510, 380, 0, 7, 240, 180)
TOP = ((0.01, 0.11), (0.05, 0.29), (0.1, 0.42), (0.2, 0.6), (0.5, 0.88), (1.0, 1.0))
RATES = (0.41, 0.22, 0.14, 0.09, 0.06, 0.04, 0.02, 0.01, 0.006, 0.004)
HOSTILE = '<script>alert("x")</script>'


def tenths() -> tuple[TenthRow, ...]:
    mean = sum(RATES) / 10
    return tuple(
        TenthRow(i + 1, rate, rate / mean, sum(RATES[: i + 1]) / sum(RATES))
        for i, rate in enumerate(RATES)
    )


def profit() -> ProfitRow:
    shares = np.linspace(0, 1, 41)
    found = np.interp(shares, np.arange(11) / 10, np.cumsum([0, *RATES]) / 10)
    profits = 1000 * (found * 30.0 - shares * 1.9)
    best = int(profits.argmax())
    return ProfitRow(
        campaign="win_back",
        value=30.0,
        cost=1.9,
        cutoff=0.0633,
        share=float(shares[best]),
        best=float(profits[best]),
        everybody=float(profits[-1]),
        points=tuple(ProfitPoint(float(x), float(y)) for x, y in zip(shares, profits, strict=True)),
    )


def models() -> tuple[ModelRow, ...]:
    return (
        ModelRow(
            name="purchase_30d",
            kind="propensity",
            algorithm="gradient_boosting",
            use="stored",
            version=4,
            fitted_at=FITTED,
            people=18_204,
            data_from=FITTED - timedelta(days=400),
            rows=54_612,
            features=("recency_days", "orders_365d"),
            seed="0123456789abcdef",
            measures=(
                MeasureRow("auc", 0.781, {"rfm_score": 0.744, "base_rate": 0.5}),
                MeasureRow("ece", 0.012, {"base_rate": 0.031}),
                MeasureRow("n_tested", 18_204.0),
            ),
            gates=(
                GateRow("auc_at_least", "an AUC of 0.650 or more", "AUC 0.781", passed=True),
                GateRow("beats", "more than the 0.744 of rfm_score", "AUC 0.781", passed=True),
            ),
            notes=("Reasons compare with the typical person.", HOSTILE),
            tenths=tenths(),
            bins=tuple(BinRow(900 - 80 * i, p, p * 1.05) for i, p in enumerate(RATES[::-1])),
            profits=(profit(),),
        ),
        ModelRow(
            name="churn_90d",
            kind="propensity",
            algorithm="logistic",
            use="none",
            fitted_at=FITTED,
            people=3_110,
            measures=(MeasureRow("auc", 0.571, {"rfm_score": 0.602}),),
            gates=(
                GateRow("beats", "more than the 0.602 of rfm_score", "AUC 0.571", passed=False),
            ),
            refused=(
                "Beats the simple rule: AUC 0.571; needed: more than the 0.602 of the RFM score",
            ),
            is_refused=True,
        ),
        ModelRow(
            name="tiny", kind="clv", algorithm="", use="none", refused=("3 customers are too few.",)
        ),
    )


def personas() -> PersonaSummary:
    rng = np.random.default_rng(4)
    names = ("early birds", "deal hunters, small baskets", HOSTILE, "high spenders")
    centres = [(-1.5, 0.3), (0.4, -1.0), (0.9, 1.6), (3.2, 0.1)]
    dots = tuple(
        Dot(round(x + rng.normal(0, 0.7), 2), round(y + rng.normal(0, 0.4), 2), int(n), i)
        for i, (x, y) in enumerate(centres)
        for n in rng.integers(3, 90, 45)
    )
    return PersonaSummary(
        model="personas",
        personas=tuple(
            PersonaRow(
                f"c{i + 1}", name, 7_000 // (i + 1), ("buys on promotion", "low orders"), *at, i / 2
            )
            for i, (name, at) in enumerate(zip(names, centres, strict=True))
        ),
        n_without=412,
        n_outliers=37,
        explained=(0.52, 0.27, 0.11),
        side=tuple(dataclasses.replace(dot, y=round(-dot.y / 2, 2)) for dot in dots),
        contenders=(
            ContenderRow("kmeans", 3, 0.31, 0.81, 0.84, 0.12, None, 0.652),
            ContenderRow("kmeans", 4, 0.35, 0.88, 0.9, 0.1, None, 0.692, is_chosen=True),
            ContenderRow("hierarchical", 4, 0.3, 0.71, 0.74, 0.03, None, 0.544),
            ContenderRow("dbscan", 2, 0.52, 0.11, None, None, 0.23),
        ),
        compared_on=date(2026, 3, 2),
        tree=TreeSummary(
            branches=(
                Branch(0.125, 0.375, 0.1, 0.0, 0.3),
                Branch(0.625, 0.875, 0.0, 0.2, 0.45),
                Branch(0.25, 0.75, 0.3, 0.45, 0.95),
            ),
            feet=((0.125, 0.4), (0.375, 0.01), (0.625, 0.3), (0.875, 0.29)),
            cuts=(CutRow(2, 0.7, (0.59, 0.41)), CutRow(4, 0.25, (0.4, 0.3, 0.29, 0.01))),
            k=4,
        ),
        eligible="lifetime_orders >= 2",
        silhouette=0.35,
        shuffled=0.34,
        dots=dots,
    )


def affinity() -> TopicSummary:
    topics = (
        TopicRow("t1", "knives, bowls", 5_120, ("knives", "bowls", "pans")),
        TopicRow("t2", "seeds, pots", 2_040, ("seeds", "pots", HOSTILE)),
    )
    return TopicSummary("affinity", topics, 9_001)


def pairs() -> PairSummary:
    rows = (
        PairRow("pans", "knives", 1_204, 0.41, 0.33, 3.21, 3.02, 3.41),
        PairRow("seeds", HOSTILE, 212, 0.12, 0.5, 2.1, 1.7, 2.59),
    )
    return PairSummary("next", rows, 31, 20_400)


def value() -> ValueSummary:
    return ValueSummary(
        model="clv_365d",
        what="net_revenue",
        horizon_days=365,
        people=12_200,
        expected=1_204_000.0,
        tiers=(
            TierRow("platinum", 122, 180_000.0, 402.0, 3_300.0),
            TierRow("gold", 488, 260_000.0, 120.0, 1_210.0),
            TierRow("rest", 11_590, 764_000.0, 0.0, 210.0),
        ),
        trials=(
            TrialRow("pareto_nbd_gamma_gamma", False, True, 41.2, 118.4, 0.031, 0.62),
            TrialRow("last_365d_value", True, False, 52.0, 140.9, -0.14, 0.55),
            TrialRow("zero", True, False, 61.3, 171.0, -1.0, 0.0),
        ),
        n_windows=2,
        bins=(
            *(ValueBin(20.0 * i, 20.0 * (i + 1), n) for i, n in enumerate(BINS)),
            ValueBin(20.0 * len(BINS), None, 300),
        ),
        top=tuple(TopShare(*one) for one in TOP),
    )


def demand() -> DemandSummary:
    return DemandSummary(
        model="clv_365d",
        first_day=date(2026, 4, 7),
        last_day=date(2027, 4, 6),
        total=DemandRow("everybody", 12_200, 6_870.4, 6_204.0, 7_551.0, 0.083, 0.41),
        categories=(
            DemandRow("lamps", 12_200, 3_111.0, 2_790.0, 3_444.0, 0.12, 0.36),
            DemandRow(HOSTILE, 12_200, 0.4, 0.0, 1.0, None, None),
        ),
        segments=(
            DemandRow("win_back", 1_290, 87.0, 71.0, 104.0, 0.191, 0.74),
            DemandRow("tiny", 7, 5.5, 3.0, 8.0, 0.5, 0.5),
        ),
        untried=("ready_to_buy",),
    )


def trends() -> tuple[SegmentTrend, ...]:
    points = tuple(
        TrendPoint(FITTED - timedelta(days=7 * (5 - i)), 900 + 40 * i, 70 + i, 30 + 3 * i)
        for i in range(6)
    )
    return (SegmentTrend("win_back", points), SegmentTrend("empty", tuple(
        dataclasses.replace(point, people=0, joins=0, leaves=0) for point in points
    )))  # fmt: skip


def migration() -> MigrationSummary:
    """Three groups; 4 people moved where nobody else did."""
    flows = {
        ("champions", "champions"): 400, ("champions", "cant_lose"): 60, ("champions", "lost"): 4,
        ("cant_lose", "champions"): 25, ("cant_lose", "cant_lose"): 300, ("cant_lose", "lost"): 120,
        ("lost", "lost"): 900, ("~absent", "champions"): 40,
    }  # fmt: skip
    return MigrationSummary(
        model="rfm",
        kind="rfm",
        since=FITTED - timedelta(days=35),
        until=FITTED,
        places=tuple(
            PlaceRow(key, HOSTILE if key == "lost" else key)
            for key in ("champions", "cant_lose", "lost", "~none", "~absent")
        ),
        flows=tuple(FlowRow(*way, people=n) for way, n in flows.items()),
    )


def with_models() -> ReportData:
    """The usual report, and every section about models."""
    return dataclasses.replace(
        sample.sample(),
        models=models(),
        personas=(personas(),),
        affinity=(affinity(),),
        pairs=(pairs(),),
        lifetime=(value(),),
        demand=(demand(),),
        trends=trends(),
        migrations=(migration(),),
    )
