"""Stitching by every kind of key answers alike on DuckDB and on PostgreSQL."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from connector.profiles.devices import LINKS
from connector.profiles.spec import IdentitySpec, WhenApart
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.macros import ENGINES
from connector.warehouse.postgres import PostgresWarehouse
from connector.warehouse.render import render
from tests.profiles.stitched import Memory, random_shop, run

SPEC = IdentitySpec(
    ids=("customer_id", "email", "phone", "anonymous_id"),
    country="DE",
    max_customers=4,
    max_emails=2,
    max_phones=2,
    max_devices=4,
    never_merge_on=("info@*",),
    never_merge_phones=("+4930*",),
    never_merge_devices=("d1*",),
    when_apart=WhenApart.SPLIT,
)


def nights(warehouse, **changes):
    """Three runs of a shop whose customers change their keys."""
    rng, memory, spec = random.Random(3), Memory(), replace(SPEC, **changes)
    shop, told = random_shop(rng, 60), []
    for _ in range(3):
        found = run(warehouse, shop, spec, memory)
        links = warehouse.rows(
            f"SELECT l.anonymous_id, l.profile_id, l.linked_at FROM {LINKS} AS l"
        )
        told.append((found, sorted(links)))
        fresh = random_shop(rng, 60)
        shop |= {c: fresh[c] for c in rng.sample(sorted(fresh), 20)}
    assert any(one.splits and one.merges for one, _ in told) or changes
    return told


@pytest.mark.parametrize("changes", [{}, {"when_apart": WhenApart.KEEP}], ids=["split", "keep"])
def test_engines_agree(postgres_server, changes):
    with DuckDBWarehouse() as duck, PostgresWarehouse(postgres_server) as postgres:
        assert nights(postgres, **changes) == nights(duck, **changes)


class Recorder(DuckDBWarehouse):
    """A warehouse that remembers what it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def create_table_as(self, name, sql):
        self.asked.add(sql)
        super().create_table_as(name, sql)

    def create_view_as(self, name, sql):
        self.asked.add(sql)
        super().create_view_as(name, sql)


def test_every_statement_can_be_written_for_every_engine():
    with Recorder() as warehouse:
        nights(warehouse)
    for engine in ENGINES:
        for sql in warehouse.asked:
            assert render(sql, engine)
