"""One bad record among ten thousand: the others are delivered; the next run sends that one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.end_to_end.conftest import Bench
from tests.end_to_end.oracle import in_segment, query
from tests.end_to_end.shop import WINBACK

MOST_EXTRA_CALLS = 20


def _updates(bench: Bench) -> list[int]:
    """People in each request that wrote properties, since the log was cleared."""
    written = ("contacts/batch/update", "objects/contacts/batch/create")
    return [entry["inputs"] for entry in bench.log() if entry["path"].endswith(written)]


def _run(bench: Bench) -> tuple[list[int], int]:
    bench.controls.clear_log()
    told = bench.sync()
    return _updates(bench), told.outcomes("rejected")


@pytest.mark.slow
def test_one_poison_record_among_ten_thousand(bench: Bench) -> None:
    shop = bench.shop
    shop.campaigns = [WINBACK]
    shop.populate(10_000)
    for person in shop.people:
        person.known, person.suppressed, person.answers = True, False, [(True, person.orders[0])]
    bench.open()
    victim = next(p for p in shop.people if p.kind == "plain" and p.number > 5_000)
    bench.controls.poison([victim.email])

    sent, rejected = _run(bench)
    n_written = len({e for e, c in _contacts(bench).items() if c["writes"]})
    needed = -(-(n_written + 1) // 100)
    assert rejected == 1
    assert n_written > 7_000
    assert needed < len(sent) <= needed + MOST_EXTRA_CALLS
    issues = query(shop, "SELECT kind, outcome, code, message FROM row_issues")
    assert [(kind, outcome) for kind, outcome, _, _ in issues] == [("record", "rejected")]
    # All but the victim are as they should be: without it, the truth holds.
    bench.oracle.check(bench.controls.dump(), but={victim.email})

    assert _run(bench) == ([], 0)
    victim.amount += 1
    shop.write()
    assert _run(bench) == ([1], 1)
    bench.controls.clear_faults()
    victim.amount += 1
    shop.write()
    assert _run(bench) == ([1], 0)
    bench.check()


def _contacts(bench: Bench) -> dict[str, dict[str, object]]:
    return {c["properties"]["email"]: c for c in bench.controls.contacts().values()}


def test_a_poison_among_updates_and_creations(bench: Bench) -> None:
    """A bad record of a member and a refused new contact: the others get through."""
    shop = bench.shop
    shop.creates = True
    shop.campaigns = [replace(WINBACK, treatment=100, no_contact=0)]
    shop.populate(200)
    bench.open()
    reachable = [p for p in shop.people if bench.oracle.reachable(p) and in_segment(p, "lost")]
    bad = next(p for p in reachable if p.known)
    unborn = next(p for p in reachable if not p.known)
    assert sum(not p.known for p in reachable) > 1
    bench.controls.poison([bad.email, unborn.email])
    bench.sync()
    everybody = {p.email for p in reachable}
    # Whoever exists joins the list although the properties were refused; who was not made cannot.
    assert set(bench.controls.members(f"{shop.name} | winback")) == everybody - {unborn.email}
    contacts = _contacts(bench)
    assert contacts[bad.email]["writes"] == 0
    assert unborn.email not in contacts
    bench.controls.clear_faults()
    # The block is of what was refused; it ends when that changes, not when the vendor does.
    assert _run(bench) == ([], 0)
    for person in (bad, unborn):
        person.amount += 1
    shop.write()
    sent, rejected = _run(bench)
    assert (sum(sent), rejected) == (2, 0)
    bench.check()


def test_a_record_that_is_refused_alone_costs_no_extra_call(bench: Bench) -> None:
    shop = bench.shop
    shop.campaigns = [WINBACK]
    shop.populate(150)
    bench.open()
    victim = next(p for p in shop.people if p.kind == "plain" and bench.oracle.reachable(p))
    bench.controls.reject([victim.email], "INVALID_OPTION")
    bench.controls.clear_log()
    told = bench.sync()
    assert told.outcomes("rejected") == 1
    n_written = sum(c["writes"] for c in _contacts(bench).values())
    assert len(_updates(bench)) == -(-(n_written + 1) // 100)
    assert query(shop, "SELECT code FROM row_issues") == [("INVALID_OPTION",)]
    bench.oracle.check(bench.controls.dump(), but={victim.email})
