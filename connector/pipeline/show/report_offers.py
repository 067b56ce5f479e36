"""The report's rows about offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from connector.lift.intervals import Interval
from connector.lift.offers import BestOffer, OfferComparison, OfferLift
from connector.lift.result import Stage
from connector.report.lift import Estimate, Rules
from connector.report.offers import OfferCell, OfferClass, OfferPair, OfferSummary


def offers(lifts: Sequence[OfferLift]) -> tuple[OfferSummary, ...]:
    """Every campaign that tries offers."""
    return tuple(
        OfferSummary(
            campaign=lift.campaign,
            epoch=lift.epoch,
            metric=lift.metric,
            unit=lift.unit,
            scale=lift.scale,
            is_running=lift.stage is Stage.RUNNING,
            classes=tuple(_class(lift, best) for best in lift.best),
        )
        for lift in lifts
    )


def _class(lift: OfferLift, best: BestOffer) -> OfferClass:
    cells: dict[str, OfferCell] = {}
    for one in lift.comparisons:
        if (one.dimension, one.name) == (best.dimension, best.name):
            cells.setdefault(one.first, OfferCell(one.first, one.n_first, one.mean_first))
            cells.setdefault(one.second, OfferCell(one.second, one.n_second, one.mean_second))
    return OfferClass(
        name=best.name,
        cells=tuple(cells.values()),
        best=best.offer,
        leader=best.leader,
        gain=_estimate(best.gain),
        lead=_estimate(best.lead),
        reason=best.reason,
        pairs=tuple(
            OfferPair(one.first, one.second, _told(one), one.p_adjusted)
            for one in lift.comparisons
            if (one.dimension, one.name) == (best.dimension, best.name)
        ),
    )


def _told(one: OfferComparison) -> Estimate | None:
    """The difference, where enough buyers are expected for anything to be said."""
    enough = (one.expected_buyers or 0.0) >= Rules().directional_from
    return _estimate(one.difference) if enough else None


def _estimate(found: Interval | None) -> Estimate | None:
    return None if found is None else Estimate(**asdict(found))
