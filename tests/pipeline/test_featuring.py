"""Which features a run computes for a file, and what it warns of."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from connector.config import InvalidConfigError, parse_config
from connector.domain import Level
from connector.features.build import build_features
from connector.features.catalogue import BASE
from connector.features.demographics import demographics_pack
from connector.models.groups import DEFAULT_GROUPS
from connector.models.rfm import RfmSpec
from connector.pipeline.understand import featuring, segmenting
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.config.shop import ENVIRON, MINIMAL
from tests.features.world import by_customer, event, order, prepare, properties, shop
from tests.profiles.tables import AS_OF

EVENTS = """\
  events:
    from: shop.events
    columns: {event_id: id, event: name, occurred_at: at, customer_id: who, properties: props}
"""
TEXT = MINIMAL.replace("consent:\n", EVENTS + "consent:\n", 1)
BASICS = {name for pack in BASE for name in pack.names}
SHOP = shop(
    orders=[order(1, 10), order(2, 40)],
    events=[event(1, "view_item", 1, properties=properties(product_id="a", category="LAMPS"))],
)
CUSTOM = """\
features:
  custom:
    - {name: gap_ratio, sql: "days_since_last_order / nullif(doubled, 0)", from: features}
    - {name: doubled, sql: "median_days_between_orders * 2", from: features}
    - {name: skus_7d, sql: "count(distinct properties.product_id)", from: events, window: 7d}
    - {name: orders_30d, sql: "count(*) * 10", from: orders, window: 30d}
"""


@pytest.fixture(scope="module")
def warehouse():
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, SHOP)
        yield warehouse


def chosen(warehouse, text, base=TEXT):
    return featuring.choose_features(parse_config(base + text, ENVIRON), warehouse)


def names(found):
    return {meta.name for meta in found.metas}


def test_a_plain_file_computes_what_it_always_did(warehouse):
    found = chosen(warehouse, "", MINIMAL)
    assert names(found) == BASICS
    assert found.findings == ()


def test_a_feature_is_computed_because_a_segment_names_it(warehouse):
    text = MINIMAL.replace(
        "segments:\n",
        'segments:\n  idle: {where: "days_since_last_order > 3 * mean_days_between_orders"}\n',
    )
    assert names(chosen(warehouse, "", text)) == BASICS | {
        *("days_since_last_order", "mean_days_between_orders")
    }


def test_a_pack_that_is_named_is_computed_and_its_levels_when_asked(warehouse):
    found = names(chosen(warehouse, "features: {packs: [rfm, browse]}\n"))
    assert "product_views_7d" in found
    assert not {"sessions_30d", "opens_30d"} & found


def test_what_is_off_is_a_notice_where_the_file_speaks_of_it(warehouse):
    (one,) = chosen(warehouse, "features: {packs: [support]}\n").findings
    assert one.level is Level.NOTE
    assert "pack support: tables.tickets is not mapped" in one.message
    text = TEXT.replace("segments:\n", 'segments:\n  mad: {where: "open_support_tickets > 0"}\n')
    (two,) = chosen(warehouse, "", text).findings
    assert two.message.endswith(one.message.partition(": ")[2])


def test_custom_features_read_tables_and_each_other(warehouse):
    found = chosen(warehouse, CUSTOM)
    build_features(warehouse, found.packs, as_of=AS_OF)
    row = by_customer(warehouse)["1"]
    assert row["doubled"] == 60
    assert row["gap_ratio"] == pytest.approx(1 / 6, abs=1e-6)
    assert row["skus_7d"] == 1
    assert (row["orders_30d"], row["orders_90d"]) == (10, 2)


def test_a_custom_feature_that_cannot_be_read_names_its_line(warehouse):
    text = TEXT + 'features:\n  custom:\n    - {name: x, sql: "sum(gros)", from: orders}\n'
    line = text[: text.index("sum(gros)")].count("\n") + 1
    with pytest.raises(InvalidConfigError) as caught:
        featuring.choose_features(parse_config(text, ENVIRON, name="shop.yaml"), warehouse)
    assert str(caught.value).startswith(f"shop.yaml:{line}: features.custom[0].sql: x: sql:")
    assert "there is no column gros" in str(caught.value)


def test_tables_are_cleaned_as_the_file_says():
    text = TEXT + "features: {words: {product_view: view_item}, categories: {lamps: lights}}\n"
    config = parse_config(text, ENVIRON)
    spec = featuring.events_spec(config)
    assert spec.words["product_view"] == ("view_item",)
    assert spec.words["cart_add"] == ("Product Added",)
    assert {"events.product_id", "events.session_id", "orders.gross"} <= featuring.mapped(config)
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, SHOP)
        steps = featuring.clean_behaviour(config, warehouse, as_of=AS_OF)
        assert [step.table for step in steps] == ["products", "order_items", "events"]
        assert warehouse.rows(
            "SELECT e.meaning, e.category, e.product_id FROM clean_events AS e"
        ) == [("product_view", "lights", "a")]


def test_rules_for_inputs_come_from_the_file(warehouse):
    text = """\
features: {packs: [demographics], deny: [weekend_share], report_only: [orders_30d]}
"""
    base = TEXT.replace("email: email}", "email: email, birth_year: born}", 1)
    config = parse_config(base + text, ENVIRON)
    rules = featuring.input_rules(config, featuring.choose_features(config, warehouse).packs)
    assert rules.deny == {"weekend_share"}
    assert rules.report_only == {"orders_30d", "age_years"}


def test_earlier_instants_see_what_was_known_then():
    """Training reads the relations of today as of an earlier day; both roads must meet."""
    then = AS_OF - timedelta(days=45)
    text = TEXT.replace(
        "segments:\n",
        'segments:\n  idle: {where: "mean_days_between_orders > 1 and sessions_90d > 0"}\n',
    )
    with DuckDBWarehouse() as warehouse:
        prepare(warehouse, SHOP | {"orders": [order(i, 10 * i) for i in range(1, 9)]})
        found = chosen(warehouse, "", text)
        build_features(warehouse, found.packs, as_of=AS_OF)
        build_features(warehouse, found.packs, as_of=then, output="features_then")
        today = by_customer(warehouse)["1"]
        columns = warehouse.columns("features_then")
        (row,) = warehouse.rows("SELECT * FROM features_then AS f")
    earlier = dict(zip(columns, row, strict=True))
    assert (today["lifetime_orders"], earlier["lifetime_orders"]) == (8, 4)
    assert earlier["mean_days_between_orders"] == today["mean_days_between_orders"] == 10
    assert (today["sessions_90d"], earlier["sessions_90d"]) == (0, 0)


def test_no_segment_is_formed_by_what_may_only_describe():
    rule = MINIMAL.replace("{from: rfm.champions}", '{where: "orders_30d >= 2 and age_years > 60"}')
    columns = {"profile_id": "VARCHAR", "orders_30d": "BIGINT", "age_years": "BIGINT"}
    spec = RfmSpec(groups=DEFAULT_GROUPS)
    free = parse_config(rule, ENVIRON, name="shop.yaml")
    assert [one.name for one in segmenting.compiled(free, columns, spec, {})]
    kept = parse_config(rule + "features: {report_only: [age_years]}\n", ENVIRON, name="shop.yaml")
    with pytest.raises(InvalidConfigError, match=r"where: age_years may describe a segment, but"):
        segmenting.compiled(kept, columns, spec, {})


def test_a_segment_that_stands_in_for_an_attribute_is_told():
    rng = np.random.default_rng(2)
    n = 3_000
    gender = rng.choice(["f", "m"], n)
    ids = [f"p{i}" for i in range(n)]
    with DuckDBWarehouse() as warehouse:
        warehouse.load("profiles", pa.table({"profile_id": ids, "customer_id": ids}))
        warehouse.load("clean_customers", pa.table({"customer_id": ids, "gender": gender}))
        scores = rng.normal(size=n)
        labels = rng.choice(["a", "b"], n)
        warehouse.load("scored", pa.table({"profile_id": ids, "m.score": scores, "m.name": labels}))
        members = [i for i, g in zip(ids, gender, strict=True) if g == "m"]
        segments = ["men"] * len(members) + ["any"] * 900
        warehouse.load(
            "segment_members", pa.table({"segment": segments, "profile_id": members + ids[:900]})
        )
        config = parse_config(TEXT, ENVIRON)
        outcomes = ["m.score", "m.name"]
        (told,) = featuring.proxy_findings(config, warehouse, outcomes, ["men", "any"])
        unlisted = parse_config(TEXT + "features: {deny: [], report_only: []}\n", ENVIRON)
        assert featuring.proxy_findings(unlisted, warehouse, outcomes, ["men", "any"]) == []
        # What a person is is looked at unasked; a file that names attributes means those.
        warehouse.load("clean_customers", pa.table({"customer_id": ids, "country": gender}))
        (unasked,) = featuring.proxy_findings(config, warehouse, outcomes, ["men", "any"])
        assert "stands in for country" in unasked.message
        assert featuring.proxy_findings(unlisted, warehouse, outcomes, ["men", "any"]) == []
    assert told.level is Level.WARNING
    assert told.subject == "segments.men"
    assert "stands in for gender" in told.message


def test_attributes_only_describe_unless_they_are_allowed():
    packs = [demographics_pack()]
    closed = featuring.input_rules(parse_config(MINIMAL, ENVIRON), packs)
    text = MINIMAL + "features: {allow: [country]}\n"
    opened = featuring.input_rules(parse_config(text, ENVIRON), packs)
    assert closed.shut - opened.shut == {"country"}
    assert {"city", "age_years"} <= opened.shut
