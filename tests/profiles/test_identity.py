"""Stitching against an independent union-find, and the laws that keep a person the same person."""

import collections
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.profiles.customers import clean_customers
from connector.profiles.identity import stitch
from connector.profiles.spec import CustomersSpec, IdentitySpec, SharedEmail
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import AS_OF, KEY, column, put, put_keys, remember


def run(warehouse, people, spec=None, exclude=""):
    """One run over ``{customer_id: email}``; returns ``{customer_id: profile_id}``."""
    put(warehouse, "customers", [{"customer_id": c, "email": e} for c, e in people.items()])
    if not warehouse.columns("known_keys"):
        put_keys(warehouse, [])
    clean_customers(warehouse, CustomersSpec(exclude=exclude), as_of=AS_OF)
    report = stitch(warehouse, spec or IdentitySpec(), mint_key=KEY)
    assert report.customers.n_accounted == report.customers.n_in
    ids = dict(warehouse.rows("SELECT p.customer_id, p.profile_id FROM profile_customers AS p"))
    return ids, report


def emails(warehouse):
    return dict(warehouse.rows("SELECT e.email, e.profile_id FROM profile_emails AS e"))


def minted(customer_id):
    return "p_" + hashlib.md5(f"{KEY}:{customer_id}".encode()).hexdigest()[:20]


def digest(kind, value):
    return hashlib.md5(f"{KEY}:{kind}:{value}".encode()).hexdigest()


@pytest.fixture
def warehouse():
    with DuckDBWarehouse() as warehouse:
        yield warehouse


def test_an_id_is_minted_from_the_key_and_the_smallest_customer(warehouse):
    ids, report = run(warehouse, {"b": "x@x.de", "a": "X@x.de ", "c": None})
    assert ids == {"a": minted("a"), "b": minted("a"), "c": minted("c")}
    assert (report.n_profiles, report.n_new, report.n_merged) == (2, 2, 0)


def test_state_is_given_digests_only(warehouse):
    run(warehouse, {"a": "x@x.de"})
    assert sorted(warehouse.rows("SELECT * FROM new_keys")) == [
        ("customer_id", digest("customer_id", "a"), minted("a")),
        ("email", digest("email", "x@x.de"), minted("a")),
    ]


def test_a_person_stays_the_same_when_the_address_changes(warehouse):
    before, _ = run(warehouse, {"a": "x@x.de"})
    remember(warehouse)
    after, report = run(warehouse, {"a": "new@x.de"})
    assert after == before
    assert report.n_new == 0
    remember(warehouse)
    run(warehouse, {"a": "new@x.de"})
    assert warehouse.rows("SELECT * FROM new_keys") == []


def test_a_smaller_customer_id_that_joins_later_does_not_rename_the_person(warehouse):
    run(warehouse, {"b": "x@x.de"})
    remember(warehouse)
    ids, report = run(warehouse, {"a": "x@x.de", "b": "x@x.de"})
    assert ids == {"a": minted("b"), "b": minted("b")}
    assert (report.n_new, report.n_merged) == (0, 0)


def test_somebody_who_comes_back_under_a_new_number_is_recognised_by_the_address(warehouse):
    run(warehouse, {"a": "x@x.de"})
    remember(warehouse)
    ids, _ = run(warehouse, {"z": "x@x.de"})
    assert ids == {"z": minted("a")}


def test_an_address_that_a_known_customer_takes_over_merges_nobody(warehouse):
    run(warehouse, {"a": "x@x.de", "b": "y@x.de"})
    remember(warehouse)
    ids, report = run(warehouse, {"a": "other@x.de", "b": "x@x.de"})
    assert ids == {"a": minted("a"), "b": minted("b")}
    assert emails(warehouse) == {"other@x.de": minted("a"), "x@x.de": minted("b")}
    assert report.n_merged == 0
    # The address speaks for its new owner from now on.
    assert ("email", digest("email", "x@x.de"), minted("b")) in warehouse.rows(
        "SELECT * FROM new_keys"
    )


def test_two_known_people_who_share_an_address_become_one_and_it_is_reported(warehouse):
    run(warehouse, {"a": "a@x.de", "b": "b@x.de"})
    remember(warehouse)
    first, second = sorted([minted("a"), minted("b")])
    ids, report = run(warehouse, {"a": "same@x.de", "b": "same@x.de"})
    assert set(ids.values()) == {first}
    assert warehouse.rows("SELECT * FROM profile_merges") == [(second, first, "shared_email")]
    assert report.n_merged == 1
    # Every key of the one that went is pointed to the one that stayed, its old address too.
    remember(warehouse)
    assert column(warehouse, "SELECT DISTINCT k.profile_id FROM known_keys AS k") == [first]
    # And once the address is told apart again, they stay one: a merge is for good.
    again, _ = run(warehouse, {"a": "a@x.de", "b": "b@x.de"})
    assert set(again.values()) == {first}
    assert emails(warehouse) == {"a@x.de": first, "b@x.de": first}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (IdentitySpec(never_merge_on=("info@*",)), "email_never_merged"),
        (IdentitySpec(max_customers_per_email=1), "email_of_too_many_customers"),
        (IdentitySpec(shared_email=SharedEmail.QUARANTINE), "email_shared"),
    ],
)
def test_an_address_that_may_not_merge_is_taken_from_all(warehouse, spec, reason):
    people = {"a": "info@x.de", "b": "info@x.de", "c": "c@x.de"}
    ids, report = run(warehouse, people, spec)
    assert len(set(ids.values())) == 3
    assert emails(warehouse) == {"c@x.de": minted("c")}
    assert report.customers.emptied == {reason: 2}
    aside = warehouse.rows("SELECT q.row_key, q.reason FROM quarantined_identity AS q")
    assert sorted(aside) == [("a", reason), ("b", reason)]


def test_a_generic_address_of_one_customer_is_kept_but_recognises_nobody(warehouse):
    spec = IdentitySpec(never_merge_on=("info@*",))
    run(warehouse, {"a": "info@x.de"}, spec)
    assert emails(warehouse) == {"info@x.de": minted("a")}
    remember(warehouse)
    ids, _ = run(warehouse, {"b": "info@x.de"}, spec)
    assert ids == {"b": minted("b")}


def test_patterns_are_no_regular_expressions(warehouse):
    spec = IdentitySpec(never_merge_on=("in.o@x+y.*",))
    ids, _ = run(warehouse, {"a": "info@x.de", "b": "info@x.de"}, spec)
    assert len(set(ids.values())) == 1


def test_test_accounts_leave_with_their_whole_profile(warehouse):
    people = {"t": "me@shop.example", "u": "me@shop.example", "v": "v@x.de", "w": None}
    ids, report = run(warehouse, people, exclude="customer_id = 't'")
    assert set(ids) == {"v", "w"}
    assert column(warehouse, "SELECT t.customer_id FROM test_customers AS t") == ["t", "u"]
    assert emails(warehouse) == {"v@x.de": minted("v")}
    assert report.customers.left_out == {"test_account": 2}
    assert (report.n_profiles, report.n_test_profiles) == (2, 1)


def test_test_accounts_are_found_by_the_normalised_address(warehouse):
    ids, _ = run(warehouse, {"t": " Me@Shop.Example "}, exclude="email like '%@shop.example'")
    assert ids == {}


PEOPLE = st.dictionaries(
    st.sampled_from([f"c{i}" for i in range(8)]),
    st.sampled_from(["a@x.de", "b@x.de", "c@x.de", "d@x.de", "info@x.de", None]),
    max_size=8,
)


def expected_groups(runs, cap):
    """Who belongs together after several runs, by a union-find over customers, in plain Python."""
    parent, owner = {}, {}

    def find(c):
        while parent[c] != c:
            c = parent[c]
        return c

    for people in runs:
        sharers = collections.Counter(e for e in people.values() if e)

        def own(e, sharers=sharers):
            return e and not e.startswith("info@") and sharers[e] <= cap

        known = set(parent)
        for c in people:
            parent.setdefault(c, c)
        for c, e in people.items():
            if c not in known and own(e) and e in owner:
                parent[find(c)] = find(owner[e])
        for e in sharers:
            if own(e):
                first, *others = [c for c, x in people.items() if x == e]
                for other in others:
                    parent[find(other)] = find(first)
        for e in sharers:
            holders = [c for c, x in people.items() if x == e]
            if len({find(c) for c in holders}) == 1:
                owner[e] = holders[0]
    groups = collections.defaultdict(set)
    for c in runs[-1]:
        groups[find(c)].add(c)
    return {frozenset(group) for group in groups.values()}


@given(st.lists(PEOPLE, min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_runs_agree_with_a_union_find(runs):
    spec = IdentitySpec(max_customers_per_email=3, never_merge_on=("info@*",))
    seen: dict[str, str] = {}
    with DuckDBWarehouse() as warehouse:
        for people in runs:
            ids, _ = run(warehouse, people, spec)
            merged = dict(
                warehouse.rows(
                    "SELECT m.from_profile_id, m.into_profile_id FROM profile_merges AS m"
                )
            )
            for customer, profile in ids.items():
                if customer in seen:
                    assert profile == merged.get(seen[customer], seen[customer])
            seen |= ids
            for customer, profile in seen.items():
                seen[customer] = merged.get(profile, profile)
            held = warehouse.rows("SELECT e.email FROM profile_emails AS e")
            assert len(held) == len(set(held)), "one address on two profiles"
            remember(warehouse)
    groups = collections.defaultdict(set)
    for customer, profile in ids.items():
        groups[profile].add(customer)
    assert {frozenset(g) for g in groups.values()} == expected_groups(runs, cap=3)
