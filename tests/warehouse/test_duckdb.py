"""The embedded engine: attaching sources, shutting the door, and the protocol's promises."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from connector.errors import SchemaError, SourceError
from connector.ports import Warehouse
from connector.warehouse.duckdb import DuckDBWarehouse, Settings
from connector.warehouse.grammar import StatementError


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT i AS id, CAST(i AS DECIMAL(18, 2)) AS total, "
            "'jane@example.com' AS email FROM range(10) AS t(i)"
        )
        connection.execute("CREATE VIEW recent AS SELECT * FROM orders WHERE id > 5")
    return path


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDBWarehouse]:
    with DuckDBWarehouse(tmp_path / "workspace.duckdb", Settings(threads=1)) as one:
        yield one


def test_is_a_warehouse(warehouse: DuckDBWarehouse) -> None:
    assert isinstance(warehouse, Warehouse)


def test_attached_tables(warehouse: DuckDBWarehouse, shop: Path) -> None:
    warehouse.attach("shop", shop)
    assert warehouse.tables("shop") == ["orders", "recent"]
    assert warehouse.columns("shop.orders") == {
        "id": "BIGINT",
        "total": "DECIMAL(18,2)",
        "email": "VARCHAR",
    }
    assert warehouse.rows("SELECT sum(total) AS s FROM shop.orders") == [(45,)]
    assert warehouse.columns("shop.nothing") == warehouse.columns("nothing") == {}


def test_sources_are_read_only(warehouse: DuckDBWarehouse, shop: Path) -> None:
    warehouse.attach("shop", shop)
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        warehouse.connection.execute("DELETE FROM shop.orders")


def test_missing_file(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"source shop: there is no file .*none\.duckdb"):
        warehouse.attach("shop", tmp_path / "none.duckdb")


def test_damaged_file(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    path = tmp_path / "damaged.duckdb"
    path.write_bytes(b"not a database " * 1_000)
    with pytest.raises(SourceError, match="not a valid DuckDB database"):
        warehouse.attach("shop", path)
    with pytest.raises(SourceError, match="not a valid DuckDB database"):
        DuckDBWarehouse(path)


_HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_file_that_another_process_writes(warehouse: DuckDBWarehouse, shop: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(shop)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(SourceError, match="another process holds its lock"):
            warehouse.attach("shop", shop)
        with pytest.raises(SourceError, match="another process holds its lock"):
            DuckDBWarehouse(shop)
        holder.communicate()
    warehouse.attach("shop", shop)


def test_relations_replace_each_other(warehouse: DuckDBWarehouse) -> None:
    warehouse.create_table_as("t", "SELECT 1 AS x")
    warehouse.create_view_as("t", "SELECT 2 AS x")
    warehouse.create_view_as("t", "SELECT 3 AS x")
    warehouse.create_table_as("t", "SELECT 4 AS x")
    warehouse.create_table_as("t", "SELECT x + 1 AS x FROM t")
    assert warehouse.rows("SELECT x FROM t") == [(5,)]
    warehouse.load("t", pa.table({"y": ["a", None]}))
    assert warehouse.rows("SELECT y FROM t ORDER BY y") == [("a",), (None,)]
    warehouse.drop("t")
    warehouse.drop("t")
    assert warehouse.columns("t") == {}


def test_names_with_dots_are_kept(warehouse: DuckDBWarehouse) -> None:
    warehouse.load("scored", pa.table({"rfm.group": ["a"], "order": [1]}))
    assert warehouse.columns("scored") == {"rfm.group": "VARCHAR", "order": "BIGINT"}


def test_batches_stream_while_others_run(warehouse: DuckDBWarehouse) -> None:
    warehouse.load("n", pa.table({"x": list(range(250_000))}))
    reader = warehouse.batches("SELECT x FROM n")
    total = 0
    for batch in reader:
        warehouse.rows("SELECT 1 AS one")
        total += batch.num_rows
    assert total == 250_000


def test_a_stream_can_be_loaded(warehouse: DuckDBWarehouse) -> None:
    warehouse.load("a", pa.table({"x": [1, 2, 3]}))
    warehouse.load("b", warehouse.batches("SELECT x FROM a WHERE x > 1"))
    assert warehouse.rows("SELECT sum(x) AS s FROM b") == [(5,)]


def test_statements_must_be_in_the_dialect(warehouse: DuckDBWarehouse) -> None:
    for run in (warehouse.rows, warehouse.batches):
        with pytest.raises(StatementError):
            run("SELECT getenv('HOME') AS home")
    with pytest.raises(StatementError):
        warehouse.create_table_as("t", "SELECT 1; DROP TABLE x")


def test_messages_hold_no_values(warehouse: DuckDBWarehouse, shop: Path) -> None:
    warehouse.attach("shop", shop)
    with pytest.raises(SourceError) as caught:
        warehouse.rows("SELECT CAST(email AS BIGINT) AS x FROM shop.orders")
    assert "jane" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(SchemaError, match="emial"):
        warehouse.rows("SELECT emial FROM shop.orders")
    with pytest.raises(SchemaError, match="ordrs"):
        warehouse.create_view_as("v", "SELECT * FROM shop.ordrs")


def test_sealed(tmp_path: Path, shop: Path) -> None:
    parquet = tmp_path / "p.parquet"
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n", encoding="utf-8")
    with DuckDBWarehouse(
        tmp_path / "w.duckdb", Settings(threads=1, memory_limit="60MB")
    ) as warehouse:
        warehouse.connection.execute(f"COPY (SELECT 1 AS a) TO '{parquet}'")
        warehouse.attach("shop", shop)
        warehouse.attach_parquet("files", str(tmp_path / "*.parquet"))
        warehouse.seal()
        # What was attached before stays readable, tables can be made and loaded...
        assert warehouse.rows("SELECT * FROM files") == [(1,)]
        warehouse.create_table_as("copy", "SELECT * FROM shop.orders")
        warehouse.load("arrow", pa.table({"x": [1]}))
        # ... and large work may still spill to disk.
        rows = warehouse.connection.execute(
            "SELECT count(*) FROM (SELECT i, md5(CAST(i AS VARCHAR)) AS m FROM range(1500000) AS"
            " t(i) "
            "ORDER BY m LIMIT 1000000)"
        ).fetchone()
        assert rows == (1_000_000,)
        for attempt in (
            f"SELECT * FROM read_csv('{secret}')",
            f"SELECT * FROM '{secret}'",
            "SELECT * FROM read_text('/etc/hostname')",
            f"COPY copy TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/other.duckdb'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SET threads = 2",
        ):
            with pytest.raises(duckdb.Error):
                warehouse.connection.execute(attempt)


def test_close_twice(tmp_path: Path) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb")
    warehouse.create_table_as("t", "SELECT 1 AS x")
    warehouse.close()
    warehouse.close()
    with DuckDBWarehouse(tmp_path / "w.duckdb") as again:
        assert again.rows("SELECT x FROM t") == [(1,)]
