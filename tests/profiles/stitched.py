"""Shops of people with several keys, stitched run by run as state would remember them."""

from __future__ import annotations

import collections
import itertools
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from connector.profiles.customers import clean_customers
from connector.profiles.devices import observe_devices
from connector.profiles.identity import IdentityReport, stitch
from connector.profiles.spec import DEVICE, EMAIL, PHONE, CustomersSpec, IdentitySpec
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import AS_OF, KEY, put, put_keys, utc


@dataclass(frozen=True)
class Customer:
    """One account with its keys."""

    email: str | None = None
    phone: str | None = None
    devices: frozenset[str] = frozenset()
    created_at: datetime | None = None

    def values(self, kind: str) -> frozenset[str]:
        """Its keys of a kind."""
        one = {EMAIL: self.email, PHONE: self.phone}.get(kind)
        return self.devices if kind == DEVICE else frozenset({one} - {None})


@dataclass
class Memory:
    """What state keeps between runs."""

    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    merges: dict[str, str] = field(default_factory=dict)

    def learn(self, run: Run) -> None:
        """As the journal does, told in plain Python."""
        self.keys |= {(kind, digest): profile for kind, digest, profile in run.new_keys}
        for old, new, _ in run.merges:
            self.merges = {a: new if b == old else b for a, b in self.merges.items()} | {old: new}
            self.keys = {key: new if p == old else p for key, p in self.keys.items()}
        for _, new, _ in run.splits:
            self.merges.pop(new, None)


@dataclass(frozen=True)
class Run:
    """What one run answered."""

    people: dict[str, str]
    devices: dict[str, str]
    merges: list[tuple[str, str, str]]
    splits: list[tuple[str, str, str]]
    new_keys: list[tuple[str, str, str]]
    quarantined: list[tuple[str, str]]
    report: IdentityReport

    @property
    def groups(self) -> set[frozenset[str]]:
        """Customers of one person each."""
        found = collections.defaultdict(set)
        for customer, profile in self.people.items():
            found[profile].add(customer)
        return {frozenset(group) for group in found.values()}


def run(
    warehouse: DuckDBWarehouse,
    shop: Mapping[str, Customer],
    spec: IdentitySpec,
    memory: Memory | None = None,
    *,
    shuffled: random.Random | None = None,
) -> Run:
    """Stitch a shop; the memory learns of it."""
    memory = memory or Memory()
    people: list[dict[str, Any]] = [
        {"customer_id": c, "email": x.email, "phone": x.phone, "created_at": x.created_at}
        for c, x in shop.items()
    ]
    events: list[dict[str, Any]] = [
        {
            "event_id": f"{c}-{device}",
            "event": "Page Viewed",
            "occurred_at": utc(2025, 6, 1),
            "customer_id": c,
            "anonymous_id": device,
        }
        for c, x in shop.items()
        for device in sorted(x.devices)
    ]
    if shuffled is not None:
        shuffled.shuffle(people)
        shuffled.shuffle(events)
    put(warehouse, "customers", people)
    put(warehouse, "events", events)
    put_keys(warehouse, [(*key, profile) for key, profile in memory.keys.items()])
    pairs = list(memory.merges.items())
    warehouse.load(
        "known_merges",
        pa.table(
            {
                "from_profile_id": pa.array([a for a, _ in pairs], pa.string()),
                "into_profile_id": pa.array([b for _, b in pairs], pa.string()),
            }
        ),
    )
    clean_customers(warehouse, CustomersSpec(), as_of=AS_OF)
    observe_devices(warehouse, as_of=AS_OF)
    report = stitch(warehouse, spec, mint_key=KEY)
    assert report.customers.n_accounted == report.customers.n_in == len(shop)

    def rows(relation: str, *columns: str) -> list[Any]:
        picks = ", ".join(f"r.{name} AS {name}" for name in columns)
        return sorted(warehouse.rows(f"SELECT {picks} FROM {relation} AS r"))

    moves = ("from_profile_id", "into_profile_id", "reason")
    found = Run(
        people=dict(rows("profile_customers", "customer_id", "profile_id")),
        devices=dict(rows("profile_devices", "anonymous_id", "profile_id"))
        if DEVICE in spec.ids
        else {},
        merges=rows("profile_merges", *moves),
        splits=rows("profile_splits", *moves),
        new_keys=rows("new_keys", "kind", "key_digest", "profile_id"),
        quarantined=rows("quarantined_identity", "row_key", "reason"),
        report=report,
    )
    memory.learn(found)
    return found


# ---------------------------------------------------------------------- the independent answer
def groups_of(shop: Mapping[str, Customer], spec: IdentitySpec) -> set[frozenset[str]]:
    """Who belongs together, by a union-find over customers in plain Python."""
    groups = [frozenset({c}) for c in shop]
    for kind in spec.kinds:
        if kind == DEVICE and (spec.max_customers or 1) == 1:
            continue
        holders = collections.defaultdict(set)
        for c, x in shop.items():
            for value in x.values(kind):
                holders[value].add(c)
        most = spec.max_customers or spec.max_customers_per_email
        if kind == EMAIL:
            most = min(most, spec.max_customers_per_email)
        sharing = [
            people
            for value, people in holders.items()
            if len(people) <= most and not _never(value, spec.patterns(kind))
        ]
        before, joined = groups, _union(groups, sharing)
        groups = list(
            itertools.chain.from_iterable(
                [one] if _allowed(one, shop, spec) else [g for g in before if g <= one]
                for one in joined
            )
        )
    return set(groups)


def _never(value: str, patterns: Iterable[str]) -> bool:
    return any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value) for pattern in patterns
    )


def _union(groups: Iterable[frozenset[str]], sharing: Iterable[set[str]]) -> list[frozenset[str]]:
    parent = {c: min(group) for group in groups for c in group}

    def find(c: str) -> str:
        while parent[c] != c:
            c = parent[c]
        return c

    for people in sharing:
        first, *others = people
        for other in others:
            parent[find(other)] = find(first)
    found = collections.defaultdict(set)
    for c in parent:
        found[find(c)].add(c)
    return [frozenset(group) for group in found.values()]


def _allowed(group: frozenset[str], shop: Mapping[str, Customer], spec: IdentitySpec) -> bool:
    sizes = {
        kind: len({value for c in group for value in shop[c].values(kind)})
        for kind in (EMAIL, PHONE, DEVICE)
    } | {"customer_id": len(group)}
    return all(sizes[kind] <= most for kind, most in spec.limits.items())


def random_shop(rng: random.Random, n: int) -> dict[str, Customer]:
    """A shop in which keys are shared as often as not."""

    def some(kind: str, pool: int) -> str | None:
        return f"{kind}{rng.randrange(pool)}" if rng.random() < 0.7 else None

    shop = {}
    for i in range(n):
        name, line = some("p", n), some("", n)
        generic = rng.random() < 0.05
        shop[f"c{i:03}"] = Customer(
            email="info@x.de" if generic else name and f"{name}@x.de",
            phone="+49300000000" if generic else line and f"+4917{int(line):07}",
            devices=frozenset(f"d{rng.randrange(n)}" for _ in range(rng.randrange(3))),
            created_at=utc(2024, 1, 1 + rng.randrange(28)) if rng.random() < 0.8 else None,
        )
    return shop
