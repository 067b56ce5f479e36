"""Fixtures of the lift tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connector.warehouse.duckdb import DuckDBWarehouse


@pytest.fixture
def warehouse() -> Iterator[DuckDBWarehouse]:
    """An empty workspace in memory."""
    with DuckDBWarehouse() as found:
        yield found
