"""The report's rows about orders to expect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from connector.pipeline.show.publish import demands
from connector.pipeline.understand.act import Understanding
from connector.report.demand import DemandRow, DemandSummary

EVERYBODY = "everybody"


def demand(found: Understanding) -> tuple[DemandSummary, ...]:
    """Orders to expect by every value model in use, where order lines tell categories."""
    return tuple(
        _summary(name, one.table.astype(object).where(one.table.notna(), None), one.untried, found)
        for name, one in demands(found).items()
        if len(one.table)
    )


def _summary(
    name: str,
    table: Any,  # noqa: ANN401 - a pandas frame; not imported for every report
    untried: tuple[str, ...],
    found: Understanding,
) -> DemandSummary:
    rows = table.to_dict("records")
    whole = {row["segment"]: row for row in rows if row["category"] is None}
    return DemandSummary(
        model=name,
        first_day=rows[0]["first_day"],
        last_day=rows[0]["last_day"],
        total=_row(EVERYBODY, whole[None]),
        categories=tuple(
            _row(row["category"], row)
            for row in rows
            if row["segment"] is None and row["category"] is not None
        ),
        segments=tuple(
            _row(one.name, whole[one.name]) for one in found.segments if one.name in whole
        ),
        untried=untried,
    )


def _row(name: str, row: Mapping[str, Any]) -> DemandRow:
    numbers = [
        None if (value := row[key]) is None or math.isnan(value) else float(value)
        for key in ("expected_orders", "low_80", "high_80", "wape", "wape_last_period")
    ]
    return DemandRow(name, int(row["people"]), *numbers)
