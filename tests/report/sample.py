"""A report of a home-goods shop as it might look five weeks into its first campaigns.

The lifts are computed by the analysis' own functions from simulated baskets, so that words, numbers
and intervals belong together; everything else is written down by hand, and adds up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np

from connector.domain import Arm
from connector.lift.health import Intake, sample_ratio
from connector.lift.intervals import (
    agresti_caffo_interval,
    hall_interval,
    incremental_roas,
    incremental_total,
    log_ratio_interval,
)
from connector.lift.moments import ArmMoments
from connector.lift.power import expected_buyers, expected_rarer
from connector.lift.verdict import Evidence, Unit, judge
from connector.report.data import FindingRow, QualitySummary, ReportData, Run, TableRow
from connector.report.lift import ArmResult, Estimate, GlobalHoldout, LiftRow
from connector.report.people import RfmAxis, RfmCell, RfmGroup, RfmMoney, RfmSummary, SegmentRow
from connector.report.sent import (
    AudienceRow,
    CampaignRow,
    DeliveryRow,
    GuardRow,
    IssueRow,
    OutcomeCount,
    WaitingPlan,
)

AS_OF = datetime(2026, 4, 6, 4, 0, tzinfo=UTC)
FIRST_RUN = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
CURRENCY = "EUR"


def _estimate(interval: object) -> Estimate:
    return Estimate(*(getattr(interval, f.name) for f in dataclasses.fields(Estimate)))


def lift(
    campaign: str,
    *,
    seed: int = 1,
    people: tuple[int, int] = (6000, 2000),
    rates: tuple[float, float] = (0.05, 0.03),
    kind: str = "sum",
    holdout: Arm = Arm.NO_CONTACT,
    shares: Mapping[Arm, float] | None = None,
    n_open: tuple[int, int] = (0, 0),
    basket: float = 4.2,
    cost_per_person: float | None = None,
    is_goal: bool = True,
    flat_margin: float = 0.01,
    epoch: int = 1,
) -> LiftRow:
    """One result, from people simulated with given buying rates and lognormal baskets."""
    rng = np.random.default_rng(seed)
    moments = []
    for n, rate in zip(people, rates, strict=True):
        values = (rng.random(n) < rate).astype(float)
        if kind != "share":
            values *= rng.lognormal(basket, 0.7, n) if kind == "sum" else rng.integers(1, 3, n)
        moments.append(ArmMoments.from_values(values))
    treated, held = moments
    all_people = {Arm.TREATMENT: people[0] + n_open[0], holdout: people[1] + n_open[1]}
    treated_share = round(all_people[Arm.TREATMENT] / sum(all_people.values()), 2)
    drawn = {Arm.TREATMENT: treated_share, holdout: 1.0 - treated_share}
    split = sample_ratio([Intake(shares or drawn, all_people)])
    is_share = kind == "share"
    buyers = (expected_rarer if is_share else expected_buyers)(treated, held)
    difference = (agresti_caffo_interval if is_share else hall_interval)(treated, held)
    unit = {
        "sum": Unit("EUR per person"),
        "count": Unit("orders per person"),
        "share": Unit("percentage points", scale=100.0),
    }[kind]
    judgement = judge(
        Evidence(difference, buyers, held.mean, split.message if split.alarm else ""),
        flat_margin=flat_margin,
        unit=unit,
    )
    total = incremental_total(difference, treated.n)
    cost = None if cost_per_person is None else cost_per_person * treated.n
    return LiftRow(
        campaign=campaign,
        epoch=epoch,
        metric={
            "sum": "revenue_per_person_30d",
            "count": "orders_per_person_30d",
            "share": "conversion_30d",
        }[kind],
        kind=kind,
        window_days=30,
        is_goal=is_goal,
        as_of=AS_OF,
        treatment=_arm(Arm.TREATMENT, treated, n_open[0]),
        holdout=_arm(holdout, held, n_open[1]),
        difference=_estimate(difference),
        relative=_estimate(log_ratio_interval(treated, held)),
        incremental=_estimate(total),
        cost=cost,
        incremental_roas=(
            _estimate(incremental_roas(total, cost)) if cost and kind == "sum" else None
        ),
        expected_buyers=buyers,
        srm_p=split.p_value,
        verdict=str(judgement.verdict),
        reason=judgement.reason,
    )


def _arm(arm: Arm, moments: ArmMoments, n_open: int) -> ArmResult:
    return ArmResult(str(arm), moments.n, n_open, moments.n_nonzero, moments.mean, moments.total)


def waiting(campaign: str, n_open: tuple[int, int]) -> LiftRow:
    """A result before anybody's window has closed."""
    return LiftRow(
        campaign=campaign,
        epoch=1,
        metric="revenue_per_person_30d",
        kind="sum",
        window_days=30,
        is_goal=True,
        as_of=AS_OF,
        treatment=ArmResult("treatment", 0, n_open[0], 0, None, 0.0),
        holdout=ArmResult("no_contact", 0, n_open[1], 0, None, 0.0),
        difference=None,
        relative=None,
        incremental=None,
        cost=None,
        incremental_roas=None,
        expected_buyers=None,
        srm_p=0.71,
        verdict="not_enough_data",
        reason="One of the two groups has nobody whose result is complete yet.",
    )


def lifts() -> tuple[LiftRow, ...]:
    """Five campaigns, from a clear win to one that has just started."""
    people = (6894, 2463)
    return (
        lift("win_back", people=people, rates=(0.066, 0.042), n_open=(612, 204),
             cost_per_person=0.02),
        lift(
            "win_back", seed=3, people=(6894, 490), rates=(0.066, 0.055), n_open=(612, 41),
            holdout=Arm.BUSINESS_AS_USUAL, cost_per_person=0.02,
        ),
        lift(
            "win_back", people=people, seed=4, rates=(0.066, 0.042), kind="share",
            n_open=(612, 204), is_goal=False,
        ),
        lift("vip_early_access", seed=5, people=(3162, 558), rates=(0.31, 0.30), basket=4.6,
             n_open=(148, 22), cost_per_person=0.02),
        lift("vip_early_access", seed=6, people=(3162, 558), rates=(0.31, 0.30), kind="share",
             n_open=(148, 22), is_goal=False),
        lift("second_order", seed=11, people=(5013, 557), rates=(0.074, 0.056), kind="share",
             n_open=(931, 98), cost_per_person=0.01),
        lift("birthday", seed=8, people=(1480, 71), rates=(0.05, 0.04),
             shares={Arm.TREATMENT: 0.9, Arm.NO_CONTACT: 0.1}),
        waiting("kitchen_launch", (2204, 391)),
    )  # fmt: skip


def rfm() -> RfmSummary:
    """A grid of 5 x 5 with a small cell and an empty one."""
    people = {
        5: (1930, 1214, 982, 1105, 1486),
        4: (2410, 1377, 940, 861, 702),
        3: (2953, 1288, 711, 498, 261),
        2: (4390, 1061, 433, 212, 64),
        1: (5102, 846, 240, 71, 7),
    }
    spend = (58, 121, 214, 352, 871)
    cells = tuple(
        RfmCell(r, f, n, round(n * spend[f - 1] * (0.8 + 0.06 * r), 2))
        for r, row in people.items()
        for f, n in enumerate(row, start=1)
        if n
    )
    return RfmSummary(
        name="rfm",
        window_days=730,
        fitted_at=FIRST_RUN,
        recency=RfmAxis("recency", "quantile", (46.0, 118.0, 231.0, 402.0), reverse=True),
        frequency=RfmAxis("frequency", "fixed", (2.0, 3.0, 4.0, 6.0)),
        monetary=RfmAxis("monetary", "quantile", (48.9, 96.4, 187.2, 412.55)),
        cells=cells,
        groups=(
            RfmGroup("champions", 3420, 2_412_530.40, 3391),
            RfmGroup("cant_lose", 154, 96_204.15, 149),
            RfmGroup("loyal", 2731, 771_402.10, 2702),
            RfmGroup("at_risk", 873, 201_118.75, 902),
            RfmGroup("new_customers", 1930, 123_134.00, 1785),
            RfmGroup("promising", 2410, 145_370.20, 2544),
            RfmGroup("potential_loyalist", 2914, 360_881.00, 2950),
            RfmGroup("need_attention", 2358, 280_114.95, 2301),
            RfmGroup("about_to_sleep", 2953, 167_812.30, 3012),
            RfmGroup("hibernating", 4451, 310_991.05, 4398),
            RfmGroup("lost", 6950, 340_420.60, 7010),
        ),
        n_lapsed=8204,
        n_prospects=8862,
        money=(
            RfmMoney(1, 6_002, 141_000.50),
            RfmMoney(2, 5_980, 402_110.25),
            RfmMoney(3, 6_010, 830_000.00),
            RfmMoney(4, 5_991, 1_400_250.75),
            RfmMoney(5, 6_161, 2_736_613.55),
        ),
    )


def campaigns() -> tuple[CampaignRow, ...]:
    """Five campaigns whose numbers add up: members = blocked + eligible, eligible = arms."""
    return (
        CampaignRow(
            name="win_back", segment="lapsing", destinations=("hubspot",),
            in_segment=13_105, eligible=10_704,
            blocked={"no_consent": 1204, "consent_withdrawn": 318, "not_at_destination": 402,
                     "outranked": 96, "global_holdout": 381},
            arms={"treatment": 7506, "business_as_usual": 531, "no_contact": 2667},
            new_arms={"treatment": 204, "business_as_usual": 12, "no_contact": 71},
            shares={"treatment": 0.70, "business_as_usual": 0.05, "no_contact": 0.25},
            cost=4.08, budget=900.0,
            audiences=(AudienceRow("hubspot", "northwind-home | win_back", "treatment", 7481,
                                   joins=204, leaves=388, held=25, foreign=3),),
            strategy="win_back", offer="15_percent", goal="revenue_per_person_30d",
            starts_on=date(2026, 3, 2), first_result_at=FIRST_RUN + timedelta(days=30),
            all_results_at=AS_OF + timedelta(days=30),
        ),
        CampaignRow(
            name="vip_early_access", segment="regulars", destinations=("hubspot", "export"),
            in_segment=5209, eligible=3890,
            blocked={"no_consent": 803, "consent_withdrawn": 102, "excluded": 41,
                     "not_at_destination": 189, "global_holdout": 184},
            arms={"treatment": 3310, "no_contact": 580},
            new_arms={"treatment": 31, "no_contact": 4},
            shares={"treatment": 0.85, "no_contact": 0.15}, cost=0.62,
            audiences=(
                AudienceRow("hubspot", "northwind-home | vip_early_access", "treatment", 3306,
                            joins=31, leaves=19, held=4),
                AudienceRow("export", "northwind-home | vip_early_access", "treatment", 3310,
                            joins=31, leaves=19, status="new"),
            ),
            strategy="reward", offer="early_access", goal="revenue_per_person_30d",
            starts_on=date(2026, 3, 2), first_result_at=FIRST_RUN + timedelta(days=30),
            all_results_at=AS_OF + timedelta(days=30),
        ),
        CampaignRow(
            name="second_order", segment="one_time", destinations=("hubspot",),
            in_segment=9120, eligible=6599,
            blocked={"no_consent": 1677, "consent_withdrawn": 211, "no_address": 60,
                     "not_at_destination": 301, "global_holdout": 272},
            arms={"treatment": 5944, "no_contact": 655},
            new_arms={"treatment": 402, "no_contact": 39},
            shares={"treatment": 0.9, "no_contact": 0.1}, cost=4.02,
            audiences=(AudienceRow("hubspot", "northwind-home | second_order", "treatment", 5937,
                                   joins=402, leaves=117, held=7),),
            strategy="care", goal="conversion_30d", starts_on=date(2026, 3, 2),
            first_result_at=FIRST_RUN + timedelta(days=30),
            all_results_at=AS_OF + timedelta(days=30),
        ),
        CampaignRow(
            name="birthday", segment="birthday_this_month", destinations=("hubspot",),
            in_segment=1844, eligible=1551, blocked={"no_consent": 220, "global_holdout": 73},
            arms={"treatment": 1480, "no_contact": 71},
            shares={"treatment": 0.9, "no_contact": 0.1},
            audiences=(AudienceRow("hubspot", "northwind-home | birthday", "treatment", 1480),),
            strategy="birthday", offer="gift", goal="revenue_per_person_30d",
            first_result_at=FIRST_RUN + timedelta(days=30), all_results_at=AS_OF,
        ),
        CampaignRow(
            name="kitchen_launch", segment="kitchen_lovers", destinations=("hubspot",),
            in_segment=3402, eligible=2595,
            blocked={"no_consent": 560, "outranked": 130, "global_holdout": 117},
            arms={"treatment": 2204, "no_contact": 391},
            new_arms={"treatment": 2204, "no_contact": 391},
            shares={"treatment": 0.85, "no_contact": 0.15}, cost=44.08,
            audiences=(AudienceRow("hubspot", "northwind-home | kitchen_launch", "treatment", 2204,
                                   joins=2204, status="new"),),
            strategy="launch", goal="revenue_per_person_30d", starts_on=date(2026, 4, 6),
            first_result_at=AS_OF + timedelta(days=30), all_results_at=AS_OF + timedelta(days=30),
        ),
    )  # fmt: skip


def history() -> tuple[Run, ...]:
    """Six weekly runs, one of them held."""
    status = ("partial", "succeeded", "partial", "held", "succeeded", "succeeded")
    delivered = (14_202, 2210, 2514, 88, 2390, 29_344)
    refused = (37, 0, 12, 0, 0, 0)
    return tuple(
        Run(
            run_id=f"run-{at:%Y%m%d-%H%M%S}-{0xA31F0 + i:06x}", status=status[i], started_at=at,
            finished_at=at + timedelta(minutes=3 + i), as_of=at, n_delivered=delivered[i],
            n_refused=refused[i],
        )
        for i, at in enumerate(AS_OF - timedelta(days=7 * k) for k in range(6))
    )  # fmt: skip


def sample() -> ReportData:
    """The whole report."""
    runs = history()
    return ReportData(
        project="northwind-home",
        currency=CURRENCY,
        timezone="Europe/Berlin",
        as_of=AS_OF,
        generated_at=AS_OF + timedelta(minutes=9),
        run=runs[0],
        n_profiles=48_210,
        revenue_365d=3_112_904.55,
        segments=(
            SegmentRow("regulars", 5209, 5209 / 48_210, 1_604_233.10, 5160, ("vip_early_access",),
                       "rfm.champions or rfm.loyal"),
            SegmentRow("lapsing", 13_105, 13_105 / 48_210, 402_118.65, 13_290, ("win_back",),
                       "lifetime_orders >= 2 and recency_days between 90 and 730"),
            SegmentRow("one_time", 9120, 9120 / 48_210, 530_006.00, 9014, ("second_order",),
                       "lifetime_orders = 1 and recency_days between 30 and 365"),
            SegmentRow("birthday_this_month", 1844, 1844 / 48_210, 121_009.20, 1731, ("birthday",)),
            SegmentRow("kitchen_lovers", 3402, 3402 / 48_210, 388_410.00, None,
                       ("kitchen_launch",)),
            SegmentRow("trade_buyers", 7, 7 / 48_210, 61_200.00, 7),
        ),
        rfm=rfm(),
        campaigns=campaigns(),
        deliveries=(
            DeliveryRow("hubspot", (
                OutcomeCount("record", "update", "delivered", 10_402),
                OutcomeCount("record", "update", "rejected", 18),
                OutcomeCount("record", "update", "missing", 11),
                OutcomeCount("membership", "add", "delivered", 2841),
                OutcomeCount("membership", "remove", "delivered", 524),
                OutcomeCount("membership", "remove", "deferred", 3),
                OutcomeCount("membership", "add", "suppressed", 8),
                OutcomeCount("membership", "add", "skipped", 2),
            )),
            DeliveryRow("export", (OutcomeCount("membership", "add", "delivered", 435),)),
            DeliveryRow("crm_webhook", (), unsent=210, error="crm_webhook: no answer after 5 tries."
                        " Look at the receiver, then run again."),
        ),
        issues=(
            IssueRow("hubspot", "rejected", "INVALID_EMAIL", "HubSpot refuses 'email'.", 14),
            IssueRow("hubspot", "missing", "OBJECT_NOT_FOUND", "HubSpot has no such contact.", 11),
            IssueRow("hubspot", "suppressed", "BLOCKLISTED", "The person was erased there.", 8),
            IssueRow("hubspot", "rejected", "INVALID_OPTION", "HubSpot refuses 'offer'.", 4),
            IssueRow("hubspot", "deferred", "RATE_LIMITS", "HubSpot could not do it just now.", 3),
            IssueRow("hubspot", "skipped", "permission", "may no longer be contacted", 2),
        ),
        guards=(
            GuardRow("additions_above", "hubspot: northwind-home | kitchen_launch",
                     "2,204 people would join a new list.", approved=True),
        ),
        quality=QualitySummary(
            findings=(
                FindingRow("ok", "tables.customers.freshness", "The newest updated_at is 3 h old."),
                FindingRow("ok", "tables.orders", "214,880 rows."),
                FindingRow("warning", "tables.customers.tests.valid_email",
                           "1.4 % of the addresses are not valid; 1 % are allowed.",
                           "Look at how the shop's checkout takes addresses."),
                FindingRow("note", "models.rfm.monetary", "The cut points are five weeks old.",
                           "They are fitted anew with the next training."),
            ),
            tables=(
                TableRow("customers", 52_318, 52_204, {"exact_duplicates": 114}),
                TableRow("orders", 219_041, 214_880,
                         {"exact_duplicates": 1011, "cancelled": 2790, "negative_total": 62,
                          "unknown_customer": 298}),
                TableRow("order_items", 520_114, 511_870, {"order_not_kept": 8244}),
                TableRow("consents", 71_002, 70_951, {"unknown_status": 51}),
            ),
        ),
        lifts=lifts(),
        global_holdout=GlobalHoldout(
            "universal_2026", 0.05, 2411,
            (lift("universal_2026", seed=9, people=(41_800, 2201), rates=(0.081, 0.069),
                  n_open=(3999, 210)),),
        ),
        history=runs,
    )  # fmt: skip


def first_run() -> ReportData:
    """The same shop before anything was sent or measured."""
    data = sample()
    return dataclasses.replace(
        data,
        run=None,
        segments=tuple(dataclasses.replace(s, previous_people=None) for s in data.segments),
        campaigns=tuple(
            dataclasses.replace(
                c, first_result_at=None, all_results_at=None, new_arms=c.arms, audiences=()
            )
            for c in data.campaigns
        ),
        deliveries=(),
        issues=(),
        guards=(),
        waiting=WaitingPlan(
            "plan-20260302-050000-5f1c3a", FIRST_RUN, 41_870,
            (GuardRow("first_sync", "hubspot",
                      "nothing was ever sent there; 20,444 people would be."),),
        ),
        lifts=(),
        global_holdout=GlobalHoldout("universal_2026", 0.05, 2411),
        history=(),
    )  # fmt: skip


def empty() -> ReportData:
    """A project of which nothing is known yet."""
    return ReportData(
        project="new-shop",
        currency="EUR",
        timezone="Europe/Berlin",
        as_of=AS_OF,
        generated_at=AS_OF,
    )
