"""A segment of those who are worth a contact, and a budget for the best of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from connector.config import InvalidConfigError
from connector.models import store
from connector.pipeline.person.explain import explaining
from connector.pipeline.project import Project
from connector.plan.document import Plan
from tests.pipeline import modelled_shop
from tests.pipeline.modelled_shop import CONFIG, Clock

START, END = CONFIG.index("  clv:\n"), CONFIG.index("segments:\n")
TEXT = (
    (CONFIG[:START] + CONFIG[END:])
    .replace("  valuable: {where: \"clv.tier in ('platinum', 'gold')\"}\n", "")
    .replace(
        'where: "purchase_30d.percentile >= 80"\n'
        "    stability: {exit_after: 2 runs, margin: {percentile: 10}}",
        'where: "purchase_30d.worth_it and lifetime_orders >= 1"',
    )
    .replace(
        "strategy: offer, to: [files]}",
        "strategy: offer, to: [files], budget: {per_run: 20},\n"
        '    rank_by: "purchase_30d.probability * 12"}',
    )
)


@dataclass
class Ran:
    project: Project
    plan: Plan
    scored: pd.DataFrame
    members: dict[str, str]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("worth")
    modelled_shop.build(folder)
    with modelled_shop.open_project(folder, Clock(), text=TEXT) as project:
        plan = project.plan()
        members = {
            row["profile_id"]: row["reason"]
            for row in pq.read_table(plan.changes_path).to_pylist()
            if row["kind"] == "membership" and row["arm"] == "treatment"
        }
        published = pq.read_table(plan.folder / "published" / "scores.parquet").to_pandas()
        yield Ran(project, plan, published.set_index("profile_id"), members)


def test_the_column_is_the_probability_against_the_stored_cut_off(ran: Ran) -> None:
    _, document, _ = ran.project.journal.model("purchase_30d")
    cutoff = store.read(document).model.worth.cutoff
    assert cutoff is not None
    known = ran.scored["purchase_30d.probability"].notna()
    worth = ran.scored["purchase_30d.worth_it"]
    assert (worth[known] == (ran.scored["purchase_30d.probability"][known] >= cutoff)).all()
    assert 0 < worth[known].mean() < 1


def test_the_segment_is_whoever_is_worth_it(ran: Ran) -> None:
    wanted = ran.scored["purchase_30d.worth_it"].eq(True) & (ran.scored["lifetime_orders"] >= 1)
    assert ran.plan.header.segments["ready"] == wanted.sum()


def test_the_budget_takes_the_best_and_the_plan_says_who_waits(ran: Ran) -> None:
    (told,) = ran.plan.header.campaigns
    assert told.cost == 20.0  # 40 people at 0.50
    assert told.blocked["over_budget"] > 0
    assert not ran.plan.header.guards
    arms = pd.DataFrame(ran.plan.side_table("new_arms").to_pylist())
    treated = arms[arms["arm"] == "treatment"]["profile_id"]
    best = sorted(treated, key=lambda p: (-ran.scored["purchase_30d.probability"][p], p))
    assert set(ran.members) == set(best[:40])
    assert told.blocked["over_budget"] == len(best) - 40


def test_explain_says_who_waits_and_how_far_the_budget_reaches(ran: Ran) -> None:
    """Against the plan's own changes, and the ranking by pandas."""
    arms = pd.DataFrame(ran.plan.side_table("new_arms").to_pylist())
    treated = arms[arms["arm"] == "treatment"]["profile_id"]
    worth = ran.scored["purchase_30d.probability"] * 12
    best = sorted(treated, key=lambda p: (-round(worth[p], 9), p))
    with explaining(ran.project) as tell:
        last, first_waiting, far = (tell(best[i]).campaigns[0] for i in (39, 40, len(best) - 1))
        held = next(iter(arms[arms["arm"] != "treatment"]["profile_id"]), None)
        held_out = tell(held).campaigns[0].status if held else "held_out"
    assert best[39] in ran.members
    assert best[40] not in ran.members
    assert (last.status, last.rank, last.reached) == ("addressed", 40, 40)
    assert f"Place 40 of {len(best)}" in last.why
    assert (first_waiting.status, first_waiting.code) == ("waiting", "over_budget")
    assert (first_waiting.rank, first_waiting.reached, first_waiting.arm) == (41, 40, "treatment")
    assert f"place 41 of {len(best)}" in first_waiting.why
    assert f"reaches 40, down to {worth[best[39]]:,.4g}" in first_waiting.why
    assert far.rank == len(best)
    assert held_out == "held_out"


@pytest.mark.parametrize(
    ("ranking", "said"),
    [("purchase_30d.probabilty", "probabilty"), ("rfm.group", "ranked by a number")],
)
def test_a_ranking_that_is_none_is_named_with_its_line(
    ran: Ran, ranking: str, said: str, tmp_path: Path
) -> None:
    text = TEXT.replace("purchase_30d.probability * 12", ranking)
    (tmp_path / "shop.duckdb").symlink_to(ran.project.config.folder / "shop.duckdb")
    with (
        modelled_shop.open_project(tmp_path, Clock(), text=text) as project,
        pytest.raises(InvalidConfigError, match=said) as caught,
    ):
        project.plan()
    line = next(i for i, one in enumerate(text.splitlines(), 1) if "rank_by" in one)
    assert f"liftline.yaml:{line}: campaigns.push.rank_by" in str(caught.value)
