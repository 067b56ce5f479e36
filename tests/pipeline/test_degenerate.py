"""Shops that no model can learn from: each is told why, and no campaign sees a number that is none.

Every kind of model is configured, segments and properties read their scores, and the whole road to
a plan is walked.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.errors import ConfigError, InsufficientDataError, SourceError
from connector.plan.document import Plan
from tests.pipeline.modelled_shop import AS_OF, CONFIG, MODELS, Clock, open_project

NOW = AS_OF.replace(tzinfo=None)
CATEGORIES = ["pans", "seeds", "novels", "lamps", "pots"]
LEARNING = """\
models:
  buys:
    type: propensity
    predict: {event: orders, at_least: 1}
    predict_window: 30d
    features: [recency_days, orders_90d, orders_365d, revenue_365d]
    algorithms: [logistic]
    validate: {folds: 1}
    publish_if: {positives_at_least: 100, auc_at_least: 0.55}
  clv:
    type: clv
    horizon: 90d
    algorithms: [mbg_nbd_gamma_gamma, pareto_nbd_gamma_gamma, two_stage_gbm]
    features: [recency_days, orders_365d, revenue_365d]
    outputs: [expected, low_80, high_80, p_alive, p_no_purchase, expected_orders, next_order_date,
              percentile, tier]
  personas:
    type: cluster
    features: [orders_365d, recency_days, revenue_365d]
    k: 3
  affinity: {type: lda, level: category, topics: 3, min_baskets: 1}
  next: {type: association, level: category, min_support: 5, min_lift: 1.1, affinity: affinity}
"""
PROPERTIES = (
    "{g: rfm.group, p: buys.probability, v: clv.expected, low: clv.low_80, high: clv.high_80,"
    " alive: clv.p_alive, n: clv.expected_orders, at: clv.next_order_date, t: clv.tier,"
    " c: personas.name, a: affinity.top_name, r: next.top5}"
)
TEXT = (
    CONFIG.replace(MODELS, LEARNING)
    .replace("purchase_30d.percentile", "buys.percentile")
    .replace("{g: rfm.group}", PROPERTIES)
    .replace("segment: ready", "segment: all")
    .replace("segments:\n", 'segments:\n  all: {where: "lifetime_revenue > -1000000"}\n')
)
Rows = list[tuple[int, float, float, list[str]]]
"""Orders: customer, days ago, total, categories."""


def three(_rng: np.random.Generator) -> Rows:
    return [(i, 400.0 - 90 * k, 20.0 + i, ["pans", "seeds"]) for i in range(3) for k in range(4)]


def one_time(rng: np.random.Generator) -> Rows:
    return [(i, float(rng.uniform(1, 700)), 30.0, ["pans"]) for i in range(200)]


def all_equal(_rng: np.random.Generator) -> Rows:
    return [(i, 650.0 - 60 * k, 25.0, ["pans", "seeds"]) for i in range(150) for k in range(10)]


def usual(rng: np.random.Generator, n: int = 250) -> Rows:
    rows: Rows = []
    for i in range(n):
        age, rate = float(rng.uniform(200, 720)), float(rng.gamma(1.0, 0.012)) + 0.002
        times = rng.uniform(0, age, rng.poisson(rate * age))
        for at in [age, *times]:
            chosen = rng.choice(CATEGORIES, int(rng.integers(1, 4)), replace=False)
            rows.append((i, float(at), round(float(rng.lognormal(3, 0.5)), 2), list(chosen)))
    return rows


def bot(rng: np.random.Generator) -> Rows:
    ago = rng.uniform(0, 700, 5_000)
    return [*usual(rng), *((9_999, float(at), 9.0, ["lamps"]) for at in ago)]


def negative(rng: np.random.Generator) -> Rows:
    """Every third row takes money off; some people have nothing but such rows."""
    return [
        (who, at, -total if i % 3 == 0 or who < 20 else total, held)
        for i, (who, at, total, held) in enumerate(usual(rng, 150))
    ]


def nothing_worth(rng: np.random.Generator) -> Rows:
    return [(who, at, 0.0, held) for who, at, _, held in usual(rng, 150)]


def single_class(rng: np.random.Generator) -> Rows:
    """Everybody buys every week."""
    return [
        (i, 400.0 - 7 * k - float(rng.uniform(0, 2)), 20.0, [CATEGORIES[(i + k) % 5], "pots"])
        for i in range(60)
        for k in range(57)
    ]


def write(folder: Path, rows: Rows) -> None:
    """``shop.duckdb`` of these orders, one line a category."""
    people = sorted({who for who, *_ in rows})
    names = [f"o{i:05d}" for i in range(len(rows))]
    frames = {
        "customers": pd.DataFrame(
            {
                "id": [f"c{i}" for i in people],
                "email": [f"canary{i}@mail.example" for i in people],
                "created_at": NOW - timedelta(days=800),
            }
        ),
        "orders": pd.DataFrame(
            {
                "id": names,
                "customer_id": [f"c{who}" for who, *_ in rows],
                "ordered_at": [NOW - timedelta(seconds=round(86_400 * at)) for _, at, *_ in rows],
                "total": [total for _, _, total, _ in rows],
            }
        ),
        "items": pd.DataFrame(
            [
                (name, category, 1, total / len(held))
                for name, (_, _, total, held) in zip(names, rows, strict=True)
                for category in held
            ],
            columns=["order_id", "product_id", "quantity", "price"],
        ),
        "products": pd.DataFrame({"id": CATEGORIES, "name": CATEGORIES, "category": CATEGORIES}),
    }
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute("SET TimeZone = 'UTC'")
        for name, frame in frames.items():
            con.register("incoming", frame)
            picks = ", ".join(
                f"{c}::TIMESTAMPTZ AS {c}" if c.endswith("_at") else c for c in frame.columns
            )
            con.execute(f"CREATE TABLE {name} AS SELECT {picks} FROM incoming")
            con.unregister("incoming")


@dataclass
class Walked:
    """A plan, what it published and what it told."""

    plan: Plan
    scores: pd.DataFrame
    told: dict[str, list[str]]

    def says(self, model: str) -> str:
        return " ".join(self.told.get(f"models.{model}", ()))

    def known(self, column: str) -> int:
        return int(self.scores[column].notna().sum())


def walk(folder: Path, rows: Rows) -> Walked:
    write(folder, rows)
    with contextlib.closing(open_project(folder, Clock(), text=TEXT)) as project:
        plan = project.plan()
    published = plan.folder / "published"
    told: dict[str, list[str]] = {}
    document = json.loads((published / "understanding.json").read_text(encoding="utf-8"))
    for finding in document["findings"]:
        told.setdefault(finding["subject"], []).append(finding["message"])
    return Walked(plan, pd.read_parquet(published / "scores.parquet"), told)


def numbers(table: pa.Table) -> Iterator[tuple[str, float]]:
    """Every number that is in a table, those within nested and JSON values too."""

    def within(name: str, value: object) -> Iterator[tuple[str, float]]:
        if isinstance(value, float):
            yield name, value
        elif isinstance(value, dict):
            for part in value.values():
                yield from within(name, part)
        elif isinstance(value, list | tuple):
            for part in value:
                yield from within(name, part)
        elif isinstance(value, str) and value[:1] in "{[":
            with contextlib.suppress(ValueError):
                yield from within(name, json.loads(value))

    for name in table.column_names:
        for value in table[name].to_pylist():
            yield from within(name, value)


@dataclass(frozen=True)
class Case:
    """A shop and what must be told of it.

    Attributes:
        rows: Its orders.
        why: Model -> what the reason must say; none of them is published.
        rule: What must be said where a rule stands in for the value model; empty where none does.
    """

    rows: Callable[[np.random.Generator], Rows]
    why: dict[str, str]
    rule: str = ""


FEW = {"personas": "200 are needed", "affinity": "200 are needed"}
CASES = (
    Case(
        three,
        FEW
        | {
            "next": "12 baskets, 500 are needed",
            "buys": "each must be 100 or more",
            "clv": "12 purchases worth 252.00 in all do not tell what a purchase is worth",
        },
    ),
    Case(
        one_time,
        {"affinity": "sees 1 item", "next": "200 baskets", "buys": "each must be 100 or more"},
        rule="Only 0 customers bought again; 50 are needed",
    ),
    Case(
        all_equal,
        {
            "personas": "tells people apart",
            "affinity": "200 are needed",
            "next": "Beats best sellers",
            "buys": "saw 0 people who did it",
        },
        rule="do not show the variety between customers",
    ),
    Case(
        bot,
        {
            "affinity": "Beats best sellers",
            "next": "Beats best sellers",
            "clv": "last year's spend",
        },
    ),
    Case(negative, FEW | {"buys": "each must be 100 or more"}, rule="ran to its bound"),
    Case(
        nothing_worth,
        FEW | {"buys": "each must be 100 or more", "clv": "worth 0.00 in all"},
    ),
    Case(
        single_class,
        FEW | {"buys": "60 people who did it within 30 days and 0 who did not"},
        rule="do not show the variety between customers",
    ),
)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.rows.__name__)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Case, Walked]:
    rows = request.param.rows(np.random.default_rng(7))
    return request.param, walk(tmp_path_factory.mktemp("shop"), rows)


def test_no_number_is_nan_or_infinite(case: tuple[Case, Walked]) -> None:
    """NULL stands where nothing is known; NaN and infinity stand nowhere."""
    _, walked = case
    published = walked.plan.folder / "published"
    tables = [*published.glob("*.parquet"), *walked.plan.folder.glob("*.parquet")]
    assert walked.plan.changes_path in tables
    assert len(tables) > 3
    odd = {
        (path.name, column)
        for path in tables
        for column, value in numbers(pq.read_table(path))
        if not math.isfinite(value)
    }
    assert odd == set()
    for path in published.glob("*.json"):
        # JSON has no word for them, though Python would write one.
        json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_what_cannot_be_learned_is_told_and_its_columns_hold_nothing(
    case: tuple[Case, Walked],
) -> None:
    this, walked = case
    for model, why in this.why.items():
        told = walked.says(model)
        assert why in told
        assert "Its columns hold nothing meanwhile" in told
        own = walked.scores.filter(regex=rf"^{model}\.")
        assert own.shape[1] > 0
        assert own.notna().to_numpy().sum() == 0
    people = walked.known("profile_id")
    for model, column in (("buys", "probability"), ("personas", "name")):
        assert walked.known(f"{model}.{column}") == (0 if model in this.why else people)
    assert not [told for told in walked.told.values() if "bug" in " ".join(told)]


def test_a_rule_that_stands_in_for_a_value_model_says_so(case: tuple[Case, Walked]) -> None:
    this, walked = case
    standing = {
        one["name"]: one
        for one in json.loads(
            (walked.plan.folder / "published" / "models.json").read_text(encoding="utf-8")
        )
    }
    card = standing["clv"]["card"]
    if not this.rule:
        assert card is None or not card["rule"]
        return
    assert this.rule in card["rule"]
    assert card["rule"] in walked.told["models.clv"]
    assert card["algorithm"] == "pooled_rule"
    # Everybody has a value of it, and what the rule does not know is left out.
    buyers = walked.scores["lifetime_orders"] > 0
    known = walked.scores[["clv.expected", "clv.low_80", "clv.high_80", "clv.expected_orders"]]
    assert (known.notna().all(axis=1) == buyers).all()
    assert (known >= 0).to_numpy()[buyers].all()
    assert walked.known("clv.p_alive") == 0
    if this.rows is all_equal:
        # By hand: (x + rho c) / (T + c) orders a day, c the mean age, rho the pooled rate; ten
        # orders from 650 days before 6 in the morning on, 60 days apart, are 649 whole days old.
        rate = (9 + 9 / 649 * 649) / (649 + 649)
        orders = walked.scores["clv.expected_orders"].tolist()
        assert orders == pytest.approx([90 * rate] * 150, rel=1e-3)


def test_a_shop_of_returns_alone_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [(i, 30.0, -9.0, ["pans"]) for i in range(40)])
    with (
        contextlib.closing(open_project(tmp_path, Clock(), text=TEXT)) as project,
        pytest.raises(InsufficientDataError, match="Check that orders fall into"),
    ):
        project.plan()


def test_a_table_that_is_missing_is_named(tmp_path: Path) -> None:
    write(tmp_path, three(np.random.default_rng(0)))
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute("DROP TABLE items")
    with (
        contextlib.closing(open_project(tmp_path, Clock(), text=TEXT)) as project,
        pytest.raises(SourceError, match=r"order_items comes from 'shop\.items', which does not"),
    ):
        project.plan()


def test_a_feature_whose_table_is_not_mapped_is_named(tmp_path: Path) -> None:
    write(tmp_path, three(np.random.default_rng(0)))
    text = TEXT.replace("features: [orders_365d, recency_days, rev", "features: [sessions_90d, rev")
    with (
        contextlib.closing(open_project(tmp_path, Clock(), text=text)) as project,
        pytest.raises(ConfigError, match=r"models\.personas\.features.*sessions_90d"),
    ):
        project.plan()
