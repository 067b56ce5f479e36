"""Labels of clusters and topics when people change what they are chosen by, and say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from connector.errors import ConfigError
from connector.models import store
from connector.models.labels import read_registry
from connector.models.matching import LabelRules
from connector.pipeline.project import Project
from connector.pipeline.scoring import affinity
from connector.pipeline.show.standing import Standing
from tests.pipeline import modelled_shop

PERSONAS = """\
models:
  personas:
    type: cluster
    features: [orders_365d, recency_days, revenue_365d]
    k: 3
    labels: {registry: ./labels/personas.yaml}
"""
AFFINITY = """\
models:
  affinity:
    type: lda
    level: category
    topics: 3
    labels: {registry: ./labels/affinity.yaml}
"""
SEGMENTS = "segments:\n  cold: {where: recency_days > 180}\n"
SHOP = (
    modelled_shop.CONFIG.replace(modelled_shop.MODELS, "")
    .replace("campaigns: {push: {segment: ready, strategy: offer, to: [files]}}\n", "")
    .replace(modelled_shop.CONFIG.partition("segments:\n")[2].partition("strategies:")[0], "")
    .replace("segments:\n", SEGMENTS)
)
CLUSTERS, TOPICS = SHOP + PERSONAS, SHOP + AFFINITY
Open = Callable[[str], Project]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    modelled_shop.build(tmp_path, n=280)
    made: list[Project] = []

    def open_with(text: str) -> Project:
        if made:
            made.pop().close()
        made.append(modelled_shop.open_project(tmp_path, modelled_shop.Clock(), text=text))
        return made[-1]

    yield open_with
    for project in made:
        project.close()


def standing(project: Project, name: str, *, accept: tuple[str, ...] = ()) -> Standing:
    done = project.train(accept_labels=accept)
    return next(one for one in done.models if one.name == name)


def model(project: Project, name: str) -> Any:
    return store.loads(project.journal.model(name)[1])


def test_another_number_of_clusters_waits_for_a_review_and_is_then_used(
    opened: Open, tmp_path: Path
) -> None:
    opened(CLUSTERS).train()
    registry = tmp_path / "labels" / "personas.yaml"
    before = read_registry(registry.read_text(), model="personas")

    project = opened(CLUSTERS.replace("k: 3", "k: 7"))
    refused = standing(project, "personas")
    assert refused.refusal is not None
    assert any("people keep their label" in one for one in refused.refusal.reasons)
    assert len(model(project, "personas").ids) == 3
    assert read_registry(registry.read_text(), model="personas") == before

    accepted = standing(project, "personas", accept=("personas",))
    assert accepted.refusal is None
    now = model(project, "personas")
    assert len(now.ids) == 7
    assert now.card.metrics["k"] == 7
    assert any("settings have changed" in note for note in now.card.notes)
    assert any("Accepted after a review" in note for note in now.card.notes)
    after = read_registry(registry.read_text(), model="personas")
    assert {label.id for label in after.active} == set(now.ids)
    assert {label.id for label in before.labels} <= {label.id for label in after.labels}
    # The same settings again carry on what was accepted.
    again = standing(project, "personas")
    assert again.refusal is None
    assert model(project, "personas").ids == now.ids


@pytest.mark.parametrize("harm", ["the file", "the last label"])
def test_lost_labels_are_put_back_and_never_mean_other_people(
    opened: Open, tmp_path: Path, harm: str
) -> None:
    """Whatever becomes of the file, ids stay with their centres, and a name stays where it is."""
    opened(CLUSTERS).train()
    registry = tmp_path / "labels" / "personas.yaml"
    registry.write_text(registry.read_text().replace("name: ''", "name: loyal", 1))
    project = opened(CLUSTERS)
    first = standing(project, "personas")
    assert first.refusal is None
    before = model(project, "personas")
    text = registry.read_text()
    if harm == "the file":
        registry.unlink()
    else:
        registry.write_text(text[: text.index(f"  {before.ids[-1]}:")])

    project = opened(CLUSTERS)
    assert standing(project, "personas").refusal is None
    now = model(project, "personas")
    assert set(now.ids) == set(before.ids)
    centre = dict(zip(before.ids, before.centroids, strict=True))
    for label, found in zip(now.ids, now.centroids, strict=True):
        nearest = min(centre, key=lambda one: float(((centre[one] - found) ** 2).sum()))
        assert nearest == label
    assert "loyal" in now.names
    assert dict(zip(now.ids, now.names, strict=True)) == dict(
        zip(before.ids, before.names, strict=True)
    )
    assert any("put back from the model in use" in note for note in now.card.notes)
    written = read_registry(registry.read_text(), model="personas")
    assert {label.id for label in written.active} == set(before.ids)


def test_another_algorithm_is_tried_and_keeps_the_labels(opened: Open) -> None:
    project = opened(CLUSTERS)
    project.train()
    ids = model(project, "personas").ids
    project = opened(CLUSTERS.replace("k: 3", "k: 3\n    algorithms: [hierarchical]"))
    standing(project, "personas", accept=("personas",))
    now = model(project, "personas")
    assert now.card.algorithm == "hierarchical"
    assert set(now.ids) & set(ids)


def test_another_number_of_topics_is_chosen(opened: Open) -> None:
    project = opened(TOPICS)
    project.train()
    assert len(model(project, "affinity").ids) == 3
    project = opened(TOPICS.replace("topics: 3", "topics: 5"))
    standing(project, "affinity", accept=("affinity",))
    assert len(model(project, "affinity").ids) == 5


def test_suggested_names_speak_the_words_of_the_file(opened: Open, tmp_path: Path) -> None:
    text = CLUSTERS.replace(
        "features: [orders_365d, recency_days, revenue_365d]",
        "features: [orders_365d, recency_days, pace]",
    )
    custom = (
        "features:\n  custom:\n    - {name: pace, sql: 'revenue_365d / nullif(orders_365d, 0)',"
        " from: features, high: fills the trolley, low: picks one thing}\n"
    )
    project = opened(text + custom)
    project.train()
    registry = read_registry((tmp_path / "labels" / "personas.yaml").read_text(), model="personas")
    said = {word for label in registry.labels for word in label.suggested.split(", ")}
    assert said <= {
        *("fills the trolley", "picks one thing", "buys often", "buys seldom"),
        *("not seen for long", "bought lately", "like most people"),
    }
    contrasts = {word for words in model(project, "personas").contrasts for word in words}
    assert {"fills the trolley", "picks one thing"} & contrasts


def test_only_models_with_labels_can_be_accepted(opened: Open) -> None:
    with pytest.raises(ConfigError, match=re.escape("no model with labels is named 'rfm'")):
        opened(TOPICS).train(accept_labels=("rfm",))


def test_people_on_a_border_keep_their_persona_from_run_to_run(tmp_path: Path) -> None:
    """A held label stays until another centre is nearer by a tenth: by the distances themselves."""
    modelled_shop.build(tmp_path, n=400)
    clock = modelled_shop.Clock()
    with modelled_shop.open_project(tmp_path, clock, text=CLUSTERS) as project:
        _, report = project.sync()
        folder = project.state.folder / "runs" / report.run_id
        held = pd.read_parquet(folder / "scores.parquet").set_index("profile_id")
        clock.now += timedelta(days=28)
        with project.workspace() as warehouse:
            act = project.understand(warehouse)
            fitted = act.scores.models["personas"]
            wanted = ["profile_id", *fitted.scaler.features]
            rows = warehouse.rows(f"SELECT {', '.join(wanted)} FROM features")
            said = dict(
                warehouse.rows('SELECT profile_id, "personas.cluster" FROM personas_scores')
            )
    people = pd.DataFrame(rows, columns=wanted).set_index("profile_id").loc[list(said)]
    away = cdist(fitted.scaler.transform(people), fitted.centroids)
    place = {label: i for i, label in enumerate(fitted.ids)}
    stayed = moved = 0
    for who, distances in zip(people.index, away, strict=True):
        before, now = held["personas.cluster"].get(who), said[who]
        nearest = fitted.ids[int(distances.argmin())]
        if before is None or nearest == before:
            assert now == nearest
        elif distances.min() > 0.9 * distances[place[before]]:
            assert now == before
            stayed += 1
        else:
            assert now == nearest
            moved += 1
    assert stayed
    assert moved


def test_a_first_taste_is_held_from_run_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another topic must be a hundred times as large, nobody's first one changes."""
    rules = LabelRules(min_overlap=0.7, hysteresis=99.0)
    monkeypatch.setattr(affinity, "rules_of", lambda _labels: rules)
    modelled_shop.build(tmp_path, n=400)
    # More topics than there are tastes: which is a person's first, a few baskets may change.
    text = TOPICS.replace("topics: 3", "topics: 5\n    min_baskets: 1")
    clock = modelled_shop.Clock()
    clock.now -= timedelta(days=150)
    with modelled_shop.open_project(tmp_path, clock, text=text) as project:
        _, report = project.sync()
        folder = project.state.folder / "runs" / report.run_id
        scores = pd.read_parquet(folder / "scores.parquet").set_index("profile_id")
        held = scores["affinity.top_id"].dropna().to_dict()
        clock.now += timedelta(days=180)
        with project.workspace() as warehouse:
            fitted = project.understand(warehouse).scores.models["affinity"]
            named = ", ".join(f'"affinity.{key}"' for key in fitted.keys)
            rows = warehouse.rows(
                f'SELECT profile_id, "affinity.top_id", {named} FROM affinity_scores'
            )
    outgrown = 0
    for who, now, *shares in rows:
        if who in held:
            assert now == held[who]
            outgrown += fitted.ids[shares.index(max(shares))] != held[who]
    assert outgrown
