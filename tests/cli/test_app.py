"""The command line as a marketer meets it: every command and every exit code on a small shop."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from connector.cli import demo
from tests.cli.conftest import Shop


def test_a_first_night(here: Shop) -> None:
    assert "Ready." in here.run("check")
    text = here.run("plan", "--people", "5")
    assert "first_sync" in text
    assert re.search(r"liftline apply --approve first_sync", text)
    assert "•••@" in text

    held = here.run("apply", code=7)
    assert "Held" in held
    assert here.sandbox.controls.lists() == {}

    done = here.run_process("apply", "--approve", "first_sync")
    assert "Delivered." in done
    assert {one["name"].split(" | ")[1] for one in here.sandbox.controls.lists().values()} == {
        "winback", "vip_early", "second_order",
    }  # fmt: skip

    again = here.json("plan")
    assert again["n_changes"] == 0
    assert "no run" not in here.run("status")
    assert "succeeded" in here.run("history")
    assert "got through" in here.run("issues")
    assert "Nothing was to be sent" in here.run("sync")

    page = here.run("report")
    assert (here.folder / "report.html").exists()
    assert "report.html" in page
    assert "shop-customers.example" not in (here.folder / "report.html").read_text()

    moved = here.run("train")
    assert "The new models move nobody." in moved


def test_status_says_what_waits_and_how_to_let_it_go(here: Shop) -> None:
    assert "Nothing waits." in here.run("status")
    planned = here.json("plan")
    waiting = here.json("status")["waiting_plan"]
    assert waiting["plan_id"] == planned["plan_id"]
    assert waiting["status"] == "planned"
    assert waiting["n_changes"] == planned["n_changes"]
    assert [guard["name"] for guard in waiting["guards"]] == ["first_sync"]
    assert waiting["command"] == "liftline apply --approve first_sync"

    page = here.run("report")
    assert "Nothing has been sent yet: the plan of" in page
    assert "liftline apply --approve first_sync" in page

    here.run("plan")
    here.run("apply", code=7)
    told = here.run("status")
    assert "held by a guard" in told
    assert "It replaces 1 older plan" in told
    assert "liftline apply --approve first_sync" in told
    page = here.run("report")
    assert "The last run was held by a guard" in page
    assert page.count("nothing was ever sent there") == 1

    text = (here.folder / "liftline.yaml").read_text()
    (here.folder / "liftline.yaml").write_text(
        text.replace("business_as_usual: 5%, ", "").replace("treatment: 70%", "treatment: 75%")
    )
    assert "The configuration has changed since it was made." in here.run("status")
    (here.folder / "liftline.yaml").write_text(text)

    here.run("apply", "--approve", "first_sync")
    status = here.json("status")
    assert status["waiting_plan"] is None
    assert status["unfinished_runs"] == []
    here.run("report")
    page = (here.folder / "report.html").read_text().replace("\u00a0", " ")
    assert "Somebody looked and let it pass on" in page
    assert "--approve" not in page


def test_a_run_that_was_cut_off_waits(here: Shop) -> None:
    here.run("plan")
    here.run("apply", "--approve", "all")
    with sqlite3.connect(here.folder / "state" / "state.db") as state:
        state.execute("UPDATE runs SET status = 'running', finished_at = NULL")
    told = here.run("status")
    assert "The run has not finished." in " ".join(told.split())


def test_check_ends_with_a_table_of_what_could_be_shown(here: Shop) -> None:
    told = here.run_wide("check", columns=80)
    assert max(map(len, told.splitlines())) <= 80
    lines = [line.strip() for line in told.splitlines()]
    (row,) = [line for line in lines if line.startswith("second_order ")]
    assert re.search(r"\+\d+ %", row.replace("\u00a0", " "))
    assert "smallest effect that would show" not in told
    assert told.count("winback, vs usual") == 2
    found = here.json("check")
    prospects = {p["subject"]: p for p in found["prospects"]}
    assert set(prospects) <= {f["subject"] for f in found["findings"]}
    assert len(prospects) == 4
    one = prospects["campaigns.winback.arms.no_contact"]
    assert one["n_treatment"] + one["n_holdout"] < one["n_eligible"]
    assert one["lift"] > 0


def test_json_is_json(here: Shop) -> None:
    findings = here.json("check")["findings"]
    assert {"level", "subject", "message", "hint"} <= set(findings[0])
    plan = here.json("plan", "--people", "3")
    assert len(plan["people"]) == 3
    assert all("•" in person["address"] for person in plan["people"])
    run = here.json("apply", "--approve", "all")
    assert run["status"] == "succeeded"
    status = here.json("status")
    assert sum(one["people"] for one in status["lists"]) > 0
    assert here.json("history")["runs"][0]["run_id"] == run["run_id"]
    who = plan["people"][0]["profile_id"]
    assert here.json("explain", who)


def test_a_plan_kept_in_a_folder_is_private_and_can_be_applied(here: Shop) -> None:
    here.run("plan", "--out", "kept")
    for path in (here.folder / "kept").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
    here.run("apply", "kept", "--approve", "all")
    assert "applied before" in here.run("apply", "kept", "--approve", "all", code=6)


def test_an_old_plan_is_refused(here: Shop) -> None:
    here.run("plan", "--out", "kept")
    header = json.loads((here.folder / "kept" / "plan.json").read_text())

    old = datetime.fromisoformat(header["created_at"]) - timedelta(hours=25)
    header["created_at"] = old.isoformat()
    (here.folder / "kept" / "plan.json").write_text(json.dumps(header))
    assert "25.0 hours old; the limit is 24" in here.run(
        "apply", "kept", "--approve", "all", code=6
    )


def test_rejections_have_an_exit_code_of_their_own(here: Shop) -> None:
    here.run("plan", "--out", "kept")
    changes = pq.read_table(here.folder / "kept" / "changes.parquet").to_pylist()
    address = next(row["match_value"] for row in changes if row["kind"] == "record")
    here.sandbox.controls.poison([address])
    here.run("apply", "kept", "--approve", "all", code=11)
    told = here.run("issues")
    assert "1 × address refused" in told
    assert "hubspot, properties: refused" in told
    assert "(INVALID_EMAIL)" in told
    assert "partly delivered" in here.run("history")
    assert "partly delivered" in here.run("status")


def test_errors_say_what_to_do(here: Shop) -> None:
    gone = here.run("plan", "--config", "nowhere.yaml", code=3)
    assert "nowhere.yaml" in gone
    (here.folder / "bad.yaml").write_text(
        (here.folder / "liftline.yaml").read_text().replace("segment: lapsing", "segment: lapsign")
    )
    bad = here.run("plan", "--config", "bad.yaml", code=3)
    assert re.search(r"bad.yaml:\d+: campaigns.winback.segment", bad)
    assert "lapsing" in bad
    here.sandbox.controls.revoke_token(here.sandbox.token)
    refused = here.run("plan", code=9)
    assert "HUBSPOT_TOKEN" in refused or "token" in refused


def test_a_mistake_in_a_rule_names_its_line(here: Shop) -> None:
    text = (
        (here.folder / "liftline.yaml")
        .read_text()
        .replace("lifetime_orders >= 2 and", "lifetime_order >= 2 and")
    )
    (here.folder / "bad.yaml").write_text(text)
    told = here.run("plan", "--config", "bad.yaml", code=3)
    line = next(i for i, one in enumerate(text.splitlines(), 1) if "lifetime_order >= 2" in one)
    assert f"bad.yaml:{line}: segments.lapsing.where" in told
    assert "lifetime_orders" in told


def test_a_changed_consent_reaches_a_waiting_plan(here: Shop) -> None:
    plan = here.json("plan", "--out", "kept")
    assert plan["n_changes"] > 0
    with duckdb.connect(str(here.folder / "shop.duckdb")) as connection:
        connection.execute(
            "INSERT INTO consents SELECT DISTINCT email, 'marketing', 'email', 'withdrawn',"
            " TIMESTAMP '2026-03-02 05:30:00', 'form' FROM consents"
        )
    here.run("apply", "kept", "--approve", "all")
    assert all(one["members"] == [] for one in here.sandbox.controls.lists().values())


def test_the_demos_folder_can_be_looked_at_afterwards(tmp_path: Path) -> None:
    variables = {"HUBSPOT_TOKEN": "it's a token", "HOLDOUT_SALT": "with $signs and `ticks`"}
    demo.keep_variables(tmp_path, variables)
    path = tmp_path / demo.VARIABLES
    assert path.stat().st_mode & 0o077 == 0
    code = 'for n in HUBSPOT_TOKEN HOLDOUT_SALT; do printenv "$n"; done'
    said = subprocess.run(
        ["sh", "-c", f". {path} && {code}"], capture_output=True, text=True, check=True, env={}
    )
    assert said.stdout.splitlines() == list(variables.values())


def test_a_misspelt_approval_approves_nothing(here: Shop) -> None:
    here.run("plan")
    told = here.run("apply", "--approve", "first_snyc", code=2)
    assert "first_snyc" in told
    assert "first_sync" in told
    assert here.sandbox.controls.lists() == {}
    assert "nothing was sent" in here.run("apply", code=7)


def test_issues_of_a_run_that_never_was_are_not_called_fine(here: Shop) -> None:
    assert "liftline history" in here.run("issues", "--run", "run-nope", code=6)


def test_issues_of_a_run_that_did_not_deliver_are_not_called_fine(
    here: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.run("sync", code=7)
    held = here.run("issues")
    assert "held" in held
    assert "got through" not in held
    monkeypatch.setenv("HUBSPOT_TOKEN", "revoked-meanwhile")
    here.run("sync", "--approve", "all", code=9)
    unread = here.run("issues")
    assert "401" in unread
    assert "Everything" not in unread


def test_some_people_are_shown_of_every_list(here: Shop) -> None:
    shown = here.json("plan", "--people", "8")["people"]
    assert len({row["audience"] for row in shown}) == 4
