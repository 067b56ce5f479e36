"""What people do at the vendor behind our back, and what the vendor refuses for now."""

from __future__ import annotations

from typing import Any

import pytest

from connector.errors import DestinationError, TransientError
from tests.end_to_end.conftest import TOKEN, Bench, is_push
from tests.end_to_end.oracle import query
from tests.end_to_end.shop import VIP, WINBACK


def _open(bench: Bench, n: int = 120) -> str:
    bench.shop.campaigns = [WINBACK, VIP]
    bench.shop.populate(n)
    bench.open()
    return f"{bench.shop.name} | winback"


def _list_id(bench: Bench, name: str) -> str:
    return next(key for key, one in bench.controls.lists().items() if one["name"] == name)


def _error(told: Any) -> str:
    return told.report["destinations"][0]["error"]


def test_a_deleted_list_asks_before_it_is_built_anew(bench: Bench) -> None:
    name = _open(bench)
    bench.sync()
    members = set(bench.controls.members(name))
    bench.controls.delete_list(_list_id(bench, name))
    for person in bench.shop.people:
        person.amount += 1
    bench.shop.write()
    bench.controls.clear_log()
    told = bench.run(approved=[])
    assert told.result["status"] == "held"
    assert [guard["name"] for guard in told.report["guards"]] == ["deleted_list"]
    assert not [entry for entry in bench.log() if is_push(entry)]
    assert name not in {one["name"] for one in bench.controls.lists().values()}
    assert bench.run(approved=["deleted_list"]).result["status"] == "succeeded"
    assert set(bench.controls.members(name)) == members
    bench.check()


@pytest.mark.parametrize("during", ["plan", "apply"])
def test_a_revoked_token_stops_in_words_and_books_nobody(bench: Bench, during: str) -> None:
    _open(bench)
    if during == "plan":
        bench.controls.revoke_token(TOKEN)
        told = bench.run()
        assert [one["destination"] for one in told.result["plan"]["unreadable"]] == ["hubspot"]
    else:
        bench.run("plan")
        bench.controls.revoke_token(TOKEN)
        told = bench.run("apply")
    error = _error(told)
    assert told.result["error_codes"] == [DestinationError.exit_code]
    assert "401" in error
    assert "Check the token: it is unknown, expired or revoked." in error
    _nobody_is_booked(bench)
    bench.controls.add_token(TOKEN)
    bench.sync()
    bench.check()


@pytest.mark.parametrize("scope", ["crm.objects.contacts.write", "crm.lists.write"])
def test_a_missing_scope_is_named_and_books_nobody(bench: Bench, scope: str) -> None:
    _open(bench)
    bench.controls.drop_scope(TOKEN, scope)
    told = bench.run()
    assert told.result["status"] == "partial"
    assert "403" in _error(told)
    assert f"Grant the token the scope {scope}" in _error(told)
    _nobody_is_booked(bench)
    unsent = told.report["destinations"][0]["unsent"]
    done = told.outcomes("delivered") + told.outcomes("deferred")
    assert unsent
    assert unsent + done == told.result["plan"]["n_changes"]
    bench.controls.add_token(TOKEN)
    bench.sync()
    bench.check()


def _nobody_is_booked(bench: Bench) -> None:
    assert query(bench.shop, "SELECT count(*) FROM row_issues") == [(0,)]
    blocked = "SELECT count(*) FROM {} WHERE blocked_fingerprint IS NOT NULL"
    for table in ("records", "memberships"):
        assert query(bench.shop, blocked.format(table)) == [(0,)]


@pytest.mark.parametrize("left", [2, 12])
def test_the_daily_quota_stops_cleanly_and_the_next_day_completes(bench: Bench, left: int) -> None:
    _open(bench)
    bench.controls.set_limits(daily_remaining=left)
    told = bench.run()
    accepted = [entry for entry in bench.log() if entry["status"] != 429]
    assert len(accepted) == left
    # One refusal is enough: nobody knocks again on the same day.
    assert len(bench.log()) == left + 1
    error = told.result["error"] if told.code else _error(told)
    assert "daily quota" in error
    assert (told.code or told.result["error_codes"][0]) == TransientError.exit_code
    if told.code == 0:
        _nobody_is_booked(bench)
    bench.controls.set_limits(daily_remaining=1_000_000)
    bench.sync()
    bench.check()


def test_an_adopted_list_keeps_its_foreign_members(bench: Bench) -> None:
    shop = bench.shop
    shop.campaigns = [WINBACK]
    shop.populate(80)
    shop.write()
    name = f"{shop.name} | winback"
    contacts = shop.contacts()
    strangers = [{"email": f"stranger{i}@{shop.name}.example"} for i in range(3)]
    ids = bench.controls.preload_contacts([*contacts, *strangers])
    email_of = dict(zip(ids, [c["email"] for c in [*contacts, *strangers]], strict=True))
    lost = [p for p in shop.people if p.kind == "lost" and bench.oracle.reachable(p)][:4]
    both = {key for key, email in email_of.items() if email in {p.email for p in lost}}
    foreign = {*ids[-3:], *both}
    bench.controls.preload_list(name, sorted(foreign))
    told = bench.sync()
    audience = next(a for a in told.result["plan"]["audiences"] if a["name"] == name)
    assert (audience["status"], audience["foreign"]) == ("adopted", 7)
    expected = bench.oracle.members()[name] | {email_of[key] for key in foreign}
    assert set(bench.controls.members(name)) == expected
    # Everybody leaves, by their own will or not; who was there before us stays.
    for person in shop.people:
        person.kind = "plain"
    lost[0].answers.append((False, bench.now))
    shop.write()
    bench.sync()
    assert set(bench.controls.members(name)) == {email_of[key] for key in foreign}


def test_contacts_that_were_deleted_or_merged_at_the_vendor(bench: Bench) -> None:
    """The deleted is not made anew; the merged one is found under its new record and rejoins."""
    name = _open(bench, 200)
    bench.sync()
    on_list = set(bench.controls.members(name))
    members = [p for p in bench.shop.people if p.email in on_list]
    # Noticed at the next write: by people whose properties change.
    written = bench.shop.property("orders")
    deleted, merged = [p for p in members if written in bench.oracle.properties(p)][:2]
    bench.controls.delete_contacts([bench.ids[deleted.email], bench.ids[merged.email]])
    survivor = f"survivor@{bench.shop.name}.example"
    bench.controls.preload_contacts([{"email": survivor, "hs_additional_emails": merged.email}])
    for person in bench.shop.people:
        person.amount += 1
    bench.shop.write()
    bench.sync()
    bench.sync()
    rest = on_list - {deleted.email, merged.email}
    assert set(bench.controls.members(name)) == rest | {survivor}
    found = {c["properties"]["email"]: c["properties"] for c in bench.controls.contacts().values()}
    assert deleted.email not in found
    assert found[survivor][bench.shop.property("winback_offer")] == bench.shop.offer
    bench.controls.clear_log()
    assert bench.sync().result["plan"]["n_changes"] == 0
    assert [entry for entry in bench.log() if is_push(entry)] == []
