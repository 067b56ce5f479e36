"""PostgreSQL's errors as ours, without the values, statements and addresses that it quotes."""

from __future__ import annotations

import re

from connector.errors import LiftlineError, SchemaError, SourceError
from connector.warehouse.grammar import StatementError

_UNDEFINED = frozenset({"42P01", "42703"})
_NO_CONNECTION = (
    ("password authentication failed", "it refuses the role or its password", "Check `dsn`."),
    ("no password supplied", "it asks for a password", "Check `dsn`."),
    ("does not exist", "it has no such role or database", "Check `dsn`."),
    ("could not translate host name", "its host is not known", "Check `dsn` and the network."),
    ("refused", "nothing listens at its address", "Check `dsn`, and that the server runs."),
    ("timeout", "it does not answer", "Check `dsn` and the network."),
    ("no such file", "nothing listens at its socket", "Check `dsn`, and that the server runs."),
)
"""What the client library says -> what is told, and what to do."""


def cannot_connect(problem: Exception) -> SourceError:
    """Why no session could be opened."""
    text = str(problem).lower()
    for mark, reason, hint in _NO_CONNECTION:
        if mark in text:
            return SourceError(f"The database cannot be reached: {reason}.", hint=hint)
    return SourceError("The database cannot be reached.", hint="Check `dsn`, and try it with psql.")


def translated(name: str, problem: Exception) -> LiftlineError:
    """An error of a statement, by its SQLSTATE.

    Args:
        name: What was made or read.
        problem: ADBC's, or Arrow's where a value does not fit.
    """
    state = getattr(problem, "sqlstate", None) or ""
    if state in _UNDEFINED:
        said = re.search(r'(relation|column) "?[^"\n]+"? does not exist', str(problem))
        return SchemaError(f"{name}: {said.group() if said else 'a column is missing'}.")
    if "could not create locale" in str(problem):
        return SourceError(
            "The database's machine lacks the locale C.UTF-8.",
            hint="Install it there, or use PostgreSQL 17 or newer, which brings its own.",
        )
    match state[:2]:
        case "08" | "57":
            return SourceError(
                f"{name}: the connection to the database was lost, or the statement cancelled.",
                hint="Look at the server's log and its time limits, and run again.",
            )
        case "53":
            return SourceError(
                f"{name}: the database ran out of memory, disk or connections.",
                hint="Look at the server's log.",
            )
        case "42" if state == "42501":
            said = re.search(r"permission denied [a-z ]+ \S+", str(problem))
            return SourceError(
                f"{name}: {said.group() if said else 'permission denied'}.",
                hint="The role needs SELECT on the tables that are read, USAGE on their schema, and"
                " TEMPORARY on the database.",
            )
        case "25":
            return SourceError(
                f"{name}: the session may only read.",
                hint="Temporary tables are needed: use the primary, and a role that is not"
                " restricted to reading.",
            )
        case "22":
            return SourceError(
                f"{name}: a value cannot be converted.",
                hint="Convert it in the mapping, such as as_number(column), or quarantine the"
                " rows.",
            )
    if not state and "Arrow" in type(problem).__name__:
        return SourceError(
            f"{name}: a value does not fit its column's type.",
            hint="A number may have 28 digits before its point; NaN and infinity are none.",
        )
    return StatementError(
        f"{name}: the engine refuses a statement (SQLSTATE {state or 'unknown'})."
    )
