"""UCI Online Retail through the engine, against a second computation with pandas from the raw file.

The functions of ``Expected`` never touch Liftline: they read the Parquet file, count, add up (in
``Decimal``) and cut with numpy. Published and documented counts of the raw data are checked first,
so that both computations start from the file that everybody else has.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from connector.config.load import load_config
from connector.config.root import Config
from connector.models.rfm import group_sizes
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.understanding import Understood, understand

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "online_retail"
SHARED = Path(os.environ.get("LIFTLINE_SHARED", ROOT.parent / "shared"))
DATA = SHARED / "data" / "online_retail" / "online_retail_2010_2011.parquet"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_file(), reason=f"UCI Online Retail is not there: {DATA}"),
]

AS_OF = datetime(2011, 12, 10, tzinfo=UTC)
"""Midnight in London, which is UTC in winter."""
CENT = Decimal("0.01")
GROUPS = (
    ("champions", (4, 5), (4, 5), (4, 5)),
    ("cant_lose", (1, 2), (4, 5), (4, 5)),
    ("loyal", (3, 5), (3, 5), (3, 5)),
    ("at_risk", (1, 2), (3, 5), (1, 5)),
    ("new_customers", (5, 5), (1, 1), (1, 5)),
    ("promising", (4, 4), (1, 1), (1, 5)),
    ("potential_loyalist", (4, 5), (2, 5), (1, 5)),
    ("need_attention", (3, 3), (2, 5), (1, 5)),
    ("about_to_sleep", (3, 3), (1, 1), (1, 5)),
    ("hibernating", (2, 2), (1, 2), (1, 5)),
    ("lost", (1, 1), (1, 2), (1, 5)),
)
"""The default map of the product's documentation, written down a second time."""


# ------------------------------------------------------------------ the independent computation


class Expected:
    """What should come out, by pandas and numpy from the raw lines."""

    @cached_property
    def raw(self) -> pd.DataFrame:
        return pd.read_parquet(DATA)

    @cached_property
    def distinct(self) -> pd.DataFrame:
        return self.raw.drop_duplicates()

    @cached_property
    def sold(self) -> pd.DataFrame:
        """Lines with a customer and a price."""
        lines = self.distinct
        return lines[lines.CustomerID.notna() & (lines.UnitPrice > 0)]

    @cached_property
    def invoices(self) -> pd.DataFrame:
        """One row an invoice: customer, UTC time, value rounded to cents, whether a return."""
        lines = self.sold.assign(
            value=[
                int(quantity) * Decimal(str(price))
                for quantity, price in zip(self.sold.Quantity, self.sold.UnitPrice, strict=True)
            ]
        )
        by_invoice = lines.groupby("InvoiceNo")
        frame = pd.DataFrame(
            {
                "customer_id": by_invoice.CustomerID.min().astype(int).astype(str),
                "ordered_at": by_invoice.InvoiceDate.min().dt.tz_localize("Europe/London"),
                "net": by_invoice.value.agg(
                    lambda values: sum(values).quantize(CENT, rounding=ROUND_HALF_UP)
                ),
            }
        )
        frame["ordered_at"] = frame.ordered_at.dt.tz_convert("UTC")
        frame["is_return"] = frame.index.str.startswith("C")
        return frame

    @cached_property
    def rfm(self) -> pd.DataFrame:
        """Recency, frequency and money of who ordered; returns lower the money only."""
        orders = self.invoices[~self.invoices.is_return].groupby("customer_id")
        age = pd.Timestamp(AS_OF) - orders.ordered_at.max()
        money = self.invoices.groupby("customer_id").net.sum()
        return pd.DataFrame(
            {
                "recency_days": age // pd.Timedelta(days=1),
                "frequency": orders.size(),
                "monetary": money.reindex(age.index),
            }
        )

    @cached_property
    def edges(self) -> dict[str, list[float]]:
        """Quintiles by numpy's default, definition 7 of Hyndman & Fan."""
        assert np.quantile([1, 2], 0.5, method="linear") == 1.5
        return {
            name: [float(np.quantile(self.rfm[name].astype(float), q / 5)) for q in range(1, 5)]
            for name in ("recency_days", "frequency", "monetary")
        }

    @cached_property
    def scores(self) -> pd.DataFrame:
        """1 + the number of cut points below the value; for recency, the fewest days score 5."""
        below = {
            name: sum((self.rfm[name].astype(float) > round(edge, 6)).astype(int) for edge in edges)
            for name, edges in self.edges.items()
        }
        frame = pd.DataFrame(
            {
                "r": 5 - below["recency_days"],
                "f": 1 + below["frequency"],
                "m": 1 + below["monetary"],
            }
        )
        frame["group"] = [
            next(
                name
                for name, r, f, m in GROUPS
                if r[0] <= row.r <= r[1] and f[0] <= row.f <= f[1] and m[0] <= row.m <= m[1]
            )
            for row in frame.itertuples()
        ]
        return frame

    @cached_property
    def customers(self) -> set[str]:
        return set(self.raw.CustomerID.dropna().astype(int).astype(str))


@pytest.fixture(scope="module")
def expected() -> Expected:
    return Expected()


def test_the_file_is_the_published_one(expected):
    raw = expected.raw
    assert len(raw) == 541_909
    assert raw.InvoiceNo.nunique() == 25_900
    assert raw.CustomerID.nunique() == 4_372
    assert raw.duplicated().sum() == 5_268
    assert raw.CustomerID.isna().sum() == 135_080
    assert (raw.UnitPrice <= 0).sum() == 2_517
    cancelled = raw[raw.InvoiceNo.str.startswith("C")]
    assert (len(cancelled), cancelled.InvoiceNo.nunique()) == (9_288, 3_836)
    assert round((raw.Quantity * raw.UnitPrice).sum(), 2) == 9_747_747.93


# ------------------------------------------------------------------ the engine


@pytest.fixture(scope="module")
def config() -> Config:
    environ = {
        "ONLINE_RETAIL": str(DATA),
        "HUBSPOT_TOKEN": "token",
        "HUBSPOT_URL": "http://127.0.0.1:1",
        "HOLDOUT_SALT": "salt",
    }
    return load_config(EXAMPLE / "liftline.yaml", environ)


@pytest.fixture(scope="module")
def run(config) -> Iterator[Understood]:
    as_of = config.project.instant(datetime(2030, 1, 1, tzinfo=UTC))
    assert as_of == AS_OF
    with DuckDBWarehouse() as warehouse:
        yield understand(warehouse, config, as_of)


def test_every_line_has_the_expected_fate(run, expected):
    raw, distinct = expected.raw, expected.distinct
    no_customer = distinct.CustomerID.isna()
    free = ~no_customer & (distinct.UnitPrice <= 0)
    assert (no_customer.sum(), free.sum()) == (135_037, 40)
    for name in ("orders", "order_items"):
        report = run.tables[name]
        assert report.n_source == report.n_accounted == len(raw)
        assert report.n_duplicates == 5_268
        assert report.n_quarantined == {
            "missing_customer": no_customer.sum(),
            "non_positive_price": free.sum(),
        }
    assert run.tables["orders"].n_kept == len(expected.invoices) == 22_186
    assert run.tables["order_items"].n_kept == run.items.n_kept == len(expected.sold)
    assert run.tables["products"].n_kept == raw[raw.Description.notna()].StockCode.nunique()
    customers = run.tables["customers"]
    assert customers.n_filtered == raw.CustomerID.isna().sum() == 135_080
    assert customers.n_kept == len(expected.customers) == 4_372


def test_customers_are_people_of_their_own(run, expected):
    assert run.customers.left_out.get("key_duplicate", 0) == 0
    assert run.identity.n_profiles == 4_372
    profiles = run.frame(
        "SELECT p.customer_id, p.email, p.created_at, p.country FROM profiles AS p"
    )
    assert set(profiles.customer_id) == expected.customers
    assert (profiles.email == "customer" + profiles.customer_id + "@online-retail.example").all()
    lines = expected.raw.dropna(subset="CustomerID")
    by_customer = lines.groupby(lines.CustomerID.astype(int).astype(str))
    first = by_customer.InvoiceDate.min().dt.tz_localize("Europe/London").dt.tz_convert("UTC")
    found = profiles.set_index("customer_id").sort_index()
    pd.testing.assert_series_equal(
        found.created_at.dt.tz_localize("UTC"), first.sort_index(),
        check_names=False, check_dtype=False,
    )  # fmt: skip
    assert (found.country == by_customer.Country.min().sort_index()).all()


def test_orders_and_revenue_are_those_of_pandas(run, expected):
    invoices = expected.invoices
    assert run.orders.n_kept == len(invoices)
    assert (~invoices.is_return).sum() == 18_532
    assert invoices.is_return.sum() == 3_654
    found = (
        run.frame(
            "SELECT o.order_id, c.customer_id, o.ordered_at, o.net_revenue, o.is_return"
            " FROM clean_orders AS o"
            " JOIN profile_customers AS c ON c.profile_id = o.profile_id"
        )
        .set_index("order_id")
        .sort_index()
    )
    wanted = invoices.sort_index()
    assert list(found.index) == list(wanted.index)
    assert (found.customer_id == wanted.customer_id).all()
    assert (found.net_revenue == wanted.net).all()
    assert (found.is_return == wanted.is_return).all()
    assert (found.ordered_at.dt.tz_localize("UTC") == wanted.ordered_at).all()
    assert found.net_revenue.sum() == invoices.net.sum() == Decimal("8278519.42")


def test_recency_frequency_and_money_of_every_customer(run, expected):
    found = (
        run.frame(
            "SELECT p.customer_id, f.recency_days, f.frequency, f.monetary, f.lifetime_orders"
            " FROM features AS f"
            " JOIN profiles AS p ON p.profile_id = f.profile_id"
        )
        .set_index("customer_id")
        .sort_index()
    )
    never = found[found.lifetime_orders == 0]
    assert len(never) == len(expected.customers) - len(expected.rfm) == 34
    assert never.recency_days.isna().all()
    bought = found[found.lifetime_orders > 0]
    wanted = expected.rfm.sort_index()
    assert list(bought.index) == list(wanted.index)
    for column in ("recency_days", "frequency", "monetary"):
        assert (bought[column] == wanted[column]).all(), column
    assert bought.recency_days.between(0, 374).all()


def test_cut_points_are_numpys_quintiles(run, expected):
    for name, cuts in (
        ("recency_days", run.model.recency),
        ("frequency", run.model.frequency),
        ("monetary", run.model.monetary),
    ):
        assert [float(edge) for edge in cuts.edges] == pytest.approx(
            expected.edges[name], abs=1e-6
        ), name


def test_scores_and_group_sizes(run, expected):
    found = (
        run.frame(
            'SELECT p.customer_id, s."rfm.r" AS r, s."rfm.f" AS f, s."rfm.m" AS m,'
            ' s."rfm.group" AS g'
            " FROM rfm_scores AS s JOIN profiles AS p ON p.profile_id = s.profile_id"
        )
        .set_index("customer_id")
        .sort_index()
    )
    scored = found[found.r.notna()]
    wanted = expected.scores.sort_index()
    assert list(scored.index) == list(wanted.index)
    for column in "rfm":
        assert (scored[column] == wanted[column]).all(), column
    assert (scored.g == wanted.group).all()
    sizes = {name: n for name, n in group_sizes(run.warehouse, run.model).items() if n}
    assert sizes == {**wanted.group.value_counts().to_dict(), "prospects": 34}
    assert sum(sizes.values()) == 4_372


def test_consent_follows_the_last_digit(run, expected):
    digits = pd.Series([int(customer) % 10 for customer in expected.customers])
    assert run.n_granted == (digits < 8).sum()
    assert run.consent.n_withdrawn == (digits == 8).sum()
    assert run.consent.n_unknown == 0
    found = run.frame(
        "SELECT p.customer_id, c.status FROM profiles AS p"
        " LEFT JOIN permissions AS c ON c.profile_id = p.profile_id"
    )
    digit = found.customer_id.astype(int) % 10
    assert (found.status.eq("granted") == (digit < 8)).all()
    assert (found.status.isna() == (digit == 9)).all()


def test_contacts_leave_some_consenting_customers_out(expected):
    spec = importlib.util.spec_from_file_location("contacts", EXAMPLE / "contacts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    contacts = module.contacts(str(DATA))
    assert json.loads(json.dumps(contacts)) == contacts
    emails = {contact["email"] for contact in contacts}
    assert len(emails) == len(contacts)
    agreed = {c for c in expected.customers if int(c) % 10 < 8}
    missing = {c for c in agreed if f"customer{c}@online-retail.example" not in emails}
    assert missing == {c for c in agreed if int(c) % 25 == 7}
    assert 0.03 < len(missing) / len(agreed) < 0.05
    assert (
        len(contacts) - len(expected.customers) + sum(int(c) % 25 == 7 for c in expected.customers)
        == 20
    )
