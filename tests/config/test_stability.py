"""Stability of segments in the file."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connector.config import Config, InvalidConfigError, parse_config
from tests.config.shop import ENVIRON, MINIMAL

BLOCK = """\
stability: {enter_after: 1 run, exit_after: 2 runs, min_stay: 7d, margin: {probability: 0.03}}
"""


def read(block: str) -> Config:
    return parse_config(MINIMAL + block, ENVIRON, name="shop.yaml")


def test_what_is_read() -> None:
    found = read(BLOCK).stability
    assert (found.enter_after, found.exit_after) == (1, 2)
    assert found.min_stay == timedelta(days=7)
    assert (found.margin.probability.enter, found.margin.probability.leave) == (0.0, 0.03)
    assert read("").stability.exit_after == 1


def test_a_margin_may_have_two_sides() -> None:
    found = read("stability: {margin: {percentile: {enter: 1, exit: 2}}}\n").stability.margin
    assert (found.percentile.enter, found.percentile.leave) == (1, 2)
    assert (found.probability.enter, found.probability.leave) == (0.0, 0.0)


def test_a_segment_has_its_own() -> None:
    own = MINIMAL.replace(
        "{from: rfm.champions}", "{from: rfm.champions, stability: {exit_after: 3 runs}}"
    )
    segment = parse_config(own, ENVIRON).segments["champions"]
    assert segment.stability is not None
    assert segment.stability.exit_after == 3


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (
            "stability: {exit_after: 2}\n",
            "stability.exit_after: found 2; allowed: a number of runs, such as 1 run or 2 runs.",
        ),
        (
            "stability: {bypass: [goal_reached]}\n",
            "stability.bypass: found a list; allowed: a list with consent, exclusion_lists,"
            " erasure: leaving for these never waits.",
        ),
        (
            "stability: {margin: {probability: 3}}\n",
            "stability.margin.probability: found 3; allowed: less than 1.",
        ),
        (
            "stability: {min_stay: 36h}\n",
            "stability.min_stay: found '36h'; allowed: a whole number of days or weeks, such as"
            " 30d or 2w.",
        ),
    ],
)
def test_what_is_said(block: str, said: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        read(block)
    assert str(caught.value) == f"shop.yaml:{len(MINIMAL.splitlines()) + 1}: {said}"
