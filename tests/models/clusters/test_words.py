"""Suggested names say what people do."""

from __future__ import annotations

import numpy as np
import pandas as pd

from connector.features.catalogue import PACKS, Settings
from connector.features.phrases import PHRASES, phrase_of
from connector.models.clusters import ClusterSpec, FeatureMeaning, fit
from connector.models.clusters.words import words_for
from tests.models.clusters.people import AS_OF, FEATURES, planted


def test_every_phrase_belongs_to_a_feature() -> None:
    names = {
        meta.name for make in PACKS.values() for pack in make(Settings()) for meta in pack.metas
    }
    spoken = {phrase for name in names if (phrase := phrase_of(name))}
    # This one stands in the documentation as a custom feature.
    missing = {stem for stem, phrase in PHRASES.items() if phrase not in spoken}
    assert missing <= {"replenishment_gap_ratio"}
    assert phrase_of("promo_share_365d") == PHRASES["promo_share"]
    assert phrase_of("age_years") is None


def test_known_or_unknown_is_no_name() -> None:
    frame, truth = planted(3)
    half = np.random.default_rng(0).random(len(frame)) < np.where(truth == 0, 0.9, 0.05)
    holed = frame.assign(promo_share_365d=frame["promo_share_365d"].mask(half))
    spec = ClusterSpec(features=FEATURES, algorithms=("kmeans",), k=(5, 5), n_bootstrap=2)
    model = fit(holed, spec, as_of=AS_OF, rng=np.random.default_rng(0))
    assert any(d.column.is_indicator for d in model.scaler.dimensions)
    said = [word for words in model.contrasts for word in words]
    assert said
    assert not [word for word in said if "known" in word or word.startswith("no ")]
    meant = {"promo_share_365d": FeatureMeaning("a", "b", "never bought")}
    worded = fit(holed, spec, as_of=AS_OF, rng=np.random.default_rng(0), meanings=meant)
    assert any("never bought" in words for words in worded.contrasts)


def test_a_word_is_said_once() -> None:
    frame = pd.DataFrame({"a_30d": [0.0, 1.0, 3.0] * 20, "a_90d": [0.0, 2.0, 1.0] * 20})
    spec = ClusterSpec(features=("a_30d", "a_90d"), algorithms=("kmeans",), k=(2, 2), min_people=9)
    model = fit(
        frame.set_index(pd.Index([f"p{i}" for i in range(60)])).add(
            np.random.default_rng(0).normal(0, 0.1, (60, 2))
        ),
        spec,
        as_of=AS_OF,
        rng=np.random.default_rng(0),
    )
    assert words_for({}, model.scaler.dimensions, np.array([2.0, 1.0])) == ("high a",)
