"""How features become numbers: filled, flagged, taken apart, and the same for one as for many."""

import json
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from connector.errors import InsufficientDataError, ModelError
from connector.models.inputs import Inputs, MissingRule, fit_inputs, omissions
from connector.models.inputs.fit import LEAST_PEOPLE, MOST_WORDS
from connector.models.inputs.values import as_tally, as_vector


def people(n, /, **columns):
    """Each value of the columns n times, for n people each."""
    return pd.DataFrame(
        {name: [v for v in values for _ in range(n)] for name, values in columns.items()}
    )


def table(inputs, frame):
    return pd.DataFrame(inputs.matrix(frame), columns=list(inputs.names), index=frame.index)


def test_numbers_get_the_median_of_training_and_a_flag():
    """Against scikit-learn's imputer with its indicator."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    frame = frame.mask(rng.random(frame.shape) < np.array([0.3, 0.1, 0.0]))
    train, test = frame[:150], frame[150:]
    inputs = fit_inputs(train)
    peer = SimpleImputer(strategy="median", add_indicator=True).fit(train.to_numpy())
    assert inputs.names == ("a", "b", "c", "a is missing", "b is missing")
    np.testing.assert_array_equal(inputs.matrix(test), peer.transform(test.to_numpy()))


def test_words_are_columns_as_scikit_learn_makes_them():
    """Against its one-hot encoder with rare and new categories gathered."""
    rng = np.random.default_rng(2)
    names = [f"category {i:02d}" for i in range(30)]
    chance = np.arange(30, 0, -1.0) ** 2
    drawn = rng.choice(names, 3_000, p=chance / chance.sum())
    frame = pd.DataFrame({"top": drawn})
    train, test = frame[:2_000], pd.concat([frame[2_000:], pd.DataFrame({"top": ["new one"]})])
    inputs = fit_inputs(train)
    assert len(inputs.columns) == MOST_WORDS + 1
    peer = OneHotEncoder(
        max_categories=MOST_WORDS + 1, handle_unknown="infrequent_if_exist", sparse_output=False
    ).fit(train.to_numpy())
    found = table(inputs, test)
    expected = pd.DataFrame(peer.transform(test.to_numpy()), columns=peer.get_feature_names_out())
    for word in inputs.names:
        key = word.removeprefix("top is ")
        theirs = "x0_infrequent_sklearn" if key == "(other)" else f"x0_{key}"
        np.testing.assert_array_equal(found[word], expected[theirs])


def test_what_is_no_word_is_unknown_and_rare_words_are_never_kept():
    frame = people(LEAST_PEOPLE, top=["a", "b", None, " "])
    frame.loc[len(frame)] = ["Mrs Canary"]
    inputs = fit_inputs(frame, MissingRule(word="nobody knows"))
    assert inputs.names == ("top is a", "top is b", "top is (other)", "top is nobody knows")
    assert table(inputs, frame).sum().tolist() == [10, 10, 1, 20]
    assert "Canary" not in json.dumps(inputs.to_dict())
    # The same person at many cut-offs is one person.
    again = people(LEAST_PEOPLE, top=["a", "b"]).set_axis([0] * 10 + list(range(10)), axis=0)
    assert fit_inputs(again).names == ("top is b", "top is (other)")


def test_the_typical_person_has_medians_and_the_commonest_word():
    frame = people(LEAST_PEOPLE, n=[1, 2, 9], top=["b", "b", "a"])
    inputs = fit_inputs(frame)
    assert dict(zip(inputs.names, inputs.reference, strict=True)) == {
        "n": 2, "top is b": 1, "top is a": 0,
    }  # fmt: skip
    assert [inputs.features[i] for i in inputs.players] == ["n", "top", "top"]


def test_a_row_alone_is_read_as_in_a_crowd_and_json_keeps_it():
    frame = people(
        LEAST_PEOPLE,
        a=[1.0, None, 9.0],
        b=["x", None, "y"],
        c=[[1.0, 2.0], None, [3.0, 4.0]],
        d=[{"s": 2.0}, None, {"s": 1.0, "t": 3.0}],
    )
    inputs = fit_inputs(frame)
    assert len(inputs.names) == 10
    crowd = inputs.matrix(frame)
    alone = np.vstack([inputs.matrix(frame.iloc[[i]]) for i in range(len(frame))])
    np.testing.assert_array_equal(alone, crowd)
    assert not np.isnan(crowd).any()
    read = Inputs.from_dict(json.loads(json.dumps(inputs.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(read.matrix(frame), crowd)
    assert read.is_known(frame).tolist() == [True] * 10 + [False] * 10 + [True] * 10


def test_the_rule_for_missing_values_is_followed():
    frame = people(5, a=[1.0, None, 3.0, 4.0], b=[1.0, None, None, 4.0], top=["x", "x", "y", None])
    names = {
        "flags": fit_inputs(frame).names,
        "plain": fit_inputs(frame, MissingRule(flags=False)).names,
        "strict": fit_inputs(frame, MissingRule(drop_above=0.3)).names,
        "rare": fit_inputs(frame, MissingRule(flag_above=0.3)).names,
    }
    top = ("top is x", "top is (other)")
    assert names == {
        "flags": ("a", "b", "a is missing", "b is missing", *top, "top is (unknown)"),
        "plain": ("a", "b", *top, "top is (unknown)"),
        "strict": ("a", "a is missing", *top, "top is (unknown)"),
        "rare": ("a", "b", "b is missing", *top),
    }


def test_money_and_truth_are_numbers():
    frame = people(1, money=[Decimal("1.50"), None, Decimal("2.50")], truth=[True, False, True])
    found = table(fit_inputs(frame), frame)
    assert list(found["money"]) == [1.5, 2.0, 2.5]
    assert list(found["truth"]) == [1, 0, 1]


def test_columns_of_no_use_are_left_out_with_the_reason():
    frame = people(
        2,
        mostly=[1.0, None, None, None],
        just=[1.0, 2.0, None, None],
        never=[None] * 4,
        same=[7.0] * 4,
        twin=[1.0, 2.0, None, None],
        names=list("abcd"),
        ragged=[[1.0], [1.0, 2.0], None, [3.0]],
        one=["x"] * 4,
    )
    inputs = fit_inputs(frame)
    assert inputs.names == ("just", "just is missing")
    assert inputs.left_out == {
        "mostly": "75% of its values are unknown",
        "never": "100% of its values are unknown",
        "same": "everybody has the same value",
        "twin": "it is the same as just for everybody",
        "names": "no word of it is shared by 10 people",
        "ragged": "its vectors have different lengths, or hold no numbers",
        "one": "no word of it is shared by 10 people",
    }
    assert fit_inputs(people(10, one=["x"], n=[1.0]).assign(n=range(10))).left_out == {
        "one": "everybody has the same value"
    }
    with pytest.raises(InsufficientDataError, match="never: 100% of its values"):
        fit_inputs(frame[["never"]])
    with pytest.raises(ModelError, match="'when' is a time"):
        fit_inputs(pd.DataFrame({"when": [date(2025, 1, 1)] * 4}))


@pytest.mark.parametrize(
    "vectors",
    [
        [[1.0, 10.0], None, [3.0, 30.0], [5.0, 20.0]],
        [np.array([1.0, 10.0]), None, np.array([3.0, 30.0]), np.array([5.0, 20.0])],
        [as_vector("[1, 10]"), as_vector("x"), as_vector("[3.0, 30]"), as_vector("{5,20}")],
    ],
)
def test_embeddings_become_a_number_a_component(vectors):
    frame = pd.DataFrame({"taste": vectors})
    inputs = fit_inputs(frame)
    assert inputs.names == ("taste 1", "taste 2", "taste is missing")
    assert inputs.matrix(frame).tolist() == [[1, 10, 0], [3, 20, 1], [3, 30, 0], [5, 20, 0]]
    broken = pd.DataFrame({"taste": [vectors[0], [1.0], "x", [1.0, float("nan")]]})
    assert table(inputs, broken)["taste is missing"].tolist() == [0, 1, 1, 1]


def test_a_tally_becomes_a_count_of_each_common_thing():
    texts = ["search > view=3;view > cart=1", "view > cart=2", "", None]
    frame = people(LEAST_PEOPLE, paths=[as_tally(text) for text in texts])
    frame.loc[len(frame)] = [{"a > rare": 9.0}]
    inputs = fit_inputs(frame)
    assert inputs.names == ("paths: view > cart", "paths: search > view")
    assert inputs.matrix(frame)[[0, 10, 20, 30, 40]].tolist() == [
        [1, 3], [2, 0], [0, 0], [0, 0], [0, 0],
    ]  # fmt: skip
    shown = inputs.shown(frame)["paths"]
    assert shown.iloc[0] == "search > view (3)"
    assert shown.iloc[30] is None or shown.isna().iloc[30]


def test_a_frame_without_a_fitted_column_or_with_another_kind_is_refused():
    inputs = fit_inputs(people(10, a=[1.0, 2.0], b=["x", "y"]))
    with pytest.raises(ModelError, match="'a' is not there"):
        inputs.matrix(pd.DataFrame({"b": ["x"]}))
    with pytest.raises(ModelError, match="'a' is not a number"):
        inputs.matrix(pd.DataFrame({"a": ["x"], "b": ["x"]}))
    with pytest.raises(ModelError, match="'b' is not a text"):
        inputs.matrix(pd.DataFrame({"a": [1.0], "b": [1.0]}))


def test_what_is_left_out_is_one_sentence_for_each_reason() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"same_{i}": 1.0 for i in range(20)}, index=range(50))
    frame["useful"] = rng.normal(size=50)
    frame["twin"] = frame["useful"]
    told = omissions(fit_inputs(frame))
    assert len(told) == 2
    names = ", ".join(sorted(f"same_{i}" for i in range(20)))
    assert f"The features {names} are left out: everybody has the same value." in told
    assert "Left out, since another feature says the same: twin." in told
