"""Features out of the warehouse, as models read them: numbers, words, vectors and tallies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from connector.features.pack import TALLY, VECTOR, FeatureMeta
from connector.models.inputs.values import Form, as_tally, as_vector
from connector.ports import Warehouse
from connector.warehouse.render import quote

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("BIGINT", "INTEGER", "SMALLINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL", "BOOLEAN")
"""Types that a model can take as they are."""

_PARSERS: Mapping[Form, Callable[[object], object]] = {
    Form.VECTOR: as_vector,
    Form.TALLY: as_tally,
}


def input_form(meta: FeatureMeta | None, kind: str) -> Form | None:
    """What a feature is made of; None: it is nothing that a model can read, such as a time.

    Args:
        meta: What the feature means; None where that is not known.
        kind: SQL type of its column.
    """
    if meta is not None and meta.unit in (VECTOR, TALLY):
        return Form.VECTOR if meta.unit == VECTOR else Form.TALLY
    upper = kind.upper()
    if upper.endswith("]"):
        return None
    if upper.startswith(NUMBERS):
        return Form.NUMBER
    return Form.WORD if upper.startswith("VARCHAR") else None


def feature_frame(
    warehouse: Warehouse,
    relation: str,
    columns: Sequence[str],
    metas: Mapping[str, FeatureMeta],
    *,
    where: str = "",
) -> pd.DataFrame:
    """Features of a relation under ``profile_id``, in the order of the ids.

    Args:
        warehouse: Holds the relation.
        relation: Has ``profile_id`` and the columns.
        columns: Names of features.
        metas: Feature -> what it means.
        where: Condition of the house dialect, checked before.

    Returns:
        Numbers as float64, NaN where unknown; words, vectors and tallies as objects, None where
        unknown.
    """
    import pandas as pd

    kinds = warehouse.columns(relation)
    forms = {name: input_form(metas.get(name), kinds.get(name, "")) for name in columns}
    picks = [
        f"CAST({quote(c)} AS DOUBLE) AS {quote(c)}" if forms[c] is Form.NUMBER else quote(c)
        for c in columns
    ]
    frame = _frame(warehouse, relation, picks, where)
    for name in columns:
        parse = _PARSERS.get(forms[name] or Form.NUMBER)
        if parse is not None:
            parsed = [parse(value) for value in frame[name]]
            frame[name] = pd.Series(parsed, index=frame.index, dtype=object)
        elif forms[name] is Form.WORD:
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
        else:
            frame[name] = frame[name].astype("float64")
    return frame


def number_frame(
    warehouse: Warehouse, relation: str, columns: Sequence[str], *, where: str = ""
) -> pd.DataFrame:
    """Columns of a relation as float64 under ``profile_id``, in the order of the ids."""
    picks = [f"CAST({quote(c)} AS DOUBLE) AS {quote(c)}" for c in columns]
    return _frame(warehouse, relation, picks, where).astype("float64")


def _frame(warehouse: Warehouse, relation: str, picks: Sequence[str], where: str) -> pd.DataFrame:
    import pyarrow as pa

    condition = f" WHERE {where}" if where else ""
    sql = f"SELECT {', '.join(['profile_id', *picks])} FROM {quote(relation)}{condition}"
    table = pa.Table.from_batches(list(batches := warehouse.batches(sql)), batches.schema)
    frame: pd.DataFrame = table.to_pandas().set_index("profile_id").sort_index()
    return frame
