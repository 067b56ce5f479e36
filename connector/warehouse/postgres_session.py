"""What a PostgreSQL session begins with: settings, and the few things that Postgres lacks.

They are made in ``pg_temp``, so they need no right but TEMPORARY and are gone with the session. The
functions are chosen by the type of their argument, which a template cannot know: a DECIMAL is
rounded exactly, a floating-point number by the same operations as in DuckDB, so that half a cent
falls to the same side. Each is one expression, which Postgres puts in place of the call.
"""

from __future__ import annotations

from collections.abc import Iterator

from connector.warehouse.macros.text import FOLDING
from connector.warehouse.render import literal

OLDEST = 16
"""Oldest major version; before it no function tells whether a text holds a number."""

_SETTINGS = {
    # Nothing is found but the workspace and Postgres' own.
    "search_path": "pg_temp",
    "TimeZone": "UTC",
    "application_name": "liftline",
    # The workspace is disposable, so no statement waits for the disk.
    "synchronous_commit": "off",
    "work_mem": "64MB",
    "temp_buffers": "64MB",
    # Compiling our wide SELECT lists takes longer than running them.
    "jit": "off",
}

_AS_IT_IS = ("text", "bigint", "integer", "numeric", "boolean", "date", "timestamp", "timestamptz")

_FLOAT_TEXT = """CASE
    WHEN $1 IN ('Infinity', '-Infinity', 'NaN')
        THEN replace(lower(CAST($1 AS text)), 'infinity', 'inf')
    WHEN CAST($1 AS text) ~ '^-?[0-9]+$' THEN CAST($1 AS text) || '.0'
    ELSE CAST($1 AS text) END"""

_FLOAT_ROUND = (
    "sign($1) * floor(abs($1 * CAST(10 ^ $2 AS float8)) + CAST(0.5 AS float8))"
    " / CAST(10 ^ $2 AS float8)"
)


def statements(version: int) -> Iterator[str]:
    """The statements that prepare a session, in Postgres' own SQL.

    Args:
        version: The server's major version, at least :data:`OLDEST`.
    """
    for setting, value in _SETTINGS.items():
        yield f"SET {setting} = {literal(value)}"
    # From version 17 on Postgres brings Unicode's mapping of letters itself; before, the system's
    # library does.
    provider = "builtin" if version > OLDEST else "libc"
    yield f"CREATE COLLATION {FOLDING} (provider = {provider}, locale = 'C.UTF-8')"
    for kind in _AS_IT_IS:
        yield _function("house_text", (kind,), "text", "CAST($1 AS text)")
    yield _function("house_text", ("float8",), "text", _FLOAT_TEXT)
    yield _function("house_double", ("boolean",), "float8", "CAST(CAST($1 AS integer) AS float8)")
    for kind in ("float8", "numeric", "bigint", "integer", "text"):
        yield _function("house_double", (kind,), "float8", "CAST($1 AS float8)")
    yield _function("house_round", ("numeric", "integer"), "numeric", "round($1, $2)")
    for kind in ("bigint", "integer"):
        yield _function("house_round", (kind, "integer"), kind, "$1")
    yield _function("house_round", ("float8", "integer"), "float8", _FLOAT_ROUND)


def _function(name: str, parameters: tuple[str, ...], returns: str, body: str) -> str:
    return (
        f"CREATE FUNCTION pg_temp.{name}({', '.join(parameters)}) RETURNS {returns}"
        f" LANGUAGE sql IMMUTABLE PARALLEL SAFE AS {literal(f'SELECT {body}')}"
    )
