"""Lifetime value on margin, worked out of the lines' costs, through the product."""

from __future__ import annotations

import contextlib
from pathlib import Path

import duckdb
import numpy as np
import pytest

from connector.domain import Finding
from tests.pipeline.modelled_shop import AS_OF, CONFIG, MODELS, Clock, build, open_project

CLV = """\
models:
  earned:
    type: clv
    horizon: 90d
    value: margin
    algorithms: [mbg_nbd_gamma_gamma]
    publish_if: {backtest_windows: 1}
    outputs: [expected, low_80, high_80]
  taken:
    type: clv
    horizon: 90d
    algorithms: [mbg_nbd_gamma_gamma]
    publish_if: {backtest_windows: 1}
    outputs: [expected, low_80, high_80]
"""
TEXT = CONFIG.replace(MODELS, CLV)
TEXT = TEXT.replace('where: "purchase_30d.percentile >= 80"', 'where: "taken.percentile >= 80"')
TEXT = TEXT.replace("""clv.tier in ('platinum', 'gold')""", "earned.expected >= 10")
COSTED = TEXT.replace("price: price}", "price: price, unit_cost: cost}", 1)


def run(folder: Path, text: str) -> tuple[np.ndarray, list[Finding]]:
    """Expected value on margin and on revenue of everybody, and what is told of the former."""
    with (
        contextlib.closing(open_project(folder, Clock(), text=text)) as project,
        project.workspace() as warehouse,
    ):
        found = project.understand(warehouse, as_of=AS_OF)
        rows = found.warehouse.rows(
            'SELECT s."earned.expected", s."taken.expected" FROM scored AS s ORDER BY s.profile_id'
        )
    values = np.array(rows, dtype=np.float64)
    return values, [f for f in found.findings if f.subject == "models.earned"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every order's lines cost 40 % of it; other columns know that of most or half of them."""
    folder = tmp_path_factory.mktemp("margin")
    build(folder, n=500)
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute("ALTER TABLE items ADD COLUMN cost DOUBLE")
        con.execute("ALTER TABLE items ADD COLUMN few DOUBLE")
        con.execute("ALTER TABLE items ADD COLUMN many DOUBLE")
        con.execute(
            "UPDATE items SET cost = 0.4 * o.total / o.n FROM (SELECT i.order_id, count(*) AS n,"
            " any_value(t.total) AS total FROM items AS i JOIN orders AS t ON t.id = i.order_id"
            " GROUP BY i.order_id) AS o WHERE o.order_id = items.order_id"
        )
        # An order is known or not, the same in every run.
        con.execute("UPDATE items SET few = cost WHERE hash(order_id) % 10 <> 0")
        con.execute("UPDATE items SET many = cost WHERE hash(order_id) % 2 = 0")
    return folder


def test_margin_of_a_constant_share_scales_the_value_by_it(shop: Path) -> None:
    """Gamma-Gamma is free of the unit: 60 % of the revenue is worth 60 % of the value."""
    values, findings = run(shop, COSTED)
    known = values[np.isfinite(values[:, 0])]
    assert len(known) > 400
    assert known[:, 0] == pytest.approx(0.6 * known[:, 1], rel=0.01, abs=0.02)
    assert not [f for f in findings if "unknown" in f.message]


def test_a_few_unknown_margins_are_filled_and_told(shop: Path) -> None:
    exact, _ = run(shop, COSTED)
    values, findings = run(shop, COSTED.replace("unit_cost: cost", "unit_cost: few"))
    known = np.isfinite(exact[:, 0])
    assert values[known, 0] == pytest.approx(exact[known, 0], rel=0.01, abs=0.02)
    (told,) = [f.message for f in findings if "unknown" in f.message]
    assert "60\u00a0% of their revenue" in told
    with duckdb.connect(str(shop / "shop.duckdb"), read_only=True) as con:
        n, without = con.execute(
            "SELECT count(*), count(*) FILTER (WHERE hash(id) % 10 = 0) FROM orders"
            " WHERE ordered_at < ?",
            [AS_OF],
        ).fetchone()
    assert f"{without:,} of {n:,} orders" in told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT, "maps neither orders.margin nor order_items.unit_cost"),
        (COSTED.replace("unit_cost: cost", "unit_cost: many"), "may be"),
    ],
)
def test_where_margins_cannot_be_known_only_that_model_is_left_out(
    shop: Path, text: str, why: str
) -> None:
    values, findings = run(shop, text)
    assert np.isnan(values[:, 0]).all()
    assert np.isfinite(values[:, 1]).any()
    (told,) = findings
    assert why in told.message
    assert "liftline.yaml:" in told.message
    with contextlib.closing(open_project(shop, Clock(), text=text)) as project:
        assert project.plan().totals()
