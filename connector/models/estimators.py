"""scikit-learn estimators as text, without pickle: skops inside an allow-list of our own.

A pickle runs whatever its author wrote, and the state database is shared by a team. skops stores a
tree of types and plain arrays instead. It trusts every estimator of scikit-learn and a file may
name a *loader* for each type, so three more fences stand here: every pair of type and loader in the
text must be on :data:`TRUSTED`, the text must be of skops' present protocol (older ones have looser
loaders), and arrays are unpacked by :mod:`connector.models.arrays`, which knows their size
beforehand.

skops writes a zip archive with memory addresses as file names and the time of day, so the same
estimator never gives the same bytes twice. Here the addresses are dropped and the files numbered in
order: equal estimators give equal texts, which a model's version relies on.

An estimator is read by the scikit-learn that wrote it or one of the same minor version: its
attributes are private and change between minors, and a model that answers differently without a
word is worse than one that must be fitted again.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import sklearn
import skops.io

from connector.errors import ModelError
from connector.models import arrays

FORMAT = 1
"""Version of the text around an estimator."""

PROTOCOL = 2
"""skops' protocol that we read and write."""

_OBJECTS = (
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.cluster._kmeans.KMeans",
    "sklearn.decomposition._lda.LatentDirichletAllocation",
    "sklearn.decomposition._pca.PCA",
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.ensemble._forest.RandomForestRegressor",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.linear_model._base.LinearRegression",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.linear_model._ridge.Ridge",
    "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
    "sklearn.neural_network._multilayer_perceptron.MLPRegressor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.RobustScaler",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.preprocessing._label.LabelBinarizer",
    "sklearn.preprocessing._label.LabelEncoder",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._classes.DecisionTreeRegressor",
)
_NUMBERS = ("bool", "float32", "float64", "int32", "int64", "uint8", "uint32", "uint64")

TRUSTED: frozenset[tuple[str, str]] = frozenset(
    {
        *((name, "ObjectNode") for name in _OBJECTS),
        *((f"numpy.{name}", "NdArrayNode") for name in ("ndarray", *_NUMBERS)),
        ("builtins.dict", "DictNode"),
        ("builtins.list", "ListNode"),
        ("builtins.slice", "SliceNode"),
        ("builtins.str", "JsonNode"),
        ("builtins.str", "TypeNode"),
        ("builtins.tuple", "TupleNode"),
        ("numpy.random._generator.Generator", "RandomGeneratorNode"),
        ("numpy.random.mtrand.RandomState", "RandomStateNode"),
        ("sklearn._loss._loss.CyHalfBinomialLoss", "LossNode"),
        ("sklearn._loss._loss.CyHalfSquaredError", "LossNode"),
        ("sklearn.tree._tree.Tree", "TreeNode"),
    }
)
"""What a stored estimator may consist of: the type, and how skops builds it."""

_NAMES = sorted({name for name, _ in TRUSTED})


def dump(estimator: object) -> str:
    """A fitted estimator as JSON text; equal estimators give equal texts.

    Args:
        estimator: One that consists of :data:`TRUSTED` types only.

    Raises:
        ModelError: It holds a type that could not be read back.
    """
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(estimator))) as packed:
        tree = json.loads(packed.read("schema.json"))
        stored: dict[str, int] = {}
        for node in _nodes(tree):
            node.pop("__id__", None)
            if "file" in node:
                array = np.load(io.BytesIO(packed.read(node["file"])), allow_pickle=False)
                is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
                entry = {"order": "F" if is_fortran else "C", "array": arrays.encode(array)}
                # Arrays that are equal are stored once, whether or not they were one object.
                number = stored.setdefault(json.dumps(entry), len(stored))
                node["file"] = f"{number}.npy"
    _audit(tree)
    # Keys stay in their order: skops tells the types of a dict's keys by position.
    return json.dumps(
        {
            "format": FORMAT,
            "sklearn": sklearn.__version__,
            "tree": tree,
            "arrays": [json.loads(entry) for entry in stored],
        }
    )


def load(text: str) -> Any:  # noqa: ANN401 - whichever estimator it is
    """Inverse of :func:`dump`.

    Raises:
        ModelError: The text is damaged, holds a type that is not trusted, or was written under
            another minor version of scikit-learn.
    """
    try:
        whole = json.loads(text)
        written, tree = str(whole["sklearn"]), whole["tree"]
        if whole["format"] != FORMAT or not isinstance(tree, dict):
            raise ValueError(f"format {whole['format']!r}")
        _audit(tree)
        if _minor(written) != _minor(sklearn.__version__):
            raise ModelError(
                f"The stored model was fitted under scikit-learn {written}; installed is"
                f" {sklearn.__version__}.",
                hint="Fit the model again.",
            )
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for i, entry in enumerate(whole["arrays"]):
                buffer = io.BytesIO()
                array = np.asarray(arrays.decode(entry["array"]), order=_order(entry["order"]))
                np.save(buffer, array, allow_pickle=False)
                archive.writestr(f"{i}.npy", buffer.getvalue())
            archive.writestr("schema.json", json.dumps(tree))
        with warnings.catch_warnings():
            # A patch release reads its neighbour's estimators; scikit-learn warns all the same.
            warnings.simplefilter("ignore", category=UserWarning)
            return skops.io.loads(packed.getvalue(), trusted=_NAMES)
    except ModelError:
        raise
    except Exception as problem:
        # skops and numpy raise anything on damaged text.
        raise ModelError(
            "A stored estimator cannot be read.", hint="Fit the model again."
        ) from problem


def _nodes(value: object) -> Iterator[dict[str, Any]]:
    """Every mapping of the tree that describes an object, outermost first."""
    if isinstance(value, dict):
        if "__loader__" in value or "__class__" in value or "__module__" in value:
            yield value
        for inner in value.values():
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)


def _audit(tree: Mapping[str, Any]) -> None:
    """Refuse a tree with anything that is not on the list.

    Raises:
        ModelError: It has such a thing, or is of another protocol.
    """
    if tree.get("protocol") != PROTOCOL or isinstance(tree.get("protocol"), bool):
        raise ModelError(
            f"A stored estimator is of skops' protocol {tree.get('protocol')!r}, not {PROTOCOL}.",
            hint="Fit the model again with the versions of constraints.txt.",
        )
    for node in _nodes(tree):
        name = f"{node.get('__module__')}.{node.get('__class__')}"
        if (name, node.get("__loader__")) not in TRUSTED:
            raise ModelError(
                f"An estimator holds {name!r} (read by {node.get('__loader__')!r}), which is not on"
                " the list of what may be loaded.",
                hint="Fit the model again; if that does not help, the file was tampered with.",
            )


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])


def _order(text: str) -> Literal["C", "F"]:
    return "F" if text == "F" else "C"
