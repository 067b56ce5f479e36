"""Whom somebody means by a profile id, a customer id or an e-mail address.

What was typed is looked for and forgotten: it is never part of a message, because it may be
somebody's address, and messages end up in logs and tickets.
"""

from __future__ import annotations

import duckdb

from connector.errors import LiftlineError
from connector.pipeline.understand.act import Understanding
from connector.profiles.quarantine import safe_key
from connector.report.words import left_out
from connector.warehouse.render import literal


def find_profile(found: Understanding, who: str) -> str:
    """The profile that is meant.

    Args:
        found: The first act, after :func:`load_merges`.
        who: A profile id (a former one, too), a customer id or an e-mail address.

    Raises:
        LiftlineError: There is none.
    """
    tests = "a test account or a reseller, which the quality rules leave out everywhere"
    shared = "an address that several people share, so it is nobody's own"
    who = who.strip()
    if _is_text(who):
        address = _normalised(found, who)
        ways = (
            ("SELECT profile_id FROM profiles WHERE profile_id = ?", who, ""),
            ("SELECT into_profile_id FROM merges WHERE from_profile_id = ?", who, ""),
            ("SELECT profile_id FROM profile_customers WHERE customer_id = ?", who, ""),
            ("SELECT profile_id FROM profile_emails WHERE email = ?", address, ""),
            ("SELECT 1 FROM test_customers WHERE customer_id = ?", who, tests),
            ("SELECT 1 FROM clean_customers WHERE is_test AND email = ?", address, tests),
            ("SELECT 1 FROM clean_customers WHERE email = ?", address, shared),
        )
        for sql, value, refusal in ways:
            row = found.warehouse.connection.execute(sql, [value]).fetchone()
            if row is not None and refusal:
                raise LiftlineError(f"That is {refusal}.", hint="Give a customer id instead.")
            if row is not None:
                return str(row[0])
        if reasons := _quarantined(found, who, address):
            raise LiftlineError(
                f"The customer's row is quarantined: {', '.join(reasons)}. Whoever has no other row"
                " is in no segment and is sent nothing.",
                hint="Mend the row in the source, or the rule under tables.customers.quarantine.",
            )
    raise LiftlineError(
        "Nobody is known by that profile id, customer id or e-mail address at this instant.",
        hint="Ids are matched exactly; somebody who joined after --as-of is not there yet, and a"
        " quarantined customer is found by the customer id alone.",
    )


def _quarantined(found: Understanding, who: str, address: str | None) -> list[str]:
    """Why the customer's row was set aside; its key is an id, or the digest of an address."""
    keys = ", ".join(safe_key(literal(key)) for key in {who, address or who})
    rows = found.warehouse.rows(
        "SELECT DISTINCT q.reason AS reason FROM quarantine AS q"
        f" WHERE q.table_name = 'customers' AND q.row_key IN ({keys}) ORDER BY reason"
    )
    return [left_out(str(reason)) for (reason,) in rows]


def _is_text(who: str) -> bool:
    """Whether the engine can hold it; its complaint about anything else would quote it."""
    return "\x00" not in who and who == who.encode(errors="ignore").decode()


def _normalised(found: Understanding, who: str) -> str | None:
    """The text as an address is stored, by the same statement that stores them."""
    ((address,),) = found.warehouse.rows(f"SELECT normalise_email({literal(who)}) AS e")
    return None if address is None else str(address)


def load_merges(con: duckdb.DuckDBPyConnection) -> None:
    """Make ``merges``: who was found to be whom, by the state and by this run."""
    con.execute(
        "CREATE OR REPLACE TEMP VIEW merges AS SELECT from_profile_id, into_profile_id"
        " FROM st_merges UNION SELECT from_profile_id, into_profile_id FROM profile_merges"
    )


def former_ids(con: duckdb.DuckDBPyConnection, profile_id: str) -> tuple[str, ...]:
    """Profile ids that were merged into this one, after :func:`load_merges`."""
    rows = con.execute(
        "SELECT from_profile_id FROM merges WHERE into_profile_id = ? ORDER BY 1", [profile_id]
    ).fetchall()
    return tuple(str(row[0]) for row in rows)
