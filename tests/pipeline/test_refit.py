"""Cut points stay until somebody trains; a refit shows whom it moves, and groups remember the one
before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from connector.config import parse_config
from connector.demo import shop, story
from connector.errors import ModelError
from connector.models import store
from connector.pipeline.project import Project

CONFIG = """
version: 1
project: {{name: refit, timezone: Europe/Berlin}}
sources: {{shop: {{type: duckdb, path: ./shop.duckdb}}}}
tables:
  customers:
    from: shop.customers
    columns: {{customer_id: customer_id, email: email, created_at: created_at, updated_at:
        updated_at}}
  orders:
    from: shop.orders
    columns: {{order_id: order_id, customer_id: customer_id, ordered_at: created_at, gross: total}}
models: {{rfm: {{type: rfm, refit: {refit}}}}}
segments: {{champions: {{from: rfm.champions}}}}
destinations:
  files: {{type: csv_export, path: ./out, requires: none_internal, match_on: profile_id,
      properties: {{g: rfm.group}}}}
campaigns: {{vip: {{segment: champions, to: [files]}}}}
holdouts: {{assign: {{salt: "${{SALT}}"}}}}
guards: {{needs_approval: {{first_sync: false}}, removals_above: 100%, additions_above: 100%}}
"""


class Clock:
    def __init__(self) -> None:
        self.now: datetime = story.FIRST_RUN

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(tmp_path: Path, clock: Clock):
    made: list[Project] = []
    shop.build_shop(
        tmp_path / "shop.duckdb",
        seed=5,
        start=story.OPENED,
        until=story.FIRST_RUN,
        n_customers=1_000,
    )

    def open_with(refit: str) -> Project:
        config = parse_config(
            CONFIG.format(refit=refit), {"SALT": "s"}, name=str(tmp_path / "liftline.yaml")
        )
        made.append(Project(config, clock=clock, identity_key="test"))
        return made[-1]

    yield open_with
    for project in made:
        project.close()


def groups(project: Project, run_id: str) -> dict[str, tuple[str, str | None]]:
    table = pq.read_table(project.state.folder / "runs" / run_id / "scores.parquet")
    return {
        row["profile_id"]: (row["rfm.group"], row["rfm.previous_group"])
        for row in table.select(["profile_id", "rfm.group", "rfm.previous_group"]).to_pylist()
    }


def spend_more(folder: Path) -> None:
    """Everybody's orders of the last year are worth ten times as much."""
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute("UPDATE orders SET total = total * 10 WHERE order_id LIKE '%7'")


def test_scores_stand_still_until_training_and_then_show_whom_they_move(
    opened: Callable[[str], Project], tmp_path: Path, clock: Clock
) -> None:
    project = opened("with_training")
    _, first = project.sync()
    version = project.journal.model("rfm")[0]
    before = groups(project, first.run_id)
    assert {previous for _, previous in before.values()} == {None}

    spend_more(tmp_path)
    clock.now += timedelta(days=1)
    plan, second = project.sync()
    assert plan.header.migration == ()
    assert project.journal.model("rfm")[0] == version
    drifted = groups(project, second.run_id)
    moved = {p for p, (group, _) in drifted.items() if p in before and group != before[p][0]}
    assert moved
    # Whoever moved remembers the group before; nobody else has one.
    assert {p: drifted[p][1] for p in moved} == {p: before[p][0] for p in moved}
    assert {p for p, (_, previous) in drifted.items() if previous is not None} == moved

    moves = project.train().migration
    plan, third = project.sync()
    after = groups(project, third.run_id)
    shown = Counter({(row["before"], row["after"]): row["people"] for row in plan.header.migration})
    assert shown == Counter({(m.before, m.after): m.n_people for m in moves})
    assert project.journal.model("rfm")[0] == version + 1
    # At the same instant only the model can move anybody: the table is what the scores say.
    assert shown == Counter(
        (drifted[p][0], after[p][0]) for p in after if after[p][0] != drifted[p][0]
    )
    assert project.plan().header.migration == ()


def test_every_run_refits(opened: Callable[[str], Project], tmp_path: Path, clock: Clock) -> None:
    project = opened("every_run")
    project.sync()
    spend_more(tmp_path)
    clock.now += timedelta(days=1)
    plan, _ = project.sync()
    assert project.journal.model("rfm")[0] == 2
    assert plan.header.migration


def test_an_age_refits_when_it_is_reached(opened: Callable[[str], Project], clock: Clock) -> None:
    project = opened("30d")
    project.sync()
    clock.now += timedelta(days=29)
    project.sync()
    assert project.journal.model("rfm")[0] == 1
    clock.now += timedelta(days=1)
    project.sync()
    assert project.journal.model("rfm")[0] == 2


def test_a_changed_map_moves_people_without_a_refit(
    opened: Callable[[str], Project], tmp_path: Path
) -> None:
    project = opened("with_training")
    project.sync()
    cuts = store.loads(project.journal.model("rfm")[1]).recency
    project.close()
    text = CONFIG.format(refit="with_training").replace(
        "refit: with_training", "refit: with_training, lapsed: asleep"
    )
    config = parse_config(text, {"SALT": "s"}, name=str(tmp_path / "liftline.yaml"))
    with Project(config, clock=lambda: story.FIRST_RUN) as renamed:
        plan = renamed.plan()
        assert {(row["before"], row["after"]) for row in plan.header.migration} == {
            ("lapsed", "asleep")
        }
        assert store.loads(renamed.journal.model("rfm")[1]).recency == cuts


def test_training_is_the_way_out_of_a_model_that_cannot_be_read(
    opened: Callable[[str], Project],
) -> None:
    project = opened("with_training")
    project.sync()
    with project.state.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE models SET document = '{\"format\": 99}'")
    with pytest.raises(ModelError, match="liftline train"):
        project.plan()
    assert project.train().moved == ()
    assert project.plan().header.n_changes == 0
