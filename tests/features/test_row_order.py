"""Law: the order in which rows come says nothing, for any feature of any pack."""

from __future__ import annotations

import random

import pytest

from connector.features.build import build_features
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.features.test_reference import random_shop
from tests.features.world import ALL, by_customer, prepare
from tests.profiles.tables import AS_OF


def features(shop):
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, shop)
        build_features(warehouse, ALL, as_of=AS_OF)
        return by_customer(warehouse)


def test_rows_may_come_in_any_order():
    shop = random_shop(23)
    shuffled = {
        name: random.Random(name).sample(list(rows), len(rows)) for name, rows in shop.items()
    }
    assert any(list(shop[name]) != shuffled[name] for name in shop)
    wanted, found = features(shop), features(shuffled)
    assert wanted.keys() == found.keys()
    for person, row in wanted.items():
        # A sum in another order may round to the other side of its sixth place.
        assert found[person] == {
            name: pytest.approx(value, abs=1.1e-6) if isinstance(value, float) else value
            for name, value in row.items()
        }
