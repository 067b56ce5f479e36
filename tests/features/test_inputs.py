"""What models may read, and how missing values are filled."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer

from connector.errors import ConfigError, ModelError
from connector.features.inputs import (
    UNKNOWN,
    InputRules,
    allowed_inputs,
    apply_inputs,
    learn_inputs,
)

RULES = InputRules(deny=frozenset({"gender"}), report_only=frozenset({"city"}))
KNOWN = ("orders_90d", "weekend_share", "gender", "city")


def learn(rules=RULES, **columns):
    frame = pd.DataFrame(columns)
    return learn_inputs(frame, list(columns), rules), frame


def test_no_names_means_all_that_are_allowed():
    assert allowed_inputs((), KNOWN, RULES) == ("orders_90d", "weekend_share")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gender", "gender is in features.deny and never an input"),
        ("city", "city may describe a segment, but not form it"),
        ("weekend_shares", "there is no feature 'weekend_shares'. | Did you mean 'weekend_share'?"),
        ("zzz", "there is no feature 'zzz'"),
    ],
)
def test_names_that_are_no_inputs_are_errors(name, said):
    with pytest.raises(ConfigError) as caught:
        allowed_inputs(("orders_90d", name), KNOWN, RULES, what="models.x.features")
    assert said in f"{caught.value.message} | {caught.value.hint}"
    assert caught.value.message.startswith("models.x.features: ")


def test_shut_columns_are_refused_a_second_time():
    with pytest.raises(ModelError, match="gender"):
        learn(gender=["f", "m"], orders_90d=[1, 2])


def test_numbers_get_the_median_of_training_and_a_flag():
    """Against scikit-learn's imputer with its indicator."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    frame = frame.mask(rng.random(frame.shape) < np.array([0.3, 0.1, 0.0]))
    train, test = frame[:150], frame[150:]
    inputs = learn_inputs(train, ["a", "b", "c"], RULES)
    peer = SimpleImputer(strategy="median", add_indicator=True).fit(train.to_numpy())
    found = apply_inputs(test, inputs)
    assert list(found) == ["a", "b", "c", "a_missing", "b_missing"]
    np.testing.assert_array_equal(found.to_numpy(), peer.transform(test.to_numpy()))
    assert (found.index == test.index).all()


def test_a_row_alone_is_filled_as_in_a_crowd():
    inputs, frame = learn(a=[1.0, None, 9.0], b=["x", None, " "])
    alone = pd.concat([apply_inputs(frame.iloc[[i]], inputs) for i in range(3)])
    pd.testing.assert_frame_equal(alone, apply_inputs(frame, inputs))


def test_texts_that_are_missing_are_unknown():
    inputs, frame = learn(top=["a", None, "", "b"])
    assert list(apply_inputs(frame, inputs)["top"]) == ["a", UNKNOWN, UNKNOWN, "b"]


def test_money_truth_and_infinity_are_numbers():
    inputs, frame = learn(
        money=[Decimal("1.50"), None, Decimal("2.50")],
        truth=[True, False, True],
        ratio=[1.0, float("inf"), 3.0],
    )
    found = apply_inputs(frame, inputs)
    assert list(found["money"]) == [1.5, 2.0, 2.5]
    assert list(found["truth"]) == [1, 0, 1]
    assert list(found["ratio"]) == [1, 2, 3]
    assert list(found["ratio_missing"]) == [0, 1, 0]


def test_columns_that_are_mostly_missing_are_dropped_with_the_reason():
    inputs, frame = learn(
        mostly=[1.0, None, None, None],
        just=[1.0, 2.0, None, None],
        never=[None] * 4,
        when=[date(2025, 1, 1)] * 4,
        at=pd.to_datetime(["2025-01-01"] * 4),
    )
    assert inputs.columns == ("just", "just_missing")
    assert inputs.dropped == {
        "mostly": "75% of its values are missing",
        "never": "100% of its values are missing",
        "when": "a time is no input; use the days since",
        "at": "a time is no input; use the days since",
    }
    generous, _ = learn(InputRules(drop_above=0.75), mostly=[1.0, None, None, None])
    assert generous.columns == ("mostly", "mostly_missing")
    with pytest.raises(ModelError, match="No feature is left"):
        learn_inputs(frame, ["never"], RULES)


@pytest.mark.parametrize(
    "vectors",
    [
        [[1.0, 10.0], None, [3.0, 30.0], [5.0, 20.0]],
        [np.array([1.0, 10.0]), None, np.array([3.0, 30.0]), np.array([5.0, 20.0])],
        ["[1, 10]", None, "[3.0, 30]", "[5, 20]"],
    ],
)
def test_embeddings_become_a_number_a_component(vectors):
    inputs, frame = learn(taste=vectors)
    found = apply_inputs(frame, inputs)
    assert list(found) == ["taste_0", "taste_1", "taste_missing"]
    assert found.to_numpy().tolist() == [[1, 10, 0], [3, 20, 1], [3, 30, 0], [5, 20, 0]]
    broken = frame.assign(taste=[vectors[0], [1.0], "x", [1.0, float("nan")]])
    assert list(apply_inputs(broken, inputs)["taste_missing"]) == [0, 1, 1, 1]


def test_embeddings_of_different_lengths_are_dropped():
    inputs, _ = learn(taste=[[1.0, 2.0], [1.0]], a=[1.0, 2.0])
    assert inputs.columns == ("a",)
    assert "different lengths" in inputs.dropped["taste"]


def test_a_frame_without_a_fitted_column_is_refused():
    inputs, _ = learn(a=[1.0, 2.0])
    with pytest.raises(ModelError, match="lack a"):
        apply_inputs(pd.DataFrame({"b": [1]}), inputs)
