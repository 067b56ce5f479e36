"""The page in a real browser: no errors, no requests, no sideways scrolling on a phone."""

import base64

import pytest

from connector.report.html import write_html
from tests.report import sample
from tests.report.browser import BINARY, Browser

pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    made = {"sample": sample.sample, "first_run": sample.first_run, "empty": sample.empty}
    return {name: write_html(make(), folder / f"{name}.html") for name, make in made.items()}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("name", ["sample", "first_run", "empty"])
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
