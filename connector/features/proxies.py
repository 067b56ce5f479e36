"""Whether a segment or a score stands in for an attribute that must not decide anything.

A model that never saw a person's origin may still have learned it from postcodes and opening hours.
So what comes out is compared with the attributes that were kept out:

==================  =====================  ==========================================  =========
outcome             attribute              statistic                                   warns from
==================  =====================  ==========================================  =========
segment, label      category               Cramér's V of the table                     0.3
segment, label      number (an age)        AUC of telling a label from the rest        0.7
score               category               AUC of telling a category from the rest     0.7
score               number                 Spearman's rank correlation                 0.5
==================  =====================  ==========================================  =========

An AUC counts in both directions: 0.2 tells as much as 0.8. Each statistic must also be too large
for chance (p below 0.001), so that a small shop is not warned about noise. It is a warning and no
verdict: an association may have a reason that people accept, and only they can say.

References:
    Cramér (1946), Mathematical Methods of Statistics, ch. 21; Hanley & McNeil (1982), Radiology
    143(1) for the AUC as a Mann-Whitney statistic.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from connector.domain import Finding, Level

CHANCE = 0.001
"""A statistic that chance would exceed more often is not worth a warning."""
MAX_CATEGORIES = 30
"""Of an attribute with more values the commonest are kept; the rest are one."""
MIN_PEOPLE = 50
"""Fewer people with a value say nothing."""
REST = "(all others)"


class Statistic(enum.StrEnum):
    """How an association is measured."""

    CRAMERS_V = "Cramér's V"
    AUC = "AUC"
    SPEARMAN = "Spearman's rank correlation"


THRESHOLDS: Mapping[Statistic, float] = {
    Statistic.CRAMERS_V: 0.3,
    Statistic.AUC: 0.7,
    Statistic.SPEARMAN: 0.5,
}
"""From which value on a warning is given; an AUC counts from one half in either direction."""


@dataclass(frozen=True, slots=True)
class Association:
    """How much an outcome says about an attribute.

    Attributes:
        outcome: Segment, label or score.
        attribute: The attribute.
        statistic: How it is measured.
        value: Its value: 0 to 1 for Cramér's V, at least 0.5 for an AUC, -1 to 1 for Spearman's.
        p: Probability of at least so much by chance alone.
        n: People with both.
        at: The label or category that it is strongest for; empty where there is none.
    """

    outcome: str
    attribute: str
    statistic: Statistic
    value: float
    p: float
    n: int
    at: str = ""

    @property
    def is_proxy(self) -> bool:
        """Whether the outcome stands in for the attribute."""
        return abs(self.value) >= THRESHOLDS[self.statistic] and self.p < CHANCE

    @property
    def finding(self) -> Finding:
        """What a person is told."""
        at = f" (most for {self.at})" if self.at else ""
        message = (
            f"{self.outcome} stands in for {self.attribute}{at}: {self.statistic}"
            f" {self.value:.2f} among {self.n:,} people"
        )
        if not self.is_proxy:
            return Finding(Level.OK, self.outcome, message.replace("stands in for", "and"))
        hint = (
            "Look at what drives it before using it; take the features out that say the same,"
            " or state why it is meant."
        )
        return Finding(Level.WARNING, self.outcome, message, hint)


def associations(outcomes: pd.DataFrame, attributes: pd.DataFrame) -> list[Association]:
    """Every outcome against every attribute, where there are enough people to say.

    Args:
        outcomes: One column an outcome, one row a person: booleans (a member of a segment or not),
            texts (a label) or numbers (a score).
        attributes: One column an attribute, on the same index.

    Returns:
        One entry for each pair with at least ``MIN_PEOPLE`` people and two different values each.
    """
    found = []
    for outcome in outcomes.columns:
        for attribute in attributes.columns:
            pair = pd.DataFrame({"o": outcomes[outcome], "a": attributes[attribute]}).dropna()
            if len(pair) < MIN_PEOPLE or pair["o"].nunique() < 2 or pair["a"].nunique() < 2:
                continue
            found.append(_associate(str(outcome), str(attribute), pair["o"], pair["a"]))
    return [one for one in found if one is not None]


def proxies(outcomes: pd.DataFrame, attributes: pd.DataFrame) -> list[Finding]:
    """Warnings for the outcomes that stand in for an attribute, the strongest first."""
    found = [one for one in associations(outcomes, attributes) if one.is_proxy]
    return [one.finding for one in sorted(found, key=lambda one: -abs(one.value))]


def _associate(
    outcome: str, attribute: str, o: pd.Series[Any], a: pd.Series[Any]
) -> Association | None:
    score, number = _is_number(o), _is_number(a)
    if score and number:
        result = stats.spearmanr(o.astype(float), a.astype(float))
        return Association(
            outcome,
            attribute,
            Statistic.SPEARMAN,
            float(result.statistic),
            float(result.pvalue),
            len(o),
        )
    if not score and not number:
        return _table(outcome, attribute, o, a)
    values, labels = (o, a) if score else (a, o)
    return _auc(outcome, attribute, values.astype(float), _coarse(labels))


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _coarse(labels: pd.Series[Any]) -> pd.Series[str]:
    """Labels as text, rare ones as one."""
    text = labels.astype(str)
    common = text.value_counts().index[:MAX_CATEGORIES]
    return text.where(text.isin(common), REST)


def _table(
    outcome: str, attribute: str, o: pd.Series[Any], a: pd.Series[Any]
) -> Association | None:
    """Cramér's V: the square root of chi-squared over n times the smaller dimension less one."""
    table = pd.crosstab(_coarse(o), _coarse(a)).to_numpy()
    chi2, p, *_ = stats.chi2_contingency(table, correction=False)
    n = int(table.sum())
    value = float(np.sqrt(chi2 / n / (min(table.shape) - 1)))
    return Association(outcome, attribute, Statistic.CRAMERS_V, value, float(p), n)


def _auc(
    outcome: str, attribute: str, values: pd.Series[float], labels: pd.Series[str]
) -> Association | None:
    """The largest AUC of telling one label from all others by the value."""
    ranks = stats.rankdata(values)
    best: tuple[float, str] | None = None
    counts = labels.value_counts()
    # With two labels, one against the other says it all.
    tried = counts.index[:1] if len(counts) == 2 else counts.index
    for label in tried:
        inside = (labels == label).to_numpy()
        n1, n0 = int(inside.sum()), int((~inside).sum())
        if min(n1, n0) < MIN_PEOPLE // 2:
            continue
        auc = (ranks[inside].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)
        value = float(max(auc, 1 - auc))
        if best is None or value > best[0]:
            best = value, str(label)
    if best is None:
        return None
    # Only the best is told, so only it is tested: a test sorts the values once more.
    inside = (labels == best[1]).to_numpy()
    p = stats.mannwhitneyu(
        values[inside], values[~inside], alternative="two-sided", method="asymptotic"
    ).pvalue
    return Association(outcome, attribute, Statistic.AUC, best[0], float(p), len(values), best[1])
