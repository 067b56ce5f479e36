"""The sentences: one for each verdict, never a figure where nothing may be said."""

import dataclasses
import re

import pytest

from connector.domain import Arm
from connector.report import story
from connector.report.cards import cards
from connector.report.lift import Estimate
from tests.report import sample

# Seeds and sizes for which the analysis reaches each verdict by itself.
VERDICTS = {
    "win": sample.lift("c", people=(6000, 2000), rates=(0.08, 0.04)),
    "loss": sample.lift("c", people=(6000, 2000), rates=(0.04, 0.08)),
    "flat": sample.lift("c", people=(40_000, 40_000), rates=(0.5, 0.5), kind="share",
                        flat_margin=0.05),
    "directional_only": sample.lift("c", people=(5000, 560), rates=(0.07, 0.06)),
    "not_enough_data": sample.lift("c", people=(500, 100), rates=(0.05, 0.05)),
    "do_not_trust": sample.lift("c", people=(1480, 71), rates=(0.05, 0.04),
                                shares={Arm.TREATMENT: 0.9, Arm.NO_CONTACT: 0.1}),
}  # fmt: skip


def report(*lifts, **changes):
    campaigns = tuple(c for c in sample.campaigns() if c.name == "win_back")
    base = dataclasses.replace(
        sample.sample(), campaigns=campaigns, lifts=lifts, global_holdout=None
    )
    return dataclasses.replace(base, **changes)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_each_verdict_is_reached_and_said(verdict):
    lift = VERDICTS[verdict]
    assert lift.verdict == verdict
    line = story.lift_line(lift, report(lift), who="Care")
    assert line.verdict == verdict
    assert line.text.startswith("Care")


@pytest.mark.parametrize("verdict", ["win", "loss", "flat", "directional_only"])
def test_a_figure_comes_with_its_bounds(verdict):
    text = story.lift_line(VERDICTS[verdict], report(), who="Care").text
    assert re.search(r"between \S+ and \S+ \(95\u00a0%\)", text)


@pytest.mark.parametrize("verdict", ["not_enough_data", "do_not_trust"])
def test_no_amount_is_named_where_nothing_may_be_said(verdict):
    lift = VERDICTS[verdict]
    data = report(lift)
    assert not story.shows_figures(lift, data.rules)
    line = story.lift_line(lift, data, who="Care")
    assert "EUR" not in line.text
    assert "between" not in line.text
    (card,) = [card for card in cards(data) if card.name == "C"]
    assert card.figures is None
    assert not card.plot
    assert [arm.mean for arm in card.arms] == ["–", "–"]


def test_an_interval_that_is_merely_wide_is_shown():
    lift = sample.lift("c", people=(6000, 2000), rates=(0.05, 0.05), seed=2)
    assert lift.verdict == "not_enough_data"
    assert story.shows_figures(lift, report().rules)


def test_a_gain_and_a_loss_read_as_amounts():
    lift = dataclasses.replace(VERDICTS["win"], incremental=Estimate(4213, 1124, 7301, 0.95))
    said = story.lift_line(lift, report(), who="Win-back").text
    assert said == (
        "Win-back earned 4,200\u00a0EUR more than sending nothing,"
        " between 1,100 and 7,300 (95\u00a0%)."
    )
    lift = dataclasses.replace(VERDICTS["loss"], incremental=Estimate(-4213, -7301, -1124, 0.95))
    said = story.lift_line(lift, report(), who="Win-back").text
    assert said == (
        "Win-back earned 4,200\u00a0EUR less than sending nothing,"
        " between 1,100 and 7,300 (95\u00a0%)."
    )


def test_the_headline_prefers_all_campaigns_together():
    data = sample.sample()
    assert story.headline(data).text.startswith("Win back earned")
    win = sample.lift("universal", people=(40_000, 2200), rates=(0.12, 0.06))
    assert win.verdict == "win"
    together = dataclasses.replace(data.global_holdout, lifts=(win,))
    data = dataclasses.replace(data, global_holdout=together)
    assert story.headline(data).text.startswith("All campaigns together earned")


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("flat", "No campaign made a difference"),
        ("directional_only", "Too few buyers so far"),
        ("not_enough_data", "Too few buyers so far"),
        ("do_not_trust", "groups are broken"),
    ],
)
def test_the_headline_is_honest_without_a_verdict(verdict, said):
    lift = dataclasses.replace(VERDICTS[verdict], campaign="win_back")
    assert said in story.headline(report(lift)).text


def test_before_and_between_results():
    without = dataclasses.replace(sample.empty(), campaigns=(), lifts=())
    assert "no campaign is set up yet" in story.headline(without).text
    assert "running" not in story.headline(without).text
    assert story.headline(sample.first_run()).text.startswith("Nothing has been sent yet")
    waiting = report(sample.waiting("win_back", (900, 100)))
    text = story.headline(waiting).text.replace("\u00a0", " ")
    assert text == "The campaigns are running. The first results come on 1 April 2026."
    held = dataclasses.replace(waiting.run, status="held")
    assert "held by a guard" in story.headline(dataclasses.replace(waiting, run=held)).text


def test_before_the_first_run_it_is_said_what_waits_if_anything_does():
    planned = sample.first_run()
    said = story.headline(planned).text.replace("\u00a0", " ")
    assert said == (
        "Nothing has been sent yet: the plan of 2 March 2026 waits for somebody to look at it."
    )
    nothing = dataclasses.replace(planned, waiting=None)
    assert "no plan waits" in story.headline(nothing).text
    assert story.waiting_line(nothing) == ""
    old = dataclasses.replace(planned.waiting, obstacle="It is too old: the limit is 24 hours.")
    late = dataclasses.replace(planned, waiting=old)
    assert "can no longer be applied" in story.headline(late).text
    assert "It is too old: the limit is 24 hours." in story.waiting_line(late)
    free = dataclasses.replace(planned.waiting, guards=(), n_changes=1)
    line = story.waiting_line(dataclasses.replace(planned, waiting=free))
    assert line.endswith("(1 change) waits: `liftline apply` carries it out.")


def test_a_number_below_its_threshold_does_not_read_as_it():
    early = dataclasses.replace(VERDICTS["not_enough_data"], expected_buyers=19.6)
    text = story.lift_line(early, report(early), who="Care").text
    assert "about 19 in the smaller group, and nothing is said below 20" in text


def test_the_latest_epoch_and_nobody_contacted_decide():
    old, new = sample.lift("c", epoch=1), sample.lift("c", epoch=2)
    usual = sample.lift("c", epoch=2, holdout=Arm.BUSINESS_AS_USUAL)
    beside = sample.lift("c", epoch=2, kind="share", is_goal=False)
    assert story.primary([old, usual, beside, new]) is new
    assert story.primary([old, usual]) is usual
    assert story.primary([beside]) is None
