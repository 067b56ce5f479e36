import collections
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import ConfigError, SchemaError, SourceError
from connector.sources.mapping import map_table
from connector.sources.spec import Dedupe, Freshness, TableSpec
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import shared_data, utc

ORDERS = {"order_id": "id", "customer_id": "who", "ordered_at": "at", "gross": "total"}


def warehouse_with(**tables: pa.Table) -> DuckDBWarehouse:
    warehouse = DuckDBWarehouse()
    for name, table in tables.items():
        warehouse.load(name, table)
    return warehouse


def read_back(column: str, values: list[object], *, to: str, timezone: str = "UTC"):
    """Map one column and return (kept values by position, unreadable count)."""
    rows = pa.table(
        {
            "id": [str(i) for i in range(len(values))],
            "who": ["c"] * len(values),
            "at": pa.array([utc(2025, 1, 1)] * len(values)),
            "total": [1] * len(values),
            "raw": values,
        }
    )
    with warehouse_with(shop=rows) as warehouse:
        spec = TableSpec("orders", "shop", {**ORDERS, column: "raw"})
        report = map_table(warehouse, spec, timezone=timezone)
        assert report.n_accounted == report.n_source == len(values)
        kept = dict(warehouse.rows(f"SELECT x.order_id, x.{to} FROM in_orders AS x"))
        return kept, report.n_quarantined.get(f"unreadable_{column}", 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-03-01", utc(2025, 2, 28, 23)),
        ("2025-07-01 08:30", utc(2025, 7, 1, 6, 30)),
        ("2025-07-01T08:30:15.25", utc(2025, 7, 1, 6, 30, 15, 250000)),
        ("2025-07-01T08:30:00Z", utc(2025, 7, 1, 8, 30)),
        ("2025-07-01 08:30:00+02", utc(2025, 7, 1, 6, 30)),
        ("2025-07-01T08:30:00-05:30", utc(2025, 7, 1, 14, 0)),
        ("2024-02-29 00:00:00+00:00", utc(2024, 2, 29)),
        ("  2025-07-01  ", utc(2025, 6, 30, 22)),
        ("", None),
        ("   ", None),
    ],
)
def test_times_in_text_become_utc(text, expected):
    kept, unreadable = read_back("ordered_at", [text], to="ordered_at", timezone="Europe/Berlin")
    assert (kept, unreadable) == ({"0": expected}, 0)


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2025-02-29", "2025-13-01", "2025-04-31", "01.02.2025", "2025-01-01 25:00", "x"],
)
def test_unreadable_times_are_set_aside(text):
    assert read_back("ordered_at", [text], to="ordered_at") == ({}, 1)


@given(st.lists(st.tuples(st.integers(1990, 2030), st.integers(0, 13), st.integers(0, 32))))
@settings(max_examples=15, deadline=None)
def test_a_day_is_read_exactly_when_the_calendar_has_it(days):
    expected, texts = {}, []
    for i, (y, m, d) in enumerate(days):
        texts.append(f"{y:04}-{m:02}-{d:02}")
        try:
            expected[str(i)] = utc(y, m, d)
        except ValueError:
            continue
    column = pa.array(texts, pa.string())
    kept, unreadable = read_back("ordered_at", column, to="ordered_at")
    assert kept == expected
    assert unreadable == len(days) - len(expected)


@given(st.lists(st.text(max_size=25), max_size=20), st.sampled_from(["ordered_at", "gross"]))
@settings(max_examples=20, deadline=None)
def test_no_text_stops_the_mapping(texts, column):
    kept, unreadable = read_back(column, pa.array(texts, pa.string()), to=column)
    assert len(kept) + unreadable == len(texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12.345", Decimal("12.35")),
        ("-0.1", Decimal("-0.10")),
        ("1e3", Decimal("1000.00")),
        ("123456789012345.67", Decimal("123456789012345.67")),
        (".5", Decimal("0.50")),
    ],
)
def test_money_in_text(text, expected):
    assert read_back("gross", [text], to="gross") == ({"0": expected}, 0)


@pytest.mark.parametrize("text", ["1,50", "EUR 5", "nan", "inf", "1e40", "--1"])
def test_unreadable_money_is_set_aside(text):
    assert read_back("gross", [text], to="gross") == ({}, 1)


def test_money_that_is_no_number_in_a_float_column_is_set_aside():
    kept, unreadable = read_back("gross", [1.5, float("nan"), float("inf"), 1e30], to="gross")
    assert (kept, unreadable) == ({"0": Decimal("1.50")}, 3)


def test_truth_in_words_and_numbers():
    kept, unreadable = read_back("is_return", ["Yes", "0", "false", "T", "maybe"], to="is_return")
    assert kept == {"0": True, "1": False, "2": False, "3": True}
    assert unreadable == 1
    kept, unreadable = read_back("is_return", [1, 0, 7], to="is_return")
    assert (kept, unreadable) == ({"0": True, "1": False}, 1)


@given(st.lists(st.datetimes(utc(1980, 1, 1), utc(2035, 1, 1)), max_size=20))
@settings(max_examples=10, deadline=None)
def test_wall_clock_times_are_read_in_the_shops_zone(moments):
    berlin = ZoneInfo("Europe/Berlin")
    # An hour that the clock shows twice has two answers, and one that it skips has none.
    moments = [
        m
        for m in moments
        if m.replace(tzinfo=berlin).utcoffset() == m.replace(tzinfo=berlin, fold=1).utcoffset()
    ]
    expected = {
        str(i): m.replace(tzinfo=berlin).astimezone(UTC).replace(tzinfo=None)
        for i, m in enumerate(moments)
    }
    column = pa.array(moments, pa.timestamp("us"))
    kept, _ = read_back("ordered_at", column, to="ordered_at", timezone="Europe/Berlin")
    assert kept == expected


def test_times_with_a_zone_keep_their_instant():
    column = pa.array([datetime(2025, 7, 1, 12, tzinfo=UTC)], pa.timestamp("us", "Asia/Tokyo"))
    kept, _ = read_back("ordered_at", column, to="ordered_at", timezone="Europe/Berlin")
    assert kept == {"0": utc(2025, 7, 1, 12)}


def test_days_begin_at_midnight_of_the_shop():
    column = pa.array([date(2025, 1, 15)])
    kept, _ = read_back("ordered_at", column, to="ordered_at", timezone="America/New_York")
    assert kept == {"0": utc(2025, 1, 15, 5)}


def test_ids_that_became_floats_lose_the_point():
    kept, _ = read_back("customer_id", [17850.0, None, 1.5, -3.0], to="customer_id")
    assert kept == {"0": "17850", "1": None, "2": "1.5", "3": "-3"}


def test_a_number_is_no_time():
    with pytest.raises(SchemaError, match=r"ordered_at has the type BIGINT"):
        read_back("ordered_at", [1], to="ordered_at")


def test_extra_columns_are_carried_along_and_unmapped_ones_are_null():
    rows = pa.table({"id": ["1"], "mail": ["a@x.de"], "tier": [3]})
    with warehouse_with(shop=rows) as warehouse:
        columns = {"customer_id": "id", "email": "mail", "tier": "tier"}
        map_table(warehouse, TableSpec("customers", "shop", columns), timezone="UTC")
        assert warehouse.rows("SELECT x.email, x.tier, x.country FROM in_customers AS x") == [
            ("a@x.de", 3, None)
        ]
        assert warehouse.columns("in_customers")["created_at"] == "TIMESTAMP"


LINES = st.lists(
    st.tuples(
        st.sampled_from(["i1", "i2", "i3", "i4"]),
        st.integers(-2, 3),
        st.sampled_from(["paid", "void", None]),
    ),
    max_size=30,
)


@given(LINES, st.booleans(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_every_row_has_exactly_one_fate(lines, dedupe, grouped):
    """Against the same rules written in plain Python."""
    rows = pa.table(
        {
            "id": pa.array([line[0] for line in lines], pa.string()),
            "who": ["c"] * len(lines),
            "at": pa.array([utc(2025, 1, 1)] * len(lines), pa.timestamp("us")),
            "total": pa.array([line[1] for line in lines], pa.int64()),
            "state": pa.array([line[2] for line in lines], pa.string()),
        }
    )
    columns = ORDERS
    if grouped:
        columns = {"order_id": "id", "customer_id": "max(who)", "ordered_at": "min(at)"}
        columns |= {"gross": "sum(total)"}
    spec = TableSpec(
        "orders",
        "shop",
        columns,
        dedupe=Dedupe.EXACT if dedupe else Dedupe.KEEP,
        filter="state <> 'void'",
        quarantine={"negative": "total < 0", "zero": "total <= 0"},
        group_by=("id",) if grouped else (),
    )
    left = list(set(lines)) if dedupe else list(lines)
    part = [line for line in left if line[2] not in ("void", None)]
    good = [line for line in part if line[1] > 0]
    reasons = collections.Counter("negative" if x[1] < 0 else "zero" for x in part if x[1] <= 0)
    with warehouse_with(shop=rows) as warehouse:
        report = map_table(warehouse, spec, timezone="UTC")
        kept = warehouse.rows("SELECT x.order_id, x.gross FROM in_orders AS x")
        (quarantined,) = warehouse.rows(
            "SELECT coalesce(sum(q.n), 0) AS n FROM quarantined_in_orders AS q"
        )[0]
    assert report.n_source == report.n_accounted == len(lines)
    assert report.n_duplicates == len(lines) - len(left)
    assert report.n_filtered == len(left) - len(part)
    assert report.n_quarantined == dict(reasons)
    assert quarantined == sum(reasons.values())
    if grouped:
        totals = collections.Counter()
        for name, total, _ in good:
            totals[name] += total
        assert dict(kept) == totals
        assert report.n_folded == len(good) - len(totals)
    else:
        assert collections.Counter(kept) == collections.Counter((g[0], g[1]) for g in good)


def test_a_missing_column_is_answered_with_the_ones_there_are():
    with warehouse_with(shop=pa.table({"id": ["1"], "e_mail": ["x"]})) as warehouse:
        columns = {"customer_id": "id", "email": "lower(email)"}
        with pytest.raises(SchemaError, match=r"no column 'email'") as caught:
            map_table(warehouse, TableSpec("customers", "shop", columns), timezone="UTC")
    assert "Did you mean 'e_mail'?" in caught.value.hint
    assert "id, e_mail" in caught.value.hint


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"email": "id"}, SchemaError, "needs the column.* customer_id"),
        ({"customer_id": "max(id)"}, ConfigError, "aggregate"),
        ({"customer_id": "id; drop table x"}, ConfigError, "semicolon"),
        ({"customer_id": "read_text(id)"}, ConfigError, "read_text"),
    ],
)
def test_impossible_mappings_are_refused(columns, error, words):
    with (
        warehouse_with(shop=pa.table({"id": ["1"]})) as warehouse,
        pytest.raises(error, match=words),
    ):
        map_table(warehouse, TableSpec("customers", "shop", columns), timezone="UTC")


def test_a_bare_column_beside_a_group_is_refused():
    with warehouse_with(shop=pa.table({"id": ["1"], "mail": ["x"]})) as warehouse:
        spec = TableSpec(
            "customers", "shop", {"customer_id": "id", "email": "mail"}, group_by=("id",)
        )
        with pytest.raises(SchemaError, match="many values in one group"):
            map_table(warehouse, spec, timezone="UTC")


def test_a_missing_relation_is_a_source_error():
    with DuckDBWarehouse() as warehouse, pytest.raises(SourceError, match="does not exist"):
        map_table(warehouse, TableSpec("customers", "shop.x", {"customer_id": "a"}), timezone="UTC")


def test_column_names_may_hold_blanks_and_other_letter_cases():
    rows = pa.table({"Customer ID": ["1"], "E-Mail": ["a@x.de"]})
    with warehouse_with(shop=rows) as warehouse:
        columns = {"customer_id": "customer id", "email": "E-Mail"}
        map_table(warehouse, TableSpec("customers", "shop", columns), timezone="UTC")
        assert warehouse.rows("SELECT x.customer_id, x.email FROM in_customers AS x") == [
            ("1", "a@x.de")
        ]


def test_the_quarantine_holds_no_address():
    rows = pa.table({"who": ["a@x.de"], "x": ["marketing"]})
    spec = TableSpec(
        "consents",
        "shop",
        {"person": "who", "purpose": "x", "channel": "x", "status": "x", "at": "'2025-01-01'"},
        quarantine={"odd": "x = 'marketing'"},
    )
    with warehouse_with(shop=rows) as warehouse:
        assert map_table(warehouse, spec, timezone="UTC").n_quarantined == {"odd": 1}
        ((key,),) = warehouse.rows("SELECT q.row_key FROM quarantined_in_consents AS q")
    assert key.startswith("md5:")


def test_a_consent_with_an_unreadable_time_stays_because_it_may_be_a_withdrawal():
    rows = pa.table({"who": ["a@x.de"], "x": ["no"], "at": ["last tuesday"]})
    columns = {"person": "who", "purpose": "x", "channel": "x", "status": "x", "at": "at"}
    with warehouse_with(shop=rows) as warehouse:
        report = map_table(warehouse, TableSpec("consents", "shop", columns), timezone="UTC")
        assert (report.n_kept, report.n_quarantined) == (1, {})
        assert warehouse.rows("SELECT c.status, c.at FROM in_consents AS c") == [("no", None)]


def test_the_freshest_time_may_be_of_an_unmapped_column():
    changed = [utc(2025, 6, 1, 12), utc(2025, 6, 2, 12)]
    rows = pa.table({"id": ["1", "2"], "changed": changed})
    spec = TableSpec(
        "customers",
        "shop",
        {"customer_id": "id"},
        freshness=Freshness("changed", warn_after=timedelta(hours=1)),
    )
    with warehouse_with(shop=rows) as warehouse:
        report = map_table(warehouse, spec, timezone="Europe/Berlin")
    assert report.freshest == datetime(2025, 6, 2, 10, tzinfo=UTC)


@pytest.mark.data
def test_online_retail_is_as_dirty_as_its_donors_say():
    """The counts are those of the data set's own description."""
    path = shared_data("online_retail", "online_retail_2010_2011.parquet")
    columns = {
        "order_id": "InvoiceNo",
        "customer_id": "max(CustomerID)",
        "ordered_at": "min(InvoiceDate)",
        "gross": "sum(Quantity * UnitPrice)",
        "is_return": "InvoiceNo like 'C%'",
    }
    with DuckDBWarehouse() as warehouse:
        warehouse.attach_parquet("lines", str(path))
        report = map_table(
            warehouse,
            TableSpec("orders", "lines", columns, group_by=("InvoiceNo",), dedupe=Dedupe.EXACT),
            timezone="Europe/London",
        )
        assert (report.n_source, report.n_duplicates, report.n_kept) == (541_909, 5_268, 25_900)
        quarantine = {"price": "UnitPrice <= 0"}
        report = map_table(
            warehouse,
            TableSpec("orders", "lines", columns, group_by=("InvoiceNo",), quarantine=quarantine),
            timezone="Europe/London",
        )
        assert report.n_quarantined == {"price": 2_517}
        without = TableSpec("orders", "lines", columns, group_by=("InvoiceNo",))
        map_table(warehouse, without, timezone="Europe/London")
        (returns, revenue) = warehouse.rows(
            "SELECT count(CASE WHEN o.is_return THEN 1 END) AS n, sum(o.gross) AS s"
            " FROM in_orders AS o"
        )[0]
    assert returns == 3_836
    # Invoices are rounded to cents one by one, so the sum may be off by fractions of a unit.
    assert float(revenue) == pytest.approx(9_747_747.93, abs=1)


def test_a_column_that_differs_by_capitals_only_is_mapped() -> None:
    rows = pa.table({"InvoiceNo": ["a"], "sku": ["p"], "Quantity": [2.0], "Price": [3]})
    columns = {
        "order_id": "InvoiceNo",
        "product_id": "sku",
        "quantity": "Quantity",
        "price": "Price",
    }
    spec = TableSpec("order_items", "lines", columns, dedupe=Dedupe.EXACT)
    with warehouse_with(lines=rows) as warehouse:
        assert map_table(warehouse, spec, timezone="UTC").n_kept == 1
        found = warehouse.rows("SELECT i.quantity AS q, i.price AS p FROM in_order_items AS i")
        assert found == [(2.0, Decimal("3.00"))]
