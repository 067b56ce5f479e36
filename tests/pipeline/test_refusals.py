"""A person's no, from the sources to a file of members: whichever address it was said with."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.pipeline.project import Project

NOW = datetime(2026, 3, 2, 5, tzinfo=UTC)
CONFIG = """\
version: 1
project: {name: refusals, timezone: Europe/Berlin, state: ./state}
sources:
  people: {type: parquet, path: customers.parquet}
  sales: {type: parquet, path: sales.parquet}
  said: {type: parquet, path: said.parquet}
  blocked: {type: parquet, path: blocked.parquet}
  angry: {type: parquet, path: angry.parquet}
tables:
  customers:
    from: people
    columns: {customer_id: id, email: email, created_at: created_at, updated_at: updated_at}
  orders:
    from: sales
    columns: {order_id: id, customer_id: customer_id, ordered_at: at, gross: total}
consent:
  from: said
  columns: {person: email, purpose: purpose, channel: channel, status: status, at: at}
exclusion_lists:
  - {name: suppressed, from: blocked, key: email}
  - {name: no_winback, from: angry, key: email, applies_to: [winback]}
segments:
  lost: {where: "recency_days >= 100"}
destinations:
  export:
    type: csv_export
    path: ./out
    requires: {purpose: marketing, channel: email}
campaigns:
  winback: {segment: lost, to: export, arms: {treatment: 100%}}
holdouts: {assign: {salt: "${HOLDOUT_SALT}"}}
guards: {needs_approval: {first_sync: false}, source_rows_drop_above: 100%}
"""


@dataclass
class Shop:
    """Customers by id, what addresses said, and lists of addresses."""

    folder: Path
    customers: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    said: list[tuple[str, bool, datetime]] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    angry: list[str] = field(default_factory=list)
    now: datetime = NOW

    def write(self) -> None:
        moment = pa.timestamp("us", tz="UTC")
        ids, text = list(self.customers), pa.string()
        tables = {
            "customers": {
                "id": pa.array(ids, text),
                "email": pa.array([self.customers[i][0] for i in ids], text),
                "created_at": pa.array([NOW - timedelta(days=400) for _ in ids], moment),
                "updated_at": pa.array([self.customers[i][1] for i in ids], moment),
            },
            "sales": {
                "id": pa.array([f"o{i}" for i in ids], text),
                "customer_id": pa.array(ids, text),
                "at": pa.array([NOW - timedelta(days=200) for _ in ids], moment),
                "total": pa.array([20.0 for _ in ids], pa.float64()),
            },
            "said": {
                "email": pa.array([email for email, _, _ in self.said], text),
                "purpose": pa.array(["marketing" for _ in self.said], text),
                "channel": pa.array(["email" for _ in self.said], text),
                "status": pa.array(
                    ["granted" if yes else "withdrawn" for _, yes, _ in self.said], text
                ),
                "at": pa.array([at for _, _, at in self.said], moment),
            },
            "blocked": {"email": pa.array(self.blocked, text)},
            "angry": {"email": pa.array(self.angry, text)},
        }
        for name, columns in tables.items():
            pq.write_table(pa.table(columns), self.folder / f"{name}.parquet")

    def open(self) -> Project:
        self.write()
        self.now += timedelta(minutes=1)
        return Project.open(self.folder / "liftline.yaml", clock=lambda: self.now)

    def sync(self, *approved: str) -> str:
        with self.open() as project:
            return project.sync(approved=approved, approver="test")[1].status

    def members(self) -> set[str]:
        (path,) = (self.folder / "out").glob("refusals-winback-*.csv")
        with path.open(newline="") as file:
            return {row["email"] for row in csv.DictReader(file)}

    def lose_the_segment(self) -> None:
        """Everybody else buys again, which a guard holds."""
        for i in range(20):
            del self.customers[f"c{i}"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Twenty people of one address, and one of two: it had one account twice until one changed."""
    monkeypatch.setenv("HOLDOUT_SALT", "a-salt")
    (tmp_path / "liftline.yaml").write_text(CONFIG)
    shop = Shop(tmp_path)
    early = NOW - timedelta(days=300)
    for i in range(20):
        shop.customers[f"c{i}"] = (f"c{i}@example.com", early)
        shop.said.append((f"c{i}@example.com", True, early))
    shop.customers["x1"] = shop.customers["x2"] = ("first@example.com", early)
    shop.said.append(("first@example.com", True, early))
    assert shop.sync() == "succeeded"
    shop.customers["x2"] = ("second@example.com", NOW - timedelta(days=1))
    assert shop.sync() == "succeeded"
    assert "first@example.com" in shop.members()
    return shop


def test_the_no_of_one_of_two_addresses_is_heard_while_guards_hold(shop: Shop) -> None:
    shop.said.append(("first@example.com", False, shop.now))
    shop.lose_the_segment()
    assert shop.sync() == "held"
    assert shop.members() == {f"c{i}@example.com" for i in range(20)}


@pytest.mark.parametrize("how", ["withdrawn", "suppressed"])
def test_a_no_is_heard_of_somebody_who_is_gone_from_the_shop(shop: Shop, how: str) -> None:
    if how == "withdrawn":
        shop.said.append(("c7@example.com", False, shop.now))
    else:
        shop.blocked.append(" C7@Example.com ")
    shop.lose_the_segment()
    assert shop.sync() == "held"
    assert shop.members() == {
        "first@example.com",
        *(f"c{i}@example.com" for i in range(20) if i != 7),
    }


def test_a_no_to_the_planned_address_is_heard_at_apply_although_another_says_yes(
    shop: Shop,
) -> None:
    shop.customers["new"] = ("new@example.com", shop.now)
    shop.said.append(("new@example.com", True, shop.now))
    shop.said.append(("first@example.com", False, shop.now - timedelta(hours=1)))
    shop.said.append(("second@example.com", True, shop.now))
    shop.customers["x2"] = ("second@example.com", shop.now)
    with shop.open() as project:
        plan = project.plan()
    assert plan.header.n_changes >= 2
    shop.said.append(("second@example.com", False, shop.now))
    shop.said.append(("first@example.com", True, shop.now))
    with shop.open() as project:
        project.apply(plan.folder, approved=["all"], approver="test")
    assert "second@example.com" not in shop.members()
    assert "new@example.com" in shop.members()


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=-1)])
def test_a_no_after_the_instant_of_the_scores_is_heard(shop: Shop, ahead: timedelta) -> None:
    """By a clock that goes ahead, or between a past ``as_of`` and today."""
    shop.now += timedelta(days=5)
    shop.said.append(("c3@example.com", False, shop.now + ahead))
    with shop.open() as project:
        project.sync(as_of=shop.now - timedelta(days=3))
    assert "c3@example.com" not in shop.members()
    assert "c4@example.com" in shop.members()


def test_a_campaigns_own_exclusion_list_is_read_again_at_apply(shop: Shop) -> None:
    for name in ("new", "calm"):
        shop.customers[name] = (f"{name}@example.com", shop.now)
        shop.said.append((f"{name}@example.com", True, shop.now))
    with shop.open() as project:
        plan = project.plan()
    shop.angry.append("new@example.com")
    with shop.open() as project:
        project.apply(plan.folder, approved=["all"], approver="test")
    assert "calm@example.com" in shop.members()
    assert "new@example.com" not in shop.members()


def test_a_plan_copied_into_a_folder_leaves_what_lies_there_as_it_is(
    shop: Shop, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    out.mkdir(mode=0o755)
    script = out / "script.sh"
    script.touch(mode=0o755)
    modes = [path.stat().st_mode for path in (out, script)]
    with shop.open() as project:
        project.plan(out=out)
    assert [path.stat().st_mode for path in (out, script)] == modes
    assert (out / "changes.parquet").stat().st_mode & 0o077 == 0
    assert (out / "published").stat().st_mode & 0o077 == 0
