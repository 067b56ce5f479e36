"""The page: well-formed, self-contained, accessible, honest, and safe with hostile names."""

import dataclasses
import itertools
import re
from pathlib import Path

import pytest

from connector.report import html
from connector.report.data import FindingRow, QualitySummary, TableRow
from connector.report.html import SECTIONS, render_html, write_html
from connector.report.people import RfmGroup, RfmMoney, SegmentRow
from connector.report.sent import CampaignRow, DeliveryRow, GuardRow, IssueRow, RemarkRow
from tests.report import sample, sample_models
from tests.report.page import Node, parse
from tests.report.test_story import VERDICTS

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;{{ 7*7 }}"


def hostile():
    """Every text of the report replaced by an attack."""
    data = sample.sample()
    lift = dataclasses.replace(data.lifts[0], campaign=HOSTILE, metric=HOSTILE, reason=HOSTILE)
    unknown = dataclasses.replace(data.lifts[0], campaign="u", verdict=HOSTILE, kind=HOSTILE)
    campaign = CampaignRow(
        HOSTILE, HOSTILE, (HOSTILE,), 100, 90, blocked={HOSTILE: 10}, arms={"treatment": 90},
        offer=HOSTILE, audiences=(dataclasses.replace(data.campaigns[0].audiences[0], name=HOSTILE,
                                                      arm=HOSTILE, status=HOSTILE),),
    )  # fmt: skip
    return dataclasses.replace(
        data,
        project=HOSTILE,
        currency="EUR",
        run=dataclasses.replace(data.run, run_id=HOSTILE, status=HOSTILE),
        segments=(SegmentRow(HOSTILE, 50, 0.5, 10.0, None, (HOSTILE,), HOSTILE),),
        rfm=dataclasses.replace(data.rfm, groups=(RfmGroup(HOSTILE, 50, 1.0),)),
        campaigns=(campaign,),
        deliveries=(DeliveryRow(HOSTILE, (), error=HOSTILE),),
        issues=(IssueRow(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1),),
        guards=(GuardRow(HOSTILE, HOSTILE, HOSTILE),),
        quality=QualitySummary((FindingRow("error", HOSTILE, HOSTILE, HOSTILE),)),
        lifts=(lift, unknown),
        history=(dataclasses.replace(data.run, run_id=HOSTILE),),
    )


PAGES = {
    "sample": sample.sample(),
    "first_run": sample.first_run(),
    "empty": sample.empty(),
    "models": sample_models.with_models(),
    "hostile": hostile(),
}


@pytest.fixture(scope="module", params=PAGES)
def page(request) -> Node:
    return parse(render_html(PAGES[request.param]))


@pytest.fixture(scope="module")
def shown() -> Node:
    return parse(render_html(sample.sample()))


def test_ids_are_unique_and_references_lead_somewhere(page):
    ids = [node.attributes["id"] for node in page.walk() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    for node in page.walk():
        wanted = (node.attributes.get("aria-labelledby") or "").split()
        href = node.attributes.get("href") or ""
        wanted += [href[1:]] if href.startswith("#") else []
        assert set(wanted) <= set(ids)


def test_headings_descend_without_gaps(page):
    levels = [int(node.tag[1]) for node in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert all(node.text.strip() for node in page.all("h1", "h2", "h3"))


def test_landmarks(page):
    assert page.all("html")[0].attributes["lang"] == "en"
    for landmark in ("header", "nav", "main", "footer"):
        assert page.all(landmark)
    assert len(page.all("main")) == 1
    sections = [node.attributes["id"] for node in page.all("section")]
    assert {section.uid for section in SECTIONS if not section.needs} <= set(sections)
    assert sections == [section.uid for section in SECTIONS if section.uid in sections]


def test_every_table_has_a_caption_and_scoped_headers(page):
    for table in page.all("table"):
        assert table.all("caption")[0].text.strip()
        assert all(th.attributes.get("scope") in ("row", "col") for th in table.all("th"))
        for row in table.all("tbody")[0].all("tr"):
            assert row.all("th")
        box = table.parent
        assert box.attributes["class"] == "scroll"
        assert box.attributes["tabindex"] == "0"
        assert box.attributes["role"] == "region"


def test_rows_are_as_wide_as_their_headers(page):
    def width(row: Node) -> int:
        cells = [c for c in row.children if isinstance(c, Node)]
        return sum(int(cell.attributes.get("colspan") or 1) for cell in cells)

    for table in page.all("table"):
        assert len({width(row) for row in table.all("tr")}) == 1, table.all("caption")[0].text


def test_drawings_are_named_or_hidden(page):
    for svg in page.all("svg"):
        if svg.attributes.get("role") == "img":
            assert svg.all("title")[0].text.strip()
            assert svg.all("desc")[0].text.strip()
        else:
            assert svg.attributes["aria-hidden"] == "true"


def test_nothing_is_fetched(page):
    for node in page.walk():
        assert node.tag not in {"script", "link", "img", "iframe", "object", "embed", "base"}
        for name, value in node.attributes.items():
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "action", "style", "background"}
            if name == "href":
                assert (value or "").startswith("#")
    style = "".join(child for child in page.all("style")[0].children if isinstance(child, str))
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [m for m in page.all("meta") if m.attributes.get("http-equiv")]
    assert "default-src 'none'" in policy.attributes["content"]


def test_hostile_names_stay_text():
    page = parse(render_html(hostile()))
    assert not page.all("script", "img")
    assert "alert(" in page.text
    assert "49" not in re.findall(r"\{\{.*?\}\}|\b49\b", page.all("h3")[0].text)
    assert "{{ 7*7 }}" in page.text


def test_no_address_and_no_leftover(page):
    assert "@" not in page.text
    for leftover in ("None", "nan", "inf ", "Undefined", "{%", "datetime"):
        assert leftover not in page.text, leftover


@pytest.mark.parametrize("name", PAGES)
def test_small_enough_to_mail(name):
    assert len(render_html(PAGES[name]).encode()) < 300_000


def test_rendering_is_repeatable():
    assert render_html(sample.sample()) == render_html(sample.sample())


# ---------------------------------------------------------------------- what it says
def test_every_figure_stands_beside_its_interval(shown):
    figures = shown.with_class("figure")
    assert len(figures) >= 20
    for figure in figures:
        siblings = [c for c in figure.parent.children if isinstance(c, Node)]
        after = siblings[siblings.index(figure) + 1]
        assert re.fullmatch(r"95\u00a0% interval: [+\u2212\d].* to [+\u2212\d].*", after.text)


def test_percentages_of_lift_appear_only_with_their_interval(shown):
    for card in shown.with_class("result"):
        for node in card.walk():
            own = "".join(c for c in node.children if isinstance(c, str))
            if re.search(r"[+\u2212][\d.,]+\u00a0%", own) and node.tag != "desc":
                assert {"figure", "interval"} & set((node.attributes.get("class") or "").split())


@pytest.mark.parametrize("verdict", VERDICTS)
def test_each_verdict_is_shown_as_word_shape_and_colour(verdict):
    lift = dataclasses.replace(VERDICTS[verdict], campaign="win_back")
    data = dataclasses.replace(sample.sample(), lifts=(lift,), global_holdout=None)
    page = parse(render_html(data))
    card = page.with_class("result")[0]
    (badge,) = card.with_class("verdict")
    assert badge.text.strip().lower() == verdict.replace("_", " ")
    assert f"v-{verdict}" in badge.attributes["class"]
    assert badge.all("svg")
    told = bool(card.with_class("figure"))
    assert told == (verdict not in ("not_enough_data", "do_not_trust"))
    assert bool(card.with_class("forest")) == told
    assert ("No figure is shown" in card.text) == (not told)


def test_the_reason_and_the_figures_agree(shown):
    card = next(c for c in shown.with_class("result") if "Win back" in c.all("h3")[0].text)
    difference = card.with_class("figure")[0].text.split("\u00a0")[0]
    assert difference in card.with_class("reason")[0].text


def test_the_page_names_everything_asked_of_it(shown):
    text = shown.text
    for wanted in (
        "Never gave consent", "Withdrew consent", "In the global holdout", "Address refused",
        "crm_webhook was given up", "Somebody looked and let it pass", "Intention to treat",
        "Hall (1992)", "Agresti and B. Caffo (2000)", "Group sizes (SRM)", "816 people",
        "fewer than 10 people", "6 April 2026, 06:00", "48,210", "12,200",
    ):  # fmt: skip
        assert wanted.replace(" ", "") in text.replace("\u00a0", "").replace(" ", ""), wanted


def test_small_cells_have_people_but_no_money(shown):
    heat = next(t for t in shown.all("table") if t.attributes.get("class") == "heat")
    last = heat.all("tr")[-1].all("td")[-1]
    assert last.with_class("cell-people")[0].text == "7 people"
    assert last.with_class("cell-money")[0].text == "–"


def test_the_first_run_says_what_happens_next():
    page = parse(render_html(sample.first_run()))
    text = page.text
    assert "Look at the plan and approve it" in text
    assert "Nothing was sent yet" in text
    assert "is held until somebody looks and runs `liftline apply --approve first_sync`" in text
    assert "would become of them; nothing of this has been carried out" in text
    assert not page.with_class("figure")


def test_without_a_plan_nobody_is_asked_to_look_at_one():
    data = dataclasses.replace(sample.first_run(), waiting=None)
    text = parse(render_html(data)).text
    assert "Make a plan with liftline plan" in text
    assert "Look at the plan and approve it" not in text
    assert "no plan waits" in text


def test_a_guard_that_was_passed_asks_for_nothing():
    data = sample.sample()
    passed = GuardRow("first_sync", "hubspot", "nothing was ever sent there.", True, sample.AS_OF)
    text = parse(render_html(dataclasses.replace(data, guards=(passed,)))).text
    assert "Somebody looked and let it pass on 6\u00a0April\u00a02026." in text
    assert "--approve" not in text


def test_a_held_run_shows_its_numbers_as_planned():
    data = sample.sample()
    holding = GuardRow("removals_above", "hubspot: a list", "500 of 900 people would leave.")
    held = dataclasses.replace(data.run, status="held")
    text = parse(render_html(dataclasses.replace(data, run=held, guards=(holding,)))).text
    assert "This held the last run." in text
    assert "nothing of this has been carried out" in text
    assert "Lists at the destinations after this run" not in text


def test_destinations_that_nothing_could_be_done_for_are_told():
    data = sample.sample()
    remark = RemarkRow("old_crm", "The ledger holds 1,204 people there.", "Put it back.")
    text = parse(render_html(dataclasses.replace(data, remarks=(remark,)))).text
    assert "old_crm: The ledger holds 1,204 people there. Put it back." in text
    assert "Taken off" not in text
    first, *others = data.campaigns
    lists = (dataclasses.replace(first.audiences[0], taken_off=17),)
    taken = (dataclasses.replace(first, audiences=lists), *others)
    page = parse(render_html(dataclasses.replace(data, campaigns=taken)))
    (table,) = [t for t in page.all("table") if "Lists at the destinations" in t.text]
    assert [c.text for c in table.all("tr")[1].all("td")][-2:] == ["17", "kept"]
    assert "people whom somebody else took off the list" in page.text


def test_why_a_return_is_not_told():
    campaigns = {c.name: c for c in sample.campaigns()}
    win_back = dataclasses.replace(
        campaigns["win_back"], cost_per_contact=0.02, cost_per_redemption=9.5
    )
    lift = dataclasses.replace(sample.lifts()[0], cost=None, incremental_roas=None)
    data = dataclasses.replace(sample.sample(), campaigns=(win_back,), lifts=(lift,))
    text = parse(render_html(data)).text.replace("\u00a0", " ")
    assert "Sending cost 0.02 EUR a person; each use of the offer costs 9.50 EUR" in text
    assert "nothing in the data says who used it, so the return is not told" in text
    free = dataclasses.replace(win_back, cost_per_contact=None, cost_per_redemption=None)
    text = parse(render_html(dataclasses.replace(data, campaigns=(free,)))).text
    assert "The strategy names none, so the return is not told." in text


def test_rows_that_could_not_be_read_stand_out():
    orders = TableRow("in_orders", 1000, 983, {"unreadable_ordered_at": 17})
    quality = dataclasses.replace(sample.sample().quality, tables=(orders,))
    page = parse(render_html(dataclasses.replace(sample.sample(), quality=quality)))
    (notice,) = [n for n in page.with_class("notice") if "could not be read" in n.text]
    assert "17 with an unreadable ordered at" in notice.text
    (table,) = [t for t in page.all("table") if "What became of every row" in t.text]
    assert "17 with an unreadable ordered at" in table.text


def test_an_empty_project_is_no_broken_page():
    text = parse(render_html(sample.empty())).text
    for said in ("No segment is configured", "No RFM model", "No campaign is configured", "No run"):
        assert said in text


def test_a_run_that_killed_itself_has_no_duration():
    data = sample.sample()
    cut = dataclasses.replace(data.run, finished_at=None, status="interrupted")
    page = parse(render_html(dataclasses.replace(data, history=(cut,))))
    assert "Interrupted" in page.text


def test_grids_of_other_sizes():
    data = sample.sample()
    axis = dataclasses.replace(data.rfm.frequency, edges=(2.0, 4.0))
    cells = tuple(c for c in data.rfm.cells if c.f <= 3)
    rfm = dataclasses.replace(data.rfm, frequency=axis, cells=cells)
    page = parse(render_html(dataclasses.replace(data, rfm=rfm)))
    heat = next(t for t in page.all("table") if t.attributes.get("class") == "heat")
    assert len(heat.all("tr")) == 6
    assert len(heat.all("tr")[1].all("td")) == 3


# ---------------------------------------------------------------------- the file
def test_written_whole_and_replaced(tmp_path):
    path = tmp_path / "out" / "report.html"
    assert write_html(sample.empty(), path) == path
    write_html(sample.sample(), path)
    assert path.read_text(encoding="utf-8") == render_html(sample.sample())
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_failure_leaves_the_old_report(tmp_path, monkeypatch):
    path = write_html(sample.empty(), tmp_path / "report.html")
    before = path.read_text(encoding="utf-8")

    def refuse(self, target):
        raise OSError("full")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="full"):
        write_html(sample.sample(), path)
    assert path.read_text(encoding="utf-8") == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


# ---------------------------------------------------------------------- colours
def _colours() -> dict[str, dict[str, str]]:
    css = (Path(html.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)[:2]
    found = {}
    for name, block in (("light", light), ("dark", dark)):
        found[name] = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    return found


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(a: str, b: str) -> float:
    """WCAG 2.2, relative luminance."""
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme):
    colours = _colours()[scheme]
    pairs = [(ink, ground) for ink in ("ink", "muted", "accent") for ground in ("bg", "card")]
    pairs += [("muted", "soft"), ("ink", "stop-bg"), ("ink", "hint-bg")]
    for tone in ("win", "loss", "flat", "hint", "wait", "stop"):
        pairs += [(tone, f"{tone}-bg"), (tone, "card")]
    pairs += [(f"h{i}-ink", f"h{i}") for i in range(1, 7)]
    for ink, ground in pairs:
        assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_heat_map_reads_in_greyscale(scheme):
    colours = _colours()[scheme]
    ramp = [_luminance(colours[f"h{i}"]) for i in range(1, 7)]
    assert ramp == sorted(ramp, reverse=scheme == "light")
    assert all(abs(a - b) > 0.004 for a, b in itertools.pairwise(ramp))


def test_the_money_score_has_people_and_money():
    page = parse(render_html(sample.sample()))
    (table,) = [t for t in page.all("table") if "The money score" in t.all("caption")[0].text]
    best = [cell.text.strip() for cell in table.all("tbody")[0].all("tr")[0].all("th", "td")]
    assert best[:3] == ["M5", "above 412.55\u00a0EUR", "6,161"]
    # 2,736,613.55 of 5,509,975.05 in all
    assert best[-1] == "50\u00a0%"


def test_money_of_few_people_is_not_to_be_had_by_subtraction():
    data = sample.sample()
    money = (RfmMoney(1, 9, 90.0), RfmMoney(5, 900, 9_000.0))
    rfm = dataclasses.replace(data.rfm, money=money)
    page = parse(render_html(dataclasses.replace(data, rfm=rfm)))
    (table,) = [t for t in page.all("table") if "The money score" in t.all("caption")[0].text]
    assert "not shown" in table.text
    assert "90.00" not in table.text
    assert "100\u00a0%" not in table.text
