import pytest

from connector.domain import Level
from connector.errors import SchemaError
from connector.sources.checks import run_checks
from connector.sources.spec import CheckKind, TableCheck
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import put


@pytest.fixture
def warehouse():
    with DuckDBWarehouse() as warehouse:
        put(
            warehouse,
            "customers",
            [
                {"customer_id": "1", "email": "a@x.de", "country": "DE", "birth_year": 1980},
                {"customer_id": "2", "email": "not an address", "country": "FR", "birth_year": -1},
                {"customer_id": "2", "email": None, "country": None, "birth_year": None},
                {"customer_id": None, "email": " B@X.de ", "country": "DE", "birth_year": 2000},
            ],
        )
        put(
            warehouse,
            "orders",
            [{"order_id": str(i), "customer_id": c} for i, c in enumerate("119")],
        )
        yield warehouse


@pytest.mark.parametrize(
    ("check", "n_failed"),
    [
        (TableCheck(CheckKind.UNIQUE, "customer_id"), 1),
        (TableCheck(CheckKind.NOT_NULL, "customer_id"), 1),
        (TableCheck(CheckKind.VALID_EMAIL, "email"), 1),
        (TableCheck(CheckKind.NON_NEGATIVE, "birth_year"), 1),
        (TableCheck(CheckKind.ACCEPTED_VALUES, "country", values=("DE", "AT")), 1),
        (TableCheck(CheckKind.ACCEPTED_VALUES, "country", values=("DE", "FR")), 0),
        (TableCheck(CheckKind.UNIQUE, "email"), 0),
    ],
)
def test_failing_rows_are_counted(warehouse, check, n_failed):
    (finding,) = run_checks(warehouse, "customers", [check])
    assert finding.level is (Level.ERROR if n_failed else Level.OK)
    if n_failed:
        assert f"{n_failed} of 4 rows" in finding.message
        assert finding.hint


def test_orders_of_nobody_point_nowhere(warehouse):
    check = TableCheck(CheckKind.RELATIONSHIP, "customer_id", to="customers")
    (finding,) = run_checks(warehouse, "orders", [check])
    assert finding.level is Level.ERROR
    assert "1 of 3 rows point nowhere" in finding.message


@pytest.mark.parametrize(
    ("warn_above", "level"), [(0.2, Level.WARNING), (0.25, Level.NOTE), (0.3, Level.NOTE)]
)
def test_a_tolerated_share_warns_only_above_it(warehouse, warn_above, level):
    check = TableCheck(CheckKind.VALID_EMAIL, "email", warn_above=warn_above)
    assert [f.level for f in run_checks(warehouse, "customers", [check])] == [level]


def test_findings_hold_no_value_of_a_person(warehouse):
    check = TableCheck(CheckKind.VALID_EMAIL, "email")
    (finding,) = run_checks(warehouse, "customers", [check])
    assert "not an address" not in finding.message + finding.hint


@pytest.mark.parametrize(
    "check",
    [
        TableCheck(CheckKind.UNIQUE, "nickname"),
        TableCheck(CheckKind.RELATIONSHIP, "customer_id", to="people"),
    ],
)
def test_a_test_of_an_unknown_column_is_an_error_of_the_configuration(warehouse, check):
    with pytest.raises(SchemaError):
        run_checks(warehouse, "customers", [check])
