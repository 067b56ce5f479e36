"""Each macro against an independent reference: hashlib, numpy, zoneinfo, unicodedata, Python."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.macros import ENGINES, MACROS
from connector.warehouse.render import literal
from tests.warehouse.columns import workspace


@pytest.fixture(scope="module")
def warehouse() -> Iterator[DuckDBWarehouse]:
    with workspace() as one:
        yield one


def value(warehouse: DuckDBWarehouse, expression: str) -> Any:
    return warehouse.rows(f"SELECT {expression} AS v")[0][0]


def aggregate(warehouse: DuckDBWarehouse, expression: str, values: list[Any], kind: str) -> Any:
    rows = " UNION ALL ".join(f"SELECT CAST({literal(v)} AS {kind}) AS x" for v in values)
    return warehouse.rows(f"SELECT {expression} AS v FROM ({rows}) AS t")[0][0]


MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1))  # noqa: DTZ001 - naive UTC
NUMBERS = st.lists(
    st.none() | st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=20
).filter(lambda xs: sum(x is not None for x in xs) >= 2)


def test_hash_bucket_of_the_agreed_example(warehouse: DuckDBWarehouse) -> None:
    assert value(warehouse, "hash_bucket('camp-1:cust_42')") == 788193031


@settings(max_examples=50, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_hashes(warehouse: DuckDBWarehouse, text: str) -> None:
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    assert value(warehouse, f"md5_hex({literal(text)})") == digest
    assert value(warehouse, f"hash_bucket({literal(text)})") == int(digest[:8], 16)


@settings(max_examples=60, deadline=None)
@given(a=MOMENTS, b=MOMENTS)
def test_distances(warehouse: DuckDBWarehouse, a: datetime, b: datetime) -> None:
    for name, unit in (("days", 86_400), ("hours", 3_600), ("seconds", 1)):
        found = value(warehouse, f"{name}_between({literal(a)}, {literal(b)})")
        assert found == (b - a) // timedelta(seconds=unit)


@pytest.mark.parametrize(
    "microseconds", [-86_400_000_001, -86_400_000_000, -1, 0, 1, 86_399_999_999, 86_400_000_000]
)
def test_days_at_their_edges(warehouse: DuckDBWarehouse, microseconds: int) -> None:
    a = datetime(2026, 3, 1, tzinfo=UTC)
    b = a + timedelta(microseconds=microseconds)
    found = value(warehouse, f"days_between({literal(a)}, {literal(b)})")
    assert found == math.floor(microseconds / 86_400_000_000)


def test_distance_of_dates(warehouse: DuckDBWarehouse) -> None:
    text = "days_between(CAST('2024-02-28' AS DATE), CAST('2024-03-01' AS DATE))"
    assert value(warehouse, text) == 2
    assert value(warehouse, "days_between(NULL, CAST('2024-03-01' AS DATE))") is None


@settings(max_examples=40, deadline=None)
@given(moment=MOMENTS, n=st.integers(-500, 500))
def test_moving_and_cutting_times(warehouse: DuckDBWarehouse, moment: datetime, n: int) -> None:
    t = literal(moment)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    expected = {
        f"add_days({t}, {n})": moment + timedelta(days=n),
        f"add_hours({t}, {n})": moment + timedelta(hours=n),
        f"day_start({t})": day,
        f"week_start({t})": day - timedelta(days=moment.weekday()),
        f"month_start({t})": day.replace(day=1),
        f"year_start({t})": day.replace(day=1, month=1),
        f"year_of({t})": moment.year,
        f"month_of({t})": moment.month,
        f"day_of({t})": moment.day,
        f"hour_of({t})": moment.hour,
        f"weekday_of({t})": moment.isoweekday(),
        f"as_date({t})": moment.date(),
    }
    found = warehouse.rows("SELECT " + ", ".join(f"{e} AS c{i}" for i, e in enumerate(expected)))
    assert dict(zip(expected, found[0], strict=True)) == expected


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]
)
@pytest.mark.parametrize(
    "day", ["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05"]
)
def test_time_zones_on_the_days_the_clocks_change(
    warehouse: DuckDBWarehouse, zone: str, day: str
) -> None:
    for minutes in range(0, 24 * 60, 30):
        wall = datetime.fromisoformat(day) + timedelta(minutes=minutes)
        # Of two possible instants the engine takes the later (standard time): fold=1. A wall-clock
        # time that the change skips does not exist; for it nothing is promised.
        instant = wall.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(UTC)
        if instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != wall:
            continue
        expected = instant.replace(tzinfo=None)
        assert value(warehouse, f"to_utc({literal(wall)}, '{zone}')") == expected
        assert value(warehouse, f"to_local({literal(expected)}, '{zone}')") == wall


def test_instants_with_a_zone(warehouse: DuckDBWarehouse) -> None:
    found = value(warehouse, "instant_utc(CAST('2026-07-01 12:00:00+02' AS TIMESTAMPTZ))")
    assert found == datetime(2026, 7, 1, 10)  # noqa: DTZ001 - naive UTC


def test_parse_time(warehouse: DuckDBWarehouse) -> None:
    found = value(warehouse, "parse_time('31.12.2025 23:59', '%d.%m.%Y %H:%M')")
    assert found == datetime(2025, 12, 31, 23, 59)  # noqa: DTZ001 - naive


@settings(max_examples=50, deadline=None)
@given(numbers=NUMBERS, q=st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 0.95, 1.0]))
def test_quantiles(warehouse: DuckDBWarehouse, numbers: list[float | None], q: float) -> None:
    known = [x for x in numbers if x is not None]
    found = aggregate(warehouse, f"quantile(x, {q!r})", numbers, "DOUBLE")
    assert found == pytest.approx(np.quantile(known, q, method="linear"), rel=1e-12, abs=1e-9)
    found = aggregate(warehouse, "median(x)", numbers, "DOUBLE")
    assert found == pytest.approx(statistics.median(known), rel=1e-12, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(numbers=NUMBERS)
def test_moments(warehouse: DuckDBWarehouse, numbers: list[float | None]) -> None:
    known = [x for x in numbers if x is not None]
    expected = {
        "avg(x)": float(np.mean(known)),
        "stddev(x)": float(np.std(known, ddof=1)),
        "variance(x)": float(np.var(known, ddof=1)),
        "count_if(x > 0)": sum(x > 0 for x in known),
        "coalesce(sum_if(x, x > 0), 0)": math.fsum(x for x in known if x > 0),
        "coalesce(max_if(x, x < 0), 0)": max((x for x in known if x < 0), default=0),
        "coalesce(min_if(x, x > 0), 0)": min((x for x in known if x > 0), default=0),
        "coalesce(avg_if(x, x > 0), 0)": float(np.mean([x for x in known if x > 0] or [0])),
    }
    for expression, wanted in expected.items():
        found = aggregate(warehouse, expression, numbers, "DOUBLE")
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-4), expression
    assert aggregate(warehouse, "any_true(x > 0)", numbers, "DOUBLE") is any(x > 0 for x in known)
    # A row that is not known to hold is a row where it does not hold.
    everywhere = all(x is not None and x > 0 for x in numbers)
    assert aggregate(warehouse, "all_true(x > 0)", numbers, "DOUBLE") is everywhere


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("7 / 2", 3.5),
        ("1 / 0", None),
        ("0.3 / 0.1", pytest.approx(3)),
        ("safe_divide(1, 4)", 0.25),
        ("7 % 0", None),
        ("-7 % 3", -1),
        ("round(2.5)", 3),
        ("round(-2.5)", -3),
        ("round(0.125, 2)", Decimal("0.13")),
        ("ln(0)", None),
        ("ln(-1)", None),
        ("sqrt(-1)", None),
        ("exp(1000)", None),
        ("exp(1)", pytest.approx(math.e)),
        ("as_number('12.5')", 12.5),
        ("as_number('twelve')", None),
        ("as_number('nan')", None),
        ("as_number('inf')", None),
        ("as_number(' 7 ')", 7),
        ("greatest(1, NULL, 3)", 3),
        ("least(NULL, 2)", 2),
        ("substr('abcdef', 2)", "bcdef"),
        ("substr('abcdef', 2, 3)", "bcd"),
        ("starts_with('abc', 'ab')", True),
        ("starts_with('abc', '')", True),
        ("starts_with('abc', 'abcd')", False),
        ("ends_with('abc', 'bc')", True),
        ("ends_with('bc', 'abc')", False),
        ("string_contains('a%c', '%')", True),
        ("string_contains('abc', '%')", False),
        ("regexp_matches('order-12', '[0-9]+$')", True),
        ("length('a\u0301\U0001f600')", 3),
        ("upper('stra\u00dfe') = upper('STRASSE')", False),
        ("as_text(12)", "12"),
        ("weekday_of(CAST('2026-03-01' AS DATE))", 7),
    ],
)
def test_values(warehouse: DuckDBWarehouse, expression: str, expected: object) -> None:
    assert value(warehouse, expression) == expected


@settings(max_examples=60, deadline=None)
@given(tenths=st.integers(-(10**9), 10**9))
def test_money_rounds_half_cents_away_from_zero(warehouse: DuckDBWarehouse, tenths: int) -> None:
    amount = Decimal(tenths) / 1000
    expected = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert value(warehouse, f"as_money({literal(amount)})") == expected


@pytest.mark.parametrize(
    "address",
    [
        "Jane@Example.COM",
        "  jane@example.com\t\n",
        "\ufeffjane@example.com\u00a0",
        "jose\u0301@example.com",
        "M\u00dcLLER@example.de",
        "",
        "   ",
    ],
)
def test_normalise_email(warehouse: DuckDBWarehouse, address: str) -> None:
    expected = (
        unicodedata.normalize("NFC", address).strip(" \t\r\n\u00a0\u200b\ufeff").lower() or None
    )
    assert value(warehouse, f"normalise_email({literal(address)})") == expected


ADDRESSES = {
    "jane@example.com": True,
    "jane.o'hara+news@mail.example.co.uk": True,
    "!#$%&'*+-/=?^_`{|}~@example.com": True,
    "m\u00fcller@b\u00fccher.example": True,
    "mu\u0308ller@example.com": True,
    "用户@例子.广告": True,
    "дмитрий@пример.рф": True,
    "χρήστης@παράδειγμα.ελ": True,
    "مثال@مثال.إختبار": True,
    "नमस्ते@उदाहरण.भारत": True,
    "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc@example.com": True,
    "jane@xn--bcher-kva.example": True,
    "jane@xn--e1afmkfd.xn--p1ai": True,
    "jane@example.museum": True,
    "jane@1and1.example": True,
    "jane@example": False,
    "jane@@example.com": False,
    "jane example@example.com": False,
    "jane@example.com, joe@example.com": False,
    "Jane <jane@example.com>": False,
    "@example.com": False,
    "jane@": False,
    "jane@.com": False,
    "jane@example..com": False,
    "jane@example.com.": False,
    "jane@exa_mple.com": False,
    "jane@192.168.0.1": False,
    "jane@example.c": False,
    "jane@example.c0m": False,
    "n/a": False,
    "": False,
    "a" * 250 + "@example.com": False,
    # Control bytes, and blanks and formatting that no eye sees.
    "jane\x00@example.com": False,
    "jane@example.com\x00": False,
    "jane@exam\x00ple.com": False,
    "jane\x01@example.com": False,
    "jane\x1b[0m@example.com": False,
    "jane\x7f@example.com": False,
    "jane\x85@example.com": False,
    "jane@example.com\n": False,
    "jane@example.com\r\nBcc: joe@example.com": False,
    "jane\u00a0@example.com": False,
    "jane\u200b@example.com": False,
    "\u202ejane@example.com": False,
    "jane@exam\u00adple.com": False,
    "\ufeffjane@example.com": False,
}


def judged(warehouse: DuckDBWarehouse, addresses: list[str]) -> list[bool]:
    """What `is_email` says; as data, since no literal may hold NUL."""
    warehouse.load("addresses", pa.table({"n": range(len(addresses)), "address": addresses}))
    return [row[0] for row in warehouse.rows("SELECT is_email(address) FROM addresses ORDER BY n")]


@pytest.mark.parametrize(("address", "valid"), ADDRESSES.items(), ids=map(ascii, ADDRESSES))
def test_is_email(warehouse: DuckDBWarehouse, address: str, valid: bool) -> None:
    assert judged(warehouse, [address]) == [valid]


@pytest.mark.parametrize("form", ["ja{}ne@example.com", "jane@exa{}mple.com", "jane@example.co{}m"])
def test_is_email_by_the_categories_of_unicode(warehouse: DuckDBWarehouse, form: str) -> None:
    """Letters and marks of every script, and no control, blank, surrogate or private character."""
    characters = [chr(code) for code in range(0x40000) if not 0xD800 <= code < 0xE000]
    found = judged(warehouse, [form.format(character) for character in characters])
    for character, valid in zip(characters, found, strict=True):
        category = unicodedata.category(character)
        if category[0] in "LM":
            assert valid, ascii(character)
        if category in ("Cc", "Co", "Zs", "Zl", "Zp"):
            assert not valid, ascii(character)


def test_json_text(warehouse: DuckDBWarehouse) -> None:
    document = json.dumps({"sku": "A-1", "n": 3, "nothing": None})
    assert value(warehouse, f"json_text({literal(document)}, 'sku')") == "A-1"
    assert value(warehouse, f"json_text({literal(document)}, 'n')") == "3"
    assert value(warehouse, f"json_text({literal(document)}, 'absent')") is None
    for broken in ("no JSON", "{", '{"sku": }', ""):
        assert value(warehouse, f"json_text({literal(broken)}, 'sku')") is None


@settings(max_examples=40, deadline=None)
@given(
    counts=st.dictionaries(
        st.text(st.characters(exclude_characters="\x00=;", exclude_categories=["Cs"])),
        st.integers(1, 10**9),
        max_size=6,
    )
)
def test_tallies_are_read_back(warehouse: DuckDBWarehouse, counts: dict[str, int]) -> None:
    pairs = list(counts.items())
    columns = {"thing": [t for t, _ in pairs], "n": [n for _, n in pairs]}
    schema = pa.schema([("thing", pa.string()), ("n", pa.int64())])
    warehouse.load("counted", pa.table(columns, schema=schema))
    ((written,),) = warehouse.rows("SELECT tally(thing, n) AS v FROM counted")
    assert (written or "") == ";".join(sorted(f"{t}={n}" for t, n in pairs))
    if written is not None:
        for thing, n in pairs:
            found = value(warehouse, f"tally_of({literal(written)}, {literal(thing)})")
            assert found == n
        assert value(warehouse, f"tally_of({literal(written)}, 'no such thing')") == 0


def test_every_macro_says_what_it_is_and_where_it_runs() -> None:
    for macro in MACROS.values():
        assert macro.meaning
        assert set(macro.sql) <= {"any", *ENGINES}
        assert "any" in macro.sql or set(macro.sql) == set(ENGINES), macro.name
        assert macro.sql.get("duckdb", macro.sql.get("any")), macro.name
