"""The whole analysis on a warehouse, against numbers worked out apart from it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from connector.domain import Arm
from connector.errors import ConfigError, LedgerError, ModelError
from connector.lift.analysis import CampaignSpec, IntendedShares, MeasurementSpec, analyse
from connector.lift.metrics import MetricKind, MetricSpec
from connector.lift.verdict import Verdict
from tests.lift.shop import Assigned, Order, day, load

T, B, N = Arm.TREATMENT, Arm.BUSINESS_AS_USUAL, Arm.NO_CONTACT
REVENUE = MetricSpec("revenue_30d", MetricKind.SUM, "net_revenue", 30)
CONVERSION = MetricSpec("conversion_30d", MetricKind.SHARE, "orders >= 1", 30)
ORDERS_60 = MetricSpec("orders_60d", MetricKind.COUNT, "orders", 60)
MARGIN = MetricSpec("margin_30d", MetricKind.SUM, "margin", 30)
MEASUREMENT = MeasurementSpec()
SPLIT = {T: 0.8, B: 0.1, N: 0.1}


def spec(*metrics, campaign="winback", shares=SPLIT, epoch=1, version="v1", cost=None):
    return CampaignSpec(
        campaign, metrics or (REVENUE,), (IntendedShares(epoch, version, shares),), cost
    )


def crowd(rng, sizes, rates, *, campaign="winback", epoch=1, at=None, version="v1"):
    """People of given arm sizes and buying rates, and their orders."""
    people, orders = [], []
    for arm, n in sizes.items():
        for i in range(n):
            name = f"{campaign}-{epoch}-{version}-{arm}-{i}"
            people.append(Assigned(name, arm.value, at or day(0), campaign, epoch, version))
            if rng.random() < rates.get(arm, 0.0):
                amount = round(min(float(rng.lognormal(4.35, 0.9)), 499.0), 2)
                when = (at or day(0)).timestamp()
                start = (when - day(0).timestamp()) / 86_400
                orders.append(Order(name, day(start + float(rng.random()) * 29), f"{amount:.2f}"))
    return people, orders


def values_of(people, orders, arm, campaign="winback", epoch=1):
    spent = dict.fromkeys(
        [
            p.profile_id
            for p in people
            if (p.arm, p.campaign, p.epoch) == (arm.value, campaign, epoch)
        ],
        0.0,
    )
    for order in orders:
        if order.profile_id in spent:
            spent[order.profile_id] += float(order.net)
    return np.array(list(spent.values()))


@pytest.fixture
def winback(warehouse):
    """8,000 treated of whom 9 % buy, and twice 1,000 of whom 6 % do."""
    rng = np.random.default_rng(31)
    people, orders = crowd(rng, {T: 8_000, B: 1_000, N: 1_000}, {T: 0.09, B: 0.06, N: 0.06})
    load(warehouse, people, orders)
    return people, orders


def test_the_numbers_are_those_worked_out_by_hand(warehouse, winback):
    people, orders = winback
    found = analyse(
        warehouse,
        [spec(REVENUE, CONVERSION, cost=0.5)],
        as_of=day(30),
        measurement=MEASUREMENT,
    )
    assert [(r.metric, r.holdout.arm, r.is_goal) for r in found] == [
        ("revenue_30d", N, True),
        ("revenue_30d", B, True),
        ("conversion_30d", N, False),
        ("conversion_30d", B, False),
    ]
    x = values_of(people, orders, T)
    for result in found[:2]:
        y = values_of(people, orders, result.holdout.arm)
        assert (result.treatment.n, result.holdout.n) == (8_000, 1_000)
        assert result.treatment.mean == pytest.approx(x.mean(), rel=1e-9)
        assert result.holdout.total == pytest.approx(y.sum(), rel=1e-9)
        assert result.holdout.n_buyers == np.count_nonzero(y)
        assert result.difference.estimate == pytest.approx(x.mean() - y.mean(), rel=1e-9)
        # Hall's bounds turned back into its statistic are the normal quantiles.
        se = math.sqrt(x.var(ddof=1) / x.size + y.var(ddof=1) / y.size)
        g = (stats.moment(x, order=3) / x.size**2 - stats.moment(y, order=3) / y.size**2) / se**3
        for bound, z in ((result.difference.low, 1.959964), (result.difference.high, -1.959964)):
            t = (result.difference.estimate - bound) / se
            assert t + g * t**2 / 3 + g**2 * t**3 / 27 + g / 6 == pytest.approx(z, abs=1e-5)
        assert result.relative.estimate == pytest.approx(x.mean() / y.mean() - 1, rel=1e-9)
        assert result.incremental.low == pytest.approx(8_000 * result.difference.low)
        assert result.cost == pytest.approx(4_000.0)
        assert result.incremental_roas.high == pytest.approx(result.incremental.high / 4_000)
        pooled = (np.count_nonzero(x) + np.count_nonzero(y)) / 9_000
        assert result.expected_buyers == pytest.approx(pooled * 1_000)
        assert result.srm_p == pytest.approx(1.0)
    share = found[2]
    assert share.difference.estimate == pytest.approx(
        (x > 0).mean() - (values_of(people, orders, N) > 0).mean(), rel=1e-9
    )
    assert share.incremental_roas is None
    assert share.cost == pytest.approx(4_000.0)


def test_a_known_lift_is_found(warehouse, winback):
    revenue, *_ = analyse(warehouse, [spec(REVENUE)], as_of=day(30), measurement=MEASUREMENT)
    assert revenue.verdict is Verdict.WIN
    assert "EUR per person" in revenue.reason


def test_results_become_json(warehouse, winback):
    found = analyse(
        warehouse,
        [spec(REVENUE, CONVERSION, ORDERS_60, cost=0.5)],
        as_of=day(30),
        measurement=MEASUREMENT,
    )
    texts = json.loads(json.dumps([r.to_json() for r in found], allow_nan=False))
    assert texts[0]["campaign"] == "winback"
    assert texts[0]["as_of"] == "2026-01-31T00:00:00+00:00"
    assert texts[0]["verdict"] == "win"
    assert texts[0]["holdout"]["arm"] == "no_contact"
    assert texts[0]["difference"]["confidence"] == 0.95
    assert texts[-1]["difference"] is None  # 60 days have not passed
    assert texts[-1]["n_open"] == 9_000


def test_open_people_are_counted_and_left_out(warehouse):
    rng = np.random.default_rng(32)
    sizes, rates = {T: 900, N: 100}, {T: 0.5, N: 0.5}
    shares = {T: 0.9, N: 0.1}
    people, orders = crowd(rng, sizes, rates)
    late, late_orders = crowd(rng, {T: 450, N: 50}, rates, at=day(20), version="v2")
    load(warehouse, people + late, orders + late_orders)
    both = CampaignSpec(
        "winback", (REVENUE,), (IntendedShares(1, "v1", shares), IntendedShares(1, "v2", shares))
    )
    (early,) = analyse(warehouse, [both], as_of=day(30), measurement=MEASUREMENT)
    assert (early.treatment.n, early.treatment.n_open) == (900, 450)
    assert (early.holdout.n, early.holdout.n_open) == (100, 50)
    assert early.n_open == 500
    assert early.treatment.mean == pytest.approx(values_of(people, orders, T).mean(), rel=1e-9)
    (later,) = analyse(warehouse, [both], as_of=day(50), measurement=MEASUREMENT)
    assert (later.treatment.n, later.n_open) == (1_350, 0)
    (first,) = analyse(warehouse, [both], as_of=day(1), measurement=MEASUREMENT)
    assert (first.verdict, first.n_open) == (Verdict.NOT_ENOUGH_DATA, 1_000)
    assert first.difference is None
    assert first.treatment.mean is None


def test_epochs_are_never_pooled(warehouse):
    rng = np.random.default_rng(33)
    one = crowd(rng, {T: 900, N: 100}, {T: 0.1, N: 0.1})
    two = crowd(rng, {T: 800, N: 200}, {T: 0.2, N: 0.1}, epoch=2, version="v2")
    load(warehouse, one[0] + two[0], one[1] + two[1])
    both = CampaignSpec(
        "winback",
        (REVENUE,),
        (IntendedShares(1, "v1", {T: 0.9, N: 0.1}), IntendedShares(2, "v2", {T: 0.8, N: 0.2})),
    )
    first, second = analyse(warehouse, [both], as_of=day(30), measurement=MEASUREMENT)
    assert (first.epoch, first.treatment.n, first.holdout.n) == (1, 900, 100)
    assert (second.epoch, second.treatment.n, second.holdout.n) == (2, 800, 200)
    assert first.srm_p == second.srm_p == pytest.approx(1.0)


def test_the_global_holdout_is_a_campaign_of_its_own(warehouse):
    """Its people are in no other campaign, and the campaign's split is right without them."""
    rng = np.random.default_rng(34)
    everyone = crowd(rng, {T: 9_500, N: 500}, {T: 0.1, N: 0.1}, campaign="universal_2026")
    campaign = crowd(rng, {T: 8_550, N: 950}, {T: 0.1, N: 0.1})
    load(warehouse, everyone[0] + campaign[0], everyone[1] + campaign[1])
    found = analyse(
        warehouse,
        [
            spec(campaign="universal_2026", shares={T: 0.95, N: 0.05}),
            spec(shares={T: 0.9, N: 0.1}),
        ],
        as_of=day(30),
        measurement=MEASUREMENT,
    )
    assert [(r.campaign, r.treatment.n, r.holdout.n) for r in found] == [
        ("universal_2026", 9_500, 500),
        ("winback", 8_550, 950),
    ]
    assert all(r.srm_p == pytest.approx(1.0) for r in found)


def test_a_broken_split_is_not_to_be_trusted(warehouse):
    rng = np.random.default_rng(35)
    load(warehouse, *crowd(rng, {T: 8_000, N: 1_300}, {T: 0.2, N: 0.1}))
    (found,) = analyse(
        warehouse, [spec(shares={T: 0.9, N: 0.1})], as_of=day(30), measurement=MEASUREMENT
    )
    wanted = stats.chisquare([8_000, 1_300], [8_370, 930]).pvalue
    assert found.srm_p == pytest.approx(wanted, rel=1e-9)
    assert found.verdict is Verdict.DO_NOT_TRUST
    assert found.difference.low > 0  # it would have been a win


def test_an_empty_arm_is_not_to_be_trusted(warehouse):
    rng = np.random.default_rng(36)
    load(warehouse, *crowd(rng, {T: 900}, {T: 0.2}))
    (found,) = analyse(
        warehouse, [spec(shares={T: 0.9, N: 0.1})], as_of=day(30), measurement=MEASUREMENT
    )
    assert found.verdict is Verdict.DO_NOT_TRUST
    assert (found.holdout.n, found.holdout.mean) == (0, None)


def test_orders_without_a_value_are_not_to_be_trusted(warehouse, winback):
    people, orders = winback
    load(warehouse, people, [*orders, Order(people[0].profile_id, day(1), "5")])
    margin, revenue = (
        analyse(warehouse, [spec(m)], as_of=day(30), measurement=MEASUREMENT)[0]
        for m in (MARGIN, REVENUE)
    )
    assert margin.verdict is Verdict.DO_NOT_TRUST
    assert "margin" in margin.reason
    assert revenue.verdict is Verdict.WIN


def test_few_buyers_give_no_verdict(warehouse):
    rng = np.random.default_rng(37)
    words = {}
    for rate in (0.0, 0.01, 0.03, 0.3):
        load(warehouse, *crowd(rng, {T: 9_000, N: 1_000}, {T: rate, N: rate}))
        (found,) = analyse(
            warehouse, [spec(shares={T: 0.9, N: 0.1})], as_of=day(30), measurement=MEASUREMENT
        )
        words[rate] = found
    assert words[0.0].verdict is Verdict.NOT_ENOUGH_DATA
    assert words[0.0].difference is None
    assert words[0.0].relative is None
    assert words[0.01].verdict is Verdict.NOT_ENOUGH_DATA
    assert words[0.03].verdict is Verdict.DIRECTIONAL_ONLY
    assert words[0.3].verdict is not Verdict.DIRECTIONAL_ONLY


def test_no_percentage_of_a_negative_mean(warehouse):
    people = [Assigned(f"t{i}", "treatment") for i in range(500)]
    people += [Assigned(f"h{i}", "no_contact") for i in range(500)]
    orders = [Order(f"t{i}", day(1), "10") for i in range(100)]
    orders += [Order(f"h{i}", day(1), "-10", is_return=True) for i in range(100)]
    load(warehouse, people, orders)
    (found,) = analyse(
        warehouse, [spec(shares={T: 0.5, N: 0.5})], as_of=day(30), measurement=MEASUREMENT
    )
    assert found.holdout.mean == -2.0
    assert found.relative is None
    assert found.difference.estimate == pytest.approx(4.0)
    assert found.verdict is Verdict.WIN


def test_a_campaign_before_its_first_person(warehouse):
    load(warehouse, [], [])
    (no_contact, usual) = analyse(warehouse, [spec()], as_of=day(1), measurement=MEASUREMENT)
    assert no_contact.verdict is usual.verdict is Verdict.NOT_ENOUGH_DATA
    assert no_contact.srm_p is None


def test_a_campaign_without_holdout_has_no_lift(warehouse):
    load(warehouse, [Assigned("a", "treatment")], [])
    alone = spec(shares={T: 1.0})
    assert analyse(warehouse, [alone], as_of=day(30), measurement=MEASUREMENT) == []
    assert analyse(warehouse, [], as_of=day(30), measurement=MEASUREMENT) == []


def test_what_cannot_be_analysed_raises(warehouse, winback):
    people, orders = winback

    def run(*specs, as_of=None):
        return analyse(warehouse, specs, as_of=as_of or day(30), measurement=MEASUREMENT)

    with pytest.raises(ModelError, match="time zone"):
        run(spec(), as_of=day(30).replace(tzinfo=None))
    with pytest.raises(ConfigError, match="same name"):
        run(spec(), spec())
    with pytest.raises(ConfigError, match="profit"):
        run(spec(MetricSpec("m", MetricKind.SUM, "profit", 30)))
    with pytest.raises(LedgerError, match="v1"):
        run(spec(version="v0"))
    load(warehouse, [*people, people[0]], orders)
    with pytest.raises(LedgerError, match="more than once"):
        run(spec())
    load(warehouse, [Assigned("a", "placebo")], [])
    with pytest.raises(LedgerError, match="placebo"):
        run(spec())


def test_what_a_contact_costs_makes_nobody_a_buyer(warehouse):
    rng = np.random.default_rng(52)
    people, orders = crowd(rng, {T: 900, N: 900}, {T: 0.02, N: 0.02})
    load(warehouse, people, orders)
    kept = MetricSpec("kept", MetricKind.SUM, "net_revenue - contact_cost", 30, winsorise=0.5)
    asked = spec(REVENUE, kept, shares={T: 0.5, N: 0.5}, cost=0.04)
    revenue, net = analyse(warehouse, [asked], as_of=day(30), measurement=MEASUREMENT)
    assert net.expected_buyers == revenue.expected_buyers < 45
    assert net.treatment.n_buyers == revenue.treatment.n_buyers
    assert net.verdict is revenue.verdict
    assert net.treatment.mean == pytest.approx(revenue.treatment.mean - 0.04)
    # The cap is of what people brought; the price of a contact is beneath it.
    spent = {arm: values_of(people, orders, arm) for arm in (T, N)}
    bought = np.concatenate(list(spent.values()))
    cap = np.quantile(bought[bought > 0], 0.5)
    means = {arm: np.minimum(values, cap).mean() for arm, values in spent.items()}
    capped = next(one for one in net.sensitivities if one.name == "winsorised")
    assert capped.difference.estimate == pytest.approx(means[T] - 0.04 - means[N], rel=1e-9)


def test_the_price_of_an_offer_is_not_laid_on_the_time_before(warehouse):
    """Else the covariates of the two arms differ, and every campaign with an offer looks biased."""
    people, orders = crowd(np.random.default_rng(53), {T: 900, N: 900}, {T: 0.1, N: 0.1})
    # Both arms had the same past: every third person bought at a discount.
    past = [
        Order(p.profile_id, day(-9), "40", discount="5") for i, p in enumerate(people) if i % 3 == 0
    ]
    load(warehouse, people, [*orders, *past])
    kept = MetricSpec("kept", MetricKind.SUM, "net_revenue - offer_cost", 30)
    asked = replace(spec(kept, shares={T: 0.5, N: 0.5}), cost_per_redemption=9.5)
    (found,) = analyse(
        warehouse, [asked], as_of=day(30), measurement=MeasurementSpec(covariate_days=30)
    )
    (check,) = (one for one in found.health if one.gate == "pre_period")
    assert check.p_value == pytest.approx(1.0)
    assert found.verdict is not Verdict.DO_NOT_TRUST
