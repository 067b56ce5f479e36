"""Build the demo shop: a DuckDB database of dirty, realistic tables, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from connector.demo.addresses import STAFF_DOMAIN, draw_addresses
from connector.demo.catalogue import Catalogue, catalogue
from connector.demo.changes import insert
from connector.demo.dirt import soil_customers, soil_orders
from connector.demo.orders import Orders, fill_orders
from connector.demo.people import (
    People,
    draw_people,
    draw_purchases,
    first_purchases,
)
from connector.demo.permissions import draw_consents, soil_consents
from connector.demo.rows import (
    DDL,
    customer_id,
    customer_rows,
    item_rows,
    order_rows,
    pending_rows,
    product_rows,
)
from connector.demo.season import DAY_S, Season, Seconds, season, seconds
from connector.demo.streams import stream
from connector.errors import SourceError

N_TEST_ACCOUNTS = 12
_SUPPRESSED_SHARE = 0.002
_SUPPRESSION_REASONS = ("hard_bounce", "complaint", "requested")


@dataclass(frozen=True, slots=True)
class ShopSummary:
    """What was built, and how much of each kind of dirt is in it.

    Attributes:
        n_customers: Customers, without test accounts and without repeated rows.
        n_customer_rows: Rows of ``customers``.
        n_test_accounts: Accounts of the shop's own people.
        n_customers_exact_duplicate: Customer rows that repeat another one in every column.
        n_customers_stale_duplicate: Older states of a customer that is there in a newer state.
        n_emails_missing: Customers without an e-mail address.
        n_emails_invalid: Customers with an address that is none.
        n_emails_messy: Customers with capitals or spaces around a valid address.
        n_households: Addresses that two or three customers share.
        n_household_customers: Customers who share them.
        n_role_customers: Customers who use one role address (``info@``).
        n_crowded_customers: Customers who use one address that more share than any household has.
        n_order_rows: Rows of ``orders``.
        n_orders: Orders of customers that are neither dirt nor cancelled.
        net_revenue: Their goods less discounts and refunds, in the shop's currency.
        n_orders_cancelled: Cancelled orders of customers.
        n_orders_refunded: Orders of customers with a refund that shows.
        n_orders_test: Orders of test accounts.
        n_orders_exact_duplicate: Order rows that repeat another one in every column.
        n_orders_stale_duplicate: Older states of an order that is there in a newer state.
        n_orders_negative: Orders with a negative total.
        n_orders_absurd: Orders with a total of 999,999.00.
        n_orders_no_customer: Orders without a customer id.
        n_orders_unknown_customer: Orders of a customer id that is not in ``customers``.
        n_item_rows: Rows of ``order_items``.
        n_products: Rows of ``products``.
        n_consent_rows: Rows of ``consents``.
        n_emails_granted: Customers' addresses whose last word on marketing by e-mail is yes.
        n_emails_withdrawn: Customers' addresses whose last word is no.
        n_consents_unknown_word: Consent rows with a status that means neither.
        n_consents_stranger: Consent rows of addresses that belong to no customer.
        n_suppressed: Rows of ``suppressions``.
    """

    n_customers: int
    n_customer_rows: int
    n_test_accounts: int
    n_customers_exact_duplicate: int
    n_customers_stale_duplicate: int
    n_emails_missing: int
    n_emails_invalid: int
    n_emails_messy: int
    n_households: int
    n_household_customers: int
    n_role_customers: int
    n_crowded_customers: int
    n_order_rows: int
    n_orders: int
    net_revenue: Decimal
    n_orders_cancelled: int
    n_orders_refunded: int
    n_orders_test: int
    n_orders_exact_duplicate: int
    n_orders_stale_duplicate: int
    n_orders_negative: int
    n_orders_absurd: int
    n_orders_no_customer: int
    n_orders_unknown_customer: int
    n_item_rows: int
    n_products: int
    n_consent_rows: int
    n_emails_granted: int
    n_emails_withdrawn: int
    n_consents_unknown_word: int
    n_consents_stranger: int
    n_suppressed: int


def build_shop(
    path: Path, *, seed: int, start: datetime, until: datetime, n_customers: int = 20_000
) -> ShopSummary:
    """Write the shop's history between two instants as a new DuckDB database.

    Args:
        path: The database file; its folder exists.
        seed: Not negative; the same seed gives the same tables.
        start: When the shop opened; aware.
        until: Everything in the tables happened before this instant; aware.
        n_customers: At least 200, so that every kind of dirt fits in.

    Raises:
        SourceError: There is a file already.
        ValueError: ``n_customers`` is too small, or the shop closes before it opens.
    """
    if path.exists():
        raise SourceError(f"{path} exists already.", hint="Delete it, or choose another folder.")
    if n_customers < 200 or until <= start:
        raise ValueError("the demo shop needs at least 200 customers and until > start")
    start_s, until_s = seconds(start), seconds(until)
    when = season(start, until)
    goods = catalogue(stream(seed, "catalogue"))
    people = draw_people(stream(seed, "people"), when, n_customers, 0, start_s, until_s)
    orders = _history(seed, "orders", people, goods, when, (start_s, until_s), 0)
    staff = draw_people(stream(seed, "staff"), when, N_TEST_ACCOUNTS, n_customers, start_s, until_s)
    staff_orders = _history(
        seed, "staff orders", staff, goods, when, (start_s, until_s), len(orders)
    )
    # One fault a row: an order of a test account is not cancelled as well.
    staff_orders = replace(staff_orders, cancelled=np.zeros(len(staff_orders), dtype=np.bool_))

    addresses = draw_addresses(stream(seed, "addresses"), n_customers)
    staff_emails: list[str | None] = [f"test{i:03d}@{STAFF_DOMAIN}" for i in range(N_TEST_ACCOUNTS)]
    clean_customers = customer_rows(
        stream(seed, "customers"),
        people,
        addresses.typed,
        _last_change(people, orders, until_s),
        is_test=False,
    )
    staff_rows = customer_rows(
        stream(seed, "staff customers"),
        staff,
        staff_emails,
        _last_change(staff, staff_orders, until_s),
        is_test=True,
    )
    customer_dirt = soil_customers(stream(seed, "customer dirt"), clean_customers)

    ids = [customer_id(number) for number in people.number.tolist()]
    staff_ids = [customer_id(number) for number in staff.number.tolist()]
    clean_orders = order_rows(orders, ids, until_s)
    next_order = len(orders) + len(staff_orders)
    order_dirt = soil_orders(stream(seed, "order dirt"), clean_orders, next_order)
    consents = draw_consents(
        stream(seed, "consents"),
        [*addresses.normalised, *staff_emails],
        np.concatenate([people.born_s, staff.born_s]),
        until_s,
    )
    consent_dirt = soil_consents(stream(seed, "consent dirt"), consents.silent, until_s)
    granted, withdrawn = (
        [email for email in said if not email.endswith(STAFF_DOMAIN)]
        for said in (consents.granted, consents.withdrawn)
    )
    suppressions = _suppressions(seed, granted, start_s, until_s)

    tables = {
        "customers": pa.concat_tables([clean_customers, staff_rows, customer_dirt.rows]),
        "orders": pa.concat_tables(
            [clean_orders, order_rows(staff_orders, staff_ids, until_s), order_dirt.rows]
        ),
        "order_items": pa.concat_tables([item_rows(orders, goods), item_rows(staff_orders, goods)]),
        "products": product_rows(goods),
        "consents": pa.concat_tables([consents.rows, consent_dirt.rows]),
        "suppressions": suppressions,
        "simulator.people": people_rows(people),
        "simulator.pending_refunds": pending_rows(orders, until_s),
        "simulator.clock": clock_rows(
            seed,
            until_s,
            next_customer=n_customers + N_TEST_ACCOUNTS,
            next_order=next_order + order_dirt.n_invented,
            arrivals_per_day=n_customers * DAY_S / (until_s - start_s),
        ),
    }
    with duckdb.connect(str(path)) as connection:
        connection.execute(DDL)
        for name, batch in tables.items():
            insert(connection, name, batch)

    return ShopSummary(
        n_customers=n_customers,
        n_customer_rows=tables["customers"].num_rows,
        n_test_accounts=N_TEST_ACCOUNTS,
        n_customers_exact_duplicate=customer_dirt.n_exact,
        n_customers_stale_duplicate=customer_dirt.n_stale,
        n_emails_missing=addresses.n_missing,
        n_emails_invalid=addresses.n_invalid,
        n_emails_messy=addresses.n_messy,
        n_households=addresses.n_households,
        n_household_customers=addresses.n_household_customers,
        n_role_customers=addresses.n_role_customers,
        n_crowded_customers=addresses.n_crowded_customers,
        n_order_rows=tables["orders"].num_rows,
        n_orders=int((~orders.cancelled).sum()),
        net_revenue=Decimal(int(orders.net_cents(until_s).sum())) / 100,
        n_orders_cancelled=int(orders.cancelled.sum()),
        n_orders_refunded=int((orders.visible_refund(until_s) > 0).sum()),
        n_orders_test=len(staff_orders),
        n_orders_exact_duplicate=order_dirt.n_exact,
        n_orders_stale_duplicate=order_dirt.n_stale,
        n_orders_negative=order_dirt.n_negative,
        n_orders_absurd=order_dirt.n_absurd,
        n_orders_no_customer=order_dirt.n_no_customer,
        n_orders_unknown_customer=order_dirt.n_unknown_customer,
        n_item_rows=tables["order_items"].num_rows,
        n_products=len(goods.sku),
        n_consent_rows=tables["consents"].num_rows,
        n_emails_granted=len(granted),
        n_emails_withdrawn=len(withdrawn),
        n_consents_unknown_word=consent_dirt.n_unknown_words,
        n_consents_stranger=consent_dirt.n_strangers,
        n_suppressed=suppressions.num_rows,
    )


def people_rows(people: People) -> pa.Table:
    """The hidden state as rows of ``simulator.people``."""
    return pa.table(
        {
            "number": people.number,
            "born_s": people.born_s,
            "rate": people.rate,
            "lapses_s": people.lapses_s,
            "extra_lines": people.extra_lines,
            "favourite": people.favourite,
            "starts_buying": people.starts_buying,
        }
    )


def clock_rows(
    seed: int, until_s: int, *, next_customer: int, next_order: int, arrivals_per_day: float
) -> pa.Table:
    """The one row of ``simulator.clock``: where the simulation stands."""
    return pa.table(
        {
            "seed": [seed],
            "until_s": [until_s],
            "next_customer": [next_customer],
            "next_order": [next_order],
            "arrivals_per_day": [arrivals_per_day],
        }
    )


def _history(
    seed: int,
    purpose: str,
    people: People,
    goods: Catalogue,
    when: Season,
    span_s: tuple[int, int],
    first_number: int,
) -> Orders:
    rng = stream(seed, purpose)
    first = first_purchases(rng, people, 0, span_s[1])
    later = draw_purchases(rng, people, when, *span_s, np.ones(len(people)))
    return fill_orders(rng, first.and_also(later), people, goods, when, first_number)


def _last_change(people: People, orders: Orders, until_s: int) -> Seconds:
    """A customer row changes with the account and with each order."""
    changed = people.born_s.copy()
    np.maximum.at(changed, orders.person, orders.at_s)
    return np.minimum(changed, until_s - 1)


def _suppressions(seed: int, granted: list[str], start_s: int, until_s: int) -> pa.Table:
    rng = stream(seed, "suppressions")
    n = max(3, round(_SUPPRESSED_SHARE * len(granted)))
    chosen = np.sort(rng.permutation(len(granted))[:n]).tolist()
    return pa.table(
        {
            "email": pa.array([granted[i] for i in chosen], pa.string()),
            "reason": pa.array([_SUPPRESSION_REASONS[i % 3] for i in range(n)], pa.string()),
            "added_s": rng.integers(start_s, until_s, n),
        }
    )
