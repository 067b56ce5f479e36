"""Columns that change in place: what reads them is no input of a model."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.config import Config, InvalidConfigError, parse_config
from connector.errors import ConfigError
from connector.features.build import build_features
from connector.features.inputs import allowed_inputs
from connector.pipeline import specs
from connector.pipeline.understand import featuring
from connector.profiles.orders import clean_orders
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.config.shop import ENVIRON
from tests.features.world import order, prepare, shop
from tests.pipeline.test_featuring import TEXT
from tests.profiles.tables import AS_OF

ORDERS = next(line for line in TEXT.splitlines() if "columns: {order_id" in line)
READS_IT = {"given_back", "twice_back", "return_rate"}
WHOLE = """\
features:
  packs: [rfm, orders]
  custom:
    - {name: given_back, sql: "sum(refund)", from: orders, window: 365d}
    - {name: twice_back, sql: "given_back * 2", from: features}
    - {name: baskets, sql: "count(*)", from: orders, window: 365d}
models:
  again: {type: propensity, predict: {event: orders}, predict_window: 30d}
"""


def configured(mutable: str, *, extra: str = "") -> Config:
    orders = ORDERS.rstrip("}") + ", refund: refund, status: status}"
    text = TEXT.replace(ORDERS, f"{orders}\n    mutable: [{mutable}]{extra}")
    return parse_config(text + WHOLE, ENVIRON, name="shop.yaml")


def at(config: Config, refund: float) -> tuple[dict[str, object], frozenset[str]]:
    """Features of one person as of an instant before the refund was booked, and the changing."""
    then = AS_OF - timedelta(days=45)
    rows = [order(i, 10 * i) | {"refund": refund if i == 6 else 0} for i in range(1, 9)]
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, shop(orders=rows))
        clean_orders(warehouse, specs.orders_spec(config), as_of=AS_OF)
        chosen = featuring.choose_features(config, warehouse)
        build_features(warehouse, chosen.packs, as_of=then)
        columns = warehouse.columns("features")
        (row,) = warehouse.rows("SELECT * FROM features AS f WHERE f.lifetime_orders > 0")
    return dict(zip(columns, row, strict=True)), featuring.input_rules(config, chosen.packs).mutable


def test_what_a_later_refund_moves_at_an_earlier_instant_is_exactly_what_is_shut() -> None:
    """The law by doing it: book a refund into an old row and look what the past says."""
    config = configured("refund")
    before, shut = at(config, 0)
    after, _ = at(config, 7)
    moved = {name for name in before if before[name] != after[name]}
    assert {"given_back", "twice_back", "revenue_90d", "monetary"} <= moved
    assert moved <= shut
    # What is shut without having moved reads the column, but not of this order or by this much.
    kept = set(before) - shut
    assert {"orders_90d", "recency_days", "baskets", "lifetime_orders"} <= kept


def test_nothing_is_shut_where_nothing_is_declared() -> None:
    config = configured("")
    assert at(config, 0)[1] == frozenset()


def test_a_formula_that_does_not_read_it_leaves_the_revenue() -> None:
    config = configured("refund", extra="\n    net_revenue: gross")
    before, shut = at(config, 0)
    after, _ = at(config, 7)
    assert {name for name in before if before[name] != after[name]} == READS_IT
    assert shut >= READS_IT
    assert not {"revenue_90d", "monetary"} & shut


def test_models_read_the_others_by_default_and_naming_one_says_why() -> None:
    config = configured("refund")
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, shop(orders=[order(1, 10)]))
        chosen = featuring.choose_features(config, warehouse)
    rules = featuring.input_rules(config, chosen.packs)
    known = [meta.name for meta in chosen.metas]
    default = allowed_inputs((), known, rules)
    assert "orders_90d" in default
    assert not rules.mutable & set(default)
    with pytest.raises(ConfigError, match="revenue_90d reads a column that changes in place"):
        allowed_inputs(("orders_90d", "revenue_90d"), known, rules)


@pytest.mark.parametrize(
    ("mutable", "on_lines", "shut"),
    [
        ("", "", set()),
        ("", "unit_cost", {"earned"}),
        ("refund", "", {"earned", "monetary", "revenue_90d"}),
    ],
)
def test_a_margin_of_the_lines_changes_with_their_costs_and_with_the_revenue(
    mutable: str, on_lines: str, shut: set[str]
) -> None:
    lines = (
        "  order_items: {from: shop.items, columns: {order_id: o, product_id: p, quantity: q,"
        f" price: x, unit_cost: c}}, mutable: [{on_lines}]}}\n"
    )
    orders = ORDERS.rstrip("}") + f", refund: refund, status: status}}\n    mutable: [{mutable}]"
    text = TEXT.replace(ORDERS, orders).replace("consent:\n", lines + "consent:\n", 1)
    earned = '    - {name: earned, sql: "sum(margin)", from: orders, window: 365d}\n'
    whole = WHOLE.replace("models:\n", earned + "models:\n")
    config = parse_config(text + whole, ENVIRON, name="shop.yaml")
    found = at(config, 0)[1]
    assert shut <= found
    assert bool(shut) == bool(found)
    assert "baskets" not in found


def test_a_cancellation_in_place_is_told() -> None:
    assert featuring.mutable_findings(configured("refund")) == []
    told = configured("refund, status", extra="\n    cancelled: \"status = 'cancelled'\"")
    (note,) = featuring.mutable_findings(told)
    assert "cancelled later" in note.message


@pytest.mark.parametrize(
    ("mutable", "said"),
    [
        ("refnd", "tables.orders.mutable[0]: no column of tables.orders.columns is named 'refnd'"),
        ("ordered_at", "tables.orders.mutable[0]: ordered_at says which order it is"),
    ],
)
def test_what_cannot_be_mutable_is_named(mutable: str, said: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        configured(mutable)
    assert said in str(caught.value)
