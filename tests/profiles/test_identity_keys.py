"""Stitching by several kinds of keys: against a union-find, and the laws of ids, merges, splits."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from connector.features.browse import browse_pack
from connector.features.build import build_features
from connector.profiles.devices import LINKS, observe_devices
from connector.profiles.events import EventsSpec, clean_events
from connector.profiles.spec import (
    IdentitySpec,
    SharedEmail,
    WhenApart,
)
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.stitched import Customer, Memory, groups_of, random_shop, run
from tests.profiles.tables import AS_OF, put, understand, utc
from tests.profiles.test_identity import minted

ALL = ("customer_id", "email", "phone", "anonymous_id")
SPLIT = IdentitySpec(ids=ALL, when_apart=WhenApart.SPLIT)
PHONES = IdentitySpec(ids=("customer_id", "email", "phone"), country="DE")
PATTERNS = {
    "never_merge_on": ("info@*",),
    "never_merge_phones": ("+4930*",),
    "never_merge_devices": ("d1*",),
}
SPECS = {
    "addresses": IdentitySpec(),
    "all, no limits": replace(SPLIT, max_customers=10**6, max_customers_per_email=10**6),
    "patterns": replace(SPLIT, max_customers=10**6, **PATTERNS),
    "few customers": replace(SPLIT, max_customers=3, **PATTERNS),
    "one customer": replace(SPLIT, max_customers=1),
    "few of each": replace(SPLIT, max_customers=6, max_emails=2, max_phones=2, max_devices=3),
    "devices first": replace(SPLIT, ids=(*ALL[::3], *ALL[1:3]), max_customers=4, max_emails=2),
    "no addresses": replace(SPLIT, ids=("customer_id", "phone"), max_phones=1),
    "shared addresses set aside": replace(SPLIT, shared_email=SharedEmail.QUARANTINE),
}


@pytest.fixture(scope="module")
def warehouse():
    with DuckDBWarehouse() as warehouse:
        yield warehouse


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_groups_agree_with_a_union_find(warehouse, spec):
    rng = random.Random(str(spec))
    shop = random_shop(rng, 120)
    found = run(warehouse, shop, spec)
    if spec.shared_email is SharedEmail.QUARANTINE:
        spec = replace(spec, ids=tuple(kind for kind in spec.ids if kind != "email"))
    assert found.groups == groups_of(shop, spec)
    if len(spec.kinds) > 2:
        assert max(map(len, found.groups)) > 1 or spec.max_customers == 1


def test_a_device_is_one_persons_or_nobodys(warehouse):
    rng = random.Random(5)
    shop = random_shop(rng, 120)
    spec = SPECS["few of each"]
    found = run(warehouse, shop, spec)
    for device in {d for x in shop.values() for d in x.devices}:
        owners = {found.people[c] for c, x in shop.items() if device in x.devices}
        crowded = {
            profile
            for profile in owners
            if len({d for c, p in found.people.items() if p == profile for d in shop[c].devices})
            > spec.max_devices
        }
        expected = owners.pop() if len(owners) == 1 and not crowded else None
        assert found.devices.get(device) == expected or (
            # More customers than a person may have: set aside, even if they are one after all.
            sum(device in x.devices for x in shop.values()) > spec.max_customers
        )


def test_the_order_of_rows_changes_nothing(warehouse):
    shop = random_shop(random.Random(6), 100)
    for name in ("few of each", "all, no limits"):
        one = run(warehouse, shop, SPECS[name])
        assert run(warehouse, shop, SPECS[name], shuffled=random.Random(7)) == one


@pytest.mark.parametrize("name", ["few of each", "all, no limits", "addresses"])
def test_running_twice_mints_nothing(warehouse, name):
    shop, memory = random_shop(random.Random(8), 100), Memory()
    first = run(warehouse, shop, SPECS[name], memory)
    again = run(warehouse, shop, SPECS[name], memory)
    assert again.people == first.people
    assert again.devices == first.devices
    assert (again.new_keys, again.merges, again.splits) == ([], [], [])
    assert (again.report.n_new, first.report.n_merged, first.report.n_split) == (0, 0, 0)


def test_over_many_runs_groups_follow_the_keys_and_ids_follow_the_people(warehouse):
    """Keys come and go at random; ids are unique, told apart, and come back."""
    rng, memory, spec = random.Random(9), Memory(), SPECS["few customers"]
    shop = random_shop(rng, 40)
    runs, gone = [], {}
    for _ in range(6):
        found = run(warehouse, shop, spec, memory)
        assert found.groups == groups_of(shop, spec)
        runs.append(found)
        if len(runs) > 1:
            before, told = runs[-2], {(a, b) for a, b, _ in (*found.merges, *found.splits)}
            for customer, profile in found.people.items():
                was = before.people.get(customer) or gone.get(customer, profile)
                assert was == profile or (was, profile) in told
            # Nothing is told without a cause.
            assert {a for a, _, r in found.merges if r != "split"} <= set(before.people.values())
            assert {a for a, _, _ in found.splits} <= set(before.people.values())
        assert not set(memory.merges) & set(found.people.values())
        fresh = random_shop(rng, 40)
        changed = rng.sample(sorted(fresh), 12)
        gone |= {c: p for c, p in found.people.items() if c in changed}
        shop = {c: fresh[c] if c in changed else shop[c] for c in shop}
    assert any(found.splits for found in runs)
    assert any(found.merges for found in runs)


def test_a_long_chain_is_one_person(warehouse):
    """2,001 customers, each sharing an address or a number with the next."""
    n = 2_001
    shop = {
        f"c{i:05}": Customer(email=f"e{i // 2}@x.de", phone=f"+4917{(i + 1) // 2:07}")
        for i in range(n)
    }
    assert run(warehouse, shop, PHONES).groups == {frozenset(shop)}


# ---------------------------------------------------------------------- merges and splits
def kept(minted_from: str, *others: str) -> dict[str, str]:
    """Everybody under the id that was minted from one customer."""
    return dict.fromkeys((minted_from, *others), minted(minted_from))


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", {"email": "a@x.de"}, {"email": "b@x.de"}),
        ("phone", {"phone": "0171 2345678"}, {"phone": "+49 30 123456"}),
        ("anonymous_id", {"devices": frozenset({"a"})}, {"devices": frozenset({"b"})}),
    ],
)
def test_merges_name_the_key_and_the_earliest_stays(warehouse, kind, one, other):
    spec = IdentitySpec(ids=ALL, country="DE", max_customers=2)
    old, young = utc(2020, 1, 1), utc(2024, 1, 1)
    for first, second in (("a", "b"), ("b", "a")):
        memory = Memory()
        shop = {
            first: Customer(created_at=old, **one),
            second: Customer(created_at=young, **other),
        }
        assert len(run(warehouse, shop, spec, memory).groups) == 2
        found = run(warehouse, shop | {second: Customer(created_at=young, **one)}, spec, memory)
        assert found.people == kept(first, second)
        assert found.merges == [(minted(second), minted(first), f"shared_{kind}")]
        assert found.report.n_merged == 1


@pytest.mark.parametrize("first", ["a", "b"])
def test_people_who_part_get_back_what_they_had(warehouse, first):
    """Apart, together, apart: the one who stayed keeps the id, the other has its own again."""
    second = "b" if first == "a" else "a"
    memory = Memory()
    old, young = utc(2020, 1, 1), utc(2024, 1, 1)
    apart = {
        first: Customer(phone="+4917211111", created_at=old),
        second: Customer(phone="+4917299999", created_at=young),
    }
    spec = replace(PHONES, when_apart=WhenApart.SPLIT)
    before = run(warehouse, apart, spec, memory)
    together = apart | {second: replace(apart[second], phone="+4917211111")}
    assert run(warehouse, together, spec, memory).people == kept(first, second)
    assert memory.merges == {minted(second): minted(first)}
    after = run(warehouse, apart, spec, memory)
    assert after.people == before.people
    assert after.splits == [(minted(first), minted(second), "no_shared_key")]
    assert (after.merges, memory.merges, after.report.n_split) == ([], {}, 1)
    assert run(warehouse, apart, spec, memory).splits == []


def test_who_was_never_alone_gets_a_new_id(warehouse):
    memory, spec = Memory(), replace(PHONES, when_apart=WhenApart.SPLIT)
    together = {c: Customer(phone="+4917211111") for c in ("a", "b", "c")}
    assert run(warehouse, together, spec, memory).people == kept("a", "b", "c")
    parted = together | {
        "a": Customer(phone="+4917200000"),
        "c": Customer(phone="+4917211111", email="c@x.de"),
    }
    after = run(warehouse, parted, spec, memory)
    # "a" holds the primary key; the larger part gets a new id, and keeps it.
    assert after.people == kept("a") | kept("b", "c")
    assert after.splits == [(minted("a"), minted("b"), "no_shared_key")]
    assert after.report.n_new == 1
    assert run(warehouse, parted, spec, memory).people == after.people


def test_without_the_primary_key_the_larger_part_keeps_the_id(warehouse):
    memory, spec = Memory(), replace(PHONES, when_apart=WhenApart.SPLIT)
    run(warehouse, {c: Customer(phone="+4917211111") for c in "abcd"}, spec, memory)
    left = {"b": Customer(phone="+4917200000")} | {c: Customer(phone="+4917211111") for c in "cd"}
    found = run(warehouse, left, spec, memory)
    assert found.people == {"b": minted("b"), "c": minted("a"), "d": minted("a")}


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        ({"never_merge_phones": ("+4917*",)}, "phone_never_merged"),
        ({"max_customers": 1}, "phone_of_too_many_customers"),
        ({"max_emails": 1}, "phone_over_limit"),
        ({"ids": ("customer_id", "email")}, "no_shared_key"),
    ],
)
def test_a_rule_that_comes_later_splits_and_is_named(warehouse, later, reason):
    spec = replace(PHONES, when_apart=WhenApart.SPLIT)
    shop = {c: Customer(email=f"{c}@x.de", phone="+4917211111") for c in ("a", "b")}
    memory = Memory()
    run(warehouse, shop, spec, memory)
    found = run(warehouse, shop, replace(spec, **later), memory)
    assert found.people == kept("a") | kept("b")
    assert found.splits == [(minted("a"), minted("b"), reason)]


def test_to_keep_is_to_keep_whatever_the_limits_say_by_now(warehouse):
    memory = Memory()
    together = {c: Customer(phone="+4917211111") for c in ("a", "b")}
    run(warehouse, together, PHONES, memory)
    third = Customer(phone="+4917211111")
    apart = {"a": third, "b": Customer(), "c": third}
    found = run(warehouse, apart, replace(PHONES, max_customers=2), memory)
    # Two belong together from before; a third would be too many.
    assert found.people == kept("a", "b") | kept("c")
    assert found.splits == []
    assert found.report.customers.emptied == {"phone_over_limit": 2}


# ---------------------------------------------------------------------- recognition
def test_somebody_who_comes_back_is_recognised_by_the_number(warehouse):
    memory = Memory()
    run(warehouse, {"a": Customer(phone="0171/2345678")}, PHONES, memory)
    found = run(warehouse, {"z": Customer(phone="+49 171 2345678")}, PHONES, memory)
    assert found.people == {"z": minted("a")}


def test_the_more_trusted_key_recognises(warehouse):
    shop = {"a": Customer(email="a@x.de"), "b": Customer(phone="+4917211111")}
    back = {"z": Customer(email="a@x.de", phone="+4917211111")}
    for ids, owner in ((ALL[:3], "a"), (("customer_id", "phone", "email"), "b")):
        memory = Memory()
        spec = replace(PHONES, ids=ids)
        run(warehouse, shop, spec, memory)
        assert run(warehouse, back, spec, memory).people == {"z": minted(owner)}


def test_nobody_is_recognised_beyond_the_limit(warehouse):
    spec, memory = replace(PHONES, max_customers=1), Memory()
    run(warehouse, {"a": Customer(phone="+4917211111")}, spec, memory)
    moved = {"a": Customer(phone="+4917299999"), "z": Customer(phone="+4917211111")}
    assert run(warehouse, moved, spec, memory).people == kept("a") | kept("z")


# ---------------------------------------------------------------------- what is set aside
def test_what_joins_nobody_is_counted_with_the_reason(warehouse):
    shop = {
        "a": Customer(phone="+4930555001", devices=frozenset({"family"})),
        "b": Customer(phone="+4930555001", devices=frozenset({"family"})),
        "c": Customer(phone="+4917211111"),
        "d": Customer(phone="+4917211111"),
        "e": Customer(phone="+4917211111"),
        "f": Customer(phone="call me"),
        "g": Customer(devices=frozenset({"kiosk-1", "own"})),
    }
    spec = IdentitySpec(
        ids=ALL,
        max_customers_per_email=2,
        never_merge_phones=("+4930555*",),
        never_merge_devices=("kiosk-*",),
    )
    found = run(warehouse, shop, spec)
    assert found.groups == {frozenset({c}) for c in shop}
    assert found.devices == {"own": minted("g")}
    assert found.report.customers.emptied == {
        "phone_never_merged": 2,
        "phone_of_too_many_customers": 3,
        "invalid_phone": 1,
        "anonymous_id_shared": 2,
        "anonymous_id_never_merged": 1,
    }
    assert ("f", "invalid_phone") in found.quarantined
    # What is nobody's own is not remembered as anybody's either.
    assert {kind for kind, _, _ in found.new_keys} == {"customer_id"}


def test_devices_of_somebody_with_too_many_are_nobodys(warehouse):
    many = frozenset(f"d{i}" for i in range(4))
    shop = {"a": Customer(devices=many), "b": Customer(devices=frozenset({"x", "y", "z"}))}
    found = run(warehouse, shop, IdentitySpec(ids=ALL, max_devices=3))
    assert set(found.devices) == {"x", "y", "z"}
    assert found.report.customers.emptied == {"anonymous_id_over_limit": 1}


# ---------------------------------------------------------------------- consent
def test_the_primary_address_speaks_for_people_joined_by_a_number(warehouse):
    def permitted(*consents):
        put(
            warehouse,
            "customers",
            [
                {"customer_id": c, "email": f"{c}@x.de", "phone": "0171 2345678"}
                | {"created_at": utc(2024, 1, day)}
                for day, c in enumerate(("a", "b"), 1)
            ],
        )
        put(
            warehouse,
            "consents",
            [
                {"person": f"{c}@x.de", "purpose": "marketing", "channel": "email"}
                | {"status": status, "at": utc(2025, 1, 1)}
                for c, status in consents
            ],
        )
        put(warehouse, "orders", [])
        understand(warehouse, identity=PHONES)
        (person,) = warehouse.rows("SELECT p.email, p.n_customers FROM profiles AS p")
        assert person[1] == 2
        return person[0], warehouse.rows("SELECT p.status FROM permissions AS p")

    assert permitted() == ("b@x.de", [])
    assert permitted(("b", "withdrawn")) == ("b@x.de", [("withdrawn",)])
    assert permitted(("a", "granted"), ("b", "withdrawn")) == ("a@x.de", [("granted",)])
    assert permitted(("a", "withdrawn")) == ("b@x.de", [])


# ---------------------------------------------------------------------- before the log-in
def day(n, hour=0):
    return utc(2025, 5, 1) + timedelta(days=n, hours=hour)


def visits(rng, n_people, n_days):
    """Visits on own devices, some before the first log-in; some devices change hands."""
    rows = []
    for i in range(n_people):
        login = rng.randrange(n_days)
        for d in sorted(rng.sample(range(n_days), 12)):
            known = d >= login and rng.random() < 0.8
            device = f"d{i}" if rng.random() < 0.9 else f"d{(i + 1) % n_people}"
            rows.append(
                {
                    "event_id": f"{i}-{d}",
                    "event": "Product Viewed",
                    "occurred_at": day(d, rng.randrange(24)),
                    "customer_id": f"c{i}" if known else None,
                    "anonymous_id": device,
                    "product_id": f"sku{rng.randrange(5)}",
                }
            )
    return rows


def behaviour(warehouse, rows, n_people, *, as_of):
    """The clean events of people who are stitched by devices as of an instant."""
    put(warehouse, "customers", [{"customer_id": f"c{i}"} for i in range(n_people)])
    put(warehouse, "orders", [])
    put(warehouse, "events", rows)
    observe_devices(warehouse, as_of=as_of)
    understand(warehouse, as_of=as_of, identity=IdentitySpec(ids=ALL))
    return clean_events(warehouse, EventsSpec(links=LINKS), as_of=as_of)


def test_what_was_done_before_the_log_in_is_the_persons_own(warehouse):
    def event(n, customer, device, d):
        return {"event_id": n, "event": "Page Viewed", "occurred_at": day(d)} | {
            "customer_id": customer,
            "anonymous_id": device,
        }

    rows = [
        event("before", None, "hers", 1),
        event("login", "c0", "hers", 2),
        event("after", None, "hers", 3),
        event("shared", None, "family", 1),
        event("one", "c0", "family", 2),
        event("two", "c1", "family", 2),
        event("nobody", None, "unknown", 1),
        event("too late", None, "later", 4),
        event("later login", "c1", "later", 90),
        event("blank", "c1", " ", 1),
    ]
    report = behaviour(warehouse, rows, 2, as_of=AS_OF)
    found = {
        row[0]: row[1:]
        for row in warehouse.rows(
            "SELECT e.event_id, e.profile_id, e.ll_known_at FROM clean_events AS e"
        )
    }
    assert found == {
        "before": (minted("c0"), day(2)),
        "login": (minted("c0"), day(2)),
        "after": (minted("c0"), day(3)),
        "one": (minted("c0"), day(2)),
        "two": (minted("c1"), day(2)),
        "blank": (minted("c1"), day(1)),
    }
    assert report.left_out["anonymous"] == 3
    assert report.left_out["after_as_of"] == 1


def test_no_earlier_cut_off_knows_who_logs_in_afterwards(warehouse):
    """Features of an earlier instant are those of a run at that instant."""
    rng, n = random.Random(10), 30
    rows = [r for r in visits(rng, n, 40) if r["anonymous_id"] == f"d{r['event_id'].split('-')[0]}"]
    cuts = [day(d).replace(tzinfo=AS_OF.tzinfo) for d in (10, 20, 30)]
    behaviour(warehouse, rows, n, as_of=AS_OF)
    for cut in cuts:
        build_features(warehouse, [browse_pack()], as_of=cut, output=f"late_{cut:%d}")
    moved = 0
    for cut in cuts:
        seen = warehouse.rows(f"SELECT * FROM late_{cut:%d} AS f")
        with DuckDBWarehouse() as then:
            behaviour(then, rows, n, as_of=cut)
            build_features(then, [browse_pack()], as_of=cut)
            assert sorted(then.rows("SELECT * FROM features AS f")) == sorted(seen)
        (hidden,) = warehouse.rows(
            "SELECT count(*) AS n FROM clean_events AS e WHERE e.occurred_at < TIMESTAMP"
            f" '{cut:%Y-%m-%d}' AND e.ll_known_at >= TIMESTAMP '{cut:%Y-%m-%d}'"
        )[0]
        moved += hidden
    assert moved, "the world has nobody who logged in later"
