"""What a run costs the vendor in calls, counted by the vendor."""

from __future__ import annotations

from tests.end_to_end.conftest import Bench, is_push
from tests.end_to_end.shop import VIP, WINBACK, Shop


def _everybody_is_reachable(shop: Shop, n: int) -> None:
    shop.populate(n)
    for person in shop.people:
        person.known, person.suppressed, person.answers = True, False, [(True, person.orders[0])]


def test_a_steady_state_costs_ten_calls_a_thousand(bench: Bench) -> None:
    """At most 10 calls a 1,000 updates plus 10 a 1,000 memberships, reads included."""
    shop = bench.shop
    shop.campaigns = [WINBACK]
    _everybody_is_reachable(shop, 3_000)
    bench.open()
    bench.sync()
    before = bench.controls.dump()
    bench.check()

    swap = {"lost": "plain", "plain": "lost"}
    for person in shop.people[:1_400]:
        person.kind = swap.get(person.kind, person.kind)
    for person in shop.people[1_000:2_400]:
        person.amount += 100_000
    shop.write()
    bench.controls.clear_log()
    bench.sync()
    after = bench.controls.dump()
    bench.check()

    def total(dump: dict[str, dict[str, dict[str, int]]], what: str) -> int:
        return sum(contact[what] for contact in dump["contacts"].values())

    updates = total(after, "writes") - total(before, "writes")
    memberships = total(after, "member_writes") - total(before, "member_writes")
    assert updates > 1_000
    assert memberships > 500
    calls = len(after["log"])
    assert calls <= (updates + memberships) * 10 / 1_000, (calls, updates, memberships)


def test_a_run_without_change_pushes_nothing(bench: Bench) -> None:
    """It only asks whether each of its lists is still there: one call a list."""
    shop = bench.shop
    shop.campaigns = [WINBACK, VIP]
    _everybody_is_reachable(shop, 200)
    bench.open()
    bench.sync()
    bench.check()
    n_lists = len(bench.oracle.members())
    bench.controls.clear_log()
    told = bench.sync()
    assert told.result["plan"]["n_changes"] == 0
    assert [entry for entry in bench.log() if is_push(entry)] == []
    assert len(bench.log()) == n_lists == 4
