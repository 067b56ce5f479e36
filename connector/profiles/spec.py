"""What the steps of this package are told, and the report that each of them answers with."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


class Duplicates(enum.StrEnum):
    """What to do with rows that share a key."""

    KEEP_LATEST = "keep_latest"
    ERROR = "error"


class SharedEmail(enum.StrEnum):
    """What to do with customers that share an address."""

    MERGE = "merge"
    QUARANTINE = "quarantine"


class PersonKey(enum.StrEnum):
    """What identifies a person in a consent table or an exclusion list."""

    EMAIL = "email"
    CUSTOMER_ID = "customer_id"
    PROFILE_ID = "profile_id"


@dataclass(frozen=True, slots=True)
class CustomersSpec:
    """How customers are cleaned.

    Attributes:
        duplicates: What to do with rows of one customer id.
        exclude: Condition over logical customers columns (``email`` is the normalised one); where
            it holds, the customer is a test account and the whole profile is left out. Empty:
            nobody.
        max_orders: A customer with more orders than that is a reseller or a machine, and left out
            in the same way. None: nobody is.
    """

    duplicates: Duplicates = Duplicates.KEEP_LATEST
    exclude: str = ""
    max_orders: int | None = None


class MarginFrom(enum.StrEnum):
    """Where the margin of an order comes from."""

    ORDERS = "orders"
    """The column of the orders, as the shop gives it; unknown where it is not mapped."""
    ITEMS = "items"
    """Net revenue less the cost of the order's lines."""


CUSTOMER, EMAIL, PHONE, DEVICE = "customer_id", "email", "phone", "anonymous_id"
"""Kinds of keys that people are known by."""


class WhenApart(enum.StrEnum):
    """What to do with customers of one person who have no key in common any more."""

    KEEP = "keep"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class IdentitySpec:
    """How customers become people.

    Attributes:
        shared_email: What to do with customers that share an address.
        max_customers_per_email: An address of more customers is nobody's own; it merges nobody.
            Without ``max_customers`` the same holds for telephone numbers.
        never_merge_on: Patterns such as ``info@*`` of addresses that merge nobody.
        ids: Kinds of keys in the order of trust, ``customer_id`` among them.
        never_merge_phones: Likewise of numbers, in E.164.
        never_merge_devices: Likewise of devices, which then belong to nobody either.
        country: Two letters of the country of numbers without a country's code; empty: none.
        max_customers: Customers that a person may have; None: any number, but a device that several
            people use merges none of them.
        max_emails: Addresses that a person may have; None: any number.
        max_phones: Likewise numbers.
        max_devices: Likewise devices.
        when_apart: What to do when a person's customers have nothing in common any more.
    """

    shared_email: SharedEmail = SharedEmail.MERGE
    max_customers_per_email: int = 5
    never_merge_on: tuple[str, ...] = ()
    ids: tuple[str, ...] = (CUSTOMER, EMAIL)
    never_merge_phones: tuple[str, ...] = ()
    never_merge_devices: tuple[str, ...] = ()
    country: str = ""
    max_customers: int | None = None
    max_emails: int | None = None
    max_phones: int | None = None
    max_devices: int | None = None
    when_apart: WhenApart = WhenApart.KEEP

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of keys that customers may have in common, in the order of trust."""
        return tuple(kind for kind in self.ids if kind != CUSTOMER)

    def joins(self, kind: str) -> bool:
        """Whether a key of the kind can be a proof that two customers are one person."""
        if kind not in self.ids:
            return False
        if kind == EMAIL:
            return self.shared_email is SharedEmail.MERGE
        return kind != DEVICE or (self.max_customers or 1) > 1

    def most_customers(self, kind: str) -> int:
        """A key of more customers is nobody's own."""
        if kind == EMAIL:
            return min(self.max_customers_per_email, self.max_customers or 10**12)
        return self.max_customers or self.max_customers_per_email

    def patterns(self, kind: str) -> tuple[str, ...]:
        """Patterns of keys that merge nobody."""
        return {
            EMAIL: self.never_merge_on,
            PHONE: self.never_merge_phones,
            DEVICE: self.never_merge_devices,
        }[kind]

    @property
    def limits(self) -> dict[str, int]:
        """Kind of key -> how many of them a person may have, where that is limited."""
        most = {
            CUSTOMER: self.max_customers,
            EMAIL: self.max_emails,
            PHONE: self.max_phones,
            DEVICE: self.max_devices,
        }
        return {kind: n for kind, n in most.items() if n is not None and kind in self.ids}


@dataclass(frozen=True, slots=True)
class OrdersSpec:
    """How orders are cleaned.

    Attributes:
        duplicates: What to do with rows of one order id.
        net_revenue: Expression over logical orders columns; discount and refund are 0 where
            missing.
        cancelled: Condition over logical orders columns; cancelled orders never happened. Empty:
            none.
        max_order_value: Orders and returns above it are impossible; None: any value is possible.
        margin: Where the margin comes from.
    """

    duplicates: Duplicates = Duplicates.KEEP_LATEST
    net_revenue: str = "gross - discount - refund"
    cancelled: str = ""
    max_order_value: Decimal | None = None
    margin: MarginFrom = MarginFrom.ORDERS


@dataclass(frozen=True, slots=True)
class ConsentSpec:
    """How consent records are read.

    Attributes:
        key: What ``person`` holds: e-mail or customer id.
        granted: Words that mean yes, in any letter case.
        withdrawn: Words that mean no.
        purposes: Purposes that are kept; empty: all.
        hears_later_no: Whether a withdrawal counts whatever its time, as it must where people are
            written to today; False to tell who could have been written to at a past instant.
    """

    key: PersonKey = PersonKey.EMAIL
    granted: tuple[str, ...] = ("granted", "subscribed", "yes", "true")
    withdrawn: tuple[str, ...] = ("withdrawn", "unsubscribed", "no", "false")
    purposes: tuple[str, ...] = ()
    hears_later_no: bool = True


@dataclass(frozen=True, slots=True)
class ExclusionList:
    """People listed in a source relation.

    Attributes:
        name: The list's name.
        relation: Physical relation.
        key: What its column identifies.
        column: Column or expression over the relation's columns; empty: named like the key.
        applies_to: Campaigns; empty: all.
    """

    name: str
    relation: str
    key: PersonKey = PersonKey.EMAIL
    column: str = ""
    applies_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExclusionRule:
    """People that a condition over features and profile columns singles out.

    Attributes:
        name: The list's name.
        where: The condition.
        applies_to: Campaigns; empty: all.
    """

    name: str
    where: str
    applies_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepReport:
    """What became of every row of one table in one step.

    Attributes:
        table: Logical name.
        n_in: Rows that came in.
        n_kept: Rows that went on.
        left_out: Reason -> rows that did not; together with ``n_kept`` they are ``n_in``.
        emptied: Reason -> rows that went on without one of their values.
        quarantine_relation: Relation of the rows set aside or emptied: ``table_name, row_key,
            reason, n``.
    """

    table: str
    n_in: int
    n_kept: int
    left_out: Mapping[str, int]
    emptied: Mapping[str, int] = field(default_factory=dict)
    quarantine_relation: str = ""

    @property
    def n_accounted(self) -> int:
        """The sum of all fates; equal to ``n_in``, or rows were lost in silence."""
        return self.n_kept + sum(self.left_out.values())

    def lines(self) -> list[tuple[str, str, int]]:
        """The report as rows (table, measure, n), for the run's quality summary."""
        counts = [
            ("rows", self.n_in),
            *sorted(self.left_out.items()),
            *sorted(self.emptied.items()),
            ("kept", self.n_kept),
        ]
        return [(self.table, measure, n) for measure, n in counts]
