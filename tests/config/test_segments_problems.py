"""What is said of broken RFM grids, segments and priority lists.

Each case changes one place of a good file; the whole message is expected, word for word: file, line, key, what
was found, what is allowed, and what was probably meant.
"""

# ruff: noqa: E501 - messages are kept in one piece

from __future__ import annotations

import pytest

from tests.config.shop import broken, message_of

CASES = [
    (
        "window: 730d",
        "window: 36h",
        "shop.yaml:36: models.rfm.window: found '36h'; allowed: a whole number of days or weeks, such as 30d or 2w.",
    ),
    (
        "recency: {method: quantile, bins: 5}",
        "recency: {method: quantile, bins: 1}",
        "shop.yaml:37: models.rfm.recency.bins: found 1; allowed: 2 or more.",
    ),
    (
        "recency: {method: quantile, bins: 5}",
        "recency: {method: quantile, bins: 4}",
        "2 problems in shop.yaml:\n  shop.yaml:40: models.rfm.groups[0].r: group champions: found 4-5; allowed: scores from 1 to 4.\n  shop.yaml:42: models.rfm.groups[2].r: group others: found 1-5; allowed: scores from 1 to 4.",
    ),
    (
        "recency: {method: quantile, bins: 5}",
        "recency: {method: fixed}",
        "shop.yaml:37: models.rfm.recency: fixed scores need their edges; allowed: edges: [30, 90, 180, 365].",
    ),
    (
        "recency: {method: quantile, bins: 5}",
        "recency: {method: quantile, edges: [1, 2]}",
        "shop.yaml:37: models.rfm.recency.edges: edges does not go with quantile; allowed: bins.",
    ),
    (
        "edges: [2, 3, 4, 6]",
        "edges: [2, 3, 3, 6]",
        "shop.yaml:38: models.rfm.frequency.edges: found [2, 3, 3, 6]; allowed: 1 to 9 growing positive numbers, such as [30, 90, 180, 365].",
    ),
    (
        "    groups:",
        "    refit: monthly\n    groups:",
        "shop.yaml:39: models.rfm.refit: found 'monthly'; allowed: with_training, every_run, or an age such as 30d.",
    ),
    (
        "{name: others, r: 1-5, f: 1-5, m: 1-5}",
        "{name: others, r: 2-5, f: 1-5, m: 1-5}",
        "shop.yaml:39: models.rfm.groups: 10 of 125 cells (r-f-m) are in no group: 1-1-1, 1-1-2, 1-1-3, 1-1-4, 1-1-5, 1-2-1 and 4 more. Add a last group that takes the rest.",
    ),
    (
        "{name: others, r: 1-5, f: 1-5, m: 1-5}",
        "{name: others, r: 5-1, f: 1-5, m: 1-5}",
        "shop.yaml:42: models.rfm.groups[2].r: found '5-1'; allowed: a score or a range of scores, low to high, such as 5 or 4-5.",
    ),
    (
        "{name: others, r: 1-5, f: 1-5, m: 1-5}",
        "{name: others, r: 1-5, f: 1-5, m: 1-5}\n      - {name: stars, r: 5, f: 4-5, m: 1-5}",
        "shop.yaml:43: models.rfm.groups[3]: group stars is never reached: champions and others before it take all its cells. The first match wins: move it up, or drop it.",
    ),
    (
        "champions: {from: rfm.champions, tags: [rfm]}",
        "champions: {from: rfm.champion, tags: [rfm]}",
        "shop.yaml:44: segments.champions.from: no RFM group is named 'champion'; allowed: champions, at_risk, others, prospects, lapsed. Did you mean 'champions'?",
    ),
    (
        "champions: {from: rfm.champions, tags: [rfm]}",
        "champions: {from: others, tags: [rfm]}",
        "shop.yaml:44: segments.champions.from: no segment is named 'others'; allowed: rfm.<group>, or a segment: champions, at_risk, big. Did you mean 'rfm.others'?",
    ),
    (
        "champions: {from: rfm.champions, tags: [rfm]}",
        "champions: {from: at_rsk, tags: [rfm]}",
        "shop.yaml:44: segments.champions.from: no segment is named 'at_rsk'; allowed: rfm.<group>, or a segment: champions, at_risk, big. Did you mean 'at_risk'?",
    ),
    (
        "champions: {from: rfm.champions, tags: [rfm]}",
        'champions: {from: rfm.champions, where: "a > 1"}',
        "shop.yaml:44: segments.champions: found from and where; allowed: exactly one of from, any, where. A condition may name groups: rfm.group = 'champions' and orders_90d >= 2.",
    ),
    (
        "champions: {from: rfm.champions, tags: [rfm]}",
        "champions: {tags: [rfm]}",
        "shop.yaml:44: segments.champions: says nothing; allowed: exactly one of from, any, where. A condition may name groups: rfm.group = 'champions' and orders_90d >= 2.",
    ),
    (
        "  at_risk: {any: [rfm.at_risk, rfm.lapsed]}",
        "  at_risk: {any: []}",
        "shop.yaml:45: segments.at_risk.any: found an empty list; allowed: at least one entry.",
    ),
    (
        '  big: {where: "monetary_365d >= 300"}',
        "  big: {any: [at_risk, small]}\n  small: {any: [rfm.champions, big]}",
        "shop.yaml:46: segments.big: segments in a circle: big -> small -> big.",
    ),
    (
        '  big: {where: "monetary_365d >= 300"}',
        "  big: {where: 300}",
        "shop.yaml:46: segments.big.where: found 300; allowed: text. Put it in quotes to make it text.",
    ),
    (
        "order: [at_risk, champions]}",
        "order: [at_risk, champion]}",
        "shop.yaml:48: priority_lists[0].order[1]: no segment is named 'champion'; allowed: champions, at_risk, big. Did you mean 'champions'?",
    ),
    (
        "order: [at_risk, champions]}",
        "order: [at_risk, champions, at_risk]}",
        "shop.yaml:48: priority_lists[0].order[2]: the segment 'at_risk' is given twice.",
    ),
    (
        "    groups:\n      - {name: champions, r: 4-5, f: 4-5, m: 4-5}\n      - {name: at_risk, r: 1-2, f: 3-5, m: 1-5}\n      - {name: others, r: 1-5, f: 1-5, m: 1-5}",
        "    monetary: {method: quantile, bins: 4}",
        "shop.yaml:35: models.rfm.groups: the shipped groups need 5 scores in each dimension, found 5-5-4 (r-f-m); allowed: 5 bins (or 4 edges) each, or groups of your own.",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), CASES, ids=[case[1].strip()[:50] for case in CASES]
)
def test_message(old: str, new: str, message: str) -> None:
    assert message_of(broken(old, new)) == message
