"""Time passing: the base process ignores arms, effects are as stated, rows change in place."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from connector.demo.effects import Effect
from connector.demo.outcomes import Advance, advance_shop
from connector.demo.shop import build_shop
from tests.demo.conftest import SEED, START, UNTIL, Shop, digests, read

LATER = UNTIL + timedelta(days=35)
WINDOW_END = pd.Timestamp(UNTIL + timedelta(days=30))


def assigned(customers: list[str], arms: list[str], campaign: str = "winback") -> pa.Table:
    return pa.table(
        {
            "campaign": [campaign] * len(customers),
            "profile_id": [f"p-{customer}" for customer in customers],
            "arm": arms,
            "customer_id": customers,
        }
    )


def advance(
    path: Path, assignments: pa.Table, effects: dict[str, Effect], *, seed: int = SEED
) -> Advance:
    return advance_shop(
        path, seed=seed, from_=UNTIL, until=LATER, assignments=assignments, effects=effects
    )


def copy(shop: Shop, folder: Path, name: str) -> Path:
    return Path(shutil.copy(shop.path, folder / name))


def customers_of(path: Path) -> list[str]:
    table = read(path, "customers")
    return sorted(set(table.customer_id[~table.is_test]))


def new_orders(path: Path) -> pd.DataFrame:
    orders = read(path, "orders")
    return orders[orders.created_at >= pd.Timestamp(UNTIL)]


def totals(path: Path, customers: list[str]) -> pd.DataFrame:
    """Orders and net revenue of each customer in the 30 days, cancelled orders left out."""
    orders = new_orders(path)
    orders = orders[(orders.created_at < WINDOW_END) & (orders.status != "cancelled")]
    net = (orders.total - orders.discount_total - orders.refunded_total).astype(float)
    grouped = net.groupby(orders.customer_id)
    return pd.DataFrame({"orders": grouped.size(), "revenue": grouped.sum()}).reindex(
        customers, fill_value=0
    )


@pytest.fixture(scope="module")
def worlds(shop, tmp_path_factory):
    """The same five weeks three times: the treatment does nothing, much good, or harm."""
    folder = tmp_path_factory.mktemp("worlds")
    customers = customers_of(shop.path)
    arms = [
        "treatment" if i % 2 else ("no_contact", "business_as_usual")[i % 4 // 2]
        for i in range(len(customers))
    ]
    out = {}
    for name, factor in (("calm", 1.0), ("lifted", 2.0), ("harmed", 0.3)):
        path = copy(shop, folder, name)
        out[name] = path, advance(path, assigned(customers, arms), {"winback": Effect(factor)})
    return customers, arms, out


def test_only_the_treatment_arm_feels_the_treatment(worlds):
    customers, arms, paths = worlds
    treated = {c for c, arm in zip(customers, arms, strict=True) if arm == "treatment"}
    columns = ["customer_id", "created_at", "total", "discount_total", "refunded_total", "status"]

    def seen(name: str, *, inside: bool) -> set[tuple[object, ...]]:
        orders = new_orders(paths[name][0])
        rows = orders[orders.customer_id.isin(treated) == inside]
        return set(rows[columns].itertuples(index=False, name=None))

    untreated = seen("calm", inside=False)
    assert untreated == seen("lifted", inside=False) == seen("harmed", inside=False)
    calm = seen("calm", inside=True)
    assert seen("lifted", inside=True) > calm
    assert seen("harmed", inside=True) < calm
    assert len(seen("lifted", inside=True)) - len(calm) == paths["lifted"][1].n_orders_by_effect > 0
    assert len(calm) - len(seen("harmed", inside=True)) == paths["harmed"][1].n_orders_prevented > 0


def test_a_treatment_ends_after_its_days(worlds):
    _, _, paths = worlds
    after = [
        new_orders(path).query("created_at >= @WINDOW_END").shape[0] for path, _ in paths.values()
    ]
    assert len(set(after)) == 1
    assert after[0] > 0


@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_the_stated_effect_is_what_treating_everybody_instead_of_nobody_does(tmp_path, factor):
    """Potential outcomes of the same people in both worlds: within four standard errors."""
    differences, stated = [], []
    for seed in range(3):
        path = tmp_path / f"shop{seed}"
        build_shop(path, seed=seed, start=START, until=UNTIL, n_customers=3000)
        twin = Path(shutil.copy(path, tmp_path / f"twin{seed}"))
        customers = customers_of(path)
        n = len(customers)
        effects = {"winback": Effect(factor)}
        result = advance(path, assigned(customers, ["treatment"] * n), effects, seed=seed)
        other = advance(twin, assigned(customers, ["no_contact"] * n), effects, seed=seed)
        assert result.true_effects == other.true_effects
        treated, untreated = totals(path, customers), totals(twin, customers)
        frame = treated - untreated
        frame["conversion"] = (treated.orders > 0).astype(float) - (untreated.orders > 0)
        truth = result.true_effects["winback"]
        baseline = [
            truth.baseline_orders_per_person,
            truth.baseline_revenue_per_person,
            truth.baseline_conversion,
        ]
        found = [untreated.orders.mean(), untreated.revenue.mean(), (untreated.orders > 0).mean()]
        assert found == pytest.approx(baseline, rel=0.15)
        differences.append(frame)
        stated.append([truth.orders_per_person, truth.revenue_per_person, truth.conversion])
    every = pd.concat(differences)
    if factor == 1.0:
        assert (every == 0).all(axis=None)
        assert np.allclose(stated, 0)
        return
    error = every.std(ddof=1) / np.sqrt(len(every))
    expected = np.mean(stated, axis=0)
    assert (np.abs(every.mean() - expected) < 4 * error).all()
    assert (expected > 8 * error).all()


def test_customers_of_one_profile_count_as_one_person(shop, tmp_path):
    customers = customers_of(shop.path)[:400]
    alone = assigned(customers, ["treatment"] * 400)
    pairs = alone.set_column(1, "profile_id", pa.array([f"home-{i // 2}" for i in range(400)]))
    single, merged = (
        advance(copy(shop, tmp_path, name), table, {"winback": Effect(2.0)}).true_effects["winback"]
        for name, table in (("a", alone), ("b", pairs))
    )
    assert (single.n_profiles, merged.n_profiles) == (400, 200)
    assert merged.revenue_per_person == pytest.approx(2 * single.revenue_per_person)
    assert single.conversion < merged.conversion < 2 * single.conversion


def test_treatments_of_several_campaigns_add_up(shop, tmp_path):
    customers = customers_of(shop.path)
    arms = ["treatment"] * len(customers)
    both = pa.concat_tables([assigned(customers, arms, "a"), assigned(customers, arms, "b")])
    results = {
        name: advance(copy(shop, tmp_path, name), table, effects)
        for name, table, effects in (
            ("a", assigned(customers, arms, "a"), {"a": Effect(1.5)}),
            ("b", assigned(customers, arms, "b"), {"b": Effect(1.3)}),
            ("ab", both, {"a": Effect(1.5), "b": Effect(1.3)}),
        )
    }
    assert results["ab"].n_orders_by_effect == sum(results[n].n_orders_by_effect for n in "ab")
    assert results["ab"].true_effects == {**results["a"].true_effects, **results["b"].true_effects}


def test_rows_change_as_a_shop_changes_them(shop, worlds):
    _, _, paths = worlds
    path, result = paths["lifted"]
    before, after = shop.table("orders"), read(path, "orders")
    assert len(after) == len(before) + result.n_orders
    assert after.duplicated().sum() == shop.summary.n_orders_exact_duplicate
    old, new = (
        frame.drop_duplicates().sort_values("updated_at").drop_duplicates("order_id", keep="last")
        for frame in (before, after)
    )
    both = old.merge(new, on="order_id", suffixes=("", "_now"))
    assert len(both) == len(old)
    assert (both.updated_at_now >= both.updated_at).all()
    refunded = both.refunded_total_now > both.refunded_total
    assert refunded.sum() == result.n_refunds_shown > 0
    assert (both.total_now == both.total).all()
    assert set(both.status[both.status_now != both.status]) <= {"paid", "shipped"}
    open_before = both.status.isin(["paid", "shipped"])
    assert open_before.any()
    assert (both.status_now[open_before] == "delivered").all()
    assert new.updated_at.max() < pd.Timestamp(LATER)


def test_customers_come_move_and_withdraw(shop, worlds):
    _, _, paths = worlds
    path, result = paths["calm"]
    before, after = shop.table("customers"), read(path, "customers")
    assert after.customer_id.nunique() - before.customer_id.nunique() == result.n_new_customers > 0
    assert after.duplicated().sum() == before.duplicated().sum()
    now = after[after.email.str.contains(".new@", regex=False, na=False)]
    assert now.customer_id.nunique() == result.n_emails_changed > 0
    consents, known = read(path, "consents"), shop.table("consents")
    news = consents[consents.changed_at >= pd.Timestamp(UNTIL)]
    assert len(consents) == len(known) + len(news)
    old = set(before.email.dropna().str.strip().str.lower())
    withdrawn = news[(news.status == "withdrawn") & news.email.isin(old)]
    assert withdrawn.email.nunique() == result.n_withdrawals > 0
    said = known[known.status == "granted"].email.str.strip().str.lower()
    assert set(withdrawn.email) <= set(said)
    added = len(read(path, "suppressions")) - len(shop.table("suppressions"))
    assert added == result.n_suppressed > 0


def test_the_same_advance_gives_the_same_tables(shop, tmp_path):
    customers = customers_of(shop.path)[:500]
    table = assigned(customers, ["treatment"] * 500)
    a, b = copy(shop, tmp_path, "a"), copy(shop, tmp_path, "b")
    for path in (a, b):
        advance(path, table, {"winback": Effect(1.8)})
    assert digests(a) == digests(b)


def test_time_passes_in_steps(shop, tmp_path):
    """A treatment goes on in the second step, and its truth is of the whole window."""
    customers = customers_of(shop.path)
    table = assigned(customers, ["treatment"] * len(customers))
    path, whole = copy(shop, tmp_path, "steps"), copy(shop, tmp_path, "whole")
    middle = UNTIL + timedelta(days=10)
    effects = {"winback": Effect(3.0)}
    first = advance_shop(
        path, seed=SEED, from_=UNTIL, until=middle, assignments=table, effects=effects
    )
    second = advance_shop(
        path,
        seed=SEED,
        from_=middle,
        until=LATER,
        assignments=table,
        effects=effects,
        treated_from=UNTIL,
    )
    at_once = advance(whole, table, effects)
    assert first.n_orders_by_effect > 0
    assert second.n_orders_by_effect > 0
    assert first.true_effects["winback"].days == 10
    known = at_once.true_effects["winback"]
    assert second.true_effects["winback"].revenue_per_person == pytest.approx(
        known.revenue_per_person
    )
    expected = at_once.n_orders_by_effect
    assert first.n_orders_by_effect + second.n_orders_by_effect == pytest.approx(
        expected, abs=5 * np.sqrt(2 * expected)
    )


@pytest.mark.parametrize(
    ("seed", "from_", "until"),
    [(SEED + 1, UNTIL, LATER), (SEED, START, LATER), (SEED, UNTIL, UNTIL)],
)
def test_a_shop_that_stands_elsewhere_is_refused(shop, tmp_path, seed, from_, until):
    path = copy(shop, tmp_path, "x")
    with pytest.raises(ValueError, match=r"stand at from_|later than"):
        advance_shop(
            path, seed=seed, from_=from_, until=until, assignments=assigned([], []), effects={}
        )
    assert digests(path) == digests(shop.path)
