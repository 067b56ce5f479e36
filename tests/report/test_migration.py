"""Who moved: what is kept, what is hidden, and what the drawing shows."""

from __future__ import annotations

import dataclasses
import itertools
import re

import pytest

from connector.report import sankey
from connector.report.html import render_html
from connector.report.migration import FlowRow, MigrationSummary
from connector.report.people import SMALL_CELL
from tests.report import sample_models
from tests.report.page import Node, parse

BAND = re.compile(
    r'<path class="([^"]+)" d="M([\d.]+) ([\d.]+)C[\d.]+ [\d.]+ [\d.]+ ([\d.]+) ([\d.]+)'
    r" [\d.]+V([\d.]+)C.*?<title>(.*?)</title>"
)
BAR = re.compile(
    r'class="seat-bar [^"]+" x="([\d.]+)" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"'
)


@pytest.fixture(scope="module")
def summary() -> MigrationSummary:
    return sample_models.migration()


@pytest.fixture(scope="module")
def section() -> Node:
    page = parse(render_html(sample_models.with_models()))
    (one,) = [n for n in page.all("section") if n.attributes.get("id") == "migration"]
    return one


def test_small_flows_are_gone_and_counted(summary: MigrationSummary) -> None:
    assert min(one.people for one in summary.flows) >= SMALL_CELL
    assert summary.n_small == 4
    assert dataclasses.replace(summary) == summary


def test_who_stayed_and_who_moved_add_up(summary: MigrationSummary) -> None:
    """By hand: 400 + 300 + 900 stayed, 60 + 25 + 120 moved, 40 are new and neither."""
    assert (summary.stayed, summary.moved) == (1600, 205)
    assert [one.people for one in summary.moves] == [120, 60, 25]
    assert summary.people_after("champions") == 400 + 25 + 40
    assert set(summary.moves) | set(summary.others) == set(summary.flows)


def test_bands_are_as_wide_as_their_people_and_fill_both_ends(summary: MigrationSummary) -> None:
    svg = str(sankey.sankey_chart(summary, uid="s"))
    bands = BAND.findall(svg)
    assert len(bands) == len(summary.flows)
    width = {}
    for _, _, _, top, _, low, said in bands:
        people = int(said.rpartition(": ")[2].replace(",", ""))
        width[people] = float(low) - float(top)
    for people, high in width.items():
        assert high / width[900] == pytest.approx(people / 900, abs=0.001)
    bars = [tuple(map(float, one)) for one in BAR.findall(svg)]
    for x in {bar[0] for bar in bars}:
        highs = sum(high for at, _, high in bars if at == x)
        assert highs == pytest.approx(sum(width.values()), abs=1.0)
        column = sorted((y, high) for at, y, high in bars if at == x)
        assert all(y + high < below for (y, high), (below, _) in itertools.pairwise(column))


def test_who_stayed_is_grey_and_who_moved_has_the_colour_of_the_origin(
    summary: MigrationSummary,
) -> None:
    svg = str(sankey.sankey_chart(summary, uid="s"))
    kinds = {said.partition(":")[0]: css for css, *_, said in BAND.findall(svg)}
    assert kinds["champions \u2192 champions"] == "stay"
    assert kinds["champions \u2192 cant_lose"] == f"flow {sankey.place_class(0)}"
    assert kinds["cant_lose \u2192 champions"] == f"flow {sankey.place_class(1)}"


def test_the_words_say_what_the_drawing_shows(summary: MigrationSummary) -> None:
    svg = str(sankey.sankey_chart(summary, uid="s", caption=str.title))
    assert "1,600 of 1,805 people stayed (89\u00a0%)" in svg
    assert "Largest moves: " in svg
    assert "<script" not in svg


def test_names_that_do_not_fit_are_cut_and_told_in_full(summary: MigrationSummary) -> None:
    long = "seldom at full price, large baskets on Sundays"
    places = tuple(
        dataclasses.replace(place, name=long) if place.id == "lost" else place
        for place in summary.places
    )
    svg = str(
        sankey.sankey_chart(
            dataclasses.replace(summary, places=places), uid="s", layout=sankey.NARROW
        )
    )
    assert f"<title>{long}</title>" in svg
    labels = re.findall(r'text-anchor="(?:end|start)">([^<]*)', svg)
    assert max(map(len, labels)) <= sankey.NARROW.letters


def test_the_table_has_every_flow_with_its_share(section: Node) -> None:
    (table,) = section.all("table")
    rows = {
        tuple(cell.text for cell in row.all("th", "td")) for row in table.all("tbody")[0].all("tr")
    }
    assert ("Champions", "Can't lose", "60", "13\u00a0%") in rows
    assert ("Champions", "Champions (stayed)", "400", "87\u00a0%") in rows
    assert ("New", "Champions", "40", "100\u00a0%") in rows
    assert len(rows) == len(sample_models.migration().flows)
    assert "Flows of fewer than 10 people are left out" in section.text
    assert "4 people together" not in section.text


def test_a_refit_in_between_is_told() -> None:
    data = sample_models.with_models()
    moved = dataclasses.replace(sample_models.migration(), is_refitted=True)
    text = parse(render_html(dataclasses.replace(data, migrations=(moved,)))).text
    assert "fitted anew in between" in text


def test_nobody_moved() -> None:
    still = dataclasses.replace(sample_models.migration(), flows=(FlowRow("lost", "lost", 50),))
    svg = str(sankey.sankey_chart(still, uid="s"))
    assert "50 of 50 people stayed" in svg
