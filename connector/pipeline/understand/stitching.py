"""Who is who in one run: what state knows, what the sources say, and back what was learned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from connector.config import Config
from connector.pipeline import specs
from connector.pipeline.located import text_table
from connector.ports import Warehouse
from connector.profiles import devices, identity
from connector.state.database import State
from connector.state.journal import Journal

_KNOWN = {
    "known_keys": "SELECT kind, key_digest, profile_id FROM profile_keys",
    "known_merges": "SELECT from_profile_id, into_profile_id FROM profile_merges",
}
"""Relation of the workspace -> what it holds of the state."""


def tables_read(config: Config) -> frozenset[str]:
    """Logical tables that stitching reads."""
    return frozenset({"customers", "events"} if specs.stitches_devices(config) else {"customers"})


def stitch_people(
    config: Config, state: State, warehouse: Warehouse, *, as_of: datetime
) -> identity.IdentityReport:
    """Give every clean customer a profile, by :mod:`connector.profiles.identity`.

    Args:
        config: The configuration.
        state: Read for the profiles that are known.
        warehouse: Where ``clean_customers`` lies, and the mapped events.
        as_of: The instant; who logged in where is read before it.
    """
    for relation, rows in state.arrow(_KNOWN).items():
        warehouse.load(relation, text_table(rows))
    if specs.stitches_devices(config):
        devices.observe_devices(warehouse, as_of=as_of)
    return identity.stitch(warehouse, specs.identity_spec(config), mint_key=state.identity_key)


def remember_people(journal: Journal, warehouse: Warehouse, *, now: datetime) -> None:
    """Store the keys, merges and splits that stitching has found."""

    def rows(relation: str, columns: Iterable[str]) -> list[dict[str, str]]:
        picks = ", ".join(f"r.{name} AS {name}" for name in columns)
        found = warehouse.batches(f"SELECT {picks} FROM {relation} AS r")
        return [row for batch in found for row in batch.to_pylist()]

    moves = ("from_profile_id", "into_profile_id", "reason")
    journal.learn_people(
        rows("new_keys", ("kind", "key_digest", "profile_id")),
        rows("profile_merges", moves),
        rows("profile_splits", moves),
        now=now,
    )
