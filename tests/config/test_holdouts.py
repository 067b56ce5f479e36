"""Global holdouts one after the other, who is exempt, and what a campaign must be able to show."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from connector.config import Config, load_config
from connector.pipeline import specs
from tests.config.shop import FULL, broken, message_of

ONE = "  global: {name: universal, share: 5%, exempt_campaigns: [vip]}"
QUARTERS = """\
  global:
    - {name: q1, share: 5%, start: 2026-01-01, end: 2026-03-31, then: release, exempt_tags: [legal]}
    - {name: q2, share: 10%, start: 2026-04-01, exempt_campaigns: [winback]}"""


def load(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    return load_config(path, {"HUBSPOT_TOKEN": "t", "HOLDOUT_SALT": "s"})


def test_one_alone_and_a_list_of_one_are_the_same(tmp_path):
    alone = load(tmp_path, FULL).holdouts
    listed = load(tmp_path, broken(ONE, ONE.replace("{name", "[{name") + "]")).holdouts
    assert alone.global_ == listed.global_
    assert alone.global_on(date(2026, 3, 2)) == alone.global_[0]


def test_a_day_has_the_holdout_of_its_quarter(tmp_path):
    holdouts = load(tmp_path, broken(ONE, QUARTERS)).holdouts
    first, second = holdouts.global_
    assert holdouts.global_on(date(2025, 12, 31)) is None
    assert holdouts.global_on(date(2026, 1, 1)) == holdouts.global_on(date(2026, 3, 31)) == first
    assert holdouts.global_on(date(2026, 4, 1)) == holdouts.global_on(date(2030, 1, 1)) == second
    assert holdouts.global_shown(date(2025, 12, 31)) is None


def test_what_has_ended_is_still_told_of(tmp_path):
    ended = broken(ONE, ONE.replace("share", "end: 2026-03-31, share"))
    holdouts = load(tmp_path, ended).holdouts
    assert holdouts.global_on(date(2026, 4, 1)) is None
    assert holdouts.global_shown(date(2026, 4, 1)) == holdouts.global_[0]


@pytest.mark.parametrize(
    ("tagged", "exempt"),
    [
        ("    start: 2026-03-02\n    tags: [legal]", {"winback"}),
        ("    start: 2026-03-02", set()),
    ],
)
def test_a_tag_exempts_a_campaign(tmp_path, tagged, exempt):
    text = broken(ONE, QUARTERS, broken("    start: 2026-03-02", tagged))
    config = load(tmp_path, text)
    assert specs.exempt_campaigns(config, config.holdouts.global_[0]) == exempt
    found = specs.campaign_specs(config, as_of=datetime(2026, 3, 10, tzinfo=UTC))
    assert {one.name for one in found if one.exempt_from_global} == exempt
    later = specs.campaign_specs(config, as_of=datetime(2026, 4, 10, tzinfo=UTC))
    assert {one.name for one in later if one.exempt_from_global} == {"winback"}


def test_a_tag_of_the_segment_exempts_its_campaigns(tmp_path):
    text = broken(ONE, QUARTERS.replace("[legal]", "[rfm]"))
    config = load(tmp_path, text)
    assert specs.exempt_campaigns(config, config.holdouts.global_[0]) == {"vip"}


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (
            "  global:\n    - {name: a, share: 5%}\n    - {name: b, share: 5%, start: 2026-04-01}",
            "holdouts.global[1]: b and a would both hold people out on 2026-04-01; allowed: one"
            " global holdout at a time. Give each a start and an end.",
        ),
        (
            "  global:\n    - {name: a, share: 5%, end: 2026-03-31}\n"
            "    - {name: a, share: 5%, start: 2026-04-01}",
            "holdouts.global[1].name: the global holdout 'a' is given twice.",
        ),
        (
            "  global: {name: a, share: 5%, start: 2026-04-01, end: 2026-03-31}",
            "holdouts.global.end: ends 2026-03-31, before it starts on 2026-04-01; allowed:"
            " 2026-04-01 or later (the last day is included).",
        ),
        ("  global: {name: a, share: 5}", "holdouts.global.share: found 5; allowed: a percent"),
        ("  global:\n    - {name: a, share: 5}", "holdouts.global[0].share: found 5; allowed: a"),
        (
            "  global: {name: a, share: 5%, until: 2026-03-31}",
            "holdouts.global.until: unknown key; allowed: name, share, start, end, then,"
            " exempt_campaigns, exempt_tags.",
        ),
        (
            "  global:\n    - {name: a, share: 5%, then: redraw}",
            "holdouts.global[0].then: found 'redraw'; allowed: release.",
        ),
        ("  unit: account", "holdouts.unit: found 'account'; allowed: person."),
        ("  log: rolling", "holdouts.log: found 'rolling'; allowed: append_only."),
        (
            "  power: {on_underpowered: stop}",
            "holdouts.power.on_underpowered: found 'stop'; allowed: warn, hold.",
        ),
        (
            "  power: {alpha: 0.1}",
            "holdouts.power.alpha: found 0.1, but verdicts are given with 0.05; allowed: 0.05, or"
            " nothing. Change the measurement's confidence instead.",
        ),
    ],
)
def test_what_cannot_be_meant_is_told(new, message):
    assert message in message_of(broken(ONE, new))


def test_power_is_said_in_one_place(tmp_path):
    text = broken(ONE, "  power: {detect: 5%, power: 0.9, alpha: 0.05, min_people_per_arm: 10}")
    config = load(tmp_path, text)
    assert (config.detect, config.power) == (0.05, 0.9)
    before = load(tmp_path, broken("  confidence: 0.95", "  detect: 8%\n  power: 0.7"))
    assert (before.detect, before.power) == (0.08, 0.7)
    twice = broken("  confidence: 0.95", "  detect: 8%", text)
    assert (
        "measurement.detect: is said in holdouts.power.detect, too. Leave it out here."
        in message_of(twice)
    )
    assert load(tmp_path, FULL).detect == 0.03
