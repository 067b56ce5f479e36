"""What was measured, as files for programs: JSON with everything, Parquet with comparisons as rows.

They stand beside the page that people read, and hold its numbers at full precision. Classes of
people within a comparison are rows of a second Parquet file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connector.lift.result import CampaignLift

NESTED = ("series", "segments", "sensitivities", "health", "outlook", "guardrail")
"""Parts of a result that are no column of a flat table; the JSON has them."""

_NUMBER, _TEXT, _WHOLE = pa.float64(), pa.string(), pa.int64()
_BOUNDS = ("estimate", "low", "high", "confidence")
_ARM: tuple[tuple[str, pa.DataType], ...] = (
    *(("arm", _TEXT), ("n", _WHOLE), ("n_open", _WHOLE), ("n_buyers", _WHOLE)),
    *((name, _NUMBER) for name in ("mean", "total", "variance", "n_units")),
)
SCHEMA = pa.schema(
    [
        *((name, _TEXT) for name in ("campaign", "metric", "kind", "comparison", "unit", "role")),
        *((name, _WHOLE) for name in ("epoch", "window_days", "n_open")),
        *((name, pa.bool_()) for name in ("is_goal", "is_money", "is_surrogate")),
        ("as_of", _TEXT),
        *((f"{side}_{name}", kind) for side in ("treatment", "holdout") for name, kind in _ARM),
        *(
            (f"{part}_{bound}", _NUMBER)
            for part in ("difference", "relative", "incremental", "incremental_roas")
            for bound in _BOUNDS
        ),
        *((name, _NUMBER) for name in ("cost", "expected_buyers", "srm_p", "p_value")),
        *((name, _NUMBER) for name in ("p_adjusted", "scale")),
        *((name, _TEXT) for name in ("method", "stage", "verdict", "reason")),
        ("money_cost", _NUMBER),
        *(
            (f"money_{part}_{bound}", _NUMBER)
            for part in ("revenue", "margin", "orders", "roas", "margin_on_cost", "cost_per_order")
            for bound in _BOUNDS
        ),
    ]
)
"""Columns of the Parquet file; money is in the shop's currency, shares are 0 to 1."""


SEGMENTS = pa.schema(
    [
        *((name, _TEXT) for name in ("campaign", "metric", "against", "dimension", "name")),
        ("epoch", _WHOLE),
        *((f"{side}_{name}", kind) for side in ("treatment", "holdout") for name, kind in _ARM),
        *((f"{part}_{bound}", _NUMBER) for part in ("difference", "relative") for bound in _BOUNDS),
        *((name, _NUMBER) for name in ("p_value", "p_adjusted", "expected_buyers")),
        *((name, _TEXT) for name in ("verdict", "reason")),
    ]
)
"""Columns of the file of classes."""


def flat(lift: Mapping[str, Any], schema: pa.Schema = SCHEMA) -> dict[str, Any]:
    """One comparison, or one class of one, as a row of a schema, of its JSON form."""
    row: dict[str, Any] = {}

    def gather(prefix: str, value: Mapping[str, Any]) -> None:
        for key, item in value.items():
            if isinstance(item, Mapping):
                gather(f"{prefix}{key}_", item)
            else:
                row[f"{prefix}{key}"] = item

    gather("", {key: value for key, value in lift.items() if key not in NESTED})
    return {name: row.get(name) for name in schema.names}


def write_lift(lifts: Sequence[CampaignLift], page: Path) -> tuple[Path, Path]:
    """Write ``<page>.lift.json`` and ``<page>.lift.parquet`` beside a page; returns both paths."""
    return write_documents([lift.to_json() for lift in lifts], page)


def write_documents(documents: Sequence[Mapping[str, Any]], page: Path) -> tuple[Path, Path]:
    """The same from results in their JSON form, with ``<page>.lift_segments.parquet`` beside."""
    page.parent.mkdir(parents=True, exist_ok=True)
    text, rows = page.with_suffix(".lift.json"), page.with_suffix(".lift.parquet")
    text.write_text(
        json.dumps({"comparisons": documents}, ensure_ascii=False, indent=1), encoding="utf-8"
    )
    pq.write_table(
        pa.Table.from_pylist([flat(one) for one in documents], SCHEMA), rows, compression="zstd"
    )
    classes = [
        {
            **flat(part, SEGMENTS),
            **{key: one[key] for key in ("campaign", "metric", "epoch")},
            "against": one["holdout"]["arm"],
        }
        for one in documents
        for part in one["segments"]
    ]
    pq.write_table(
        pa.Table.from_pylist(classes, SEGMENTS),
        page.with_suffix(".lift_segments.parquet"),
        compression="zstd",
    )
    return text, rows
