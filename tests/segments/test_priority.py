"""Priority lists against a plain loop over people."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import ConfigError
from connector.segments.priority import (
    PriorityList,
    build_eligible_after_priority,
    build_priority_winners,
    check_lists,
)
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.warehouse.columns import store, workspace

SEGMENTS = ("a", "b", "c", "d")
MEMBERS = {"segment": "VARCHAR", "profile_id": "VARCHAR"}


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDBWarehouse]:
    with workspace() as one:
        yield one


_LISTS = st.lists(
    st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4, unique=True), max_size=3
).map(lambda orders: [PriorityList(f"list{i}", tuple(o)) for i, o in enumerate(orders)])


@settings(max_examples=60, deadline=None)
@given(
    lists=_LISTS,
    members=st.sets(st.tuples(st.sampled_from(SEGMENTS), st.sampled_from(["p1", "p2", "p3"]))),
)
def test_first_segment_wins(
    warehouse: DuckDBWarehouse, lists: list[PriorityList], members: set[tuple[str, str]]
) -> None:
    campaigns = {f"campaign_{segment}": segment for segment in SEGMENTS} | {"second_d": "d"}
    rows = [{"segment": segment, "profile_id": profile} for segment, profile in members]
    store(warehouse, rows, MEMBERS, "segment_members")
    build_priority_winners(warehouse, lists)
    build_eligible_after_priority(warehouse, lists, campaigns)

    winners = {}
    for one in lists:
        for profile in ("p1", "p2", "p3"):
            claims = [segment for segment in one.order if (segment, profile) in members]
            if claims:
                winners[one.name, profile] = claims[0]
    found = warehouse.rows("SELECT list_name, profile_id, segment FROM priority_winners")
    assert sorted(found) == sorted((*key, segment) for key, segment in winners.items())

    eligible = {
        (campaign, segment, profile)
        for campaign, segment in campaigns.items()
        for member, profile in members
        if member == segment
        and all(winners[one.name, profile] == segment for one in lists if segment in one.order)
    }
    rows_found = warehouse.rows("SELECT campaign, segment, profile_id FROM eligible_after_priority")
    assert sorted(rows_found) == sorted(eligible)


def test_a_list_that_cannot_be_meant() -> None:
    check_lists([PriorityList("one", ("a", "b")), PriorityList("two", ("b", "a"))], SEGMENTS)
    for lists, why in (
        ([PriorityList("one", ("a", "x"))], "there is no segment x"),
        ([PriorityList("one", ("a", "b", "a"))], "names segment a twice"),
        ([PriorityList("one", ("a",)), PriorityList("one", ("b",))], "defined twice"),
    ):
        with pytest.raises(ConfigError, match=why):
            check_lists(lists, SEGMENTS)
