"""What stands behind a verdict on the page: complete, labelled, and no number without its range."""

import dataclasses
import json
import re

import pyarrow.parquet as pq
import pytest

from connector.pipeline.show.lift_files import write_lift
from connector.report import effect_charts, story
from connector.report.data import ReportData
from connector.report.figures import open_figure
from connector.report.html import render_html
from connector.report.lift import LiftRow, OpenEstimate
from connector.report.offers import OfferClass
from tests.report import sample_lift
from tests.report.page import Node, parse

INTERVAL = re.compile(r"(95|97\.5)\u00a0% interval: [+\u2212]?[\d.,]+.* to [+\u2212]?[\d.,]+.*")
ONLY = ("results", "reading")


@pytest.fixture(scope="module")
def shown() -> Node:
    return parse(render_html(sample_lift.proven()))


@pytest.fixture(scope="module")
def experiment() -> Node:
    return parse(render_html(sample_lift.experiment(), only=ONLY))


def card(page: Node, name: str) -> Node:
    return next(c for c in page.with_class("result") if c.all("h3")[0].text == name)


def said(node: Node) -> str:
    return node.text.replace("\u00a0", " ")


# ---------------------------------------------------------------------- no number without range
@pytest.mark.parametrize("make", [sample_lift.proven, sample_lift.experiment])
def test_every_figure_stands_beside_its_interval(make):
    page = parse(render_html(make()))
    figures = page.with_class("figure")
    assert len(figures) > 40
    for figure in figures:
        siblings = [c for c in figure.parent.children if isinstance(c, Node)]
        assert INTERVAL.fullmatch(siblings[siblings.index(figure) + 1].text), figure.text


@pytest.mark.parametrize("make", [sample_lift.proven, sample_lift.experiment])
def test_no_signed_amount_or_percentage_is_bare(make):
    """A gain is a figure, an interval, an axis label, or in a sentence that names its interval."""
    for one in parse(render_html(make())).with_class("result"):
        for node in one.walk():
            own = "".join(c for c in node.children if isinstance(c, str))
            if not re.search(r"[+\u2212]\d", own) or node.tag in ("text", "desc"):
                continue
            css = set((node.attributes.get("class") or "").split())
            assert css & {"figure", "interval"} or "interval" in own or "limit of" in own, own


def test_every_sentence_with_an_amount_names_its_bounds():
    for make in (sample_lift.proven, sample_lift.experiment):
        for line in story.lines(make()):
            if re.search(r"\d.*(EUR|people|points)", line.text) and "group" not in line.text:
                assert re.search(r"between \S+ and \S+ \((95|97\.5)\u00a0%\)", line.text), line.text


# ---------------------------------------------------------------------- the executive lines
def test_all_campaigns_together_come_first_and_then_the_largest():
    lines = story.lines(sample_lift.proven())
    assert [line.whole for line in lines] == [True] + [False] * (len(lines) - 1)
    assert [line.text.split(" earned")[0] for line in lines[1:3]] == ["Kitchen launch", "Win back"]
    assert {line.verdict for line in lines} >= {
        "win", "loss", "flat", "directional_only", "not_enough_data", "do_not_trust",
    }  # fmt: skip


def test_a_running_campaign_says_when_it_is_decided():
    line = next(x for x in story.lines(sample_lift.proven()) if x.text.startswith("Kitchen"))
    assert line.text.replace("\u00a0", " ").endswith("It runs until 21 May 2026; that day decides.")
    whole = story.lines(sample_lift.proven())[0]
    assert whole.text.endswith("It is still running.")


def test_a_test_that_was_broken_before_it_began_says_so():
    data = sample_lift.proven()
    lift = next(lift for lift in data.lifts if lift.campaign == "birthday")
    bias = dataclasses.replace(lift.health[3], gate="pre_period")
    lift = dataclasses.replace(lift, health=(bias,))
    assert "not alike before" in story.lift_line(lift, data, who="Birthday").text


# ---------------------------------------------------------------------- what stands behind it
def test_the_win_has_its_whole_account(shown):
    text = said(card(shown, "Win back"))
    for wanted in (
        "Cost", "Incremental revenue", "Incremental margin, after the cost", "Incremental orders",
        "iROAS", "Cost of each extra order", "The cost is 0.02 for each person treated.",
    ):  # fmt: skip
        assert wanted in text


def test_what_cannot_be_bounded_is_said_in_words(shown):
    assert "Not to be told. The campaign gained no orders" in said(card(shown, "Kitchen launch"))
    loose = OpenEstimate(12.0, 3.1, None, 0.95, "There is no upper bound.")
    figure = open_figure(loose, "EUR", is_price=True)
    assert figure.closed is None
    assert figure.words.replace("\u00a0", " ") == (
        "At least 3.10 EUR (95 % interval). There is no upper bound."
    )


def test_the_difference_over_time_has_band_zero_margin_and_end(shown):
    (chart,) = card(shown, "Win back").with_class("over-time")
    assert chart.attributes["role"] == "img"
    assert "over time" in chart.all("title")[0].text
    assert "97.5\u00a0% interval" in chart.all("desc")[0].text
    for part in ("sure", "zero-line", "none-band", "decides", "best"):
        assert chart.with_class(part), part
    assert "registered end 6\u00a0Apr" in chart.text
    (running,) = card(shown, "Kitchen launch").with_class("over-time")
    assert not running.with_class("decides")
    (endless,) = card(shown, "All campaigns together").with_class("over-time")
    assert not endless.with_class("best")


def test_a_band_beyond_the_drawing_stays_inside_it():
    looks = sample_lift.rows()[0].series
    wild = (dataclasses.replace(looks[0], low=-900.0, high=900.0), *looks[1:])
    svg = effect_charts.series_chart(
        wild, decided=None, ends_at=None, scale=1.0, margin=0.1, unit="EUR", timezone="UTC",
        title="t", description="d", uid="u",
    )  # fmt: skip
    (edge,) = re.findall(r'class="sure" d="M([^Z]*)Z', svg)
    heights = [float(pair.split()[1]) for pair in edge.split("L")]
    assert min(heights) >= 0
    assert max(heights) <= 236


def test_the_usual_programme_is_segmented_against_non_segmented(shown):
    (block,) = card(shown, "Win back").with_class("beside")
    assert block.all("h4")[0].text == "Segmented against non-segmented"
    assert "Usual programme" in block.text
    assert "Guardrail kept." in block.text
    assert len(block.with_class("figure")) >= 2


def test_a_prediction_is_labelled(shown):
    (row,) = [r for r in card(shown, "Win back").all("tr") if "Expected value" in r.text]
    assert "a prediction, not what happened" in row.text


def test_small_classes_are_left_out_and_the_others_have_corrected_values(shown):
    (details,) = [d for d in card(shown, "Win back").all("details") if "The effect by" in d.text]
    table, kpis = details.all("table")
    names = [row.all("th")[0].text for row in table.all("tbody")[0].all("tr")]
    assert names == ["At risk", "Champions", "Lost"]
    assert all("p\u00a0" in row.all("td")[4].text for row in table.all("tbody")[0].all("tr"))
    assert [th.text for th in kpis.all("thead")[0].all("th")] == [
        "RFM group", "Revenue per person", "Conversion",
    ]  # fmt: skip


def test_classes_of_few_people_are_left_out_and_said_to_be():
    data = sample_lift.proven()
    lift = next(lift for lift in data.lifts if lift.campaign == "win_back")
    first = lift.segments[0]
    tiny = dataclasses.replace(
        first, name="cant_lose",
        treatment=dataclasses.replace(first.treatment, n=6),
        holdout=dataclasses.replace(first.holdout, n=3),
    )  # fmt: skip
    few = dataclasses.replace(
        first, name="new", holdout=dataclasses.replace(first.holdout, n=9), expected_buyers=1.0,
        verdict="not_enough_data",
    )  # fmt: skip
    lift = dataclasses.replace(lift, segments=(*lift.segments, tiny, few))
    page = parse(render_html(dataclasses.replace(data, lifts=(lift,))))
    (details,) = [d for d in card(page, "Win back").all("details") if "The effect by" in d.text]
    assert "Can't lose" not in details.text
    assert "Left out: 1 with fewer than 10 people" in details.text
    assert "Too few buyers to say anything of: New." in details.text


def test_other_roads_health_and_methods(shown):
    text = said(card(shown, "Win back"))
    for wanted in (
        "no alarm in 5 checks", "Large values capped", "Welch's interval", "Power left",
        "As decided", "Hall's interval", "6 April 2026, reached",
    ):  # fmt: skip
        assert wanted in text
    (alarm,) = [d for d in card(shown, "Birthday").all("details") if "1 alarm" in d.text]
    assert "open" in alarm.attributes
    assert not card(shown, "Birthday").with_class("figure")


def test_the_methods_have_their_sources(shown):
    text = shown.text
    for wanted in ("Hall (1992)", "Agresti and B. Caffo", "Waudby-Smith", "Deng", "Benjamini",
                   "Ghost ads", "Fieller"):  # fmt: skip
        assert wanted in text


def test_offers_are_compared_with_control_and_each_other(shown):
    (section,) = [s for s in shown.all("section") if s.attributes["id"] == "offers"]
    everybody, pairs = section.all("table")
    assert [r.all("th")[0].text for r in pairs.all("tbody")[0].all("tr")] == [
        "15 percent against free shipping", "15 percent against held out",
        "Free shipping against held out",
    ]  # fmt: skip
    assert len(pairs.with_class("figure")) == 3
    vip = everybody.all("tbody")[0].all("tr")[1]
    assert "fewer than 10 people" in vip.text
    assert not vip.with_class("figure")
    few = sample_lift.offers().classes[1]
    assert (few.gain, few.pairs) == (None, ())
    assert dataclasses.replace(few, cells=()) == OfferClass(
        "vip", (), None, "15_percent", None, None, few.reason
    )


# ---------------------------------------------------------------------- an experiment run elsewhere
def test_an_experiment_speaks_of_itself(experiment):
    headline = said(experiment.all("h1")[0])
    assert re.fullmatch(
        r"Ten percent brought [\d.]+ EUR more per person than control,"
        r" between [\d.]+ and [\d.]+ \(95 %\)\.",
        headline,
    )
    text = experiment.text
    for wrong in ("campaign is set up", "Changes delivered", "People known", "Held out",
                  "0 days", "sending nothing", "Registered end"):  # fmt: skip
        assert wrong not in text, wrong
    tiles = dict(zip(
        (n.text for n in experiment.with_class("tiles")[0].all("dt")),
        (n.text for n in experiment.with_class("tiles")[0].all("dd")), strict=True,
    ))  # fmt: skip
    assert tiles == {"People compared": "33,000", "Groups": "3", "Measures": "2"}


def test_each_pair_of_groups_has_its_card_the_control_first(experiment):
    names = [c.all("h3")[0].text for c in experiment.with_class("result")]
    assert names == [
        "Ten percent against control", "Free shipping against control",
        "Ten percent against free shipping",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "wanted"),
    [
        ("not_enough_data", "has not decided"),
        ("do_not_trust", "groups are broken"),
        ("flat", "No group of the experiment did better or worse"),
    ],
)
def test_an_experiment_without_a_winner_does_not_claim_one(verdict, wanted):
    data = sample_lift.experiment()
    lifts = tuple(dataclasses.replace(lift, verdict=verdict) for lift in data.lifts)
    assert wanted in story.headline(dataclasses.replace(data, lifts=lifts)).text


# ---------------------------------------------------------------------- for programs
def test_a_result_is_the_same_for_the_page_and_for_programs(tmp_path):
    found = sample_lift.analysed()
    for lift in found:
        assert LiftRow.from_json(lift.to_json()).to_json() == lift.to_json()
    text, rows = write_lift(found, tmp_path / "r.html")[:2]
    stored = json.loads(text.read_text(encoding="utf-8"))["comparisons"]
    table = pq.read_table(rows).to_pylist()
    assert len(stored) == len(table) == len(found)
    for lift, document, row in zip(found, stored, table, strict=True):
        assert document["verdict"] == row["verdict"] == lift.verdict.value
        if lift.difference is not None:
            assert document["difference"]["low"] == row["difference_low"] == lift.difference.low
            assert row["difference_estimate"] == lift.difference.estimate
        assert row["treatment_n"] == lift.treatment.n


def test_the_report_can_be_made_again_from_its_json():
    data = sample_lift.proven()
    again = ReportData.from_json(json.loads(json.dumps(data.to_json())))
    assert render_html(again) == render_html(data)


@pytest.mark.parametrize("make", [sample_lift.proven, sample_lift.experiment])
def test_small_enough_to_mail(make):
    assert len(render_html(make()).encode()) < 3_000_000
