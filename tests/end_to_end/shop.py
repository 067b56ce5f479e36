"""A small shop as plain facts, the files that the engine reads, and the vendor's contacts.

People are of a few kinds whose orders lie far from every boundary of the rules, so that the oracle
(:mod:`tests.end_to_end.oracle`) is free to count in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

NOW = datetime.fromisoformat("2026-03-02T05:00:00+00:00")
SALT = "canary-salt-5d1f"

DAYS_AGO = {
    "lost": (150,),
    "loyal": (70, 40, 20, 5),
    "lost_loyal": (200, 180, 160, 140),
    "plain": (20,),
}
"""Kind of person -> when they ordered, in days before :data:`NOW`."""


@dataclass
class Person:
    """One customer of the shop.

    Attributes:
        answers: What the person said about marketing by e-mail, oldest first: (granted?, when).
        amount: Value of each order, in cents.
        known: Whether the vendor has a contact of the address.
    """

    number: int
    email: str
    kind: str
    answers: list[tuple[bool, datetime]] = field(default_factory=list)
    suppressed: bool = False
    amount: int = 4_000
    known: bool = True

    @property
    def consents(self) -> bool:
        return bool(self.answers) and self.answers[-1][0]

    @property
    def orders(self) -> list[datetime]:
        return [NOW - timedelta(days=days) for days in DAYS_AGO[self.kind]]


@dataclass(frozen=True)
class Campaign:
    """One campaign of the configuration, as the oracle needs it; shares in per cent."""

    name: str
    kind: str
    treatment: int
    business_as_usual: int
    no_contact: int
    no_contact_list: bool = False
    epoch: int = 1

    @property
    def shares(self) -> dict[str, int]:
        return {
            "treatment": self.treatment,
            "business_as_usual": self.business_as_usual,
            "no_contact": self.no_contact,
        }


WINBACK = Campaign("winback", "lost", 80, 0, 20)
EVERYONE = "everyone"
"""Name of the global holdout."""

VIP = Campaign("vip", "loyal", 50, 25, 25, no_contact_list=True)


@dataclass
class Shop:
    """The facts, and the folder that the engine finds them in.

    Attributes:
        global_holdout: Share of people in per cent whom no campaign reaches.
        name: Stands in every address, list and property, so that many shops share one account.
    """

    folder: Path
    name: str
    people: list[Person] = field(default_factory=list)
    campaigns: list[Campaign] = field(default_factory=lambda: [WINBACK, VIP])
    creates: bool = False
    workers: int = 1
    guards: str = "{}"
    options: str = ""
    global_holdout: int = 0
    offer: str = "15_percent"
    vanished_consents: bool = False
    local_part: str = "p"

    def populate(self, n: int) -> None:
        """Add people of every kind, some without consent, suppressed, or unknown at the vendor."""
        kinds = list(DAYS_AGO)
        for i in range(n):
            person = Person(
                i,
                f"{self.local_part}{i:05}@{self.name}.example",
                kinds[i % len(kinds)],
                amount=4_000 + i,
            )
            if i % 10 != 9:
                person.answers.append((i % 17 != 11, NOW - timedelta(days=300)))
            person.suppressed = i % 23 == 7
            person.known = i % 13 != 5
            self.people.append(person)

    def contacts(self) -> list[dict[str, str]]:
        """What the vendor knows before the first run."""
        return [{"email": person.email} for person in self.people if person.known]

    @property
    def config(self) -> Path:
        return self.folder / "liftline.yaml"

    def write(self) -> None:
        """Write the tables and the configuration as they stand now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        moment = pa.timestamp("us", tz="UTC")
        tables = {
            "customers": {
                "id": pa.array([f"c{p.number}" for p in self.people], pa.string()),
                "email": pa.array([p.email for p in self.people], pa.string()),
                "created_at": pa.array([NOW - timedelta(days=400) for _ in self.people], moment),
            },
            "orders": {
                "id": pa.array(
                    [f"o{p.number}-{i}" for p in self.people for i in range(len(p.orders))],
                    pa.string(),
                ),
                "customer_id": pa.array(
                    [f"c{p.number}" for p in self.people for _ in p.orders], pa.string()
                ),
                "placed_at": pa.array([at for p in self.people for at in p.orders], moment),
                "total": pa.array(
                    [p.amount / 100 for p in self.people for _ in p.orders], pa.float64()
                ),
            },
            "consents": self._consents(moment),
            "suppressions": {
                "email": pa.array([p.email for p in self.people if p.suppressed], pa.string())
            },
        }
        for name, columns in tables.items():
            pq.write_table(pa.table(columns), self.folder / f"{name}.parquet")
        self.config.write_text(self._configuration(), encoding="utf-8")

    def _consents(self, moment: pa.DataType) -> dict[str, pa.Array]:
        said = [(p.email, granted, at) for p in self.people for granted, at in p.answers]
        if self.vanished_consents:
            said = []
        return {
            "email": pa.array([email for email, _, _ in said], pa.string()),
            "purpose": pa.array(["marketing" for _ in said], pa.string()),
            "channel": pa.array(["email" for _ in said], pa.string()),
            "status": pa.array(
                ["granted" if granted else "withdrawn" for _, granted, _ in said], pa.string()
            ),
            "at": pa.array([at for _, _, at in said], moment),
        }

    def property(self, what: str) -> str:
        """The vendor's name of one of our properties."""
        return f"{self.name}_{what}"

    def _configuration(self) -> str:
        campaigns = "".join(
            f"  {c.name}:\n"
            f"    segment: {c.kind}\n"
            f"    strategy: {c.name}_strategy\n"
            f"    to: [hubspot]\n"
            f"    arms: {{{', '.join(f'{arm}: {n}%' for arm, n in c.shares.items() if n)}}}\n"
            f"    epoch: {c.epoch}\n"
            f"    no_contact_list: {str(c.no_contact_list).lower()}\n"
            f"    properties: {{{self.property(c.name + '_offer')}: strategy.offer}}\n"
            for c in self.campaigns
        )
        strategies = "".join(
            f"  {c.name}_strategy: {{offer: {self.offer}}}\n" for c in self.campaigns
        )
        share = self.global_holdout
        holdout = f"  global: {{name: {EVERYONE}, share: {share}%}}\n" if share else ""
        return f"""\
version: 1
project: {{name: {self.name}, timezone: Europe/Berlin, state: ./state}}
sources:
  shop_customers: {{type: parquet, path: ./customers.parquet}}
  shop_orders: {{type: parquet, path: ./orders.parquet}}
  shop_consents: {{type: parquet, path: ./consents.parquet}}
  shop_suppressions: {{type: parquet, path: ./suppressions.parquet}}
tables:
  customers:
    from: shop_customers
    columns: {{customer_id: id, email: email, created_at: created_at}}
  orders:
    from: shop_orders
    columns: {{order_id: id, customer_id: customer_id, ordered_at: placed_at, gross: total}}
consent:
  from: shop_consents
  key: email
  columns: {{person: email, purpose: purpose, channel: channel, status: status, at: at}}
exclusion_lists:
  - {{name: suppressed, from: shop_suppressions, key: email}}
segments:
  lost: {{where: "recency_days >= 100"}}
  loyal: {{where: "orders_365d >= 3"}}
strategies:
{strategies}destinations:
  hubspot:
    type: hubspot
    token: "${{HUBSPOT_TOKEN}}"
    base_url: "${{HUBSPOT_URL}}"
    requires: {{purpose: marketing, channel: email}}
    create_missing: {str(self.creates).lower()}
    workers: {self.workers}
    property_group: {self.name}
    rate_limit: {{per_10s: 100000}}
    recheck_missing_after: 1m
    properties: {{{self.property("orders")}: orders_365d, {self.property("revenue")}: revenue_365d}}
{self.options}campaigns:
{campaigns}holdouts:
  assign: {{salt: "${{HOLDOUT_SALT}}"}}
{holdout}guards: {self.guards}
"""
