"""Scores from elsewhere: what is left out, and the same gates."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from connector.errors import InsufficientDataError, ModelError
from connector.models.propensity import PublishIf, Snapshot
from connector.models.propensity.external import ExternalModel, ExternalSpec, accept, judge
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.models.propensity.simulated import FIRST, WINDOW, now, snapshots

SPEC = ExternalSpec("vertex", WINDOW, publish_if=PublishIf(beats=("recency",), ece_at_most=0.05))
DAY = timedelta(days=1)


def export(*rows):
    return pd.DataFrame(rows, columns=["profile_id", "score", "scored_at"])


def past(power=1.0):
    """Snapshots whose external score is a power of the truth."""
    return [
        Snapshot(
            one.as_of,
            pd.DataFrame({"score": one.baselines["truth"] ** power}),
            one.label,
            one.baselines,
        )
        for one in snapshots()
    ]


def current(coverage=1.0):
    people = snapshots()[3].baselines["truth"]
    scored = people.iloc[: int(len(people) * coverage)]
    table = pd.DataFrame(
        {"profile_id": scored.index, "score": scored.to_numpy(), "scored_at": now(snapshots())}
    )
    return accept(SPEC, table, people=people.index, as_of=now(snapshots()))


def test_what_cannot_be_used_is_left_out_and_counted():
    ok = [(f"ok_{i}", 0.5, FIRST) for i in range(200)]
    rows = export(
        *ok,
        ("nan", None, FIRST),
        ("high", 1.5, FIRST),
        ("future", 0.5, FIRST + DAY),
        ("stale", 0.5, FIRST - 15 * DAY),
        ("no_time", 0.5, None),
        ("stranger", 0.5, FIRST),
        *[("newer", 0.1, FIRST - DAY), ("newer", 0.9, FIRST)],
        *[("twice", 0.3, FIRST), ("twice", 0.3, FIRST)],
        *[("torn", 0.3, FIRST), ("torn", 0.4, FIRST)],
    )
    people = pd.Index([*{r[0] for r in rows.to_numpy()} - {"stranger"}])
    for table in (rows, rows.iloc[::-1]):
        found = accept(SPEC, table, people=people, as_of=FIRST)
        assert found.refused == {
            "not_a_number": 1,
            "outside_the_scale": 1,
            "no_time": 1,
            "from_the_future": 1,
            "stale": 1,
            "unknown_person": 1,
            "older_duplicate": 1,
            "contradictory": 2,
        }
        assert set(found.scores.index) == {"newer", "twice", *(r[0] for r in ok)}
        assert found.scores.loc["newer", "score"] == 0.9
        assert found.coverage == pytest.approx(202 / len(people))


def test_another_scale_is_stated_not_guessed():
    rows = export(("a", 40, FIRST), ("b", 7, FIRST))
    with pytest.raises(ModelError, match="100 for per cent"):
        accept(SPEC, rows, people=pd.Index(["a", "b"]), as_of=FIRST)
    per_cent = ExternalSpec("h2o", WINDOW, scale=100)
    found = accept(per_cent, rows, people=pd.Index(["a", "b"]), as_of=FIRST)
    assert list(found.scores["score"]) == [0.4, 0.07]
    with pytest.raises(ModelError, match="scored_at"):
        accept(SPEC, rows.drop(columns="scored_at"), people=pd.Index([]), as_of=FIRST)


def test_good_scores_pass_the_gates_and_bent_ones_do_not():
    good = judge(SPEC, past(), current(), as_of=now(snapshots()))
    assert good.card.is_publishable
    bent = judge(SPEC, past(power=3.0), current(), as_of=now(snapshots()))
    assert [g.name for g in bent.card.gates if not g.passed] == ["ece_at_most"]
    assert bent.card.metrics["auc"] == pytest.approx(good.card.metrics["auc"])
    thin = judge(SPEC, past(), current(coverage=0.3), as_of=now(snapshots()))
    assert [g.name for g in thin.card.gates if not g.passed] == ["coverage_at_least"]


def test_scores_without_a_past_cannot_be_judged():
    with pytest.raises(InsufficientDataError, match="Keep the exports"):
        judge(SPEC, [], current(), as_of=now(snapshots()))


def test_answers_storage_and_sql_agree():
    one = judge(SPEC, past(), current(), as_of=now(snapshots()))
    scores = current().scores
    found = one.predict(scores)
    assert np.array_equal(found["probability"], scores["score"])
    assert found["percentile"].between(0, 100).all()
    back = ExternalModel.from_dict(json.loads(json.dumps(one.to_dict())))
    assert back.version == one.version
    pd.testing.assert_frame_equal(back.predict(scores), found)
    warehouse = DuckDBWarehouse()
    warehouse.load("features", pa.Table.from_pandas(scores.reset_index()))
    rows = {r[0]: r[2] for r in warehouse.rows(one.predict_sql())}
    assert rows == found["percentile"].to_dict()
