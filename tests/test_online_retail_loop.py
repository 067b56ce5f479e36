"""The whole loop on UCI Online Retail: plan, apply, plan again, report, against pandas and hashlib.

Who belongs on which list is computed from the raw file (:mod:`tests.test_online_retail`), the
example's rule of consent, and arms by hashlib; the sandbox says who really is on it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from connector.config import load_config
from connector.pipeline.project import Project
from connector.pipeline.show.report import gather_report, write_report
from destinations.sandbox.hubspot import HubSpotSandbox
from tests.test_online_retail import DATA, EXAMPLE, Expected, pytestmark  # noqa: F401

SALT = "trial-salt"
SEGMENTS = {"winback": {"at_risk", "cant_lose"}, "vip_early": {"champions"}}
SHARES = {"winback": 0.8, "vip_early": 0.9}


def contacts() -> list[dict[str, str]]:
    spec = importlib.util.spec_from_file_location("contacts", EXAMPLE / "contacts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.contacts(str(DATA))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[HubSpotSandbox]:
    with HubSpotSandbox(per_10s=10_000) as box:
        box.controls.preload_contacts(contacts())
        yield box


@pytest.fixture(scope="module")
def project(sandbox: HubSpotSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("online_retail")
    text = (EXAMPLE / "liftline.yaml").read_text().replace("per_10s: 190", "per_10s: 1000")
    (folder / "liftline.yaml").write_text(text)
    environ = {
        "ONLINE_RETAIL": str(DATA),
        "HUBSPOT_TOKEN": sandbox.token,
        "HUBSPOT_URL": sandbox.url,
        "HOLDOUT_SALT": SALT,
    }
    config = load_config(folder / "liftline.yaml", environ)
    with Project(config, clock=lambda: datetime(2026, 3, 2, tzinfo=UTC)) as opened:
        yield opened


@pytest.fixture(scope="module")
def applied(project: Project):
    plan = project.plan()
    return plan, project.apply(approved={"first_sync"}, approver="test")


@pytest.fixture(scope="module")
def belongs(project: Project, applied) -> dict[str, dict[str, set[str]]]:
    """Campaign -> arm -> addresses, computed apart."""
    # Only the pseudonyms are taken from the engine: who is which customer.
    with project.workspace() as warehouse:
        project.understand(warehouse)
        ids = dict(warehouse.rows("SELECT customer_id, profile_id FROM profile_customers"))
    known = {c["email"] for c in contacts()}
    groups = Expected().scores.group
    result: dict[str, dict[str, set[str]]] = {}
    for campaign, segment in SEGMENTS.items():
        arms: dict[str, set[str]] = {"treatment": set(), "no_contact": set()}
        for customer, group in groups.items():
            email = f"customer{customer}@online-retail.example"
            if group in segment and int(customer) % 10 < 8 and email in known:
                text = f"{SALT}:{campaign}:1:{ids[customer]}"
                point = int(hashlib.md5(text.encode()).hexdigest()[:8], 16) / 2**32
                arms["treatment" if point < SHARES[campaign] else "no_contact"].add(email)
        result[campaign] = arms
    return result


def test_the_run_succeeds(applied) -> None:
    plan, report = applied
    assert report.status == "succeeded"
    assert [guard.name for guard in plan.header.guards] == ["first_sync"]
    assert plan.header.records[0].creates == 0


def test_lists_hold_exactly_the_treatment_arm(sandbox: HubSpotSandbox, belongs) -> None:
    for campaign, arms in belongs.items():
        members = set(sandbox.controls.members(f"online-retail | {campaign}"))
        assert members == arms["treatment"]
        assert len(members) > 100


def test_nobody_held_out_has_a_property_of_ours(sandbox: HubSpotSandbox, belongs) -> None:
    properties = {
        c["properties"]["email"]: c["properties"] for c in sandbox.controls.contacts().values()
    }
    held = set().union(*(arms["no_contact"] for arms in belongs.values()))
    assert held
    for email in held:
        assert not {"rfm_group", "orders_365d", "liftline_offer"} & {
            name for name, value in properties[email].items() if value
        }
    for email in belongs["winback"]["treatment"]:
        assert properties[email]["liftline_offer"] == "15_percent"
        assert properties[email]["rfm_group"] in SEGMENTS["winback"]


def test_no_consent_no_property(sandbox: HubSpotSandbox, applied) -> None:
    for contact in sandbox.controls.contacts().values():
        email = contact["properties"]["email"]
        if email.startswith("customer") and int(email.split("@")[0][8:]) % 10 >= 8:
            assert not contact["properties"].get("rfm_group")


def test_blocked_people_are_counted_by_reason(applied) -> None:
    groups = Expected().scores.group
    for row in applied[0].header.campaigns:
        people = [int(c) for c, group in groups.items() if group in SEGMENTS[row.campaign]]
        assert row.in_segment == len(people)
        consenting = [n for n in people if n % 10 < 8]
        assert row.blocked == {
            "consent_withdrawn": sum(n % 10 == 8 for n in people),
            "no_consent": sum(n % 10 == 9 for n in people),
            "not_at_destination": sum(n % 25 == 7 for n in consenting),
        }


def test_planning_again_changes_nothing(project: Project, applied) -> None:
    assert project.plan().header.n_changes == 0


def test_the_report_is_whole_and_holds_nobody(project: Project, applied, tmp_path: Path) -> None:
    data = gather_report(project)
    page = write_report(project, data, tmp_path / "report.html").read_text()
    assert "online-retail.example" not in page
    expected = Expected()
    sizes = expected.scores.group.value_counts()
    assert {g.name: g.people for g in data.rfm.groups if g.people} == sizes.to_dict()
    assert data.n_profiles == 4_372
    # The shop's data ends where the campaigns begin: nothing can be said yet, and nothing is.
    assert {lift.verdict for lift in data.lifts} == {"not_enough_data"}


def test_published_files_hold_nobody(project: Project, applied) -> None:
    folder = project.state.folder / "runs" / applied[1].run_id
    for path in folder.iterdir():
        assert b"online-retail.example" not in path.read_bytes()
    columns = set(pq.read_schema(folder / "scores.parquet").names)
    assert not {"email", "customer_id", "birth_year", "city", "country"} & columns
    assert {"profile_id", "rfm.group", "recency_days"} <= columns
    issues = sqlite3.connect(project.state.folder / "state.db")
    assert issues.execute("SELECT count(*) FROM row_issues").fetchone() == (0,)
    issues.close()
    header = json.dumps(applied[0].header.to_json(), default=str)
    assert "online-retail.example" not in header
