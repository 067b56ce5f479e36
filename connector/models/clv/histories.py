"""Purchase histories: what a buy-till-you-die model needs to know of a customer, checked by record.

Three numbers are enough: how often the customer came back, when last, and how long we have watched.
Literature calls them x, t_x and T. They count from the *first* purchase, which itself is not among
``repeats``; purchases of one day are one purchase.

Times are whole days inside, whatever unit they come in, so that two shops, or one shop in days and
in weeks, give the same answers; :class:`Unit` converts parameters and likelihoods to what a paper
prints. Fractions of a day are accepted (published tables round weeks), only slower: whole days
repeat, and a million customers are but some hundred thousand different histories
(:func:`compress`).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from connector.errors import ModelError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Numbers = Sequence[float] | npt.NDArray[Any]

SHOWN_POSITIONS = 10
"""So many positions of bad records are listed in an error; the count is always complete."""

WHOLE_DAY_SLACK = 1e-6
"""Days: times nearer than this to a whole day are that day (273 / 7 weeks is not exact)."""


class Unit(enum.Enum):
    """A unit of time, by its length in days."""

    DAYS = 1
    WEEKS = 7


@dataclass(frozen=True, slots=True)
class Rejection:
    """One impossible kind of history, and who has it.

    Attributes:
        reason: What is wrong, for a person.
        positions: 0-based positions of the records, ascending.
    """

    reason: str
    positions: Integers

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.positions[:SHOWN_POSITIONS]))
        more = ", ..." if self.positions.size > SHOWN_POSITIONS else ""
        return f"{self.reason}: {self.positions.size} (positions {shown}{more})"


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """Purchase histories of customers, one position each; build them with :meth:`of`.

    Attributes:
        repeats: Purchases after the first one (x), whole numbers held as floats.
        last_age_days: Days from the first to the last purchase (t_x); 0 without a repeat.
        age_days: Days from the first purchase to the end of observation (T).
    """

    repeats: Floats
    last_age_days: Floats
    age_days: Floats

    @classmethod
    def of(
        cls, repeats: Numbers, last_age: Numbers, age: Numbers, *, unit: Unit = Unit.DAYS
    ) -> Histories:
        """Check every record and convert to days.

        Args:
            repeats: x, whole numbers >= 0.
            last_age: t_x in ``unit``.
            age: T in ``unit``.
            unit: Of both times.

        Raises:
            ModelError: The lengths differ, or records are impossible; their count and positions
                are told.
        """
        histories, rejections = screen(repeats, last_age, age, unit=unit)
        if rejections:
            raise ModelError(
                f"Of {len(repeats)} purchase histories some are impossible: "
                + "; ".join(map(str, rejections))
                + ".",
                hint="Correct or drop these records.",
            )
        return histories

    def __len__(self) -> int:
        return int(self.repeats.size)

    def take(self, index: Integers | Booleans) -> Histories:
        """The histories at these positions."""
        return Histories(self.repeats[index], self.last_age_days[index], self.age_days[index])

    @property
    def n_repeaters(self) -> int:
        """Customers with at least one repeat purchase."""
        return int(np.count_nonzero(self.repeats))


NEWCOMER = Histories(np.zeros(1), np.zeros(1), np.zeros(1))
"""The history of somebody who bought for the first time a moment ago."""


def screen(
    repeats: Numbers, last_age: Numbers, age: Numbers, *, unit: Unit = Unit.DAYS
) -> tuple[Histories, tuple[Rejection, ...]]:
    """Split records into the possible ones and the reasons against the others.

    Args:
        repeats: x, whole numbers >= 0.
        last_age: t_x in ``unit``.
        age: T in ``unit``.
        unit: Of both times.

    Returns:
        The possible records in their order, and one rejection for each kind of fault found; a
        record is listed under its first fault only.

    Raises:
        ModelError: The arrays are not one-dimensional or of one length.
    """
    x, last, total = (np.asarray(values, dtype=np.float64) for values in (repeats, last_age, age))
    if not (x.ndim == 1 and x.shape == last.shape == total.shape):
        raise ModelError(
            "Repeats, last ages and ages must be three lists of one length, found shapes "
            f"{x.shape}, {last.shape} and {total.shape}."
        )
    if unit is not Unit.DAYS:
        last, total = _to_days(last, unit), _to_days(total, unit)
    if _all_possible(x, last, total):
        return Histories(x, last, total), ()
    faults = (
        ("a number is missing or infinite", ~np.isfinite(x + last + total)),
        ("a number is negative", (x < 0) | (last < 0) | (total < 0)),
        ("the repeat purchases are not a whole number", x != np.floor(x)),
        ("the last purchase lies after the end of observation (t_x > T)", last > total),
        ("a last purchase after the first one without a repeat (x = 0, t_x > 0)",
         (x == 0) & (last > 0)),
        ("repeat purchases on the day of the first one (x > 0, t_x = 0)", (x > 0) & (last == 0)),
    )  # fmt: skip
    good = np.ones(x.size, dtype=bool)
    rejections = []
    for reason, bad in faults:
        found = good & bad
        if found.any():
            rejections.append(Rejection(reason, np.flatnonzero(found)))
            good &= ~bad
    return Histories(x[good], last[good], total[good]), tuple(rejections)


def _all_possible(x: Floats, last: Floats, total: Floats) -> bool:
    """Whether no record has a fault; few passes, as nearly every call is of this kind."""
    with np.errstate(invalid="ignore"):
        ordered = (last >= 0) & (last <= total) & ((x > 0) == (last > 0)) & (x >= 0)
        return bool(ordered.all() and (x == np.floor(x)).all() and np.isfinite(x + total).all())


def _to_days(times: Floats, unit: Unit) -> Floats:
    """Times in days, rounded to whole days where they are meant to be whole."""
    days = times * unit.value
    whole = np.rint(days)
    near: Floats = np.where(np.abs(days - whole) < WHOLE_DAY_SLACK, whole, days)
    return near


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """Different histories, each with how many customers share it, by x, then T, then t_x.

    Attributes:
        histories: The different histories.
        counts: Customers with each; fractional in a sample that stands for all.
    """

    histories: Histories
    counts: Floats

    def __len__(self) -> int:
        return len(self.histories)

    @property
    def n_customers(self) -> float:
        """Customers that the histories stand for."""
        return float(self.counts.sum())

    def sample(self, size: int, *, n_top: int = 100) -> Weighted:
        """About ``size`` customers at even steps through the sorted histories, no chance involved.

        Even steps through the order are a stratified sample: frequencies and ages are represented
        almost exactly. The customers with the most repeats are taken whole, because one of them (a
        reseller, a robot) can move the optimum and a sample would miss or multiply it.
        """
        if len(self) <= size:
            return self
        body = len(self) - n_top
        upto = np.cumsum(self.counts[:body])
        ranks = (np.arange(size) + 0.5) * (upto[-1] / size)
        picked, times = np.unique(np.searchsorted(upto, ranks), return_counts=True)
        index = np.concatenate([picked, np.arange(body, len(self))])
        counts = np.concatenate([times * (upto[-1] / size), self.counts[body:]])
        return Weighted(self.histories.take(index), counts)


def compress(histories: Histories) -> Weighted:
    """The different histories with their counts, sorted by repeats, age and last age."""
    x, last, total = histories.repeats, histories.last_age_days, histories.age_days
    if not len(histories):
        return Weighted(histories, np.zeros(0))
    span = total.max() + 1.0
    if x.max() * span * span < 2**53 and _is_whole(total) and _is_whole(last):
        # One-time buyers, most people, are counted by age; of the others one key is exact in
        # floats: one sort, and no index to carry along.
        again = x > 0
        once = np.bincount(total[~again].astype(np.int64))
        ages = np.flatnonzero(once)
        keys = np.sort(((x[again] * span + total[again]) * span + last[again]).astype(np.int64))
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        rest, last_keys = np.divmod(keys[first], np.int64(span))
        repeat_keys, age_keys = np.divmod(rest, np.int64(span))
        nothing = np.zeros(ages.size)
        unique = Histories(
            np.concatenate([nothing, repeat_keys]),
            np.concatenate([nothing, last_keys]),
            np.concatenate([ages, age_keys]).astype(np.float64),
        )
        counts = np.concatenate([once[ages], np.diff(np.append(first, keys.size))])
    else:
        order = np.lexsort((last, total, x))
        ordered = histories.take(order)
        changes = (
            (np.diff(ordered.repeats) != 0)
            | (np.diff(ordered.age_days) != 0)
            | (np.diff(ordered.last_age_days) != 0)
        )
        first = np.flatnonzero(np.concatenate([[True], changes]))
        unique = ordered.take(first)
        counts = np.diff(np.append(first, len(histories)))
    return Weighted(unique, counts.astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Different values of an array, and where each position finds its own.

    Attributes:
        values: The different values (whole days: every day up to the last).
        codes: Position in ``values``, for each position of the array.
    """

    values: Floats
    codes: Integers


def tabulate(values: Floats) -> Table:
    """Different values with codes; whole numbers that are not too large code for themselves."""
    if not values.size:
        return Table(values, np.zeros(0, dtype=np.int64))
    top = values.max()
    if top < max(4096, 4 * values.size) and _is_whole(values):
        return Table(np.arange(top + 1.0), values.astype(np.int64))
    unique, codes = np.unique(values, return_inverse=True)
    return Table(unique, codes)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Different pairs of repeats and age: all that a prediction for the living depends on.

    Attributes:
        repeats, age_days: The different pairs.
        codes: Position of each history's pair.
    """

    repeats: Floats
    age_days: Floats
    codes: Integers


def pairs(histories: Histories) -> Pairs:
    """The different pairs of repeats and age among the histories, with codes."""
    x, age = tabulate(histories.repeats), tabulate(histories.age_days)
    n_ages = max(age.values.size, 1)
    cells = x.codes * n_ages + age.codes
    n_cells = x.values.size * n_ages
    if n_cells <= max(4 * len(histories), 1_000_000):
        taken = np.zeros(n_cells, dtype=bool)
        taken[cells] = True
        found = np.flatnonzero(taken)
        place = np.zeros(n_cells, dtype=np.int64)
        place[found] = np.arange(found.size)
        codes = place[cells]
    else:
        found, codes = np.unique(cells, return_inverse=True)
    return Pairs(x.values[found // n_ages], age.values[found % n_ages], codes)


def _is_whole(values: Floats) -> bool:
    """Whether all values are whole numbers."""
    return bool((values == np.rint(values)).all())
