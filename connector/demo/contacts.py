"""What the shop's HubSpot account holds before Liftline is let in.

Most customers, not all of them, and people of its own. It is plain data, with HubSpot's default
property names and no code of any vendor's, so a test or the demo can load it into whatever plays
the vendor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from connector.demo.changes import GRANTED_SQL
from connector.demo.streams import stream

MISSING_SHARE = 0.04
"""Share of consenting customers whom the account does not know."""
SILENT_KNOWN_SHARE = 0.5
"""Share of the other customers whom it knows all the same, from order confirmations."""
N_LEADS = 300
_N_FOREIGN_LEADS = 15
_N_FOREIGN_CUSTOMERS = 15


@dataclass(frozen=True, slots=True)
class AccountContents:
    """A HubSpot account before the first sync.

    Attributes:
        contacts: Property name -> text for each contact; ``email`` is always there, in small
            letters and unique.
        n_missing: Consenting customers' addresses that the account does not know.
        n_leads: Contacts that are no customers of the shop.
        list_members: Addresses that somebody put on a list by hand: members that are not ours.
    """

    contacts: list[dict[str, str]]
    n_missing: int
    n_leads: int
    list_members: tuple[str, ...]


def account_contents(path: Path, *, seed: int) -> AccountContents:
    """What the vendor knows of a demo shop, the same for the same shop and seed.

    Args:
        path: The shop's database.
        seed: Not negative.
    """
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute(
            f"""
            SELECT lower(trim(c.email)), min(c.country), min(c.city), bool_or(g.email IS NOT NULL)
            FROM customers c LEFT JOIN ({GRANTED_SQL}) g ON g.email = lower(trim(c.email))
            WHERE NOT c.is_test
                AND regexp_full_match(lower(trim(c.email)), '[^@ ]+@[^@ ]+[.]example')
            GROUP BY 1 ORDER BY 1
            """
        ).fetchall()
    rng = stream(seed, "account")
    granted = np.array([row[3] for row in rows], dtype=np.bool_)
    agreed = np.flatnonzero(granted)
    missing = rng.permutation(agreed)[: round(MISSING_SHARE * len(agreed))]
    known = granted | (rng.random(len(rows)) < SILENT_KNOWN_SHARE)
    known[missing] = False
    contacts = [
        {"email": email, "country": country, "city": city, "lifecyclestage": "customer"}
        for email, country, city, _ in (rows[i] for i in np.flatnonzero(known))
    ]
    by_hand = [
        contacts[i]["email"] for i in np.sort(rng.permutation(len(contacts))[:_N_FOREIGN_CUSTOMERS])
    ]
    leads = [f"lead{i:04d}@trade-fair.example" for i in range(N_LEADS)]
    contacts += [{"email": lead, "lifecyclestage": "lead"} for lead in leads]
    return AccountContents(
        contacts=contacts,
        n_missing=len(missing),
        n_leads=N_LEADS,
        list_members=(*by_hand, *leads[:_N_FOREIGN_LEADS]),
    )
