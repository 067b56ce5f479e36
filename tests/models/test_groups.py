import pytest

from connector.errors import ModelError
from connector.models.groups import (
    DEFAULT_GROUPS,
    R_RFM_GROUPS,
    UNNAMED,
    Group,
    Span,
    cells,
    check_groups,
    group_of,
    unnamed_cells,
    unreachable_groups,
)


def test_the_default_map_names_every_cell_and_wastes_no_group():
    assert unnamed_cells(DEFAULT_GROUPS) == ()
    assert unreachable_groups(DEFAULT_GROUPS) == ()
    assert check_groups(DEFAULT_GROUPS) == []


def test_the_example_map_of_rs_rfm_leaves_ten_cells_unnamed():
    unnamed = unnamed_cells(R_RFM_GROUPS)
    assert len(unnamed) == 10
    assert all(group_of(R_RFM_GROUPS, cell) == UNNAMED for cell in unnamed)
    messages = [f.message for f in check_groups(R_RFM_GROUPS)]
    assert any("10 of 125 cells have no name" in m for m in messages)


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ((5, 5, 5), "champions"),
        ((4, 4, 4), "champions"),
        ((1, 5, 5), "cant_lose"),
        ((3, 3, 3), "loyal"),
        ((2, 3, 1), "at_risk"),
        ((5, 1, 5), "new_customers"),
        ((1, 1, 1), "lost"),
    ],
)
def test_the_first_match_wins(cell, name):
    assert group_of(DEFAULT_GROUPS, cell) == name


def test_a_group_behind_a_larger_one_is_reported():
    groups = (Group.of("all", "1-5", "1-5", "1-5"), Group.of("best", 5, 5, 5))
    assert unreachable_groups(groups) == ("best",)
    (finding,) = check_groups(groups)
    assert "'best' can never match" in finding.message


def test_a_group_off_the_grid_is_reported():
    assert unreachable_groups((Group.of("x", 5, 1, 1),), (4, 4, 4)) == ("x",)
    assert len(list(cells((4, 3, 2)))) == 24


@pytest.mark.parametrize("text", ["5", "2-4", 3, " 1 - 5 "])
def test_ranges_are_read(text):
    span = Span.parse(text)
    assert span.low in span
    assert span.high in span
    assert span.high + 1 not in span


@pytest.mark.parametrize("text", ["", "a", "4-2", "0-3", "1-2-3", "-1"])
def test_other_texts_are_refused(text):
    with pytest.raises(ModelError):
        Span.parse(text)
