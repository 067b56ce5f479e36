"""A person's no: it passes every guard, outlives a waiting plan, and is no source failure."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from connector.errors import PlanError, StalePlanError
from tests.end_to_end.conftest import Bench, is_push
from tests.end_to_end.shop import VIP, WINBACK, Person

GUARDED = "{removals_above: 20%, source_rows_drop_above: 30%}"


def _account(bench: Bench) -> dict[str, Any]:
    """Lists and contacts without their times and counts."""
    contacts = bench.controls.contacts()
    return {
        "lists": bench.controls.lists(),
        "contacts": {key: contact["properties"] for key, contact in contacts.items()},
    }


def _open(bench: Bench, n: int = 120) -> str:
    bench.shop.campaigns = [WINBACK]
    bench.shop.guards = GUARDED
    bench.shop.populate(n)
    bench.open()
    return f"{bench.shop.name} | winback"


def _treated(bench: Bench, name: str) -> list[Person]:
    members = set(bench.controls.members(name))
    return [person for person in bench.shop.people if person.email in members]


def _ours(bench: Bench, person: Person) -> dict[str, str]:
    properties = bench.controls.contacts()[bench.ids[person.email]]["properties"]
    return {k: v for k, v in properties.items() if k.startswith(f"{bench.shop.name}_") and v}


def test_a_no_is_carried_out_while_a_guard_holds_everything_else(bench: Bench) -> None:
    name = _open(bench)
    bench.sync()
    treated = _treated(bench, name)
    withdrawn, suppressed = treated[0], treated[1]
    others = {person.email for person in treated[2:]}
    scores = {person.email: _ours(bench, person) for person in treated[2:]}
    on_no_list = next(p for p in bench.shop.people if p.kind == "plain" and _ours(bench, p))
    for person in (withdrawn, on_no_list):
        person.answers.append((False, bench.now))
    suppressed.suppressed = True
    for person in bench.shop.people:
        person.kind = "plain"
        person.amount += 1
    bench.shop.write()
    told = bench.run(approved=[])
    assert told.code == 0
    assert told.result["status"] == "held"
    assert "removals_above" in {guard["name"] for guard in told.report["guards"]}
    assert set(bench.controls.members(name)) == others
    assert _ours(bench, withdrawn) == _ours(bench, suppressed) == _ours(bench, on_no_list) == {}
    assert {p.email: _ours(bench, p) for p in treated[2:]} == scores
    bench.sync()
    bench.check()


def test_a_consent_table_that_is_emptied_or_lost_half_removes_nobody(bench: Bench) -> None:
    _open(bench)
    bench.sync()
    before = _account(bench)
    bench.shop.vanished_consents = True
    bench.shop.write()
    bench.controls.clear_log()
    told = bench.run(approved=[])
    assert told.result["status"] == "held"
    assert {(g["name"], g["subject"]) for g in told.report["guards"]} >= {("source", "consent")}
    assert _account(bench) == before
    assert not [entry for entry in bench.log() if is_push(entry)]
    bench.shop.vanished_consents = False
    silent = bench.shop.people[::2]
    kept = [person.answers for person in silent]
    for person in silent:
        person.answers = []
    bench.shop.write()
    told = bench.run(approved=[])
    assert "source" in {guard["name"] for guard in told.report["guards"]}
    assert _account(bench) == before
    for person, answers in zip(silent, kept, strict=True):
        person.answers = answers
    bench.shop.write()
    bench.sync(approved=[])
    bench.check()


def test_a_no_between_plan_and_apply_is_heard(bench: Bench, tmp_path: Path) -> None:
    """Withdrawn, suppressed, or gone from the shop since the plan: neither list nor properties."""
    name = _open(bench)
    planned = bench.run("plan", out=str(tmp_path / "plan"))
    assert planned.code == 0
    joins = next(a["joins"] for a in planned.result["plan"]["audiences"] if a["name"] == name)
    wanted = [p for p in bench.shop.people if p.kind == "lost" and bench.oracle.reachable(p)]
    plain = next(p for p in bench.shop.people if p.kind == "plain" and bench.oracle.reachable(p))
    withdrawn, suppressed, gone = wanted[:3]
    for person in (withdrawn, plain):
        person.answers.append((False, bench.now + timedelta(seconds=30)))
    suppressed.suppressed = True
    bench.shop.people.remove(gone)
    bench.shop.write()
    told = bench.run("apply", plan=str(tmp_path / "plan"))
    assert told.code == 0, told.stderr
    members = set(bench.controls.members(name))
    barred = (withdrawn, suppressed, gone, plain)
    assert members.isdisjoint(person.email for person in barred)
    assert all(_ours(bench, person) == {} for person in barred)
    assert joins - 3 <= len(members) < joins
    assert told.outcomes("skipped") >= 4
    assert bench.run().result["plan"]["n_changes"] == 0


def test_a_no_while_an_old_plan_waits_is_still_carried_out_by_a_new_one(
    bench: Bench, tmp_path: Path
) -> None:
    """A plan that waited is refused after a newer one, and must not undo a withdrawal."""
    name = _open(bench)
    bench.sync()
    treated = _treated(bench, name)
    for person in bench.shop.people:
        person.amount += 1
    bench.shop.write()
    bench.run("plan", out=str(tmp_path / "plan"))
    person = treated[0]
    person.answers.append((False, bench.now))
    bench.shop.write()
    bench.sync(approved=[])
    assert _ours(bench, person) == {}
    told = bench.run("apply", plan=str(tmp_path / "plan"))
    assert told.code == StalePlanError.exit_code, told.stderr
    assert person.email not in bench.controls.members(name)
    assert _ours(bench, person) == {}
    bench.sync()
    bench.check()


def test_plans_that_must_not_be_applied(bench: Bench, tmp_path: Path) -> None:
    """Too old, of another configuration, or applied before: refused in words, without one push."""
    _open(bench)
    folder = str(tmp_path / "plan")
    bench.run("plan", out=folder)
    later = (bench.now + timedelta(hours=24, minutes=2)).isoformat()
    old = bench.run("apply", plan=folder, now=later)
    assert (old.code, old.result["kind"]) == (StalePlanError.exit_code, "StalePlanError")
    assert "24.0 hours old; the limit is 24" in old.result["error"]

    bench.shop.offer = "20_percent"
    bench.shop.write()
    other = bench.run("apply", plan=folder)
    assert (other.code, other.result["kind"]) == (StalePlanError.exit_code, "StalePlanError")
    assert "the configuration has changed since the plan" in other.result["error"]
    assert not [entry for entry in bench.log() if is_push(entry)]

    bench.shop.offer = "15_percent"
    bench.shop.write()
    assert bench.run("apply", plan=folder).code == 0
    bench.check()
    bench.controls.clear_log()
    again = bench.run("apply", plan=folder)
    assert (again.code, again.result["kind"]) == (PlanError.exit_code, "PlanError")
    assert "was applied before" in again.result["error"]
    assert bench.log() == []


def test_two_plans_made_together_change_everything_once(bench: Bench, tmp_path: Path) -> None:
    bench.shop.campaigns = [WINBACK, VIP]
    bench.shop.populate(120)
    bench.open()
    for name in ("a", "b"):
        bench.run("plan", out=str(tmp_path / name))
    bench.run("apply", plan=str(tmp_path / "a"))
    bench.check()
    bench.controls.clear_log()
    told = bench.run("apply", plan=str(tmp_path / "b"))
    assert told.code == 0
    assert not [
        e for e in bench.log() if e["path"].endswith(("batch/update", "memberships/add-and-remove"))
    ]
    bench.check()
