"""The two engines, each with an empty workspace for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.warehouse.duckdb import DuckDBWarehouse, Settings
from connector.warehouse.postgres import PostgresWarehouse


@pytest.fixture(scope="module")
def postgres(postgres_server: str) -> Iterator[PostgresWarehouse]:
    """A session with an empty workspace."""
    with PostgresWarehouse(postgres_server) as one:
        yield one


@pytest.fixture(scope="module")
def duck() -> Iterator[DuckDBWarehouse]:
    """An empty workspace of the embedded engine, to compare with."""
    with DuckDBWarehouse(settings=Settings(threads=1)) as one:
        yield one
