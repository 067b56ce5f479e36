"""Personas, outliers and pairs where people see them: files of a run, report, command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from typer.testing import CliRunner

from connector.cli.app import app
from connector.models import store
from connector.pipeline.project import Project
from connector.pipeline.show.report import gather_report
from connector.report.data import ReportData
from connector.report.html import render_html
from tests.pipeline import modelled_shop

MODELS = """\
models:
  personas:
    type: cluster
    features: [orders_365d, recency_days, revenue_365d, aov_365d]
    algorithms: [kmeans, hierarchical, dbscan, hdbscan]
    choose_by: {silhouette: 0.5, bootstrap_jaccard: 0.5}
    k: 3-4
    labels: {registry: ./labels/personas.yaml}
  next: {type: association, level: category, min_support: 20, min_lift: 1.1}
"""
SEGMENTS = "segments:\n  odd: {where: personas.is_outlier}\n"
_OLD = modelled_shop.CONFIG.partition("segments:\n")[2].partition("strategies:")[0]
TEXT = (
    modelled_shop.CONFIG.replace(modelled_shop.MODELS, MODELS)
    .replace("segments:\n" + _OLD, SEGMENTS)
    .replace("segment: ready", "segment: odd")
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Path, ReportData]]:
    folder = tmp_path_factory.mktemp("crowds")
    modelled_shop.build(folder, n=400)
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        # A few resellers, like nobody else.
        con.execute("UPDATE orders SET total = 400 * total WHERE customer_id IN ('c0003', 'c0010')")
    with modelled_shop.open_project(folder, modelled_shop.Clock(), text=TEXT) as project:
        _, report = project.sync()
        data = gather_report(project)
        yield project, project.state.folder / "runs" / report.run_id, data


def test_outliers_and_pairs_are_published(shown: tuple[Project, Path, ReportData]) -> None:
    project, run, _ = shown
    scores = pd.read_parquet(run / "scores.parquet").set_index("profile_id")
    outliers = pd.read_parquet(run / "outliers.parquet")
    odd = set(scores.index[scores["personas.is_outlier"].astype(bool)])
    assert set(outliers["profile_id"]) == odd
    assert odd
    assert outliers["reasons"].str.endswith(" sd)").all()
    members = pd.read_parquet(run / "memberships.parquet")
    assert set(members["profile_id"]) == odd

    pairs = pd.read_parquet(run / "pairs.parquet")
    with duckdb.connect(str(project.state.folder.parent / "shop.duckdb"), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        counted = con.execute(
            "WITH b AS (SELECT DISTINCT i.order_id, p.category FROM items i JOIN products p"
            " ON p.id = i.product_id JOIN orders o ON o.id = i.order_id"
            f" WHERE o.ordered_at < TIMESTAMPTZ '{modelled_shop.AS_OF}')"
            " SELECT x.category, y.category, count(*) FROM b x JOIN b y USING (order_id)"
            " WHERE x.category <> y.category GROUP BY 1, 2"
        ).fetchall()
    together = {(a, b): n for a, b, n in counted}
    assert len(pairs)
    for one in pairs.itertuples():
        assert one.n_both == together[one.item, one.goes_with]
        assert one.lift_low < one.lift < one.lift_high


def test_the_report_shows_how_they_were_chosen(shown: tuple[Project, Path, ReportData]) -> None:
    project, _, data = shown
    (summary,) = data.personas
    tried = {(one.algorithm, one.k) for one in summary.contenders if one.score is not None}
    assert tried == {(a, k) for a in ("kmeans", "hierarchical") for k in (3, 4)}
    assert {one.algorithm for one in summary.contenders} >= {"dbscan", "hdbscan"}
    (chosen,) = [one for one in summary.contenders if one.is_chosen]
    best = max(one.score for one in summary.contenders if one.score is not None)
    assert chosen.score == best
    assert chosen.silhouette is not None
    assert chosen.jaccard is not None
    assert best == pytest.approx(0.5 * max(0, chosen.silhouette) + 0.5 * chosen.jaccard, abs=1e-5)
    assert len(summary.personas) == chosen.k
    assert len(summary.explained) == 3
    assert summary.side
    tree = summary.tree
    assert tree is not None
    assert sum(share for _, share in tree.feet) == pytest.approx(1)
    for one in tree.cuts:
        assert sum(one.shares) == pytest.approx(1, abs=1e-4)
        assert len(one.shares) == one.k
        verticals = [(b.left_from, b.height) for b in tree.branches]
        verticals += [(b.right_from, b.height) for b in tree.branches]
        assert sum(low < one.height < high for low, high in verticals) == one.k
    assert ReportData.from_json(data.to_json()).personas == data.personas
    page = render_html(data)
    assert "Dendrogram" in page
    assert "Bought together" in page

    # A retrain remembers what was compared.
    project.train()
    again = store.loads(project.journal.model("personas")[1])
    assert {f"{a} k={k}" for a, k in tried} == set(again.search.compared)


def test_the_command_shows_any_cut(
    shown: tuple[Project, Path, ReportData], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _, _ = shown
    monkeypatch.setenv("SALT", "salt")
    config = str(project.state.folder.parent / "liftline.yaml")
    runner = CliRunner()
    found = runner.invoke(app, ["personas", "--cut", "6", "-c", config, "--output", "json"])
    assert found.exit_code == 0, found.output
    document = json.loads(found.output)
    assert len(document["cut"]) == 6
    assert sum(part["share"] for part in document["cut"]) == pytest.approx(1)
    told = runner.invoke(app, ["personas", "personas", "--cut", "2", "-c", config])
    assert told.exit_code == 0, told.output
    assert "cut into 2" in told.output
    assert "hierarchical" in told.output
