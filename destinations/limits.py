"""Vendors' published limits, as data: what no specification carries, each with its source.

An adapter takes its defaults from here, so that a number has one home. ``basis`` says how far to
trust it: ``documented`` is the vendor's word, ``recorded`` was read off real traffic, ``estimate``
is ours and careful.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from connector.domain import Rate


class Basis(enum.StrEnum):
    """Where a number comes from."""

    DOCUMENTED = "documented"
    RECORDED = "recorded"
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of one vendor.

    Attributes:
        value: The number, in ``unit``.
        unit: What is counted.
        basis: How far to trust it.
        source: Where it is published or was seen.
    """

    value: int
    unit: str
    basis: Basis
    source: str


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A request rate of one vendor, on one of its plans."""

    plan: str
    rate: Rate
    daily: int | None
    basis: Basis
    source: str


_HUBSPOT_USAGE = "developers.hubspot.com: API usage guidelines; changelog, increased API limits"
_HUBSPOT_BATCH = "developers.hubspot.com: CRM API, contacts, batch endpoints"
_HUBSPOT_LISTS = "developers.hubspot.com: CRM API, lists, memberships"

HUBSPOT_RATES = (
    RateLimit("free, starter", Rate(100, 10.0), 250_000, Basis.DOCUMENTED, _HUBSPOT_USAGE),
    RateLimit("professional", Rate(190, 10.0), 650_000, Basis.DOCUMENTED, _HUBSPOT_USAGE),
    RateLimit("enterprise", Rate(190, 10.0), 1_000_000, Basis.DOCUMENTED, _HUBSPOT_USAGE),
    RateLimit("API limit increase", Rate(250, 10.0), None, Basis.DOCUMENTED, _HUBSPOT_USAGE),
)
"""Per private app or service key, over a rolling window; the whole account shares the day's."""

HUBSPOT_DEFAULT_RATE = HUBSPOT_RATES[0].rate
"""What every plan allows; ``rate_limit.per_10s`` raises it."""

HUBSPOT_OBJECT_BATCH = Limit(100, "inputs a batch call", Basis.DOCUMENTED, _HUBSPOT_BATCH)
HUBSPOT_MEMBERSHIP_BATCH = Limit(
    10_000, "record ids a call", Basis.ESTIMATE, "no published cap; add-from allows 100,000"
)
HUBSPOT_MEMBERSHIP_PAGE = Limit(250, "memberships a page", Basis.DOCUMENTED, _HUBSPOT_LISTS)
HUBSPOT_WINDOW_S = Limit(
    10, "seconds", Basis.RECORDED, "header X-HubSpot-RateLimit-Interval-Milliseconds"
)
HUBSPOT_LOCKED_WAIT_S = Limit(
    2, "seconds", Basis.DOCUMENTED, "developers.hubspot.com: error handling, 423 Locked"
)
HUBSPOT_PROPERTY_NAME = Limit(
    100, "characters", Basis.DOCUMENTED, "knowledge.hubspot.com: create properties"
)
