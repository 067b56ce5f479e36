"""The model as a whole: what is stored comes back, says where it is from, and answers alike."""

import json
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from connector.errors import ModelError
from connector.models.clv.backtest import accuracy
from connector.models.clv.card import trials
from connector.models.clv.model import (
    ClvModel,
    ClvSpec,
    TwoStageClvModel,
    fit,
    fit_two_stage,
)
from connector.models.clv.purchases import PooledRate
from connector.models.clv.transactions import Transactions, observe
from connector.models.clv.value import Horizon, tier_of
from tests.models.clv.cdnow import beta_geometric_shop

SPEC = ClvSpec("clv_365d", "margin", Horizon(365, 0.10))
AS_OF = datetime(2026, 3, 1, 6, tzinfo=UTC)
END_DAY = (date(2026, 2, 28) - date(1970, 1, 1)).days


def customers():
    """A shop of 3,000 customers through the front door: transactions."""
    rng = np.random.default_rng(12)
    age = rng.integers(60, 600, 3_000).astype(float)
    h = beta_geometric_shop(rng, age, 1.0, r=0.6, alpha=40.0, a=0.8, b=2.4, modified=True).histories
    who, day = [np.arange(3_000)], [END_DAY - age]
    for i in np.flatnonzero(h.repeats):
        days = np.linspace(1, np.ceil(h.last_age_days[i]), int(h.repeats[i]))
        who.append(np.full(days.size, i))
        day.append(END_DAY - age[i] + np.minimum(np.ceil(days), age[i]))
    rows = np.concatenate(who)
    value = rng.gamma(6.25, rng.gamma(4.0, 1.2, 3_000)[rows])
    return observe(
        Transactions.of(rows, np.concatenate(day).astype(np.int64), value), END_DAY
    ), rows.size


@pytest.fixture(scope="module")
def fitted():
    known, n_rows = customers()
    results = {"model": [accuracy(np.ones(2), np.array([1.0, 2.0]))], "zero": []}
    return fit(SPEC, known, as_of=AS_OF, n_rows=n_rows, trials=trials(results, ["zero"])), known


def test_a_stored_model_comes_back_with_the_same_answers(fitted):
    model, known = fitted
    text = json.dumps(model.to_dict(), allow_nan=False)
    read = ClvModel.from_dict(json.loads(text))
    assert read == model
    assert read.version == model.version
    a = model.predict(known.histories, known.mean_value)
    b = read.predict(known.histories, known.mean_value)
    assert np.array_equal(a.expected, b.expected)
    assert np.array_equal(a.high_80, b.high_80)
    assert np.bincount(tier_of(b.expected, read.cuts)).tolist() == [30, 120, 300, 2550]


def test_the_card_says_what_the_model_was_fitted_on(fitted):
    card = fitted[0].card
    assert card.as_of == AS_OF
    assert card.last_day == date(2026, 2, 28)
    assert card.first_day == date.fromordinal(card.last_day.toordinal() - 599)
    assert (card.n_customers, card.n_repeaters) == (3000, fitted[1].histories.n_repeaters)
    assert [(trial.name, trial.baseline) for trial in card.trials] == [
        ("model", False), ("zero", True),
    ]  # fmt: skip
    assert card.notes == ()


def test_the_version_follows_the_answers(fitted):
    model = fitted[0]
    data = model.to_dict()
    data["purchases"]["parameters"]["r"] *= 1.001  # type: ignore[index]
    assert ClvModel.from_dict(data).version != model.version


def test_one_time_buyers_get_the_rule_and_a_note():
    transactions = Transactions.of(np.arange(90), np.arange(90) + END_DAY - 200, np.full(90, 9.0))
    model = fit(SPEC, observe(transactions, END_DAY), as_of=AS_OF, n_rows=90)
    assert isinstance(model.purchases, PooledRate)
    assert [note.split(":")[0] for note in model.card.notes] == [
        "No mbg_nbd model, the rule pooled_rate instead",
        "No gamma_gamma model, the rule pooled_spend instead",
    ]
    read = ClvModel.from_dict(json.loads(json.dumps(model.to_dict(), allow_nan=False)))
    assert read == model
    assert read.cuts == (float("inf"),) * 3


def test_a_two_stage_model_comes_back_with_the_same_answers():
    known, n_rows = customers()
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"repeats": known.histories.repeats, "age_days": known.histories.age_days})
    value = np.where(rng.random(len(known)) < 0.4, rng.gamma(2.0, 10.0, len(known)), 0.0)
    model = fit_two_stage(SPEC, known, frame, value, rng, as_of=AS_OF, n_rows=n_rows)
    read = TwoStageClvModel.from_dict(json.loads(json.dumps(model.to_dict(), allow_nan=False)))
    assert read.version == model.version
    assert read.card.features == ("repeats", "age_days")
    assert np.array_equal(read.predict(frame).expected, model.predict(frame).expected)


@pytest.mark.parametrize("key", ["purchases", "spend", "tiers", "cuts", "card", "horizon"])
def test_a_damaged_model_is_refused(fitted, key):
    data = fitted[0].to_dict()
    for wrong in (None, {}, [1]):
        with pytest.raises(ModelError):
            ClvModel.from_dict({**data, key: wrong})
    del data[key]
    with pytest.raises(ModelError, match="cannot be read"):
        ClvModel.from_dict(data)


def test_an_instant_without_a_time_zone_is_refused():
    known, n_rows = customers()
    with pytest.raises(ModelError, match="time zone"):
        fit(SPEC, known, as_of=datetime(2026, 3, 1), n_rows=n_rows)  # noqa: DTZ001
