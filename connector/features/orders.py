"""Features of orders: how recently, how often and for how much somebody buys.

An order counts where it is placed. A return is no order: it lowers the revenue of the window in
which it happened and touches neither counts nor the days since the last order.
"""

from __future__ import annotations

from connector.errors import ModelError
from connector.features.pack import DerivedColumn, FeatureColumn, FeaturePack
from connector.tables import MONEY

TABLE = "clean_orders"
IS_ORDER = "NOT is_return"
WINDOWS_DAYS = (30, 90, 365, 730)
VALUES = ("net_revenue", "gross", "margin")
"""What the monetary dimension may add up."""


def rfm_pack(window_days: int = 730, value: str = "net_revenue") -> FeaturePack:
    """Recency, frequency and money inside the window of an RFM model.

    Args:
        window_days: The model's window.
        value: Column of ``clean_orders`` to add up: one of ``VALUES``.

    Raises:
        ModelError: The value is none of them.
    """
    if value not in VALUES:
        raise ModelError(
            f"The monetary value cannot be {value!r}.", hint=f"Choose one of {', '.join(VALUES)}."
        )
    return FeaturePack(
        name="rfm",
        table=TABLE,
        time="ordered_at",
        columns=(
            FeatureColumn(
                "recency_days",
                "days_between(max(ordered_at), as_of)",
                "days",
                f"whole days since the last order of the last {window_days} days",
                where=IS_ORDER,
                window_days=window_days,
                empty="NULL",
            ),
            FeatureColumn(
                "frequency",
                "count(*)",
                "orders",
                f"orders of the last {window_days} days",
                where=IS_ORDER,
                window_days=window_days,
            ),
            FeatureColumn(
                "monetary",
                f"sum({value})",
                "currency",
                f"{value} of the last {window_days} days, returns taken off",
                window_days=window_days,
                type=MONEY,
            ),
        ),
    )


def orders_pack() -> FeaturePack:
    """Counts and revenue by window and over a lifetime."""
    columns: list[FeatureColumn] = []
    for days in WINDOWS_DAYS:
        columns += [
            FeatureColumn(
                f"orders_{days}d",
                "count(*)",
                "orders",
                f"orders of the last {days} days",
                where=IS_ORDER,
                window_days=days,
            ),
            FeatureColumn(
                f"revenue_{days}d",
                "sum(net_revenue)",
                "currency",
                f"net revenue of the last {days} days, returns taken off",
                window_days=days,
                type=MONEY,
            ),
        ]
    columns += [
        FeatureColumn("lifetime_orders", "count(*)", "orders", "orders ever", where=IS_ORDER),
        FeatureColumn(
            "lifetime_revenue",
            "sum(net_revenue)",
            "currency",
            "net revenue ever, returns taken off",
            type=MONEY,
        ),
        FeatureColumn(
            "first_order_age_days",
            "days_between(min(ordered_at), as_of)",
            "days",
            "whole days since the first order",
            where=IS_ORDER,
            empty="NULL",
        ),
        FeatureColumn(
            "last_order_age_days",
            "days_between(max(ordered_at), as_of)",
            "days",
            "whole days since the last order, however long ago",
            where=IS_ORDER,
            empty="NULL",
        ),
    ]
    monetary = tuple(
        DerivedColumn(
            f"monetary_{days}d",
            f"revenue_{days}d",
            "currency",
            f"another name of revenue_{days}d",
        )
        for days in WINDOWS_DAYS
    )
    return FeaturePack(
        name="orders",
        table=TABLE,
        time="ordered_at",
        columns=tuple(columns),
        derived=(
            DerivedColumn(
                "aov_365d",
                "round(revenue_365d / nullif(orders_365d, 0), 2)",
                "currency",
                "net revenue an order of the last 365 days; NULL without orders",
            ),
            *monetary,
        ),
    )
