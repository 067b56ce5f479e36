"""From transactions to purchase histories, and to what customers did afterwards.

What counts as a purchase is decided here, once:

* All that a customer bought on one **day** is one purchase, whose value is the sum.
* The **first** purchase starts the clock and is neither in ``repeats`` nor in ``mean_value``.
* **Returns** (negative values, or the rows that are said to be returns) are netted first: against
  the purchases of their day, then against the purchase before, and so on back. A purchase that
  returns use up did not take place; what is left over has no purchase to belong to, is dropped and
  counted. A purchase of value 0 without a
  return (a free order) is a purchase, and so is one of negative value (sold at a loss, where values
  are margins) among rows that say which are returns.
* Observation ends with ``end_day``, **included**; whatever comes later is not looked at, neither
  purchases nor returns of earlier ones. A model as of an instant ends on the last whole day before.

Days are numbers (days since 1970-01-01, for one) in the shop's own time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from connector.errors import InsufficientDataError, ModelError
from connector.models.clv.histories import SHOWN_POSITIONS, Booleans, Floats, Histories, Integers
from connector.models.clv.purchases import DAYS_PER_YEAR


@dataclass(frozen=True, slots=True, eq=False)
class Transactions:
    """Checked transactions of a shop; build them with :meth:`of`.

    Attributes:
        ids: The different customers, in the order of their first row.
        customer: Position in ``ids``, for each row.
        day: Day number of each row.
        value: Of each row, in currency; negative for a return.
        is_return: Whether each row takes goods back.
    """

    ids: npt.NDArray[Any]
    customer: Integers
    day: Integers
    value: Floats
    is_return: Booleans

    @classmethod
    def of(
        cls,
        customer: npt.ArrayLike,
        day: npt.ArrayLike,
        value: npt.ArrayLike,
        is_return: npt.ArrayLike | None = None,
    ) -> Transactions:
        """Check and number the customers.

        Args:
            customer: Id of each row's customer: text or whole numbers.
            day: Day numbers, or dates (``datetime64`` of any unit).
            value: Net revenue or margin of each row; negative for a return.
            is_return: Which rows are returns; by default those of negative value.

        Raises:
            ModelError: The lengths differ, or something is missing; count and positions are told.
        """
        who, when = np.asarray(customer), np.asarray(day)
        worth = np.asarray(value, dtype=np.float64)
        back = worth < 0 if is_return is None else np.asarray(is_return, dtype=bool)
        if not (who.ndim == 1 and who.shape == when.shape == worth.shape == back.shape):
            raise ModelError(
                "Customers, days and values must be lists of one length, found shapes"
                f" {who.shape}, {when.shape}, {worth.shape} and, of returns, {back.shape}."
            )
        if when.dtype.kind == "M":
            _refuse("have no date", np.isnat(when))
            when = when.astype("datetime64[D]").astype(np.int64)
        elif when.dtype.kind not in "iu":
            raise ModelError(
                f"Days must be whole numbers or dates, found the type {when.dtype}.",
                hint="Cut times to days in the shop's time zone.",
            )
        _refuse("have no finite value", ~np.isfinite(worth))
        codes, ids = _numbered(who)
        _refuse("have no customer", codes < 0)
        return cls(ids, codes, when.astype(np.int64, copy=False), worth, back)


@dataclass(frozen=True, slots=True, eq=False)
class Customers:
    """Everybody who had bought by the end of observation; one position each.

    Attributes:
        index: Position of each customer in the transactions' ``ids``.
        histories: Repeats and ages.
        mean_value: Mean net value of the repeat purchases; NaN without repeats.
        first_value: Net value of the first purchase.
        first_day: Day number of the first purchase.
        end_day: Day number of the end of observation, the same for all.
        n_unmatched_returns: Returns that no earlier purchase stood against.
    """

    index: Integers
    histories: Histories
    mean_value: Floats
    first_value: Floats
    first_day: Integers
    end_day: int
    n_unmatched_returns: int

    def __len__(self) -> int:
        return int(self.index.size)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What customers did in a window of time; one position each.

    Attributes:
        purchases: Purchases in the window.
        value: Sum of all rows in the window, returns included, discounted if so asked.
    """

    purchases: Floats
    value: Floats


def observe(transactions: Transactions, end_day: int) -> Customers:
    """The histories of everybody who had bought by a day.

    Args:
        transactions: Of the shop.
        end_day: Last day that is looked at.

    Raises:
        InsufficientDataError: Nobody had bought.
    """
    days = _purchase_days(transactions, transactions.day <= end_day)
    if not days.customer.size:
        raise InsufficientDataError(
            "Nobody had bought by the end of observation.",
            hint="Check the first day of the orders.",
        )
    starts = np.flatnonzero(np.concatenate([[True], days.customer[1:] != days.customer[:-1]]))
    ends = np.append(starts[1:], days.customer.size)
    first, last = days.day[starts], days.day[ends - 1]
    repeats = (ends - starts - 1).astype(np.float64)
    repeat_value = np.add.reduceat(days.value, starts) - days.value[starts]
    mean = np.divide(repeat_value, repeats, out=np.full(repeats.size, np.nan), where=repeats > 0)
    return Customers(
        index=days.customer[starts],
        histories=Histories(
            repeats, (last - first).astype(np.float64), (end_day - first).astype(np.float64)
        ),
        mean_value=mean,
        first_value=days.value[starts],
        first_day=first,
        end_day=end_day,
        n_unmatched_returns=days.n_unmatched_returns,
    )


def outcome(
    transactions: Transactions,
    customers: Customers,
    *,
    after_day: int,
    n_days: int,
    annual_discount_rate: float = 0.0,
) -> Outcome:
    """What the customers did in the ``n_days`` after a day, by rows of that window alone.

    Args:
        transactions: Of the shop.
        customers: Whom to look at; others' rows are passed over.
        after_day: The day before the window.
        n_days: Length of the window.
        annual_discount_rate: Discounts each row's value to ``after_day``.
    """
    within = (transactions.day > after_day) & (transactions.day <= after_day + n_days)
    size = transactions.ids.size
    who, worth = transactions.customer[within], transactions.value[within]
    if annual_discount_rate:
        years = (transactions.day[within] - after_day) / DAYS_PER_YEAR
        worth = worth * (1.0 + annual_discount_rate) ** -years
    days = _purchase_days(transactions, within)
    return Outcome(
        purchases=np.bincount(days.customer, minlength=size)[customers.index].astype(np.float64),
        value=np.bincount(who, worth, minlength=size)[customers.index].astype(np.float64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """Purchases after merging and netting, by customer and day."""

    customer: Integers
    day: Integers
    value: Floats
    n_unmatched_returns: int


def _purchase_days(transactions: Transactions, wanted: Booleans) -> _Days:
    """Merge the wanted rows to days and net the returns."""
    customer, day, value = transactions.customer, transactions.day, transactions.value
    gains = ~transactions.is_return
    if not wanted.all():
        customer, day, value, gains = customer[wanted], day[wanted], value[wanted], gains[wanted]
    if not customer.size:
        return _Days(customer, day, value, 0)
    start = int(day.min())
    days = day - start
    if gains.all():
        who, when, net = _summed(value, customer, days)
        return _Days(who, when + start, net, 0)
    who, when, net = _summed(value[gains], customer[gains], days[gains])
    back_who, back_when, back = _summed(value[~gains], customer[~gains], days[~gains])
    span = int(days.max()) + 1
    key, back_key = who * span + when, back_who * span + back_when
    at = np.searchsorted(key, back_key)
    same = np.append(key, -1)[at] == back_key
    net[at[same]] += back[same]
    # Days with nothing but returns take their place among the others.
    alone = ~same
    bought = np.insert(np.ones(who.size, dtype=bool), at[alone], values=False)
    who = np.insert(who, at[alone], back_who[alone])
    when = np.insert(when, at[alone], back_when[alone])
    net = np.insert(net, at[alone], back[alone])
    returned = np.zeros(who.size, dtype=bool)
    returned[np.searchsorted(who * span + when, back_key)] = True
    kept, n_unmatched = _net_returns(who, net, bought, returned)
    return _Days(who[kept], when[kept] + start, net[kept], n_unmatched)


def _summed(values: Floats, rows: Integers, columns: Integers) -> tuple[Integers, Integers, Floats]:
    """Row, column and sum of the values at each place, by row and column.

    A sparse matrix does that by counting, several times faster than sorting the places.
    """
    if not values.size:
        return rows, columns, values
    shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    matrix = sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()
    per_row = np.diff(matrix.indptr)
    return (
        np.repeat(np.arange(shape[0], dtype=np.int64), per_row),
        matrix.indices.astype(np.int64),
        matrix.data,
    )


def _net_returns(
    customer: Integers, net: Floats, bought: Booleans, returned: Booleans
) -> tuple[Booleans, int]:
    """Carry what returns leave below zero back to earlier days of the customer, in place.

    Returns:
        Which days remain purchases, and how many amounts found no purchase.
    """
    kept = bought & ~(returned & (net <= 0))
    n_unmatched = 0
    over = np.flatnonzero(returned & (net < 0))
    while over.size:
        amount = net[over]
        net[over] = 0.0
        before = over - 1
        same = (before >= 0) & (customer[before] == customer[over])
        n_unmatched += int(np.count_nonzero(~same))
        before, amount = before[same], amount[same]
        net[before] += amount
        kept[before] &= net[before] > 0
        over = before[net[before] < 0]
    return kept, n_unmatched


def _numbered(ids: npt.NDArray[Any]) -> tuple[Integers, npt.NDArray[Any]]:
    """Position of each id among the different ones; -1 for a missing one."""
    codes, different = pd.factorize(ids)
    return codes.astype(np.int64, copy=False), np.asarray(different)


def _refuse(what: str, bad: Booleans) -> None:
    """Raise if any row is bad."""
    if bad.any():
        positions = np.flatnonzero(bad)
        shown = ", ".join(map(str, positions[:SHOWN_POSITIONS]))
        more = ", ..." if positions.size > SHOWN_POSITIONS else ""
        raise ModelError(
            f"{positions.size} of {bad.size} transactions {what} (positions {shown}{more}).",
            hint="Correct or drop these rows.",
        )
