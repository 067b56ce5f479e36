"""What is allowed, but probably not meant."""

# ruff: noqa: E501 - messages are kept in one piece

from __future__ import annotations

import pytest

from connector.config import lint, parse_config
from connector.domain import Level
from tests.config.shop import ENVIRON, FULL, MINIMAL, broken


def findings(text: str) -> list[tuple[Level, str, str, str]]:
    return [
        (one.level, one.subject, one.message, one.hint)
        for one in lint(parse_config(text, ENVIRON, name="shop.yaml"))
    ]


@pytest.mark.parametrize(
    ("block", "is_told"),
    [
        ("stability: {min_stay: 7d}\n", True),
        ("stability: {min_stay: 7d, margin: {percentile: 2}}\n", True),
        ("stability: {min_stay: 7d, enter_after: 2 runs}\n", False),
        ("stability: {min_stay: 7d, margin: {percentile: {enter: 2, exit: 2}}}\n", False),
        ("stability: {exit_after: 2 runs}\n", False),
    ],
)
def test_a_stay_that_one_noisy_score_begins_is_told(block: str, is_told: bool) -> None:
    found = [subject for _, subject, _, _ in findings(MINIMAL + block)]
    assert ("stability" in found) is is_told


def test_a_good_file_gets_notes_only() -> None:
    assert findings(FULL) == [
        (
            Level.NOTE,
            "segments.big",
            "shop.yaml:46: no campaign addresses this segment; it is computed and reported only",
            "",
        )
    ]
    assert findings(MINIMAL) == [
        (
            Level.NOTE,
            "campaigns.vip.arms",
            "shop.yaml:22: no arms are given: 90% treatment, 10% no_contact",
            "",
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (
            "  files: {type: csv",
            "  more: {type: csv, path: x.csv}\n  files: {type: csv",
            (Level.NOTE, "sources.more", "shop.yaml:10: no table is read from this source", ""),
        ),
        (
            "  reward: {offer: early_access}",
            "  reward: {offer: early_access}\n  idle: {offer: none}",
            (Level.NOTE, "strategies.idle", "shop.yaml:52: no campaign uses this strategy", ""),
        ),
        (
            "to: [hubspot, lake]",
            "to: [hubspot]",
            (
                Level.NOTE,
                "destinations.lake",
                "shop.yaml:60: no campaign sends to this destination",
                "",
            ),
        ),
        (
            "{customer_id: id, email: email}",
            "{customer_id: id, email: email, contry: land}",
            (
                Level.WARNING,
                "tables.customers.columns.contry",
                "shop.yaml:14: contry is a column of your own, carried along unread",
                "Did you mean 'country'?",
            ),
        ),
        (
            "arms: {treatment: 90%, no_contact: 10%}",
            "arms: {treatment: 100%}",
            (
                Level.WARNING,
                "campaigns.vip.arms",
                "shop.yaml:77: everybody is treated, so this campaign's lift can never be known",
                "Keep a few per cent as business_as_usual or no_contact.",
            ),
        ),
        (
            "    segment: champions\n    strategy: reward\n    to: [hubspot, lake]",
            "    segment: big\n    strategy: reward\n    to: [lake]",
            (
                Level.NOTE,
                "campaigns.vip.segment",
                "shop.yaml:74: segment big is in no priority list, so one person may get this campaign and another",
                "",
            ),
        ),
        (
            "first_sync: true",
            "first_sync: false",
            (
                Level.WARNING,
                "guards.needs_approval.first_sync",
                "shop.yaml:88: the first sync to a destination is sent without anybody's approval",
                "",
            ),
        ),
        (
            "removals_above: 20%",
            "removals_above: 100%",
            (
                Level.WARNING,
                "guards.removals_above",
                "shop.yaml:87: 100% switches this guard off",
                "",
            ),
        ),
        (
            "removals_above: 20%",
            "additions_above: 100%",
            (
                Level.WARNING,
                "guards.additions_above",
                "shop.yaml:87: at 100% a list may double in one run before anybody is asked",
                "",
            ),
        ),
    ],
)
def test_a_finding(old: str, new: str, finding: tuple[Level, str, str, str]) -> None:
    assert finding in findings(broken(old, new))
    assert finding not in findings(FULL)


@pytest.mark.parametrize(("salt", "short"), [("x", True), ("s" * 15, True), ("s" * 16, False)])
def test_a_salt_that_can_be_guessed(salt: str, short: bool) -> None:
    config = parse_config(FULL, {**ENVIRON, "HOLDOUT_SALT": salt}, name="shop.yaml")
    found = [one for one in lint(config) if one.subject == "holdouts.assign.salt"]
    assert [one.level for one in found] == [Level.WARNING] * short
    assert all("fewer than 16 characters" in one.message for one in found)
    assert "sss" not in repr(found)
