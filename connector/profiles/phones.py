"""Telephone numbers as E.164 writes them: ``+`` and up to 15 digits, so that equal ones are equal.

Numbers are typed in a hundred ways: ``0171 / 23 45 678``, ``+49 (0)171 2345678``, ``0049171...``.
A number without a country's code is read in the country of its own row, else in the one that the
configuration names; without either it means nothing and joins nobody. The national prefix (the 0 of
most countries, the 1 of North America, the 8 of Russia) is dropped as each country has it: Italy's
0 belongs to the number and stays.

The rule is SQL, because numbers never leave the warehouse. Google's libphonenumber, tried against
it, knows much more (48 MB of numbering plans: valid ranges, Argentina's 9 and 15, carrier codes);
for the question whether two customers wrote the same number it is not needed, and what is read
differently stays apart, which is the harmless side.
"""

from __future__ import annotations

from connector.ports import Warehouse
from connector.profiles.countries import COUNTRIES
from connector.warehouse.render import literal

_SEPARATORS = " \t\r\n\u00a0\u2007\u2009\u200b\u200e\u202a\u202c\u202f\ufeff-\u2010\u2011\u2013./()"
"""What people put between digits, and what comes along when a number is copied."""
_PLAIN_NUMBER = "^[0-9]{6,}[.]0$"
"""A number that went through a spreadsheet's floating point."""
_KEEPS_ZERO = "^([+]|00) ?3(9|78)"
"""Italian numbers (and those of San Marino and the Vatican): their bracketed zero is dialled."""
_E164 = "^[+][1-9][0-9]{6,14}$"


def read_phones(warehouse: Warehouse, *, country: str, customers: str, output: str) -> None:
    """Make ``output(customer_id, phone, unreadable)``: each customer's number, NULL without one.

    Args:
        warehouse: Where the customers lie.
        country: Two letters of a country, for numbers without a country's code where the row's own
            ``country`` is none; empty: such numbers are unreadable.
        customers: Relation with ``customer_id``, ``phone`` and, maybe, ``country``.
        output: Name of the relation to make.
    """
    import pyarrow as pa

    known = list(COUNTRIES.values())
    warehouse.load(
        f"{output}_codes",
        pa.table(
            {
                "iso": pa.array([one.iso for one in known], pa.string()),
                "code": pa.array([one.code for one in known], pa.string()),
                "prefix": pa.array([one.prefix for one in known], pa.string()),
                "n_digits": pa.array([one.length for one in known], pa.int64()),
            }
        ),
    )
    columns = warehouse.columns(customers)
    typed = "trim(as_text(c.phone))" if "phone" in columns else "CAST(NULL AS VARCHAR)"
    own = "upper(trim(as_text(c.country)))" if "country" in columns else "CAST(NULL AS VARCHAR)"
    default = literal(country)
    warehouse.create_view_as(
        f"{output}_typed",
        "SELECT x.customer_id AS customer_id, x.typed AS typed"
        ", coalesce(o.code, d.code) AS code, coalesce(o.prefix, d.prefix) AS prefix"
        ", coalesce(o.n_digits, d.n_digits) AS n_digits"
        f" FROM (SELECT c.customer_id AS customer_id, nullif({typed}, '') AS typed, {own} AS iso"
        f", {default} AS fallback FROM {customers} AS c) AS x"
        f" LEFT JOIN {output}_codes AS o ON o.iso = x.iso"
        f" LEFT JOIN {output}_codes AS d ON d.iso = x.fallback",
    )
    warehouse.create_view_as(
        f"{output}_digits",
        "SELECT t.customer_id AS customer_id, t.typed AS typed, t.code AS code, t.prefix AS prefix"
        f", t.n_digits AS n_digits, {_digits('t')} AS d FROM {output}_typed AS t",
    )
    warehouse.create_view_as(
        f"{output}_dialled",
        "SELECT t.customer_id AS customer_id, t.typed AS typed, t.code AS code, t.prefix AS prefix"
        ", t.n_digits AS n_digits, CASE WHEN starts_with(t.d, '00') THEN '+' || substr(t.d, 3)"
        " WHEN t.code = '1' AND starts_with(t.d, '011') THEN '+' || substr(t.d, 4)"
        f" ELSE t.d END AS d FROM {output}_digits AS t",
    )
    warehouse.create_table_as(
        output,
        f"SELECT x.customer_id AS customer_id, CASE WHEN regexp_matches(x.phone, {literal(_E164)})"
        " THEN x.phone END AS phone"
        f", x.typed IS NOT NULL AND NOT coalesce(regexp_matches(x.phone, {literal(_E164)}), FALSE)"
        " AS unreadable"
        f" FROM (SELECT t.customer_id AS customer_id, t.typed AS typed, {_international('t')} AS"
        f" phone FROM {output}_dialled AS t) AS x",
    )


def _digits(t: str) -> str:
    """SQL of the number without anything between its digits."""
    kept = f"regexp_matches({t}.typed, {literal(_KEEPS_ZERO)}) OR {t}.code IN ('39', '378')"
    text = (
        f"CASE WHEN regexp_matches({t}.typed, {literal(_PLAIN_NUMBER)})"
        f" THEN replace({t}.typed, '.0', '') WHEN {kept} THEN {t}.typed"
        f" ELSE replace({t}.typed, '(0)', '') END"
    )
    for separator in _SEPARATORS:
        text = f"replace({text}, {literal(separator)}, '')"
    return text


def _international(t: str) -> str:
    """SQL of the number with its country's code, from its digits."""
    d, code = f"{t}.d", f"'+' || {t}.code"
    prefixed = (
        f"starts_with({d}, {t}.prefix) AND ({t}.n_digits = 0 OR length({d}) = {t}.n_digits)"
        f" AND length({t}.prefix)"
    )
    return (
        f"CASE WHEN NOT regexp_matches({d}, '^[+]?[0-9]+$') THEN NULL"
        # The prefix stands after the code by mistake: +49 0171 ...
        f" WHEN {t}.prefix = '0' AND starts_with({d}, {code} || '0')"
        f" THEN replace({d}, {code} || '0', {code})"
        f" WHEN starts_with({d}, '+') THEN {d}"
        f" WHEN {prefixed} = 1 THEN {code} || substr({d}, 2)"
        f" WHEN {prefixed} = 2 THEN {code} || substr({d}, 3)"
        f" ELSE {code} || {d} END"
    )
