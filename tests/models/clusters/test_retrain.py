"""Labels stay put across retrains, and a model that would move too many people is not used."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from connector.errors import ModelError
from connector.models.clusters import ClusterSpec, fit, relabel
from connector.models.labels import Registry, read_registry, write_registry
from connector.models.matching import Fate, LabelRules
from tests.models.clusters.people import AS_OF, FEATURES, planted

SPEC = ClusterSpec(
    features=FEATURES, algorithms=("kmeans",), k=(6, 6), n_bootstrap=2, choose_sample=300
)
N_WEEKS = 5


def weeks(seed: int) -> list[pd.DataFrame]:
    """The same people week after week: clusters that overlap, behaviour that wavers a little."""
    rng = np.random.default_rng(seed)
    n = 2500
    base = rng.normal(0, 1.2, (6, 4))[rng.integers(0, 6, n)] + rng.normal(0, 0.9, (n, 4))
    wave = rng.normal(0, 0.12, (n, 4))
    frames = []
    for _ in range(N_WEEKS + 1):
        index = pd.Index([f"p{i:05d}" for i in range(n)], name="profile_id")
        frames.append(pd.DataFrame(base + wave, columns=list(FEATURES), index=index))
        wave = 0.9 * wave + 0.44 * rng.normal(0, 0.12, (n, 4))
    return frames


def test_weekly_retrains_keep_the_labels() -> None:
    first, *later = weeks(5)
    made = relabel(fit(first, SPEC, as_of=AS_OF, rng=np.random.default_rng(0)), Registry("p"))
    ids = made.model.ids
    held = made.model.predict(first)["cluster"]
    cold_raw, warm_raw, published = [], [], []
    for week, frame in enumerate(later, start=1):
        as_of = AS_OF + timedelta(weeks=week)
        # A refit from scratch, as if nothing had been kept.
        cold = fit(frame, SPEC, as_of=as_of, rng=np.random.default_rng(week))
        cold_raw.append(
            relabel(cold, made.registry, before=made.model, frame=frame, held=held).raw_churn
        )
        warm = fit(frame, SPEC, as_of=as_of, rng=np.random.default_rng(week), before=made.model)
        made = relabel(warm, made.registry, before=made.model, frame=frame, held=held)
        held = made.model.predict(frame, held)["cluster"]
        warm_raw.append(made.raw_churn)
        published.append(made.churn)
        assert made.is_accepted
        assert made.model.card.metrics["label_churn"] == round(made.churn, 6)
    assert made.model.ids == ids
    assert len(made.registry.labels) == 6
    assert np.mean(cold_raw) > 0.4
    assert max(published) < 0.02
    assert max(published) < min(warm_raw)


def test_numbers_may_switch_and_labels_stay() -> None:
    frame, _ = planted(1)
    spec = ClusterSpec(features=FEATURES, algorithms=("kmeans",), k=(5, 5), n_bootstrap=2)
    old = relabel(fit(frame, spec, as_of=AS_OF, rng=np.random.default_rng(0)), Registry("p"))
    text = write_registry(old.registry).replace("name: ''", "name: deal_hunters", 1)
    registry = read_registry(text, model="p")
    hunters = old.model.predict(frame)["cluster"] == "c1"
    # Other sizes, so that the clusters are numbered otherwise.
    fewer = pd.concat([frame[~hunters], frame[hunters].iloc[:60]])
    new = fit(fewer, spec, as_of=AS_OF, rng=np.random.default_rng(9))
    again = relabel(new, registry, before=old.model, frame=frame)
    assert again.raw_churn > 0.1
    assert again.churn == 0.0
    named = again.model.predict(frame)["name"]
    assert ((named == "deal_hunters") == hunters).all()


def test_a_model_that_moves_too_many_is_not_accepted() -> None:
    frame, _ = planted(2)
    spec = ClusterSpec(features=FEATURES, algorithms=("kmeans",), k=(5, 5), n_bootstrap=2)
    old = relabel(fit(frame, spec, as_of=AS_OF, rng=np.random.default_rng(0)), Registry("p"))
    coarse = ClusterSpec(features=FEATURES, algorithms=("kmeans",), k=(2, 2), n_bootstrap=2)
    new = fit(frame, coarse, as_of=AS_OF, rng=np.random.default_rng(0))
    again = relabel(new, old.registry, before=old.model, frame=frame)
    assert not again.is_accepted
    assert not again.model.card.is_publishable
    assert any("Keep the old model" in note for note in again.model.card.notes)
    assert again.matching is not None
    assert {event.fate for event in again.matching.events} >= {Fate.MERGED}
    lenient = relabel(
        new, old.registry, before=old.model, frame=frame, rules=LabelRules(min_overlap=0.0)
    )
    assert lenient.is_accepted


def test_a_split_makes_new_labels_with_a_parent() -> None:
    frame, _ = planted(3, k=5)
    coarse = ClusterSpec(features=FEATURES, algorithms=("kmeans",), k=(2, 2), n_bootstrap=2)
    fine = ClusterSpec(features=FEATURES, algorithms=("kmeans",), k=(5, 5), n_bootstrap=2)
    old = relabel(fit(frame, coarse, as_of=AS_OF, rng=np.random.default_rng(0)), Registry("p"))
    new = fit(frame, fine, as_of=AS_OF, rng=np.random.default_rng(0))
    again = relabel(new, old.registry, before=old.model, frame=frame)
    known = {label.id for label in old.registry.labels}
    assert not known & set(again.model.ids) or again.matching is not None
    children = [label for label in again.registry.active if label.id not in known]
    assert children
    assert {parent for label in children for parent in label.parents} <= known


def test_other_features_start_afresh_and_still_keep_labels() -> None:
    frame, _ = planted(4)
    spec = ClusterSpec(features=FEATURES, algorithms=("kmeans",), k=(5, 5), n_bootstrap=2)
    old = relabel(fit(frame, spec, as_of=AS_OF, rng=np.random.default_rng(0)), Registry("p"))
    more = frame.assign(noise=np.random.default_rng(0).normal(size=len(frame)))
    wider = ClusterSpec(
        features=(*FEATURES, "noise"), algorithms=("kmeans",), k=(5, 5), n_bootstrap=2
    )
    new = fit(more, wider, as_of=AS_OF, rng=np.random.default_rng(0), before=old.model)
    assert any("from scratch" in note for note in new.card.notes)
    again = relabel(new, old.registry, before=old.model, frame=more)
    assert set(again.model.ids) == set(old.model.ids)
    assert again.churn < 0.01


def test_a_lost_registry_is_told() -> None:
    frame, _ = planted(5, n=300)
    spec = ClusterSpec(features=FEATURES, algorithms=("kmeans",), k=(5, 5), n_bootstrap=2)
    old = relabel(fit(frame, spec, as_of=AS_OF, rng=np.random.default_rng(0)), Registry("p"))
    with pytest.raises(ModelError, match="not in its registry"):
        relabel(old.model, Registry("p"), before=old.model, frame=frame)
    with pytest.raises(ModelError, match="not in its registry"):
        old.model.named(Registry("p"))
