"""The account of a campaign: what it earned, what it cost, and one over the other.

It speaks of the goal's window and of the people treated whose window has closed. Where everything
spent is known at assignment (a price for each contact), a ratio over it has the interval of what
was earned, divided. Where a price falls due for each use of the offer, the cost depends on what
people did; it is then an estimate as well, and goes with what they bought
(:mod:`connector.lift.money`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connector.errors import InsufficientDataError
from connector.lift import money
from connector.lift.estimate import Methods, estimate
from connector.lift.inputs import Costs, Inputs
from connector.lift.intervals import Interval, incremental_total
from connector.lift.joint import JointMoments
from connector.lift.metrics import MetricKind, MetricSpec
from connector.lift.result import Money, OpenInterval
from connector.lift.sequential import Critical

HIDDEN = "LL_"
"""How the names of metrics begin that the account needs and nobody asked for: no name of a file
begins so."""

MARGIN = "margin - offer_cost - contact_cost"
"""What an order leaves when its goods and the campaign are paid."""

SPEND = "contact_cost + offer_cost"

REVENUE_, MARGIN_, ORDERS_ = "revenue", "margin", "orders"

EARNED: Mapping[str, tuple[MetricKind, str]] = {
    REVENUE_: (MetricKind.SUM, "net_revenue"),
    MARGIN_: (MetricKind.SUM, MARGIN),
    ORDERS_: (MetricKind.COUNT, "orders"),
}


@dataclass(frozen=True, slots=True)
class Account:
    """Which metrics an account is made of.

    Attributes:
        earned: Part (``revenue``, ``margin``, ``orders``) -> its metric.
        spent: Part -> the pair of earned and spent; empty where the cost is fixed.
    """

    earned: Mapping[str, MetricSpec]
    spent: Mapping[str, MetricSpec]

    @property
    def metrics(self) -> tuple[MetricSpec, ...]:
        """All of them."""
        return (*self.earned.values(), *self.spent.values())


def account_of(metrics: Sequence[MetricSpec], inputs: Inputs, costs: Costs) -> Account:
    """The account of a campaign whose first metric is its goal.

    Args:
        metrics: Its metrics; one that measures what the account needs is taken.
        inputs: Tells whether a margin is known.
        costs: What the campaign costs.
    """
    days = metrics[0].window_days
    suffix = f"{days}d"
    earned, spent = {}, {}
    for part, (kind, expression) in EARNED.items():
        if part == MARGIN_ and not inputs.margin_is_known:
            continue
        if part == MARGIN_ and costs.redemption and not costs.redemption_is_known:
            continue
        hidden = MetricSpec(f"{HIDDEN}{part}_{suffix}", kind, expression, days)
        earned[part] = next((m for m in metrics if _measures(m) == _measures(hidden)), hidden)
        if costs.redemption and costs.redemption_is_known:
            spent[part] = MetricSpec(
                f"{HIDDEN}{part}_spend_{suffix}",
                MetricKind.RATIO,
                expression,
                days,
                denominator=SPEND,
            )
    return Account(earned, spent)


def _measures(metric: MetricSpec) -> tuple[object, ...]:
    return (metric.kind, metric.expression, metric.window_days, metric.source, metric.where)


def account(
    found: Account,
    moments: Callable[[MetricSpec], tuple[JointMoments | None, JointMoments | None]],
    costs: Costs,
    methods: Methods,
    at: Critical,
    *,
    has_costs: bool,
    margin_note: str,
) -> Money:
    """Make up the account.

    Args:
        found: Its metrics.
        moments: Metric -> treatment and holdout; None for an arm without anybody.
        costs: What the campaign costs.
        methods: Which estimators.
        at: How wide the decision's interval is.
        has_costs: Whether the strategy names any.
        margin_note: How margin is reckoned, or why it is not known.
    """
    earned: dict[str, Interval | None] = {}
    n = 0
    for part, metric in found.earned.items():
        t, c = moments(metric)
        earned[part] = None
        if t is not None and c is not None:
            n = t.n
            earned[part] = _total(metric.kind, t, c, methods, at)
    ratios: dict[str, OpenInterval | None] = dict.fromkeys(EARNED)
    cost, is_estimated, note = _cost(found, moments, costs, n, has_costs=has_costs)
    if cost:
        for part, total in earned.items():
            if total is None:
                continue
            if is_estimated:
                ratios[part] = _return(*moments(found.spent[part]), at)
            else:
                ratios[part] = _open(total.scaled(1.0 / cost))
    return Money(
        cost=cost,
        cost_note=note,
        cost_is_estimated=is_estimated,
        revenue=earned.get(REVENUE_),
        margin=earned.get(MARGIN_),
        orders=earned.get(ORDERS_),
        roas=ratios[REVENUE_],
        margin_on_cost=ratios[MARGIN_],
        cost_per_order=_per_order(ratios[ORDERS_]),
        margin_note=margin_note,
    )


def margin_note(inputs: Inputs) -> str:
    """How margin is reckoned, or why it is not known."""
    if not inputs.margin_is_known:
        return (
            "Margin is not known: map `margin` in tables.orders.columns, or `unit_cost` in "
            "tables.order_items.columns."
        )
    return f"Margin is {inputs.margin_note}, after what the campaign cost."


def _total(
    kind: MetricKind, t: JointMoments, c: JointMoments, methods: Methods, at: Critical
) -> Interval | None:
    try:
        return incremental_total(estimate(kind, t, c, methods).interval_at(at), t.n)
    except InsufficientDataError:
        return None


def _cost(
    found: Account,
    moments: Callable[[MetricSpec], tuple[JointMoments | None, JointMoments | None]],
    costs: Costs,
    n: int,
    *,
    has_costs: bool,
) -> tuple[float | None, bool, str]:
    """What was spent, whether it is an estimate, and what it is made of."""
    if not has_costs:
        return None, False, "The strategy names no cost, so the return is not told."
    contact = f"{costs.contact:g} for each person treated"
    if not costs.redemption:
        return costs.contact * n, False, f"The cost is {contact}."
    if not costs.redemption_is_known:
        return (
            None,
            False,
            f"Each use of the offer costs {costs.redemption:g}, and nothing in the data says who "
            "used it: map `discount` in tables.orders.columns.",
        )
    t, _ = moments(found.spent[REVENUE_])
    spent = 0.0 if t is None else t.x.total
    uses = (spent - costs.contact * n) / costs.redemption
    return (
        spent,
        True,
        f"The cost is {contact}, and {costs.redemption:g} for each of {uses:,.0f} orders of theirs "
        "with a discount, which are taken to have used the offer. Ratios are of the plain "
        "difference, without an adjustment.",
    )


def _return(t: JointMoments | None, c: JointMoments | None, at: Critical) -> OpenInterval | None:
    """Earned over spent, where both depend on what people did."""
    if t is None or c is None:
        return None
    try:
        return _open(money.random_cost_return(t, c.y, confidence=at.confidence, critical=at.value))
    except InsufficientDataError:
        return None


def _open(interval: Interval) -> OpenInterval:
    return OpenInterval(interval.estimate, interval.low, interval.high, interval.confidence)


def _per_order(orders_per_cost: OpenInterval | None) -> OpenInterval | None:
    """The cost of one more order, from the orders that a unit of cost brings."""
    if orders_per_cost is None or orders_per_cost.estimate is None:
        return None
    estimate_, low, high = orders_per_cost.estimate, orders_per_cost.low, orders_per_cost.high
    if low is None or high is None:
        return None
    orders = Interval(estimate_, low, high, orders_per_cost.confidence)
    return money.cost_per_incremental_order(orders, 1.0)
