"""The demo's own configuration, and the engine's findings in the demo's shop, dirt by dirt."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta

import pytest

from connector.config.lint import lint
from connector.config.load import load_config
from connector.config.root import Config
from connector.demo import story
from connector.domain import Arm, Level
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.demo.conftest import UNTIL, Shop
from tests.understanding import Understood, understand

ENVIRON = {
    "HUBSPOT_TOKEN": "t",
    "HUBSPOT_URL": "http://127.0.0.1:1",
    "HOLDOUT_SALT": "a-salt-that-nobody-guesses",
}


@pytest.fixture(scope="module")
def config(shop, tmp_path_factory) -> Config:
    folder = tmp_path_factory.mktemp("story")
    shutil.copy(shop.path, folder / "shop.duckdb")
    (folder / "liftline.yaml").write_text(story.config_text(), encoding="utf-8")
    return load_config(folder / "liftline.yaml", ENVIRON)


@pytest.fixture(scope="module")
def found(config) -> Iterator[Understood]:
    with DuckDBWarehouse() as warehouse:
        yield understand(warehouse, config, UNTIL)


def test_the_configuration_has_nothing_to_complain_about(config):
    assert [finding for finding in lint(config) if finding.level is not Level.NOTE] == []


def test_every_campaign_has_a_known_effect_and_a_holdout(config):
    assert set(story.EFFECTS) == set(config.campaigns)
    for campaign in config.campaigns.values():
        assert campaign.arms[Arm.NO_CONTACT] >= 0.1
    factors = [effect.rate_factor for effect in story.EFFECTS.values()]
    assert 1.0 in factors
    assert max(factors) > 1.5


def test_the_windows_and_their_refunds_are_over_at_the_second_run():
    longest = max(effect.days for effect in story.EFFECTS.values())
    assert timedelta(days=longest) + timedelta(days=4.9) <= story.SECOND_RUN - story.FIRST_RUN
    assert story.OPENED < story.FIRST_RUN


def test_the_engine_finds_exactly_the_planted_dirt_of_orders(found, shop: Shop):
    summary = shop.summary
    assert found.tables["orders"].n_source == summary.n_order_rows
    assert found.tables["orders"].n_duplicates == summary.n_orders_exact_duplicate
    assert found.tables["orders"].n_quarantined == {"negative_total": summary.n_orders_negative}
    left_out = {reason: n for reason, n in found.orders.left_out.items() if n}
    assert left_out == {
        "key_duplicate": summary.n_orders_stale_duplicate,
        "above_max_order_value": summary.n_orders_absurd,
        "missing_customer": summary.n_orders_no_customer,
        "unknown_customer": summary.n_orders_unknown_customer,
        "test_account": summary.n_orders_test,
        "cancelled": summary.n_orders_cancelled,
    }
    assert found.orders.n_kept == summary.n_orders
    (revenue,) = found.warehouse.rows("SELECT sum(o.net_revenue) AS n FROM clean_orders AS o")[0]
    assert revenue == summary.net_revenue


def test_the_engine_finds_exactly_the_planted_dirt_of_customers(found, shop: Shop):
    summary = shop.summary
    assert found.tables["customers"].n_kept == summary.n_customer_rows
    left_out = {reason: n for reason, n in found.customers.left_out.items() if n}
    assert left_out == {
        "exact_duplicate": summary.n_customers_exact_duplicate,
        "key_duplicate": summary.n_customers_stale_duplicate,
    }
    assert found.customers.emptied == {"invalid_email": summary.n_emails_invalid}
    identity = found.identity
    assert identity.customers.left_out == {"test_account": summary.n_test_accounts}
    assert identity.customers.emptied == {
        "email_never_merged": summary.n_role_customers,
        "email_of_too_many_customers": summary.n_crowded_customers,
    }
    merged_away = summary.n_household_customers - summary.n_households
    assert identity.n_profiles == summary.n_customers - merged_away


def test_the_engine_reads_the_consents_as_they_are_meant(found, shop: Shop):
    summary = shop.summary
    assert found.consent.n_unknown == summary.n_consents_unknown_word
    may_write = found.frame(
        "SELECT p.email FROM profiles AS p JOIN permissions AS c ON c.profile_id = p.profile_id"
        " WHERE c.status = 'granted' AND c.channel = 'email' AND c.purpose = 'marketing'"
    ).email
    assert may_write.is_unique
    # Role addresses and crowded ones belong to nobody, so their consent reaches nobody either.
    assert summary.n_emails_granted - 2 <= len(may_write) <= summary.n_emails_granted
    (suppressed,) = found.exclusions
    assert suppressed.n_entries == suppressed.n_profiles == summary.n_suppressed
