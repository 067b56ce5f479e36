"""No arm but treatment ever joins the treatment list or gets its properties, in any request.

A proxy between the engine and the vendor writes every request down, so a membership that is added
and taken away again is seen as well.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.end_to_end.conftest import Bench
from tests.end_to_end.oracle import SUFFIX, query
from tests.end_to_end.recorder import recording
from tests.end_to_end.shop import DAYS_AGO, VIP, WINBACK


@pytest.mark.slow
def test_no_other_arm_is_ever_treated(bench: Bench) -> None:
    shop, rng = bench.shop, random.Random(5)
    shop.creates = True
    shop.global_holdout = 10
    shop.populate(240)
    shares = [(80, 0, 20), (50, 25, 25), (90, 5, 5), (20, 40, 40), (60, 20, 20)]
    seen: Counter[str] = Counter()
    bench.open()
    with recording(bench.sandbox.url) as recorder:
        for run, (treatment, usual, none) in enumerate(shares):
            shop.campaigns = [
                replace(WINBACK, treatment=treatment, business_as_usual=usual, no_contact=none),
                replace(
                    VIP,
                    treatment=none + 50,
                    business_as_usual=0,
                    no_contact=50 - none,
                    epoch=1 + run // 3,
                ),
            ]
            for person in rng.sample(shop.people, 80):
                person.kind = rng.choice(list(DAYS_AGO))
                person.amount += 1
            for person in rng.sample(shop.people, 10):
                person.suppressed = not person.suppressed
            shop.write()
            recorder.requests.clear()
            # The last hit is a lost answer, so that the same additions are sent twice.
            bench.controls.drop_after("memberships/add-and-remove", skip=run)
            bench.sync(url=recorder.url)
            bench.controls.clear_faults()
            seen += _hold_against_the_log(bench, recorder.requests)
            bench.check()
    assert (
        min(
            seen[what]
            for what in ("treatment", "business_as_usual", "no_contact", "offer", "score")
        )
        > 10
    )


def _hold_against_the_log(bench: Bench, requests: list[tuple[str, str, Any]]) -> Counter[str]:
    """Every addition and every property of one run, against the log of assignments."""
    shop = bench.shop
    contacts = bench.controls.contacts()
    email_of = {key: contact["properties"]["email"] for key, contact in contacts.items()}
    profile_of = dict(query(shop, "SELECT match_value, profile_id FROM records"))
    arm_of = {
        (campaign, epoch, profile): arm
        for campaign, epoch, profile, arm in query(
            shop, "SELECT campaign, epoch, profile_id, arm FROM assignments"
        )
    }
    list_of = {
        f"{shop.name} | {campaign.name}{suffix}": (campaign, arm)
        for campaign in shop.campaigns
        for arm, suffix in SUFFIX.items()
    }
    lists = {
        key: list_of[one["name"]]
        for key, one in bench.controls.lists().items()
        if one["name"] in list_of
    }
    everyone = {
        profile
        for (name, _, profile), arm in arm_of.items()
        if name == "everyone" and arm == "no_contact"
    }
    assert everyone
    seen: Counter[str] = Counter()
    for method, path, body in requests:
        assert "@" not in path
        if method == "PUT":
            campaign, arm = lists[path.split("/")[4]]
            for record_id in body["recordIdsToAdd"]:
                profile = profile_of[email_of[record_id]]
                assert arm_of[campaign.name, campaign.epoch, profile] == arm
                assert profile not in everyone
                seen[arm] += 1
        elif path.endswith(("objects/contacts/batch/update", "objects/contacts/batch/create")):
            for one in body["inputs"]:
                email = one["properties"].get("email") or email_of[one["id"]]
                profile = profile_of[email]
                written = {
                    name for name, value in one["properties"].items() if value and name != "email"
                }
                arms = {c.name: arm_of.get((c.name, c.epoch, profile)) for c in shop.campaigns}
                assert not (written and profile in everyone), "the global holdout was written to"
                for campaign in shop.campaigns:
                    if shop.property(f"{campaign.name}_offer") in written:
                        assert arms[campaign.name] == "treatment"
                        seen["offer"] += 1
                if shop.property("orders") in written:
                    assert set(arms.values()) <= {"treatment", None}
                    seen["score"] += 1
    return seen
