"""Telephone numbers against what Google's libphonenumber 9.0.43 makes of them."""

import pyarrow as pa
import pytest

from connector.profiles.phones import read_phones
from connector.warehouse.duckdb import DuckDBWarehouse

NUMBERS = [
    ("DE", "030 123456", "+4930123456"),
    ("DE", "01512 3456789", "+4915123456789"),
    ("DE", "+49 (0)171 / 23 45-678", "+491712345678"),
    ("DE", "0049 171 2345678", "+491712345678"),
    ("DE", "+49 0171 2345678", "+491712345678"),
    ("DE", "+43 664 123456", "+43664123456"),
    ("GB", "07400 123456", "+447400123456"),
    ("FR", "06 12 34 56 78", "+33612345678"),
    ("CH", "078 123 45 67", "+41781234567"),
    ("IT", "02 1234 5678", "+390212345678"),
    ("IT", "+39 (0)6 698 12345", "+390669812345"),
    ("SM", "0549 886377", "+3780549886377"),
    ("US", "(201) 555-0123", "+12015550123"),
    ("US", "1 201 555 0123", "+12015550123"),
    ("US", "011 49 30 123456", "+4930123456"),
    ("CA", "506-234-5678", "+15062345678"),
    ("RU", "8 (912) 345-67-89", "+79123456789"),
    ("RU", "912 345-67-89", "+79123456789"),
    ("RU", "800 123-45-67", "+78001234567"),
    ("BY", "8 029 491-19-11", "+375294911911"),
    ("HU", "(06 20) 123 4567", "+36201234567"),
    ("ES", "612 34 56 78", "+34612345678"),
    ("PL", "512 345 678", "+48512345678"),
    ("CI", "01 23 45 6789", "+2250123456789"),
    ("JP", "090-1234-5678", "+819012345678"),
    ("MX", "200 123 4567", "+522001234567"),
    ("BR", "(11) 96123-4567", "+5511961234567"),
    ("AU", "0412 345 678", "+61412345678"),
]


def numbers(rows, *, country=""):
    """What is read of (country, number) pairs, in order: the number, and whether it is refused."""
    with DuckDBWarehouse() as warehouse:
        warehouse.load(
            "people",
            pa.table(
                {
                    "customer_id": [f"{i:03}" for i in range(len(rows))],
                    "country": pa.array([row[0] for row in rows], pa.string()),
                    "phone": pa.array([row[1] for row in rows], pa.string()),
                }
            ),
        )
        read_phones(warehouse, country=country, customers="people", output="read")
        found = warehouse.rows("SELECT r.customer_id, r.phone, r.unreadable FROM read AS r")
    return [row[1:] for row in sorted(found)]


def test_numbers_as_people_write_them():
    read = numbers(NUMBERS)
    assert [phone for phone, _ in read] == [expected for _, _, expected in NUMBERS]
    assert not any(refused for _, refused in read)


def test_the_country_is_the_rows_own_or_else_the_files():
    rows = [(c, "0171 2345678") for c in ("AT", " de ", None, "Germany", "ZZ")]
    at, *de = numbers(rows, country="DE")
    assert at == ("+431712345678", False)
    assert de == [("+491712345678", False)] * 4
    assert numbers(rows)[2:] == [(None, True)] * 3
    assert numbers([(None, "+49 171 2345678")]) == [("+491712345678", False)]


def test_signs_that_come_along_when_a_number_is_copied():
    odd = "\u202a+49\u00a0171\u20112345678\u202c"
    assert numbers([("DE", odd)]) == [("+491712345678", False)]
    assert numbers([("DE", "491712345678.0")], country="DE") == numbers([("DE", "491712345678")])


@pytest.mark.parametrize(
    "text", ["call me", "0171 2345678 ext 5", "4.917E+11", "+49", "+0 171 2345678", "1" * 20, "-"]
)
def test_what_is_no_number_is_refused(text):
    assert numbers([("DE", text)]) == [(None, True)]


def test_no_number_is_no_fault():
    assert numbers([("DE", None), ("DE", " ")]) == [(None, False), (None, False)]
