"""Order lines as the models of baskets read them."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from connector.pipeline.scoring.context import ScoringContext
from connector.warehouse.render import literal, quote

LEVELS = {"product": "product_id", "category": "category", "subcategory": "subcategory"}
"""Level in the file -> column of ``clean_items``."""


def order_lines(context: ScoringContext, level: str) -> pd.DataFrame:
    """What people took home before the instant.

    Args:
        context: The run's data.
        level: ``product``, ``category`` or ``subcategory``.

    Returns:
        ``profile_id``, ``basket_id``, ``item``, ``at`` (UTC); returns are left out.
    """
    item = quote(LEVELS[level])
    reader = context.warehouse.batches(
        f"SELECT i.profile_id AS profile_id, i.order_id AS basket_id, i.{item} AS item,"
        " i.ordered_at AS at FROM clean_items AS i"
        f" WHERE NOT i.is_return AND i.quantity > 0 AND i.{item} IS NOT NULL"
        f" AND i.ordered_at < {literal(context.as_of)}"
    )
    table = pa.Table.from_batches(list(reader), reader.schema)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def names_of(context: ScoringContext, level: str) -> dict[str, str]:
    """What products are called; empty for categories, which are names already."""
    if level != "product" or "name" not in context.warehouse.columns("clean_products"):
        return {}
    return {
        str(product): str(name)
        for product, name in context.warehouse.rows(
            "SELECT p.product_id AS product_id, p.name AS name FROM clean_products AS p"
            " WHERE p.name IS NOT NULL"
        )
    }
