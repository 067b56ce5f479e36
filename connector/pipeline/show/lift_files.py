"""What was measured, as files for programs: JSON with everything, Parquet with comparisons as rows.

Both stand beside the page that people read, and hold its numbers at full precision.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connector.lift.result import CampaignLift

NESTED = ("series", "segments", "sensitivities", "health", "money", "outlook", "guardrail")
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
    ]
)
"""Columns of the Parquet file; money is in the shop's currency, shares are 0 to 1."""


def flat(lift: Mapping[str, Any]) -> dict[str, Any]:
    """One comparison as a row of :data:`SCHEMA`, of its JSON form."""
    row: dict[str, Any] = {}
    for key, value in lift.items():
        if key in NESTED:
            continue
        if isinstance(value, Mapping):
            row |= {f"{key}_{name}": item for name, item in value.items()}
        else:
            row[key] = value
    return {name: row.get(name) for name in SCHEMA.names}


def write_lift(lifts: Sequence[CampaignLift], page: Path) -> tuple[Path, Path]:
    """Write ``<page>.lift.json`` and ``<page>.lift.parquet`` beside a page; returns both paths."""
    page.parent.mkdir(parents=True, exist_ok=True)
    documents = [lift.to_json() for lift in lifts]
    text, rows = page.with_suffix(".lift.json"), page.with_suffix(".lift.parquet")
    text.write_text(
        json.dumps({"comparisons": documents}, ensure_ascii=False, indent=1), encoding="utf-8"
    )
    pq.write_table(
        pa.Table.from_pylist([flat(one) for one in documents], SCHEMA), rows, compression="zstd"
    )
    return text, rows
