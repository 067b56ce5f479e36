"""CSV and Parquet as relations: types by rule, broken rows by file and line."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.errors import SchemaError, SourceError
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.warehouse.columns import workspace


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    with workspace() as one:
        yield one


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        (["1", "-20", "0"], "BIGINT", 1),
        (["007", "1"], "VARCHAR", "007"),
        (["1.50", "2", "-3.125"], "DECIMAL(18,3)", Decimal("1.5")),
        (["1e3", "2.5"], "DOUBLE", 1000.0),
        (["12345678901234567890", "1"], "DOUBLE", 12345678901234567890.0),
        (["2026-03-01", "2026-03-02"], "DATE", date(2026, 3, 1)),
        (["2026-03-01 10:00:00", "2026-03-02"], "TIMESTAMP", datetime(2026, 3, 1, 10)),  # noqa: DTZ001
        (["03/04/2026", "05/04/2026"], "VARCHAR", "03/04/2026"),
        (["yes", "true"], "VARCHAR", "yes"),
        (["1", "", "3"], "BIGINT", 1),
        (["1"] * 1_500 + ["x"], "VARCHAR", "1"),
        (["1"] * 1_500 + ["2.5"], "DECIMAL(18,1)", Decimal(1)),
        (["it's", "a, b", 'say ""x""'], "VARCHAR", "it's"),
        (["", ""], "VARCHAR", None),
    ],
)
def test_types(
    warehouse: DuckDBWarehouse, tmp_path: Path, values: list[str], kind: str, first: object
) -> None:
    lines = "".join(f'{i},"{value}"\n' if value else f"{i},\n" for i, value in enumerate(values))
    warehouse.attach_csv("t", write(tmp_path, "t.csv", "i,v\n" + lines))
    assert warehouse.columns("t")["v"] == kind
    assert warehouse.rows("SELECT v FROM t ORDER BY i LIMIT 1") == [(first,)]
    assert warehouse.rows("SELECT count(*) AS n FROM t") == [(len(values),)]


def test_times_with_a_zone(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "at\n2026-07-01T12:00:00+02:00\n2026-07-01T12:00:00Z\n")
    warehouse.attach_csv("t", path)
    assert warehouse.columns("t")["at"].startswith("TIMESTAMP WITH TIME ZONE")
    found = warehouse.rows("SELECT instant_utc(at) AS at FROM t ORDER BY at")
    assert found == [(datetime(2026, 7, 1, hour),) for hour in (10, 12)]  # noqa: DTZ001


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_line_ends_and_marks(
    warehouse: DuckDBWarehouse, tmp_path: Path, delimiter: str
) -> None:
    text = f'\ufeffid{delimiter}"Unit Price"\r\n1{delimiter}"2,5"\r\n'
    (tmp_path / "t.csv").write_bytes(text.encode())
    warehouse.attach_csv("t", str(tmp_path / "t.csv"))
    assert list(warehouse.columns("t")) == ["id", "Unit Price"]
    assert warehouse.rows("SELECT * FROM t") == [(1, "2,5")]


def test_several_files_and_compression(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    for month in (1, 2):
        with gzip.open(tmp_path / f"m{month}.csv.gz", "wt", encoding="utf-8") as file:
            file.write(f"id,month\na{month},{month}\n")
    warehouse.attach_csv("t", str(tmp_path / "m*.csv.gz"))
    assert warehouse.rows("SELECT id, month FROM t ORDER BY month") == [("a1", 1), ("a2", 2)]


def test_header_only(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    warehouse.attach_csv("t", write(tmp_path, "t.csv", "id,email\n"))
    assert warehouse.columns("t") == {"id": "VARCHAR", "email": "VARCHAR"}
    assert warehouse.rows("SELECT * FROM t") == []


def test_broken_rows_are_named_and_not_quoted(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "id,email\n1,a@example.com\n2\n3,b@example.com,extra\n")
    with pytest.raises(SourceError) as caught:
        warehouse.attach_csv("t", path)
    message = str(caught.value)
    assert "2 broken row(s)" in message
    assert f"{path} line 3" in message
    assert f"{path} line 4" in message
    assert "example.com" not in message
    assert warehouse.columns("t") == warehouse.columns("_raw_t") == {}


def test_two_kinds_of_line_ends_are_named_as_the_likely_cause(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"id,email\r\n1,a@example.com\r\n2,b@example.com\n3,c@example.com\n")
    with pytest.raises(SourceError) as caught:
        warehouse.attach_csv("t", str(path))
    assert "Windows and Unix" in str(caught.value)
    assert "example.com" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "lacks a name"),
        ("1,2\n3,4\n", "lacks a name"),
        ("id,,x\n1,2,3\n", "lacks a name"),
        ("id,email,ID\n1,2,3\n", "names a column twice: id, ID|names a column twice: ID, id"),
    ],
)
def test_bad_headers(warehouse: DuckDBWarehouse, tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SchemaError, match=why):
        warehouse.attach_csv("t", write(tmp_path, "t.csv", text))


def test_headers_that_differ(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "id,email\n1,x\n")
    write(tmp_path, "b.csv", "email,id\nx,1\n")
    with pytest.raises(SchemaError, match=r"header of .*b\.csv differs"):
        warehouse.attach_csv("t", str(tmp_path / "*.csv"))


@pytest.mark.parametrize("at", ["header", "row"])
def test_not_utf_8(warehouse: DuckDBWarehouse, tmp_path: Path, at: str) -> None:
    path = tmp_path / "t.csv"
    text = "stra\u00dfe,id\n1,2\n" if at == "header" else "street,id\nstra\u00dfe,2\n"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match=r"t\.csv"):
        warehouse.attach_csv("t", str(path))


def test_a_day_that_does_not_exist(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist on the calendar"):
        warehouse.attach_csv("t", write(tmp_path, "t.csv", "d\n2026-02-30\n"))


def test_nothing_matches(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    for attach in (warehouse.attach_csv, warehouse.attach_parquet):
        with pytest.raises(SourceError, match="no file matches"):
            attach("t", str(tmp_path / "*.nothing"))


def test_parquet(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    for day in (1, 2):
        table = pa.table({"id": [f"0{day}"], "amount": pa.array([Decimal("1.50")])})
        pq.write_table(table, tmp_path / f"d{day}.parquet")
    warehouse.attach_parquet("t", str(tmp_path / "*.parquet"))
    assert warehouse.rows("SELECT id FROM t ORDER BY id") == [("01",), ("02",)]
    pq.write_table(pa.table({"id": [1]}), tmp_path / "d3.parquet")
    with pytest.raises(SchemaError, match=r"d3\.parquet has other columns or types"):
        warehouse.attach_parquet("t", str(tmp_path / "*.parquet"))
    (tmp_path / "d0.parquet").write_text("no", encoding="utf-8")
    with pytest.raises(SourceError, match="no readable Parquet file"):
        warehouse.attach_parquet("t", str(tmp_path / "d0.parquet"))


def test_a_header_in_quotation_marks(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """Read with any other delimiter than its own, such a header is broken."""
    for i, mark in enumerate(",;\t|"):
        path = write(tmp_path, f"q{i}.csv", f'"id"{mark}"name"\n"1"{mark}"a,b;c"\n')
        warehouse.attach_csv(f"quoted{i}", path)
        assert warehouse.rows(f"SELECT id, name FROM quoted{i}") == [(1, "a,b;c")]
