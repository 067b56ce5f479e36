"""Functions of text, e-mail addresses and hashes."""

from __future__ import annotations

from collections.abc import Mapping

from connector.warehouse.macros.macro import Kind, Macro, Word, everywhere

T, N, B, A = Kind.TEXT, Kind.NUMBER, Kind.BOOLEAN, Kind.ANY

FOLDING = "pg_temp.folding"
"""The collation by which Postgres makes letters small or large: Unicode's own mapping, whatever the
database was set up with. The session makes it; everything else is compared byte by byte ("C")."""

_ABROAD = (
    "\u00a1-\u00ac\u00ae-\u061b\u061d-\u167f\u1681-\u180d\u180f-\u1fff\u200c\u200d\u2010-\u2027"
    "\u2030-\u205e\u2070-\u2fff\u3001-\ud7ff\uf900-\ufefe\uff00-\uffef\U00010000-\U0003ffff"
)
"""What an address may hold beyond ASCII, as ranges: letters and marks of every script (and the two
joiners that Persian and Indian words need), no blank, no control and no invisible formatting.

Ranges of what is allowed, written as the characters themselves, because engines differ in what
``\\s``, ``[:cntrl:]`` and ``\\x00`` mean; and what nobody listed, such as NUL, is refused by all.
"""

_LOCAL = f"[!#-'*+./0-9=?A-Z^-~{_ABROAD}-]+"
_LABEL = f"[0-9A-Za-z{_ABROAD}-]+"
_TOP = f"([A-Za-z{_ABROAD}-]{{2,63}}|[Xx][Nn]--[0-9A-Za-z-]{{2,59}})"

CONSTANTS: Mapping[str, str] = {
    "_spaces": " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u202f\u205f\u3000",
    "_blanks": " \t\r\n\u00a0\u200b\ufeff",
    "_email": f"^{_LOCAL}@({_LABEL}[.])+{_TOP}$",
}
"""Texts that templates use by name, so that each engine's own way of quoting is left to sqlglot."""

_IN_TALLY = "SPLIT_PART(SPLIT_PART(';' || _1, ';' || _2 || '=', 2), ';', 1)"

TEXT = (
    Macro(
        "lower",
        (T,),
        T,
        "the text in small letters",
        {"any": "LOWER(_1)", "postgres": f'LOWER(_1 COLLATE {FOLDING}) COLLATE "C"'},
    ),
    Macro(
        "upper",
        (T,),
        T,
        "the text in capitals",
        {
            "any": "UPPER(_1)",
            # DuckDB knows a capital sharp s.
            "postgres": f"UPPER(REPLACE(_1, '\u00df', '\u1e9e') COLLATE {FOLDING}) COLLATE \"C\"",
        },
    ),
    Macro(
        "trim",
        (T,),
        T,
        "the text without spaces at its ends",
        {
            "any": "TRIM(_1, _spaces)",
            "postgres": "TRIM(_spaces FROM _1)",
            "spark": "TRIM(BOTH _spaces FROM _1)",
        },
    ),
    Macro("length", (T,), N, "number of characters", everywhere("LENGTH(_1)")),
    Macro(
        "substr",
        (T, Word.COUNT),
        T,
        "the text from a position on (1 is the first)",
        everywhere("SUBSTRING(_1, _2)"),
    ),
    Macro(
        "substr",
        (T, Word.COUNT, Word.COUNT),
        T,
        "so many characters from a position on (1 is the first)",
        everywhere("SUBSTRING(_1, _2, _3)"),
    ),
    Macro(
        "replace",
        (T, T, T),
        T,
        "the text with one part replaced by another",
        everywhere("REPLACE(_1, _2, _3)"),
    ),
    Macro("left", (T, Word.COUNT), T, "the first characters", everywhere("LEFT(_1, _2)")),
    Macro("right", (T, Word.COUNT), T, "the last characters", everywhere("RIGHT(_1, _2)")),
    Macro(
        "starts_with",
        (T, T),
        B,
        "whether the text begins so",
        everywhere("LEFT(_1, LENGTH(_2)) = _2"),
    ),
    Macro(
        "ends_with",
        (T, T),
        B,
        "whether the text ends so",
        everywhere("RIGHT(_1, LENGTH(_2)) = _2"),
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
            # A dot is any character, a line's end too: Postgres and Java's default differ there.
            "duckdb": "REGEXP_MATCHES(_1, _2, 's')",
            "postgres": '_1 COLLATE "C" ~ _2',
            "spark": "_1 RLIKE CONCAT('(?s)', _2)",
            "bigquery": "REGEXP_CONTAINS(_1, CONCAT('(?s)', _2))",
            "snowflake": "REGEXP_INSTR(_1, _2, 1, 1, 0, 's') > 0",
        },
    ),
    Macro(
        "as_text",
        (A,),
        T,
        "the value as text",
        {"any": "CAST(_1 AS VARCHAR)", "postgres": 'pg_temp.house_text(_1) COLLATE "C"'},
    ),
    Macro(
        "json_text",
        (A, Word.KEY),
        T,
        "the value of a key of a JSON object, as text; NULL where the text is no JSON",
        {
            "duckdb": "CASE WHEN JSON_VALID(_1) THEN JSON_EXTRACT_STRING(_1, '$.' || _2) END",
            "postgres": "CASE WHEN PG_INPUT_IS_VALID(CAST(_1 AS TEXT), 'json') "
            "THEN CAST(_1 AS JSON) ->> _2 END",
            "spark": "GET_JSON_OBJECT(_1, CONCAT('$.', _2))",
            "bigquery": "JSON_VALUE(_1, CONCAT('$.', _2))",
            "snowflake": "CAST(GET(TRY_PARSE_JSON(_1), _2) AS VARCHAR)",
        },
    ),
    Macro(
        "tally_of",
        (T, T),
        N,
        "the number of one thing in what tally() wrote; 0 where it is not in it",
        {
            "any": f"COALESCE(CAST(NULLIF({_IN_TALLY}, '') AS DOUBLE), 0.0)",
            "postgres": f"COALESCE(CAST(NULLIF({_IN_TALLY}, '') AS DOUBLE PRECISION), 0.0)",
            "bigquery": None,
        },
    ),
    Macro(
        "normalise_email",
        (T,),
        T,
        "the address without blanks around it, small, in composed Unicode; NULL when empty",
        {
            "duckdb": "NULLIF(LOWER(TRIM(NFC_NORMALIZE(_1), _blanks)), '')",
            "postgres": "NULLIF(LOWER(TRIM(_blanks FROM NORMALIZE(_1, NFC)) "
            f"COLLATE {FOLDING}) COLLATE \"C\", '')",
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
            "postgres": 'LENGTH(_1) <= 254 AND _1 COLLATE "C" ~ _email',
            "spark": "LENGTH(_1) <= 254 AND _1 RLIKE _email",
            "bigquery": "LENGTH(_1) <= 254 AND REGEXP_CONTAINS(_1, _email)",
            "snowflake": "LENGTH(_1) <= 254 AND REGEXP_INSTR(_1, _email) > 0",
        },
    ),
)

HASHES = (
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
)
