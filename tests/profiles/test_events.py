"""Events, tickets, interactions and bookings: what is kept, what is set aside, and why."""

from datetime import timedelta

import pyarrow as pa
import pytest

from connector.profiles.events import EventsSpec, clean_events
from connector.tables import TABLES
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.features.world import NOW, ago, event, order, prepare, properties, shop
from tests.profiles.tables import AS_OF


def cleaned(events, *, spec=None, **tables):
    """Clean events by id, and the report."""
    with DuckDBWarehouse() as warehouse:
        reports = prepare(warehouse, shop(events=events, **tables), events=spec)
        names = list(warehouse.columns("clean_events"))
        rows = warehouse.rows("SELECT * FROM clean_events AS e")
        aside = warehouse.rows("SELECT q.row_key, q.reason, q.n FROM quarantined_events AS q")
    report = next(r for r in reports if r.table == "events")
    return (
        {r[names.index("event_id")]: dict(zip(names, r, strict=True)) for r in rows},
        report,
        aside,
    )


def test_each_row_has_one_fate():
    rows = [
        event(1, "Product Viewed", 1),
        event(2, "Product Viewed", 1),
        event(2, "Product Viewed", 1),
        event(3, "Page Viewed", 1),
        event(3, "Product Viewed", 1),
        event(4, "Page Viewed", 0),
        event(5, "Page Viewed", -2),
        event(6, "Page Viewed", 1, "nobody"),
        event(7, "Page Viewed", 1, None, anonymous_id="device"),
        event(8, "Page Viewed", 1, None),
        event(None, "Page Viewed", 1) | {"event_id": None},
        event(9, "Page Viewed", 1) | {"occurred_at": None},
        event(10, "Page Viewed", 1, duration_s=-1.0),
        event(11, "Page Viewed", 1, duration_s=90_000.0),
        event(12, "Page Viewed", 1) | {"occurred_at": NOW.replace(year=1970)},
        event(13, "Page Viewed", 1, "2"),
    ]
    people = [
        {"customer_id": "1", "created_at": ago(900)},
        {"customer_id": "2", "created_at": NOW + timedelta(days=1)},
    ]
    found, report, aside = cleaned(rows, customers=people)
    assert set(found) == {"1", "2", "3"}
    assert report.left_out == {
        "after_as_of": 2,
        "anonymous": 1,
        "customer_after_as_of": 1,
        "exact_duplicate": 1,
        "impossible_duration": 1,
        "impossible_time": 1,
        "key_duplicate": 1,
        "missing_customer": 1,
        "missing_event_id": 1,
        "missing_occurred_at": 1,
        "negative_duration": 1,
        "unknown_customer": 1,
    }
    assert {reason for _, reason, _ in aside} == {
        *("impossible_duration", "impossible_time", "missing_customer", "missing_event_id"),
        *("missing_occurred_at", "negative_duration", "unknown_customer"),
    }


def test_names_of_events_mean_what_the_words_say():
    names = ["Product Viewed", " product viewed ", "PRODUCT VIEWED", "view_item", "Email Opened"]
    rows = [event(i, name, 1) for i, name in enumerate(names)]
    found, *_ = cleaned(rows)
    assert [found[str(i)]["meaning"] for i in range(5)] == [
        *["product_view"] * 3,
        None,
        "email_open",
    ]
    own, *_ = cleaned(rows, spec=EventsSpec(words={"product_view": ("View_Item",)}))
    assert [own[str(i)]["meaning"] for i in range(5)] == [None, None, None, "product_view", None]


def test_categories_are_the_events_own_or_the_products():
    products = [{"product_id": "a", "category": "Home_Garden"}]
    rows = [
        event(1, "Product Viewed", 1, product_id="a"),
        event(2, "Product Viewed", 1, product_id="a", category="LAMPS "),
        event(3, "Product List Viewed", 1, category="sofas"),
        event(4, "Product Viewed", 1, product_id="unknown"),
    ]
    found, *_ = cleaned(rows, products=products, spec=EventsSpec(aliases={"sofas": "Couches"}))
    assert [found[str(i)]["category"] for i in range(1, 5)] == [
        *("home garden", "lamps", "couches", None)
    ]


def test_columns_may_be_looked_up_in_the_properties():
    rows = [
        event(
            1,
            "Product Viewed",
            1,
            properties=properties(product_id="a", duration_s=12.5, category="Lamps"),
        ),
        event(2, "Product Viewed", 1, properties=properties(other=1)),
        event(3, "Product Viewed", 1),
    ]
    spec = EventsSpec(from_properties=("product_id", "duration_s", "category", "event_id"))
    found, *_ = cleaned(rows, spec=spec)
    assert [found[str(i)]["product_id"] for i in (1, 2, 3)] == ["a", None, None]
    assert found["1"]["duration_s"] == 12.5
    assert found["1"]["category"] == "lamps"


def test_a_visit_without_an_id_ends_after_half_an_hour_of_silence():
    minutes = [300, 271, 240, 209, 200]
    rows = [event(i, "Page Viewed", m / 1440) for i, m in enumerate(minutes)]
    rows += [event("mail", "Email Opened", 0.1), event("own", "Page Viewed", 0.2, session_id="s")]
    rows += [event("other", "Page Viewed", 300 / 1440, "2")]
    found, *_ = cleaned(rows)
    visits = [found[str(i)]["session_id"] for i in range(5)]
    # 29 minutes, 31, 31, 9.
    assert visits[0] == visits[1] != visits[2] != visits[3] == visits[4]
    assert found["mail"]["session_id"] is None
    assert found["own"]["session_id"] == "s"
    assert found["other"]["session_id"] not in visits


def test_whose_device_it_was_may_be_told_from_outside():
    """The seam for stitching anonymous events: a relation of devices and their owners."""
    rows = [
        event(1, "Page Viewed", 1, "1", anonymous_id="hers"),
        event(2, "Page Viewed", 1, None, anonymous_id="hers"),
        event(3, "Page Viewed", 1, None, anonymous_id="nobody's"),
        event(4, "Page Viewed", 1, "2", anonymous_id="hers"),
    ]
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, shop(events=rows))
        owner = dict(
            warehouse.rows("SELECT c.customer_id, c.profile_id FROM profile_customers AS c")
        )
        links = {"anonymous_id": ["hers"], "profile_id": [owner["1"]], "linked_at": [ago(1)]}
        warehouse.load("links", pa.table(links))
        report = clean_events(warehouse, EventsSpec(links="links"), as_of=AS_OF)
        found = dict(warehouse.rows("SELECT e.event_id, e.profile_id FROM clean_events AS e"))
    assert found == {"1": owner["1"], "2": owner["1"], "4": owner["2"]}
    assert report.left_out["anonymous"] == 1


@pytest.mark.parametrize(
    ("table", "rows", "left_out", "kept"),
    [
        (
            "tickets",
            [
                {"ticket_id": "1", "opened_at": ago(5)},
                {"ticket_id": "2", "opened_at": ago(5), "closed_at": ago(9)},
                {"ticket_id": "3", "opened_at": ago(0)},
            ],
            {"closed_before_opened": 1, "after_as_of": 1},
            {"1"},
        ),
        (
            "social",
            [
                {"interaction_id": "1", "occurred_at": ago(5), "sentiment": -1.0},
                {"interaction_id": "2", "occurred_at": ago(5), "sentiment": -40.0},
            ],
            {"impossible_sentiment": 1},
            {"1"},
        ),
        (
            "loyalty",
            [
                {"entry_id": "1", "occurred_at": ago(5), "points": -5.0},
                {"entry_id": "2", "occurred_at": ago(5), "customer_id": "stranger"},
            ],
            {"unknown_customer": 1},
            {"1"},
        ),
    ],
)
def test_the_other_tables_are_cleaned_alike(table, rows, left_out, kept):
    rows = [{"customer_id": "1"} | row for row in rows]
    people = [{"customer_id": "1", "created_at": ago(900)}]
    with DuckDBWarehouse() as warehouse:
        reports = prepare(warehouse, {"customers": people, "orders": [], table: rows})
        (key,) = TABLES[table].key
        found = {k for (k,) in warehouse.rows(f"SELECT t.{key} FROM clean_{table} AS t")}
    report = next(r for r in reports if r.table == table)
    assert {k: n for k, n in report.left_out.items() if n} == left_out
    assert found == kept


def test_a_ticket_stands_as_it_stood_at_the_instant():
    closed = {"closed_at": NOW + timedelta(hours=1), "satisfaction": 5.0}
    ticket = {"ticket_id": "1", "customer_id": "1", "opened_at": ago(1)} | closed
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, shop(tickets=[ticket]))
        assert warehouse.rows("SELECT t.closed_at, t.satisfaction FROM clean_tickets AS t") == [
            (None, None)
        ]


def test_lines_of_orders_carry_their_time_and_category():
    tables = shop(
        orders=[order(1, 3), order(2, 4, -5)],
        order_items=[
            {"order_id": str(i), "product_id": "a", "quantity": 1.0, "price": 1} for i in (1, 2)
        ],
        products=[{"product_id": "a", "category": "Lamps", "subcategory": "Desk-Lamps"}],
    )
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, tables)
        found = warehouse.rows(
            "SELECT i.order_id, i.ordered_at, i.is_return, i.category, i.subcategory"
            " FROM clean_items AS i ORDER BY i.order_id ASC"
        )
    assert found == [
        ("1", ago(3), False, "lamps", "desk lamps"),
        ("2", ago(4), True, "lamps", "desk lamps"),
    ]
