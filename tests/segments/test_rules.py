"""Segments against pandas: who is a member, and whether the reason tells the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connector.errors import ConfigError
from connector.segments.rules import SegmentSpec, build_segment_members, compile_segments
from connector.warehouse.dialect import ExpressionError
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.render import render
from tests.warehouse.columns import COLUMNS, store, workspace

GROUPS = ("champions", "loyal", "at_risk", "cant_lose", "prospects")
DOMAINS = {"rfm.group": GROUPS}


def people(n: int = 400) -> pd.DataFrame:
    """Random profiles with ties and missing values."""
    rng = np.random.default_rng(20260301)

    def sometimes(values: list[Any], share: float = 0.15) -> list[Any]:
        return [
            None if gone else value
            for value, gone in zip(values, rng.random(n) < share, strict=True)
        ]

    cents = rng.integers(0, 60_000, n)
    return pd.DataFrame(
        {
            "profile_id": [f"p{i:04d}" for i in range(n)],
            "rfm.group": sometimes([GROUPS[i] for i in rng.integers(0, len(GROUPS), n)]),
            "monetary_365d": sometimes([Decimal(int(c)) / 100 for c in cents - cents % 100]),
            "recency_days": sometimes([int(x) for x in rng.integers(0, 120, n)]),
            "orders_365d": sometimes([int(x) for x in rng.integers(0, 5, n)]),
            "purchase_30d.probability": sometimes([float(x) for x in rng.random(n).round(2)]),
            "country": sometimes([["DE", "AT", "ch"][i] for i in rng.integers(0, 3, n)]),
            "email": sometimes([f"user{i}@example.com" for i in range(n)]),
            "subscribed": sometimes([bool(x) for x in rng.integers(0, 2, n)]),
        },
        dtype=object,
    )


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return people()


@pytest.fixture(scope="module")
def warehouse(frame: pd.DataFrame) -> Iterator[DuckDBWarehouse]:
    with workspace() as one:
        store(one, frame.to_dict("records"))
        yield one


def known(value: Any) -> bool:
    return value is not None


RULES: dict[str, tuple[SegmentSpec, Callable[[Any], bool]]] = {
    "champions": (
        SegmentSpec("champions", members_of=("rfm.champions",)),
        lambda r: r["rfm.group"] == "champions",
    ),
    "at_risk": (
        SegmentSpec("at_risk", members_of=("rfm.at_risk", "rfm.cant_lose")),
        lambda r: r["rfm.group"] in ("at_risk", "cant_lose"),
    ),
    "precious": (
        SegmentSpec("precious", members_of=("champions", "at_risk")),
        lambda r: r["rfm.group"] in ("champions", "at_risk", "cant_lose"),
    ),
    "big_recent": (
        SegmentSpec(
            "big_recent",
            where="monetary_365d >= 300 and recency_days <= 60 and rfm.group <> 'champions'",
        ),
        lambda r: (
            known(r["monetary_365d"])
            and r["monetary_365d"] >= 300
            and known(r["recency_days"])
            and r["recency_days"] <= 60
            and known(r["rfm.group"])
            and r["rfm.group"] != "champions"
        ),
    ),
    "likely": (
        SegmentSpec("likely", where="purchase_30d.probability >= 0.35 or subscribed"),
        lambda r: (
            (known(r["purchase_30d.probability"]) and r["purchase_30d.probability"] >= 0.35)
            or r["subscribed"] is True
        ),
    ),
    "not_recent": (
        SegmentSpec("not_recent", where="not (recency_days <= 60 and orders_365d > 1)"),
        lambda r: (
            (known(r["recency_days"]) and r["recency_days"] > 60)
            or (known(r["orders_365d"]) and r["orders_365d"] <= 1)
        ),
    ),
    "high_basket": (
        SegmentSpec("high_basket", where="monetary_365d / orders_365d > 150"),
        lambda r: (
            known(r["monetary_365d"])
            and bool(r["orders_365d"])
            and float(r["monetary_365d"]) / r["orders_365d"] > 150
        ),
    ),
    "abroad": (
        SegmentSpec(
            "abroad", where="upper(country) in ('AT', 'CH') and email like '%@example.com'"
        ),
        lambda r: (
            known(r["country"]) and r["country"].upper() in ("AT", "CH") and known(r["email"])
        ),
    ),
    "no_score": (
        SegmentSpec("no_score", where="purchase_30d.probability is null"),
        lambda r: r["purchase_30d.probability"] is None,
    ),
    "middle": (
        SegmentSpec(
            "middle", where="orders_365d between 1 and 3 and coalesce(recency_days, 0) < 50"
        ),
        lambda r: (
            known(r["orders_365d"]) and 1 <= r["orders_365d"] <= 3 and (r["recency_days"] or 0) < 50
        ),
    ),
    "everybody": (SegmentSpec("everybody", where="true"), lambda r: True),
    "nobody": (SegmentSpec("nobody", where="orders_365d > 100"), lambda r: False),
}


@pytest.fixture(scope="module")
def members(warehouse: DuckDBWarehouse) -> pd.DataFrame:
    specs = [spec for spec, _ in RULES.values()]
    segments = compile_segments(specs, columns=COLUMNS, domains=DOMAINS)
    assert [segment.name for segment in segments] == list(RULES)
    build_segment_members(warehouse, segments)
    assert list(warehouse.columns("segment_members")) == ["segment", "profile_id", "reason"]
    rows = warehouse.rows("SELECT segment, profile_id, reason FROM segment_members")
    return pd.DataFrame(rows, columns=["segment", "profile_id", "reason"])


@pytest.mark.parametrize("name", RULES)
def test_members(name: str, frame: pd.DataFrame, members: pd.DataFrame) -> None:
    expected = {r["profile_id"] for r in frame.to_dict("records") if RULES[name][1](r)}
    found = members[members["segment"] == name]["profile_id"]
    assert sorted(found) == sorted(expected)
    if name != "nobody":
        assert expected


def test_every_member_has_a_reason(members: pd.DataFrame) -> None:
    assert members["reason"].notna().all()
    assert (members["reason"].str.len() > 3).all()


def test_reasons_hold_the_persons_own_values(frame: pd.DataFrame, members: pd.DataFrame) -> None:
    rows = {r["profile_id"]: r for r in frame.to_dict("records")}
    for profile_id, reason in members[members["segment"] == "big_recent"][
        ["profile_id", "reason"]
    ].itertuples(index=False):
        row = rows[profile_id]
        assert reason == (
            f"monetary_365d = {row['monetary_365d']:.2f} (>= 300) "
            f"and recency_days = {row['recency_days']} (<= 60) "
            f"and rfm.group = '{row['rfm.group']}' (<> 'champions')"
        )


def test_a_reason_names_the_branch_that_holds(frame: pd.DataFrame, members: pd.DataFrame) -> None:
    rows = {r["profile_id"]: r for r in frame.to_dict("records")}
    for segment, profile_id, reason in members.itertuples(index=False):
        row = rows[profile_id]
        if segment in ("at_risk", "precious"):
            assert reason == f"rfm.group = '{row['rfm.group']}'"
        if segment == "not_recent":
            shows_recency = known(row["recency_days"]) and row["recency_days"] > 60
            expected = (
                f"recency_days = {row['recency_days']} (> 60)"
                if shows_recency
                else f"orders_365d = {row['orders_365d']} (<= 1)"
            )
            assert reason == expected


def test_reasons_hold_no_addresses(members: pd.DataFrame) -> None:
    assert not members["reason"].str.contains("@").any()
    abroad = members[members["segment"] == "abroad"]["reason"]
    assert abroad.str.contains("email fits the rule").all()


def test_a_long_reason_is_cut(warehouse: DuckDBWarehouse) -> None:
    rule = " and ".join(f"(recency_days >= {-i} or recency_days is null)" for i in range(60))
    (segment,) = compile_segments([SegmentSpec("long", where=rule)], columns=COLUMNS, domains={})
    build_segment_members(warehouse, [segment], output="long")
    longest = warehouse.rows("SELECT max(length(reason)) AS n FROM long")
    assert longest == [(500,)]


def test_without_segments_the_relation_is_empty(warehouse: DuckDBWarehouse) -> None:
    build_segment_members(warehouse, [], output="empty")
    assert warehouse.columns("empty") == dict.fromkeys(
        ("segment", "profile_id", "reason"), "VARCHAR"
    )
    assert warehouse.rows("SELECT * FROM empty") == []


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "spark", "bigquery", "snowflake"])
def test_every_engine_can_express_them(engine: str) -> None:
    specs = [spec for spec, _ in RULES.values()]
    for segment in compile_segments(specs, columns=COLUMNS, domains=DOMAINS):
        assert render(segment.members_sql("scored"), engine)


@pytest.mark.parametrize(
    ("specs", "why"),
    [
        ([SegmentSpec("a", members_of=("rfm.champoins",))], "Did you mean rfm.champions"),
        ([SegmentSpec("a", members_of=("champions",))], "there is no champions"),
        ([SegmentSpec("a", members_of=("personas.x",))], "there is no personas.x"),
        ([SegmentSpec("a", members_of=("a",))], "made of itself: a -> a"),
        (
            [
                SegmentSpec("a", members_of=("b",)),
                SegmentSpec("b", members_of=("c", "rfm.loyal")),
                SegmentSpec("c", members_of=("a",)),
            ],
            "made of itself: a -> b -> c -> a",
        ),
        ([SegmentSpec("a", where="true"), SegmentSpec("a", where="false")], "defined twice"),
        ([SegmentSpec("a", where="rfm.group = 'champoins'")], "Did you mean 'champions'"),
        ([SegmentSpec("a", where="rfm.group in ('loyal', 'xyz')")], "It may be: at_risk"),
        ([SegmentSpec("a", where="'lost' <> rfm.group")], "never is 'lost'"),
        ([SegmentSpec("a", where="recency_dayz > 1")], "segment a: where: there is no column"),
        ([SegmentSpec("a", where="recency_days")], "must be true or false"),
        ([SegmentSpec("a", where="count(*) > 1")], "aggregate"),
    ],
)
def test_refused(specs: list[SegmentSpec], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        compile_segments(specs, columns=COLUMNS, domains=DOMAINS)


def test_the_place_of_a_wrong_label() -> None:
    text = "recency_days > 3 and rfm.group = 'champoins'"
    with pytest.raises(ExpressionError) as caught:
        compile_segments([SegmentSpec("a", where=text)], columns=COLUMNS, domains=DOMAINS)
    assert text[caught.value.position or 0 :].startswith("champoins")


def test_exactly_one_kind_of_rule() -> None:
    for build in (
        lambda: SegmentSpec("a"),
        lambda: SegmentSpec("a", members_of=("rfm.loyal",), where="true"),
    ):
        with pytest.raises(ConfigError, match="exactly one"):
            build()
