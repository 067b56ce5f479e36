"""Reasons in words."""

import numpy as np
import pandas as pd
import pytest

from connector.errors import ModelError
from connector.models.reasons import TYPICAL, Wording, reasons

WORDS = {
    "recency_days": Wording("bought {value} days ago", "never bought", one="bought yesterday"),
    "aov": Wording("spends {value} an order", "spends nothing", decimals=2),
}


def told(parts, values, **options):
    index = pd.Index([f"p_{i}" for i in range(len(parts))], name="profile_id")
    columns = ["recency_days", "aov", "visits"]
    return list(
        reasons(
            pd.DataFrame(parts, index, columns),
            pd.DataFrame(values, index, columns),
            WORDS,
            **options,
        )
    )


def test_the_largest_parts_are_told_first_with_sign_and_points():
    assert told([[0.081, -0.03, 0.002]], [[12.0, 1234.5, 3.0]]) == [
        "bought 12 days ago (+8 points); spends 1,234.50 an order (-3 points);"
        " visits: 3 (+0.2 points)"
    ]


def test_one_point_is_singular_and_nearly_one_is_one():
    assert told([[0.01, 0, 0], [0.0096, 0, 0], [-0.0094, 0, 0]], [[1.0, 1.0, 1.0]] * 3) == [
        "bought yesterday (+1 point)",
        "bought yesterday (+1 point)",
        "bought yesterday (-0.9 points)",
    ]


def test_nothing_to_tell_is_said():
    assert told([[0.0004, -0.0004, 0.0]], [[1.0, 1.0, 1.0]]) == [TYPICAL]


def test_an_unknown_value_has_words_of_its_own():
    assert told([[-0.1, 0.0, -0.05]], [[np.nan, 1.0, np.nan]]) == [
        "never bought (-10 points); visits: unknown (-5 points)"
    ]


def test_equal_parts_are_told_in_the_features_order_and_only_so_many():
    assert told([[0.1, 0.1, 0.1]], [[1.0, 2.0, 3.5]], top=2) == [
        "bought yesterday (+10 points); spends 2.00 an order (+10 points)"
    ]


def test_what_others_have_does_not_change_the_words():
    rng = np.random.default_rng(2)
    parts, values = rng.normal(0, 0.1, (200, 3)), rng.integers(0, 50, (200, 3)).astype(float)
    order = rng.permutation(200)
    plain = told(parts, values)
    assert told(parts[order], values[order]) == [plain[i] for i in order]


def test_other_people_or_a_wording_without_value_raise():
    frame = pd.DataFrame({"aov": [1.0]}, ["a"])
    with pytest.raises(ModelError, match="same people"):
        reasons(frame, frame.set_axis(["b"]), WORDS)
    with pytest.raises(ModelError, match=r"\{value\}"):
        Wording("bought lately", "never")
