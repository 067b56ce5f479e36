"""The comparison of groups of equal size: a sensitivity, on request, never the decision.

Where both groups are equally large, the skewness of one takes away the other's, and even the plain
interval errs alike on both sides, however heavy the baskets. The price is the information of most
treated people: intervals come out 34 to 41 % wider. So it stands beside Hall's interval as a check
that needs no correction, above all where baskets have no cap.

Who is in the smaller sample is decided by a hash of its own, from a salt and the person alone.
It is the same in every run and on every engine, has nothing to do with the bucket that gave the arm
(a threshold on *that* bucket would pick people by where their arm ends), and needs no counting
of rows in order. The sample has the holdout's size on average, not exactly.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from connector.errors import InsufficientDataError, ModelError
from connector.lift.intervals import Interval, welch_interval
from connector.lift.moments import ArmMoments

BUCKETS = 2**32
"""Values of a bucket: the first eight hex digits of an md5."""

LABEL = "sensitivity: groups of equal size"
"""What the comparison is called wherever it is shown."""


def sample_bucket(salt: str, campaign: str, epoch: int, profile_id: str) -> int:
    """The bucket that decides about the sample, 0 to 2**32 - 1.

    In a warehouse: the first eight hex digits of
    ``md5(salt || ':' || campaign || ':' || epoch || ':equal-size:' || profile_id)`` as an unsigned
    number.
    """
    text = f"{salt}:{campaign}:{epoch}:equal-size:{profile_id}"
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8], 16)


def sample_threshold(n_larger: int, n_smaller: int) -> int:
    """Buckets of the larger group below this number are in its sample.

    Args:
        n_larger: People in the larger group, normally the treated ones.
        n_smaller: People in the smaller group, which is taken whole.

    Returns:
        0 to 2**32.

    Raises:
        InsufficientDataError: A group is empty.
        ModelError: The larger group is the smaller one.
    """
    if min(n_larger, n_smaller) < 1:
        raise InsufficientDataError("A comparison of equal groups needs people in both.")
    if n_larger < n_smaller:
        raise ModelError(f"A sample of {n_smaller} cannot be drawn from {n_larger} people.")
    return round(BUCKETS * n_smaller / n_larger)


def is_sampled(bucket: int, threshold: int) -> bool:
    """Whether a person of the larger group is in its sample."""
    return bucket < threshold


@dataclass(frozen=True, slots=True)
class EqualSize:
    """The comparison with a sample of the larger group.

    Attributes:
        difference: Treatment minus holdout per person, by Welch's interval.
        n_treatment: Treated people counted.
        n_holdout: People held out counted.
        label: What it must be called.
    """

    difference: Interval
    n_treatment: int
    n_holdout: int
    label: str = LABEL


def equal_size_comparison(
    treatment: ArmMoments, holdout: ArmMoments, *, confidence: float = 0.95
) -> EqualSize:
    """Compare groups of about equal size.

    Args:
        treatment: Moments of the sample of treated people (or of all, where they are the fewer).
        holdout: Moments of those held out.
        confidence: Between 0 and 1, exclusive.

    Raises:
        InsufficientDataError: An arm has fewer than two people, or nothing varies.
        ModelError: One group is more than twice the other: this is not the comparison that the
            label promises.
    """
    if max(treatment.n, holdout.n) > 2 * min(treatment.n, holdout.n) + 10:
        raise ModelError(
            f"Groups of {treatment.n:,} and {holdout.n:,} are not of equal size.",
            hint="Pass the moments of the sample, not of the whole arm.",
        )
    found = welch_interval(treatment, holdout, confidence=confidence)
    return EqualSize(found, treatment.n, holdout.n)
