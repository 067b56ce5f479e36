"""Which offer works for whom, as the report shows it."""

from __future__ import annotations

from dataclasses import dataclass

from connector.report.lift import Estimate
from connector.report.people import SMALL_CELL


@dataclass(frozen=True, slots=True)
class OfferCell:
    """People of one offer, or of the control group, in one class.

    Attributes:
        name: The offer, or the arm.
        people: Those whose window has closed.
        mean: Outcome per person; None while there is nobody, and of a group so small that it would
            tell of somebody.
    """

    name: str
    people: int
    mean: float | None

    def __post_init__(self) -> None:
        if 0 < self.people < SMALL_CELL:
            object.__setattr__(self, "mean", None)


@dataclass(frozen=True, slots=True)
class OfferPair:
    """Two offers, or an offer and the control group, in one class.

    Attributes:
        first: An offer.
        second: Another, or the control arm.
        difference: First less second, per person, at the corrected level; None where it cannot be
            computed, or where too few buyers are expected.
        p_adjusted: Corrected for all that is compared.
    """

    first: str
    second: str
    difference: Estimate | None
    p_adjusted: float | None


@dataclass(frozen=True, slots=True)
class OfferClass:
    """One class of people.

    Attributes:
        name: A segment; empty: everybody.
        cells: Offers in order, control last.
        best: The offer that has proved best; None: none has.
        leader: The one with the best mean; None while there is nobody.
        gain: What the leader brings against control, per person, at the corrected level.
        lead: What it brings against the offer behind it.
        reason: One sentence.
        pairs: Each offer with each other and with control; none where a group is very small.
    """

    name: str
    cells: tuple[OfferCell, ...]
    best: str | None
    leader: str | None
    gain: Estimate | None
    lead: Estimate | None
    reason: str
    pairs: tuple[OfferPair, ...] = ()

    def __post_init__(self) -> None:
        if any(0 < one.people < SMALL_CELL for one in self.cells):
            object.__setattr__(self, "gain", None)
            object.__setattr__(self, "lead", None)
            object.__setattr__(self, "pairs", ())


@dataclass(frozen=True, slots=True)
class OfferSummary:
    """One campaign that tries several offers.

    Attributes:
        campaign: Its name.
        epoch: Randomisation epoch.
        metric: What is compared.
        unit: Of a difference, after it was multiplied by ``scale``.
        scale: 100 for shares.
        is_running: Whether intervals allow for being looked at again.
        classes: Everybody first.
    """

    campaign: str
    epoch: int
    metric: str
    unit: str
    scale: float
    is_running: bool
    classes: tuple[OfferClass, ...]
