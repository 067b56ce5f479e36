"""Hand-made logical tables for tests, and the whole road from them to scores in one call."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connector.features.build import build_features
from connector.features.orders import orders_pack, rfm_pack
from connector.profiles.consent import ConsentReport, grant_permissions, resolve_consent
from connector.profiles.customers import clean_customers
from connector.profiles.identity import IdentityReport, stitch
from connector.profiles.orders import clean_orders
from connector.profiles.people import build_profiles
from connector.profiles.spec import (
    ConsentSpec,
    CustomersSpec,
    IdentitySpec,
    OrdersSpec,
    StepReport,
)
from connector.tables import BOOLEAN, INTEGER, MONEY, NUMBER, TABLES, TEXT, TIMESTAMP
from connector.warehouse.duckdb import DuckDBWarehouse

AS_OF = datetime(2025, 7, 1, tzinfo=UTC)
KEY = "mint"

ARROW = {
    TEXT: pa.string(),
    TIMESTAMP: pa.timestamp("us"),
    MONEY: pa.decimal128(18, 2),
    INTEGER: pa.int64(),
    NUMBER: pa.float64(),
    BOOLEAN: pa.bool_(),
}


def utc(*parts: int) -> datetime:
    """A time as relations hold it: UTC without saying so."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def shared_data(*parts: str) -> Path:
    """A file of the shared data sets; the test is skipped where they are missing."""
    root = os.environ.get("LIFTLINE_SHARED")
    base = Path(root) if root else Path(__file__).parents[2].parent / "shared"
    path = base.joinpath("data", *parts)
    if not path.exists():
        pytest.skip(f"the shared data set {'/'.join(parts)} is not here (set LIFTLINE_SHARED)")
    return path


def put(warehouse: DuckDBWarehouse, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Load rows as ``in_<table>``, typed by the contract; columns that a row lacks are NULL."""
    fields = [pa.field(c.name, ARROW[c.type]) for c in TABLES[table].columns]
    rows = list(rows)
    unknown = {name for row in rows for name in row} - {field.name for field in fields}
    assert not unknown, unknown
    data = pa.Table.from_pylist(
        [{f.name: row.get(f.name) for f in fields} for row in rows], schema=pa.schema(fields)
    )
    warehouse.load(f"in_{table}", data)


def put_keys(warehouse: DuckDBWarehouse, rows: Iterable[tuple[str, str, str]]) -> None:
    """Load what state knows as ``known_keys``."""
    names = ("kind", "key_digest", "profile_id")
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    data = {n: pa.array(c, pa.string()) for n, c in zip(names, columns, strict=True)}
    warehouse.load("known_keys", pa.table(data))


def remember(warehouse: DuckDBWarehouse) -> None:
    """Store ``new_keys`` among ``known_keys``, as state does after a run."""
    known = {(k, d): p for k, d, p in warehouse.rows("SELECT * FROM known_keys")}
    known |= {(k, d): p for k, d, p in warehouse.rows("SELECT * FROM new_keys")}
    put_keys(warehouse, [(*key, profile) for key, profile in known.items()])


@dataclass
class Understood:
    """The reports of one pass."""

    customers: StepReport
    identity: IdentityReport
    consent: ConsentReport
    orders: StepReport


def understand(
    warehouse: DuckDBWarehouse,
    *,
    as_of: datetime = AS_OF,
    customers: CustomersSpec | None = None,
    identity: IdentitySpec | None = None,
    consent: ConsentSpec | None = None,
    orders: OrdersSpec | None = None,
    window_days: int = 730,
) -> Understood:
    """From ``in_*`` relations to ``features``; missing tables are taken as empty."""
    for table in ("customers", "orders"):
        if not warehouse.columns(f"in_{table}"):
            put(warehouse, table, [])
    consent = consent or ConsentSpec()
    report = Understood(
        customers=clean_customers(warehouse, customers or CustomersSpec(), as_of=as_of),
        identity=stitch(warehouse, identity or IdentitySpec(), mint_key=KEY),
        consent=resolve_consent(warehouse, consent, as_of=as_of),
        orders=StepReport("", 0, 0, {}),
    )
    build_profiles(warehouse, consent)
    grant_permissions(warehouse, consent)
    report.orders = clean_orders(warehouse, orders or OrdersSpec(), as_of=as_of)
    build_features(warehouse, [rfm_pack(window_days), orders_pack()], as_of=as_of)
    for step in (
        report.customers,
        report.identity.customers,
        report.consent.records,
        report.orders,
    ):
        assert step.n_accounted == step.n_in, step
    return report


def column(warehouse: DuckDBWarehouse, sql: str) -> list[Any]:
    """The first column of a result, sorted."""
    return sorted(row[0] for row in warehouse.rows(sql))
