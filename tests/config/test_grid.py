"""The grid of RFM groups: every cell has a group, every group a cell."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from connector.config import parse_config
from connector.config.rfm import RfmModel, shadowed_groups
from connector.models.groups import DEFAULT_GROUPS, R_RFM_GROUPS, Group, Span, group_of
from tests.config.shop import ENVIRON, broken, message_of

CELLS = list(itertools.product(range(1, 6), repeat=3))


def test_the_shipped_groups_are_a_partition_of_all_125_cells() -> None:
    model = RfmModel()
    assert model.boxes == DEFAULT_GROUPS
    owners = [group_of(model.boxes, cell) for cell in CELLS]
    assert len(owners) == 125
    assert set(owners) == {group.name for group in model.groups}
    assert model.group_names == (*(group.name for group in model.groups), "prospects", "lapsed")


def test_the_published_example_of_r_s_rfm_package_leaves_ten_cells() -> None:
    boxes = "".join(
        f"      - {{name: {group.name.lower().replace(' ', '_').replace(chr(39), '')},"
        f" r: {group.r}, f: {group.f}, m: {group.m}}}\n"
        for group in R_RFM_GROUPS
    )
    old = "\n".join(
        [
            "      - {name: champions, r: 4-5, f: 4-5, m: 4-5}",
            "      - {name: at_risk, r: 1-2, f: 3-5, m: 1-5}",
            "      - {name: others, r: 1-5, f: 1-5, m: 1-5}\n",
        ]
    )
    assert message_of(broken(old, boxes)).startswith(
        "shop.yaml:39: models.rfm.groups: 10 of 125 cells (r-f-m) are in no group: "
    )


spans = st.tuples(st.integers(1, 5), st.integers(1, 5)).map(lambda pair: Span(min(pair), max(pair)))
maps = st.lists(st.tuples(spans, spans, spans), max_size=6).map(
    lambda boxes: [Group(f"g{i}", *box) for i, box in enumerate(boxes)]
)


@given(maps)
def test_exactly_the_shadowed_groups_can_be_dropped(groups: list[Group]) -> None:
    shadowed = shadowed_groups(groups, (5, 5, 5))
    owners = [group_of(groups, cell) for cell in CELLS]
    for i, group in enumerate(groups):
        without = [group_of(groups[:i] + groups[i + 1 :], cell) for cell in CELLS]
        assert (without == owners) == (i in shadowed)
        takers = {owner for owner, cell in zip(owners, CELLS, strict=True) if cell in group}
        if i in shadowed:
            assert {groups[taker].name for taker in shadowed[i]} == takers
            assert max(shadowed[i]) < i


def test_the_grid_follows_the_scales() -> None:
    old = "recency: {method: quantile, bins: 5}"
    config = parse_config(
        broken(old, "recency: {method: fixed, edges: [30, 90, 180, 365]}"), ENVIRON
    )
    assert config.models.rfm.shape == (5, 5, 5)
    model = RfmModel.model_validate({"frequency": {"method": "fixed", "edges": [2, 3]}})
    assert model.shape == (5, 3, 5)
