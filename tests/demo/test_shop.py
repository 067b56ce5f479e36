"""The built tables against counts made with pandas from the tables alone."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from connector.demo.rows import TABLES
from connector.demo.shop import build_shop
from connector.errors import SourceError
from tests.demo.conftest import SEED, START, UNTIL, Shop, digests

STAFF = "@northwind-home.example"


def _latest(frame: pd.DataFrame, key: str) -> pd.DataFrame:
    """Exact duplicates reduced to one, then the newest row of each key."""
    distinct = frame.drop_duplicates()
    return distinct.sort_values("updated_at").drop_duplicates(key, keep="last")


def _valid(email: pd.Series) -> pd.Series:
    return (
        email.str.strip().str.lower().str.fullmatch(r"[^@\s]+@[a-z0-9-]+(\.[a-z0-9-]+)+").eq(True)
    )


@pytest.fixture(scope="module")
def customers(shop: Shop) -> pd.DataFrame:
    return _latest(shop.table("customers"), "customer_id").query("not is_test")


@pytest.fixture(scope="module")
def orders(shop: Shop) -> pd.DataFrame:
    return _latest(shop.table("orders"), "order_id")


def test_same_seed_gives_the_same_tables_and_another_seed_does_not(tmp_path):
    for name, seed in (("a", SEED), ("b", SEED), ("c", SEED + 1)):
        build_shop(tmp_path / name, seed=seed, start=START, until=UNTIL, n_customers=300)
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert first == again
    assert all(first[name] != other[name] for name in TABLES)


def test_rows_are_counted(shop):
    summary = shop.summary
    assert len(shop.table("customers")) == summary.n_customer_rows
    assert len(shop.table("orders")) == summary.n_order_rows
    assert len(shop.table("order_items")) == summary.n_item_rows
    assert len(shop.table("products")) == summary.n_products
    assert len(shop.table("consents")) == summary.n_consent_rows
    assert len(shop.table("suppressions")) == summary.n_suppressed


def test_customer_dirt_is_there_in_the_stated_amounts(shop, customers):
    summary, every = shop.summary, shop.table("customers")
    assert every.duplicated().sum() == summary.n_customers_exact_duplicate > 0
    distinct = every.drop_duplicates()
    stale = len(distinct) - distinct.customer_id.nunique()
    assert stale == summary.n_customers_stale_duplicate > 0
    assert every.is_test.sum() == every.email.str.endswith(STAFF).sum() == summary.n_test_accounts
    assert len(customers) == summary.n_customers
    assert customers.email.isna().sum() == summary.n_emails_missing > 0
    valid = _valid(customers.email)
    assert (~valid & customers.email.notna()).sum() == summary.n_emails_invalid > 0
    normal = customers.email[valid].str.strip().str.lower()
    assert (normal != customers.email[valid]).sum() == summary.n_emails_messy > 0
    shared = normal.value_counts()
    homes = shared[(shared > 1) & (shared <= 3)]
    assert len(homes) == summary.n_households > 0
    assert homes.sum() == summary.n_household_customers
    assert shared.filter(like="info@").sum() == summary.n_role_customers > 5
    assert shared.max() == summary.n_crowded_customers > 5


def test_order_dirt_is_there_in_the_stated_amounts(shop, customers, orders):
    summary, every = shop.summary, shop.table("orders")
    assert every.duplicated().sum() == summary.n_orders_exact_duplicate > 0
    distinct = every.drop_duplicates()
    assert len(distinct) - distinct.order_id.nunique() == summary.n_orders_stale_duplicate > 0
    assert (orders.total < 0).sum() == summary.n_orders_negative > 0
    assert (orders.total > 50_000).sum() == summary.n_orders_absurd > 0
    assert orders.customer_id.isna().sum() == summary.n_orders_no_customer > 0
    known = set(shop.table("customers").customer_id)
    strangers = orders.customer_id.notna() & ~orders.customer_id.isin(known)
    assert strangers.sum() == summary.n_orders_unknown_customer > 0
    mine = orders.customer_id.isin(customers.customer_id) & orders.total.between(0, 50_000)
    assert (~mine).sum() == (
        summary.n_orders_negative
        + summary.n_orders_absurd
        + summary.n_orders_no_customer
        + summary.n_orders_unknown_customer
        + summary.n_orders_test
    )
    good = orders[mine & (orders.status != "cancelled")]
    assert (mine & (orders.status == "cancelled")).sum() == summary.n_orders_cancelled > 0
    assert len(good) == summary.n_orders
    assert (good.refunded_total > 0).sum() == summary.n_orders_refunded > 0
    net = (good.total - good.discount_total - good.refunded_total).sum()
    assert Decimal(str(round(net, 2))) == summary.net_revenue


def test_consents_are_as_stated(shop, customers):
    summary, rows = shop.summary, shop.table("consents")
    rows = rows[(rows.purpose == "marketing") & (rows.channel == "email")]
    known = rows.status.isin(["granted", "withdrawn"])
    assert (~known).sum() == summary.n_consents_unknown_word > 0
    rows = rows[known].assign(email=lambda f: f.email.str.strip().str.lower())
    mine = set(customers.email[_valid(customers.email)].str.strip().str.lower())
    assert rows.email.str.startswith("reader").sum() == summary.n_consents_stranger
    last = (
        rows[rows.email.isin(mine)].sort_values("changed_at").drop_duplicates("email", keep="last")
    )
    assert (last.status == "granted").sum() == summary.n_emails_granted
    assert (last.status == "withdrawn").sum() == summary.n_emails_withdrawn
    assert 0.67 < summary.n_emails_granted / len(mine) < 0.75
    # Everybody else never said anything: no record, which must read as no.
    assert summary.n_emails_granted + summary.n_emails_withdrawn < 0.9 * len(mine)


def test_everything_happened_while_the_shop_was_open(shop, customers, orders):
    start, until = pd.Timestamp(START), pd.Timestamp(UNTIL)
    for name, column in (
        ("customers", "created_at"),
        ("customers", "updated_at"),
        ("orders", "updated_at"),
        ("consents", "changed_at"),
        ("suppressions", "added_at"),
    ):
        times = shop.table(name)[column]
        assert times.min() >= start, (name, column)
        assert times.max() < until, (name, column)
    first = orders[orders.total.between(0, 50_000)].groupby("customer_id").created_at.min()
    born = customers.set_index("customer_id").created_at
    both = pd.concat([first.rename("first"), born], axis=1).dropna()
    regular = both["first"] >= both.created_at
    assert regular.all()


def test_an_order_is_worth_its_lines_and_never_refunds_more_than_was_paid(shop, orders):
    items = shop.table("order_items")
    lines = (items.qty * items.unit_price).groupby(items.order_id).sum().round(2)
    placed = orders.set_index("order_id").loc[lines.index]
    assert (placed.total.round(2) == lines).all()
    assert (placed.refunded_total <= placed.total - placed.discount_total).all()
    assert (items.unit_cost < items.unit_price).all()
    assert set(items.sku) <= set(shop.table("products").sku)


def test_no_address_or_number_can_reach_anybody(shop):
    for name in ("customers", "consents", "suppressions"):
        for email in shop.table(name).email.dropna():
            if "@" in email.rstrip("@"):
                assert email.strip().lower().endswith(".example")
    assert shop.table("customers").phone.dropna().str.fullmatch(r"\+999\d{9}").all()


def test_people_differ_as_in_a_gamma_poisson_population(shop, customers, orders):
    """Counts are overdispersed, spending has a heavy tail, shopping peaks in the evening."""
    good = orders[orders.customer_id.isin(customers.customer_id) & orders.total.between(0, 50_000)]
    counts = good.groupby("customer_id").size().reindex(customers.customer_id, fill_value=0)
    assert counts.var() > 2 * counts.mean()
    assert 0.03 < (counts == 0).mean() < 0.12
    logs = np.log(good.total[good.total > 0].astype(float))
    assert 0.6 < logs.std() < 1.2
    assert good.total.mean() > 1.3 * good.total.median()
    berlin = good.created_at.dt.tz_convert("Europe/Berlin")
    assert berlin.dt.hour.value_counts().idxmax() in (19, 20, 21)
    november = berlin[(berlin.dt.month == 11) & (berlin.dt.day >= 21)].dt.date
    october = berlin[(berlin.dt.month == 10) & (berlin.dt.day >= 21)].dt.date
    assert len(november) / 10 > 1.3 * len(october) / 11


def test_titles_and_places_are_not_all_ascii(shop):
    assert any(not title.isascii() for title in shop.table("products").title)
    cities = shop.table("customers").city
    assert {"München", "Łódź", "Málaga"} <= set(cities)
    assert all(re.search(r"\S", city) for city in cities)


def test_an_existing_file_is_left_alone(tmp_path):
    path = tmp_path / "shop.duckdb"
    path.write_text("mine")
    with pytest.raises(SourceError, match="exists"):
        build_shop(path, seed=1, start=START, until=UNTIL, n_customers=300)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(("n", "until"), [(199, UNTIL), (300, START)])
def test_impossible_shops_are_refused(tmp_path, n, until):
    with pytest.raises(ValueError, match="demo shop"):
        build_shop(tmp_path / "x", seed=1, start=START, until=until, n_customers=n)
