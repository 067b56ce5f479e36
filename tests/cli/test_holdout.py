"""``liftline holdout`` as a user runs it, on a made shop whose rates are known to the person."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from connector.cli.app import main
from tests.lift.test_power import TABLE

NOW = datetime(2026, 3, 2, 5, tzinfo=UTC)
GROUPS = {
    # Base of the published table: campaign, people, buyers of the last 30 days, goal.
    "conversion 1 %": ("rare", 999, 10, "conversion_30d"),
    "conversion 5 %": ("usual", 399, 20, "conversion_30d"),
    # Where a share p of n people buys for one amount, CV^2 = (1 - p) / p * n / (n - 1): such
    # numbers of people and buyers as come nearest to the table's variation.
    "revenue, CV 5": ("even", 519, 20, "revenue_per_person_30d"),
    "revenue, CV 17.75": ("heavy", 1_579, 5, "revenue_per_person_30d"),
}
TIMES = pa.timestamp("us", tz="UTC")


def write_shop(folder: Path) -> None:
    """Everybody bought once half a year ago, and the buyers of each group once more lately."""
    people = [
        (f"{name}{i}", name, i < buyers) for name, n, buyers, _ in GROUPS.values() for i in range(n)
    ]
    bought = [(who, NOW - timedelta(days=200)) for who, _, _ in people]
    bought += [(who, NOW - timedelta(days=9)) for who, _, lately in people if lately]
    tables = {
        "customers": {
            "id": [who for who, _, _ in people],
            "email": [f"{who}@mail.example" for who, _, _ in people],
            "country": [name for _, name, _ in people],
            "created_at": pa.array([NOW - timedelta(days=400)] * len(people), TIMES),
        },
        "orders": {
            "id": [f"o{i}" for i in range(len(bought))],
            "customer_id": [who for who, _ in bought],
            "placed_at": pa.array([at for _, at in bought], TIMES),
            "total": [40.0] * len(bought),
        },
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def config_text(*, holdouts: str = "", peeking: str = "fixed", end: str = "") -> str:
    arms = f"{{treatment: 90%, no_contact: 10%}}{end}"
    campaigns = "".join(
        f"  {name}: {{segment: {name}, to: [lake], arms: {arms}, goal: {goal}}}\n"
        for name, _, _, goal in GROUPS.values()
    )
    segments = "".join(
        f"  {name}: {{where: \"country = '{name}'\"}}\n" for name, *_ in GROUPS.values()
    )
    return f"""\
project: {{name: made, timezone: UTC, currency: EUR, as_of: {NOW.isoformat()}}}
sources:
  shop_customers: {{type: parquet, path: ./customers.parquet}}
  shop_orders: {{type: parquet, path: ./orders.parquet}}
tables:
  customers:
    from: shop_customers
    columns: {{customer_id: id, email: email, country: country, created_at: created_at}}
  orders:
    from: shop_orders
    columns: {{order_id: id, customer_id: customer_id, ordered_at: placed_at, gross: total}}
segments:
{segments}destinations:
  lake: {{type: csv_export, path: ./out, requires: none_internal, match_on: customer_id}}
campaigns:
{campaigns}holdouts:
  assign: {{salt: "${{HOLDOUT_SALT}}"}}
{holdouts}measurement: {{estimator: {{peeking: {peeking}}}}}
guards: {{needs_approval: {{first_sync: false, over_people: null}}}}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_shop(folder)
    return folder


class Command:
    """The command line in the shop's folder, with a state of its own."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._patch = patch
        patch.chdir(folder)
        patch.setenv("HOLDOUT_SALT", "a-salt-that-nobody-guesses")
        patch.delenv("COLUMNS", raising=False)
        self.configure()

    def configure(self, **parts: str) -> None:
        (self.folder / "liftline.yaml").write_text(config_text(**parts))

    def run(self, *arguments: str, code: int = 0) -> str:
        out = io.StringIO()
        self._patch.setattr(sys, "argv", ["liftline", *arguments])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            try:
                main()
                left_with: object = 0
            except SystemExit as leaving:
                left_with = leaving.code
        assert left_with == code, out.getvalue()
        assert "@mail.example" not in out.getvalue()
        return out.getvalue()

    def json(self, *arguments: str, code: int = 0):
        return json.loads(self.run(*arguments, "--output", "json", code=code))

    def query(self, sql: str) -> list[tuple]:
        with contextlib.closing(sqlite3.connect(self.folder / "state" / "state.db")) as con:
            return con.execute(sql).fetchall()


@pytest.fixture
def shop(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    for path in built.glob("*.parquet"):
        (tmp_path / path.name).symlink_to(path)
    return Command(tmp_path, monkeypatch)


def test_the_published_table_is_read_off_the_command(shop):
    told = shop.json(
        "holdout", "power", "--holdout", "1%,5%,10%", "--people", "10000,100000,1000000"
    )
    assert (told["power"], told["detect"]) == (0.8, 0.03)
    assert {one["alpha"] for one in told["comparisons"]} == {0.05}
    by_campaign = {one["campaign"]: one for one in told["comparisons"]}
    for base, (variation, rows) in TABLE.items():
        name, n, buyers, _ = GROUPS[base]
        one = by_campaign[name]
        assert one["n_past"] == n
        assert one["rate"] == pytest.approx(buyers / n)
        assert one["variation"] == pytest.approx(variation, rel=1e-3)
        sizes = [crowd["n_eligible"] for crowd in one["crowds"]]
        for people, cells in rows.items():
            at = sizes.index(people)
            for share, per_cent in zip((0.01, 0.05, 0.10), cells, strict=True):
                (choice,) = (c for c in one["choices"] if c["holdout_share"] == share)
                trial = choice["trials"][at]
                assert trial["n_holdout"] == round(people * share)
                # The table's own rounding, as in the test of the formula itself.
                close = 0.53 if per_cent >= 10 else 0.0501
                assert 100 * trial["lift"] == pytest.approx(per_cent, abs=close)
                assert choice["is_own"] is (share == 0.10)


def test_it_is_the_alpha_that_the_verdict_spends(shop):
    def lift(**parts: str) -> tuple[float, float]:
        shop.configure(**parts)
        (one,) = shop.json("holdout", "power", "--campaign", "usual")["comparisons"]
        return one["alpha"], one["lift"]

    def factor(critical: float) -> float:
        return critical + stats.norm.ppf(0.8)

    plain = stats.norm.ppf(0.975)
    assert lift()[0] == 0.05
    _, fixed = lift()
    # The hybrid keeps half of alpha for the looks before the end.
    alpha, hybrid = lift(peeking="sequential_hybrid", end=", end: 2026-06-30")
    assert alpha == 0.025
    half = stats.norm.ppf(1 - 0.025 / 2)
    assert hybrid / fixed == pytest.approx(factor(half) / factor(plain), rel=1e-9)
    # Without an end it is the asymptotic confidence sequence for good (Waudby-Smith et al., eq. 9),
    # at the number of people for which it is narrowest.
    log = -2 * math.log(0.05)
    rho = log + math.log(log + 1)
    sequence = math.sqrt(2 * (rho + 1) / rho * math.log(math.sqrt(rho + 1) / 0.05))
    _, endless = lift(peeking="sequential_hybrid")
    assert endless / fixed == pytest.approx(factor(sequence) / factor(plain), rel=1e-6)


def test_sample_sizes_give_the_effect_that_is_wanted(shop):
    told = shop.json("holdout", "power", "--campaign", "usual", "--holdout", "20%")
    (one,) = told["comparisons"]
    for choice in one["choices"]:
        n, share = choice["n_required"], choice["holdout_share"]
        asked = ("--holdout", f"{100 * share:g}%", "--people", str(n))
        (again,) = shop.json("holdout", "power", "--campaign", "usual", *asked)["comparisons"]
        (mine,) = (c for c in again["choices"] if c["holdout_share"] == share)
        assert mine["trials"][-1]["lift"] == pytest.approx(told["detect"], rel=1e-3)
    assert one["underpowered"] is True
    # Nobody newly qualifies here, so waiting is no way, and no weeks are shown.
    assert [crowd["weeks"] for crowd in one["crowds"]] == [0]
    assert {choice["weeks"] for choice in one["choices"]} == {None}


def test_power_is_told_to_people(shop):
    text = shop.run("holdout", "power", "--people", "100000")
    assert "10\u00a0% *" in text  # the file's own share
    assert "+13\u00a0%" in text  # the table: 5 %, 100k people, 10 % held out
    assert "usual: conversion_30d, alpha 0.05" in text
    assert "Too few buyers" in text


def test_the_target_names_are_taken_and_small_groups_are_told(shop):
    shop.configure(
        holdouts="  unit: person\n  log: append_only\n"
        "  power: {detect: 60%, power: 0.9, alpha: 0.05, on_underpowered: warn,"
        " min_people_per_arm: 250}\n"
    )
    told = shop.json("holdout", "power", "--campaign", "usual")
    assert (told["detect"], told["power"], told["min_people_per_arm"]) == (0.6, 0.9, 250)
    assert told["comparisons"][0]["underpowered"] is True
    text = " ".join(shop.run("holdout", "power", "--campaign", "usual").split())
    assert "A group of 40 is below holdouts.power.min_people_per_arm, 250" in text
    assert not shop.folder.joinpath("out").exists()


def test_an_underpowered_campaign_can_hold_the_run_that_would_start_it(shop):
    shop.configure(holdouts="  power: {on_underpowered: hold}\n")
    assert "holds the run that would start it" in shop.run("holdout", "power")
    held = shop.json("sync", code=7)
    assert {guard["name"] for guard in held["guards"]} == {"underpowered"}
    assert {guard["subject"] for guard in held["guards"]} == {
        f"campaigns.{name}.arms.no_contact" for name, *_ in GROUPS.values()
    }
    assert shop.query("SELECT count(*) FROM assignments") == [(0,)]
    assert shop.json("sync", "--approve", "underpowered")["status"] == "succeeded"
    # What has started is not asked again.
    assert shop.json("sync")["guards"] == []


def test_the_log_counts_and_lists_what_was_drawn(shop):
    assert "Nobody has an arm yet" in shop.run("holdout", "log")
    shop.run("sync")
    told = shop.json("holdout", "log")
    drawn = shop.query("SELECT campaign, epoch, arm, count(*) FROM assignments GROUP BY 1, 2, 3")
    assert {
        (row["campaign"], row["epoch"], row["arm"], row["people"]) for row in told["counts"]
    } == set(drawn)
    assert told["assignments"] == sum(n for *_, n in drawn) == 3_496
    # Everybody of either arm would be sent something, and it is known of everybody.
    assert all(row["people"] == row["logged"] == row["would_send"] for row in told["counts"])
    text = shop.run("holdout", "log", "--campaign", "rare")
    assert "Held out" in text
    assert "usual" not in text
    assert "higher `epoch`" in text

    pages = math.ceil(999 / 400)
    seen = []
    for page in range(1, pages + 2):
        part = shop.json(
            "holdout", "log", "--campaign", "rare", "--entries", "--limit", "400",
            "--page", str(page),
        )  # fmt: skip
        assert part["pages"] == pages
        seen += [(row["profile_id"], row["arm"], row["bucket"]) for row in part["entries"]]
    logged = shop.query("SELECT profile_id, arm, bucket FROM assignments WHERE campaign = 'rare'")
    assert sorted(seen) == sorted(logged)
    assert f"Page 2 of {pages}" in shop.run(
        "holdout", "log", "--campaign", "rare", "--entries", "--limit", "400", "--page", "2"
    )


def test_one_person_and_one_epoch(shop):
    shop.run("sync")
    (profile,), *_ = shop.query("SELECT profile_id FROM assignments WHERE campaign = 'rare'")
    shop.folder.joinpath("liftline.yaml").write_text(
        config_text().replace("rare: {segment: rare,", "rare: {segment: rare, epoch: 2,")
    )
    shop.run("sync")
    told = shop.json("holdout", "log", "--person", profile)
    assert [(row["campaign"], row["epoch"]) for row in told["entries"]] == [
        ("rare", 1),
        ("rare", 2),
    ]
    assert [(row["epoch"], row["decision"]) for row in told["decisions"]] == [
        (1, "yes"),
        (2, "yes"),
    ]
    (row,) = shop.json("holdout", "log", "--person", profile, "--epoch", "2")["entries"]
    assert row["epoch"] == 2
    assert "rare, epoch 2: yes" in shop.run("holdout", "log", "--person", profile)
    assert "nobody of the profile id" in shop.run("holdout", "log", "--person", "p-none", code=6)
    counts = shop.json("holdout", "log", "--epoch", "2")["counts"]
    assert {row["campaign"] for row in counts} == {"rare"}


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("power", "--holdout", "5"), "'5' is no share"),
        (("power", "--holdout", "100%"), "'100%' is no share"),
        (("power", "--weeks", "4w"), "'4w' is no whole number"),
        (("power", "--people", "0"), "'0' is no whole number"),
    ],
)
def test_what_is_not_understood_is_told(shop, arguments, what):
    assert what in shop.run("holdout", *arguments, code=2)


def test_an_unknown_campaign_is_told(shop):
    assert "Those that do: even, heavy, rare, usual" in shop.run(
        "holdout", "power", "--campaign", "nobody", code=3
    )
