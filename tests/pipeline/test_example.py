"""``config.example.yaml`` loads and runs: on the demo's shop, into a sandbox and files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.config import load_config
from connector.demo import contacts, shop, story
from connector.pipeline.project import Project
from destinations.sandbox.hubspot import HubSpotSandbox

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[HubSpotSandbox]:
    with HubSpotSandbox(per_10s=10_000) as box:
        yield box


@pytest.fixture(scope="module")
def project(sandbox: HubSpotSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("example")
    (folder / "demo").mkdir()
    database = folder / "demo" / "shop.duckdb"
    shop.build_shop(database, seed=3, start=story.OPENED, until=story.FIRST_RUN, n_customers=1_500)
    sandbox.controls.preload_contacts(contacts.account_contents(database, seed=3).contacts)
    text = EXAMPLE.read_text()
    # The one change: the sandbox's address instead of HubSpot's.
    token = '    token: "${HUBSPOT_TOKEN}"'
    assert text.count(token) == 1
    (folder / "liftline.yaml").write_text(
        text.replace(token, f"{token}\n    base_url: {sandbox.url}")
    )
    environ = {"HUBSPOT_TOKEN": sandbox.token, "HOLDOUT_SALT": "salt"}
    config = load_config(folder / "liftline.yaml", environ)
    with Project(config, clock=lambda: story.FIRST_RUN) as opened:
        yield opened


def test_the_whole_loop(project: Project, sandbox: HubSpotSandbox) -> None:
    plan = project.plan()
    assert {guard.name for guard in plan.header.guards} == {"first_sync"}
    report = project.apply(approved={"all"}, approver="test")
    assert report.status == "succeeded"
    for audience in plan.header.audiences:
        if audience.destination == "hubspot" and audience.joins:
            assert len(sandbox.controls.members(audience.name)) == audience.after
    assert project.plan().header.n_changes == 0


def test_the_files_hold_the_lists_of_the_plan(project: Project) -> None:
    (name,) = [n for n, one in project.config.destinations.items() if one.type == "csv_export"]
    folder = Path(project.config.resolve(project.config.destinations[name].options["path"]))
    planned = {a.name: a.after for a in project.plan().header.audiences if a.destination == name}
    found = {}
    for path in folder.glob("*.csv"):
        with path.open(newline="") as file:
            found[path.stem] = sum(1 for _ in csv.DictReader(file))
    assert sorted(n for n in planned.values() if n) == sorted(
        n for stem, n in found.items() if stem != "properties" and n
    )
