"""A small warehouse of assignments and orders for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from connector.ports import Warehouse

START = datetime(2026, 1, 1, tzinfo=UTC)
STAMP = pa.timestamp("us")


def day(n: float) -> datetime:
    """So many days after the start."""
    return START + timedelta(days=n)


@dataclass(frozen=True)
class Assigned:
    profile_id: str
    arm: str
    at: datetime = START
    campaign: str = "winback"
    epoch: int = 1
    version: str = "v1"


@dataclass(frozen=True)
class Order:
    profile_id: str
    at: datetime
    net: str
    is_return: bool = False
    margin: str | None = None
    discount: str = "0"


@dataclass(frozen=True)
class Line:
    order: int
    profile_id: str
    at: datetime
    quantity: float
    price: str
    unit_cost: str | None
    is_return: bool = False


@dataclass(frozen=True)
class Event:
    profile_id: str
    at: datetime
    meaning: str
    value: str = "0"


def load(warehouse: Warehouse, people: Sequence[Assigned], orders: Sequence[Order]) -> None:
    """Make the two relations that the analysis reads."""
    stamp, money = STAMP, pa.decimal128(18, 2)
    warehouse.load(
        "assignments",
        pa.table(
            {
                "campaign": pa.array([p.campaign for p in people], pa.string()),
                "epoch": pa.array([p.epoch for p in people], pa.int32()),
                "config_version": pa.array([p.version for p in people], pa.string()),
                "profile_id": pa.array([p.profile_id for p in people], pa.string()),
                "arm": pa.array([p.arm for p in people], pa.string()),
                "first_eligible_at": pa.array([p.at.replace(tzinfo=None) for p in people], stamp),
            }
        ),
    )
    net = [Decimal(o.net) for o in orders]
    warehouse.load(
        "clean_orders",
        pa.table(
            {
                "order_id": pa.array([f"o{i}" for i in range(len(orders))], pa.string()),
                "profile_id": pa.array([o.profile_id for o in orders], pa.string()),
                "ordered_at": pa.array([o.at.replace(tzinfo=None) for o in orders], stamp),
                "net_revenue": pa.array(net, money),
                "gross": pa.array(net, money),
                "discount": pa.array([Decimal(o.discount) for o in orders], money),
                "margin": pa.array([o.margin and Decimal(o.margin) for o in orders], money),
                "is_return": pa.array([o.is_return for o in orders], pa.bool_()),
                "channel": pa.array(["web"] * len(orders), pa.string()),
            }
        ),
    )


def load_lines(warehouse: Warehouse, lines: Sequence[Line]) -> None:
    """Make ``clean_items``; ``order`` is the place of the order in :func:`load`."""
    money = pa.decimal128(18, 2)
    warehouse.load(
        "clean_items",
        pa.table(
            {
                "order_id": pa.array([f"o{x.order}" for x in lines], pa.string()),
                "profile_id": pa.array([x.profile_id for x in lines], pa.string()),
                "ordered_at": pa.array([x.at.replace(tzinfo=None) for x in lines], STAMP),
                "is_return": pa.array([x.is_return for x in lines], pa.bool_()),
                "quantity": pa.array([x.quantity for x in lines], pa.float64()),
                "price": pa.array([Decimal(x.price) for x in lines], money),
                "unit_cost": pa.array([x.unit_cost and Decimal(x.unit_cost) for x in lines], money),
            }
        ),
    )


def load_events(warehouse: Warehouse, events: Sequence[Event]) -> None:
    """Make ``clean_events``."""
    warehouse.load(
        "clean_events",
        pa.table(
            {
                "event_id": pa.array([f"e{i}" for i in range(len(events))], pa.string()),
                "profile_id": pa.array([x.profile_id for x in events], pa.string()),
                "meaning": pa.array([x.meaning for x in events], pa.string()),
                "occurred_at": pa.array([x.at.replace(tzinfo=None) for x in events], STAMP),
                "value": pa.array([Decimal(x.value) for x in events], pa.decimal128(18, 2)),
            }
        ),
    )
