"""The block ``features``: what it means, and what is said of a wrong one."""

from datetime import timedelta

import pytest

from connector.config import parse_config
from connector.config.features import DENIED
from tests.config.shop import ENVIRON, MINIMAL, message_of

EVENTS = """\
  events:
    from: shop.events
    columns: {event_id: id, event: name, occurred_at: at, customer_id: who}
"""
TABLES = MINIMAL.replace("consent:\n", EVENTS + "consent:\n", 1).replace(
    "{customer_id: id, email: email}", "{customer_id: id, email: email, taste_vector: vector}", 1
)
PERSONAS = """\
models:
  personas: {type: cluster, features: [%s]}
"""
TARGET = """\
features:
  history: 3y
  packs: [rfm, orders, browse, email_engagement, category_share, support, channel_mix, demographics]
  custom:
    - {name: promo_share_365d, sql: "sum(discount > 0) / count(*)", from: orders,
       window: 365d, description: "share of orders bought on promotion (deal hunters)"}
    - {name: distinct_skus_viewed_7d, sql: "count(distinct properties.product_id)",
       from: events, window: 7d, where: "event = 'Product Viewed'"}
    - {name: email_open_velocity, sql: "opens_30d / nullif(opens_90d / 3, 0)", from: features}
  deny: [gender, income, occupation, religion, health]     # never a model input
  report_only: [birth_year, country, city]
"""


def read(text):
    return parse_config(TABLES + text, ENVIRON, name="shop.yaml").features


def said(text):
    return message_of(TABLES + text)


def test_a_file_without_the_block_has_its_defaults():
    features = parse_config(MINIMAL, ENVIRON).features
    assert features.packs is None
    assert features.history is None
    assert features.deny == DENIED
    assert features.interest_half_life == timedelta(days=14)


def test_the_whole_block_is_read():
    features = read(
        TARGET
        + "  embeddings: {taste: taste_vector}\n"
        + "  words: {product_view: [view_item, Produkt angesehen]}\n"
        + "  categories: {sofas: couches}\n  category_level: subcategory\n"
        + "  interest_half_life: 4w\n"
    )
    assert features.history == timedelta(days=3 * 365)
    assert features.packs[-1] == "demographics"
    share, skus, velocity = features.custom
    assert (share.source, share.window) == ("orders", timedelta(days=365))
    assert skus.where == "event = 'Product Viewed'"
    assert (velocity.source, velocity.window, velocity.where) == ("features", None, None)
    assert features.report_only == ("birth_year", "country", "city")
    assert features.embeddings == {"taste": "taste_vector"}
    assert features.words == {"product_view": ("view_item", "Produkt angesehen")}
    assert features.interest_half_life == timedelta(days=28)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("packs: [order]", "found 'order'; allowed: a pack: rfm, orders, "),
        ("packs: [brows]", "Did you mean 'browse'?"),
        ("history: 3", "features.history: found 3; allowed: a length of time in years,"),
        ("words: {product_veiw: x}", "Did you mean 'product_view'?"),
        ("category_level: categroy", "Did you mean 'category'?"),
        ("half_life: 14d", "features.half_life: unknown key; allowed: history, packs, custom,"),
        (
            'custom: [{name: x, sql: "count(*)", from: evnts}]',
            "features.custom[0].from: no configured table is named 'evnts'; allowed: orders,"
            " events, features. Did you mean 'events'?",
        ),
        (
            'custom: [{name: x, sql: "count(*)", from: tickets}]',
            "no configured table is named 'tickets'; allowed: orders, events, features.",
        ),
        (
            'custom: [{name: x, sql: "count(*)", from: customers}]',
            "no configured table is named 'customers'",
        ),
        (
            'custom: [{name: x, sql: "opens_30d", from: features, window: 30d}]',
            "features.custom[0].window: does not go with from: features. The features that it"
            " reads have windows of their own.",
        ),
        (
            'custom: [{name: x, sql: "1", from: orders}, {name: x, sql: "1", from: orders}]',
            "features.custom[1].name: the feature 'x' is given twice.",
        ),
        (
            'custom: [{name: email, sql: "count(*)", from: orders}]',
            "features.custom[0].name: email is a column of people.",
        ),
        ('custom: [{name: x, sql: "count(*)"}]', "features.custom[0].from: is missing"),
        (
            "embeddings: {taste: taste_vectr}",
            "no column of tables.customers.columns is named 'taste_vectr'; allowed: customer_id,"
            " email, taste_vector. Did you mean 'taste_vector'?",
        ),
        ("allow: [contry]", "features.allow[0]: no attribute of people is named 'contry'"),
        (
            "{allow: [country], report_only: [country]}",
            "features.allow[0]: country is in features.report_only too. Take it out of one",
        ),
    ],
)
def test_a_wrong_block_is_explained(block, message):
    assert message in said(f"features:\n  {block}\n")


@pytest.mark.parametrize(
    ("inputs", "block", "message"),
    [
        (
            "weekend_shar, orders_90d",
            "",
            "models.personas.features[0]: no feature is named 'weekend_shar'",
        ),
        ("weekend_shar, orders_90d", "", "Did you mean 'weekend_share'?"),
        (
            "orders_90d, weekend_share",
            "features: {deny: [weekend_share]}\n",
            "models.personas.features[1]: weekend_share is denied: no model may read it. Take it"
            " out here, or out of features.deny.",
        ),
        (
            "orders_90d, weekend_share",
            "features: {report_only: weekend_share}\n",
            "weekend_share may describe a segment, but not form it. Take it out here, or out of"
            " features.report_only.",
        ),
        (
            "orders_90d, age_years",
            "",
            "age_years may describe a segment, but not form it. Take it out here, or name it in"
            " features.allow.",
        ),
    ],
)
def test_a_model_reads_what_there_is_and_what_it_may(inputs, block, message):
    assert message in said(block + PERSONAS % inputs)


def test_a_model_may_read_custom_features_and_embeddings():
    block = """\
features:
  custom: [{name: visits, sql: "count(*)", from: events}]
  embeddings: {taste: taste_vector}
"""
    assert read(block + PERSONAS % "visits, taste, median_days_between_orders")


def test_a_model_may_read_an_attribute_that_is_allowed():
    assert read("features: {allow: [country]}\n" + PERSONAS % "orders_90d, country")
