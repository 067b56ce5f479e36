"""Codes in words: complete where the engine's lists are closed, faithful to the cut points."""

import re
from decimal import Decimal

import pytest

from connector.audiences import reach
from connector.domain import Arm, Level, Outcome
from connector.lift.verdict import Verdict
from connector.models.cuts import Cuts, Method
from connector.report import words
from connector.report.people import RfmAxis
from tests.report import sample


def test_every_closed_list_of_the_engine_has_its_words():
    assert set(words.VERDICTS) == set(Verdict)
    assert set(words.ARMS) == set(Arm)
    assert set(Outcome) <= set(words.OUTCOMES)
    assert set(words.LEVELS) == set(Level)


def test_every_reason_for_not_addressing_somebody_has_its_sentence():
    said = re.findall(r"``([a-z_]+)``", (reach.__doc__ or "").split("else the first reason of")[1])
    assert len(said) == 7
    others = {"excluded_from_campaign", "outranked", "global_holdout"}
    assert all(words.BLOCKED[code].sentence for code in {*said, *others})


def test_an_unknown_code_stands_for_itself():
    assert words.phrase(words.ISSUES, "TEAPOT").title == "TEAPOT"
    assert words.left_out("void_orders") == "void orders"


def test_no_phrase_shouts_or_trails_off():
    tables = (words.VERDICTS, words.BLOCKED, words.OUTCOMES, words.ISSUES, words.RUN_STATUS)
    for table in tables:
        for phrase in table.values():
            assert phrase.title == phrase.title.strip()
            assert not phrase.title.endswith(".")
            assert not phrase.sentence or phrase.sentence.endswith(".")


def whole_numbers(label: str, top: int) -> set[int]:
    found = [int(n.replace(",", "")) for n in re.findall(r"[\d,]+", label)]
    if "nobody" in label:
        return set()
    if "more" in label:
        return set(range(found[0], top + 1))
    return set(range(found[0], found[-1] + 1))


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize(
    ("dimension", "edges", "reverse"),
    [
        ("recency", (46, 118, 231, 402), True),
        ("recency", ("45.4", "45.6", 90, "90.5"), True),
        ("frequency", (2, 3, 4, 6), False),
        ("frequency", (1, 1, 2, 5), False),
    ],
)
def test_labels_say_exactly_which_numbers_have_a_score(method, dimension, edges, reverse):
    cuts = Cuts(method, tuple(Decimal(str(e)) for e in edges), reverse)
    labels = words.axis_labels(RfmAxis.of(dimension, cuts.to_dict()), "EUR")
    assert len(labels) == cuts.bins
    first, top = (0, 500) if dimension == "recency" else (1, 30)
    for value in range(first, top + 1):
        holding = [i for i, label in enumerate(labels, 1) if value in whole_numbers(label, top)]
        assert holding == [cuts.score(value)], (value, labels)


def test_labels_of_money_and_of_scores_that_nobody_has():
    axis = RfmAxis("monetary", "quantile", (48.9, 96.4), empty_bins=(2,))
    labels = tuple(label.replace("\u00a0", " ") for label in words.axis_labels(axis, "EUR"))
    assert labels == ("up to 48.90 EUR", "nobody", "above 96.40 EUR")


def test_one_order_is_singular():
    assert words.axis_labels(RfmAxis("frequency", "fixed", (2.0,)), "EUR") == (
        "1 order",
        "2 or more orders",
    )


def test_tables_as_read_and_clean_are_told_apart():
    assert words.table_label("in_order_items") == "Order items, as read"
    assert words.table_label("order_items") == "Order items"


def test_a_metrics_window_is_not_said_twice():
    assert words.metric_label(sample.waiting("x", (1, 1))) == "revenue per person"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cant_lose", "Can't lose"),
        ("vip_early", "VIP early"),
        ("clv_90d", "CLV, 90 days"),
        ("purchase_30d", "Purchase, 30 days"),
        ("next_1d", "Next, 1 day"),
        ("win_back", "Win back"),
        ("90d", "90d"),
        ("_", "_"),
    ],
)
def test_names_of_the_configuration_as_people_write_them(name, text):
    assert words.title(name) == text
