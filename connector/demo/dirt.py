"""What is wrong with the rows, planted in known amounts: the engine has to find exactly these.

Every kind of dirt is added as rows of its own and no row has two faults, so removing the dirt gives
back exactly the clean tables. (Faults of e-mail addresses are in :mod:`connector.demo.addresses`:
there the address itself is the fault.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connector.demo.addresses import DOMAIN
from connector.demo.rows import order_id
from connector.demo.season import DAY_S

Ints = npt.NDArray[np.int64]

_EXACT_CUSTOMERS = 0.003
_STALE_CUSTOMERS = 0.004
_EXACT_ORDERS = 0.005
_STALE_ORDERS = 0.004
_NEGATIVE_TOTALS = 0.0005
_ABSURD_TOTALS = 0.0001
_NO_CUSTOMER = 0.0025
_UNKNOWN_CUSTOMER = 0.001

ABSURD_CENTS = 99_999_900
"""Total of an order that is a typing error; the cents of 999,999.00."""


@dataclass(frozen=True, slots=True)
class OrderDirt:
    """Faulty order rows, and how many there are of each kind.

    Attributes:
        rows: The rows to append.
        n_exact: Rows that repeat another one in every column.
        n_stale: Older states of an order that is there in a newer state.
        n_negative: Orders with a negative total.
        n_absurd: Orders with an impossibly high total.
        n_no_customer: Orders without a customer.
        n_unknown_customer: Orders of a customer that the shop does not have.
    """

    rows: pa.Table
    n_exact: int
    n_stale: int
    n_negative: int
    n_absurd: int
    n_no_customer: int
    n_unknown_customer: int

    @property
    def n_invented(self) -> int:
        """Rows with an order number of their own."""
        return self.n_negative + self.n_absurd + self.n_no_customer + self.n_unknown_customer


@dataclass(frozen=True, slots=True)
class CustomerDirt:
    """Faulty customer rows, and how many there are of each kind."""

    rows: pa.Table
    n_exact: int
    n_stale: int


def soil_customers(rng: np.random.Generator, clean: pa.Table) -> CustomerDirt:
    """Repeat some rows exactly, and others in an older state with an older address."""
    n = clean.num_rows
    shuffled = rng.permutation(n)
    n_exact, n_stale = _count(_EXACT_CUSTOMERS, n), _count(_STALE_CUSTOMERS, n)
    changed = clean["updated_s"].to_numpy() > clean["created_s"].to_numpy()
    rest = shuffled[n_exact:]
    old = clean.take(rest[changed[rest]][:n_stale])
    old = _replace(old, "updated_s", old["created_s"])
    emails = [f"former{i:05d}@{DOMAIN}" for i in range(old.num_rows)]
    old = _replace(old, "email", pa.array(emails, pa.string()))
    rows = pa.concat_tables([clean.take(shuffled[:n_exact]), old])
    return CustomerDirt(rows, n_exact, old.num_rows)


def soil_orders(rng: np.random.Generator, clean: pa.Table, next_number: int) -> OrderDirt:
    """Repeat some orders, exactly or in an older state, and invent impossible ones."""
    n = clean.num_rows
    shuffled = rng.permutation(n)
    n_exact, n_stale = _count(_EXACT_ORDERS, n), _count(_STALE_ORDERS, n)
    exact = clean.take(shuffled[:n_exact])
    rest = shuffled[n_exact:]
    moved = clean["updated_s"].to_numpy() > clean["created_s"].to_numpy()
    stale = clean.take(rest[moved[rest]][:n_stale])
    stale = _replace(stale, "updated_s", stale["created_s"])
    stale = _replace(stale, "status", pa.array(["paid"] * stale.num_rows, pa.string()))
    stale = _replace(stale, "refund", pa.array([0] * stale.num_rows, pa.int64()))

    counts = [
        _count(share, n)
        for share in (_NEGATIVE_TOTALS, _ABSURD_TOTALS, _NO_CUSTOMER, _UNKNOWN_CUSTOMER)
    ]
    invented = clean.take(shuffled[-sum(counts) :])
    kind = np.repeat(np.arange(len(counts)), counts)
    total = invented["total"].to_numpy().copy()
    total[kind == 0] *= -1
    total[kind == 1] = ABSURD_CENTS
    owner = np.array(invented["customer_id"].to_pylist(), dtype=object)
    owner[kind == 2] = None
    owner[kind == 3] = [f"C9{i:06d}" for i in range(counts[3])]
    created = invented["created_s"].to_numpy() - rng.integers(60, DAY_S, len(kind))
    ids = pa.array([order_id(next_number + i) for i in range(len(kind))], pa.string())
    invented = _replace(invented, "order_id", ids)
    invented = _replace(invented, "total", pa.array(total))
    invented = _replace(invented, "customer_id", pa.array(owner, pa.string()))
    invented = _replace(invented, "created_s", pa.array(created))
    for column in ("discount", "refund"):
        invented = _replace(invented, column, pa.array([0] * len(kind), pa.int64()))
    invented = _replace(invented, "status", pa.array(["delivered"] * len(kind), pa.string()))
    return OrderDirt(
        rows=pa.concat_tables([exact, stale, invented]),
        n_exact=n_exact,
        n_stale=stale.num_rows,
        n_negative=counts[0],
        n_absurd=counts[1],
        n_no_customer=counts[2],
        n_unknown_customer=counts[3],
    )


def _count(share: float, n: int) -> int:
    """At least one of each kind, however small the shop."""
    return max(1, round(share * n))


def _replace(table: pa.Table, column: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), column, values)
