"""What is typed next while guards hold: never the approval of a broken source."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import typer

from connector.cli import context, plans, runs
from connector.errors import SourceError
from connector.pipeline.activate.applying import ApplyReport
from connector.plan.document import Guard, Plan
from connector.report import approving
from connector.report.words import LEFT_OUT, RUN_STATUS, left_out
from connector.state.journal import SOURCE_GUARD
from tests.cli.conftest import Shop
from tests.cli.test_views import header

AT = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)


def test_the_guards_have_one_name() -> None:
    assert approving.SOURCE == SOURCE_GUARD


def test_a_broken_source_is_repaired_before_anything_is_typed(here: Shop) -> None:
    here.run("plan")
    here.run("apply", "--approve", "first_sync")
    with duckdb.connect(str(here.folder / "shop.duckdb")) as shop:
        tables = [name for (name,) in shop.execute("SHOW TABLES").fetchall() if "consent" in name]
        assert tables
        for name in tables:
            shop.execute(f"DELETE FROM {name}")
    for told in (here.run("plan"), here.run("status")):
        words = " ".join(told.split())
        assert "--approve" not in words
        assert "Repair the source and plan again first" in words
        assert "last resort" in words
    waiting = here.json("status")["waiting_plan"]
    assert "source" in {guard["name"] for guard in waiting["guards"]}
    assert waiting["command"] == "liftline plan"
    assert "--approve" not in here.run("report")

    told = " ".join(here.run("sync", code=7).split())
    assert "--approve" not in told
    assert told.count("not one consent record") == 1
    assert "Repair the source and plan again first" in told


def test_an_edited_copy_is_not_carried_out(here: Shop) -> None:
    here.run("plan", "--out", "kept")
    path = here.folder / "kept" / "plan.json"
    whole = path.read_text()
    path.write_text(json.dumps(json.loads(whole) | {"guards": []}))
    told = " ".join(here.run("apply", "kept", code=6).split())
    assert "has been edited or damaged" in told
    assert here.json("history")["runs"] == []

    path.write_text(whole)
    changes = here.folder / "kept" / "changes.parquet"
    table = changes.read_bytes()
    pq.write_table(pq.read_table(changes).slice(1), changes)
    told = " ".join(here.run("apply", "kept", "--approve", "all", code=6).split())
    assert "has been edited or damaged" in told
    changes.write_bytes(table)
    here.run("apply", "kept", "--approve", "all")


def shares(plan: Any) -> list[dict[str, str]]:
    return [one for one in plan["notes"] if one["subject"].endswith((".arms", ".share"))]


def test_a_changed_share_is_said_to_be_for_newcomers(here: Shop) -> None:
    here.run("plan")
    here.run("apply", "--approve", "all")
    assert shares(here.json("plan")) == []
    file = here.folder / "liftline.yaml"
    text = file.read_text()
    file.write_text(
        text.replace("business_as_usual: 5%, ", "").replace("treatment: 70%", "treatment: 75%")
    )
    assert file.read_text() != text
    (note,) = shares(here.json("plan"))
    told = note["message"].replace("\u00a0", "")
    assert "treated 70% to 75%, usual programme 5% to 0%" in told
    assert "newcomers only" in note["message"]
    assert "newcomers only" in " ".join(here.run("plan").split())
    assert "newcomers only" in " ".join(here.run("check").split())
    file.write_text(text)
    assert "newcomers only" not in here.run("check")


@pytest.mark.parametrize(
    ("names", "folder", "typed"),
    [
        ([], "", "liftline apply"),
        (["first_sync", "budget"], "kept", "liftline apply kept --approve budget,first_sync"),
        (["removals_above", "source"], "kept", "liftline plan"),
    ],
)
def test_the_next_command(names: list[str], folder: str, typed: str) -> None:
    assert approving.command(names, folder=folder) == typed


def test_a_held_run_names_its_guards_where_no_plan_has(capsys: pytest.CaptureFixture[str]) -> None:
    guards = (Guard("budget", "campaign winback", "too dear."),)
    report = ApplyReport("run-1", "plan-1", "held", (), guards)
    runs.show_run(report)
    assert "too dear" not in capsys.readouterr().out
    runs.show_run(report, guards)
    assert "too dear" in capsys.readouterr().out
    plans.show_plan(Plan(Path("nowhere"), header()))
    assert capsys.readouterr().out.count("1,128 of 3,000") == 1


def test_words_fit_any_number_and_any_view(capsys: pytest.CaptureFixture[str]) -> None:
    assert "report" not in left_out("after_as_of")
    for code in LEFT_OUT:
        # "1 exact copies" would be wrong: no reason begins with a noun in the plural.
        assert not left_out(code).split()[0].endswith(("accounts", "rows", "lines"))
        assert "copies" not in left_out(code)
    assert "see what" not in RUN_STATUS["partial"].sentence
    with pytest.raises(typer.Exit):
        context.fail(SourceError("source orders: there is no file orders.csv."))
    assert capsys.readouterr().err.startswith("source orders: there is no file")
