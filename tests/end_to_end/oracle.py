"""Who belongs on which list with which properties: computed from the facts, with code of its own.

Nothing of the engine is imported. From the engine's state the oracle takes two things, with the
standard library's
sqlite: which profile id stands for which address, and the log of assignments, each of which it
recomputes by hashlib.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.end_to_end.shop import EVERYONE, NOW, SALT, Person, Shop

SUFFIX = {
    "treatment": "",
    "business_as_usual": " | business as usual",
    "no_contact": " | no contact",
}


def query(shop: Shop, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Rows of the state database."""
    connection = sqlite3.connect(f"file:{shop.folder / 'state' / 'state.db'}?mode=ro", uri=True)
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.close()


def profiles(shop: Shop) -> dict[str, str]:
    """Address -> profile id, of everybody who was ever looked up."""
    found = dict(query(shop, "SELECT match_value, profile_id FROM records"))
    assert len(set(found.values())) == len(found), "two addresses share a profile"
    return found


def in_segment(person: Person, kind: str) -> bool:
    """Membership by the words of the rules, on the facts."""
    ages = [(NOW - at).days for at in person.orders]
    return min(ages) >= 100 if kind == "lost" else sum(age < 365 for age in ages) >= 3


def drawn(name: str, epoch: int, shares: Mapping[str, int], profile_id: str) -> str:
    """The arm that the hash gives under these shares."""
    text = f"{SALT}:{name}:{epoch}:{profile_id}".encode()
    point = int(hashlib.md5(text).hexdigest()[:8], 16)
    edge = 0
    for arm, share in shares.items():
        edge += share
        if point * 100 < edge * 2**32:
            return arm
    raise AssertionError("shares do not add up to 100")


@dataclass
class Oracle:
    """The truth about one shop; its memory of arms is its own and compared with the engine's log.

    Attributes:
        arms: (campaign, epoch, address) -> arm, kept for good.
    """

    shop: Shop
    arms: dict[tuple[str, int, str], str] = field(default_factory=dict)

    def reachable(self, person: Person) -> bool:
        """May be written to, and exists there or may be created."""
        return person.consents and not person.suppressed and (person.known or self.shop.creates)

    def held_from_all(self, person: Person) -> bool:
        """Whether the global holdout has the person."""
        return self.arms.get((EVERYONE, 1, person.email)) == "no_contact"

    def assign(self) -> None:
        """Give arms to the newly eligible, and hold the engine's log against them."""
        ids = profiles(self.shop)
        held = self.shop.global_holdout
        for campaign in self.shop.campaigns:
            for person in self.shop.people:
                if not in_segment(person, campaign.kind) or not self.reachable(person):
                    continue
                if held:
                    shares = {"treatment": 100 - held, "no_contact": held}
                    key = (EVERYONE, 1, person.email)
                    self.arms.setdefault(key, drawn(*key[:2], shares, ids[person.email]))
                if not self.held_from_all(person):
                    key = (campaign.name, campaign.epoch, person.email)
                    self.arms.setdefault(key, drawn(*key[:2], campaign.shares, ids[person.email]))
        logged = {
            (campaign, epoch, profile_id): arm
            for campaign, epoch, profile_id, arm in query(
                self.shop, "SELECT campaign, epoch, profile_id, arm FROM assignments"
            )
        }
        assert logged == {
            (name, epoch, ids[email]): arm for (name, epoch, email), arm in self.arms.items()
        }

    def members(self) -> dict[str, set[str]]:
        """List name -> addresses."""
        lists: dict[str, set[str]] = {}
        for campaign in self.shop.campaigns:
            for arm, share in campaign.shares.items():
                if not share or (arm == "no_contact" and not campaign.no_contact_list):
                    continue
                lists[f"{self.shop.name} | {campaign.name}{SUFFIX[arm]}"] = {
                    person.email
                    for person in self.shop.people
                    if in_segment(person, campaign.kind)
                    and self.reachable(person)
                    and not self.held_from_all(person)
                    and self.arms[campaign.name, campaign.epoch, person.email] == arm
                }
        return lists

    def properties(self, person: Person) -> dict[str, str]:
        """Our properties of one person; absent ones are empty at the vendor."""
        if not self.reachable(person):
            return {}
        found: dict[str, str] = {}
        held = self.held_from_all(person)
        for campaign in self.shop.campaigns:
            arm = self.arms.get((campaign.name, campaign.epoch, person.email))
            held = held or arm in ("business_as_usual", "no_contact")
            if (
                arm == "treatment"
                and in_segment(person, campaign.kind)
                and not self.held_from_all(person)
            ):
                found[self.shop.property(f"{campaign.name}_offer")] = self.shop.offer
        if not held:
            found[self.shop.property("orders")] = str(len(person.orders))
            found[self.shop.property("revenue")] = str(
                Decimal(person.amount) * len(person.orders) / 100
            )
        return found

    def check(self, dump: dict[str, Any], *, but: Collection[str] = ()) -> None:
        """Compare the vendor's account with the truth.

        Args:
            dump: The vendor's account.
            but: Addresses whose properties could not be written: they must hold none of ours.
        """
        self.assign()
        contacts = {c["properties"]["email"]: c["properties"] for c in dump["contacts"].values()}
        emails = {key: c["properties"]["email"] for key, c in dump["contacts"].items()}
        lists = {
            one["name"]: {emails[member] for member in one["members"]}
            for one in dump["lists"].values()
            if one["name"].startswith(f"{self.shop.name} | ")
        }
        expected = {
            name: members for name, members in self.members().items() if members or name in lists
        }
        assert lists == expected
        on_a_list = set().union(*expected.values())
        for person in self.shop.people:
            found = {
                name: value
                for name, value in contacts.get(person.email, {}).items()
                if name.startswith(f"{self.shop.name}_") and value != ""
            }
            wanted = {} if person.email in but else self.properties(person)
            # A contact is made for members of a list only, and stays when they leave it.
            person.known = person.known or person.email in on_a_list
            assert person.known == (person.email in contacts), person
            if person.known:
                assert _comparable(found) == _comparable(wanted), person


def _comparable(properties: dict[str, str]) -> dict[str, object]:
    return {k: v if k.endswith("_offer") else Decimal(v) for k, v in properties.items()}
