"""What people are worth: small cells, tiers, the distribution, the concentration."""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from connector.pipeline.show.report_value import bins, grouped, top_shares
from connector.report import value_charts
from connector.report.html import render_html
from connector.report.lifetime import TopShare, ValueBin, ValueSummary, joined
from connector.report.models import BinRow
from connector.report.people import SMALL_CELL
from tests.report import sample, sample_models
from tests.report.page import parse

RECT = re.compile(
    r'<rect class="bin[^"]*" x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="([\d.]+)"><title>(.*?)<'
)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_no_bar_holds_a_few_people_and_nobody_is_lost(people: list[int]) -> None:
    made = tuple(ValueBin(10.0 * i, 10.0 * (i + 1), n) for i, n in enumerate(people))
    found = joined(made)
    assert sum(one.people for one in found) == sum(people)
    assert (found[0].low, found[-1].high) == (made[0].low, made[-1].high)
    assert all(a.high == b.low for a, b in itertools.pairwise(found))
    if sum(people) >= SMALL_CELL:
        assert all(one.people == 0 or one.people >= SMALL_CELL for one in found)
    assert joined(found) == found


def test_bars_count_everybody_once() -> None:
    worth = np.sort(np.random.default_rng(1).lognormal(3, 1, 5_000))[::-1]
    found = list(bins(worth))
    assert found[-1].high is None
    for one in found:
        high = np.inf if one.high is None else one.high
        assert one.people == int(((worth >= one.low) & (worth < high)).sum())
    assert sum(one.people for one in found) == worth.size


@pytest.mark.parametrize("worth", [np.zeros(50), np.full(50, 7.0), np.array([]), np.ones(9)])
def test_a_shop_without_spread_has_few_bars_or_none(worth: np.ndarray) -> None:
    summary = ValueSummary(
        "clv", "margin", 90, worth.size, float(worth.sum()),
        bins=tuple(bins(worth)), top=tuple(top_shares(worth)),
    )  # fmt: skip
    assert sum(one.people for one in summary.bins) in (0, worth.size)
    page = render_html(dataclasses.replace(sample.sample(), lifetime=(summary,)))
    section = page.partition('<section id="value"')[2].partition("</section>")[0]
    assert "90 days" in section
    assert "nan" not in section


def test_the_best_tenth_holds_what_it_holds() -> None:
    """Against a plain sum over the sorted values."""
    worth = np.sort(np.random.default_rng(2).pareto(2.0, 2_000))[::-1]
    shares = {round(one.people, 4): one.value for one in top_shares(worth)}
    for share in (0.01, 0.1, 0.5):
        n = int(share * worth.size)
        assert shares[share] == pytest.approx(sum(worth[:n].tolist()) / sum(worth.tolist()))
    assert shares[1.0] == pytest.approx(1.0)


def test_no_step_of_the_concentration_is_of_a_few_people() -> None:
    worth = np.sort(np.random.default_rng(3).pareto(2.0, 137))[::-1]
    steps = np.diff([0.0, *(one.people * worth.size for one in top_shares(worth))])
    assert min(steps) >= SMALL_CELL - 1e-9
    told = ValueSummary("clv", "margin", 90, 137, 1.0, top=(TopShare(0.01, 0.2), TopShare(1, 1)))
    assert told.top == ()


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ({"platinum": 6, "gold": 41, "rest": 853}, ["platinum and gold", "rest"]),
        ({"platinum": 6, "gold": 2, "rest": 90}, ["platinum and gold and rest"]),
        ({"platinum": 60, "gold": 41, "rest": 3}, ["platinum", "gold and rest"]),
        ({"platinum": 10, "gold": 40}, ["platinum", "gold"]),
        ({"platinum": 3}, ["platinum"]),
    ],
)
def test_a_tier_of_few_people_is_told_with_the_next(
    sizes: dict[str, int], groups: list[str]
) -> None:
    found = grouped(list(sizes), sizes)
    assert list(dict.fromkeys(found.values())) == groups
    assert list(found) == list(sizes)


def test_bars_have_areas_of_their_people() -> None:
    """Also the wide one, made of ranges with few people."""
    summary = sample_models.value()
    svg = str(value_charts.value_histogram(summary.bins, "EUR", uid="h"))
    areas = [((float(w) + 1.0) * float(h), said) for w, h, said in RECT.findall(svg)]
    assert len(areas) == len(summary.bins)
    people = [one.people for one in summary.bins]
    for (area, said), n in zip(areas, people, strict=True):
        assert f"{n:,} people" in said
        assert area / areas[0][0] == pytest.approx(n / people[0], abs=0.004)


def test_the_page_tells_the_best_tenth_and_has_the_tables() -> None:
    page = parse(render_html(sample_models.with_models()))
    (section,) = [n for n in page.all("section") if n.attributes.get("id") == "value"]
    assert "the best tenth of the people hold 42\u00a0% of the value" in section.text
    assert "200\u00a0EUR and more" in section.text
    assert "the best 1\u00a0%" in section.text


@given(st.integers(1, 5_000), st.floats(0, 1))
def test_the_interval_of_a_share_is_wilsons(n: int, share: float) -> None:
    """Against scipy."""
    k = round(share * n)
    low, high = BinRow(n, 0.5, k / n).interval
    reference = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert low == pytest.approx(reference.low, abs=1e-9)
    assert high == pytest.approx(reference.high, abs=1e-9)
