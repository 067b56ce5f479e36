"""Drawings: to scale, bounded, and safe with any label."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.report import charts
from connector.report.lift import Estimate
from tests.report.page import parse

numbers = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False).map(lambda x: round(x, 3))


def draw(low, estimate, high, margin=0.0):
    svg = charts.forest_plot(
        Estimate(estimate, low, high, 0.95),
        scale=1.0, margin=margin, firm="win", title="t", description="d", uid="u",
    )  # fmt: skip
    return parse(str(svg))


@given(st.tuples(numbers, numbers, numbers).map(sorted), st.floats(min_value=0, max_value=100))
def test_a_forest_plot_is_to_scale_and_inside_its_box(values, margin):
    low, estimate, high = values
    root = draw(low, estimate, high, margin)
    (zero,) = root.with_class("zero-line")
    (whisker,) = root.with_class("whisker")
    (point,) = root.with_class("point")
    left, right = map(float, re.match(r"M([\d.]+) 34H([\d.]+)", whisker.attributes["d"]).groups())
    at_zero, at_point = float(zero.attributes["x1"]), float(point.attributes["cx"])
    assert 0 <= left <= at_point + 0.1
    assert at_point <= right + 0.1 <= 360.1
    assert 0 <= at_zero <= 360
    if high - low > 1e-3:
        # A tenth of a pixel at each end of the line is all that the text of the path rounds away.
        rounding = 0.1 * (1 + 2 * max(abs(low), abs(high)) / (high - low))
        assert at_zero == pytest.approx(left - low * (right - left) / (high - low), abs=rounding)


def test_zero_is_marked_and_named():
    labels = [node.text for node in draw(-1.2, 0.5, 2.2).with_class("label")]
    assert "0" in labels
    assert labels == sorted(labels, key=lambda t: float(t.replace("\u2212", "-")))


@given(numbers, st.floats(min_value=1e-3, max_value=1e6))
def test_ticks_are_few_round_and_within(low, width):
    marks = charts.ticks(low, low + width)
    assert len(marks) <= 6
    assert all(low - 1e-6 * width <= m <= low + width * (1 + 1e-6) + 1e-6 for m in marks)
    if low <= 0 <= low + width and len(marks) > 1:
        assert 0 in marks


def test_heat_grows_with_the_value_and_uses_the_whole_ramp():
    levels = [charts.heat_level(x, 1000.0) for x in range(0, 1001, 5)]
    assert levels == sorted(levels)
    assert levels[0] == 0
    assert set(levels[1:]) == set(range(1, charts.HEAT_LEVELS + 1))
    assert charts.heat_level(None, 1000.0) == charts.heat_level(-5.0, 1000.0) == 0


def test_a_stacked_bar_is_as_wide_as_its_people():
    parts = [charts.Part("a", 30, "x"), charts.Part("b", 0, "x"), charts.Part("c", 70, "x")]
    root = parse(str(charts.stacked_bar(parts, title="t", uid="u")))
    widths = [float(rect.attributes["width"]) for rect in root.all("rect")]
    assert widths == [30.0, 70.0]
    assert "c 70 (70\u00a0%)" in root.all("desc")[0].text


def test_nobody_at_all_can_be_drawn():
    assert "nobody" in charts.stacked_bar([charts.Part("a", 0, "x")], title="t", uid="u")


def test_labels_are_escaped():
    bad = "<script>alert(1)</script>"
    drawn = charts.stacked_bar([charts.Part(bad, 1, "x")], title=bad, uid="u")
    drawn += charts.forest_plot(
        Estimate(1, 0, 2, 0.95),
        scale=1, margin=0, firm="win", title=bad, description=bad, uid="u",
    )  # fmt: skip
    assert "<script" not in drawn


def test_every_verdict_has_a_shape_of_its_own():
    codes = ("win", "loss", "flat", "directional_only", "not_enough_data", "do_not_trust")
    assert len({charts.verdict_icon(code) for code in codes}) == len(codes)
