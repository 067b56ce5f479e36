"""One small shop for all tests that only read it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from connector.demo.rows import TABLES
from connector.demo.shop import ShopSummary, build_shop

SEED = 7
START = datetime(2024, 3, 1, 5, tzinfo=UTC)
UNTIL = datetime(2026, 3, 2, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Shop:
    path: Path
    summary: ShopSummary

    def table(self, name: str) -> pd.DataFrame:
        return read(self.path, name)


def read(path: Path, name: str) -> pd.DataFrame:
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(f"SELECT * FROM {name}").to_arrow_table().to_pandas()


def digests(path: Path) -> dict[str, str]:
    """A hash of the content of each table, whatever the order of rows."""
    out = {}
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name in (*TABLES, "simulator.people", "simulator.pending_refunds", "simulator.clock"):
            rows = connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchnumpy()
            text = repr([(column, values.tolist()) for column, values in rows.items()])
            out[name] = hashlib.sha256(text.encode()).hexdigest()
    return out


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    path = tmp_path_factory.mktemp("shop") / "shop.duckdb"
    return Shop(path, build_shop(path, seed=SEED, start=START, until=UNTIL, n_customers=3000))
