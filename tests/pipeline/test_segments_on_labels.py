"""Segments over clusters and topics by label: found by name or id, held where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from connector.domain import Level
from connector.errors import ConfigError
from connector.pipeline.check.findings import check
from connector.pipeline.person.explain import explain
from connector.pipeline.project import Project
from tests.pipeline import modelled_shop

NAME = "deal_hunters"
SEGMENTS = """\
segments:
  hunters: {from: personas.deal_hunters}
  by_name: {where: "personas.name = 'Deal hunters'"}
  by_id: {from: personas.c1}
  leaning: {where: "affinity.deal_topic >= 0.4"}
  topical: {from: affinity.t1}
  both: {any: [hunters, rfm.champions]}
"""
MODELS = """\
models:
  personas:
    type: cluster
    features: [orders_365d, recency_days, revenue_365d]
    k: 3
    labels: {registry: ./labels/personas.yaml}
  affinity:
    type: lda
    level: category
    topics: 3
    labels: {registry: ./labels/affinity.yaml}
"""
_OLD = modelled_shop.CONFIG.partition("segments:\n")[2].partition("strategies:")[0]
TEXT = (
    modelled_shop.CONFIG.replace(modelled_shop.MODELS, MODELS)
    .replace("segments:\n" + _OLD, SEGMENTS)
    .replace("segment: ready", "segment: by_id")
)


class Shop:
    """A project whose file and registry people edit between runs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, modelled_shop.Clock()
        self.project = modelled_shop.open_project(folder, self.clock, text=TEXT)

    def edit(self, text: str) -> None:
        self.project.close()
        self.project = modelled_shop.open_project(self.folder, self.clock, text=text)

    def name(self, label: str, name: str, model: str = "personas") -> None:
        path = self.folder / "labels" / f"{model}.yaml"
        head, tail = path.read_text().split(f"  {label}:\n")
        first, rest = tail.split("\n", 1)
        assert first.startswith("    name:")
        path.write_text(f"{head}  {label}:\n    name: {name}\n{rest}")

    def run(self) -> tuple[pd.DataFrame, dict[str, set[str]]]:
        _, report = self.project.sync()
        folder = self.project.state.folder / "runs" / report.run_id
        rows = pd.read_parquet(folder / "memberships.parquet")
        scores = pd.read_parquet(folder / "scores.parquet").set_index("profile_id")
        self.clock.now += timedelta(days=1)
        return scores, rows.groupby("segment")["profile_id"].agg(set).to_dict()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("labels")
    modelled_shop.build(folder, n=280)
    made = Shop(folder)
    yield made
    made.project.close()


def labelled(scores: pd.DataFrame, column: str, label: str) -> set[str]:
    return set(scores.index[scores[column] == label])


def held(project: Project) -> dict[str, str]:
    return {
        one.subject.removeprefix("segments."): one.message
        for one in check(project).findings
        if one.subject.startswith("segments.") and "Held with its members" in one.message
    }


def test_a_label_that_comes_and_goes(shop: Shop) -> None:
    # Nobody has named anything: ids work, the rest waits, and the run goes on.
    scores, members = shop.run()
    assert set(held(shop.project)) == {"hunters", "by_name", "leaning", "both"}
    assert members["by_id"] == labelled(scores, "personas.cluster", "c1")
    assert members["topical"] == labelled(scores, "affinity.top_id", "t1")
    assert "hunters" not in members

    shop.name("c1", "Deal hunters")
    shop.name("t1", "Deal topic", "affinity")
    scores, members = shop.run()
    hunters = labelled(scores, "personas.cluster", "c1")
    assert held(shop.project) == {}
    assert members["hunters"] == members["by_name"] == members["by_id"] == hunters
    assert members["both"] >= hunters
    assert members["leaning"] == set(scores.index[scores["affinity.deal_topic"] >= 0.4])

    # Renamed: nobody knows the old name any more, and nobody leaves for that.
    shop.name("c1", "Bargain lovers")
    scores, after = shop.run()
    assert set(held(shop.project)) == {"hunters", "by_name", "both"}
    for name in ("hunters", "by_name", "both"):
        assert after[name] == members[name]
    someone = next(iter(hunters))
    told = next(x for x in explain(shop.project, someone).segments if x.segment == "hunters")
    assert told.member
    assert "stays while the segment is held" in told.steadiness.words

    # A typing error of another kind is an error still.
    shop.edit(TEXT.replace("personas.name = 'Deal hunters'", "persona.name = 'Deal hunters'"))
    with pytest.raises(ConfigError):
        shop.project.plan()


def test_a_segment_of_a_model_that_is_not_used_is_held(tmp_path: Path) -> None:
    modelled_shop.build(tmp_path, n=120)
    shop = Shop(tmp_path)
    try:
        _, members = shop.run()
        assert "hunters" not in members
        assert "personas has no model in use yet" in held(shop.project)["hunters"]
        assert not [f for f in check(shop.project).findings if f.level is Level.ERROR]
    finally:
        shop.project.close()
