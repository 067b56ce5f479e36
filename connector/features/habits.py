"""How somebody buys: value, promotions, returns, rhythm, channels, convenience.

Most of it is one more aggregate in the scan of :mod:`connector.features.orders`. The gaps between
orders need the orders of a person side by side, and the preferred channel and hour need counts of
counts: those are levels, made only when something asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from connector.features.orders import IS_ORDER, TABLE
from connector.features.pack import (
    DerivedColumn,
    FeatureColumn,
    FeaturePack,
    Level,
    LevelColumns,
    Rows,
)
from connector.features.shares import (
    SHARE,
    counted,
    entropy,
    favourite,
    favourite_share,
    most_often,
    needing,
    preferred_hour,
)
from connector.tables import MONEY

TIME = "ordered_at"
YEAR = 365
ORDERS = Rows(TABLE, TIME)
DISCOUNT, REFUND = ("orders.discount",), ("orders.refund",)
FAST_DELIVERY = ("express", "same day", "same_day", "next day", "next_day", "overnight", "priority")
"""Words for a delivery that was paid to be quick, in any letter case."""

_GAPS = Level(
    "level_order_gaps",
    "SELECT r.profile_id AS profile_id, r.ordered_at AS ordered_at, r.net_revenue AS net_revenue"
    ", seconds_between(lag(r.ordered_at) OVER (PARTITION BY r.profile_id ORDER BY r.ordered_at ASC"
    ", r.order_id ASC), r.ordered_at) / 86400 AS gap_days"
    ", row_number() OVER (PARTITION BY r.profile_id ORDER BY r.ordered_at DESC, r.order_id DESC) AS"
    " back FROM r WHERE NOT r.is_return",
    (("r", ORDERS),),
)
"""Each order of a person with the days since the one before it, and its place from the last."""


def habits_pack(timezone: str = "UTC") -> FeaturePack:
    """What the orders of a person are like, beyond their number and sum.

    Args:
        timezone: Zone that weekends are meant in.
    """
    local = TIME if timezone == "UTC" else f"to_local({TIME}, '{timezone}')"

    def share(
        name: str, condition: str, meaning: str, *, needs: tuple[str, ...] = (), days: int | None
    ) -> FeatureColumn:
        return FeatureColumn(
            name,
            f"count_if({condition}) / count(*)",
            SHARE,
            f"share of orders{f' of the last {days} days' if days else ''} {meaning}",
            where=IS_ORDER,
            window_days=days,
            type="DOUBLE",
            empty="NULL",
            needs=needs,
        )

    return FeaturePack(
        name="orders",
        table=TABLE,
        time=TIME,
        columns=(
            FeatureColumn(
                "largest_order_value",
                "max(net_revenue)",
                "currency",
                "net revenue of the largest order ever",
                where=IS_ORDER,
                type=MONEY,
                empty="NULL",
            ),
            FeatureColumn(
                "sd_order_value",
                "stddev(net_revenue)",
                "currency",
                "standard deviation of the net revenue of orders; NULL below two",
                where=IS_ORDER,
                type="DOUBLE",
                empty="NULL",
            ),
            share(
                f"promo_share_{YEAR}d",
                "discount > 0",
                "bought with a discount",
                needs=DISCOUNT,
                days=YEAR,
            ),
            FeatureColumn(
                f"discount_rate_{YEAR}d",
                "sum(discount) / nullif(sum(gross), 0)",
                SHARE,
                f"discount in every unit of gross value of the last {YEAR} days",
                where=IS_ORDER,
                window_days=YEAR,
                type="DOUBLE",
                empty="NULL",
                needs=DISCOUNT,
            ),
            FeatureColumn(
                f"returns_{YEAR}d",
                "count(*)",
                "returns",
                f"goods sent back in the last {YEAR} days",
                where="is_return",
                window_days=YEAR,
            ),
            FeatureColumn(
                "return_rate",
                "least(count_if(is_return OR coalesce(refund, 0) > 0)"
                " / nullif(count_if(NOT is_return), 0), 1)",
                SHARE,
                "returns and refunded orders for each order, at most 1; NULL without orders",
                type="DOUBLE",
                empty="NULL",
            ),
            share("weekend_share", f"weekday_of({local}) >= 6", "placed on a weekend", days=None),
        ),
        levels=(
            LevelColumns(
                _GAPS,
                (
                    *(
                        FeatureColumn(
                            f"{prefix}_days_between_orders",
                            f"{function}(gap_days)",
                            "days",
                            f"{words} of the days between an order and the next; NULL below"
                            f" {least} orders",
                            type="DOUBLE",
                            empty="NULL",
                        )
                        for prefix, function, words, least in (
                            ("mean", "avg", "mean", "two"),
                            ("median", "median", "median", "two"),
                            ("sd", "stddev", "standard deviation", "three"),
                        )
                    ),
                    FeatureColumn(
                        "last_order_value",
                        "max_if(net_revenue, back = 1)",
                        "currency",
                        "net revenue of the last order",
                        type=MONEY,
                        empty="NULL",
                    ),
                ),
                time=TIME,
            ),
        ),
        derived=(
            DerivedColumn(
                "days_since_last_order",
                "last_order_age_days",
                "days",
                "whole days since the last order, however long ago",
                type="BIGINT",
            ),
            DerivedColumn(
                "tenure_days",
                "first_order_age_days",
                "days",
                "whole days since the first order",
                type="BIGINT",
            ),
            *(
                DerivedColumn(
                    f"aov_{days}d",
                    f"round(revenue_{days}d / nullif(orders_{days}d, 0), 2)",
                    "currency",
                    f"net revenue an order of the last {days} days; NULL without orders",
                )
                for days in (90, 730)
            ),
            DerivedColumn(
                "lifetime_aov",
                "round(lifetime_revenue / nullif(lifetime_orders, 0), 2)",
                "currency",
                "net revenue an order ever; NULL without orders",
            ),
            DerivedColumn(
                "log_frequency",
                "ln(1 + orders_730d)",
                "log of orders",
                "natural logarithm of 1 + orders of the last 730 days",
                type="DOUBLE",
            ),
            DerivedColumn(
                "log_aov",
                "ln(CASE WHEN aov_730d > 0 THEN 1 + aov_730d WHEN aov_730d <= 0 THEN 1 END)",
                "log of currency",
                "natural logarithm of 1 + net revenue an order of the last 730 days; NULL without",
                type="DOUBLE",
            ),
        ),
        needs=("orders",),
    )


def channel_pack(timezone: str = "UTC") -> FeaturePack:
    """Through which channels, and at which hour, somebody orders.

    Args:
        timezone: Zone that hours are meant in.
    """
    counts = counted(
        "level_order_channels",
        ORDERS,
        "lower(trim(r.channel))",
        time="r.ordered_at",
        where="NOT r.is_return AND r.channel IS NOT NULL",
    )
    columns = (
        favourite("preferred_channel", "channel of most orders", unit="channel"),
        favourite_share("preferred_channel_share", "share of orders through the preferred channel"),
        FeatureColumn("channels_used", "count(*)", "channels", "different channels of all orders"),
        entropy("channel_entropy", "how evenly orders are spread over channels"),
    )
    return FeaturePack(
        name="channel_mix",
        table=TABLE,
        time=TIME,
        levels=(
            LevelColumns(most_often(counts), tuple(needing(c, "orders.channel") for c in columns)),
            preferred_hour(
                "preferred_order_hour",
                ORDERS,
                zone=timezone,
                where="NOT r.is_return",
                meaning="hour of most orders",
            ),
        ),
        needs=("orders",),
    )


def convenience_pack(fast: Sequence[str] = FAST_DELIVERY) -> FeaturePack:
    """What somebody pays for comfort: quick delivery, full prices.

    Args:
        fast: Words of ``orders.delivery`` for a quick one, in any letter case.
    """
    words = ", ".join("'" + word.lower().replace("'", "''") + "'" for word in fast)
    delivery = "lower(trim(delivery))"

    def column(
        name: str, expression: str, unit: str, meaning: str, need: str, sql_type: str = "DOUBLE"
    ) -> FeatureColumn:
        return FeatureColumn(
            name,
            expression,
            unit,
            f"{meaning} of the last {YEAR} days",
            where=IS_ORDER,
            window_days=YEAR,
            type=sql_type,
            empty="NULL",
            needs=(need,),
        )

    return FeaturePack(
        name="convenience",
        table=TABLE,
        time=TIME,
        columns=(
            column(
                f"express_share_{YEAR}d",
                f"count_if({delivery} IN ({words})) / nullif(count(delivery), 0)",
                SHARE,
                "share of orders with quick delivery, of those whose delivery is known,",
                "orders.delivery",
            ),
            column(
                f"full_price_share_{YEAR}d",
                "count_if(discount <= 0) / count(*)",
                SHARE,
                "share of orders without a discount",
                "orders.discount",
            ),
            column(
                f"mean_shipping_paid_{YEAR}d",
                "avg(shipping)",
                "currency",
                "mean shipping paid for an order",
                "orders.shipping",
            ),
        ),
        needs=("orders",),
    )
