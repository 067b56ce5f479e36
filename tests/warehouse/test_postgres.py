"""A session of PostgreSQL: the protocol's promises, the types of a source, and what it may do."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import pyarrow as pa
import pytest

from connector.errors import SchemaError, SourceError
from connector.ports import Warehouse
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.grammar import StatementError
from connector.warehouse.postgres import PostgresWarehouse
from connector.warehouse.render import quote

dbapi = pytest.importorskip("adbc_driver_postgresql.dbapi", reason="the extra postgres is missing")

AS_OF = datetime(2026, 3, 1, 6, tzinfo=UTC)


def run(dsn: str, *statements: str) -> None:
    """Statements of an administrator, in Postgres' own SQL."""
    with dbapi.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_is_a_warehouse(postgres: PostgresWarehouse) -> None:
    assert isinstance(postgres, Warehouse)


def test_relations_replace_each_other(postgres: PostgresWarehouse) -> None:
    postgres.create_table_as("t", "SELECT 1 AS x")
    postgres.create_view_as("t", "SELECT 2 AS x")
    postgres.create_view_as("t", "SELECT 'other columns' AS y, 3 AS x")
    postgres.create_table_as("t", "SELECT x + 1 AS x FROM t")
    postgres.create_view_as("reader", "SELECT x FROM t")
    postgres.create_table_as("t", "SELECT x + 1 AS x FROM t")
    assert postgres.rows("SELECT x FROM t") == [(5,)]
    assert postgres.columns("reader") == {}
    postgres.load("t", pa.table({"y": ["a", None]}))
    assert postgres.rows("SELECT y FROM t ORDER BY y") == [("a",), (None,)]
    postgres.drop("t")
    postgres.drop("t")
    assert postgres.columns("t") == {}


TYPES = pa.table(
    {
        "i": pa.array([1, -(2**62), None], pa.int64()),
        "small": pa.array([1, -2, None], pa.int16()),
        "money": pa.array([Decimal("1.50"), Decimal("-0.01"), None], pa.decimal128(18, 2)),
        "f": pa.array([0.1, float("inf"), None]),
        "b": [True, False, None],
        "day": [date(2026, 3, 1), date(1000, 1, 1), None],
        "at": pa.array([datetime(2026, 3, 1, 8, 0, 0, 123456), None, None], pa.timestamp("us")),  # noqa: DTZ001 - naive
        "zoned": pa.array([AS_OF, None, None], pa.timestamp("us", "UTC")),
        "text": ["it's", "\U0001f600\n\\", None],
        "word": pa.array(["a", "b", None]).dictionary_encode(),
        "nothing": pa.nulls(3),
        "rfm.group": ["x", "y", "z"],
    }
)


def test_arrow_comes_back_as_it_went(postgres: PostgresWarehouse, duck: DuckDBWarehouse) -> None:
    names = ", ".join(quote(name) for name in TYPES.column_names)
    for warehouse in (postgres, duck):
        warehouse.load("types", TYPES.drop(["word", "nothing"]))
    postgres.load("types", TYPES)
    back = postgres.batches(f'SELECT {names} FROM types ORDER BY "rfm.group"').read_all()
    assert back.to_pylist() == TYPES.to_pylist()
    assert back.schema.field("money").type == pa.decimal128(18, 2)
    found, expected = postgres.columns("types"), duck.columns("types")
    assert {name: found[name] for name in expected} == {**expected, "small": "BIGINT"}


def test_numbers_are_those_of_python(postgres: PostgresWarehouse) -> None:
    sql = (
        "SELECT sum(i) AS s, sum(money) AS m, count(*) AS n, max(money) * 3 AS p"
        ", as_money(1.5) AS w, CAST(7 AS BIGINT) AS i, 7 / 2 AS q FROM types"
    )
    ((s, m, *others),) = postgres.rows(sql)
    assert (s, m) == (1 - 2**62, Decimal("1.49"))
    assert others == [3, Decimal("4.50"), Decimal("1.50"), 7, 3.5]
    assert isinstance(s, int)
    (row,) = postgres.batches(sql).read_all().to_pylist()
    assert list(row.values()) == [s, m, *others]


def test_a_stream_is_read_to_its_end_first(postgres: PostgresWarehouse) -> None:
    postgres.load("n", pa.table({"x": range(1_000)}))
    reader = postgres.batches("SELECT x FROM n")
    with pytest.raises(StatementError, match="not read to its end"):
        postgres.rows("SELECT 1 AS one")
    assert sum(batch.num_rows for batch in reader) == 1_000
    assert postgres.rows("SELECT 1 AS one") == [(1,)]


def test_a_stream_can_be_loaded_elsewhere(postgres: PostgresWarehouse) -> None:
    with DuckDBWarehouse() as workspace:
        workspace.load("n", postgres.batches("SELECT x, as_money(x) AS m FROM n"))
        assert workspace.columns("n") == {"x": "BIGINT", "m": "DECIMAL(18,2)"}
        assert workspace.rows("SELECT sum(x) AS s FROM n") == [(499_500,)]


def test_a_snapshot_reads_one_moment(postgres_server: str) -> None:
    run(
        postgres_server,
        "CREATE SCHEMA moment",
        "CREATE TABLE moment.a (x bigint)",
        "CREATE TABLE moment.b (x bigint)",
    )
    count = "SELECT (SELECT count(*) FROM s.a) + (SELECT count(*) FROM s.b) AS n"
    with PostgresWarehouse(postgres_server) as one:
        one.attach("s", "moment")
        with one.snapshot():
            assert one.rows("SELECT count(*) AS n FROM s.a") == [(0,)]
            run(postgres_server, "INSERT INTO moment.a VALUES (1)")
            # Loads do not end it.
            one.load("held", pa.table({"x": [1, 2]}))
            run(postgres_server, "INSERT INTO moment.b VALUES (1)")
            assert one.rows(count) == [(0,)]
        assert one.rows(count) == [(2,)]
        assert one.rows("SELECT count(*) AS n FROM held") == [(2,)]


def test_a_snapshot_in_which_a_statement_fails_leaves_nothing(postgres_server: str) -> None:
    run(postgres_server, "CREATE SCHEMA failed", "CREATE TABLE failed.a (x bigint)")
    with PostgresWarehouse(postgres_server) as one:
        one.attach("s", "failed")

        def broken() -> None:
            with one.snapshot():
                one.create_table_as("made", "SELECT x FROM s.a")
                one.rows("SELECT CAST('canary' AS BIGINT) AS n")

        with pytest.raises(SourceError, match="cannot be converted"):
            broken()
        assert one.columns("made") == {}
        assert one.rows("SELECT x FROM s.a") == []
        bad = pa.table({"x": ["a\x00b"]})
        with pytest.raises(SourceError), one.snapshot():
            one.load("made", bad)
        assert one.rows("SELECT 1 AS n") == [(1,)]


def test_statements_must_be_in_the_dialect(postgres: PostgresWarehouse) -> None:
    for statement in ("SELECT pg_sleep(1) AS x", "SELECT 1; DROP TABLE x", "SELECT now() AS x"):
        with pytest.raises(StatementError):
            postgres.rows(statement)


def test_messages_hold_no_values(postgres: PostgresWarehouse) -> None:
    postgres.load("people", pa.table({"email": ["jane@example.com"]}))
    with pytest.raises(SourceError, match="cannot be converted") as caught:
        postgres.rows("SELECT CAST(email AS BIGINT) AS x FROM people")
    assert "jane" not in str(caught.value)
    assert caught.value.__suppress_context__
    with pytest.raises(SchemaError, match="emial"):
        postgres.rows("SELECT emial FROM people")
    with pytest.raises(SchemaError, match="ordrs"):
        postgres.create_view_as("v", "SELECT * FROM ordrs")
    with pytest.raises(SourceError, match="cannot be converted"):
        postgres.load("people", pa.table({"email": ["jane\x00@example.com"]}))
    with pytest.raises(SourceError, match="cannot be held"):
        postgres.load("people", pa.table({"tags": [["a"]]}))


@pytest.mark.parametrize("address", ["postgresql://jane:s3cret@127.0.0.1:1/shop", "nonsense"])
def test_a_database_that_is_not_there(address: str) -> None:
    with pytest.raises(SourceError, match="cannot be reached") as caught:
        PostgresWarehouse(address)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


# ---------------------------------------------------------------- sources


@pytest.fixture(scope="module")
def plain_role(postgres_server: str) -> str:
    """Address of a role that may read one schema of a shop, and make temporary tables."""
    run(
        postgres_server,
        "CREATE SCHEMA plain",
        "CREATE TYPE plain.state AS ENUM ('paid', 'void')",
        "CREATE DOMAIN plain.price AS numeric(10, 3) CHECK (VALUE > -5)",
        "CREATE TABLE plain.orders (id uuid PRIMARY KEY, state plain.state, price plain.price,"
        ' free numeric, code char(5), tags text[], body jsonb, at timestamptz, "User ID" int)',
        "INSERT INTO plain.orders VALUES ('6f9619ff-8b86-d011-b42d-00c04fc964ff', 'paid', 1.250,"
        " 12345678901234.123456789, 'ab', '{x}', '{\"sku\": \"A-1\"}', '2026-03-01 01:00+01', 7)",
        "CREATE TABLE plain.hidden AS SELECT 1 AS x",
        "CREATE ROLE reader LOGIN",
        "GRANT USAGE ON SCHEMA plain TO reader",
        "GRANT SELECT ON plain.orders TO reader",
    )
    parts = urlsplit(postgres_server)
    return f"postgresql://reader@/{parts.path.lstrip('/')}?{parts.query}"


def test_types_of_a_source(plain_role: str) -> None:
    with PostgresWarehouse(plain_role) as warehouse:
        warehouse.attach("shop", "plain")
        assert warehouse.tables("shop") == ["orders"]
        assert warehouse.columns("shop.nothing") == warehouse.columns("nothing") == {}
        assert warehouse.columns("shop.orders") == {
            "id": "VARCHAR",
            "state": "VARCHAR",
            "price": "DECIMAL(10,3)",
            "free": "DECIMAL",
            "code": "VARCHAR",
            "tags": "VARCHAR",
            "body": "VARCHAR",
            "at": "TIMESTAMP WITH TIME ZONE",
            "User ID": "INTEGER",
        }
        (row,) = warehouse.rows(
            "SELECT o.id, lower(o.state) AS state, o.price, o.free, o.code || '.' AS code, o.tags"
            ", json_text(o.body, 'sku') AS sku, instant_utc(o.at) AS at, o.\"User ID\""
            ' FROM shop.orders AS o WHERE o."User ID" = 7'
        )
    assert row == (
        "6f9619ff-8b86-d011-b42d-00c04fc964ff", "paid", Decimal("1.250"),
        Decimal("12345678901234.123456789"), "ab.", "{x}", "A-1", datetime(2026, 3, 1), 7,  # noqa: DTZ001
    )  # fmt: skip


def test_a_role_that_may_only_read_is_enough_and_leaves_nothing(plain_role: str) -> None:
    with PostgresWarehouse(plain_role) as warehouse:
        warehouse.attach("shop", "plain")
        warehouse.create_table_as("orders", "SELECT o.id FROM shop.orders AS o")
        warehouse.create_view_as("only_here", "SELECT o.id FROM orders AS o")
        # The workspace's relation of that name is not the source's.
        assert list(warehouse.columns("orders")) == ["id"]
        with pytest.raises(SourceError, match="permission denied"):
            warehouse.rows("SELECT x FROM shop.hidden")
        with PostgresWarehouse(plain_role) as other:
            assert other.columns("orders") == {}
            with pytest.raises(SchemaError, match="orders"):
                other.rows("SELECT id FROM orders")
    with PostgresWarehouse(plain_role) as again:
        left = "SELECT count(*) FROM pg_class WHERE relname IN ('only_here', 'shop.orders')"
        assert again._fetch(left) == [(0,)]
        with pytest.raises(SourceError, match="no schema 'nothing'"):
            again.attach("shop", "nothing")


def test_a_session_that_may_make_no_tables_says_so(postgres_server: str, plain_role: str) -> None:
    run(postgres_server, "ALTER ROLE reader SET default_transaction_read_only = on")
    try:
        with pytest.raises(SourceError, match="may only read"):
            PostgresWarehouse(plain_role)
    finally:
        run(postgres_server, "ALTER ROLE reader RESET default_transaction_read_only")
