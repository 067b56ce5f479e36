"""Embeddings, texts, paths and missing values, from the file and the tables to a score."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from connector.config import InvalidConfigError
from connector.models import store
from connector.models.threads import one_thread
from connector.pipeline.project import Project
from connector.pipeline.understand.act import Understanding
from tests.pipeline import modelled_shop
from tests.pipeline.modelled_shop import AS_OF, CONFIG, Clock

GATES = "    publish_if: {positives_at_least: 100}\n"
PROPENSITY = (
    """\
  {name}:
    type: propensity
    predict: {{event: orders, at_least: 1}}
    predict_window: 30d
    algorithms: [logistic]
    validate: {{folds: 1}}
"""
    + GATES.replace("{", "{{").replace("}", "}}")
    + """    leakage_alarm_at: 0.99
"""
)
FEATURES = {
    "plain": "[recency_days]",
    "vector": "[recency_days, taste]",
    "vector_text": "[recency_days, taste_text]",
    "words": "[recency_days, preferred_channel, top_category]",
    "paths": "[recency_days, path_counts_90d]",
    "gaps": "[recency_days, aov_60d]",
    "everything": "",
}
OTHERS = """\
  groups:
    type: cluster
    features: [orders_365d, recency_days, aov_60d, taste, preferred_channel]
    k: 3
  worth:
    type: clv
    horizon: 90d
    algorithms: [two_stage_gbm]
    features: [orders_365d, aov_60d, taste, preferred_channel]
    publish_if: {backtest_windows: 1, total_error_at_most: 100%}
"""


def configuration(features: dict[str, str], others: str = "", extra: str = "") -> str:
    """The shop's file with these models instead of its own."""
    models = "models:\n"
    for name, inputs in features.items():
        models += PROPENSITY.format(name=name) + (f"    features: {inputs}\n" if inputs else "")
    mapped = (
        CONFIG[: CONFIG.index("models:\n")]
        .replace("created_at: created_at}", "created_at: created_at, taste: taste, words: words}")
        .replace("gross: total}", "gross: total, channel: channel}")
    )
    events = """\
  events:
    from: shop.events
    columns: {event_id: id, event: event, occurred_at: happened_at, customer_id: customer_id,
              session_id: session}
features:
  embeddings: {taste: taste, taste_text: words}
  custom:
    - {name: aov_60d, sql: avg(gross), from: orders, window: 60d, description: value of an order}
"""
    segments = 'segments: {all: {where: "lifetime_orders >= 0"}}\n'
    tail = CONFIG[CONFIG.index("strategies:") :].replace("segment: ready", "segment: all")
    return mapped + events + extra + models + others + segments + tail


def build(folder: Path) -> None:
    """The shop, with what tells of people's rates: embeddings, channels and ways on the site."""
    modelled_shop.build(folder)
    rng = np.random.default_rng(8)
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute("SET TimeZone = 'UTC'")
        rows = con.execute(
            "SELECT c.id, count(*), date_diff('day', min(c.created_at), ?) FROM customers c"
            " JOIN orders o ON o.customer_id = c.id GROUP BY c.id ORDER BY c.id",
            [AS_OF],
        ).fetchall()
        people = pd.DataFrame(rows, columns=["id", "n", "days"])
        rate = np.log(people["n"] / people["days"].clip(lower=30))
        rate = ((rate - rate.mean()) / rate.std()).to_numpy()
        vectors = np.column_stack([rng.normal(size=(2, len(rate))).T, rate])
        vectors[:, 2] += 0.3 * rng.normal(size=len(rate))
        lists = [None if rng.random() < 0.2 else v.round(4).tolist() for v in vectors]
        near = rate + 0.3 * rng.normal(size=len(rate))
        channel = np.select([near < -0.6, near < 0.6], ["pos", "web"], "app").astype(object)
        channel[rng.random(len(rate)) < 0.1] = None
        told = pd.DataFrame(
            {
                "id": people["id"],
                "words": [None if v is None else json.dumps(v) for v in lists],
                "channel": channel,
            }
        )
        con.register("told", told)
        con.execute(
            "CREATE OR REPLACE TABLE customers AS SELECT c.*, t.words, CAST(t.words AS DOUBLE[]) AS"
            " taste FROM customers c JOIN told t ON t.id = c.id"
        )
        con.execute(
            "CREATE OR REPLACE TABLE orders AS SELECT o.*, t.channel FROM orders o"
            " JOIN told t ON t.id = o.customer_id"
        )
        events = []
        for person, pace in zip(people["id"], np.exp(0.7 * rate), strict=True):
            for visit in range(int(rng.poisson(6 * pace))):
                start = AS_OF.replace(tzinfo=None) - pd.Timedelta(days=float(rng.uniform(0, 300)))
                steps = ["Products Searched", "Product Viewed", "Product Added"]
                for k, step in enumerate(steps[: rng.integers(2, 4)]):
                    at = start + pd.Timedelta(minutes=k)
                    events.append((f"e{len(events)}", step, at, person, f"{person}-{visit}"))
        made = pd.DataFrame(
            events, columns=["id", "event", "happened_at", "customer_id", "session"]
        )
        con.register("made", made)
        con.execute(
            "CREATE TABLE events AS SELECT * REPLACE (happened_at::TIMESTAMPTZ AS happened_at)"
            " FROM made"
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("inputs")
    build(made)
    return made


@contextmanager
def understood(folder: Path, text: str) -> Iterator[tuple[Project, Understanding]]:
    # A few hundred people are not worth a second thread, which would wait for the first.
    with (
        one_thread(),
        modelled_shop.open_project(folder, Clock(), text=text) as project,
        project.workspace() as warehouse,
    ):
        yield project, project.understand(warehouse)


@pytest.fixture(scope="module")
def found(folder: Path) -> Iterator[Understanding]:
    with understood(folder, configuration(FEATURES, OTHERS)) as (_, understanding):
        assert set(understanding.scores.models) == {*FEATURES, "groups", "worth"}
        yield understanding


def auc(found: Understanding, model: str) -> float:
    return found.scores.cards[model].metrics["auc"]


def test_an_embedding_lifts_the_score_in_either_form(found: Understanding) -> None:
    model = found.scores.models["vector"]
    assert model.inputs.names[1:4] == ("taste 1", "taste 2", "taste 3")
    assert auc(found, "vector") > auc(found, "plain") + 0.03
    assert auc(found, "vector_text") == auc(found, "vector")
    # The component that tells something weighs most.
    weights = np.abs(model.scorer.weights[1:4])
    assert weights[2] > 3 * max(weights[:2])


def test_a_model_that_names_nothing_reads_embeddings_too(found: Understanding) -> None:
    inputs = found.scores.models["everything"].inputs
    assert "taste 3" in inputs.names
    assert inputs.left_out["taste_text"] == "it is the same as taste for everybody"


def test_words_and_paths_lift_the_score(found: Understanding) -> None:
    names = found.scores.models["words"].inputs.names
    assert {"preferred_channel is app", "preferred_channel is (unknown)"} <= set(names)
    assert {"top_category is seeds", "top_category is novels"} <= set(names)
    assert auc(found, "words") > auc(found, "plain") + 0.015
    paths = found.scores.models["paths"].inputs.names
    assert paths[1:3] == (
        "path_counts_90d: search > product_view",
        "path_counts_90d: product_view > cart_add",
    )
    assert auc(found, "paths") > auc(found, "plain") + 0.015


def test_parts_add_up_and_reasons_name_words(found: Understanding) -> None:
    for name in ("words", "paths", "vector", "everything"):
        model = found.scores.models[name]
        frame = found.context.frame(model.inputs.features)
        parts, scored = model.explain(frame), model.predict(frame)
        rise = scored["probability"] - model.reference_probability
        assert np.abs(parts.sum(axis=1) - rise).max() < 1e-12
        assert list(parts.columns) == list(model.inputs.features)
    told = " ".join(_reasons(found, "words"))
    assert "channel of most orders: app (+" in told
    assert "channel of most orders: unknown (" in told
    assert "commonest pairs of steps of the last 90 days: search > product_view (" in " ".join(
        _reasons(found, "paths")
    )
    assert "embedding taste of the customer: known (" in " ".join(_reasons(found, "vector"))


def _reasons(found: Understanding, model: str) -> list[str]:
    rows = found.warehouse.rows(f'SELECT s."{model}.reasons" AS r FROM scored AS s')
    return [text for (text,) in rows if text]


def test_linear_scores_are_the_same_in_sql(found: Understanding) -> None:
    for name in ("words", "paths", "gaps"):
        sql = found.scores.models[name].predict_sql()
        assert sql is not None
        rows = found.warehouse.rows(
            f'SELECT q.probability AS a, s."{name}.probability" AS b, q.percentile AS c,'
            f' s."{name}.percentile" AS d FROM ({sql}) AS q JOIN scored AS s'
            " ON s.profile_id = q.profile_id"
        )
        assert len(rows) == 900
        assert all(abs(a - b) < 1e-9 and c == d for a, b, c, d in rows)
    assert found.scores.models["vector"].predict_sql() is None


def test_clusters_and_values_read_the_same_inputs(found: Understanding) -> None:
    groups, worth = found.scores.models["groups"], found.scores.models["worth"].model
    for inputs in (groups.scaler.inputs, worth.inputs):
        assert {"taste 3", "taste is missing", "preferred_channel is app"} <= set(inputs.names)
        assert {"aov_60d is missing", "preferred_channel is (unknown)"} <= set(inputs.names)
    for name in ("groups", "worth", "words", "paths", "vector"):
        model = found.scores.models[name]
        assert store.loads(store.dumps(model)).version == model.version
    # No one is told by their own word: what is stored are words that ten people share.
    assert "canary" not in store.dumps(groups) + store.dumps(found.scores.models["worth"])


def test_the_rule_for_missing_values_reaches_every_kind_of_model(
    folder: Path, found: Understanding
) -> None:
    rule = (
        'quality: {missing: {numeric: median, categorical: "nobody knows",'
        " drop_feature_above: 30%}}\n"
    )
    text = configuration({"gaps": FEATURES["gaps"], "words": FEATURES["words"]}, OTHERS, rule)
    assert "aov_60d is missing" in found.scores.models["gaps"].inputs.names
    with understood(folder, text) as (_, other):
        models = other.scores.models
        assert models["gaps"].inputs.names == ("recency_days",)
        assert "aov_60d" in models["gaps"].inputs.left_out
        kinds = {
            "words": models["words"].inputs,
            "groups": models["groups"].scaler.inputs,
            "worth": models["worth"].model.inputs,
        }
        for name, inputs in kinds.items():
            assert not [c for c in inputs.names if c.endswith(" is missing")], name
            assert "preferred_channel is nobody knows" in inputs.names, name
            assert "aov_60d" not in inputs.features, name


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("[recency_days, first_order]", "first_order is no number, text or embedding (TIMESTAMP)"),
        (
            "[recency_days, top_category]\n    publish_if: {beats: [top_category]}",
            "top_category is no number (VARCHAR)",
        ),
    ],
)
def test_what_is_no_input_is_told_once_with_its_line(folder: Path, inputs: str, said: str) -> None:
    moment = "    - {name: first_order, sql: min(ordered_at), from: orders}\n"
    text = configuration({"odd": inputs}).replace("  custom:\n", "  custom:\n" + moment)
    # A model's own gates take the place of the common ones.
    text = text if "beats" not in inputs else text.replace(GATES, "", 1)
    with pytest.raises(InvalidConfigError) as caught, understood(folder, text):
        pass
    assert said in str(caught.value)
    assert str(caught.value).count("models.odd.") == 1


def test_an_embedding_that_is_made_anew_stays_out_of_training(folder: Path) -> None:
    """Today's vector knows what people did since; past instants must not have it."""
    text = configuration({"odd": "[recency_days, taste]"}).replace(
        "taste: taste, words: words}", "taste: taste, words: words}\n    mutable: [taste]"
    )
    with (
        pytest.raises(InvalidConfigError, match="taste reads a column that changes in place"),
        understood(folder, text),
    ):
        pass
