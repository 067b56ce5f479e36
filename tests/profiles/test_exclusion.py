import pyarrow as pa
import pytest

from connector.errors import ConfigError, SourceError
from connector.profiles.exclusion import build_exclusions
from connector.profiles.quality import QualitySummary
from connector.profiles.quarantine import collect_quarantine
from connector.profiles.spec import ExclusionList, ExclusionRule, IdentitySpec, PersonKey
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import put, understand


@pytest.fixture
def warehouse():
    with DuckDBWarehouse() as warehouse:
        people = {"1": "a@x.de", "2": "info@x.de", "3": "info@x.de", "4": "d@x.de", "5": None}
        put(warehouse, "customers", [{"customer_id": c, "email": e} for c, e in people.items()])
        understand(warehouse, identity=IdentitySpec(never_merge_on=("info@*",)))
        yield warehouse


def excluded(warehouse):
    return sorted(
        warehouse.rows(
            "SELECT c.customer_id, e.list_name, e.applies_to FROM exclusions AS e"
            " JOIN profile_customers AS c ON c.profile_id = e.profile_id"
        ),
        key=str,
    )


def test_an_address_excludes_everybody_who_has_it(warehouse):
    entries = [" A@x.DE", "a@x.de", "info@x.de", "stranger@x.de", None]
    warehouse.load("stop", pa.table({"address": entries}))
    listed = ExclusionList("suppressed", "stop", PersonKey.EMAIL, "address")
    (report,) = build_exclusions(warehouse, [listed])
    # info@ was taken from both, because two share it; the exclusion still finds both.
    assert excluded(warehouse) == [
        ("1", "suppressed", None),
        ("2", "suppressed", None),
        ("3", "suppressed", None),
    ]
    assert (report.n_entries, report.n_profiles) == (5, 3)


def test_lists_may_hold_customer_numbers_or_profiles_and_name_campaigns(warehouse):
    ((profile,),) = warehouse.rows(
        "SELECT c.profile_id FROM profile_customers AS c WHERE c.customer_id = '5'"
    )
    warehouse.load("numbers", pa.table({"customer_id": [1, 4]}))
    warehouse.load("ids", pa.table({"profile_id": [profile]}))
    build_exclusions(
        warehouse,
        [
            ExclusionList("n", "numbers", PersonKey.CUSTOMER_ID, applies_to=("x", "y")),
            ExclusionList("i", "ids", PersonKey.PROFILE_ID),
        ],
    )
    assert excluded(warehouse) == [
        ("1", "n", "x"),
        ("1", "n", "y"),
        ("4", "n", "x"),
        ("4", "n", "y"),
        ("5", "i", None),
    ]


def test_a_rule_reads_features(warehouse):
    rule = ExclusionRule("never", "lifetime_orders = 0 and recency_days is null", ("winback",))
    (report,) = build_exclusions(warehouse, [], [rule], people="features")
    assert report.n_profiles == 5
    assert {row[1:] for row in excluded(warehouse)} == {("never", "winback")}


def test_without_lists_the_relation_is_empty(warehouse):
    assert build_exclusions(warehouse, []) == ()
    assert excluded(warehouse) == []


def test_a_list_that_is_missing_stops_the_run(warehouse):
    with pytest.raises(SourceError, match="does not exist"):
        build_exclusions(warehouse, [ExclusionList("gone", "nowhere")])
    warehouse.load("stop", pa.table({"address": ["a@x.de"]}))
    with pytest.raises(ConfigError, match="email"):
        build_exclusions(warehouse, [ExclusionList("odd", "stop")])
    with pytest.raises(ConfigError, match=r"exclusion_lists\.odd\.where"):
        build_exclusions(warehouse, [], [ExclusionRule("odd", "ordrs > 0")], people="features")


def test_the_summary_and_the_quarantine_gather_all_steps():
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": "1", "email": "x"}, {"customer_id": None}])
        reports = understand(warehouse)
        steps = (reports.customers, reports.identity.customers, reports.orders)
        total = collect_quarantine(warehouse, [s.quarantine_relation for s in steps])
        rows = warehouse.rows("SELECT q.table_name, q.row_key, q.reason, q.n FROM quarantine AS q")
        summary = QualitySummary.of([reports.customers, reports.identity, reports.consent])
    assert total == 2
    assert sorted(rows, key=str) == [
        ("customers", "1", "invalid_email", 1),
        ("customers", None, "missing_customer_id", 1),
    ]
    assert summary.count("customers", "invalid_email") == 1
    assert summary.count("customers", "kept") == 1
    assert ("customers", "key_duplicate", 0) not in summary.rows()
    assert "missing_customer_id" in summary.text()
