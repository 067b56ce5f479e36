"""Unmistakable addresses, values and secrets are planted; nothing told or published holds one.

Every kind of failure is provoked on the way, because errors are where such things leak. Logging is
at DEBUG throughout.
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
from tests.end_to_end.run_sync import UNEXPECTED
from tests.end_to_end.shop import SALT, WINBACK, Person

MAIL = "canary.mail7f3a"
OFFER = "canary_offer_91c2"
REVENUE = "71234."
"""Of one person's only order: a score, so published under the profile id, but told nowhere."""
USAGE = 2
SECRETS = (MAIL, OFFER, TOKEN, SALT)


@pytest.fixture
def planted(bench: Bench) -> Bench:
    shop = bench.shop
    shop.local_part, shop.offer, shop.creates = MAIL, OFFER, True
    shop.campaigns = [replace(WINBACK, treatment=80, business_as_usual=10, no_contact=10)]
    shop.populate(120)
    shop.people[0].amount = round(float(REVENUE) * 100) + 10
    shop.people.append(Person(900, f"{MAIL} no address {shop.name}", "plain", known=False))
    shop.people.append(replace(shop.people[4], number=901, known=False))
    bench.open()
    return bench


@pytest.mark.slow
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

    passing = [
        {"effect": "drop_after"},
        {"effect": "rate_limit", "policy": "SECONDLY"},
        {"effect": "status", "status": 502},
    ]
    codes = {}
    for name, path, faults in (
        ("passing", "batch/update", passing),
        ("whole batch refused", "batch/update", [{"effect": "status", "status": 400, "times": 0}]),
        ("broken", "batch/update", [{"effect": "status", "status": 500, "times": 0}]),
        ("forbidden", "batch/update", [{"effect": "status", "status": 403}]),
        ("quota", "batch/update", [{"effect": "rate_limit", "policy": "DAILY"}]),
        ("reading", "batch/read|/lists/", [{"effect": "status", "status": 401}]),
    ):
        change()
        for fault in faults:
            controls.add_fault(path=path, **fault)
        told = bench.run()
        codes[name] = [told.code, *told.result.get("error_codes", ())]
        controls.clear_faults()
    assert codes == {
        "passing": [0],
        "whole batch refused": [0, 9],
        "broken": [0, 10],
        "forbidden": [0, 9],
        "quota": [0, 10],
        "reading": [0, 9],
    }
    assert bench.run(token="wrong-" + TOKEN).result["error_codes"] == [9]

    for command in (
        ("check",),
        ("plan", "--output", "json", "--people", "30"),
        ("sync", "--approve", "all", "--output", "json"),
        ("issues",),
        ("explain", reachable[3].email),
        ("explain", f"{MAIL}.nobody@example.com"),
        ("report",),
    ):
        told = bench.cli(*command)
        assert told.code not in (UNEXPECTED, USAGE), (command, told.stderr[-2000:])

    texts = dict(_told(bench)) | dict(_published(shop.folder)) | dict(_state(shop.folder))
    assert len(texts) > 60
    leaks = {
        (where, secret) for where, text in texts.items() for secret in SECRETS if secret in text
    }
    # The offer is the configuration's own text, and the report says what a campaign offers.
    assert leaks <= {("out/report.json", OFFER), ("out/report.html", OFFER)}
    values = dict(_told(bench)) | dict(_state(shop.folder))
    assert {where for where, text in values.items() if REVENUE in text} == set()


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
    files = [
        *(folder / "state" / "runs").rglob("*"),
        *(folder / "state" / "plans").rglob("*"),
        *folder.glob("out/**/*"),
    ]
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
