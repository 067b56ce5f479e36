"""Categories under one spelling, and one row a product."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.profiles.products import canonical_category, clean_products
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import put


@pytest.mark.parametrize(
    ("spellings", "one"),
    [
        (["Home & Garden", " home&garden", "HOME & GARDEN", "Home_&_Garden"], "home & garden"),
        (
            ["Bath-Towels", "bath towels", "Bath_Towels ", "BATH  TOWELS", "bath—towels"],
            "bath towels",
        ),
        (
            ["Home > Lamps", "home/lamps", "HOME | Lamps", "Home::Lamps", "Home >> Lamps/"],
            "home > lamps",
        ),
        (["STRASSE", "Straße", "straße"], "strasse"),
        (["Cafe\u0301", "café", "CAFÉ"], "café"),
        (["\uff2c\uff21\uff30\uff34\uff2f\uff30\uff33", "Laptops\u00a0"], "laptops"),
        (["", "  ", "-", " / ", None], None),
    ],
)
def test_spellings_of_one_category_are_one(spellings, one):
    assert {canonical_category(text) for text in spellings} == {one}


def test_different_categories_stay_different():
    texts = [
        "lamps",
        "lamp",
        "home > lamps",
        "lamps > home",
        "c",
        "c++",
        "c#",
        "3d",
        "3.5",
        "35",
        "3 d",
    ]
    assert len({canonical_category(text) for text in texts}) == len(texts)


def test_aliases_are_spelled_in_any_way_and_not_followed():
    aliases = {"Note-Books": "LAPTOPS", "laptops": "Computers > Laptops"}
    assert canonical_category("notebooks", aliases) == "notebooks"
    assert canonical_category("note_books", aliases) == "laptops"
    assert canonical_category(" Laptops", aliases) == "computers > laptops"


@given(st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_the_one_spelling_stays_as_it_is(text):
    once = canonical_category(text)
    assert canonical_category(once) == once


ROWS = [
    {"product_id": "a", "category": "Home & Garden", "subcategory": "LAMPS"},
    {"product_id": "b", "category": "home_&_garden"},
    {"product_id": "b", "category": "Zoo"},
    {"product_id": "c", "category": "Sofas"},
    {"category": "nobody's"},
]


@pytest.mark.parametrize("rows", [ROWS, ROWS[::-1]], ids=["as listed", "backwards"])
def test_one_row_a_product_whatever_the_order(rows):
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "products", rows)
        report = clean_products(warehouse, aliases={"sofas": "couches"})
        found = warehouse.rows(
            "SELECT p.product_id, p.category, p.subcategory FROM clean_products AS p"
            " ORDER BY p.product_id ASC"
        )
        aside = warehouse.rows("SELECT q.reason, q.n FROM quarantined_products AS q")
    assert found == [
        ("a", "home & garden", "lamps"),
        ("b", "home & garden", None),
        ("c", "couches", None),
    ]
    assert report.left_out == {"key_duplicate": 1, "missing_product_id": 1}
    assert report.n_accounted == report.n_in == 5
    assert aside == [("missing_product_id", 1)]


def test_a_shop_without_products_has_none():
    with DuckDBWarehouse() as warehouse:
        assert clean_products(warehouse).n_in == 0
        assert warehouse.rows("SELECT * FROM clean_products AS p") == []
