"""Functions of times. Every time is UTC without a zone, but where a function says otherwise.

Spark's older functions of times know only instants, shown in the session's time zone, which must be
UTC; what they give is made a time without a zone again.
"""

from __future__ import annotations

from connector.warehouse.macros.macro import Kind, Macro, Word, everywhere

T, N, D, A = Kind.TEXT, Kind.NUMBER, Kind.TIME, Kind.ANY


def _between(unit_us: int) -> dict[str, str | None]:
    """Templates for whole units from ``_1`` to ``_2``: the floor of the exact difference."""
    seconds = unit_us // 1_000_000
    start, end = "CAST(_1 AS TIMESTAMP)", "CAST(_2 AS TIMESTAMP)"
    micros = {
        "duckdb": f"EPOCH_US({end}) - EPOCH_US({start})",
        "spark": f"UNIX_MICROS({end}) - UNIX_MICROS({start})",
        "bigquery": "DATETIME_DIFF(CAST(_2 AS DATETIME), CAST(_1 AS DATETIME), MICROSECOND)",
        "snowflake": f"DATEDIFF(MICROSECOND, {start}, {end})",
    }
    return {
        "postgres": f"CAST(FLOOR(EXTRACT(EPOCH FROM {end} - {start}) / {seconds}) AS BIGINT)",
        **{e: f"CAST(FLOOR(({text}) / {unit_us}) AS BIGINT)" for e, text in micros.items()},
    }


def _plus(unit: str) -> dict[str, str | None]:
    """Templates for ``_1`` moved by ``_2`` units."""
    return {
        "duckdb": f"CAST(_1 AS TIMESTAMP) + CAST(_2 AS BIGINT) * INTERVAL '1 {unit}'",
        "postgres": f"CAST(_1 AS TIMESTAMP) + CAST(_2 AS BIGINT) * INTERVAL '1 {unit}'",
        "spark": f"CAST(_1 AS TIMESTAMP_NTZ) + CAST(_2 AS BIGINT) * INTERVAL '1' {unit}",
        "bigquery": f"DATETIME_ADD(CAST(_1 AS DATETIME), INTERVAL _2 {unit})",
        "snowflake": f"DATEADD({unit}, _2, CAST(_1 AS TIMESTAMP))",
    }


def _part(part: str) -> dict[str, str | None]:
    return everywhere(f"CAST(EXTRACT({part} FROM CAST(_1 AS TIMESTAMP)) AS BIGINT)")


def _start(unit: str) -> dict[str, str | None]:
    return {
        "any": f"DATE_TRUNC('{unit}', CAST(_1 AS TIMESTAMP))",
        "spark": f"CAST(DATE_TRUNC('{unit}', CAST(_1 AS TIMESTAMP)) AS TIMESTAMP_NTZ)",
        "bigquery": f"DATETIME_TRUNC(CAST(_1 AS DATETIME), {unit.upper()})",
    }


TIMES = (
    Macro(
        "days_between",
        (D, D),
        N,
        "whole days from the first time to the second (floor)",
        _between(86_400_000_000),
    ),
    Macro(
        "hours_between",
        (D, D),
        N,
        "whole hours from the first time to the second (floor)",
        _between(3_600_000_000),
    ),
    Macro(
        "seconds_between",
        (D, D),
        N,
        "whole seconds from the first time to the second (floor)",
        _between(1_000_000),
    ),
    Macro("add_days", (D, N), D, "the time so many times 24 hours later", _plus("DAY")),
    Macro("add_hours", (D, N), D, "the time so many hours later", _plus("HOUR")),
    Macro("day_start", (D,), D, "midnight of the day", _start("day")),
    Macro(
        "week_start",
        (D,),
        D,
        "midnight of the week's Monday",
        {**_start("week"), "bigquery": "DATETIME_TRUNC(CAST(_1 AS DATETIME), WEEK(MONDAY))"},
    ),
    Macro("month_start", (D,), D, "midnight of the month's first day", _start("month")),
    Macro("year_start", (D,), D, "midnight of the year's first day", _start("year")),
    Macro("year_of", (D,), N, "the year", _part("YEAR")),
    Macro("month_of", (D,), N, "the month, 1 to 12", _part("MONTH")),
    Macro("day_of", (D,), N, "the day of the month, 1 to 31", _part("DAY")),
    Macro("hour_of", (D,), N, "the hour, 0 to 23", _part("HOUR")),
    Macro(
        "weekday_of",
        (D,),
        N,
        "the day of the week, Monday 1 to Sunday 7",
        {
            "duckdb": "ISODOW(CAST(_1 AS TIMESTAMP))",
            "postgres": "CAST(EXTRACT(ISODOW FROM CAST(_1 AS TIMESTAMP)) AS BIGINT)",
            "spark": "WEEKDAY(CAST(_1 AS TIMESTAMP)) + 1",
            "bigquery": "MOD(EXTRACT(DAYOFWEEK FROM CAST(_1 AS DATETIME)) + 5, 7) + 1",
            "snowflake": "DAYOFWEEKISO(CAST(_1 AS TIMESTAMP))",
        },
    ),
    Macro(
        "as_date",
        (A,),
        D,
        "the day of a time, or of a text in ISO form",
        everywhere("CAST(_1 AS DATE)"),
    ),
    Macro(
        "as_time",
        (A,),
        D,
        "the time of a day, or of a text in ISO form",
        everywhere("CAST(_1 AS TIMESTAMP)"),
    ),
    Macro(
        "parse_time",
        (T, Word.FORMAT),
        D,
        "the time that the text holds in the given format",
        {
            "duckdb": "STRPTIME(_1, _2)",
            "postgres": None,
            "spark": None,
            "bigquery": "PARSE_DATETIME(_2, _1)",
            "snowflake": None,
        },
    ),
    Macro(
        "to_utc",
        (D, Word.ZONE),
        D,
        "a wall-clock time of the zone as UTC",
        {
            "duckdb": "(CAST(_1 AS TIMESTAMP) AT TIME ZONE _2) AT TIME ZONE 'UTC'",
            "postgres": "(CAST(_1 AS TIMESTAMP) AT TIME ZONE _2) AT TIME ZONE 'UTC'",
            "spark": "CAST(TO_UTC_TIMESTAMP(_1, _2) AS TIMESTAMP_NTZ)",
            "bigquery": "DATETIME(TIMESTAMP(CAST(_1 AS DATETIME), _2))",
            "snowflake": "CONVERT_TIMEZONE(_2, 'UTC', CAST(_1 AS TIMESTAMP))",
        },
    ),
    Macro(
        "to_local",
        (D, Word.ZONE),
        D,
        "a UTC time as the wall-clock time of the zone",
        {
            "duckdb": "(CAST(_1 AS TIMESTAMP) AT TIME ZONE 'UTC') AT TIME ZONE _2",
            "postgres": "(CAST(_1 AS TIMESTAMP) AT TIME ZONE 'UTC') AT TIME ZONE _2",
            "spark": "CAST(FROM_UTC_TIMESTAMP(_1, _2) AS TIMESTAMP_NTZ)",
            "bigquery": "DATETIME(TIMESTAMP(CAST(_1 AS DATETIME)), _2)",
            "snowflake": "CONVERT_TIMEZONE('UTC', _2, CAST(_1 AS TIMESTAMP))",
        },
    ),
    Macro(
        "instant_utc",
        (D,),
        D,
        "a time that carries its zone (TIMESTAMPTZ) as UTC",
        {
            "duckdb": "CAST(_1 AS TIMESTAMPTZ) AT TIME ZONE 'UTC'",
            "postgres": "CAST(_1 AS TIMESTAMPTZ) AT TIME ZONE 'UTC'",
            "spark": "CAST(CAST(_1 AS TIMESTAMP) AS TIMESTAMP_NTZ)",
            "bigquery": "DATETIME(CAST(_1 AS TIMESTAMP))",
            "snowflake": "CAST(CONVERT_TIMEZONE('UTC', CAST(_1 AS TIMESTAMPTZ)) AS TIMESTAMP)",
        },
    ),
)
