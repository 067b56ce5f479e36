"""Devices: whose browser it was, so that what somebody did before logging in is theirs.

A device (an ``anonymous_id``) is seen with a customer whenever an event carries both. Those
sightings are edges like a shared address, each with the time when it was first seen.

**As of an instant.** Only sightings before ``as_of`` are read, so a run of an earlier instant knows
no later log-in. Training looks back from one run to several earlier instants, and there an event
without a customer must not tell that its owner logged in afterwards: whoever logs in tends to buy,
so that would be the answer among the questions. Therefore a link carries ``linked_at``,
``clean_events`` keeps for each event the instant since when its owner is known, and features of an
earlier instant read the event only if that lies before it. Who is one *person* is not computed
anew for those instants: people are today's, as customers and orders are.
"""

from __future__ import annotations

from datetime import datetime

from connector.ports import Warehouse
from connector.warehouse.render import literal

LOGINS, LINKS = "device_logins", "profile_devices"


def observe_devices(warehouse: Warehouse, *, as_of: datetime, events: str = "in_events") -> None:
    """Make ``device_logins(anonymous_id, customer_id, first_at)``, which stitching reads.

    Args:
        warehouse: Where the mapped events lie.
        as_of: Events at or after it are not seen.
        events: The mapped events; nothing is seen where there are none.
    """
    if not {"anonymous_id", "customer_id", "occurred_at"} <= set(warehouse.columns(events)):
        warehouse.create_table_as(
            LOGINS,
            "SELECT CAST(NULL AS VARCHAR) AS anonymous_id, CAST(NULL AS VARCHAR) AS customer_id,"
            " CAST(NULL AS TIMESTAMP) AS first_at WHERE FALSE",
        )
        return
    warehouse.create_table_as(
        LOGINS,
        "SELECT e.anonymous_id AS anonymous_id, e.customer_id AS customer_id, min(e.occurred_at)"
        f" AS first_at FROM {events} AS e WHERE e.occurred_at < {literal(as_of)}"
        " AND e.customer_id IS NOT NULL AND trim(e.anonymous_id) <> ''"
        " GROUP BY e.anonymous_id, e.customer_id",
    )


def link_devices(warehouse: Warehouse, *, assigned: str, refused: str) -> None:
    """Make ``profile_devices(anonymous_id, profile_id, linked_at)``: devices of one person each.

    Args:
        warehouse: Where ``device_logins`` lies.
        assigned: Relation ``customer_id, profile_id, is_test``.
        refused: Relation ``v`` of devices that belong to nobody.
    """
    warehouse.create_table_as(
        LINKS,
        "SELECT x.anonymous_id AS anonymous_id, min(x.profile_id) AS profile_id"
        ", min(x.first_at) AS linked_at FROM (SELECT d.anonymous_id AS anonymous_id, a.profile_id"
        " AS profile_id, d.first_at AS first_at, CASE WHEN a.is_test THEN 1 ELSE 0 END AS n_test"
        f" FROM {LOGINS} AS d JOIN {assigned} AS a ON a.customer_id = d.customer_id"
        f" LEFT JOIN {refused} AS r ON r.v = d.anonymous_id WHERE r.v IS NULL) AS x"
        " GROUP BY x.anonymous_id HAVING min(x.profile_id) = max(x.profile_id)"
        " AND sum(x.n_test) = 0",
    )
