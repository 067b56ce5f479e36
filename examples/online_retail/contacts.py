"""The contacts that the sandbox's HubSpot account holds before the first sync.

Every customer of the file, with the address that ``liftline.yaml`` derives, but for those whose
number leaves 7 when divided by 25 (about 4 %: the account does not know them, and Liftline may not
create them), and twenty leads who never bought. Prints what the sandbox's ``preload_contacts``
takes::

    python examples/online_retail/contacts.py "$ONLINE_RETAIL" > contacts.json
"""

from __future__ import annotations

import json
import sys

import duckdb

MISSING_REMAINDER, MISSING_DIVISOR = 7, 25
N_LEADS = 20


def contacts(path: str) -> list[dict[str, str]]:
    """Property name -> text for each contact, by customer number.

    Args:
        path: The Parquet file of invoice lines.
    """
    with duckdb.connect() as connection:
        rows = connection.execute(
            """
            SELECT CustomerID, min(Country) FROM read_parquet($path)
            WHERE CustomerID IS NOT NULL AND CustomerID % $divisor <> $remainder
            GROUP BY CustomerID ORDER BY CustomerID
            """,
            {"path": path, "divisor": MISSING_DIVISOR, "remainder": MISSING_REMAINDER},
        ).fetchall()
    customers = [
        {
            "email": f"customer{number}@online-retail.example",
            "country": country,
            "lifecyclestage": "customer",
        }
        for number, country in rows
    ]
    leads = [
        {"email": f"lead{i:02d}@online-retail.example", "lifecyclestage": "lead"}
        for i in range(N_LEADS)
    ]
    return customers + leads


if __name__ == "__main__":
    json.dump({"contacts": contacts(sys.argv[1])}, sys.stdout)
