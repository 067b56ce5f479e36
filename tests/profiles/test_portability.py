"""Every statement from the sources to the scores can be written for every engine that is listed."""

from decimal import Decimal

import pyarrow as pa
import pytest

from connector.features.build import build_features
from connector.features.orders import orders_pack, rfm_pack
from connector.models.rfm import RfmSpec, fit, migration, predict
from connector.models.scored import build_scored
from connector.profiles.exclusion import build_exclusions
from connector.profiles.orders import clean_items
from connector.profiles.quarantine import collect_quarantine
from connector.profiles.spec import (
    CustomersSpec,
    ExclusionList,
    ExclusionRule,
    IdentitySpec,
    MarginFrom,
    OrdersSpec,
)
from connector.sources.checks import run_checks
from connector.sources.mapping import map_table
from connector.sources.spec import CheckKind, Dedupe, TableCheck, TableSpec
from connector.warehouse.duckdb import DuckDBWarehouse
from connector.warehouse.macros import ENGINES
from connector.warehouse.render import render
from tests.profiles.tables import AS_OF, understand

ORDERS = pa.table(
    {
        "id": ["1", "2", "2", "3"],
        "who": [1.0, 2.0, 2.0, None],
        "at": ["2025-01-01", "2025-02-03 10:00", "2025-02-03 10:00", "2025-03-01T00:00:00Z"],
        "total": ["10", "20.5", "20.5", "x"],
        "back": ["no", "no", "no", "yes"],
    }
)
CUSTOMERS = pa.table({"id": [1, 2], "mail": ["a@x.de", "b@x.de"], "born": [1980.0, None]})
CONSENTS = pa.table({"who": ["a@x.de"], "what": ["x"], "state": ["yes"], "at": ["2025-01-01"]})
ITEMS = pa.table({"id": ["1"], "what": ["sku"], "n": [1], "price": [1.5]})


class Recorder(DuckDBWarehouse):
    """A warehouse that remembers what it was asked."""

    def __init__(self):
        super().__init__()
        self.asked: list[str] = []

    def create_table_as(self, name, sql):
        self.asked.append(sql)
        super().create_table_as(name, sql)

    def create_view_as(self, name, sql):
        self.asked.append(sql)
        super().create_view_as(name, sql)

    def rows(self, sql):
        self.asked.append(sql)
        return super().rows(sql)


@pytest.fixture(scope="module")
def statements():
    with Recorder() as warehouse:
        for name, table in (
            ("o", ORDERS),
            ("c", CUSTOMERS),
            ("p", CONSENTS),
            ("i", ITEMS),
        ):
            warehouse.load(name, table)
        orders = {"order_id": "id", "customer_id": "who", "ordered_at": "at", "gross": "total"}
        specs = [
            TableSpec(
                "orders",
                "o",
                orders | {"is_return": "back"},
                dedupe=Dedupe.EXACT,
                filter="id <> 'x'",
                quarantine={"odd": "id = 'y'"},
            ),
            TableSpec(
                "customers",
                "c",
                {"customer_id": "id", "email": "max(mail)", "birth_year": "max(born)"},
                group_by=("id",),
            ),
            TableSpec(
                "consents",
                "p",
                {
                    "person": "who",
                    "purpose": "what",
                    "channel": "what",
                    "status": "state",
                    "at": "at",
                },
            ),
            TableSpec(
                "order_items",
                "i",
                {"order_id": "id", "product_id": "what", "quantity": "n", "price": "price"},
            ),
        ]
        for spec in specs:
            map_table(warehouse, spec, timezone="Europe/Berlin")
        checks = [
            TableCheck(kind, "customer_id", to="customers", values=("1",))
            for kind in CheckKind
            if kind is not CheckKind.NON_NEGATIVE
        ]
        run_checks(warehouse, "orders", [*checks, TableCheck(CheckKind.NON_NEGATIVE, "gross")])
        understand(
            warehouse,
            customers=CustomersSpec(exclude="email like '%@shop.example'"),
            identity=IdentitySpec(never_merge_on=("info@*",)),
            orders=OrdersSpec(
                cancelled="status = 'void'", max_order_value=Decimal(100), margin=MarginFrom.ITEMS
            ),
        )
        clean_items(warehouse)
        build_features(warehouse, [rfm_pack(), orders_pack()], as_of=AS_OF)
        model = fit(warehouse, RfmSpec(), as_of=AS_OF)
        predict(warehouse, model)
        migration(warehouse, model, model)
        build_scored(warehouse, ["rfm_scores"])
        rules = [ExclusionRule("r", "rfm.group = 'lost'")]
        build_exclusions(warehouse, [ExclusionList("l", "p", column="who")], rules)
        collect_quarantine(warehouse, ["quarantined_in_orders", "quarantined_orders"])
        assert warehouse.rows("SELECT count(*) AS n FROM scored AS s") == [(2,)]
        return list(dict.fromkeys(warehouse.asked))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_statement_can_be_written_for_the_engine(statements, engine):
    assert len(statements) > 100
    for sql in statements:
        assert render(sql, engine)
