"""Property values on their way out: which can be sent at all, and how they read as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from connector.domain import Change, Outcome, PropertyValue, RecordResult


def as_text(value: PropertyValue) -> str:
    """A value as text: numbers without exponent, times in UTC to the millisecond, ``""`` for none.

    Args:
        value: Finite if a number; a naive datetime is taken as UTC.
    """
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
        case float():
            return format(Decimal(repr(float(value))), "f")
        case datetime():
            aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case _:
            return str(value)


def set_aside(changes: Sequence[Change]) -> tuple[list[Change], list[RecordResult]]:
    """Split off the changes that hold a number that is none (NaN, infinity), already answered.

    One such value would have most vendors refuse the batch, or store a word where a number belongs.
    """
    sendable, results = [], []
    for change in changes:
        if _all_finite(change.properties.values()):
            sendable.append(change)
        else:
            results.append(
                RecordResult(
                    change.change_id,
                    Outcome.REJECTED,
                    change.record_id,
                    "INVALID_VALUE",
                    "A number is not finite.",
                )
            )
    return sendable, results


def _all_finite(values: Iterable[PropertyValue]) -> bool:
    return all(
        value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
        for value in values
        if isinstance(value, (float, Decimal))
    )
