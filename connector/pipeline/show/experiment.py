"""The page of an experiment that was run elsewhere, and its numbers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from connector.lift.result import CampaignLift
from connector.pipeline.show.lift_files import write_lift
from connector.report.data import ReportData
from connector.report.html import write_html
from connector.report.lift import LiftRow

SECTIONS = ("results", "reading")
"""What of the report's page there is to say of somebody else's experiment."""


def write_experiment(
    lifts: Sequence[CampaignLift], page: Path, *, name: str, currency: str, as_of: datetime
) -> None:
    """Write the page, and JSON and Parquet beside it.

    Args:
        lifts: Every comparison.
        page: The HTML file.
        name: Of the experiment.
        currency: Of its amounts.
        as_of: Instant of the analysis, aware.
    """
    write_html(
        ReportData(
            project=name,
            currency=currency,
            timezone="UTC",
            as_of=as_of,
            generated_at=as_of,
            lifts=tuple(LiftRow.from_json(lift.to_json()) for lift in lifts),
        ),
        page,
        only=SECTIONS,
    )
    write_lift(lifts, page)
