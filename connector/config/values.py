"""The small vocabulary of values: names, durations, percents, score ranges, days.

A marketer writes ``30d``, ``5%``, ``4-5``; the code behind gets a ``timedelta``, a share between 0
and 1, a pair of scores. Each kind refuses what could be meant in two ways: ``5`` is no duration
(days? hours?) and ``0.05`` is no percent (a twentieth, or five hundredths of a per cent?). YAML
itself is lax, so nothing is converted silently: text is not a number, ``yes`` is not ``true``.

A refusal is a :func:`refuse` error: what was found is added by :mod:`connector.config.problems`, so
no secret can slip in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic_core import PydanticCustomError

from connector.models.groups import Span

REFUSED = "liftline"
"""Type of the pydantic errors made by :func:`refuse`."""

NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DURATION = re.compile(r"(\d{1,6})\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")
_SPAN = re.compile(r"(\d{1,2})(?:\s*-\s*(\d{1,2}))?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class Section(BaseModel):
    """Base of every block of the file: unknown keys are errors, and nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


def refuse(allowed: str, *, words: Sequence[str] = (), hint: str = "") -> PydanticCustomError:
    """The error for a value that is not one of its kind.

    Args:
        allowed: What may be written instead, as a noun phrase.
        words: The allowed words, for a did-you-mean.
        hint: What to do, where no did-you-mean of the whole value tells it.
    """
    context = {"allowed": allowed, "words": tuple(words), "hint": hint}
    return PydanticCustomError(REFUSED, "expected {allowed}", context)


def _name(value: object) -> object:
    if not isinstance(value, str) or not NAME_PATTERN.fullmatch(value):
        allowed = "a name of lower-case letters, digits and _ that starts with a letter"
        raise refuse(allowed, words=(as_name(value),) if isinstance(value, str) else ())
    return value


def as_name(text: str) -> str:
    """The text as a name is written; the text itself where it already is one, or cannot be."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:63]
    return name if NAME_PATTERN.fullmatch(name) and not NAME_PATTERN.fullmatch(text) else text


def _text(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise refuse("text")
    return value


def duration(value: object) -> timedelta:
    """Read a duration.

    Raises:
        PydanticCustomError: It is none.
    """
    allowed = "a duration with its unit, such as 30d, 26h, 90m or 2w"
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise refuse(allowed)
    if int(match[1]) == 0:
        raise refuse("a duration of more than nothing, 1m (one minute) or longer")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def whole_days(value: object) -> timedelta:
    """Read a duration of whole days.

    Raises:
        PydanticCustomError: It is none.
    """
    stretch = duration(value)
    if stretch % timedelta(days=1):
        raise refuse("a whole number of days or weeks, such as 30d or 2w")
    return stretch


def _refit(value: object) -> object:
    words = ("with_training", "every_run")
    if value in words:
        return value
    try:
        return whole_days(value)
    except PydanticCustomError:
        raise refuse("with_training, every_run, or an age such as 30d", words=words) from None


def _share(value: object) -> float:
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or Decimal(match[1]) > 100:
        raise refuse(
            "a percent between 0% and 100%, with its sign: 5% (a bare 5 or 0.05 could mean either)"
        )
    return float(Decimal(match[1]) / 100)


def _probability(value: object) -> float:
    if isinstance(value, str) and "%" in value:
        number: float = _share(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        number = -1.0
    if not 0 < number < 1:
        raise refuse("a number between 0 and 1, such as 0.95, or the same as a percent, 95%")
    return number


def _money(value: object) -> Decimal:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            amount = Decimal(-1)
        if amount.is_finite() and 0 <= amount < Decimal(10) ** 15:
            return amount
    raise refuse("an amount of money as a plain number, 0 or more, such as 9.50")


def _span(value: object) -> Span:
    if isinstance(value, Span):
        return value
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or not 1 <= int(match[1]) <= int(match[2] or match[1]):
        raise refuse("a score or a range of scores, low to high, such as 5 or 4-5")
    return Span(int(match[1]), int(match[2] or match[1]))


def _day(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise refuse("a day that exists, as YYYY-MM-DD") from None
    raise refuse("a day as YYYY-MM-DD, such as 2026-03-02")


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


Text = Annotated[StrictStr, BeforeValidator(_text)]
"""Text that is not empty."""
Name = Annotated[StrictStr, BeforeValidator(_name)]
"""A name that other parts of the file refer to, and that becomes a table, a key or a list name."""
Expression = Annotated[StrictStr, BeforeValidator(_text)]
"""An expression in the house dialect, as text: :mod:`connector.warehouse` parses it."""
Switch = StrictBool
"""``true`` or ``false``."""
Whole = Annotated[StrictInt, Field(ge=0, le=10**12)]
"""A whole number, 0 or more."""
Duration = Annotated[timedelta, BeforeValidator(duration)]
"""A ``timedelta``, written ``30d``, ``26h``, ``90m``, ``2w``."""
Days = Annotated[timedelta, BeforeValidator(whole_days)]
"""A ``timedelta`` of whole days, written ``30d`` or ``2w``."""
Refit = Annotated[Literal["with_training", "every_run"] | timedelta, BeforeValidator(_refit)]
"""When a model is fitted anew: with training, in every run, or when it is older than an age."""
Share = Annotated[float, BeforeValidator(_share)]
"""A fraction between 0 and 1, written ``5%``."""
Probability = Annotated[float, BeforeValidator(_probability)]
"""A fraction strictly between 0 and 1, written ``0.95`` or ``95%``."""
Money = Annotated[Decimal, BeforeValidator(_money)]
"""An amount in the shop's currency, 0 or more."""
Scores = Annotated[Span, BeforeValidator(_span)]
"""A :class:`~connector.models.groups.Span` of scores, written ``4-5`` or ``5``."""
Day = Annotated[date, BeforeValidator(_day)]
"""A calendar day in the project's time zone, written ``2026-03-02``."""
Names = Annotated[tuple[Name, ...], BeforeValidator(_one_or_many)]
"""Several names; one alone may stand without brackets."""
Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_many)]
"""Several texts; one alone may stand without brackets."""
Plain = Any
"""A plain value that is passed through as it was read: text, number, boolean, list or mapping of
these."""


def duration_text(stretch: timedelta) -> str:
    """A duration as it is written in the file: ``730d``, ``26h``, ``90m``."""
    minutes = int(stretch.total_seconds()) // 60
    if minutes % 1440 == 0:
        return f"{minutes // 1440}d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def share_sum(shares: Sequence[float]) -> Decimal:
    """The exact sum of shares: 33.3 % + 33.3 % + 33.4 % is 1, not 0.9999999."""
    return sum((Decimal(str(share)) for share in shares), Decimal(0))
