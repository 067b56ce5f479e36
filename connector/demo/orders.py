"""Orders as a shop's database holds them: lines, discounts, cancellations, later refunds.

Money is counted in whole cents. An order's state is a function of its age: paid, shipped after a
day, delivered after three; a refund becomes visible some days after the order, by changing the row
in place, as shops do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from connector.demo.catalogue import Catalogue
from connector.demo.people import People, Purchases
from connector.demo.season import DAY_S, Season, Seconds

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_QUANTITY = np.array([1, 2, 4])
_QUANTITY_SHARE = (0.80, 0.15, 0.05)
PIECES_PER_LINE = 1.3
"""Mean quantity of a line: 0.80 * 1 + 0.15 * 2 + 0.05 * 4."""
CANCELLED_SHARE = 0.02
REFUNDED_SHARE = 0.05
FULL_REFUND_SHARE = 0.4
"""Share of the refunds that give everything back; the others give 20 to 60 % back."""
REFUND_MEAN = REFUNDED_SHARE * (FULL_REFUND_SHARE + (1 - FULL_REFUND_SHARE) * 0.4)
"""Expected share of an order's value (after discount) that is given back."""
KEPT_SHARE = (1 - CANCELLED_SHARE) * (1 - REFUND_MEAN)
"""Expected share of an order's value (after discount) that stays with the shop."""
REFUND_DAYS = (1, 5)
"""Earliest and latest day after the order on which a refund shows."""
SHIPPED_AFTER_S = DAY_S
DELIVERED_AFTER_S = 3 * DAY_S
FREE_SHIPPING_CENTS = 6_000
SHIPPING_CENTS = 490

CHANNELS = ("web", "app", "pos")
_CHANNEL_SHARE = (0.64, 0.30, 0.06)
STATUSES = ("paid", "shipped", "delivered", "cancelled")
_CANCELLED = 3


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders and their lines, sorted by time; money in cents.

    Attributes:
        number: The order's number.
        person: Index into the :class:`~connector.demo.people.People` they were drawn for.
        at_s: When it was placed, in seconds since 1970.
        goods: Value of the goods.
        discount: Discount, positive.
        shipping: Paid for shipping.
        refund: What will have been given back in the end, positive.
        refund_at_s: When the refund shows; 0 without one.
        cancelled: Whether it was cancelled at once.
        channel: Index into :data:`CHANNELS`.
        line_order: For each line, the index of its order here.
        line_product: Index of its product.
        line_quantity: Pieces.
    """

    number: Ints
    person: Ints
    at_s: Seconds
    goods: Ints
    discount: Ints
    shipping: Ints
    refund: Ints
    refund_at_s: Seconds
    cancelled: Bools
    channel: Ints
    line_order: Ints
    line_product: Ints
    line_quantity: Ints

    def __len__(self) -> int:
        return len(self.number)

    def where(self, keep: Bools) -> Orders:
        """Only the orders that ``keep`` marks, with their lines."""
        lines = keep[self.line_order]
        place = np.cumsum(keep) - 1
        return Orders(
            number=self.number[keep],
            person=self.person[keep],
            at_s=self.at_s[keep],
            goods=self.goods[keep],
            discount=self.discount[keep],
            shipping=self.shipping[keep],
            refund=self.refund[keep],
            refund_at_s=self.refund_at_s[keep],
            cancelled=self.cancelled[keep],
            channel=self.channel[keep],
            line_order=place[self.line_order[lines]],
            line_product=self.line_product[lines],
            line_quantity=self.line_quantity[lines],
        )

    def visible_refund(self, as_of_s: int) -> Ints:
        """What has been given back before ``as_of_s``."""
        return np.where(self.refund_at_s < as_of_s, self.refund, 0)

    def status(self, as_of_s: int) -> Ints:
        """Index into :data:`STATUSES` as of an instant."""
        age = as_of_s - self.at_s
        reached = (age > SHIPPED_AFTER_S).astype(np.int64) + (age > DELIVERED_AFTER_S)
        return np.where(self.cancelled, _CANCELLED, reached)

    def updated_at_s(self, as_of_s: int) -> Seconds:
        """When the row last changed before ``as_of_s``."""
        age = as_of_s - self.at_s
        moved = np.where(
            age > DELIVERED_AFTER_S,
            DELIVERED_AFTER_S,
            np.where(age > SHIPPED_AFTER_S, SHIPPED_AFTER_S, 0),
        )
        state_s = self.at_s + np.where(self.cancelled, 0, moved)
        refund_s = np.where(self.refund_at_s < as_of_s, self.refund_at_s, 0)
        return np.maximum(state_s, refund_s)

    def net_cents(self, as_of_s: int) -> Ints:
        """Goods less discount less refunds shown by then; zero when cancelled."""
        net = self.goods - self.discount - self.visible_refund(as_of_s)
        return np.where(self.cancelled, 0, net)


def fill_orders(
    rng: np.random.Generator,
    purchases: Purchases,
    people: People,
    goods: Catalogue,
    season: Season,
    first_number: int,
) -> Orders:
    """Give every purchase its lines and its fate; numbers follow time."""
    order = np.lexsort((purchases.person, purchases.at_s))
    person, at_s = purchases.person[order], purchases.at_s[order]
    n = len(person)
    lines = 1 + rng.poisson(people.extra_lines[person])
    line_order = np.repeat(np.arange(n), lines)
    product = goods.draw(rng, people.favourite[person][line_order])
    quantity = _QUANTITY[rng.choice(3, len(line_order), p=_QUANTITY_SHARE)]
    total = np.bincount(
        line_order, weights=quantity * goods.price_cents[product], minlength=n
    ).astype(np.int64)
    rate, share = season.discount(at_s)
    discount = np.where(rng.random(n) < share, np.rint(total * rate), 0).astype(np.int64)
    cancelled = rng.random(n) < CANCELLED_SHARE
    refunded = (rng.random(n) < REFUNDED_SHARE) & ~cancelled
    part = np.where(rng.random(n) < FULL_REFUND_SHARE, 1.0, rng.uniform(0.2, 0.6, n))
    refund = np.where(refunded, np.rint((total - discount) * part), 0).astype(np.int64)
    delay_s = rng.integers(REFUND_DAYS[0] * DAY_S, REFUND_DAYS[1] * DAY_S, n)
    return Orders(
        number=np.arange(first_number, first_number + n),
        person=person,
        at_s=at_s,
        goods=total,
        discount=discount,
        shipping=np.where(total - discount < FREE_SHIPPING_CENTS, SHIPPING_CENTS, 0),
        refund=refund,
        refund_at_s=np.where(refund > 0, at_s + delay_s, 0),
        cancelled=cancelled,
        channel=rng.choice(len(CHANNELS), n, p=_CHANNEL_SHARE),
        line_order=line_order,
        line_product=product,
        line_quantity=quantity,
    )
