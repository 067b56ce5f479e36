"""The summary in a terminal."""

import dataclasses
import io

import pytest
from rich.console import Console

from connector.report.people import SegmentRow
from connector.report.terminal import render_terminal
from tests.report import sample
from tests.report.test_story import VERDICTS


def printed(data, *, width=120, encoding="utf-8"):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="\n")
    render_terminal(data, Console(file=file, width=width))
    file.flush()
    return raw.getvalue().decode(encoding).replace("\u00a0", " ")


def test_the_summary_says_the_same_as_the_page():
    text = printed(sample.sample())
    for wanted in (
        "Win back earned 12,200 EUR more", "Directional only", "Do not trust",
        "crm_webhook was given up", "Never gave consent", "Address refused", "passed by a person",
        "partly delivered", "210 never tried",
    ):  # fmt: skip
        assert wanted in text
    assert "@" not in text


@pytest.mark.parametrize("verdict", VERDICTS)
def test_each_verdict_is_a_word(verdict):
    lift = dataclasses.replace(VERDICTS[verdict], campaign="win_back")
    data = dataclasses.replace(sample.sample(), lifts=(lift,), global_holdout=None)
    text = printed(data).lower()
    assert verdict.replace("_", " ") in text
    assert ("not shown" in text) == (verdict in ("not_enough_data", "do_not_trust"))


@pytest.mark.parametrize("make", [sample.sample, sample.first_run, sample.empty])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_any_width_and_state(make, width):
    text = printed(make(), width=width)
    assert all(len(line) <= width for line in text.splitlines())


def test_a_plain_terminal_gets_plain_signs():
    text = printed(sample.sample(), encoding="ascii")
    assert "^ Win." in text
    assert "-0.89 to +1.85" in text


def test_names_are_not_markup():
    row = SegmentRow("[bold red]x[/]", 50, 0.5, 10.0)
    text = printed(dataclasses.replace(sample.sample(), segments=(row,)))
    assert "[bold red]x[/]" in text
