"""``liftline explain``: what it says of a person is what the raw facts and the vendor say."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from connector.errors import LiftlineError
from connector.pipeline.person.explain import explain, explaining, mask
from connector.pipeline.person.explanation import CampaignView, Explanation
from connector.pipeline.project import Project
from connector.report.words import BLOCKED
from connector.state import schema
from destinations.sandbox.hubspot import HubSpotSandbox
from tests.pipeline import small_shop
from tests.pipeline.small_shop import AS_OF, CONFIG, SALT, Facts

TEXT = CONFIG.replace("order: [regular, lapsing]", "order: [regular, lapsing, big]").replace(
    "lifetime_orders >= 9", "lifetime_orders >= 5"
)
NOW = AS_OF.replace(tzinfo=None)


@dataclass
class Place:
    facts: Facts
    sandbox: HubSpotSandbox
    project: Project
    contacts: dict[str, str]
    refused: str
    """Customer whose properties HubSpot refuses."""
    of: Callable[[str], Explanation]

    def email(self, customer: str) -> str:
        return str(self.facts.customers.set_index("id").email[customer])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A shop after its first run, where HubSpot knows nine people of ten."""
    folder = tmp_path_factory.mktemp("explain")
    facts = small_shop.build(folder, n=400)
    with HubSpotSandbox(per_10s=10_000) as sandbox:
        emails = [e for e in facts.customers.email if not e.split("@")[0].endswith("3")]
        ids = sandbox.controls.preload_contacts([{"email": e} for e in emails])
        with small_shop.open_project(folder, sandbox.url, sandbox.token, text=TEXT) as project:
            plan = project.plan()
            changes = pq.read_table(plan.changes_path).to_pandas()
            joins = changes[(changes.kind == "membership") & (changes.action == "add")]
            victim = joins.match_value.iloc[0]
            sandbox.controls.reject([victim, dict(zip(emails, ids, strict=True))[victim]])
            project.apply(approved={"all"}, approver="test")
            refused = facts.customers.set_index("email").id[victim]
            contacts = dict(zip(emails, ids, strict=True))
            with explaining(project) as tell:
                yield Place(facts, sandbox, project, contacts, str(refused), tell)


def campaign(found: Explanation, name: str) -> CampaignView:
    (one,) = [c for c in found.campaigns if c.campaign == name]
    return one


def at_hubspot(place: Place) -> set[str]:
    return {c for c in place.facts.customers.id if place.email(c) in place.contacts}


def test_an_address_an_id_and_a_profile_are_one_person(place: Place) -> None:
    by_id = place.of("c0040")
    email = f"  {place.email('c0040').upper()} "
    assert place.of(email) == by_id
    assert place.of(by_id.person.profile_id) == by_id


@pytest.mark.parametrize(
    "who", ["canary-nobody@mail.example", "c99999", "p_0", "", "o'brien\x00", "\ud800", "%"]
)
def test_nobody_is_found_without_repeating_who(place: Place, who: str) -> None:
    with pytest.raises(LiftlineError) as caught:
        place.of(who)
    assert "Nobody is known" in str(caught.value)
    assert len(who) < 3 or who not in str(caught.value)


def test_a_test_account_is_told_from_nobody(place: Place) -> None:
    with pytest.raises(LiftlineError, match="test account") as caught:
        place.of("canary9999@staff.example")
    assert "canary" not in str(caught.value)


def test_a_plan_says_when_the_vendor_is_asked_again(place: Place) -> None:
    facts = place.facts
    asked = set.union(*(facts.eligible(AS_OF, s) for s in ("lapsing", "regular")))
    (note,) = place.project.plan().header.notes
    n = int(re.match(r"[\d,]+", note.message)[0].replace(",", ""))
    assert len(asked - at_hubspot(place)) <= n <= len(facts.customers) - len(at_hubspot(place))
    assert note.subject == "hubspot"
    assert f"asked again on {(AS_OF + timedelta(days=7)).date().isoformat()}" in note.message


def test_scores_and_their_ranges(place: Place) -> None:
    """Against numpy's quantiles of the raw orders."""
    orders = place.facts.orders
    last = (NOW - orders.groupby("customer_id").ordered_at.max()) // timedelta(days=1)
    edges = np.quantile(last.to_numpy(), [0.2, 0.4, 0.6, 0.8])

    def score(days: int) -> int:
        return 5 - int((edges < days).sum())

    for customer in last.index[:: len(last) // 6]:
        rfm = place.of(customer).rfm
        recency, frequency, monetary = rfm.scores
        mine = orders[orders.customer_id == customer]
        assert recency.value == last[customer]
        assert recency.score == score(last[customer])
        assert frequency.value == len(mine)
        assert monetary.value == pytest.approx(mine.total.sum(), abs=0.005)
        assert recency.words.startswith(
            f"R {recency.score}: last order {last[customer]} days ago; score {recency.score} means "
        )
        low, high = ([int(x) for x in re.findall(r"\d+", recency.means)] + [10_000])[:2]
        if "or more" in recency.means:
            high = int(last.max())
        assert {score(day) for day in range(low, high + 1)} == {recency.score}
        assert score(high + 1) != recency.score or "or more" in recency.means
        assert low == 0 or score(low - 1) != recency.score
        assert rfm.cell == "".join(str(s.score) for s in rfm.scores)
        assert rfm.group_since == AS_OF
        assert "version 1" in rfm.words


def test_people_without_orders_have_no_scores(place: Place) -> None:
    customer = next(
        c for c in place.facts.customers.id if c not in set(place.facts.orders.customer_id)
    )
    rfm = place.of(customer).rfm
    assert (rfm.group, rfm.cell, rfm.scores) == ("prospects", "", ())
    assert "No order ever" in rfm.words


def test_segments_and_what_would_change_them(place: Place) -> None:
    inside = sorted(place.facts.eligible(AS_OF, "lapsing"))[0]
    outside = sorted(place.facts.eligible(AS_OF, "regular"))[0]
    segments = {s.segment: s for s in place.of(inside).segments}
    assert segments["lapsing"].member
    assert segments["lapsing"].since == AS_OF
    assert segments["lapsing"].to_leave
    assert segments["lapsing"].to_enter == ()
    orders = place.facts.orders[place.facts.orders.customer_id == inside]
    days = (NOW - orders.ordered_at.max()) // timedelta(days=1)
    assert [(c.text, c.holds, c.value) for c in segments["lapsing"].conditions] == [
        ("recency_days between 60 and 300", True, str(days))
    ]
    segments = {s.segment: s for s in place.of(outside).segments}
    assert not segments["lapsing"].member
    assert segments["lapsing"].to_leave == ()
    assert "recency_days between 60 and 300" in segments["lapsing"].to_enter[0]


def arm_by_hand(profile_id: str, name: str, shares: dict[str, float]) -> str:
    drawn = int(hashlib.md5(f"{SALT}:{name}:1:{profile_id}".encode()).hexdigest()[:8], 16) / 2**32
    edge = 0.0
    for arm, share in shares.items():
        edge += share
        if drawn < edge:
            return arm
    raise AssertionError("shares do not add up")


def test_arms_come_from_the_log_and_are_the_hashes(place: Place) -> None:
    shares = {"treatment": 0.7, "business_as_usual": 0.05, "no_contact": 0.25}
    people = sorted(place.facts.eligible(AS_OF, "lapsing") & at_hubspot(place))[:12]
    seen = set()
    for customer in people:
        found = place.of(customer)
        one = campaign(found, "winback")
        held = arm_by_hand(
            found.person.profile_id, "universal", {"treatment": 0.9, "no_contact": 0.1}
        )
        if held == "no_contact":
            assert (one.status, one.code, one.arm) == ("blocked", "global_holdout", None)
            assert "kept back from every campaign, since 2026-03-02" in found.global_holdout
            continue
        arm = arm_by_hand(found.person.profile_id, "winback", shares)
        status = "addressed" if arm == "treatment" else "held_out"
        assert (one.arm, one.arm_from, one.status) == (arm, "log", status)
        assert one.since == AS_OF
        seen.add(status)
    assert seen == {"addressed", "held_out"}


def test_why_a_member_is_not_addressed(place: Place) -> None:
    facts = place.facts
    recency = (NOW - facts.orders.groupby("customer_id").ordered_at.max()) // timedelta(days=1)
    members = set(recency[recency.between(60, 300)].index)
    last = facts.consents.sort_values("changed_at").groupby("email").status.last()
    emails = facts.customers.set_index("id").email
    members = {c for c in members if emails[c] not in facts.suppressed}
    withdrawn = next(c for c in sorted(members) if last.get(emails[c]) == "withdrawn")
    silent = next(c for c in sorted(members) if emails[c] not in last.index)
    stranger = next(c for c in sorted(facts.eligible(AS_OF, "lapsing") - at_hubspot(place)))
    for customer, code in (
        (withdrawn, "consent_withdrawn"),
        (silent, "no_consent"),
        (stranger, "not_at_destination"),
    ):
        one = campaign(place.of(customer), "winback")
        assert (one.status, one.code) == ("blocked", code)
        assert one.why.startswith(BLOCKED[code].title)
        (destination,) = place.of(customer).destinations
        assert destination.code == code
        assert destination.lists == ()

    (consent,) = place.of(withdrawn).consents
    said = facts.consents[facts.consents.email == emails[withdrawn]].changed_at.max()
    assert (consent.status, consent.at) == (
        "withdrawn",
        pd.Timestamp(said).to_pydatetime().replace(tzinfo=UTC),
    )
    (consent,) = place.of(silent).consents
    assert (consent.status, consent.at) == ("no_record", None)
    assert place.of(stranger).destinations[0].record == "unknown_there"
    week = (AS_OF + timedelta(days=7)).date().isoformat()
    assert f"asked again on {week}" in place.of(stranger).destinations[0].words


def test_what_goes_first_and_what_excludes_is_named(place: Place) -> None:
    facts = place.facts
    year = facts.orders[facts.orders.ordered_at >= NOW - timedelta(days=365)]
    revenue = year.groupby("customer_id").total.sum()
    big = set(revenue[revenue >= 151].index)
    both = sorted(facts.eligible(AS_OF, "lapsing") & big & at_hubspot(place))
    one = campaign(place.of(both[0]), "spenders")
    assert (one.status, one.code) == ("blocked", "outranked")
    assert "(winback)" in one.why

    n_orders = facts.orders.groupby("customer_id").size()
    many = sorted(
        facts.eligible(AS_OF, "regular") & set(n_orders[n_orders >= 5].index) & at_hubspot(place)
    )
    one = campaign(place.of(many[0]), "vip")
    assert (one.status, one.code) == ("blocked", "excluded_from_campaign")
    assert "(no_vip)" in one.why
    assert [(x.name, x.applies_to) for x in place.of(many[0]).exclusions] == [("no_vip", "vip")]

    emails = facts.customers.set_index("email").id
    listed = place.of(str(emails[sorted(facts.suppressed)[0]]))
    assert ("suppressed", "every campaign") in [(x.name, x.applies_to) for x in listed.exclusions]

    assert campaign(listed, "over").status == "not_running"
    assert "2026-02-01" in campaign(listed, "over").why
    assert campaign(listed, "idle").status == "not_in_segment"


def test_lists_are_those_of_the_vendor(place: Place) -> None:
    vendor = {
        one["name"]: set(one["members"]) for one in place.sandbox.controls.dump()["lists"].values()
    }
    n_lists = 0
    for customer in sorted(place.facts.eligible(AS_OF, "lapsing") & at_hubspot(place))[:12]:
        (destination,) = place.of(customer).destinations
        record = place.contacts[place.email(customer)]
        there = {name for name, members in vendor.items() if record in {str(m) for m in members}}
        assert {x.name for x in destination.lists if x.presence == "yes"} == there
        assert destination.record == "known"
        n_lists += len(there)
    assert n_lists


def test_a_refusal_is_shown_with_its_code(place: Place) -> None:
    (destination,) = place.of(place.refused).destinations
    assert destination.blocked
    issue = destination.issues[0]
    assert issue.code == destination.blocked
    assert issue.at == AS_OF
    assert issue.words


def test_it_says_nobodys_address_and_asks_no_vendor(place: Place) -> None:
    calls = len(place.sandbox.controls.dump()["log"])
    for customer in ("c0001", "c0006", place.refused):
        text = json.dumps(place.of(customer).to_json())
        assert "canary" not in text
        assert "canary" not in repr(place.of(customer))
    explain(place.project, place.email("c0001"))
    assert len(place.sandbox.controls.dump()["log"]) == calls
    assert place.of("c0001").person.address == "c•••@m•••.example"


def test_masking() -> None:
    assert mask("ada@mail.example") == "a•••@m•••.example"
    assert mask("x@localhost") == "x•••@l•••"


def test_somebody_whose_row_is_quarantined_is_told_why(tmp_path: Path) -> None:
    facts = small_shop.build(tmp_path, n=60)
    victim = str(facts.customers.id.iloc[7])
    rule = f"    quarantine: {{odd_card: \"id = '{victim}'\"}}\n"
    text = TEXT.replace("    tests: [{unique: customer_id}]\n", rule)
    assert rule in text
    with (
        HubSpotSandbox() as sandbox,
        small_shop.open_project(tmp_path, sandbox.url, sandbox.token, text=text) as project,
        explaining(project) as tell,
    ):
        with pytest.raises(LiftlineError, match="quarantined: odd card") as caught:
            tell(victim)
        assert victim not in str(caught.value)
        with pytest.raises(LiftlineError, match="Nobody is known"):
            tell("c99999")


def test_somebody_merged_is_found_by_the_former_id(place: Place) -> None:
    survivor = place.of("c0040").person.profile_id
    row = {"from_profile_id": "p_former", "into_profile_id": survivor, "reason": "test", "at": "x"}
    place.project.state.insert(schema.profile_merges, [row])
    found = explain(place.project, "p_former")
    assert found.person.profile_id == survivor
    assert found.person.former_ids == ("p_former",)
    with place.project.state.engine.begin() as connection:
        connection.execute(sa.delete(schema.profile_merges))


def test_before_the_first_run_it_says_what_would_be(tmp_path: Path) -> None:
    facts = small_shop.build(tmp_path, n=200)
    with (
        small_shop.open_project(tmp_path, "http://127.0.0.1:9", "pat-na1-x", text=TEXT) as project,
        explaining(project) as tell,
    ):
        found = [tell(c) for c in sorted(facts.eligible(AS_OF, "lapsing"))[:3]]
    for one in found:
        view = campaign(one, "winback")
        if view.code == "global_holdout":
            continue
        assert (view.arm_from, view.since) == ("next_run", None)
        assert one.destinations[0].record == "not_asked"
        assert "asked by the next plan" in one.destinations[0].words
        assert "none are stored yet" in one.rfm.words
        assert one.rfm.group_since is None
