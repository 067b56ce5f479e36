"""The logical tables.

The contract between a user's physical tables and everything that is computed from them.

A configuration maps physical columns (or expressions over them) onto these names. Everything after
the mapping reads these names only, so a feature never knows where its data came from. All times are
UTC ``TIMESTAMP`` once mapped; money is ``DECIMAL(18, 2)`` in the shop's currency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MONEY = "DECIMAL(18, 2)"
TIMESTAMP = "TIMESTAMP"
TEXT = "VARCHAR"
INTEGER = "BIGINT"
NUMBER = "DOUBLE"
BOOLEAN = "BOOLEAN"


@dataclass(frozen=True, slots=True)
class Column:
    """One contracted column: its logical name, type, and what it means."""

    name: str
    type: str
    meaning: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One contracted table.

    Attributes:
        name: Logical name, as in the configuration's ``tables``.
        key: The columns that identify a row; empty for a table without one.
        columns: Contracted columns. A mapping may add others, which are carried along as they are.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that a mapping must give."""
        return tuple(column.name for column in self.columns if column.required)

    def column(self, name: str) -> Column | None:
        """The contracted column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


CUSTOMERS = Table(
    "customers",
    key=("customer_id",),
    columns=(
        Column("customer_id", TEXT, "the shop's own id of a customer", required=True),
        Column("email", TEXT, "e-mail address as the customer typed it"),
        Column("phone", TEXT, "telephone number"),
        Column("created_at", TIMESTAMP, "when the customer account was made"),
        Column(
            "updated_at", TIMESTAMP, "when the row last changed; picks the latest of duplicates"
        ),
        Column("country", TEXT, "country code"),
        Column("city", TEXT, "city"),
        Column("birth_year", INTEGER, "year of birth"),
        Column("acquisition_channel", TEXT, "where the customer came from"),
    ),
)

ORDERS = Table(
    "orders",
    key=("order_id",),
    columns=(
        Column("order_id", TEXT, "the shop's own id of an order", required=True),
        Column("customer_id", TEXT, "who ordered", required=True),
        Column("ordered_at", TIMESTAMP, "when the order was placed", required=True),
        Column("gross", MONEY, "value of goods before discount and refund", required=True),
        Column("discount", MONEY, "discount on the order, positive"),
        Column("refund", MONEY, "money given back, positive"),
        Column("shipping", MONEY, "shipping paid by the customer"),
        Column(
            "margin",
            MONEY,
            "contribution margin; by default net revenue less the cost of the lines",
        ),
        Column("status", TEXT, "paid, shipped, cancelled, ..."),
        Column("is_return", BOOLEAN, "the row takes goods back: netted, never counted as an order"),
        Column("channel", TEXT, "web, app, pos, ..."),
        Column("delivery", TEXT, "speed of delivery that the customer chose: standard, express"),
    ),
)

ORDER_ITEMS = Table(
    "order_items",
    key=(),
    columns=(
        Column("order_id", TEXT, "the order that the line belongs to", required=True),
        Column("product_id", TEXT, "what was bought", required=True),
        Column("quantity", NUMBER, "pieces; negative when returned", required=True),
        Column("price", MONEY, "price of one piece", required=True),
        Column("unit_cost", MONEY, "cost of one piece"),
    ),
)

PRODUCTS = Table(
    "products",
    key=("product_id",),
    columns=(
        Column("product_id", TEXT, "the shop's own id of a product", required=True),
        Column("name", TEXT, "title"),
        Column("category", TEXT, "first category level"),
        Column("subcategory", TEXT, "second category level"),
        Column("brand", TEXT, "brand"),
        Column("price", MONEY, "list price"),
    ),
)

EVENTS = Table(
    "events",
    key=("event_id",),
    columns=(
        Column("event_id", TEXT, "the tracker's own id of an event", required=True),
        Column("event", TEXT, "its name, as in Segment's specification", required=True),
        Column("occurred_at", TIMESTAMP, "when it happened", required=True),
        Column("customer_id", TEXT, "who did it, where known"),
        Column("anonymous_id", TEXT, "the device or browser, where the person is not known"),
        Column("session_id", TEXT, "the visit that it belongs to"),
        Column("product_id", TEXT, "the product that it is about"),
        Column("category", TEXT, "the category that it is about; else the product's own"),
        Column("duration_s", NUMBER, "seconds spent, such as on a product's page"),
        Column("channel", TEXT, "web, app, email, ..."),
        Column("campaign", TEXT, "the campaign or message that it belongs to"),
        Column("value", MONEY, "what it is worth"),
        Column("properties", TEXT, "everything else, as one JSON object"),
    ),
)

TICKETS = Table(
    "tickets",
    key=("ticket_id",),
    columns=(
        Column("ticket_id", TEXT, "the help desk's own id of a ticket", required=True),
        Column("customer_id", TEXT, "who asked", required=True),
        Column("opened_at", TIMESTAMP, "when it was opened", required=True),
        Column("closed_at", TIMESTAMP, "when it was solved; empty while it is open"),
        Column("topic", TEXT, "what it is about"),
        Column("channel", TEXT, "email, chat, phone, ..."),
        Column("satisfaction", NUMBER, "the customer's verdict once it was closed; more is better"),
    ),
)

SOCIAL = Table(
    "social",
    key=("interaction_id",),
    columns=(
        Column("interaction_id", TEXT, "the network's own id of an interaction", required=True),
        Column("customer_id", TEXT, "who it was", required=True),
        Column("occurred_at", TIMESTAMP, "when it happened", required=True),
        Column("network", TEXT, "where it happened"),
        Column("action", TEXT, "follow, like, comment, share, mention, ..."),
        Column("sentiment", NUMBER, "from -1 (angry) to 1 (delighted)"),
    ),
)

LOYALTY = Table(
    "loyalty",
    key=("entry_id",),
    columns=(
        Column("entry_id", TEXT, "the programme's own id of a booking", required=True),
        Column("customer_id", TEXT, "whose account it is", required=True),
        Column("occurred_at", TIMESTAMP, "when it was booked", required=True),
        Column("points", NUMBER, "points: earned positive, spent or expired negative"),
        Column("tier", TEXT, "the member's level from this booking on"),
        Column("reason", TEXT, "purchase, redemption, expiry, gift, ..."),
    ),
)

CONSENTS = Table(
    "consents",
    key=(),
    columns=(
        Column(
            "person",
            TEXT,
            "e-mail or customer id, as the configuration's `key` says",
            required=True,
        ),
        Column("purpose", TEXT, "marketing, profiling, advertising, ...", required=True),
        Column("channel", TEXT, "email, sms, web, ads, ...", required=True),
        Column(
            "status",
            TEXT,
            "granted or withdrawn (mapped from the source's own words)",
            required=True,
        ),
        Column("at", TIMESTAMP, "when the person said so", required=True),
        Column("source", TEXT, "form, import, preference centre, ..."),
    ),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        *(CUSTOMERS, ORDERS, ORDER_ITEMS, PRODUCTS),
        *(EVENTS, TICKETS, SOCIAL, LOYALTY),
        CONSENTS,
    )
}
"""Every logical table by name."""

EVENT_MEANINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "page_view": ("Page Viewed", "Page", "Screen Viewed", "Screen"),
        "search": ("Products Searched",),
        "list_view": ("Product List Viewed", "Product List Filtered", "Category Viewed"),
        "product_view": ("Product Viewed",),
        "cart_add": ("Product Added",),
        "cart_remove": ("Product Removed",),
        "cart_view": ("Cart Viewed",),
        "checkout": ("Checkout Started",),
        "order": ("Order Completed",),
        "wishlist_add": ("Product Added to Wishlist",),
        "email_sent": ("Email Sent",),
        "email_delivered": ("Email Delivered",),
        "email_open": ("Email Opened",),
        "email_click": ("Email Link Clicked", "Email Clicked"),
        "email_bounce": ("Email Bounced",),
        "email_unsubscribe": ("Unsubscribed", "Email Unsubscribed", "Email List Unsubscribed"),
    }
)
"""What an event can mean -> names of events that mean it, in any letter case.

The names are those of Segment's specification; a configuration may replace the words of a meaning.
Features speak of meanings only, since every shop and mailing system has its own words.
"""

ON_SITE = tuple(name for name in EVENT_MEANINGS if not name.startswith("email_"))
"""Meanings of what happens during a visit of the site or the app."""
