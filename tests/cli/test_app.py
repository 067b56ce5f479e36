"""The command line as a marketer meets it: every command and every exit code on a small shop."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from connector.cli.app import main
from connector.demo import contacts, shop, story
from destinations.sandbox.hubspot import HubSpotSandbox

ROOT = Path(__file__).parents[2]


class Shop:
    """A folder with a small demo shop and its configuration, and the command line in it."""

    def __init__(
        self, folder: Path, sandbox: HubSpotSandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self._patch = monkeypatch
        self.environ = {
            "HUBSPOT_TOKEN": sandbox.token,
            "HUBSPOT_URL": sandbox.url,
            "HOLDOUT_SALT": "salt",
        }
        monkeypatch.chdir(folder)
        for name, value in self.environ.items():
            monkeypatch.setenv(name, value)

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command in this process, as the installed script would."""
        out = io.StringIO()
        self._patch.setattr(sys, "argv", ["liftline", *arguments])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                main()
                left_with = 0
            except SystemExit as leaving:
                left_with = leaving.code
        return self._checked(out.getvalue(), left_with, code)

    def run_process(self, *arguments: str, code: int = 0) -> str:
        """Run a command in a process of its own."""
        result = subprocess.run(
            [sys.executable, "-m", "connector.cli", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return self._checked(result.stdout + result.stderr, result.returncode, code)

    def _checked(self, text: str, left_with: object, code: int) -> str:
        assert left_with == code, text
        assert "Traceback" not in text
        assert "shop-customers.example" not in text
        assert self.sandbox.token not in text
        return text

    def json(self, *arguments: str, code: int = 0):
        return json.loads(self.run(*arguments, "--output", "json", code=code))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    shop.build_shop(
        folder / "shop.duckdb",
        seed=1,
        start=story.OPENED,
        until=story.FIRST_RUN,
        n_customers=1_500,
    )
    text = story.config_text().replace("as_of: now", f"as_of: {story.FIRST_RUN.isoformat()}")
    text = text.replace("per_10s: 190", "per_10s: 1000")
    (folder / "liftline.yaml").write_text(text)
    return folder


@pytest.fixture
def here(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    shutil.copytree(built, tmp_path / "shop")
    with HubSpotSandbox(per_10s=10_000) as sandbox:
        account = contacts.account_contents(tmp_path / "shop" / "shop.duckdb", seed=1)
        sandbox.controls.preload_contacts(account.contacts)
        yield Shop(tmp_path / "shop", sandbox, monkeypatch)


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
    assert "0 people change" in moved


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
    assert "rejected" in told
    assert "properties" in told


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


def test_a_misspelt_approval_approves_nothing(here: Shop) -> None:
    here.run("plan")
    told = here.run("apply", "--approve", "first_snyc", code=2)
    assert "first_snyc" in told
    assert "first_sync" in told
    assert here.sandbox.controls.lists() == {}
    assert "nothing was sent" in here.run("apply", code=7)


def test_issues_of_a_run_that_never_was_are_not_called_fine(here: Shop) -> None:
    assert "liftline history" in here.run("issues", "--run", "run-nope", code=6)


def test_some_people_are_shown_of_every_list(here: Shop) -> None:
    shown = here.json("plan", "--people", "8")["people"]
    assert len({row["audience"] for row in shown}) == 4
