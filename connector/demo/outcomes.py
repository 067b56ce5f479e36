"""Time passes in the demo shop: orders, refunds, new customers, withdrawals, and effects.

The base process goes on for everybody exactly as it would without any campaign: it is drawn from
its own stream, so who is treated changes nothing about anybody else's orders. A treatment adds
orders (or takes some away) on top of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connector.demo.addresses import own_address
from connector.demo.catalogue import Catalogue, catalogue
from connector.demo.changes import (
    change_emails,
    insert,
    settle_orders,
    suppress,
    touch_customers,
    withdraw_consents,
)
from connector.demo.effects import Effect, TrueEffect, true_effect
from connector.demo.orders import CANCELLED_SHARE, KEPT_SHARE, PIECES_PER_LINE, Orders, fill_orders
from connector.demo.people import (
    People,
    draw_people,
    draw_purchases,
    exposure,
    exposure_paid,
    first_purchases,
    mean_goods_cents,
)
from connector.demo.permissions import draw_consents
from connector.demo.rows import customer_id, customer_rows, item_rows, order_rows, pending_rows
from connector.demo.season import DAY_S, Floats, Season, Seconds, season, seconds
from connector.demo.shop import clock_rows, people_rows
from connector.demo.streams import stream
from connector.domain import Arm

Ints = npt.NDArray[np.int64]

ASSIGNMENT_COLUMNS = ("campaign", "profile_id", "arm", "customer_id")
"""Columns of assignments: a row for each customer of each assigned profile."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What happened, and what the campaigns truly did.

    Attributes:
        n_orders: New orders, cancelled ones included.
        n_orders_by_effect: How many of them would not have been placed without a treatment.
        n_orders_prevented: Orders that a treatment drove away.
        n_new_customers: Customers who registered.
        n_refunds_shown: Refunds of earlier orders that show now.
        n_withdrawals: Addresses whose consent to marketing by e-mail was withdrawn.
        n_emails_changed: Customers with a new address.
        n_suppressed: Addresses that bounced for good.
        true_effects: The truth, by campaign: of those in ``effects`` that have anybody assigned.
    """

    n_orders: int
    n_orders_by_effect: int
    n_orders_prevented: int
    n_new_customers: int
    n_refunds_shown: int
    n_withdrawals: int
    n_emails_changed: int
    n_suppressed: int
    true_effects: Mapping[str, TrueEffect]


def advance_shop(
    path: Path,
    *,
    seed: int,
    from_: datetime,
    until: datetime,
    assignments: pa.Table,
    effects: Mapping[str, Effect],
    treated_from: datetime | None = None,
) -> Advance:
    """Let time pass in a shop that :func:`connector.demo.shop.build_shop` built.

    Only profiles in the treatment arm are affected; business-as-usual and no-contact profiles go on
    as before. Several treatments of one person add up, and each truth is that of its campaign
    alone. Refunds show up to five days after their order, so measure revenue at least five days
    after a window's end.

    Args:
        path: The shop's database.
        seed: The seed of the shop.
        from_: Where the shop stands now; aware.
        until: Where it shall stand; aware and later.
        assignments: Strings ``campaign``, ``profile_id``, ``arm``, ``customer_id``: a row for each
            customer of each assigned profile.
        effects: What the treatment of each campaign does; campaigns left out do nothing.
        treated_from: When the treatment began; ``from_`` by default. Give it when time passes in
            several steps.

    Raises:
        ValueError: The shop stands elsewhere, has another seed, or ``until`` is not later.
    """
    from_s, until_s = seconds(from_), seconds(until)
    if until_s <= from_s:
        raise ValueError("until must be later than from_")
    with duckdb.connect(str(path)) as connection:
        clock = connection.execute(
            "SELECT seed, until_s, next_customer, next_order, arrivals_per_day FROM simulator.clock"
        ).fetchone()
        if clock is None or clock[:2] != (seed, from_s):
            raise ValueError("the shop has another seed, or does not stand at from_")
        _, _, next_customer, next_order, arrivals = clock
        start_s = from_s if treated_from is None else seconds(treated_from)
        when = season(from_ if treated_from is None else min(from_, treated_from), until)
        goods = catalogue(stream(seed, "catalogue"))
        known = _read_people(connection)
        n_new = int(stream(seed, "arrivals", from_s).poisson(arrivals * (until_s - from_s) / DAY_S))
        new = draw_people(
            stream(seed, "people", from_s), when, n_new, next_customer, from_s, until_s
        )
        people = known.and_also(new)

        world = _World(seed, people, goods, when, from_s, until_s)
        treatments = _treatments(people, assignments, effects, start_s, until_s)
        base = _base_orders(world, n_known=len(known))
        kept = base.where(~_prevented(world, base, treatments))
        added = [_added_orders(world, treatment) for treatment in treatments]
        orders = _numbered([kept, *added], next_order)

        connection.begin()
        n_refunds = settle_orders(connection, from_s, until_s)
        _write(connection, world, new, orders)
        n_changed = change_emails(connection, stream(seed, "moves", from_s), from_s, until_s)
        n_withdrawn = withdraw_consents(
            connection, stream(seed, "withdrawals", from_s), from_s, until_s
        )
        n_suppressed = suppress(connection, stream(seed, "bounces", from_s), from_s, until_s)
        connection.execute("DELETE FROM simulator.clock")
        insert(
            connection,
            "simulator.clock",
            clock_rows(
                seed,
                until_s,
                next_customer=next_customer + n_new,
                next_order=next_order + sum(len(batch) for batch in orders),
                arrivals_per_day=arrivals,
            ),
        )
        connection.commit()
    return Advance(
        n_orders=sum(len(batch) for batch in orders),
        n_orders_by_effect=sum(len(batch) for batch in added),
        n_orders_prevented=len(base) - len(kept),
        n_new_customers=n_new,
        n_refunds_shown=n_refunds,
        n_withdrawals=n_withdrawn,
        n_emails_changed=n_changed,
        n_suppressed=n_suppressed,
        true_effects={each.campaign: _truth(world, each) for each in treatments},
    )


@dataclass(frozen=True, slots=True)
class _World:
    seed: int
    people: People
    goods: Catalogue
    when: Season
    from_s: int
    until_s: int


@dataclass(frozen=True, slots=True)
class _Treatment:
    """One campaign: indices of its people and of their profiles, who is treated, and when."""

    campaign: str
    effect: Effect
    person: Ints
    profile: Ints
    treated: npt.NDArray[np.bool_]
    start_s: int
    end_s: int


def _read_people(connection: duckdb.DuckDBPyConnection) -> People:
    columns = connection.execute("SELECT * FROM simulator.people ORDER BY number").fetchnumpy()
    return People(**{name: np.asarray(values) for name, values in columns.items()})


def _treatments(
    people: People,
    assignments: pa.Table,
    effects: Mapping[str, Effect],
    start_s: int,
    until_s: int,
) -> list[_Treatment]:
    campaign, profile, arm, customer = (
        np.asarray(assignments[name].to_pylist(), dtype=object) for name in ASSIGNMENT_COLUMNS
    )
    position = {customer_id(number): i for i, number in enumerate(people.number.tolist())}
    person = np.array([position.get(each, -1) for each in customer], dtype=np.int64)
    treatments = []
    for name, effect in effects.items():
        mine = np.flatnonzero((campaign == name) & (person >= 0))
        if not len(mine):
            continue
        _, code = np.unique(profile[mine].astype(str), return_inverse=True)
        treatments.append(
            _Treatment(
                campaign=name,
                effect=effect,
                person=person[mine],
                profile=code,
                treated=np.array([each == Arm.TREATMENT for each in arm[mine]], dtype=np.bool_),
                start_s=start_s,
                end_s=min(start_s + effect.days * DAY_S, until_s),
            )
        )
    return treatments


def _base_orders(world: _World, n_known: int) -> Orders:
    """What everybody orders without any campaign; people from index ``n_known`` on are new."""
    rng = stream(world.seed, "orders", world.from_s)
    people = world.people
    later = draw_purchases(
        rng, people, world.when, world.from_s, world.until_s, np.ones(len(people))
    )
    first = first_purchases(rng, people, n_known, world.until_s)
    return fill_orders(rng, first.and_also(later), people, world.goods, world.when, 0)


def _added_orders(world: _World, treatment: _Treatment) -> Orders:
    rng = stream(world.seed, f"effect of {treatment.campaign}", world.from_s)
    extra = np.zeros(len(world.people))
    extra[treatment.person[treatment.treated]] = max(treatment.effect.rate_factor - 1, 0.0)
    begin, end = max(world.from_s, treatment.start_s), max(world.from_s, treatment.end_s)
    purchases = draw_purchases(rng, world.people, world.when, begin, end, extra)
    return fill_orders(rng, purchases, world.people, world.goods, world.when, 0)


def _prevented(world: _World, base: Orders, treatments: list[_Treatment]) -> npt.NDArray[np.bool_]:
    prevented = np.zeros(len(base), dtype=np.bool_)
    for treatment in treatments:
        rng = stream(world.seed, f"losses by {treatment.campaign}", world.from_s)
        treated = np.zeros(len(world.people), dtype=np.bool_)
        treated[treatment.person[treatment.treated]] = True
        during = (base.at_s >= treatment.start_s) & (base.at_s < treatment.end_s)
        lost = rng.random(len(base)) >= treatment.effect.rate_factor
        prevented |= treated[base.person] & during & lost
    return prevented


def _numbered(batches: list[Orders], first_number: int) -> list[Orders]:
    """Number all orders by time, so that a number does not tell whose doing the order was."""
    at_s = np.concatenate([batch.at_s for batch in batches])
    rank = np.empty(len(at_s), dtype=np.int64)
    rank[np.argsort(at_s, kind="stable")] = np.arange(len(at_s))
    numbers = np.split(first_number + rank, np.cumsum([len(batch) for batch in batches])[:-1])
    return [replace(batch, number=mine) for batch, mine in zip(batches, numbers, strict=True)]


def _write(
    connection: duckdb.DuckDBPyConnection, world: _World, new: People, orders: list[Orders]
) -> None:
    ids = [customer_id(number) for number in world.people.number.tolist()]
    emails: list[str | None] = [own_address(number) for number in new.number.tolist()]
    insert(
        connection,
        "customers",
        customer_rows(
            stream(world.seed, "customers", world.from_s), new, emails, new.born_s, is_test=False
        ),
    )
    consents = draw_consents(
        stream(world.seed, "consents", world.from_s), emails, new.born_s, world.until_s
    )
    insert(connection, "consents", consents.rows)
    for batch in orders:
        insert(connection, "orders", order_rows(batch, ids, world.until_s))
        insert(connection, "order_items", item_rows(batch, world.goods))
        insert(connection, "simulator.pending_refunds", pending_rows(batch, world.until_s))
    insert(connection, "simulator.people", people_rows(new))
    touch_customers(connection, _last_orders(ids, orders))


def _last_orders(ids: list[str], orders: list[Orders]) -> pa.Table:
    last: Seconds = np.zeros(len(ids), dtype=np.int64)
    for batch in orders:
        np.maximum.at(last, batch.person, batch.at_s)
    ordered = np.flatnonzero(last)
    return pa.table(
        {
            "customer_id": pa.array([ids[i] for i in ordered], pa.string()),
            "changed_s": last[ordered],
        }
    )


def _truth(world: _World, treatment: _Treatment) -> TrueEffect:
    span = (treatment.start_s, treatment.end_s)
    orders = exposure(world.people, world.when, *span) * (1 - CANCELLED_SHARE)
    value = mean_goods_cents(world.people, world.goods, PIECES_PER_LINE) / 100
    revenue = exposure_paid(world.people, world.when, *span) * value * KEPT_SHARE
    return true_effect(
        _by_profile(treatment, orders),
        _by_profile(treatment, revenue),
        treatment.effect.rate_factor,
        (span[1] - span[0]) / DAY_S,
    )


def _by_profile(treatment: _Treatment, of_person: Floats) -> Floats:
    totals = np.bincount(treatment.profile, weights=of_person[treatment.person])
    return totals.astype(np.float64)
