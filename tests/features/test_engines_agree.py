"""Every feature on PostgreSQL is what it is on DuckDB."""

import decimal

import pytest

from connector.features.build import build_features
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.postgres import PostgresWarehouse
from tests.features.test_reference import random_shop
from tests.features.world import ALL, by_customer, prepare
from tests.profiles.tables import AS_OF


def features(warehouse, seed):
    prepare(warehouse, random_shop(seed))
    build_features(warehouse, ALL, as_of=AS_OF)
    return by_customer(warehouse)


@pytest.mark.parametrize("seed", [6, 19])
def test_every_feature_is_the_same_on_postgres(postgres_server, seed):
    with PostgresWarehouse(postgres_server) as postgres, DuckDBWarehouse() as duckdb:
        found, wanted = features(postgres, seed), features(duckdb, seed)
    assert found.keys() == wanted.keys()
    for person, row in wanted.items():
        for name, value in row.items():
            # Both are rounded to six places; a sum may fall on either side of a half.
            exact = pytest.approx(value, abs=1.1e-6) if isinstance(value, float) else value
            assert found[person][name] == exact, (person, name)
            if isinstance(value, decimal.Decimal):
                assert isinstance(found[person][name], decimal.Decimal)
