"""The page in a real browser: no errors, no requests, no sideways scrolling on a phone."""

import base64
import re

import pytest

from connector.report.html import write_html
from tests.report import sample, sample_lift, sample_models
from tests.report.browser import BINARY, Browser

pytestmark = pytest.mark.skipif(
    BINARY is None,
    reason="no Chromium on the PATH (chromium, chromium-browser or google-chrome): the report is"
    " not tried in a browser; its HTML is checked by test_html.py all the same",
)

CONTRAST = """
(() => {
  const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const over = (top, under) => top.slice(0, 3).map((c, i) => {
    const a = top.length > 3 ? top[3] : 1;
    return a * c + (1 - a) * under[i];
  });
  const ground = e => {
    const layers = [];
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      layers.push(c);
      if (c.length < 4 || c[3] === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.getClientRects().length) continue;
    if (e.closest("title, desc, style, .hidden, .skip")) continue;
    const style = getComputedStyle(e);
    const back = ground(e);
    const ink = over(parse(e instanceof SVGElement ? style.fill : style.color), back);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    seen += 1;
    if (ratio < (large ? 3 : 4.5)) {
      poor.push([ratio.toFixed(2), walker.currentNode.textContent.trim().slice(0, 40)]);
    }
  }
  return {seen, poor};
})()
"""
"""Texts below the contrast that WCAG 2.2 asks for at level AA (success criterion 1.4.3)."""


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    made = {
        "sample": sample.sample,
        "first_run": sample.first_run,
        "empty": sample.empty,
        "models": sample_models.with_models,
        "proven": sample_lift.proven,
        "experiment": sample_lift.experiment,
    }
    return {name: write_html(make(), folder / f"{name}.html") for name, make in made.items()}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("name", ["sample", "first_run", "empty", "models"])
def test_no_complaint_no_request_and_no_sideways_scroll(browser, pages, name, width, dark):
    browser.show(pages[name].as_uri(), width=width, dark=dark)
    assert browser.value("document.documentElement.scrollWidth") <= width
    complaints = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}
    assert [e for e in browser.events if e.get("method") in complaints] == []
    requests = [
        e["params"]["request"]["url"]
        for e in browser.events
        if e.get("method") == "Network.requestWillBeSent"
    ]
    assert requests == [pages[name].as_uri()]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["sample", "first_run"])
def test_every_text_can_be_read(browser, pages, name, dark):
    browser.show(pages[name].as_uri(), width=1280, dark=dark)
    found = browser.value(CONTRAST)
    assert found["seen"] > 100
    assert found["poor"] == []


def test_what_is_wider_than_a_phone_scrolls_in_its_own_box_and_shows_it(browser, pages):
    browser.show(pages["sample"].as_uri(), width=390)
    boxes = browser.value(
        "[...document.querySelectorAll('.scroll')].map(e => ({wide: e.scrollWidth > e.clientWidth,"
        " focus: e.tabIndex, name: e.getAttribute('aria-labelledby'),"
        " shade: getComputedStyle(e).backgroundImage.includes('gradient')}))"
    )
    wide = [box for box in boxes if box["wide"]]
    assert wide
    assert all(box["shade"] and box["focus"] == 0 and box["name"] for box in wide)
    outside = browser.value(
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, .skip, .hidden')"
        " && e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1)"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert outside == []


OPENED = "document.querySelectorAll('details').forEach(e => { e.open = true; })"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["proven", "experiment"])
def test_what_stands_behind_a_verdict_fits_when_it_is_opened(browser, pages, name, width):
    browser.show(pages[name].as_uri(), width=width)
    browser.value(OPENED)
    assert browser.value("document.documentElement.scrollWidth") <= width
    outside = browser.value(
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, .skip, .hidden')"
        " && e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1)"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert outside == []
    found = browser.value(CONTRAST)
    assert found["seen"] > 100
    assert found["poor"] == []


def test_drawings_of_an_effect_have_a_name_for_screen_readers(browser, pages):
    """As the browser's own accessibility tree computes it."""
    browser.show(pages["proven"].as_uri(), width=1280)
    tree = browser.send("Accessibility.getFullAXTree")["nodes"]
    images = [n for n in tree if n.get("role", {}).get("value") in ("image", "img")]
    names = [n["name"]["value"] for n in images]
    assert sum("over time" in name for name in names) >= 4
    assert all(names)


def test_what_is_folded_is_printed_open(browser, pages):
    browser.show(pages["proven"].as_uri(), width=round((210 - 2 * 13) / 25.4 * 96))
    browser.send("Emulation.setEmulatedMedia", media="print")
    try:
        heights = browser.value(
            "[...document.querySelectorAll('.result details table')]"
            ".map(e => e.getBoundingClientRect().height)"
        )
        cut = browser.value(
            "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth"
            " + 1).map(e => e.getAttribute('aria-labelledby'))"
        )
    finally:
        browser.send("Emulation.setEmulatedMedia", media="")
    assert len(heights) > 10
    assert min(heights) > 20
    assert cut == []


def test_links_are_large_enough_for_a_thumb(browser, pages):
    """At least 24 CSS pixels high (WCAG 2.2, success criterion 2.5.8)."""
    browser.show(pages["sample"].as_uri(), width=390)
    heights = browser.value(
        "[...document.querySelectorAll('nav a')].map(e => e.getBoundingClientRect().height)"
    )
    assert len(heights) == 7
    assert min(heights) >= 24


def test_the_colour_schemes_differ(browser, pages):
    grounds = []
    for dark in (False, True):
        browser.show(pages["sample"].as_uri(), width=1280, dark=dark)
        grounds.append(browser.value("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(244, 246, 248)", "rgb(16, 21, 27)"]


def test_numbers_never_spill_out_of_their_cells(browser, pages):
    browser.show(pages["sample"].as_uri(), width=390)
    spilled = browser.value(
        "[...document.querySelectorAll('.heat td, .numbers dd, .tile dd, .verdict')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    )
    assert spilled == []


def test_it_prints_light_on_a4_in_few_pages(browser, pages):
    browser.show(pages["sample"].as_uri(), width=1280, dark=True)
    made = browser.send("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
    pdf = base64.b64decode(made["data"])
    n_pages = pdf.count(b"/Type /Page\n") or pdf.count(b"/Type /Page ")
    assert 4 <= n_pages <= 10
    assert (round(210 / 25.4 * 72), round(297 / 25.4 * 72)) == media_box(pdf)


def test_nothing_is_cut_off_on_paper(browser, pages):
    width = round((210 - 2 * 13) / 25.4 * 96)
    browser.show(pages["sample"].as_uri(), width=width)
    browser.send("Emulation.setEmulatedMedia", media="print")
    try:
        cut = browser.value(
            "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth"
            " + 1).map(e => e.getAttribute('aria-labelledby'))"
        )
        ground = browser.value("getComputedStyle(document.body).backgroundColor")
        links = browser.value("getComputedStyle(document.querySelector('.contents')).display")
    finally:
        browser.send("Emulation.setEmulatedMedia", media="")
    assert cut == []
    assert ground == "rgb(255, 255, 255)"
    assert links == "none"


def media_box(pdf):
    """Width and height of the first page in points, rounded."""
    found = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    return tuple(round(float(number)) for number in found.groups())
