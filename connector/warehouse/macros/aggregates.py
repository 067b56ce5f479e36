"""Functions that turn many rows into one value."""

from __future__ import annotations

from connector.warehouse.macros.macro import Kind, Macro, Word, everywhere

T, N, B, A = Kind.TEXT, Kind.NUMBER, Kind.BOOLEAN, Kind.ANY

_ENTRY = "(_1 || '=' || CAST(_2 AS VARCHAR))"


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


AGGREGATES = (
    Macro(
        "avg",
        (N,),
        N,
        "mean, as floating point",
        everywhere("AVG(CAST(_1 AS DOUBLE))"),
        aggregate=True,
    ),
    Macro(
        "stddev",
        (N,),
        N,
        "standard deviation of a sample",
        everywhere("STDDEV_SAMP(CAST(_1 AS DOUBLE))"),
        aggregate=True,
    ),
    Macro(
        "variance",
        (N,),
        N,
        "variance of a sample",
        everywhere("VAR_SAMP(CAST(_1 AS DOUBLE))"),
        aggregate=True,
    ),
    Macro("quantile", (N, Word.SHARE), N, "interpolated quantile", _quantile("_2"), aggregate=True),
    Macro("median", (N,), N, "interpolated median", _quantile("0.5"), aggregate=True),
    Macro(
        "count_if",
        (B,),
        N,
        "number of rows where it holds",
        everywhere("COUNT(CASE WHEN _1 THEN 1 END)"),
        aggregate=True,
    ),
    Macro(
        "sum_if",
        (N, B),
        N,
        "sum of the first where the second holds",
        everywhere("SUM(CASE WHEN _2 THEN _1 END)"),
        aggregate=True,
    ),
    Macro(
        "avg_if",
        (N, B),
        N,
        "mean of the first where the second holds",
        everywhere("AVG(CASE WHEN _2 THEN CAST(_1 AS DOUBLE) END)"),
        aggregate=True,
    ),
    Macro(
        "min_if",
        (A, B),
        A,
        "smallest of the first where the second holds",
        everywhere("MIN(CASE WHEN _2 THEN _1 END)"),
        aggregate=True,
    ),
    Macro(
        "max_if",
        (A, B),
        A,
        "largest of the first where the second holds",
        everywhere("MAX(CASE WHEN _2 THEN _1 END)"),
        aggregate=True,
    ),
    Macro(
        "tally",
        (T, N),
        T,
        "how often each thing: `thing=number` of each row, sorted, with semicolons between",
        {
            "duckdb": f"STRING_AGG({_ENTRY}, ';' ORDER BY {_ENTRY})",
            "postgres": f'STRING_AGG({_ENTRY}, \';\' ORDER BY {_ENTRY} COLLATE "C") COLLATE "C"',
            "spark": f"ARRAY_JOIN(ARRAY_SORT(COLLECT_LIST({_ENTRY})), ';')",
            "bigquery": f"STRING_AGG({_ENTRY}, ';' ORDER BY {_ENTRY})",
            "snowflake": f"LISTAGG({_ENTRY}, ';') WITHIN GROUP (ORDER BY {_ENTRY})",
        },
        aggregate=True,
    ),
    Macro(
        "any_true",
        (B,),
        B,
        "whether it holds in any row",
        everywhere("COALESCE(MAX(CASE WHEN _1 THEN 1 ELSE 0 END), 0) = 1"),
        aggregate=True,
    ),
    Macro(
        "all_true",
        (B,),
        B,
        "whether it holds in every row",
        everywhere("COALESCE(MIN(CASE WHEN _1 THEN 1 ELSE 0 END), 1) = 1"),
        aggregate=True,
    ),
)
