"""Hostile and mistaken expressions: each is refused, in words, before any SQL is written."""

from __future__ import annotations

import pytest

from connector.errors import ConfigError
from connector.warehouse.dialect import ExpressionError, parse_expression
from tests.warehouse.columns import COLUMNS

HOSTILE = {
    "stacked statement": "recency_days > 1; drop table profiles",
    "trailing semicolon": "recency_days > 1;",
    "line comment": "recency_days > 1 -- and subscribed",
    "block comment": "recency_days > /* hidden */ 1",
    "nested comment": "recency_days > 1 /* a /* b */ c */",
    "comment only": "-- nothing",
    "hint": "/*+ x */ recency_days > 1",
    "classic tautology": "1=1 --",
    "scalar subquery": "recency_days > (select max(recency_days) from scored)",
    "bare select": "select 1",
    "in subquery": "country in (select country from customers)",
    "exists": "exists (select 1)",
    "any": "recency_days = any(select 1)",
    "cte": "with x as (select 1) select * from x",
    "union": "1 union select 2",
    "from first": "from customers",
    "values": "recency_days in (values (1), (2))",
    "read_csv": "read_csv('/etc/passwd') is not null",
    "read_text": "read_text('/etc/passwd') like '%root%'",
    "read_blob": "read_blob('/etc/shadow') is not null",
    "glob": "glob('/etc/*') is not null",
    "getenv": "getenv('HOLDOUT_SALT') like 'a%'",
    "current_setting": "current_setting('threads') = 1",
    "version": "version() like 'v%'",
    "pragma": "pragma database_list",
    "pragma function": "pragma_database_list() is not null",
    "attach": "attach '/tmp/x.db'",
    "copy": "copy scored to '/tmp/x.csv'",
    "install": "install httpfs",
    "set": "set threads = 1",
    "query function": "query('select 1')",
    "window": "row_number() over (order by recency_days) = 1",
    "windowed aggregate": "sum(recency_days) over () > 1",
    "lambda": "list_transform(country, x -> x + 1)",
    "columns star": "columns(*) > 1",
    "star": "*",
    "star of a name": "rfm.*",
    "star except": "* exclude (email)",
    "parameter dollar": "recency_days > $1",
    "parameter question": "recency_days > ?",
    "parameter name": "recency_days > :days",
    "variable": "getvariable('x') = 1",
    "at variable": "@x = 1",
    "brackets": "country[1] = 'D'",
    "list": "country in ['DE']",
    "struct": "{'a': 1} is not null",
    "list comprehension": "[x for x in country]",
    "dollar quotes": "country = $$DE$$",
    "escape string": "country = e'\\x44E'",
    "hex literal": "recency_days = 0xff",
    "underscored number": "recency_days = 1_000",
    "alias": "recency_days > 1 as x",
    "two expressions": "recency_days, orders_365d",
    "tuple": "(recency_days, orders_365d) = (1, 2)",
    "cast to blob": "cast(country as blob) is not null",
    "cast to a made-up type": "cast(country as regclass) is not null",
    "double colon cast": "country::json is not null",
    "try_cast": "try_cast(country as integer) = 1",
    "collate": "country collate nocase = 'de'",
    "regex operator": "country ~ '(a+)+$'",
    "look-ahead pattern": "regexp_matches(country, '(?=a)')",
    "stacked quantifiers": "regexp_matches(country, 'a++')",
    "back-reference": "regexp_matches(country, '(a)\\1')",
    "pattern from a column": "regexp_matches(country, email)",
    "similar to": "country similar to 'a|b'",
    "clock": "created_at < now()",
    "clock without parentheses": "created_at < current_timestamp",
    "user": "current_user = 'x'",
    "random": "random() < 0.5",
    "sleep": "pg_sleep(10) is null",
    "sequence": "nextval('s') > 1",
    "schema-qualified function": "main.lower(country) = 'de'",
    "method call": "country.lower() = 'de'",
    "quoted function": "\"read_csv\"('/etc/passwd') = 1",
    "json path arrow": "country -> '$.a' = 1",
    "interval": "created_at > created_at - interval 3 day",
    "named argument": "round(recency_days, n := 2) = 1",
    "filter clause": "count(*) filter (where subscribed) > 1",
    "ordered argument": "max(country order by email) = 'x'",
    "aggregate": "sum(orders_365d) > 1",
    "like with escape": "country like 'a!%' escape '!'",
    "like with a column": "country like email",
    "like any": "country like any ('a', 'b')",
    "backslash in like": "country like 'a\\%'",
    "chained comparison": "1 < recency_days < 5",
    "comparison with null": "country = null",
    "null in list": "country not in ('DE', null)",
    "half-width look-alike": "recency_days \uff1e 1",
    "zero-width space": "recency\u200b_days > 1",
    "right-to-left override": "recency_days > 1 \u202e or true",
    "non-breaking space": "recency_days\u00a0> 1",
    "cyrillic look-alike": "\u0435mail is not null",
    "nul": "country = 'a\x00b'",
    "escape character": "country = '\x1b[2J'",
    "unclosed quote": "country = 'DE",
    "unclosed identifier": '"country = 1',
    "unclosed parenthesis": "(recency_days > 1",
    "extra parenthesis": "recency_days > 1)",
    "jinja": "{{ var('x') }} = 1",
    "shell": "`rm -rf /` = 1",
    "empty": "",
    "blank": " \n\t ",
    "nothing after the operator": "recency_days >",
    "long": "recency_days > 1" + " " * 5_000,
    "many words": " and ".join(["subscribed"] * 1_000),
    "many digits": "recency_days > " + "9" * 39,
    "large exponent": "recency_days > 1e999",
    "deep parentheses": "(" * 200 + "subscribed" + ")" * 200,
    "deep not": "not " * 500 + "subscribed",
    "deep minus": "recency_days > " + "- " * 500 + "1",
    "deep calls": "abs(" * 100 + "recency_days" + ")" * 100 + " > 1",
    "long sum": "+".join(["recency_days"] * 350) + " > 1",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_refused(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text, columns=COLUMNS, what="segment test: where")
    assert isinstance(caught.value, ConfigError)
    assert str(caught.value).startswith("segment test: where: ")
    # A message is short and printable, whatever it was provoked with.
    assert len(str(caught.value)) < 2_000
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))


def test_nested_macros_do_not_explode() -> None:
    """`as_number` writes its argument several times: nesting it multiplies."""
    text = "country"
    for _ in range(12):
        text = f"as_text(as_number({text}))"
    with pytest.raises(ExpressionError, match="too large"):
        parse_expression(text, columns=COLUMNS, what="segment test: where")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("recency_dayz > 1", "recency_days"),
        ("group = 'x'", "rfm.group"),
        ("rfm.groop = 'x'", "rfm.group"),
        ("purchase_30d.probabilty > 0.5", "purchase_30d.probability"),
        ("hash_buckt(country) = 1", "hash_bucket"),
        ("days_betwen(created_at, created_at) > 1", "days_between"),
        ("datediff(created_at, created_at) > 1", "days_between"),
        ("ifnull(orders_365d, 0) > 1", "coalesce"),
        ("md5(country) = 'x'", "md5_hex"),
        ("current_date > created_at", "recency_days"),
        ("country = DE", "single quotes"),
        ("round() = 1", "round(number)"),
        ("lower(orders_365d) = 'x'", "as_text()"),
    ],
)
def test_says_what_was_meant(text: str, meant: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text, columns=COLUMNS, what="here")
    assert meant in str(caught.value)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("subscribed and recency_dayz > 1", "recency_dayz"),
        ("subscribed and\n   nosuch(1) > 1", "nosuch"),
        ("subscribed; drop", "; drop"),
        ("orders_365d > 1 and country >= 3", "3"),
    ],
)
def test_points_at_the_place(text: str, at: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text, columns=COLUMNS, what="here")
    assert caught.value.position is not None
    assert text[caught.value.position :].startswith(at)
    line, caret = str(caught.value).splitlines()[1:3]
    assert line[caret.index("^") :].startswith(at)


@pytest.mark.parametrize(
    "text",
    [
        "country >= 3",
        "recency_days = 'many'",
        "subscribed + 1 = 2",
        "country || 3 = 'DE3'",
        "created_at > 'soon'",
        "created_at > '2026-03-01T00:00:00+01:00'",
        "case when orders_365d then 1 else 2 end = 1",
        "case when subscribed then 1 else 'x' end = 1",
        "coalesce(country, 0) = 'x'",
        "created_at - created_at > 1",
        "subscribed and orders_365d",
        "quantile(orders_365d, 2) > 1",
        "to_utc(created_at, 'Europe/Atlantis') > created_at",
        "json_text(country, '$.a') = 'x'",
        "substr(country, 0) = 'x'",
        "cast(monetary_365d as decimal(60, 2)) > 1",
    ],
)
def test_refuses_what_makes_no_sense(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_expression(text, columns=COLUMNS, what="here", allow_aggregates=True)
