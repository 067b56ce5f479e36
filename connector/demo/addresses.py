"""E-mail addresses as customers typed them: mostly their own, some shared, some useless.

Every domain is reserved for examples (RFC 2606), so nothing can ever be sent to anybody. The kinds
do not overlap, so each can be counted exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

DOMAIN = "shop-customers.example"
STAFF_DOMAIN = "northwind-home.example"
ROLE_ADDRESS = "info@hotel-lobby.example"
"""A role address that several customers ordered with: people behind it are not one person."""
SHARED_ADDRESS = f"frontdesk@{DOMAIN}"
"""An address with more customers than any household has."""

_PAIRS = 0.0125
_TRIPLES = 0.001
_MISSING = 0.012
_INVALID = 0.007
_MESSY = 0.03
_ROLE_CUSTOMERS = 6
_SHARED_CUSTOMERS = 8


@dataclass(frozen=True, slots=True)
class Addresses:
    """One address for each customer, by customer number.

    Attributes:
        typed: As in the table: perhaps with capitals and spaces, invalid or None.
        normalised: Trimmed and lower-cased; None where the address is invalid or missing.
        n_households: Addresses that two or three customers share.
        n_household_customers: Customers who share them.
        n_role_customers: Customers with :data:`ROLE_ADDRESS`.
        n_crowded_customers: Customers with :data:`SHARED_ADDRESS`.
        n_missing: Customers without an address.
        n_invalid: Customers with an address that is none.
        n_messy: Valid addresses with capitals or spaces.
    """

    typed: list[str | None]
    normalised: list[str | None]
    n_households: int
    n_household_customers: int
    n_role_customers: int
    n_crowded_customers: int
    n_missing: int
    n_invalid: int
    n_messy: int


def own_address(number: int) -> str:
    """The address that a customer has for themselves."""
    return f"customer{number:05d}@{DOMAIN}"


def draw_addresses(rng: np.random.Generator, n: int) -> Addresses:
    """Addresses for ``n`` customers; shares are of ``n``, rounded."""
    shuffled: Iterator[int] = iter(rng.permutation(n).tolist())

    def take(count: int) -> list[int]:
        return list(islice(shuffled, count))

    valid: list[str | None] = [own_address(number) for number in range(n)]
    n_pairs, n_triples = round(_PAIRS * n), round(_TRIPLES * n)
    households = [take(2) for _ in range(n_pairs)] + [take(3) for _ in range(n_triples)]
    for home, members in enumerate(households):
        for number in members:
            valid[number] = f"home{home:05d}@{DOMAIN}"
    role, crowded = take(_ROLE_CUSTOMERS), take(_SHARED_CUSTOMERS)
    for number in role:
        valid[number] = ROLE_ADDRESS
    for number in crowded:
        valid[number] = SHARED_ADDRESS
    typed = list(valid)
    messy = take(round(_MESSY * n))
    for place, number in enumerate(messy):
        typed[number] = _messy(own_address(number), place)
    missing, invalid = take(round(_MISSING * n)), take(round(_INVALID * n))
    for number in missing:
        typed[number] = valid[number] = None
    for place, number in enumerate(invalid):
        typed[number], valid[number] = _invalid(number, place), None
    return Addresses(
        typed=typed,
        normalised=valid,
        n_households=len(households),
        n_household_customers=2 * n_pairs + 3 * n_triples,
        n_role_customers=len(role),
        n_crowded_customers=len(crowded),
        n_missing=len(missing),
        n_invalid=len(invalid),
        n_messy=len(messy),
    )


def _messy(address: str, place: int) -> str:
    return (address.upper(), f" {address}", f"{address.title()}  ")[place % 3]


def _invalid(number: int, place: int) -> str:
    return (
        f"customer{number:05d}",
        f"customer{number:05d}@",
        f"customer{number:05d}@@{DOMAIN}",
        f"customer {number:05d}@{DOMAIN}",
    )[place % 4]
