"""What the analysis adds to one interval: looks, classes, corrections, money, other metrics."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from connector.domain import Arm
from connector.lift.analysis import CampaignSpec, Counted, IntendedShares, MeasurementSpec, analyse
from connector.lift.health import Gate, Intake
from connector.lift.inputs import Inputs
from connector.lift.metrics import MetricKind, MetricSpec
from connector.lift.result import Role, Stage
from connector.lift.sequential import Design
from connector.lift.verdict import Verdict
from tests.lift.shop import STAMP, Assigned, Event, Order, day, load, load_events

T, B, N = Arm.TREATMENT, Arm.BUSINESS_AS_USUAL, Arm.NO_CONTACT
K = MetricKind
REVENUE = MetricSpec("revenue_30d", K.SUM, "net_revenue", 30)
HALF = {T: 0.5, N: 0.5}
PLAIN = MeasurementSpec()
HYBRID = MeasurementSpec(design=Design.HYBRID)


def spec(*metrics, name="winback", shares=None, **more):
    return CampaignSpec(
        name, metrics or (REVENUE,), (IntendedShares(1, "v1", shares or HALF),), **more
    )


def staggered(rng, rates, *, n=1_200, name="winback", days=70, lift=1.0, arms=(T, N)):
    """People who join over some weeks, with orders of before and of the window."""
    people, orders = [], []
    for arm in arms:
        for i in range(n):
            who, at = f"{name}-{arm}-{i}", float(rng.integers(0, days)) + 0.25
            people.append(Assigned(who, arm.value, day(at), name))
            spender = rng.random() < 0.5
            for shift, rate in ((-30.0, 0.5), (0.0, rates[arm])):
                if rng.random() < (rate if spender else rate / 10):
                    value = round(float(rng.lognormal(4.0, 0.6)), 2)
                    when = at + shift + float(rng.random()) * 29.9
                    orders.append(Order(who, day(when), f"{value:.2f}"))
    return people, orders


def run(warehouse, *specs, as_of, rules=PLAIN, **more):
    return analyse(warehouse, specs, as_of=as_of, measurement=rules, **more)


def sums(people, orders, arm, as_of, *, low=0.0, high=30.0):
    """What each person of an arm brought between two days of the own clock."""
    mine = {
        p.profile_id: p.at for p in people if p.arm == arm.value and p.at + timedelta(30) <= as_of
    }
    spent = dict.fromkeys(mine, 0.0)
    for o in orders:
        if o.profile_id in mine:
            days = (o.at - mine[o.profile_id]) / timedelta(days=1)
            if low <= days < high and o.at < as_of:
                spent[o.profile_id] += float(o.net)
    return np.array(list(spent.values()))


def alike(one, other):
    """The same interval, up to the order in which an engine adds up."""
    numbers = [(x.estimate, x.low, x.high, x.confidence) for x in (one, other)]
    return numbers[0] == pytest.approx(numbers[1], rel=1e-9)


# ---------------------------------------------------------------------- at any time afterwards
def test_a_metric_of_today_is_measured_for_a_campaign_of_last_quarter(warehouse):
    """Nothing was kept of that campaign but who was in which arm."""
    people, orders = staggered(np.random.default_rng(71), {T: 0.5, N: 0.3}, days=1)
    today = day(200)
    later = [Order(p.profile_id, day(150), "900") for p in people]
    load(warehouse, people, orders + later)
    aov = MetricSpec("aov_30d", K.RATIO, "net_revenue", 30, denominator="orders")
    large = MetricSpec("large_30d", K.COUNT, "orders", 30, where="net_revenue >= 100")
    _, ratio, count = run(warehouse, spec(REVENUE, aov, large), as_of=today)
    values, bought, big = {}, {}, {}
    for arm in (T, N):
        values[arm] = sums(people, orders, arm, today)
        start = {p.profile_id for p in people if p.arm == arm.value}
        inside = [o for o in orders if o.profile_id in start and o.at >= day(0.25)]
        bought[arm] = len(inside)
        big[arm] = sum(float(o.net) >= 100 for o in inside) / len(start)
    assert ratio.treatment.mean == pytest.approx(values[T].sum() / bought[T], rel=1e-9)
    assert ratio.treatment.n_units == bought[T]
    assert count.difference.estimate == pytest.approx(big[T] - big[N], rel=1e-9)
    # And it is the same whenever it is asked, up to the later days that it does not look at.
    earlier = run(warehouse, spec(aov), as_of=day(31))[0]
    assert alike(earlier.difference, ratio.difference)


# ---------------------------------------------------------------------- adjustment
def test_the_covariate_is_the_same_metric_of_the_time_before(warehouse):
    people, orders = staggered(np.random.default_rng(72), {T: 0.5, N: 0.4})
    load(warehouse, people, orders)
    as_of = day(120)
    adjusted, plain = (
        run(warehouse, spec(), as_of=as_of, rules=replace(PLAIN, covariate_days=back))[0]
        for back in (60, 0)
    )
    y, x = ([sums(people, orders, arm, as_of, low=a, high=b) for arm in (T, N)]
            for a, b in ((0.0, 30.0), (-60.0, 0.0)))  # fmt: skip
    every = np.concatenate(x), np.concatenate(y)
    theta = np.cov(*every)[0, 1] / np.var(every[0], ddof=1)
    z = [y[i] - theta * (x[i] - every[0].mean()) for i in (0, 1)]
    assert adjusted.difference.estimate == pytest.approx(z[0].mean() - z[1].mean(), rel=1e-8)
    se = math.sqrt(sum(v.var(ddof=1) / v.size for v in z))
    welch = next(a for a in adjusted.sensitivities if a.name == "welch").difference
    assert (welch.high - welch.low) / 2 == pytest.approx(
        se * stats.t.ppf(0.975, stats.ttest_ind(*z, equal_var=False).df), rel=1e-6
    )
    assert "cuped" in adjusted.method
    assert "cuped" not in plain.method
    assert adjusted.treatment.mean == pytest.approx(y[0].mean(), rel=1e-9)
    without = next(a for a in adjusted.sensitivities if a.name == "no_cuped").difference
    assert alike(without, plain.difference)
    bias = next(h for h in adjusted.health if h.gate == "pre_period")
    assert bias.p_value == pytest.approx(stats.ttest_ind(*x, equal_var=False).pvalue, rel=0.05)
    assert not bias.alarm


def test_arms_that_differed_before_are_not_to_be_trusted(warehouse):
    people, orders = staggered(np.random.default_rng(73), {T: 0.3, N: 0.3})
    before = [Order(p.profile_id, p.at - timedelta(days=5), "80") for p in people
              if p.arm == T and p.profile_id[-1] in "0123"]  # fmt: skip
    load(warehouse, people, orders + before)
    (found,) = run(warehouse, spec(), as_of=day(120), rules=replace(PLAIN, covariate_days=30))
    assert found.verdict is Verdict.DO_NOT_TRUST
    assert "before the campaign" in found.reason


# ---------------------------------------------------------------------- looks
def test_every_look_is_what_an_analysis_of_that_day_had_shown(warehouse):
    people, orders = staggered(np.random.default_rng(74), {T: 0.5, N: 0.35}, days=50)
    load(warehouse, people, orders)
    end = day(90)
    rules = replace(HYBRID, covariate_days=60)
    (whole,) = run(warehouse, spec(ends_at=end), as_of=day(82), rules=rules)
    assert len(whole.series) > 4
    assert [look.at for look in whole.series] == sorted({look.at for look in whole.series})
    for look in whole.series[::2]:
        (then,) = run(warehouse, spec(ends_at=end), as_of=look.at, rules=rules)
        assert (look.n_treatment, look.n_holdout) == (then.treatment.n, then.holdout.n)
        assert look.estimate == pytest.approx(then.difference.estimate, rel=1e-8)
        assert look.low == pytest.approx(then.difference.low, rel=1e-8)
        assert then.stage is Stage.RUNNING


def test_the_end_decides_and_nothing_after_it_does(warehouse):
    people, orders = staggered(np.random.default_rng(75), {T: 0.5, N: 0.4}, days=40)
    end = day(72)
    load(warehouse, people, orders)
    (before,) = run(warehouse, spec(ends_at=end), as_of=end - timedelta(hours=1), rules=HYBRID)
    (on_the_day,) = run(warehouse, spec(ends_at=end), as_of=end, rules=HYBRID)
    assert (before.stage, on_the_day.stage) == (Stage.RUNNING, Stage.FINAL)
    assert before.difference.confidence == on_the_day.difference.confidence == 0.975
    width = [x.difference.high - x.difference.low for x in (before, on_the_day)]
    assert width[1] < 0.8 * width[0]
    late = [Assigned(f"late-{i}", T.value, day(60)) for i in range(500)]
    more = [Order(p.profile_id, day(61), "500") for p in late]
    load(warehouse, people + late, orders + more)
    (after,) = run(warehouse, spec(ends_at=end), as_of=day(200), rules=HYBRID)
    assert alike(after.difference, on_the_day.difference)
    assert after.treatment.n_open == 500
    # A longer window closes as much later, so that it is measured at all.
    longer = MetricSpec("orders_60d", K.COUNT, "orders", 60)
    _, slow = run(warehouse, spec(REVENUE, longer, ends_at=end), as_of=day(200), rules=HYBRID)
    assert slow.treatment.n == sum(p.arm == T and p.at + timedelta(60) <= end + timedelta(30)
                                   for p in people + late)  # fmt: skip


def test_a_programme_without_an_end_is_looked_at_for_ever(warehouse):
    people, orders = staggered(np.random.default_rng(76), {T: 0.5, N: 0.4})
    load(warehouse, people, orders)
    (found,) = run(warehouse, spec(), as_of=day(200), rules=HYBRID)
    assert (found.stage, found.difference.confidence) == (Stage.RUNNING, 0.95)
    assert found.outlook.registered_end is None


def test_a_fixed_design_says_nothing_before_its_day(warehouse):
    people, orders = staggered(np.random.default_rng(77), {T: 0.9, N: 0.2})
    load(warehouse, people, orders)
    early, due = (run(warehouse, spec(ends_at=day(150)), as_of=day(at))[0] for at in (149, 150))
    assert early.verdict is Verdict.DIRECTIONAL_ONLY
    assert "read once" in early.reason
    assert due.verdict is Verdict.WIN


def test_declared_looks_are_wide_at_first_and_narrow_at_the_end(warehouse):
    people, orders = staggered(np.random.default_rng(78), {T: 0.5, N: 0.4}, days=60)
    load(warehouse, people, orders)
    rules = replace(PLAIN, design=Design.OBRIEN_FLEMING)
    first, last = (
        run(warehouse, spec(ends_at=day(100)), as_of=day(at), rules=rules)[0] for at in (60, 100)
    )
    x, y = (sums(people, orders, arm, day(100)) for arm in (T, N))
    normal = 2 * 1.96 * math.sqrt(x.var(ddof=1) / x.size + y.var(ddof=1) / y.size)
    assert normal < last.difference.high - last.difference.low < 1.15 * normal
    assert last.stage is Stage.FINAL
    assert first.difference.high - first.difference.low > 1.5 * normal


# ---------------------------------------------------------------------- many comparisons
def test_goals_are_corrected_together_by_benjamini_and_hochberg(warehouse):
    rng = np.random.default_rng(79)
    everyone, bought, names = [], [], []
    for k in range(6):
        rate = 0.46 if k < 2 else 0.4
        people, orders = staggered(rng, {T: rate, N: 0.4}, name=f"c{k}")
        everyone += people
        bought += orders
        names.append(f"c{k}")
    load(warehouse, everyone, bought)
    found = run(warehouse, *(spec(name=name) for name in names), as_of=day(120))
    wanted = stats.false_discovery_control([one.p_value for one in found], method="bh")
    assert [one.p_adjusted for one in found] == pytest.approx(list(wanted), rel=1e-12)
    for one in found:
        assert one.difference.excludes_zero == (one.p_value < 0.05)
        if one.p_value < 0.05 < one.p_adjusted:
            assert one.verdict is Verdict.DIRECTIONAL_ONLY
            assert "6 such comparisons" in one.reason
    alone = run(warehouse, spec(name="c0"), as_of=day(120))[0]
    assert alone.p_adjusted is None
    loose = run(
        warehouse,
        *(spec(name=name) for name in names),
        as_of=day(120),
        rules=replace(PLAIN, corrects=False),
    )
    assert all(one.p_adjusted is None for one in loose)


def test_what_can_get_no_verdict_is_in_no_family(warehouse):
    """A false small p-value among too few buyers would make it easier for the others."""
    rng = np.random.default_rng(83)
    everyone, bought = [], []
    for name, rates, n in (
        ("c0", {T: 0.46, N: 0.4}, 1_200),
        ("c1", {T: 0.42, N: 0.4}, 1_200),
        ("small", {T: 1.0, N: 0.1}, 60),
    ):
        people, orders = staggered(rng, rates, n=n, name=name)
        everyone += people
        bought += orders
    load(warehouse, everyone, bought)
    names = ("c0", "c1", "small")
    *large, small = run(warehouse, *(spec(name=name) for name in names), as_of=day(120))
    assert small.expected_buyers < 45
    assert small.p_value < 0.01
    assert small.p_adjusted is None
    wanted = stats.false_discovery_control([one.p_value for one in large], method="bh")
    assert [one.p_adjusted for one in large] == pytest.approx(list(wanted), rel=1e-12)


def test_classes_are_compared_by_themselves_and_corrected(warehouse):
    people, orders = staggered(np.random.default_rng(80), {T: 0.5, N: 0.35})
    load(warehouse, people, orders)
    kind = {p.profile_id: "abc"[int(p.profile_id.rsplit("-", 1)[1]) % 3] for p in people}
    known = [p for p in people if kind[p.profile_id] != "c"]
    warehouse.load(
        "lift_classes",
        pa.table(
            {
                "campaign": ["winback"] * len(known),
                "epoch": pa.array([1] * len(known), pa.int32()),
                "profile_id": [p.profile_id for p in known],
                "rfm.group": [kind[p.profile_id] for p in known],
            }
        ),
    )
    (found,) = run(warehouse, spec(), as_of=day(120), inputs=Inputs(dimensions=("rfm.group",)))
    assert [part.name for part in found.segments] == ["(not known)", "a", "b"]
    wanted = stats.false_discovery_control([p.p_value for p in found.segments], method="bh")
    assert [p.p_adjusted for p in found.segments] == pytest.approx(list(wanted), rel=1e-12)
    for part in found.segments:
        letter = "c" if part.name == "(not known)" else part.name
        load(warehouse, [p for p in people if kind[p.profile_id] == letter], orders)
        (alone,) = run(warehouse, spec(), as_of=day(120))
        assert part.difference.estimate == pytest.approx(alone.difference.estimate, rel=1e-9)
        assert part.difference.high == pytest.approx(alone.difference.high, rel=1e-9)
        assert part.treatment.n == alone.treatment.n
    weighed = sum(
        (p.treatment.n + p.holdout.n) * p.difference.estimate for p in found.segments
    ) / sum(p.treatment.n + p.holdout.n for p in found.segments)
    strata = next(a for a in found.sensitivities if a.name.startswith("post_stratified"))
    assert strata.difference.estimate == pytest.approx(weighed, rel=1e-9)


# ---------------------------------------------------------------------- other metrics
LEFT = MetricSpec("left_30d", K.SHARE, "unsubscribed", 30, max_increase=0.003)
CLICKS = MetricSpec("clicks_30d", K.RATIO, "email_clicks", 30, denominator="email_sends")


@pytest.mark.parametrize(
    ("rate", "state", "word"),
    [(0.05, "kept", Verdict.WIN), (0.2, "broken", Verdict.LOSS)],
)
def test_a_guardrail_tells_whether_its_limit_held(warehouse, rate, state, word):
    rng = np.random.default_rng(81)
    arms = {T: 0.4, B: 0.3, N: 0.3}
    people = [
        Assigned(f"{arm}-{i}", arm.value) for arm in arms for i in range(int(arms[arm] * 5000))
    ]
    events = [
        Event(p.profile_id, day(3), "email_unsubscribe")
        for p in people
        if p.arm != N and rng.random() < (rate if p.arm == T else 0.1)
    ]
    events += [Event(p.profile_id, day(1), "email_sent") for p in people if p.arm != N]
    events += [Event(p.profile_id, day(2), "email_click") for p in people[::7] if p.arm != N]
    load(warehouse, people, [])
    load_events(warehouse, events)
    found = run(
        warehouse,
        spec(REVENUE, LEFT, CLICKS, shares=arms),
        as_of=day(40),
        inputs=Inputs(events=warehouse.columns("clean_events")),
    )
    silent, against_usual = (x for x in found if x.metric == "left_30d")
    assert silent.difference is None
    assert "business-as-usual only" in silent.reason
    assert against_usual.comparison == "segmented against non-segmented"
    assert (against_usual.guardrail.state, against_usual.verdict) == (state, word)
    assert against_usual.role is Role.GUARDRAIL
    clicks = next(x for x in found if x.metric == "clicks_30d" and x.holdout.arm == B)
    assert clicks.verdict is Verdict.DIRECTIONAL_ONLY
    assert clicks.unit == "percentage points"
    assert clicks.incremental is None


def test_a_predicted_value_is_named_as_one(warehouse):
    rng = np.random.default_rng(82)
    people = [Assigned(f"{arm}-{i}", arm.value) for arm in (T, N) for i in range(400)]
    growth = MetricSpec("clv_growth", K.DELTA, "clv_365d.expected", 30)
    load(warehouse, people, [])
    (nothing,) = run(warehouse, spec(growth), as_of=day(40))
    assert "published" in nothing.reason
    rows = [
        (p.profile_id, at, 100.0 + (at > 0) * (8.0 if p.arm == T else 3.0) + rng.normal())
        for p in people
        for at in (0, 29)
    ]
    warehouse.load(
        "lift_scores",
        pa.table(
            {
                "profile_id": [who for who, _, _ in rows],
                "score": ["clv_365d.expected"] * len(rows),
                "at": pa.array([day(at).replace(tzinfo=None) for _, at, _ in rows], STAMP),
                "value": [value for _, _, value in rows],
            }
        ),
    )
    (found,) = run(warehouse, spec(growth), as_of=day(40), inputs=Inputs(has_scores=True))
    change = {
        arm: np.mean([b[2] - a[2] for a, b in zip(rows[::2], rows[1::2], strict=True)
                      if a[0].startswith(arm)])
        for arm in (T, N)
    }  # fmt: skip
    assert found.difference.estimate == pytest.approx(change[T] - change[N], rel=1e-9)
    assert found.is_surrogate
    assert "predicted" in found.reason


def test_large_values_are_capped_at_a_quantile_of_those_who_bought(warehouse):
    people, orders = staggered(np.random.default_rng(83), {T: 0.3, N: 0.3})
    huge = Order(people[0].profile_id, people[0].at + timedelta(days=1), "50000")
    load(warehouse, people, [*orders, huge])
    capped = replace(REVENUE, winsorise=0.99)
    (found,) = run(warehouse, spec(capped), as_of=day(120))
    x, y = (sums(people, [*orders, huge], arm, day(120)) for arm in (T, N))
    pooled = np.concatenate([x, y])
    cap = np.quantile(pooled[pooled != 0], 0.99)
    other = next(a for a in found.sensitivities if a.name == "winsorised")
    assert f"{cap:,.2f}" in other.note
    wanted = np.minimum(x, cap).mean() - np.minimum(y, cap).mean()
    assert other.difference.estimate == pytest.approx(wanted, rel=1e-9)
    assert found.difference.estimate == pytest.approx(x.mean() - y.mean(), rel=1e-9)


def test_groups_of_equal_size_and_people_merged_afterwards_are_shown_beside(warehouse):
    people, orders = staggered(np.random.default_rng(84), {T: 0.3, N: 0.3}, days=1)
    fewer = [p for p in people if p.arm == T or int(p.profile_id.rsplit("-", 1)[1]) < 150]
    load(warehouse, fewer, orders)
    gone = {p.profile_id for p in fewer[:100]}
    warehouse.load(
        "lift_merged",
        pa.table(
            {
                "campaign": ["winback"] * 100,
                "epoch": pa.array([1] * 100, pa.int32()),
                "profile_id": sorted(gone),
            }
        ),
    )
    rules = replace(PLAIN, equal_size=True)
    (found,) = run(warehouse, spec(shares={T: 8 / 9, N: 1 / 9}), as_of=day(60), rules=rules)
    named = {a.name: a for a in found.sensitivities}
    width = {k: a.difference.high - a.difference.low for k, a in named.items()}
    # Sixteen treated for every two held out, or two and two: sqrt(1/1200 + 1/150), sqrt(2/150).
    assert width["equal_size"] / width["welch"] == pytest.approx(
        math.sqrt(2 / 150) / math.sqrt(1 / 1200 + 1 / 150), rel=0.15
    )
    x, y = (sums([p for p in fewer if p.profile_id not in gone], orders, arm, day(60))
            for arm in (T, N))  # fmt: skip
    assert named["without_merged_people"].difference.estimate == pytest.approx(
        x.mean() - y.mean(), rel=1e-9
    )


# ---------------------------------------------------------------------- money
def test_a_cost_fixed_at_assignment_divides_what_was_earned(warehouse):
    people, orders = staggered(np.random.default_rng(85), {T: 0.6, N: 0.3}, days=1)
    load(warehouse, people, orders)
    (found,) = run(warehouse, spec(cost_per_person=0.5), as_of=day(60))
    money = found.money
    assert money.cost == pytest.approx(600.0)
    assert alike(money.revenue, found.incremental)
    assert money.roas.low == pytest.approx(found.incremental.low / 600)
    assert money.cost_per_order.low == pytest.approx(600 / money.orders.high)
    assert money.margin is None
    assert "not known" in money.margin_note


def test_a_cost_of_redemptions_is_an_estimate_of_its_own(warehouse):
    people, orders = staggered(np.random.default_rng(86), {T: 0.6, N: 0.3}, days=1)
    orders = [replace(o, discount="5" if i % 3 == 0 else "0", margin=o.net)
              for i, o in enumerate(orders)]  # fmt: skip
    load(warehouse, people, orders)
    costs = {"cost_per_person": 0.1, "cost_per_redemption": 4.0}
    (found,) = run(warehouse, spec(**costs), as_of=day(60), inputs=Inputs(margin_is_known=True))
    treated = {p.profile_id: p.at for p in people if p.arm == T}
    used = sum(
        float(o.discount) > 0
        and treated[o.profile_id] <= o.at < treated[o.profile_id] + timedelta(30)
        for o in orders
        if o.profile_id in treated
    )
    money = found.money
    assert money.cost == pytest.approx(1_200 * 0.1 + used * 4.0)
    assert money.cost_is_estimated
    assert f"{used} orders" in money.cost_note
    assert money.roas.estimate == pytest.approx(money.revenue.estimate / money.cost, rel=1e-9)
    # Margin here is revenue, so what is left of it is revenue less the cost.
    assert money.margin.estimate == pytest.approx(money.revenue.estimate - money.cost, rel=1e-9)
    unknown = run(warehouse, spec(**costs, redemption_is_known=False), as_of=day(60))[0]
    assert unknown.money.cost is None
    assert "discount" in unknown.money.cost_note


def test_scores_that_are_known_of_one_arm_only_are_not_trusted(warehouse):
    """Also where everybody is in the shop's data, so that the gate itself has nothing to say."""
    people, orders = staggered(np.random.default_rng(84), {T: 0.4, N: 0.4}, n=300, days=1)
    load(warehouse, people, orders)
    lost = {p.profile_id for i, p in enumerate(people) if p.arm == T.value and i % 2}
    known = [p.profile_id for p in people if p.profile_id not in lost]
    times = [at for at in (day(0), day(30)) for _ in known]
    warehouse.load(
        "lift_scores",
        pa.table(
            {
                "profile_id": [*known, *known],
                "score": ["clv.expected"] * len(times),
                "at": pa.array([at.replace(tzinfo=None) for at in times], STAMP),
                "value": np.arange(float(len(times))),
            }
        ),
    )
    growth = MetricSpec("growth", K.DELTA, "clv.expected", 30)
    everybody = {Gate.JOINED: [Intake(HALF, {T: 300, N: 300})]}
    (found,) = run(
        warehouse,
        spec(growth),
        as_of=day(40),
        inputs=Inputs(has_scores=True),
        seen={("winback", 1): Counted(everybody)},
    )
    assert found.verdict is Verdict.DO_NOT_TRUST
    assert [one.alarm for one in found.health if one.gate == Gate.JOINED] == [True]
