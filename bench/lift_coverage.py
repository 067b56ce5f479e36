"""How honest the intervals are: misses on each side, by simulation; prints lift_coverage.md.

Run from the repository, about three and a half minutes on one core::

    python -m bench.lift_coverage > bench/lift_coverage.md
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from connector.lift.adjustment import cuped, post_stratified, variance_reduction
from connector.lift.intervals import (
    Interval,
    agresti_caffo_interval,
    hall_interval,
    log_ratio_interval,
    welch_interval,
)
from connector.lift.moments import ArmMoments
from connector.lift.ratios import RatioMethod, ratio_difference
from tests.lift.past import PastShop, orders, strata, whole
from tests.lift.simulation import Shop, arms, coverage, share_of

RUNS = 20_000
SEED = 20_260_301

Method = Callable[[ArmMoments, ArmMoments], Interval]


@dataclass(frozen=True)
class Setting:
    """One row of a table."""

    people: int
    holdout: float
    treated: Shop
    held: Shop

    @property
    def n_holdout(self) -> int:
        return round(self.people * self.holdout)


def row(setting: Setting) -> str:
    """Misses of every method, in per cent: above the truth / below it."""
    rng = np.random.default_rng(SEED)
    treated = list(arms(rng, setting.treated, setting.people - setting.n_holdout, RUNS))
    held = list(arms(rng, setting.held, setting.n_holdout, RUNS))
    gain = setting.treated.mean - setting.held.mean
    ratio = setting.treated.mean / setting.held.mean - 1.0
    cells = [
        cell(hall_interval, treated, held, gain),
        cell(welch_interval, treated, held, gain),
        cell(log_ratio_interval, treated, held, ratio),
        cell(
            agresti_caffo_interval,
            [share_of(arm) for arm in treated],
            [share_of(arm) for arm in held],
            setting.treated.rate - setting.held.rate,
        ),
    ]
    buyers = setting.n_holdout * setting.held.rate
    return (
        f"| {setting.people:,} | {setting.holdout:.0%} | {buyers:.0f} | {setting.held.sigma:g} | "
        f"{ratio:+.0%} | {' | '.join(cells)} |"
    )


def cell(method: Method, treated: list[ArmMoments], held: list[ArmMoments], truth: float) -> str:
    """One method's misses; runs where it has no answer are counted after a plus sign."""
    intervals, silent = [], 0
    for t, h in zip(treated, held, strict=True):
        if method is log_ratio_interval and h.mean <= 0:
            silent += 1
        else:
            intervals.append(method(t, h))
    found = coverage(intervals, truth)
    text = f"{100 * found.false_lift:.1f} / {100 * found.false_harm:.1f}"
    return f"{text} (+{silent} silent)" if silent else text


def adjusted_row(shop: PastShop, n_holdout: int) -> str:
    """Misses of what uses the past, and of order value, on 95,000 people treated."""
    rng = np.random.default_rng(SEED)
    pairs = list(
        zip(strata(rng, shop, 95_000, RUNS), strata(rng, shop, n_holdout, RUNS), strict=True)
    )
    joint = [(whole(t), whole(c)) for t, c in pairs]
    baskets = list(
        zip(orders(rng, shop, 95_000, RUNS), orders(rng, shop, n_holdout, RUNS), strict=True)
    )
    explained = float(np.mean([variance_reduction(*pair) for pair in joint[:2_000]]))
    cells = [
        misses([hall_interval(t.y, c.y) for t, c in joint]),
        misses([hall_interval(*cuped(*pair)) for pair in joint]),
        misses([welch_interval(*cuped(*pair)) for pair in joint]),
        misses([post_stratified([(t.y, c.y) for t, c in zip(*p, strict=True)]) for p in pairs]),
        misses([ratio_difference(*pair) for pair in baskets]),
        misses([ratio_difference(*pair, method=RatioMethod.NORMAL) for pair in baskets]),
    ]
    return f"| {n_holdout * shop.rate:.0f} | {explained:.0%} | {' | '.join(cells)} |"


def misses(intervals: list[Interval]) -> str:
    """Above and below no effect, in per cent."""
    found = coverage(intervals, 0.0)
    return f"{100 * found.false_lift:.1f} / {100 * found.false_harm:.1f}"


ADJUSTED_HEAD = (
    "| buyers in holdout | variance explained by the past | plain: Hall | CUPED: Hall | "
    "CUPED: Welch | strata: Hall | order value: Hall | order value: normal |\n"
    "|---|---|---|---|---|---|---|---|"
)

HEAD = (
    "| people | holdout | buyers in holdout | sigma | true lift | revenue: Hall | revenue: Welch | "
    "revenue: log-ratio | conversion: Agresti-Caffo |\n|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Print the document."""
    heavier = [Shop(sigma=sigma) for sigma in (0.9, 1.0, 1.3)]
    settings = [
        Setting(people, share, shop, shop)
        for people, share in ((20_000, 0.05), (20_000, 0.1), (100_000, 0.05), (500_000, 0.05))
        for shop in heavier
    ]
    uncapped = [
        Setting(people, 0.05, shop, shop)
        for people in (100_000, 500_000)
        for shop in (Shop(sigma=s, cap=1e12) for s in (0.9, 1.0, 1.3))
    ]
    effects = [
        Setting(100_000, 0.05, Shop(rate=0.009 * lift), Shop()) for lift in (0.8, 1.2, 1.5, 2.0)
    ]
    print(
        "# How honest the intervals are\n\n"
        f"{RUNS:,} simulated campaigns a row, seed {SEED}; 0.9 % of people buy, baskets\n"
        "lognormal(4.35, sigma). Cells: how often, in per cent, the whole interval lies above the\n"
        "truth / below it; a 95 % interval should say 2.5 / 2.5 (standard error 0.11). Above the\n"
        "truth means a lift that is not there, or is smaller than said.\n\n"
        "Printed by `python -m bench.lift_coverage`. The gate is `tests/lift/test_coverage.py`.\n\n"
        "## No effect, baskets capped at 499\n"
    )
    print("\n".join([HEAD, *map(row, settings)]))
    print("\n## No effect, baskets not capped\n")
    print("\n".join([HEAD, *map(row, uncapped)]))
    print("\n## A known effect on how many buy, baskets capped at 499\n")
    print("\n".join([HEAD, *map(row, effects)]))
    print_adjusted()


def print_adjusted() -> None:
    """The last table."""
    loose, loyal = PastShop(regulars=0.02, often=0.3), PastShop()
    print(
        "\n## No effect, adjusted for the past, and order value; baskets capped at 499\n\n"
        "95,000 people treated. The gate is `tests/lift/test_coverage_adjusted.py`.\n"
    )
    cases = [(shop, n) for shop in (loose, loyal) for n in (5_000, 10_000, 25_000)]
    print("\n".join([ADJUSTED_HEAD, *(adjusted_row(*case) for case in cases)]))


if __name__ == "__main__":
    main()
