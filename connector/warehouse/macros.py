"""The functions of the house dialect, and what each becomes on every engine.

Why a list of our own: engines disagree on exactly what a segment rule needs (the distance of two
days, a quantile, a hash as a number, division by zero), and sqlglot passes functions that it does
not know through in silence. So a call is allowed only when its name stands here or among the few of
:data:`connector.warehouse.grammar.CORE_FUNCTIONS`, and every rendering is a reviewed text below.

A template is SQL of the engine under whose name it stands; ``any`` is DuckDB's SQL, which sqlglot
carries over to engines without a template of their own. ``_1``, ``_2`` stand for the arguments.
They are replaced in the parsed tree, never in text. ``None`` says that the engine has no exact
equivalent: rendering refuses instead of approximating.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

ENGINES = ("duckdb", "postgres", "spark", "bigquery", "snowflake")
"""The engines that house SQL is rendered for, by sqlglot's names."""


class Kind(enum.StrEnum):
    """What a value is, as far as a rule must know."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "true or false"
    TIME = "a time or date"
    ANY = "anything"


class Word(enum.StrEnum):
    """A parameter that must be written out as a literal, and what it holds."""

    COUNT = "a whole number"
    SHARE = "a number from 0 to 1"
    ZONE = "the name of a time zone, such as 'Europe/Berlin'"
    KEY = "a key of letters, digits and underscores in quotes"
    PATTERN = "a regular expression in quotes"
    FORMAT = "a time format in quotes, such as '%d.%m.%Y'"


Parameter = Kind | Word


@dataclass(frozen=True, slots=True)
class Macro:
    """One function of the house dialect.

    Attributes:
        name: As it is written.
        parameters: What each argument must be.
        returns: What comes out; ANY: the same as the first argument.
        meaning: One line for messages and the manual.
        sql: Engine (or ``any``) -> template.
        aggregate: Whether it turns many rows into one value.
    """

    name: str
    parameters: tuple[Parameter, ...]
    returns: Kind
    meaning: str
    sql: Mapping[str, str | None] = field(repr=False)
    aggregate: bool = False


T, N, B, D, A = Kind.TEXT, Kind.NUMBER, Kind.BOOLEAN, Kind.TIME, Kind.ANY

CONSTANTS: Mapping[str, str] = {
    "_blanks": " \t\r\n\u00a0\u200b\ufeff",
    "_email": r'^[^@,;:<>()\s"\\\[\]]+'
    r'@([^@,;:<>()\s"\\\[\]._]+[.])+[^@,;:<>()\s"\\\[\]._0-9]{2,63}$',
}
"""Texts that templates use by name, so that each engine's own way of quoting is left to sqlglot."""


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
        "postgres": f"CAST(_1 AS TIMESTAMP) + _2 * INTERVAL '1 {unit}'",
        "spark": f"CAST(_1 AS TIMESTAMP) + _2 * INTERVAL '1' {unit}",
        "bigquery": f"DATETIME_ADD(CAST(_1 AS DATETIME), INTERVAL _2 {unit})",
        "snowflake": f"DATEADD({unit}, _2, CAST(_1 AS TIMESTAMP))",
    }


def _quantile(share: str) -> dict[str, str | None]:
    """Templates for the interpolated quantile (Hyndman and Fan's type 7) on floating point."""
    double = "CAST(_1 AS DOUBLE"
    return {
        "duckdb": f"QUANTILE_CONT(CAST(_1 AS DOUBLE), {share})",
        "postgres": f"PERCENTILE_CONT({share}) WITHIN GROUP (ORDER BY {double} PRECISION))",
        "spark": f"PERCENTILE(CAST(_1 AS DOUBLE), {share})",
        "snowflake": f"PERCENTILE_CONT({share}) WITHIN GROUP (ORDER BY CAST(_1 AS DOUBLE))",
        "bigquery": None,
    }


def _everywhere(template: str) -> dict[str, str | None]:
    return {"any": template}


def _part(part: str) -> dict[str, str | None]:
    return _everywhere(f"CAST(EXTRACT({part} FROM CAST(_1 AS TIMESTAMP)) AS BIGINT)")


def _start(unit: str) -> dict[str, str | None]:
    return {
        "any": f"DATE_TRUNC('{unit}', CAST(_1 AS TIMESTAMP))",
        "bigquery": f"DATETIME_TRUNC(CAST(_1 AS DATETIME), {unit.upper()})",
    }


_MACROS = (
    # --- text
    Macro("lower", (T,), T, "the text in small letters", _everywhere("LOWER(_1)")),
    Macro("upper", (T,), T, "the text in capitals", _everywhere("UPPER(_1)")),
    Macro("trim", (T,), T, "the text without spaces at its ends", _everywhere("TRIM(_1)")),
    Macro("length", (T,), N, "number of characters", _everywhere("LENGTH(_1)")),
    Macro(
        "substr",
        (T, Word.COUNT),
        T,
        "the text from a position on (1 is the first)",
        _everywhere("SUBSTRING(_1, _2)"),
    ),
    Macro(
        "substr",
        (T, Word.COUNT, Word.COUNT),
        T,
        "so many characters from a position on (1 is the first)",
        _everywhere("SUBSTRING(_1, _2, _3)"),
    ),
    Macro(
        "replace",
        (T, T, T),
        T,
        "the text with one part replaced by another",
        _everywhere("REPLACE(_1, _2, _3)"),
    ),
    Macro("left", (T, Word.COUNT), T, "the first characters", _everywhere("LEFT(_1, _2)")),
    Macro("right", (T, Word.COUNT), T, "the last characters", _everywhere("RIGHT(_1, _2)")),
    Macro(
        "starts_with",
        (T, T),
        B,
        "whether the text begins so",
        _everywhere("LEFT(_1, LENGTH(_2)) = _2"),
    ),
    Macro(
        "ends_with",
        (T, T),
        B,
        "whether the text ends so",
        _everywhere("RIGHT(_1, LENGTH(_2)) = _2"),
    ),
    Macro(
        "string_contains",
        (T, T),
        B,
        "whether the text holds another",
        {"any": "STRPOS(_1, _2) > 0", "postgres": "POSITION(_2 IN _1) > 0"},
    ),
    Macro(
        "regexp_matches",
        (T, Word.PATTERN),
        B,
        "whether the pattern is found in the text",
        {
            "duckdb": "REGEXP_MATCHES(_1, _2)",
            "postgres": "_1 ~ _2",
            "spark": "_1 RLIKE _2",
            "bigquery": "REGEXP_CONTAINS(_1, _2)",
            "snowflake": "REGEXP_INSTR(_1, _2) > 0",
        },
    ),
    Macro("as_text", (A,), T, "the value as text", _everywhere("CAST(_1 AS VARCHAR)")),
    Macro(
        "json_text",
        (A, Word.KEY),
        T,
        "the value of a key of a JSON object, as text",
        {
            "duckdb": "JSON_EXTRACT_STRING(_1, '$.' || _2)",
            "postgres": "CAST(_1 AS JSONB) ->> _2",
            "spark": "GET_JSON_OBJECT(_1, CONCAT('$.', _2))",
            "bigquery": "JSON_VALUE(_1, CONCAT('$.', _2))",
            "snowflake": "CAST(GET(PARSE_JSON(_1), _2) AS VARCHAR)",
        },
    ),
    Macro(
        "normalise_email",
        (T,),
        T,
        "the address without blanks around it, small, in composed Unicode; NULL when empty",
        {
            "duckdb": "NULLIF(LOWER(TRIM(NFC_NORMALIZE(_1), _blanks)), '')",
            "postgres": "NULLIF(LOWER(TRIM(_blanks FROM NORMALIZE(_1, NFC))), '')",
            # Spark and Snowflake have no Unicode normalisation: e + accent and the composed letter
            # stay apart there.
            "spark": "NULLIF(LOWER(TRIM(BOTH _blanks FROM _1)), '')",
            "snowflake": "NULLIF(LOWER(TRIM(_1, _blanks)), '')",
            "bigquery": "NULLIF(LOWER(TRIM(NORMALIZE(_1, NFC), _blanks)), '')",
        },
    ),
    Macro(
        "is_email",
        (T,),
        B,
        "whether the text has the shape of one e-mail address with a full domain",
        {
            "duckdb": "LENGTH(_1) <= 254 AND REGEXP_MATCHES(_1, _email)",
            "postgres": "LENGTH(_1) <= 254 AND _1 ~ _email",
            "spark": "LENGTH(_1) <= 254 AND _1 RLIKE _email",
            "bigquery": "LENGTH(_1) <= 254 AND REGEXP_CONTAINS(_1, _email)",
            "snowflake": "LENGTH(_1) <= 254 AND REGEXP_INSTR(_1, _email) > 0",
        },
    ),
    # --- hashes
    Macro(
        "md5_hex",
        (T,),
        T,
        "the MD5 digest as 32 hexadecimal digits",
        {"any": "MD5(_1)", "bigquery": "TO_HEX(MD5(_1))"},
    ),
    Macro(
        "hash_bucket",
        (T,),
        N,
        "the first 8 hexadecimal digits of the MD5 digest as a number below 2^32",
        {
            "duckdb": "CAST('0x' || SUBSTRING(MD5(_1), 1, 8) AS BIGINT)",
            "postgres": "CAST(CAST('x' || SUBSTRING(MD5(_1), 1, 8) AS BIT(32)) AS BIGINT)",
            "spark": "CAST(CONV(SUBSTRING(MD5(_1), 1, 8), 16, 10) AS BIGINT)",
            "bigquery": "CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5(_1)), 1, 8)) AS INT64)",
            "snowflake": "TO_NUMBER(SUBSTRING(MD5(_1), 1, 8), 'XXXXXXXX')",
        },
    ),
    # --- numbers
    Macro("abs", (N,), N, "the number without its sign", _everywhere("ABS(_1)")),
    Macro("floor", (N,), N, "the number rounded down", _everywhere("FLOOR(_1)")),
    Macro("ceil", (N,), N, "the number rounded up", _everywhere("CEIL(_1)")),
    Macro("sign", (N,), N, "-1, 0 or 1", _everywhere("SIGN(_1)")),
    Macro(
        "round",
        (N,),
        N,
        "rounded to a whole number, halves away from zero",
        {"any": "ROUND(_1, 0)", "postgres": "ROUND(CAST(_1 AS DECIMAL), 0)"},
    ),
    Macro(
        "round",
        (N, Word.COUNT),
        N,
        "rounded to so many decimal places, halves away from zero",
        {"any": "ROUND(_1, _2)", "postgres": "ROUND(CAST(_1 AS DECIMAL), _2)"},
    ),
    Macro(
        "ln",
        (N,),
        N,
        "natural logarithm; NULL for zero and below",
        _everywhere("LN(CASE WHEN _1 > 0 THEN CAST(_1 AS DOUBLE) END)"),
    ),
    Macro(
        "sqrt",
        (N,),
        N,
        "square root; NULL below zero",
        _everywhere("SQRT(CASE WHEN _1 >= 0 THEN CAST(_1 AS DOUBLE) END)"),
    ),
    Macro(
        "exp",
        (N,),
        N,
        "e to the power of the number; NULL where that is beyond floating point",
        _everywhere("EXP(CASE WHEN ABS(_1) < 700 THEN CAST(_1 AS DOUBLE) END)"),
    ),
    Macro(
        "safe_divide",
        (N, N),
        N,
        "the quotient as floating point; NULL when divided by zero (the same as a / b)",
        _everywhere("CAST(_1 AS DOUBLE) / NULLIF(CAST(_2 AS DOUBLE), 0)"),
    ),
    Macro(
        "as_money",
        (A,),
        N,
        "the amount as DECIMAL(18, 2)",
        {"any": "CAST(_1 AS DECIMAL(18, 2))", "bigquery": "ROUND(CAST(_1 AS NUMERIC), 2)"},
    ),
    Macro(
        "as_number",
        (A,),
        N,
        "the number that the text holds; NULL when it holds none",
        {
            "duckdb": "CASE WHEN ISFINITE(TRY_CAST(_1 AS DOUBLE)) THEN TRY_CAST(_1 AS DOUBLE) END",
            "postgres": "CASE WHEN PG_INPUT_IS_VALID(CAST(_1 AS TEXT), 'double precision') "
            "AND LOWER(TRIM(CAST(_1 AS TEXT))) ~ '^[-+.0-9e]+$' "
            "THEN CAST(CAST(_1 AS TEXT) AS DOUBLE PRECISION) END",
            "spark": "CASE WHEN ABS(TRY_CAST(_1 AS DOUBLE)) < CAST('Infinity' AS DOUBLE) "
            "THEN TRY_CAST(_1 AS DOUBLE) END",
            "bigquery": "CASE WHEN ABS(SAFE_CAST(_1 AS FLOAT64)) < CAST('inf' AS FLOAT64) "
            "THEN SAFE_CAST(_1 AS FLOAT64) END",
            "snowflake": "CASE WHEN ABS(TRY_TO_DOUBLE(CAST(_1 AS VARCHAR))) "
            "< CAST('inf' AS DOUBLE) THEN TRY_TO_DOUBLE(CAST(_1 AS VARCHAR)) END",
        },
    ),
    # --- times
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
        _everywhere("CAST(_1 AS DATE)"),
    ),
    Macro(
        "as_time",
        (A,),
        D,
        "the time of a day, or of a text in ISO form",
        _everywhere("CAST(_1 AS TIMESTAMP)"),
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
            "spark": "TO_UTC_TIMESTAMP(_1, _2)",
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
            "spark": "FROM_UTC_TIMESTAMP(_1, _2)",
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
            "spark": "CAST(_1 AS TIMESTAMP)",
            "bigquery": "DATETIME(CAST(_1 AS TIMESTAMP))",
            "snowflake": "CAST(CONVERT_TIMEZONE('UTC', CAST(_1 AS TIMESTAMPTZ)) AS TIMESTAMP)",
        },
    ),
    # --- aggregates
    Macro(
        "avg",
        (N,),
        N,
        "mean, as floating point",
        _everywhere("AVG(CAST(_1 AS DOUBLE))"),
        aggregate=True,
    ),
    Macro(
        "stddev",
        (N,),
        N,
        "standard deviation of a sample",
        _everywhere("STDDEV_SAMP(CAST(_1 AS DOUBLE))"),
        aggregate=True,
    ),
    Macro(
        "variance",
        (N,),
        N,
        "variance of a sample",
        _everywhere("VAR_SAMP(CAST(_1 AS DOUBLE))"),
        aggregate=True,
    ),
    Macro("quantile", (N, Word.SHARE), N, "interpolated quantile", _quantile("_2"), aggregate=True),
    Macro("median", (N,), N, "interpolated median", _quantile("0.5"), aggregate=True),
    Macro(
        "count_if",
        (B,),
        N,
        "number of rows where it holds",
        _everywhere("COUNT(CASE WHEN _1 THEN 1 END)"),
        aggregate=True,
    ),
    Macro(
        "sum_if",
        (N, B),
        N,
        "sum of the first where the second holds",
        _everywhere("SUM(CASE WHEN _2 THEN _1 END)"),
        aggregate=True,
    ),
    Macro(
        "avg_if",
        (N, B),
        N,
        "mean of the first where the second holds",
        _everywhere("AVG(CASE WHEN _2 THEN CAST(_1 AS DOUBLE) END)"),
        aggregate=True,
    ),
    Macro(
        "min_if",
        (A, B),
        A,
        "smallest of the first where the second holds",
        _everywhere("MIN(CASE WHEN _2 THEN _1 END)"),
        aggregate=True,
    ),
    Macro(
        "max_if",
        (A, B),
        A,
        "largest of the first where the second holds",
        _everywhere("MAX(CASE WHEN _2 THEN _1 END)"),
        aggregate=True,
    ),
    Macro(
        "any_true",
        (B,),
        B,
        "whether it holds in any row",
        _everywhere("COALESCE(MAX(CASE WHEN _1 THEN 1 ELSE 0 END), 0) = 1"),
        aggregate=True,
    ),
    Macro(
        "all_true",
        (B,),
        B,
        "whether it holds in every row",
        _everywhere("COALESCE(MIN(CASE WHEN _1 THEN 1 ELSE 0 END), 1) = 1"),
        aggregate=True,
    ),
)

MACROS: dict[tuple[str, int], Macro] = {(m.name, len(m.parameters)): m for m in _MACROS}
"""Every macro by its name and number of arguments."""

NAMES: frozenset[str] = frozenset(m.name for m in _MACROS)
"""Every macro's name."""


def find(name: str, n_arguments: int) -> Macro | None:
    """The macro of that name and number of arguments, in any letter case."""
    return MACROS.get((name.lower(), n_arguments))


def signatures(name: str) -> list[str]:
    """How a macro may be called, such as ``round(number, a whole number)``."""
    return [
        f"{macro.name}({', '.join(str(p) for p in macro.parameters)})"
        for (known, _), macro in sorted(MACROS.items())
        if known == name.lower()
    ]
