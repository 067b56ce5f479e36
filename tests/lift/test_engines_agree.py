"""The same people on PostgreSQL and on DuckDB: every outcome row by row, and every result."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from connector.domain import Arm
from connector.lift.analysis import CampaignSpec, IntendedShares, MeasurementSpec, analyse
from connector.lift.inputs import companion
from connector.lift.sequential import Design
from connector.lift.units import units_sql
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.postgres import PostgresWarehouse
from tests.lift.test_sources import ALL, AS_OF, load_all, made

SPLIT = {Arm.TREATMENT: 0.5, Arm.NO_CONTACT: 0.5}


@pytest.fixture(scope="module")
def engines(postgres_server):
    with PostgresWarehouse(postgres_server) as postgres, DuckDBWarehouse() as duck:
        yield postgres, duck


def prepared(warehouse):
    given = made(np.random.default_rng(61))
    inputs = load_all(warehouse, *given)
    people = given[0]
    odd = ["odd" if int(p.profile_id[1:]) % 2 else "even" for p in people]
    columns = {
        "campaign": [p.campaign for p in people],
        "epoch": pa.array([1] * len(people), pa.int32()),
        "profile_id": [p.profile_id for p in people],
        "kind": odd,
    }
    warehouse.load("lift_classes", pa.table(columns))
    return inputs


def test_every_outcome_is_the_same(engines):
    rows = []
    for warehouse in engines:
        inputs = prepared(warehouse)
        text = units_sql(
            ALL,
            order_columns=warehouse.columns("clean_orders"),
            as_of=AS_OF,
            campaigns=["winback", "vip"],
            inputs=inputs,
        )
        warehouse.create_table_as("u", text)
        assert companion("revenue") in warehouse.columns("u")
        rows.append(sorted(warehouse.rows("SELECT * FROM u AS u"), key=repr))
    assert len(rows[0]) > 60
    for one, other in zip(*rows, strict=True):
        same(list(one), list(other))


def test_every_result_is_the_same(engines):
    results = []
    for warehouse in engines:
        inputs = prepared(warehouse)
        specs = [
            CampaignSpec(name, (ALL[-1], *ALL[:-1]), (IntendedShares(1, "v1", SPLIT),), 0.5, 2.0)
            for name in ("winback", "vip")
        ]
        found = analyse(
            warehouse,
            specs,
            as_of=AS_OF,
            measurement=MeasurementSpec(covariate_days=45, design=Design.HYBRID, equal_size=True),
            inputs=inputs.__class__(
                items=inputs.items,
                events=inputs.events,
                has_withdrawals=True,
                has_scores=True,
                margin_is_known=True,
                dimensions=("kind",),
            ),
        )
        results.append([one.to_json() for one in found])
    assert len(results[0]) == 2 * len(ALL)
    assert sum(one["difference"] is not None for one in results[0]) >= 2 * (len(ALL) - 3)
    assert sum(len(one["segments"]) for one in results[0]) >= len(ALL)
    same(results[0], results[1])


def same(one: object, other: object) -> None:
    """Equal all the way down, numbers to nine digits."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)
    else:
        assert one == other
