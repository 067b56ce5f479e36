"""Moments of two outcomes of the same people: what adjustment and ratios are computed from.

Two columns that belong together (an outcome and what the same person did before; the money and the
orders of an average order value) become eleven numbers per arm. From these the moments of any
weighted sum of the two follow exactly, the third central moment included, so an adjusted outcome or
a linearised ratio is once more a plain :class:`ArmMoments`, and every interval, Hall's above all,
takes it as it takes revenue. Without the mixed third moments only the normal interval would be left
for them, with the false lifts that it gives on skewed revenue.

References:
    Pébay (2008), "Formulas for robust, one-pass parallel computation of covariances and
    arbitrary-order statistical moments", Sandia report SAND2008-6212.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from connector.errors import InsufficientDataError, ModelError
from connector.lift.moments import ArmMoments

if TYPE_CHECKING:
    import numpy.typing as npt

SLACK = 1e-6
"""How far rounding may carry a covariance beyond what the two variances allow, as a share."""


@dataclass(frozen=True, slots=True)
class JointMoments:
    """Two values per person in one arm, everybody assigned counted, zeros included.

    Attributes:
        y: Moments of the outcome, or of a ratio's numerator.
        x: Moments of the second value of the same people: a covariate from before the assignment,
            or a ratio's denominator.
        covariance: Sample covariance (divided by n - 1); not a number when ``n`` is 1.
        third_yyx: Mean of (y - its mean)^2 (x - its mean).
        third_yxx: Mean of (y - its mean) (x - its mean)^2.
    """

    y: ArmMoments
    x: ArmMoments
    covariance: float
    third_yyx: float
    third_yxx: float

    def __post_init__(self) -> None:
        """Refuse moments that no data can have.

        Raises:
            ModelError: The two are not of the same people, or a moment is impossible.
        """
        if self.y.n != self.x.n:
            raise ModelError(
                f"Joint moments are of the same people, not of {self.y.n} and {self.x.n}.",
                hint="Leave a person out of both values or out of neither.",
            )
        if not all(map(math.isfinite, (self.third_yyx, self.third_yxx))):
            raise ModelError(
                "The moments of an arm are not finite numbers.",
                hint="Look for NaN or infinite values in the metric's expressions.",
            )
        if self.y.n > 1 and not (
            self.covariance**2 <= self.y.variance * self.x.variance * (1.0 + SLACK)
        ):
            raise ModelError("The joint moments of an arm contradict each other.")

    @property
    def n(self) -> int:
        """People."""
        return self.y.n

    @property
    def correlation(self) -> float:
        """Pearson's correlation, -1 to 1; 0 where one of the two does not vary."""
        spread = self.y.variance * self.x.variance if self.n > 1 else 0.0
        return self.covariance / math.sqrt(spread) if spread > 0 else 0.0

    @classmethod
    def from_values(cls, y: npt.ArrayLike, x: npt.ArrayLike) -> JointMoments:
        """Moments of two values per person.

        Args:
            y: One-dimensional, at least one value, all finite.
            x: Likewise, the same people in the same order.

        Raises:
            InsufficientDataError: There are no values.
            ModelError: The lengths differ, or a value is not a finite number.
        """
        first = np.asarray(y, dtype=np.float64).ravel()
        second = np.asarray(x, dtype=np.float64).ravel()
        if first.size != second.size:
            raise ModelError(
                f"Joint moments are of the same people, not of {first.size} and {second.size}."
            )
        of_y, of_x = ArmMoments.from_values(first), ArmMoments.from_values(second)
        u, v = first - of_y.mean, second - of_x.mean
        return cls.from_centred(
            n=int(first.size),
            cy=of_y.mean,
            cx=of_x.mean,
            sy=float(u.sum()),
            sx=float(v.sum()),
            syy=float((u * u).sum()),
            sxx=float((v * v).sum()),
            sxy=float((u * v).sum()),
            syyy=float((u * u * u).sum()),
            syyx=float((u * u * v).sum()),
            syxx=float((u * v * v).sum()),
            sxxx=float((v * v * v).sum()),
            y_nonzero=of_y.n_nonzero,
            x_nonzero=of_x.n_nonzero,
            y_total=of_y.total,
            x_total=of_x.total,
        )

    @classmethod
    def from_centred(
        cls,
        *,
        n: int,
        cy: float,
        cx: float,
        sy: float,
        sx: float,
        syy: float,
        sxx: float,
        sxy: float,
        syyy: float,
        syyx: float,
        syxx: float,
        sxxx: float,
        y_nonzero: int,
        x_nonzero: int,
        y_total: float,
        x_total: float,
    ) -> JointMoments:
        """Moments from sums of products of the distances to numbers close to the two means.

        Args:
            n: People.
            cy: A number close to the mean of y, seen from y's spread.
            cx: Likewise for x.
            sy: Sum of (y - cy).
            sx: Sum of (x - cx).
            syy: Sum of (y - cy)^2.
            sxx: Sum of (x - cx)^2.
            sxy: Sum of (y - cy) (x - cx).
            syyy: Sum of (y - cy)^3.
            syyx: Sum of (y - cy)^2 (x - cx).
            syxx: Sum of (y - cy) (x - cx)^2.
            sxxx: Sum of (x - cx)^3.
            y_nonzero: People whose y is not zero.
            x_nonzero: People whose x is not zero.
            y_total: Sum of y.
            x_total: Sum of x.

        Raises:
            InsufficientDataError: Nobody is in the arm.
        """
        y = ArmMoments.from_centred(
            n=n, centre=cy, s1=sy, s2=syy, s3=syyy, n_nonzero=y_nonzero, total=y_total
        )
        x = ArmMoments.from_centred(
            n=n, centre=cx, s1=sx, s2=sxx, s3=sxxx, n_nonzero=x_nonzero, total=x_total
        )
        a, b = sy / n, sx / n
        return cls._of(
            y,
            x,
            sxy - n * a * b,
            syyx - b * syy - 2.0 * a * sxy + 2.0 * n * a * a * b,
            syxx - a * sxx - 2.0 * b * sxy + 2.0 * n * a * b * b,
        )

    @classmethod
    def _of(
        cls, y: ArmMoments, x: ArmMoments, m_yx: float, m_yyx: float, m_yxx: float
    ) -> JointMoments:
        """From sums of products of the distances to the means themselves."""
        n = y.n
        if n == 1:
            return cls(y, x, math.nan, 0.0, 0.0)
        if y.variance == 0 or x.variance == 0:
            # What is left between something and a constant is rounding.
            m_yx = m_yyx = m_yxx = 0.0
        most = math.sqrt(y.variance * x.variance)
        covariance = min(max(m_yx / (n - 1), -most), most)
        return cls(y, x, covariance, m_yyx / n, m_yxx / n)

    def merge(self, other: JointMoments) -> JointMoments:
        """Moments of both groups of people together; the groups must not overlap."""
        n = self.n + other.n
        dy, dx = other.y.mean - self.y.mean, other.x.mean - self.x.mean
        m_yx = m_yyx = m_yxx = 0.0
        for part, weight in ((self, -other.n / n), (other, self.n / n)):
            # How far the part's means lie from the common ones.
            p, q = weight * dy, weight * dx
            m_yy, m_xx, own = _about_mean(part.y), _about_mean(part.x), part._m_yx
            m_yx += own + part.n * p * q
            m_yyx += part.third_yyx * part.n + q * m_yy + 2.0 * p * own + part.n * p * p * q
            m_yxx += part.third_yxx * part.n + p * m_xx + 2.0 * q * own + part.n * p * q * q
        return self._of(self.y.merge(other.y), self.x.merge(other.x), m_yx, m_yyx, m_yxx)

    def combined(self, a: float, b: float) -> ArmMoments:
        """Moments of ``a * y + b * x`` per person, exactly.

        ``n_nonzero`` and ``total`` stay those of y: they count buyers and sum money, which the
        thresholds of a verdict and the report speak of. An adjusted outcome is not zero for nearly
        everybody, so counting *its* non-zero values would let a handful of buyers pass for
        thousands.

        Args:
            a: Weight of y.
            b: Weight of x.

        Raises:
            ModelError: A weight is not a finite number.
        """
        y, x = self.y, self.x
        if self.n == 1:
            variance = math.nan
        else:
            parts = (a * a * y.variance, 2.0 * a * b * self.covariance, b * b * x.variance)
            variance = math.fsum(parts)
            if variance <= 8.0 * np.finfo(np.float64).eps * (parts[0] + parts[2]):
                # The two cancel: what is left is rounding and must not pass for a spread.
                return ArmMoments(self.n, a * y.mean + b * x.mean, 0.0, 0.0, y.n_nonzero, y.total)
        third = math.fsum(
            (
                a**3 * y.third_central,
                3.0 * a * a * b * self.third_yyx,
                3.0 * a * b * b * self.third_yxx,
                b**3 * x.third_central,
            )
        )
        return ArmMoments(self.n, a * y.mean + b * x.mean, variance, third, y.n_nonzero, y.total)

    @property
    def _m_yx(self) -> float:
        """Sum of the products of the distances from the means."""
        return self.covariance * (self.n - 1) if self.n > 1 else 0.0


def merge_all_joint(parts: Iterable[JointMoments]) -> JointMoments:
    """Moments of all parts together.

    Raises:
        InsufficientDataError: There are no parts.
    """
    pieces = list(parts)
    if not pieces:
        raise InsufficientDataError("There are no moments to merge.")
    return reduce(JointMoments.merge, pieces)


def _about_mean(moments: ArmMoments) -> float:
    """Sum of squared distances from the mean."""
    return moments.variance * (moments.n - 1) if moments.n > 1 else 0.0
