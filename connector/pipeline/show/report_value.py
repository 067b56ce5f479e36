"""The report's rows about what people are expected to be worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from connector.models.card import ModelCard
from connector.pipeline.understand.act import Understanding
from connector.report import lifetime as rows
from connector.report.people import SMALL_CELL
from connector.warehouse.render import quote

BINS = 24
"""Bars of the distribution, about."""

FAR = 0.975
"""Share of the people whom the bars show one by one; the last bar holds the others."""

TOP = (0.01, 0.02, 0.05, *(part / 10 for part in range(1, 11)))
"""Shares of the people, most valuable first, whose share of the value is told."""


def lifetime(found: Understanding) -> tuple[rows.ValueSummary, ...]:
    """Every lifetime value model in use."""
    return tuple(
        _lifetime(found, name, found.scores.models[name])
        for name, settings in found.context.config.models.named()
        if settings.type == "clv" and name in found.scores.models
    )


def _lifetime(found: Understanding, name: str, scores: Any) -> rows.ValueSummary:  # noqa: ANN401
    there = found.columns
    columns = {key: f"{name}.{key}" for key in ("expected", "low_80", "high_80", "tier")}
    picks = {
        key: f"s.{quote(column)}" if column in there else "NULL" for key, column in columns.items()
    }
    con = found.warehouse.connection
    known = f"coalesce({', '.join(f'CAST({one} AS VARCHAR)' for one in picks.values())})"
    counted = con.execute(
        f"SELECT {picks['tier']}, count(*) FROM scored s WHERE {known} IS NOT NULL GROUP BY 1"
    ).fetchall()
    sizes = {tier: int(n) for tier, n in counted}
    groups = grouped([tier.name for tier in scores.model.tiers if tier.name in sizes], sizes)
    tiers = con.execute(
        "WITH g AS (SELECT unnest($tiers) AS tier, unnest($into) AS into)"
        f" SELECT g.into, count(*), sum({picks['expected']}), median({picks['low_80']}),"
        f" median({picks['high_80']}) FROM scored s JOIN g ON g.tier = {picks['tier']}"
        f" WHERE {known} IS NOT NULL GROUP BY 1",
        {"tiers": list(groups), "into": list(groups.values())},
    ).fetchall() if groups else []  # fmt: skip
    found_tiers = {str(tier): (int(n), e, low, high) for tier, n, e, low, high in tiers}
    worth = _worth(found, picks["expected"])
    inner = scores.model.card
    return rows.ValueSummary(
        model=name,
        what=scores.model.value,
        horizon_days=float(scores.model.horizon.days),
        people=sum(sizes.values()),
        expected=float(worth.sum()) if worth.size else None,
        tiers=tuple(
            rows.TierRow(into, *found_tiers[into]) for into in dict.fromkeys(groups.values())
        ),
        trials=tuple(sorted(_trials(scores.card), key=lambda one: (one.is_rule, one.rmse))),
        n_windows=len(inner.trials[0].windows) if inner.trials else 0,
        bins=tuple(bins(worth)),
        top=tuple(top_shares(worth)),
        rule=scores.card.rule,
    )


def grouped(order: list[str], sizes: Mapping[str, int]) -> dict[str, str]:
    """Tier -> the group that it is told in: a tier of few people goes with the next.

    Args:
        order: Tiers, best first.
        sizes: Tier -> people.
    """
    groups: list[list[str]] = []
    for tier in order:
        if groups and sum(sizes[one] for one in groups[-1]) < SMALL_CELL:
            groups[-1].append(tier)
        else:
            groups.append([tier])
    if len(groups) > 1 and sum(sizes[one] for one in groups[-1]) < SMALL_CELL:
        last = groups.pop()
        groups[-1] += last
    return {tier: " and ".join(group) for group in groups for tier in group}


def _worth(found: Understanding, expected: str) -> npt.NDArray[np.float64]:
    """Everybody's expected value, the largest first."""
    columns = found.warehouse.connection.execute(
        f"SELECT CAST({expected} AS DOUBLE) AS worth FROM scored s WHERE {expected} IS NOT NULL"
    ).fetchnumpy()
    return np.sort(np.asarray(columns["worth"], dtype=np.float64))[::-1]


def bins(worth: npt.NDArray[np.float64]) -> Iterator[rows.ValueBin]:
    """How many people are worth what: ranges of one round width, and what lies beyond them.

    Args:
        worth: Expected values, currency.
    """
    if worth.size < SMALL_CELL:
        return
    low, far = float(min(worth.min(), 0.0)), float(np.quantile(worth, FAR))
    step = _round_step((far - low) / BINS)
    if step <= 0:
        return
    start = step * np.floor(low / step)
    edges = start + step * np.arange(int(np.ceil((far - start) / step)) + 1)
    people = np.histogram(worth[worth < edges[-1]], edges)[0]
    for i, n in enumerate(people.tolist()):
        yield rows.ValueBin(float(edges[i]), float(edges[i + 1]), n)
    beyond = int((worth >= edges[-1]).sum())
    if beyond:
        yield rows.ValueBin(float(edges[-1]), None, beyond)


def _round_step(width: float) -> float:
    """The nearest width of 1, 2, 2.5 or 5 times a power of ten that is no smaller."""
    if width <= 0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(power * m for m in (1.0, 2.0, 2.5, 5.0, 10.0) if power * m >= width * 0.999))


def top_shares(worth: npt.NDArray[np.float64]) -> Iterator[rows.TopShare]:
    """What the most valuable people hold together; steps of a few people are passed over.

    Args:
        worth: Expected values, the largest first; none below 0 together.
    """
    total = float(worth.sum())
    if total <= 0 or worth.size < SMALL_CELL:
        return
    running, before = np.cumsum(worth), 0
    for share in TOP:
        n = round(share * worth.size)
        if n - before >= SMALL_CELL:
            yield rows.TopShare(n / worth.size, float(running[n - 1]) / total)
            before = n


def _trials(card: ModelCard) -> Iterator[rows.TrialRow]:
    measured = [
        *((name, found, False) for name, found in card.candidates.items()),
        *((name, found, True) for name, found in card.baselines.items()),
    ]
    for name, found, is_rule in measured:
        yield rows.TrialRow(
            name=name,
            is_rule=is_rule,
            is_chosen=name == card.algorithm,
            mae=found["mae"],
            rmse=found["rmse"],
            bias=found.get("total_error"),
            correlation=found["correlation"],
        )
