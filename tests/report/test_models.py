"""What the page says of models, and what its drawings show."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from connector.models.propensity.gates import gates
from connector.models.propensity.spec import PublishIf
from connector.report import model_charts
from connector.report.data import ReportData
from connector.report.html import render_html
from connector.report.lifetime import TierRow, ValueSummary
from connector.report.model_words import figure, found_on, gate
from tests.report import sample, sample_models
from tests.report.page import Node, parse

SECTIONS = ("models", "personas", "affinity", "pairs", "value", "demand", "migration")


@pytest.fixture(scope="module")
def page() -> Node:
    return parse(render_html(sample_models.with_models()))


def section(page: Node, uid: str) -> Node:
    (one,) = [n for n in page.all("section") if n.attributes.get("id") == uid]
    return one


def circles(svg: str, css: str = "") -> list[tuple[float, float, float]]:
    pattern = rf'<circle class="{css}" cx="([-\d.]+)" cy="([-\d.]+)" r="([\d.]+)"'
    return [tuple(map(float, found)) for found in re.findall(pattern, svg)]  # type: ignore[misc]


def test_sections_are_there_only_with_what_they_show() -> None:
    without = {n.attributes.get("id") for n in parse(render_html(sample.sample())).all("section")}
    assert not without & set(SECTIONS)
    whole = {
        n.attributes.get("id")
        for n in parse(render_html(sample_models.with_models())).all("section")
    }
    assert whole - without == set(SECTIONS)


def test_the_document_survives_json() -> None:
    data = sample_models.with_models()
    assert ReportData.from_json(json.loads(json.dumps(data.to_json()))) == data


def test_a_card_shows_the_measure_beside_the_naive_rule_and_each_gate(page: Node) -> None:
    good, refused, tiny = section(page, "models").all("article")
    text = good.text
    for wanted in ("Gradient boosting", "0.781", "0.744", "The RFM score", "18,204", "higher is"):
        assert wanted in text
    assert text.count("Holds") == 2
    assert "Not in use" not in text
    assert "Not in use" in refused.text
    assert refused.text.count("Fails") == 1
    assert refused.text.count("more than the 0.602 of the RFM score") == 1
    assert "rfm_score" not in text + refused.text
    assert "No model is in use" in refused.text
    assert "3 customers are too few." in tiny.text
    assert not tiny.all("svg")


def test_the_card_folds_away_where_the_model_comes_from(page: Node) -> None:
    good, refused, tiny = section(page, "models").all("article")
    (card,) = good.all("details")
    for wanted in (
        "version 4", "54,612", "recency_days, orders_365d", "0123456789abcdef", "6 April 2026",
        "2 March 2025", "0.781", "0.744", "On data that it has not seen",
    ):  # fmt: skip
        assert wanted in card.text.replace("\u00a0", " "), wanted
    assert "not stored yet" in refused.text
    assert not tiny.all("details")


def test_calibration_has_intervals() -> None:
    bins = sample_models.models()[0].bins
    svg = str(model_charts.calibration_chart(bins, uid="c"))
    ends = re.findall(r'class="error" d="M[\d.]+ ([\d.]+)V([\d.]+)M', svg)
    places = [y for _, y, _ in circles(svg, "dot")]
    assert len(ends) == len(bins)
    for (low, high), place in zip(ends, places, strict=True):
        assert float(low) >= place >= float(high)


def test_personas_say_whom_they_are_not_about_and_how_far_they_are_apart(page: Node) -> None:
    text = section(page, "personas").text
    assert "only about people with lifetime_orders >= 2" in text
    assert "0.35, beside 0.34 with shuffled features" in text
    assert "continuum" in text
    apart = dataclasses.replace(sample_models.personas(), silhouette=0.6, eligible="")
    data = dataclasses.replace(sample.sample(), personas=(apart,))
    text = section(parse(render_html(data)), "personas").text
    assert "continuum" not in text
    assert "too little is known of them" in text


def test_a_cluster_models_measures_are_not_of_unseen_data() -> None:
    assert "not seen" not in found_on("cluster")
    assert "not seen" in found_on("propensity")


def test_gates_are_words_that_a_marketer_reads() -> None:
    """Of every kind of model, from their own code."""
    alarms = gates(
        PublishIf(positives_at_least=1_500, auc_at_least=0.6, beats=("rfm_score",)),
        alarm_at=0.85, n_positive=4_205, label=(np.arange(1_000) < 100).astype(float),
        found={"auc": 0.745, "ece": 0.01},
        baselines={"rfm_score": {"auc": 0.721}}, feature_aucs={"orders_365d": 0.725},
    )  # fmt: skip
    said = [gate(one.name, one.found, one.required) for one in alarms]
    assert said == [
        "Enough people to learn from: 4,205 people did it; needed: at least 1,500 people who did"
        " it",
        "Better than chance: AUC 0.745; needed: an AUC above 0.550: so far chance alone may reach",
        "Tells people apart: AUC 0.745; needed: an AUC of 0.600 or more",
        "Beats the simple rule: AUC 0.745; needed: more than the 0.721 of the RFM score",
        "Not too good to be true: AUC 0.745; needed: an AUC below 0.85: from there on an input may"
        " know the outcome already",
        "No input gives the outcome away: the best input by itself, orders_365d, has 0.725;"
        " needed: none with an AUC of 0.85 or more by itself",
    ]


def test_tenths_add_up_on_the_page(page: Node) -> None:
    (table,) = section(page, "models").with_class("tenths")
    rows = table.all("tbody")[0].all("tr")
    assert len(rows) == 10
    assert [r.all("td")[-1].text for r in rows][-1] == "100\u00a0%"
    assert rows[0].all("td")[0].text == "41\u00a0%"


def test_the_rule_of_the_best_cut_off_is_told(page: Node) -> None:
    text = section(page, "models").text
    assert "purchase_30d.probability >= 0.063" in text
    assert "would have bought anyway" in text


def test_nobody_treated_is_told_as_such() -> None:
    nothing = dataclasses.replace(sample_models.profit(), share=0.0, best=0.0)
    model = dataclasses.replace(sample_models.models()[0], profits=(nothing,))
    text = parse(render_html(dataclasses.replace(sample.sample(), models=(model,)))).text
    assert "Treating nobody is best" in text


def test_gains_start_at_nothing_end_at_all_and_never_fall() -> None:
    svg = str(model_charts.gain_chart(sample_models.tenths(), uid="g"))
    places = circles(svg, "dot")
    assert len(places) == 10
    xs, ys = [p[0] for p in places], [p[1] for p in places]
    assert xs == sorted(xs)
    assert ys == sorted(ys, reverse=True)
    chance = re.search(r'class="chance" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', svg)
    assert chance is not None
    assert (xs[-1], ys[-1]) == (float(chance[3]), float(chance[4]))
    share = (ys[1] - float(chance[4])) / (float(chance[2]) - float(chance[4]))
    assert 1 - share == pytest.approx(
        sum(sample_models.RATES[:2]) / sum(sample_models.RATES), abs=1e-3
    )


def test_calibration_lies_on_the_diagonal_where_both_agree() -> None:
    bins = [dataclasses.replace(b, observed=b.predicted) for b in sample_models.models()[0].bins]
    places = circles(str(model_charts.calibration_chart(bins, uid="c")), "dot")
    sums = {round(x + y, 1) for x, y, _ in places}
    assert max(sums) - min(sums) <= 0.2
    assert len({r for _, _, r in places}) > 1


def test_the_profit_curve_marks_its_highest_point() -> None:
    row = sample_models.profit()
    svg = str(model_charts.profit_chart(row, "EUR", uid="p"))
    line = re.search(r'class="line" d="([^"]+)"', svg)
    assert line is not None
    ys = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", line[1])]
    ((_, y, _),) = circles(svg, "dot")
    assert y == min(ys)


def test_a_persona_is_told_by_number_and_colour_in_the_table_and_on_the_map(page: Node) -> None:
    found = section(page, "personas")
    keys = found.with_class("seat-key")
    assert [key.text for key in keys] == ["1", "2", "3", "4"]
    numbers = [n.text for n in found.all("text") if n.attributes.get("class") == "seat-number"]
    # On the map, and on the map seen from the side.
    assert numbers == 2 * ["1", "2", "3", "4"]
    summary = sample_models.personas()
    svg = str(model_charts.persona_map(summary, uid="m"))
    for i, key in enumerate(keys):
        css = model_charts.persona_class(i)
        assert css in key.attributes["class"]
        assert len(circles(svg, css)) == sum(dot.persona == i for dot in summary.dots)
    radii = [r for i in range(4) for _, _, r in circles(svg, model_charts.persona_class(i))]
    most = max(dot.people for dot in summary.dots)
    areas = sorted((r - 2.5) ** 2 for r in radii)
    people = sorted(9.5**2 * dot.people / most for dot in summary.dots)
    assert areas == pytest.approx(people, abs=1.5)


def test_hostile_names_are_text_and_nothing_else() -> None:
    html = render_html(sample_models.with_models())
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 3


def test_the_value_of_a_small_tier_is_not_to_be_had_by_subtraction() -> None:
    tiers = (TierRow("gold", 9, 1000.0, 1.0, 2.0), TierRow("rest", 900, 5000.0, 1.0, 2.0))
    summary = ValueSummary("clv", "margin", 90, 909, 6000.0, tiers)
    assert summary.expected is None
    assert (tiers[0].expected, tiers[0].low, tiers[0].high) == (None, None, None)
    page = parse(render_html(dataclasses.replace(sample.sample(), lifetime=(summary,))))
    text = section(page, "value").text
    assert "not shown: fewer than 10 people" in text
    assert "6,000" not in text
    assert "1,000 EUR" not in text.replace("\u00a0", " ")


def test_orders_to_expect_stand_beside_their_range_and_their_past_error(page: Node) -> None:
    text = section(page, "demand").text.replace("\u00a0", " ")
    for told in ("6,204 to 7,551", "8.3 %", "41 %", "71 to 104", "19 %", "2,790 to 3,444"):
        assert told in text
    # A row of few people keeps nothing but their number.
    tiny = sample_models.demand().segments[1]
    assert (tiny.people, tiny.expected, tiny.low, tiny.high, tiny.error) == (7, *[None] * 4)
    assert "Not tried on the past, for they read scores of other models: ready_to_buy." in text
    # Everybody may buy of any category: their number says nothing beside one.
    assert text.count("12,200") == 1


def test_a_rule_in_place_of_a_value_model_is_called_one() -> None:
    summary = dataclasses.replace(sample_models.value(), rule="A rule stands in: 3 customers.")
    html = render_html(dataclasses.replace(sample.sample(), lifetime=(summary,)))
    assert "No model.</strong> A rule stands in: 3 customers." in html


def test_a_trend_draws_joins_up_and_leaves_down() -> None:
    trend, empty = sample_models.trends()
    svg = str(model_charts.trend_chart(trend, "Europe/Berlin", uid="t"))
    up = [float(h) for h in re.findall(r'class="joins".*?height="([\d.]+)"', svg)]
    down = [float(h) for h in re.findall(r'class="leaves".*?height="([\d.]+)"', svg)]
    assert len(up) == len(down) == len(trend.points) - 1
    for point, a, b in zip(trend.points[1:], up, down, strict=True):
        assert a / b == pytest.approx(point.joins / point.leaves, rel=0.02)
    assert "1,100 people, 75 joined, 45 left" in svg
    assert "nan" not in str(model_charts.trend_chart(empty, "Europe/Berlin", uid="e"))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("auc", 0.78149, "0.781"),
        ("total_error", 0.031, "+3.1\u00a0%"),
        ("total_error", -0.14, "\u221214\u00a0%"),
        ("rmse", 118.44, "118.4\u00a0EUR"),
        ("n_tested", 18204.0, "18,204"),
        ("hit_rate", 0.2231, "22\u00a0%"),
        ("log_likelihood", -1.86, "\u22121.860"),
    ],
)
def test_measures_in_their_own_unit(name: str, value: float, text: str) -> None:
    assert figure(name, value, "EUR") == text
