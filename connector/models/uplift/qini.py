"""How well a score ranks people by what treatment does to them: the Qini curve and coefficient.

Nobody's own effect is ever seen, so a score is judged by groups: of the people that it ranks
highest, those who happened to be treated are compared with those who happened not to be. Going down
the ranking, the curve adds up what treatment brought among the people so far::

    Q(k) = Y_t(k) - Y_c(k) N_t(k) / N_c(k)

with the sums of outcomes Y and the numbers of people N of both arms among the first k. The
coefficient is the area between the curve and the straight line from 0 to its end, which is what a
ranking by chance gives. Here the curve is divided by the treated people, and the area taken over
the share of people, so it is in the outcome's unit for one person and comparable between samples.

People with equal scores come at once: the curve is drawn from tie to tie, so neither a constant
score (0 exactly) nor the order of rows moves it. Where the first ties hold one arm only, there is
nothing to compare yet, and the curve starts with the first tie where there is.

References:
    Radcliffe (2007), "Using control groups to target on predicted lift: building and assessing
    uplift models", Direct Marketing Analytics Journal. The curve without weights is that of
    scikit-uplift's ``qini_curve``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from connector.models.propensity.metrics import Floats
from connector.models.uplift.trials import Codes


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """People in the order of a score, ready to be counted any number of times.

    Attributes:
        order: Rows, highest score first.
        ends: Position in it of the last row of each tie.
        outcome: Of the rows, in that order; likewise ``treated`` (1 or 0) and ``weight``.
    """

    order: Codes
    ends: Codes
    outcome: Floats
    treated: Floats
    weight: Floats

    @classmethod
    def of(cls, score: Floats, outcome: Floats, treated: Floats, weight: Floats) -> Ranking:
        """Rank the rows; a larger score comes first.

        Args:
            score: One finite number a row.
            outcome: What became of each.
            treated: 1 or 0.
            weight: As of :class:`connector.models.uplift.trials.Rows`.
        """
        order = np.argsort(-score, kind="stable").astype(np.int64)
        ranked = score[order]
        ends = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1).astype(np.int64)
        return cls(order, ends, outcome[order], treated[order], weight[order])

    def curve(self, times: Floats | None = None) -> tuple[Floats, Floats]:
        """The curve, one point a tie, with (0, 0) in front.

        Args:
            times: How often each row counts, in the rows' own order; None: once.

        Returns:
            Share of the people so far, and what treatment brought among them, for one of all
            treated people.
        """
        counts = np.ones(self.order.size) if times is None else times[self.order]
        in_treatment = counts * self.weight * self.treated
        in_control = counts * self.weight * (1 - self.treated)
        n_t, n_c = (np.cumsum(one)[self.ends] for one in (in_treatment, in_control))
        y_t, y_c = (np.cumsum(one * self.outcome)[self.ends] for one in (in_treatment, in_control))
        share = np.cumsum(counts)[self.ends]
        both = (n_t > 0) & (n_c > 0)
        gain = y_t[both] - y_c[both] * n_t[both] / n_c[both]
        if not both.any():
            return np.array([0.0, 1.0]), np.zeros(2)
        return (
            np.concatenate([[0.0], share[both] / share[-1]]),
            np.concatenate([[0.0], gain / n_t[-1]]),
        )

    def coefficient(self, times: Floats | None = None) -> float:
        """The Qini coefficient, outcome per person; 0 for a ranking by chance.

        Args:
            times: As of :meth:`curve`.
        """
        share, gain = self.curve(times)
        if share.size == 2:
            return 0.0  # one tie: the curve is the straight line itself
        area = float(np.sum(np.diff(share) * (gain[1:] + gain[:-1]) / 2))
        return area - float(gain[-1]) / 2


def qini(score: Floats, outcome: Floats, treated: Floats, weight: Floats | None = None) -> float:
    """The Qini coefficient of a score.

    Args:
        score: Larger where treatment is expected to bring more; finite.
        outcome: What became of each row.
        treated: 1 or 0.
        weight: As of :class:`connector.models.uplift.trials.Rows`; None: all alike.
    """
    weight = np.ones(score.size) if weight is None else weight
    return Ranking.of(score, outcome, treated, weight).coefficient()


def effect(outcome: Floats, treated: Floats, weight: Floats, times: Floats | None = None) -> float:
    """Mean outcome of the treated less that of the others; not a number without both.

    Args:
        outcome: One number a row.
        treated: 1 or 0.
        weight: As of :class:`connector.models.uplift.trials.Rows`.
        times: How often each row counts; None: once.
    """
    counts = weight if times is None else weight * times
    in_treatment, in_control = counts * treated, counts * (1 - treated)
    if not in_treatment.any() or not in_control.any():
        return float("nan")
    return float(
        (in_treatment @ outcome) / in_treatment.sum() - (in_control @ outcome) / in_control.sum()
    )
