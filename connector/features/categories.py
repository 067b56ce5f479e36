"""Which categories somebody buys: how many, how evenly, which most, which last.

Lines of orders are counted by person and category, under one spelling; returns are no purchases.
"""

from __future__ import annotations

from connector.features.pack import FeatureColumn, FeaturePack, LevelColumns, Rows
from connector.features.shares import (
    counted,
    entropy,
    favourite,
    favourite_share,
    most_often,
    needing,
    ranked,
)

TABLE, TIME = "clean_items", "ordered_at"
LEVELS = ("category", "subcategory")
"""Columns of products that a category may be read from."""
YEAR = 365


def category_pack(level: str = "category") -> FeaturePack:
    """Breadth and favourites of what somebody buys.

    Args:
        level: Which column of products is the category: one of ``LEVELS``.
    """
    need = f"products.{level}"
    counts = counted(
        "level_bought_categories",
        Rows(TABLE, TIME),
        f"r.{level}",
        time=f"r.{TIME}",
        where=f"NOT r.is_return AND r.quantity > 0 AND r.{level} IS NOT NULL",
    )
    latest = ranked("level_bought_categories_last", counts, order="c.last_at DESC, c.n DESC")

    plain = (
        FeatureColumn(
            "categories_bought", "count(*)", "categories", "different categories bought ever"
        ),
        FeatureColumn(
            f"categories_bought_{YEAR}d",
            "count(*)",
            "categories",
            f"different categories bought in the last {YEAR} days",
            window_days=YEAR,
        ),
        favourite_share("top_category_share", "share of lines in the top category"),
        entropy("category_entropy", "how evenly lines are spread over categories"),
    )
    return FeaturePack(
        name="category_share",
        table=TABLE,
        time=TIME,
        levels=(
            LevelColumns(counts, tuple(needing(column, need) for column in plain), time="last_at"),
            LevelColumns(
                most_often(counts),
                (
                    needing(
                        favourite("top_category", "category of most lines", unit="category"), need
                    ),
                ),
            ),
            LevelColumns(
                latest,
                (
                    needing(
                        favourite("last_category", "category bought last", unit="category"), need
                    ),
                ),
            ),
        ),
        needs=("order_items", "products"),
    )
