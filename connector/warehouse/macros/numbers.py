"""Functions of numbers. What is undefined (division by zero, the root of -1) is NULL everywhere."""

from __future__ import annotations

from connector.warehouse.macros.macro import Kind, Macro, Word, everywhere

N, A = Kind.NUMBER, Kind.ANY

NUMBERS = (
    Macro("abs", (N,), N, "the number without its sign", everywhere("ABS(_1)")),
    Macro("floor", (N,), N, "the number rounded down", everywhere("FLOOR(_1)")),
    Macro("ceil", (N,), N, "the number rounded up", everywhere("CEIL(_1)")),
    Macro(
        "sign",
        (N,),
        N,
        "-1, 0 or 1",
        {"any": "SIGN(_1)", "postgres": "CAST(SIGN(_1) AS INTEGER)"},
    ),
    Macro(
        "round",
        (N,),
        N,
        "rounded to a whole number, halves away from zero",
        {"any": "ROUND(_1, 0)", "postgres": "pg_temp.house_round(_1, 0)"},
    ),
    Macro(
        "round",
        (N, Word.COUNT),
        N,
        "rounded to so many decimal places, halves away from zero",
        # Spark goes by the digits that are shown: 1.005, a hair below itself in binary, is 1.01.
        {"any": "ROUND(_1, _2)", "postgres": "pg_temp.house_round(_1, _2)"},
    ),
    Macro(
        "ln",
        (N,),
        N,
        "natural logarithm; NULL for zero and below",
        everywhere("LN(CASE WHEN _1 > 0 THEN CAST(_1 AS DOUBLE) END)"),
    ),
    Macro(
        "sqrt",
        (N,),
        N,
        "square root; NULL below zero",
        everywhere("SQRT(CASE WHEN _1 >= 0 THEN CAST(_1 AS DOUBLE) END)"),
    ),
    Macro(
        "exp",
        (N,),
        N,
        "e to the power of the number; NULL where that is beyond floating point",
        everywhere("EXP(CASE WHEN ABS(_1) < 700 THEN CAST(_1 AS DOUBLE) END)"),
    ),
    Macro(
        "safe_divide",
        (N, N),
        N,
        "the quotient as floating point; NULL when divided by zero (the same as a / b)",
        everywhere("CAST(_1 AS DOUBLE) / NULLIF(CAST(_2 AS DOUBLE), 0)"),
    ),
    Macro(
        "as_money",
        (A,),
        N,
        "the amount as DECIMAL(18, 2), half a cent away from zero",
        # By way of text: 20.455 is a hair below itself in binary, and engines differ in what they
        # make of that.
        {
            "any": "CAST(CAST(_1 AS VARCHAR) AS DECIMAL(18, 2))",
            "bigquery": "ROUND(CAST(_1 AS NUMERIC), 2)",
        },
    ),
    Macro(
        "as_number",
        (A,),
        N,
        "the number that the text holds; NULL when it holds none",
        {
            # 1_000 is a number for DuckDB alone.
            "duckdb": "CASE WHEN ISFINITE(TRY_CAST(_1 AS DOUBLE)) "
            "AND STRPOS(CAST(_1 AS VARCHAR), '_') = 0 THEN TRY_CAST(_1 AS DOUBLE) END",
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
)
