"""What is asked of two arms, and the answer before it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from connector.errors import InsufficientDataError
from connector.lift.intervals import Interval, studentised
from connector.lift.looks import UNPLANNED, Plan
from connector.lift.moments import ArmMoments
from connector.lift.outcome import Outcome
from connector.lift.result import Alternative, CampaignLift, HealthFinding
from connector.lift.scan import Measured
from connector.lift.sequential import Critical
from connector.lift.verdict import Evidence, Unit


@dataclass(frozen=True, slots=True)
class Side:
    """One arm of a comparison.

    Attributes:
        label: Its name.
        measured: What its people did; None while nobody's outcome is known.
        n_open: People whose window has not closed.
        n_closed: People whose window has closed, their outcome known or not.
    """

    label: str
    measured: Measured | None
    n_open: int = 0
    n_closed: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of two arms.

    Attributes:
        campaign: Name of the campaign or of a foreign experiment.
        epoch: Randomisation epoch.
        outcome: What is measured.
        is_goal: Whether the campaign is judged on it.
        as_of: Instant of the analysis.
        comparison: What is compared with what, in words.
        plan: What was registered.
        health: Checks of the whole experiment.
        srm_p: p-value of the split.
        distrust: Why nothing is to be believed; empty when all is well.
        refusal: Why the comparison means nothing; empty when it means something.
        cost: Money spent on treated people; None where it is not known.
        cost_is_fixed: Whether the cost was known at assignment.
        is_corrected: Whether it is one of the many that are corrected together.
        segments_note: Why there are no classes.
    """

    campaign: str
    epoch: int
    outcome: Outcome
    is_goal: bool
    as_of: datetime
    comparison: str = ""
    plan: Plan = UNPLANNED
    health: tuple[HealthFinding, ...] = ()
    srm_p: float | None = None
    distrust: str = ""
    refusal: str = ""
    cost: float | None = None
    cost_is_fixed: bool = True
    is_corrected: bool = True
    segments_note: str = ""


@dataclass(frozen=True, slots=True)
class Other:
    """The two arms counted otherwise, for a labelled sensitivity.

    Attributes:
        name: As in :class:`connector.lift.result.Alternative`.
        label: What was done otherwise.
        treatment: Moments of the treated arm; None while nobody is left in it.
        holdout: Likewise.
        note: What a reader must know.
    """

    name: str
    label: str
    treatment: ArmMoments | None
    holdout: ArmMoments | None
    note: str = ""

    def drawn(self, at: Critical) -> Alternative:
        """The difference with an interval as wide as the decision's own, nothing adjusted."""
        try:
            if self.treatment is None or self.holdout is None:
                raise InsufficientDataError("Nobody is left.")
            found: Interval | None = at.interval(studentised(self.treatment, self.holdout))
        except InsufficientDataError:
            found = None
        return Alternative(self.name, self.label, found, self.note)


@dataclass(frozen=True, slots=True)
class Draft:
    """A comparison before it is judged.

    Attributes:
        lift: The result, its verdict still open.
        evidence: What the verdict is given on.
        unit: How it is spoken of.
        segments: The evidence of each of its classes.
        is_corrected: Whether it is one of the many that are corrected together.
    """

    lift: CampaignLift
    evidence: Evidence
    unit: Unit
    segments: tuple[Evidence, ...] = ()
    is_corrected: bool = True
