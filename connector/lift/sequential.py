"""Looking before the end without being fooled by it.

Who looks at a nominal 95 % interval every week for a quarter and stops at the first one that
excludes zero is wrong in 21 % of cases, not 5 %. A design is therefore nothing but a critical value
for each look, larger than 1.96, by which an estimate's interval is widened:

* :func:`asymptotic_critical`: the asymptotic confidence sequence. Valid at every look, however
  many, and wide. It is tuned to be narrowest at the planned number of people, which is registered
  at the start and never moved: a plan that follows the data is no plan.
* :func:`obrien_fleming`: declared looks, alpha spent little by little (Lan and DeMets). Hardly
  wider than a fixed interval at the end.
* :class:`Design.HYBRID`, the default: the sequence at half of alpha while the campaign runs, the
  fixed interval at the other half on the registered end date. Together they err in at most alpha.

**Skewness.** The theory of these bounds is about a normal limit, as Welch's interval is, and a
small holdout with skewed revenue breaks it in the same way. So the critical value is applied on
Hall's transformed scale (:meth:`connector.lift.intervals.Studentised.bounds`): T' and not T must
stay within it. Without skewness this is the published bound to the last digit; with it, both sides
err alike, and a look never contradicts the final interval's way of seeing. Twelve looks
at revenue of which the first has eight buyers held out called a lift that was not there in 6.4 % of
campaigns by the symmetric bound at 5 %, and in 3.3 % by this one. For estimates that come with a
standard error alone, :func:`confidence_sequence` gives the published symmetric bound. The
verdict's thresholds on expected buyers hold at every look as they do at the end, since far out in
the tail a handful of buyers is not normal on any scale.

References:
    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), "Time-uniform central limit theory and
    asymptotic confidence sequences", Annals of Statistics 52(6), arXiv 2103.06476. Lan & DeMets
    (1983), "Discrete sequential boundaries for clinical trials", Biometrika 70(3). Armitage,
    McPherson & Rowe (1969), "Repeated significance tests on accumulating data", Journal of the
    Royal Statistical Society A 132(2), for the recursion.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

from connector.errors import InsufficientDataError, ModelError
from connector.lift.intervals import Interval, Studentised, normal_quantile

if TYPE_CHECKING:
    import numpy.typing as npt

LEAST_SPENT = 1e-15
"""Chance spent at a look below which paths that left before no longer matter to a double."""

NODES = 64
"""Points of the numerical integration between the bounds of a look come in multiples of this."""

NODES_PER_DEVIATION = 2.0
"""Points for each standard deviation of the smaller step beside a look; Gauss's rule is then exact
to about twelve digits."""


class Design(enum.StrEnum):
    """When an experiment is looked at, registered before it starts."""

    FIXED = "fixed"
    """Once, at the end."""
    HYBRID = "hybrid"
    """At any time by the sequence, and at the end by the fixed interval; half of alpha each."""
    SEQUENCE = "sequence"
    """At any time, without an end: for programmes that run on."""
    OBRIEN_FLEMING = "obrien_fleming"
    """At declared looks."""


class Phase(enum.StrEnum):
    """Where an experiment stands against its registered end date."""

    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Critical:
    """How an interval is drawn at one look.

    Attributes:
        value: Standard errors to either side, on Hall's scale.
        confidence: What the interval says of itself, between 0 and 1.
    """

    value: float
    confidence: float

    def interval(self, found: Studentised) -> Interval:
        """The interval of an estimate at this look."""
        return found.bounds(self.value, confidence=self.confidence)


def critical_at(
    design: Design,
    phase: Phase,
    *,
    n: int,
    planned: int,
    confidence: float = 0.95,
    fractions: Sequence[float] = (),
) -> Critical:
    """How the interval is drawn at a look of a design.

    Args:
        design: Registered before the start.
        phase: Whether the registered end date has been reached. A fixed design that is looked at
            earlier has no valid interval, so it raises.
        n: People counted so far, both arms.
        planned: People planned, both arms; registered at the start, never changed afterwards.
        confidence: Of the whole design, between 0 and 1.
        fractions: O'Brien-Fleming only: information so far over information planned, for this look
            and all before it; the last look of the design is 1.

    Raises:
        InsufficientDataError: A fixed design is looked at before its end.
        ModelError: Impossible numbers.
    """
    alpha = _alpha(confidence)
    if design is Design.OBRIEN_FLEMING:
        return Critical(obrien_fleming(fractions, alpha=alpha)[-1], confidence)
    if design is Design.SEQUENCE:
        return Critical(asymptotic_critical(n, planned=planned, alpha=alpha), confidence)
    if design is Design.HYBRID:
        half = alpha / 2.0
        if phase is Phase.RUNNING:
            return Critical(asymptotic_critical(n, planned=planned, alpha=half), 1.0 - half)
        return Critical(normal_quantile(1.0 - half), 1.0 - half)
    if phase is Phase.RUNNING:
        raise InsufficientDataError(
            "A fixed design is looked at once, on its end date, which has not come.",
            hint="Register the hybrid design to be able to look before.",
        )
    return Critical(normal_quantile(confidence), confidence)


def hybrid(
    found: Studentised, phase: Phase, *, n: int, planned: int, confidence: float = 0.95
) -> Interval:
    """The interval of the default design.

    Args:
        found: The difference of two means, adjusted or not, or of two ratios.
        phase: Whether the registered end date has been reached.
        n: People counted so far, both arms.
        planned: People planned, both arms; registered at the start.
        confidence: Of the whole design; the interval itself says half of alpha (0.975 for 0.95).
    """
    return critical_at(Design.HYBRID, phase, n=n, planned=planned, confidence=confidence).interval(
        found
    )


def asymptotic_critical(n: int, *, planned: int, alpha: float) -> float:
    """Standard errors to either side of the asymptotic confidence sequence, after ``n`` people.

    Args:
        n: People counted so far, both arms, at least 1.
        planned: People for which it is to be narrowest, at least 1.
        alpha: Chance that it ever leaves out the truth, at whatever look; between 0 and 1.

    Returns:
        Equation 9 of the paper (version 7 of the preprint) over the standard error.

    Raises:
        ModelError: Impossible numbers.
    """
    scaled = _check_people(n) * _rho_squared(planned, alpha)
    return math.sqrt(2.0 * (scaled + 1.0) / scaled * (0.5 * math.log1p(scaled) - math.log(alpha)))


def confidence_sequence(
    estimate: float, standard_error: float, n: int, *, planned: int, confidence: float = 0.95
) -> Interval:
    """The asymptotic confidence sequence of any estimate with a standard error.

    Args:
        estimate: Of an effect, asymptotically normal.
        standard_error: Of the estimate, positive.
        n: People counted so far, both arms.
        planned: People for which it is to be narrowest, registered at the start.
        confidence: That it holds the truth at every look, between 0 and 1.

    Returns:
        Symmetric interval in the estimate's unit.

    Raises:
        InsufficientDataError: The standard error is not positive.
        ModelError: Impossible numbers.
    """
    critical = asymptotic_critical(n, planned=planned, alpha=_alpha(confidence))
    return Studentised(estimate, standard_error, 0.0).bounds(critical, confidence=confidence)


def always_valid_p(t: float, n: int, *, planned: int, alpha: float) -> float:
    """p-value that may be looked at as often as one likes.

    Args:
        t: The studentised difference, or T' where skewness is taken out.
        n: People counted so far, both arms.
        planned: As for :func:`confidence_sequence`.
        alpha: For which the sequence was tuned. The p-value is below it exactly where that
            sequence excludes zero.

    Returns:
        0 to 1.
    """
    scaled = _check_people(n) * _rho_squared(planned, alpha)
    log_evidence = 0.5 * scaled * t * t / (scaled + 1.0) - 0.5 * math.log1p(scaled)
    return math.exp(-max(log_evidence, 0.0))


def obrien_fleming(fractions: Sequence[float], *, alpha: float) -> tuple[float, ...]:
    """Critical values at declared looks, O'Brien-Fleming's shape by Lan and DeMets' spending.

    Each side has spent ``2 (1 - Phi(z / sqrt(t)))`` of its alpha/2 by information fraction t, z the
    upper alpha/4 quantile. The number of looks need not be known in advance, only the whole
    information, and looks may be unevenly spaced.

    Args:
        fractions: Information at each look over information planned, increasing, above 0 and up to
            1; the looks so far are enough.
        alpha: Two-sided, of all looks together; between 0 and 1.

    Returns:
        One critical value for each look, in standard errors.

    Raises:
        ModelError: The fractions do not increase, or lie outside 0 to 1.
    """
    _check_alpha(alpha)
    times = [float(t) for t in fractions]
    if not times or any(b <= a for a, b in zip([0.0, *times], times, strict=False)):
        raise ModelError("The looks of a design have increasing information fractions above 0.")
    if times[-1] > 1.0:
        raise ModelError(f"No look has more information than planned: {times[-1]}.")
    z = special.ndtri(1.0 - alpha / 4.0)
    spent = [4.0 * float(special.ndtr(-z / math.sqrt(t))) for t in times]
    increments = [b - a for a, b in zip([0.0, *spent], spent, strict=False)]
    criticals: list[float] = []
    # Where Brownian motion may be, not having left yet: points, and the mass at each.
    points, mass, before = np.zeros(1), np.ones(1), 0.0
    for i, (now, increment) in enumerate(zip(times, increments, strict=True)):
        deviation = math.sqrt(now - before)
        bound = _bound(points, mass, deviation, now, increment)
        criticals.append(bound / math.sqrt(now))
        if i + 1 < len(times):
            step = math.sqrt(times[i + 1] - now)
            points, mass = _advance(points, mass, deviation, bound, step)
        before = now
    return tuple(criticals)


def _bound(
    points: npt.NDArray[np.float64],
    mass: npt.NDArray[np.float64],
    deviation: float,
    now: float,
    increment: float,
) -> float:
    """The distance from zero that is passed now, and not before, with the chance ``increment``."""
    alone = -float(special.ndtri(increment / 2.0)) * math.sqrt(now) if increment > 0 else math.inf
    if increment < LEAST_SPENT or points.size == 1:
        return min(alone, 38.0 * math.sqrt(now))

    def excess(bound: float) -> float:
        leaving = special.ndtr((points - bound) / deviation)
        leaving += special.ndtr((-points - bound) / deviation)
        return float(mass @ leaving) - increment

    # Passing now without having passed before is rarer than passing now.
    return float(optimize.brentq(excess, 0.0, alone + 1e-9, xtol=1e-14, rtol=1e-14))


def _advance(
    points: npt.NDArray[np.float64],
    mass: npt.NDArray[np.float64],
    deviation: float,
    bound: float,
    next_deviation: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where it may be after this look, on Gauss's points between the bounds."""
    reach = min(bound, float(np.abs(points).max()) + 9.0 * deviation)
    finest = min(deviation, next_deviation)
    nodes, weights = _gauss(math.ceil(NODES_PER_DEVIATION * 2.0 * reach / finest / NODES) + 1)
    fresh = reach * nodes
    apart = (fresh[:, None] - points[None, :]) / deviation
    density = np.exp(-0.5 * apart * apart) @ mass / (deviation * math.sqrt(2.0 * math.pi))
    return fresh, density * weights * reach


@functools.cache
def _gauss(blocks: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Gauss's points and weights on -1 to 1, made once for each size."""
    return np.polynomial.legendre.leggauss(blocks * NODES)


def _rho_squared(planned: int, alpha: float) -> float:
    """The mixture's variance that makes the sequence narrowest at the planned number of people."""
    _check_alpha(alpha)
    if planned < 1:
        raise ModelError(f"A design needs a planned number of people, not {planned}.")
    spread = -2.0 * math.log(alpha)
    return (spread + math.log1p(spread)) / planned


def _alpha(confidence: float) -> float:
    normal_quantile(confidence)
    return 1.0 - confidence


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ModelError(f"A chance lies between 0 and 1, not at {alpha}.")


def _check_people(n: int) -> int:
    if n < 1:
        raise ModelError(f"A sequence needs people, not {n}.")
    return n
