"""RFM against pandas, against a published table, and the laws of stored cut points."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.domain import Level
from connector.errors import InsufficientDataError, ModelError
from connector.models.cuts import CutSpec, Method
from connector.models.groups import DEFAULT_GROUPS, R_RFM_GROUPS, Group, group_of
from connector.models.rfm import RfmSpec, fit, group_sizes, migration, predict
from connector.models.scored import build_scored
from connector.models.store import dumps, loads
from connector.profiles.spec import OrdersSpec
from connector.sources.mapping import map_table
from connector.sources.spec import Dedupe, TableSpec
from connector.warehouse.duckdb import DuckDBWarehouse
from tests.profiles.tables import AS_OF, put, shared_data, understand, utc


def features(people):
    """A features relation from (recency_days, frequency, monetary, lifetime_orders) by id."""
    ids = [f"p_{i}" for i in range(len(people))]
    recency, frequency, monetary, lifetime = (
        list(c) for c in (zip(*people, strict=True) if people else ([],) * 4)
    )
    warehouse = DuckDBWarehouse()
    warehouse.load(
        "features",
        pa.table(
            {
                "profile_id": pa.array(ids, pa.string()),
                "recency_days": pa.array(recency, pa.int64()),
                "frequency": pa.array(frequency, pa.int64()),
                "monetary": pa.array([Decimal(str(m)) for m in monetary], pa.decimal128(18, 2)),
                "lifetime_orders": pa.array(lifetime, pa.int64()),
            }
        ),
    )
    return warehouse


def scores(warehouse, model):
    predict(warehouse, model)
    r, f, m, cell, group = (f's."{name}"' for name in model.columns)
    rows = warehouse.rows(
        f"SELECT s.profile_id, {r}, {f}, {m}, {cell}, {group} FROM rfm_scores AS s"
    )
    return {row[0]: row[1:] for row in rows}


def pandas_quintiles(values: pd.Series) -> pd.Series:
    """1 + number of type-7 quantiles below the value; floats are rounded before comparing."""
    edges = np.quantile(values.to_numpy(dtype=float), [0.2, 0.4, 0.6, 0.8]).round(6)
    return values.astype(float).round(6).map(lambda v: 1 + int((edges < v).sum()))


def assert_agrees_with_pandas(warehouse, table: pd.DataFrame, as_of: datetime):
    """Scores of everybody in ``features`` against pandas over the plain list of orders."""
    now = pd.Timestamp(as_of).tz_localize(None)
    bought = table[~table.is_return]
    wanted = pd.DataFrame(
        {
            "recency": (now - bought.groupby("customer_id").ordered_at.max()).dt.days,
            "frequency": bought.groupby("customer_id").size(),
        }
    )
    wanted["monetary"] = table.groupby("customer_id").net_revenue.sum().astype(float).round(2)
    r = 6 - pandas_quintiles(wanted.recency)
    f = wanted.frequency.map(lambda n: 1 + sum(n >= edge for edge in (2, 3, 4, 6)))
    m = pandas_quintiles(wanted.monetary)
    spec = RfmSpec(frequency=CutSpec.fixed([2, 3, 4, 6]))
    model = fit(warehouse, spec, as_of=as_of)
    found = scores(warehouse, model)
    names = dict(warehouse.rows("SELECT c.profile_id, c.customer_id FROM profile_customers AS c"))
    seen = 0
    for profile, (fr, ff, fm, cell, group) in found.items():
        customer = names[profile]
        if customer not in wanted.index:
            assert (fr, ff, fm, cell, group) == (None, None, None, None, "prospects")
            continue
        expected = (r[customer], f[customer], m[customer])
        assert (fr, ff, fm) == expected
        assert cell == "".join(map(str, expected))
        assert group == group_of(DEFAULT_GROUPS, expected)
        seen += 1
    assert seen == len(wanted) == model.card.n_people
    return model


@pytest.mark.data
def test_cdnow_agrees_with_pandas():
    path = shared_data("cdnow_sample", "cdnow_sample.csv.gz")
    table = pd.read_csv(path, dtype={"sample_customer_id": str}, parse_dates=["date"])
    table = table.rename(columns={"sample_customer_id": "customer_id", "date": "ordered_at"})
    table["net_revenue"], table["is_return"] = table.dollar_value, False
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": c} for c in table.customer_id.unique()])
        put(
            warehouse,
            "orders",
            [
                {
                    "order_id": str(i),
                    "customer_id": row.customer_id,
                    "ordered_at": row.ordered_at.to_pydatetime(),
                    "gross": Decimal(str(row.dollar_value)),
                }
                for i, row in enumerate(table.itertuples())
            ],
        )
        as_of = datetime(1998, 7, 1, tzinfo=UTC)
        understand(warehouse, as_of=as_of)
        model = assert_agrees_with_pandas(warehouse, table, as_of)
        assert model.card.n_people == 2_357
        # Half of CDNOW's customers bought once; quintiles of frequency cannot all be filled.
        quintiles = fit(warehouse, RfmSpec(), as_of=as_of)
        assert quintiles.frequency.empty_bins
        assert [f.level for f in quintiles.findings()] == [Level.NOTE]


@pytest.mark.data
def test_online_retail_agrees_with_pandas():
    path = shared_data("online_retail", "online_retail_2010_2011.parquet")
    as_of = datetime(2011, 12, 10, tzinfo=UTC)
    with DuckDBWarehouse() as warehouse:
        warehouse.attach_parquet("lines", str(path))
        map_table(
            warehouse,
            TableSpec(
                "orders",
                "lines",
                {
                    "order_id": "InvoiceNo",
                    "customer_id": "max(CustomerID)",
                    "ordered_at": "min(InvoiceDate)",
                    "gross": "sum(cast(UnitPrice as decimal(18, 3)) * Quantity)",
                    "is_return": "InvoiceNo like 'C%'",
                },
                dedupe=Dedupe.EXACT,
                quarantine={"price": "UnitPrice <= 0"},
                group_by=("InvoiceNo",),
            ),
            timezone="UTC",
        )
        people = TableSpec(
            "customers",
            "lines",
            {"customer_id": "CustomerID"},
            filter="CustomerID is not null",
            group_by=("CustomerID",),
        )
        map_table(warehouse, people, timezone="UTC")
        understand(warehouse, as_of=as_of, orders=OrdersSpec(max_order_value=None))
        table = pd.read_parquet(path).drop_duplicates()
        table = table[(table.UnitPrice > 0) & table.CustomerID.notna()]
        table = table.assign(value=(table.UnitPrice * table.Quantity).round(3))
        invoices = table.groupby("InvoiceNo").agg(
            customer_id=("CustomerID", "max"),
            ordered_at=("InvoiceDate", "min"),
            net_revenue=("value", "sum"),
        )
        invoices["net_revenue"] = invoices.net_revenue.map(
            lambda v: float(Decimal(f"{v:.3f}").quantize(Decimal("0.01"), "ROUND_HALF_UP"))
        )
        invoices["customer_id"] = invoices.customer_id.astype(int).astype(str)
        invoices["is_return"] = invoices.index.str.startswith("C")
        model = assert_agrees_with_pandas(warehouse, invoices, as_of)
    assert model.card.n_people + model.card.n_prospects == 4_372


PEOPLE = st.lists(
    st.one_of(
        st.tuples(
            st.integers(0, 700), st.integers(1, 9), st.integers(-50, 900), st.integers(1, 20)
        ),
        st.just((None, 0, 0, 3)),
        st.just((None, 0, 0, 0)),
    ),
    min_size=1,
    max_size=30,
).filter(lambda people: any(p[1] for p in people))

FIXED = RfmSpec(
    recency=CutSpec.fixed([30, 90, 180, 365]),
    frequency=CutSpec.fixed([2, 3, 4, 6]),
    monetary=CutSpec.fixed([50, 100, 200, 400]),
)


@given(PEOPLE, st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None)
def test_laws_of_stored_cut_points(people, rnd):
    with features(people) as warehouse:
        model = fit(warehouse, RfmSpec(), as_of=AS_OF)
        found = scores(warehouse, model)
        sizes = group_sizes(warehouse, model)
    # Equal people, equal answers; everybody has exactly one group; JSON keeps the answers.
    for i, one in enumerate(people):
        for j, other in enumerate(people):
            if one == other:
                assert found[f"p_{i}"] == found[f"p_{j}"]
    assert sum(sizes.values()) == len(people)
    assert set(sizes) >= {"lapsed", "prospects", "champions"}
    assert loads(dumps(model)) == model
    # The order of rows is nothing.
    order = list(range(len(people)))
    rnd.shuffle(order)
    with features([people[i] for i in order]) as warehouse:
        again = fit(warehouse, RfmSpec(), as_of=AS_OF)
        assert again == model
        moved = scores(warehouse, again)
    assert [moved[f"p_{k}"] for k in range(len(order))] == [found[f"p_{i}"] for i in order]


def test_people_without_orders_in_the_window():
    with features([(10, 3, 100, 3), (None, 0, 0, 2), (None, 0, -5, 0)]) as warehouse:
        model = fit(warehouse, FIXED, as_of=AS_OF)
        found = scores(warehouse, model)
    assert found["p_1"] == (None, None, None, None, "lapsed")
    assert found["p_2"] == (None, None, None, None, "prospects")
    card = model.card
    assert (card.n_people, card.n_lapsed, card.n_prospects) == (1, 1, 1)


def test_others_do_not_move_a_persons_score_until_a_refit():
    base = [(d, 1 + d % 7, 10 * d, 9) for d in range(40)]
    with features(base) as warehouse:
        model = fit(warehouse, RfmSpec(), as_of=AS_OF)
        before = scores(warehouse, model)
    with features(base + [(0, 50, 99_999, 50)] * 200) as warehouse:
        after = scores(warehouse, model)
        refitted = fit(warehouse, RfmSpec(), as_of=AS_OF)
    assert {p: after[p] for p in before} == before
    assert refitted.monetary != model.monetary


def test_a_refit_forgets_what_the_model_saw_before():
    first, second = [(d, 2, d, 2) for d in range(1, 50)], [(3 * d, 1, 7 * d, 1) for d in range(60)]
    with features(first) as warehouse:
        fit(warehouse, RfmSpec(), as_of=AS_OF)
    with features(second) as warehouse:
        fresh = fit(warehouse, RfmSpec(), as_of=AS_OF)
    with features(second) as warehouse:
        assert fit(warehouse, RfmSpec(), as_of=AS_OF) == fresh


def test_the_version_follows_the_answers():
    with features([(d, 1, d, 1) for d in range(10)]) as warehouse:
        model = fit(warehouse, FIXED, as_of=AS_OF)
        assert fit(warehouse, FIXED, as_of=AS_OF).version == model.version
        other = RfmSpec(recency=FIXED.recency, frequency=FIXED.frequency, monetary=FIXED.monetary)
        assert fit(warehouse, other, as_of=AS_OF).version == model.version
        changed = RfmSpec(groups=(Group.of("all", "1-5", "1-5", "1-5"),))
        assert fit(warehouse, changed, as_of=AS_OF).version != model.version


def test_migration_counts_everybody_once():
    people = [(d * 9, 1 + d % 8, d * 13, 9) for d in range(60)] + [(None, 0, 0, 1)] * 5
    with features(people) as warehouse:
        old = fit(warehouse, FIXED, as_of=AS_OF)
        new = fit(warehouse, RfmSpec(), as_of=AS_OF)
        moves = migration(warehouse, old, new)
        before, after = scores(warehouse, old), scores(warehouse, new)
        assert all(m.before == m.after for m in migration(warehouse, old, old))
    wanted = pd.crosstab(
        pd.Series({p: row[4] for p, row in before.items()}, name="a"),
        pd.Series({p: row[4] for p, row in after.items()}, name="b"),
    )
    assert sum(m.n_people for m in moves) == len(people)
    assert {(m.before, m.after): m.n_people for m in moves} == {
        pair: n for pair, n in wanted.stack().items() if n
    }


# Rows of the table in the README of R's package rfm (rfm_table_order on rfm_data_orders, analysed
# on 2006-12-31): recency_days, transaction_count, amount, then the three scores. The thresholds are
# those that the package's own tests and vignette print for these data.
R_TABLE = [
    (205, 6, 472, "343"),
    (140, 3, 340, "412"),
    (194, 4, 405, "323"),
    (132, 5, 448, "433"),
    (90, 9, 843, "555"),
    (84, 9, 763, "555"),
    (281, 8, 699, "355"),
    (246, 4, 157, "321"),
    (349, 3, 363, "212"),
    (619, 4, 196, "121"),
]


def test_the_published_table_of_rs_rfm():
    spec = RfmSpec(
        recency=CutSpec.fixed([115, 181, 297, 482]),
        frequency=CutSpec.fixed([4, 5, 6, 8]),
        monetary=CutSpec.fixed([256, 382, 506, 666]),
        groups=R_RFM_GROUPS,
    )
    with features([(r, f, m, f) for r, f, m, _ in R_TABLE]) as warehouse:
        found = scores(warehouse, fit(warehouse, spec, as_of=AS_OF))
    assert [found[f"p_{i}"][3] for i in range(10)] == [cell for *_, cell in R_TABLE]
    assert found["p_4"][4] == "Champions"


def test_compatibility_with_rs_rfm_puts_an_edge_one_above_the_quantile():
    """An independent reading of the package's rule: [quantile + 1, next quantile + 1)."""
    people = [(d, 1 + d % 9, 11 * d % 400, 9) for d in range(101)]
    spec = RfmSpec(
        recency=CutSpec(Method.R_RFM),
        frequency=CutSpec(Method.R_RFM),
        monetary=CutSpec(Method.R_RFM),
        groups=R_RFM_GROUPS,
    )
    with features(people) as warehouse:
        found = scores(warehouse, fit(warehouse, spec, as_of=AS_OF))
    table = pd.DataFrame(people, columns=["r", "f", "m", "n"])

    def binned(values):
        lower = np.quantile(values, [0.2, 0.4, 0.6, 0.8]) + 1
        return pd.cut(values, [-np.inf, *lower, np.inf], right=False, labels=range(1, 6)).astype(
            int
        )

    wanted = zip(6 - binned(table.r), binned(table.f), binned(table.m), strict=True)
    assert [found[f"p_{i}"][:3] for i in range(101)] == [tuple(map(int, row)) for row in wanted]


def test_a_name_may_hold_a_quote_and_unnamed_cells_are_told():
    spec = RfmSpec(groups=(Group.of("can't lose", 5, "1-5", "1-5"),))
    with features([(d, 1, d, 1) for d in range(20)]) as warehouse:
        model = fit(warehouse, spec, as_of=AS_OF)
        groups = {row[4] for row in scores(warehouse, model).values()}
    assert groups == {"can't lose", "unnamed"}
    assert Level.WARNING in [f.level for f in model.findings()]
    assert "100 of 125" in spec.check()[0].message


def test_nobody_to_fit_on():
    with features([(None, 0, 0, 0)]) as warehouse:
        with pytest.raises(InsufficientDataError):
            fit(warehouse, RfmSpec(), as_of=AS_OF)
        assert fit(warehouse, FIXED, as_of=AS_OF).card.n_people == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-2],
        lambda text: text.replace('"rfm"', '"forest"', 1),
        lambda text: text.replace('"format": 1', '"format": 99'),
        lambda text: text.replace('"reverse": true', '"reverse": false'),
        lambda text: text.replace('"card"', '"cart"'),
        lambda text: text.replace('"edges"', '"hedges"'),
        lambda _: "[]",
    ],
)
def test_a_spoiled_model_is_refused(spoil):
    with features([(d, 1, d, 1) for d in range(20)]) as warehouse:
        text = dumps(fit(warehouse, RfmSpec(), as_of=AS_OF))
    with pytest.raises(ModelError):
        loads(spoil(text))


def test_scored_joins_everything_once_and_refuses_two_columns_of_one_name():
    with DuckDBWarehouse() as warehouse:
        put(warehouse, "customers", [{"customer_id": c, "country": "DE"} for c in "12"])
        put(
            warehouse,
            "orders",
            [
                {
                    "order_id": "o",
                    "customer_id": "1",
                    "ordered_at": utc(2025, 6, 1),
                    "gross": Decimal(5),
                }
            ],
        )
        understand(warehouse)
        model = fit(warehouse, FIXED, as_of=AS_OF)
        predict(warehouse, model)
        columns = build_scored(warehouse, ["rfm_scores"])
        assert set(columns) >= {"profile_id", "email", "country", "orders_30d", *model.columns}
        assert len(columns) == len(set(columns))
        rows = warehouse.rows('SELECT s.customer_id, s.orders_30d, s."rfm.group" FROM scored AS s')
        assert sorted(rows) == [("1", 1, "promising"), ("2", 0, "prospects")]
        with pytest.raises(ModelError, match=r"rfm\.r"):
            build_scored(warehouse, ["rfm_scores", "rfm_scores"])
