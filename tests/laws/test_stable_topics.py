"""Half a year of weekly retrains of topics: orders pile up, items are replaced, labels stay."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from sklearn.metrics import adjusted_rand_score

from connector.models.affinity import AffinitySpec, fit, relabel
from connector.models.labels import Registry
from tests.models.affinity.shoppers import AS_OF, planted

N_WEEKS, REPLACED_FROM, MOST_CHURN = 26, 10, 0.03
SPEC = AffinitySpec(topics=(4, 4), n_starts=1, choose_sample=300)


def test_topics_keep_their_labels() -> None:
    lines, _, theta = planted(3, n_people=320, k=4, n_items=30, n_baskets=14)
    rng = np.random.default_rng(0)
    baskets = np.sort(lines["basket_id"].unique())
    # Half of the baskets are there at the start, the others come in week by week.
    arrives = dict(
        zip(baskets, np.maximum(0, rng.integers(-N_WEEKS, N_WEEKS, len(baskets))), strict=True)
    )
    week_of = lines["basket_id"].map(arrives)
    # Some best sellers get a successor.
    best = lines["item"].value_counts().index[:3]
    renewed = lines["item"].isin(best) & (week_of >= REPLACED_FROM)
    lines = lines.assign(item=lines["item"].mask(renewed, lines["item"] + " II"))
    made, held, churns, cold_raw = None, None, [], 0.0
    for week in range(N_WEEKS + 1):
        known = lines[week_of <= week]
        as_of, own = AS_OF + timedelta(weeks=week), np.random.default_rng(week)
        if made is None:
            made = relabel(fit(known, SPEC, as_of=as_of, rng=own), Registry("a"))
            ids = made.model.ids
        else:
            fresh = fit(known, SPEC, as_of=as_of, rng=own, before=made.model)
            done = relabel(fresh, made.registry, before=made.model, frame=known, held=held)
            if week == N_WEEKS:
                cold = fit(known, SPEC, as_of=as_of, rng=np.random.default_rng(99))
                cold_raw = relabel(
                    cold, made.registry, before=made.model, frame=known, held=held
                ).raw_churn
            made = done
            assert made.is_accepted
            churns.append(made.churn)
        held = made.model.predict(known, held)["top_id"]
    assert made.model.ids == ids
    assert len(made.registry.labels) == 4
    assert max(churns) < MOST_CHURN
    # Without what is carried over, numbers would be dealt anew.
    assert cold_raw > 0.4
    truth = theta.argmax(axis=1)
    assert held is not None
    sure = theta.max(axis=1) > 0.7
    people = held.index.str[1:].astype(int).to_numpy()
    assert adjusted_rand_score(truth[people][sure[people]], held[sure[people]]) > 0.9
