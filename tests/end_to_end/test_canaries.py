"""Unmistakable addresses, values and secrets are planted; nothing that is printed, logged or published may hold one.

Every kind of failure is provoked on the way, because errors are where such things leak. Logging is at DEBUG throughout.
"""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.end_to_end.conftest import TOKEN, Bench
from tests.end_to_end.shop import SALT, WINBACK, Person

MAIL = "canary.mail7f3a"
OFFER = "canary_offer_91c2"
REVENUE = "71234.56"
SECRETS = (MAIL, OFFER, TOKEN, SALT)


@pytest.fixture
def planted(bench: Bench) -> Bench:
    shop = bench.shop
    shop.local_part, shop.offer, shop.creates = MAIL, OFFER, True
    shop.campaigns = [replace(WINBACK, treatment=80, business_as_usual=10, no_contact=10)]
    shop.populate(120)
    shop.people[0].amount = round(float(REVENUE) * 100)
    shop.people.append(Person(900, f"{MAIL} no address {shop.name}", "plain", known=False))
    shop.people.append(replace(shop.people[4], number=901))
    bench.open()
    return bench


def test_nothing_that_is_told_or_published_holds_a_canary(planted: Bench, tmp_path: Path) -> None:
    bench, shop, controls = planted, planted.shop, planted.controls
    assert bench.run("plan", out=str(tmp_path / "plan")).code == 0
    reachable = [p for p in shop.people if bench.oracle.reachable(p) and p.kind == "lost"]
    known, unknown = (next(p for p in reachable if p.known is k) for k in (True, False))

    def change() -> None:
        for person in shop.people:
            person.amount += 1
        shop.write()

    controls.poison([known.email])
    controls.block_emails([unknown.email])
    controls.swallow([reachable[3].email])
    assert bench.run().result["status"] == "partial"
    controls.clear_faults()

    codes = {}
    for name, path, fault in (
        ("whole batch refused", "batch/update", {"effect": "status", "status": 400, "times": 0}),
        ("lost once", "batch/update", {"effect": "drop_after"}),
        ("too many", "batch/update", {"effect": "rate_limit", "policy": "SECONDLY"}),
        ("broken", "batch/update", {"effect": "status", "status": 500, "times": 0}),
        ("not json", "batch/update", {"effect": "status", "status": 502}),
        ("forbidden", "batch/update", {"effect": "status", "status": 403}),
        ("quota", "batch/update", {"effect": "rate_limit", "policy": "DAILY"}),
        ("reading", "batch/read|/lists/", {"effect": "status", "status": 401}),
    ):
        change()
        controls.add_fault(path=path, **fault)
        told = bench.run()
        codes[name] = told.code, [d["error"] for d in told.result.get("report", {"destinations": []})["destinations"]]
        controls.clear_faults()
    assert codes["reading"][0] == 9
    assert [name for name, (_, errors) in codes.items() if any(errors)] == [
        "whole batch refused",
        "broken",
        "forbidden",
        "quota",
    ]
    assert bench.run(token="wrong-" + TOKEN).code == 9

    profile = _rows(shop.folder, "SELECT profile_id FROM records WHERE match_value = ?", known.email)[0][0]
    for command in (
        ("check",),
        ("plan", "--people", "30"),
        ("plan", "--output", "json", "--people", "30"),
        ("sync", "--approve", "all", "--output", "json"),
        ("status",),
        ("history", "--output", "json"),
        ("issues",),
        ("explain", profile),
        ("explain", known.email),
        ("explain", f"{MAIL}.nobody@example.com"),
        ("apply", str(tmp_path / "no plan here")),
        ("report",),
    ):
        told = bench.cli(*command)
        assert told.code in (0, 3, 4, 6, 11), (command, told.stderr[-2000:])

    texts = dict(_told(bench)) | dict(_published(shop.folder)) | dict(_state(shop.folder))
    assert len(texts) > 60
    leaks = {(where, secret) for where, text in texts.items() for secret in SECRETS if secret in text}
    assert leaks == set()
    logged = {where for where, text in _told(bench) if where.endswith("stderr") and REVENUE in text}
    assert logged == set()


def test_a_plan_is_private(planted: Bench, tmp_path: Path) -> None:
    bench, folder = planted, planted.shop.folder
    bench.run("plan", out=str(tmp_path / "out" / "plan"))
    bench.run("apply")
    plans = [next((folder / "state" / "plans").iterdir()), tmp_path / "out" / "plan"]
    for plan in plans:
        assert MAIL in str(pq.read_table(plan / "changes.parquet").to_pylist())
        assert MAIL not in (plan / "plan.json").read_text()
    private = [folder / "state", *plans, *(p for plan in plans for p in plan.rglob("*"))]
    private += (folder / "state").glob("state.db*")
    private += (folder / "state" / "runs").rglob("*")
    for path in private:
        mode = stat.S_IMODE(path.stat().st_mode)
        inside_private = any(parent in private and parent != path for parent in path.parents)
        assert mode & 0o077 == 0 or (inside_private and path.is_file()), (path, oct(mode))
    for plan in plans:
        assert stat.S_IMODE(plan.stat().st_mode) == 0o700
        assert stat.S_IMODE((plan / "changes.parquet").stat().st_mode) == 0o600


def _told(bench: Bench) -> Iterator[tuple[str, str]]:
    """Everything that the runs printed, logged, raised or returned."""
    for path in bench.shop.folder.glob("run*.*"):
        yield path.name, path.read_text(encoding="utf-8")


def _published(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file for other eyes: runs, headers of plans, the report."""
    files = [*(folder / "state" / "runs").rglob("*"), *(folder / "state" / "plans").rglob("*"), *folder.glob("out/**/*")]
    for path in files:
        if path.name == "changes.parquet" or path.is_dir():
            continue
        where = str(path.relative_to(folder))
        if path.suffix == ".parquet":
            yield where, json.dumps(pq.read_table(path).to_pylist(), default=str)
        else:
            yield where, path.read_text(encoding="utf-8")


def _state(folder: Path) -> Iterator[tuple[str, str]]:
    """Every table of the state database but the match values, which pushing needs."""
    for (table,) in _rows(folder, "SELECT name FROM sqlite_master WHERE type = 'table'"):
        columns = [row[1] for row in _rows(folder, f"PRAGMA table_info({table})")]
        if table == "records":
            columns.remove("match_value")
        yield table, str(_rows(folder, f"SELECT {', '.join(columns)} FROM {table}"))


def _rows(folder: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(folder / "state" / "state.db")
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.close()
