"""Which features there are, and which of them a run computes."""

import pytest

from connector.features.catalogue import (
    BASE,
    DEFAULT_PACKS,
    PACKS,
    Settings,
    asked_for,
    available,
    catalogue,
    packs_of,
    reading,
)
from connector.features.pack import DerivedColumn, FeaturePack
from connector.tables import TABLES

EVERYTHING = {*TABLES, *(f"{t.name}.{c.name}" for t in TABLES.values() for c in t.columns)}
ALL = packs_of(PACKS, Settings())
BASICS = {name for pack in BASE for name in pack.names}


def names(packs):
    return {name for pack in packs for name in pack.names}


def test_every_feature_has_its_own_name_a_unit_a_meaning_and_a_rule_for_nothing():
    metas = catalogue()
    assert len({meta.name for meta in metas}) == len(metas) > 100
    for meta in metas:
        assert meta.unit, meta
        assert len(meta.meaning) > 8, meta
        assert meta.empty in ("0", "NULL"), meta
        assert meta.pack in PACKS, meta


def test_names_carry_their_windows_and_units():
    for pack in ALL:
        columns = [*pack.columns, *(c for part in pack.levels for c in part.columns)]
        for column in columns:
            if column.window_days is not None and pack.name != "rfm":
                assert column.name.endswith(f"_{column.window_days}d"), column.name
            if column.unit == "days":
                assert "days" in column.name, column.name


def test_a_shop_with_everything_has_every_feature():
    kept, notices = available(ALL, EVERYTHING)
    assert names(kept) == names(ALL)
    assert notices == []


def test_a_pack_without_its_table_is_off_and_says_so():
    mapped = {n for n in EVERYTHING if not n.startswith(("events", "tickets"))}
    kept, notices = available(packs_of(["browse", "support", "social"], Settings()), mapped)
    assert {pack.name for pack in kept} == {"rfm", "orders", "social"}
    told = {notice.pack: str(notice) for notice in notices}
    assert set(told) == {"browse", "support"}
    assert told["support"].startswith(
        "pack support: tables.tickets is not mapped, so there is no open_support_tickets, "
    )


def test_a_feature_without_its_column_is_off_and_so_is_what_is_derived_from_it():
    pack = packs_of([], Settings())[2]
    share = DerivedColumn("promo_percent", "promo_share_365d * 100", "percent", "x")
    more = DerivedColumn("promo_words", "promo_percent + 1", "percent", "x")
    kept, notices = available(
        [pack, FeaturePack("custom", "", "", derived=(more, share))],
        EVERYTHING - {"orders.discount"},
    )
    off = {"promo_share_365d", "discount_rate_365d", "promo_percent", "promo_words"}
    assert names([pack]) - names(kept) == off - {"promo_percent", "promo_words"}
    assert not names(kept) & off
    assert [str(notice) for notice in notices] == [
        f"pack {pack}: tables.orders.columns.discount is not mapped, so there is no {names}"
        for pack, names in (
            ("orders", "promo_share_365d, discount_rate_365d"),
            ("custom", "promo_percent, promo_words"),
        )
    ]


def test_a_run_computes_what_is_asked_for_and_what_that_reads():
    asked = {"log_aov", "median_days_between_orders", "no_feature"}
    assert names(asked_for(ALL, asked)) == BASICS | {
        *("log_aov", "aov_730d", "median_days_between_orders")
    }


def test_a_pack_that_is_named_is_computed_but_for_its_dear_features():
    kept = names(asked_for(ALL, (), named=["email_engagement", "category_share"]))
    assert {"opens_30d", "email_open_velocity"} <= kept
    assert not {"preferred_email_hour", "top_category", "log_aov"} & kept


def test_nothing_asked_costs_nothing_new():
    kept = asked_for(ALL, ())
    assert names(kept) == BASICS
    assert not [part for pack in kept for part in pack.levels]


def test_demographics_describe_only():
    shut = {meta.name for meta in catalogue() if meta.describe_only}
    assert shut == {"country", "city", "acquisition_channel", "age_years"}
    assert "demographics" not in DEFAULT_PACKS


@pytest.mark.parametrize(
    ("column", "some", "others"),
    [
        ("refund", {"return_rate"}, {"orders_30d", "revenue_30d"}),
        (
            "net_revenue",
            {"revenue_90d", "aov_90d", "log_aov", "last_order_value", "monetary_365d", "monetary"},
            {"orders_90d", "median_days_between_orders", "return_rate"},
        ),
    ],
)
def test_features_that_read_a_column_are_known_through_what_is_derived(column, some, others):
    found = reading(ALL, "clean_orders", [column])
    assert some <= found
    assert not others & found
