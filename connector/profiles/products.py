"""Products under one spelling of each category.

"Home & Garden", "home_garden " and "HOME-GARDEN" are one category to everybody but a computer, and
a person's interest that is split over three spellings looks like none. Distinct spellings are few,
so they are brought together in Python, where Unicode is understood, and joined as a small table;
engines differ in what they call a capital letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from connector.ports import Warehouse
from connector.profiles.spec import StepReport
from connector.warehouse.render import literal

TABLE = "products"
QUARANTINE = "quarantined_products"
LEVEL = " > "
"""Between a category and the one below it."""

_BETWEEN_LEVELS = re.compile(r"\s*(?:>+|/+|\|+|::+|»|→)\s*")
_BETWEEN_WORDS = re.compile(r"[\s_\-–—]+")
_AND = re.compile(r"\s*&\s*")


def canonical_category(text: str | None, aliases: Mapping[str, str] | None = None) -> str | None:
    """The one spelling of a category: ``HOME_Garden/lamps `` is ``home garden > lamps``.

    Args:
        text: As a source spells it.
        aliases: Spelling -> the category that is meant; both are themselves brought into the one
            spelling first. An alias is not followed by another.

    Returns:
        None for what holds no letter and no digit.
    """
    plain = _spelled(text)
    if plain is None or not aliases:
        return plain
    meant = {_spelled(name): _spelled(category) for name, category in aliases.items()}
    return meant.get(plain, plain)


def _spelled(text: str | None) -> str | None:
    if text is None:
        return None
    small = unicodedata.normalize("NFKC", text).casefold()
    parts = (
        _BETWEEN_WORDS.sub(" ", _AND.sub(" & ", part)).strip()
        for part in _BETWEEN_LEVELS.split(small)
    )
    kept = [part for part in parts if any(character.isalnum() for character in part)]
    return LEVEL.join(kept) or None


def load_categories(
    warehouse: Warehouse,
    relation: str,
    columns: tuple[str, ...],
    *,
    aliases: Mapping[str, str],
    output: str,
) -> None:
    """Make ``output(raw, category)``: every spelling in some columns, and the one that is meant."""
    import pyarrow as pa

    parts = " UNION ".join(
        f"SELECT DISTINCT r.{column} AS raw FROM {relation} AS r WHERE r.{column} IS NOT NULL"
        for column in columns
    )
    spellings = [raw for (raw,) in warehouse.rows(parts)]
    meant = {_spelled(name): _spelled(category) for name, category in aliases.items()}
    plain = [_spelled(raw) for raw in spellings]
    categories = [meant.get(category, category) for category in plain]
    warehouse.load(
        output,
        pa.table(
            {"raw": pa.array(spellings, pa.string()), "category": pa.array(categories, pa.string())}
        ),
    )


def clean_products(
    warehouse: Warehouse, *, aliases: Mapping[str, str] | None = None, products: str = "in_products"
) -> StepReport:
    """Make ``clean_products``: one row a product, categories under one spelling.

    Columns: ``product_id, name, category, subcategory, brand, price``. Where a product is listed
    several times, the same row is taken whatever the order of the table. Empty where no products
    are mapped.
    """
    if not warehouse.columns(products):
        text = "CAST(NULL AS VARCHAR)"
        warehouse.create_table_as(
            "clean_products",
            f"SELECT {text} AS product_id, {text} AS name, {text} AS category, {text} AS"
            f" subcategory, {text} AS brand, CAST(NULL AS DECIMAL(18, 2)) AS price WHERE FALSE",
        )
        return StepReport(TABLE, 0, 0, {})
    load_categories(
        warehouse,
        products,
        ("category", "subcategory"),
        aliases=aliases or {},
        output="product_categories",
    )
    warehouse.create_table_as(
        "products_judged",
        "SELECT p.product_id AS product_id, p.name AS name, c.category AS category, s.category AS"
        " subcategory, p.brand AS brand, p.price AS price, CASE WHEN p.product_id IS NULL THEN"
        " 'missing_product_id' WHEN row_number() OVER (PARTITION BY p.product_id ORDER BY"
        " c.category ASC NULLS LAST, s.category ASC NULLS LAST, p.name ASC NULLS LAST,"
        " p.brand ASC NULLS LAST, p.price ASC NULLS LAST) > 1 THEN 'key_duplicate' END AS reason"
        f" FROM {products} AS p LEFT JOIN product_categories AS c ON c.raw = p.category"
        " LEFT JOIN product_categories AS s ON s.raw = p.subcategory",
    )
    warehouse.create_view_as(
        "clean_products",
        "SELECT j.product_id AS product_id, j.name AS name, j.category AS category, j.subcategory"
        " AS subcategory, j.brand AS brand, j.price AS price FROM products_judged AS j"
        " WHERE j.reason IS NULL",
    )
    fates: dict[str | None, int] = dict(
        warehouse.rows(
            "SELECT j.reason AS reason, count(*) AS n FROM products_judged AS j GROUP BY j.reason"
        )
    )
    n_kept = fates.pop(None, 0)
    left_out = {str(reason): n for reason, n in fates.items()}
    warehouse.create_view_as(
        QUARANTINE,
        "SELECT "
        + literal(TABLE)
        + " AS table_name, CAST('' AS VARCHAR) AS row_key, j.reason AS reason, count(*) AS n"
        " FROM products_judged AS j WHERE j.reason = 'missing_product_id' GROUP BY j.reason",
    )
    return StepReport(TABLE, n_kept + sum(left_out.values()), n_kept, left_out, {}, QUARANTINE)
