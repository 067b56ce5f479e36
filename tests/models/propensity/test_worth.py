"""The profit-maximising cut-off: against trying every cut-off, and as a column of the model."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from connector.errors import ModelError
from connector.models.propensity import PropensityModel
from connector.models.propensity.curves import gain_curve
from connector.models.propensity.external import ExternalModel, judge
from connector.models.propensity.spec import Profit
from connector.models.propensity.worth import COLUMN, WorthIt
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.models.propensity.simulated import fitted, now, snapshots
from tests.models.propensity.test_external import SPEC, current, past

PROFIT = Profit(value=12.0, cost=3.0)


def earned(label, probability, cutoff, profit=PROFIT):
    """Responses x value less contacts x cost, counted person by person."""
    return sum(
        (profit.value if did else 0.0) - profit.cost
        for did, chance in zip(label, probability, strict=True)
        if chance >= cutoff
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_other_cut_off_would_have_earned_more(seed):
    rng = np.random.default_rng(seed)
    probability = rng.integers(0, 40, 300) / 40
    label = (rng.random(300) < probability * rng.uniform(0.1, 1)).astype(float)
    worth = WorthIt.of(gain_curve(label, probability), PROFIT)
    tried = {c: earned(label, probability, c) for c in np.unique(probability)}
    assert worth.earned == pytest.approx(max([*tried.values(), 0.0]))
    if worth.cutoff is None:
        assert max(tried.values()) <= 0
        assert not worth.apply(np.array([0.0, 0.999, 1.0])).any()
    else:
        assert tried[worth.cutoff] == pytest.approx(worth.earned)
        assert worth.apply(probability).sum() == worth.n_people


def test_right_probabilities_pay_from_cost_over_value_on():
    """Elkan (2001): contact whom probability x value >= cost; here the law, at a million people."""
    rng = np.random.default_rng(5)
    probability = rng.integers(0, 100, 1_000_000) / 100
    label = (rng.random(probability.size) < probability).astype(float)
    worth = WorthIt.of(gain_curve(label, probability), PROFIT)
    assert worth.cutoff == pytest.approx(PROFIT.cost / PROFIT.value, abs=0.011)


def test_the_model_says_who_is_worth_it_and_the_card_says_from_where():
    model = fitted(profit=PROFIT)
    people = snapshots()[3].features
    scored = model.predict(people)
    assert [c.name for c in model.columns][-1] == COLUMN.name == "worth_it"
    assert list(scored) == [c.name for c in model.columns]
    assert model.worth is not None
    assert scored["worth_it"].dtype == bool
    cutoff = model.worth.cutoff
    assert scored["worth_it"].equals((scored["probability"] >= cutoff).rename("worth_it"))
    assert 0 < scored["worth_it"].mean() < 1
    # As good as the cut-off that the truth itself would take, within what chance allows.
    assert cutoff == pytest.approx(PROFIT.cost / PROFIT.value, abs=0.08)
    (note,) = [n for n in model.card.notes if n.startswith("Worth a contact")]
    assert f"{cutoff:.4f}" in note
    assert "12.00 a response and 3.00 a contact" in note


def test_it_is_found_on_people_that_the_fit_has_not_seen():
    model = fitted(profit=PROFIT)
    best = max(
        model.evaluation.gains,
        key=lambda p: (p.n_positive * PROFIT.value - p.n_people * PROFIT.cost, -p.n_people),
    )
    assert model.worth.cutoff == best.probability
    assert model.worth.n_tested == len(snapshots()[3].label)


def test_stored_models_keep_it_and_those_of_before_still_load():
    model = fitted(profit=PROFIT)
    stored = json.loads(json.dumps(model.to_dict()))
    assert PropensityModel.from_dict(stored).worth == model.worth
    del stored["worth"]
    old = PropensityModel.from_dict(stored)
    assert old.worth is None
    assert "worth_it" not in old.predict(snapshots()[3].features)
    assert replace(model, worth=None).version != model.version


def test_sql_says_the_same():
    model = fitted(profit=PROFIT)
    people = snapshots()[3].features
    with DuckDBWarehouse() as warehouse:
        warehouse.load("features", pa.Table.from_pandas(people.reset_index()))
        rows = warehouse.rows(model.predict_sql())
    found = pd.DataFrame(rows, columns=["profile_id", "probability", "percentile", "worth_it"])
    expected = model.predict(people)["worth_it"]
    assert found.set_index("profile_id")["worth_it"].reindex(expected.index).equals(expected)


def test_scores_from_elsewhere_get_it_too():
    model = judge(replace(SPEC, profit=PROFIT), past(), current(), as_of=now(snapshots()))
    scored = model.predict(current().scores)
    assert scored["worth_it"].equals(
        (scored["probability"] >= model.worth.cutoff).rename("worth_it")
    )
    again = ExternalModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.worth == model.worth
    assert any(note.startswith("Worth a contact") for note in model.card.notes)
    assert judge(SPEC, past(), current(), as_of=now(snapshots())).worth is None


def test_where_nothing_pays_nobody_is_worth_it_and_the_card_says_so():
    model = fitted(profit=Profit(value=1.0, cost=5.0))
    assert model.worth.cutoff is None
    assert not model.predict(snapshots()[3].features)["worth_it"].any()
    assert any(note.startswith("Nobody is worth a contact") for note in model.card.notes)


@pytest.mark.parametrize(("value", "cost"), [(0, 1), (-1, 1), (1, -1), (float("nan"), 1)])
def test_impossible_money_is_refused(value, cost):
    with pytest.raises(ModelError, match="positive value"):
        Profit(value, cost)
