"""Estimators come back the same, give one text, and nothing foreign is ever loaded."""

import json
import warnings

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, LatentDirichletAllocation
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from connector.errors import ModelError
from connector.models.estimators import dump, load

ESTIMATORS = {
    "logistic": lambda: LogisticRegression(),
    "forest": lambda: RandomForestClassifier(5, random_state=1),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=5, random_state=1),
    "boosted_amount": lambda: HistGradientBoostingRegressor(max_iter=5, random_state=1),
    "net": lambda: MLPClassifier((4,), early_stopping=True, max_iter=3, random_state=1),
    "kmeans": lambda: KMeans(3, n_init=1, random_state=1),
    "pca": lambda: make_pipeline(RobustScaler(), StandardScaler(), PCA(2)),
    "lda": lambda: LatentDirichletAllocation(2, max_iter=2, random_state=1),
}


def data():
    rng = np.random.default_rng(5)
    x = np.abs(rng.normal(size=(300, 5)))
    return x, (x[:, 0] + rng.normal(size=300) > 0.5).astype(int)


def fitted(name):
    x, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ESTIMATORS[name]().fit(x, y)


def answers(estimator):
    x, _ = data()
    for method in ("predict_proba", "predict", "transform"):
        if hasattr(estimator, method):
            return getattr(estimator, method)(x)
    raise AssertionError


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_stored_estimator_gives_the_same_answers(name):
    estimator = fitted(name)
    text = dump(estimator)
    back = load(text)
    assert type(back) is type(estimator)
    assert np.array_equal(answers(back), answers(estimator))
    assert dump(back) == text
    assert dump(fitted(name)) == text


@pytest.mark.parametrize("name", ["forest", "boosting", "net"])
def test_no_text_holds_an_address_or_a_time(name):
    assert "__id__" not in dump(fitted(name))


class Foreign(BaseEstimator):
    """Not ours, and with code of its own."""

    def __setstate__(self, state):
        raise AssertionError("code of the file ran")


def test_a_foreign_type_is_neither_written_nor_read():
    with pytest.raises(ModelError, match=r"Foreign"):
        dump(make_pipeline(Foreign(), LogisticRegression()))
    whole = json.loads(dump(LogisticRegression()))
    whole["tree"]["__module__"], whole["tree"]["__class__"] = __name__, "Foreign"
    with pytest.raises(ModelError, match=r"Foreign"):
        load(json.dumps(whole))


@pytest.mark.parametrize(
    ("module", "name", "loader"),
    [
        ("os", "system", "FunctionNode"),
        ("builtins", "str", "FunctionNode"),
        ("sklearn.linear_model._logistic", "LogisticRegression", "PartialNode"),
        ("builtins", "dict", "MethodNode"),
        ("operator", "attrgetter", "OperatorFuncNode"),
        ("sklearn.linear_model._logistic", "LogisticRegression", "CachedNode"),
        (None, None, "CachedNode"),
    ],
)
def test_a_trusted_type_does_not_bring_an_untrusted_loader_in(module, name, loader):
    whole = json.loads(dump(LogisticRegression()))
    content = whole["tree"]["content"]["content"]
    content["penalty"] = {"__module__": module, "__class__": name, "__loader__": loader}
    with pytest.raises(ModelError, match="not on the list"):
        load(json.dumps(whole))


@pytest.mark.parametrize("protocol", [0, 1, 3, True, None])
def test_an_older_protocol_with_looser_loaders_is_refused(protocol):
    whole = json.loads(dump(LogisticRegression()))
    whole["tree"]["protocol"] = protocol
    with pytest.raises(ModelError, match="protocol"):
        load(json.dumps(whole))


def test_another_minor_version_of_the_library_is_refused():
    whole = json.loads(dump(LogisticRegression()))
    whole["sklearn"] = "0.24.1"
    with pytest.raises(ModelError, match=r"scikit-learn 0\.24\.1"):
        load(json.dumps(whole))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1}', '{"format": 2, "tree": {}}'])
def test_damaged_text_is_refused(text):
    with pytest.raises(ModelError):
        load(text)


def test_the_list_is_narrower_than_what_skops_itself_trusts():
    from sklearn.svm import SVC

    assert skops.io.get_untrusted_types(data=skops.io.dumps(SVC())) == []
    with pytest.raises(ModelError, match="SVC"):
        dump(SVC())
