"""Personas in depth and pairs on the page: how they were chosen, the dendrogram, both maps."""

from __future__ import annotations

import math
import re

import pytest

from connector.report.crowd_charts import dendrogram, lift_range
from connector.report.html import render_html
from tests.report import sample_models
from tests.report.page import Node, parse


@pytest.fixture(scope="module")
def page() -> Node:
    return parse(render_html(sample_models.with_models()))


def section(page: Node, uid: str) -> Node:
    (one,) = [n for n in page.all("section") if n.attributes.get("id") == uid]
    return one


def test_every_contender_is_told_and_the_chosen_one_marked(page: Node) -> None:
    found = section(page, "personas")
    chosen = [row.text for row in found.all("tr") if row.attributes.get("class") == "chosen"]
    assert any("k-means" in text and "0.90" in text and "0.69" in text for text in chosen)
    for part in ("hierarchical (Ward)", "DBSCAN", "on the data of", "23"):
        assert part in found.text


def test_both_maps_say_what_each_axis_explains(page: Node) -> None:
    text = section(page, "personas").text.replace("\xa0", " ")
    assert "52 % (across) and 27 % (upwards)" in text
    assert "third component, which holds 11 %" in text
    assert "The three hold 90 %" in text
    titles = [n.text for n in section(page, "personas").all("title")]
    assert titles.count("The map seen from the side") == 1


def test_the_line_crosses_as_many_branches_as_it_cuts() -> None:
    tree = sample_models.personas().tree
    assert tree is not None
    svg = str(dendrogram(tree, uid="t"))
    paths = re.findall(r'd="M([\d.]+) ([\d.]+)V([\d.]+)H([\d.]+)V([\d.]+)"', svg)
    assert len(paths) == len(tree.feet) - 1
    (line,) = re.findall(r'class="best" x1="0" x2="640.0" y1="([\d.]+)"', svg)
    crossed = 0
    for _, low, top, _, other in paths:
        for foot in (low, other):
            crossed += float(top) < float(line) < float(foot)
    assert crossed == tree.k
    # A branch of one person in a hundred has no number that would cover its neighbour's.
    assert svg.count('class="label"') == 3
    assert "Cut into 4, the parts hold" in svg


def test_pairs_come_with_counts_lift_and_interval(page: Node) -> None:
    text = section(page, "pairs").text.replace("\xa0", " ")
    for part in ("pans + knives", "1,204", "3.21", "3.02 to 3.41", "41 % of baskets with pans"):
        assert part in text
    assert "31 pairs" in text
    rows = sample_models.pairs().pairs
    drawn = str(lift_range(rows[1], rows))
    (at,) = re.findall(r'class="fill" x="([\d.]+)"', drawn)
    assert float(at) == pytest.approx(2 + 96 * math.log(1.7) / math.log(3.41), abs=0.01)
