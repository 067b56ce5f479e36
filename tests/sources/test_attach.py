"""Sources of every kind become readable under one name, with the types that they have."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from connector.errors import SourceError
from connector.sources.attach import attach
from connector.sources.mapping import map_table
from connector.sources.spec import FileKind, FileSource, PostgresSource, TableSpec
from connector.warehouse.duckdb import DuckDBWarehouse


def test_files(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id")
        connection.execute(f"COPY orders TO '{tmp_path}/orders.parquet'")
        connection.execute(f"COPY orders TO '{tmp_path}/orders.csv'")
    with DuckDBWarehouse() as workspace:
        for kind in FileKind:
            name = "shop" if kind is FileKind.DUCKDB else str(kind)
            file = "shop" if kind is FileKind.DUCKDB else "orders"
            attach(workspace, name, FileSource(kind, str(tmp_path / f"{file}.{kind}")))
        for relation in ("shop.orders", "parquet", "csv"):
            assert workspace.rows(f"SELECT t.id FROM {relation} AS t") == [(1,)]


@pytest.fixture(scope="module")
def shop(postgres_server: str) -> PostgresSource:
    dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi")
    statements = (
        "CREATE SCHEMA wholesale",
        "CREATE TABLE wholesale.orders (id uuid, who int, at timestamptz, total numeric)",
        "INSERT INTO wholesale.orders VALUES ('6f9619ff-8b86-d011-b42d-00c04fc964ff', 7,"
        " '2026-03-29 03:30+02', 12.345678901234),"
        " ('7f9619ff-8b86-d011-b42d-00c04fc964ff', 8, NULL, NULL)",
        "CREATE TABLE wholesale.secrets AS SELECT 1 AS x",
    )
    with dbapi.connect(postgres_server, autocommit=True) as session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    return PostgresSource(postgres_server, "wholesale")


def test_tables_of_a_database_are_copied_and_mapped(shop: PostgresSource) -> None:
    with DuckDBWarehouse() as workspace:
        attach(workspace, "shop", shop, ["orders", "nothing"])
        workspace.seal()
        # What the configuration does not name is not copied.
        assert workspace.tables("shop") == ["orders"]
        assert workspace.columns("shop.nothing") == workspace.columns("shop.secrets") == {}
        columns = {"order_id": "id", "customer_id": "who", "ordered_at": "at", "gross": "total"}
        report = map_table(workspace, TableSpec("orders", "shop.orders", columns), timezone="UTC")
        assert report.n_kept == 2
        assert report.freshest == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
        assert workspace.rows(
            "SELECT order_id, customer_id, gross FROM in_orders AS o WHERE o.gross IS NOT NULL"
        ) == [("6f9619ff-8b86-d011-b42d-00c04fc964ff", "7", Decimal("12.35"))]


def test_a_database_that_is_not_there(shop: PostgresSource) -> None:
    with DuckDBWarehouse() as workspace:
        away = PostgresSource("postgresql://jane:s3cret@127.0.0.1:1/shop")
        with pytest.raises(SourceError, match="source shop: The database cannot be reached") as got:
            attach(workspace, "shop", away, ["orders"])
        assert "s3cret" not in f"{got.value}{away!r}"
        with pytest.raises(SourceError, match="source shop: the database has no schema 'nothing'"):
            attach(workspace, "shop", PostgresSource(shop.dsn, "nothing"), ["orders"])
