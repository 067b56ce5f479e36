"""Everything that a report shows, and nothing else: its only input, as frozen values.

The renderers read no database, no clock and no configuration, so that a report can be made again
from its JSON, on another machine, years later. There is no personal data in here by construction:
no field holds an address or a profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector.errors import LiftlineError
from connector.report.codec import decode, encode_fields
from connector.report.demand import DemandSummary
from connector.report.lifetime import ValueSummary
from connector.report.lift import GlobalHoldout, LiftRow, Rules
from connector.report.migration import MigrationSummary
from connector.report.models import (
    ModelRow,
    PairSummary,
    PersonaSummary,
    SegmentTrend,
    TopicSummary,
)
from connector.report.offers import OfferSummary
from connector.report.people import RfmSummary, SegmentRow, money_of_group
from connector.report.sent import (
    CampaignRow,
    DeliveryRow,
    GuardRow,
    IssueRow,
    RemarkRow,
    WaitingPlan,
)

UNREADABLE = "unreadable_"
"""What the reason of a row begins with that holds a value which could not be read."""

FORMAT = 1
"""Version of the JSON's shape."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as the history lists it.

    Attributes:
        run_id: Its name.
        status: ``succeeded``, ``partial``, ``held``, ``failed`` or ``running``.
        started_at: Aware.
        finished_at: Aware; None while it runs, or after it was killed.
        as_of: The instant that its data was of, aware.
        n_delivered: Changes that vendors confirmed.
        n_refused: Changes that vendors rejected, suppressed or did not find.
    """

    run_id: str
    status: str
    started_at: datetime
    finished_at: datetime | None = None
    as_of: datetime | None = None
    n_delivered: int = 0
    n_refused: int = 0


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One line of the data's health.

    Attributes:
        level: ``ok``, ``note``, ``warning`` or ``error``.
        subject: What was looked at.
        message: What was found.
        hint: What to do; may be empty.
    """

    level: str
    subject: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class TableRow:
    """What became of every row of one table in one step.

    Attributes:
        table: Its name.
        n_source: Rows that went in.
        n_kept: Rows that came out.
        left_out: Reason -> rows that did not come out (``exact_duplicates``, ``filtered``,
            quarantine rules, ...).
        emptied: Reason -> rows that were kept with a field emptied; they are among ``n_kept``.
    """

    table: str
    n_source: int
    n_kept: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    emptied: Mapping[str, int] = field(default_factory=dict)

    @property
    def unreadable(self) -> Mapping[str, int]:
        """Of the rows left out, those with a value that could not be read."""
        return {code: n for code, n in self.left_out.items() if n and code.startswith(UNREADABLE)}


@dataclass(frozen=True, slots=True)
class QualitySummary:
    """The data's health.

    Attributes:
        findings: Everything that was checked; ``ok`` lines are counted, not listed.
        tables: In the order of the flow.
    """

    findings: tuple[FindingRow, ...] = ()
    tables: tuple[TableRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportData:
    """One report.

    Attributes:
        project: The project's name.
        currency: ISO code of every amount.
        timezone: IANA name; every time is shown in it.
        as_of: The instant that the data is of, aware.
        generated_at: When the report was made, aware.
        run: The run that it is about; None before the first one.
        n_profiles: Everybody known.
        revenue_365d: Net revenue of everybody in the last 365 days; None where it is not known.
        segments: In the configuration's order.
        rfm: The grid; None without such a model.
        campaigns: In the configuration's order.
        deliveries: One a destination; empty when nothing was sent yet.
        issues: Grouped by cause.
        remarks: Destinations that could not be read, or are no longer configured.
        guards: Those that tripped.
        quality: The data's health.
        lifts: Every campaign, epoch, metric and comparison.
        global_holdout: None without one.
        rules: The rules behind the verdicts.
        waiting: The newest plan, where it has not been applied and would change something.
        history: The last runs, latest first, this one included.
        models: Every model but RFM, with its card.
        personas, affinity, pairs, lifetime: What models of these kinds found; empty without any in
            use.
        demand: Orders to expect; empty without a value model, or without order lines.
        offers: Campaigns that try several; empty without any.
        trends: Segments over time; empty before the second run.
        migrations: Who moved between groups since an earlier run; empty before the second day.
    """

    project: str
    currency: str
    timezone: str
    as_of: datetime
    generated_at: datetime
    run: Run | None = None
    n_profiles: int = 0
    revenue_365d: float | None = None
    segments: tuple[SegmentRow, ...] = ()
    rfm: RfmSummary | None = None
    campaigns: tuple[CampaignRow, ...] = ()
    deliveries: tuple[DeliveryRow, ...] = ()
    issues: tuple[IssueRow, ...] = ()
    remarks: tuple[RemarkRow, ...] = ()
    guards: tuple[GuardRow, ...] = ()
    quality: QualitySummary = QualitySummary()
    lifts: tuple[LiftRow, ...] = ()
    global_holdout: GlobalHoldout | None = None
    rules: Rules = field(default_factory=Rules)
    waiting: WaitingPlan | None = None
    history: tuple[Run, ...] = ()
    models: tuple[ModelRow, ...] = ()
    personas: tuple[PersonaSummary, ...] = ()
    affinity: tuple[TopicSummary, ...] = ()
    pairs: tuple[PairSummary, ...] = ()
    lifetime: tuple[ValueSummary, ...] = ()
    demand: tuple[DemandSummary, ...] = ()
    offers: tuple[OfferSummary, ...] = ()
    trends: tuple[SegmentTrend, ...] = ()
    migrations: tuple[MigrationSummary, ...] = ()

    def __post_init__(self) -> None:
        """Drop the money of a shop of few people, and refuse times without a zone.

        Raises:
            LiftlineError: A time has no zone.
        """
        object.__setattr__(self, "revenue_365d", money_of_group(self.n_profiles, self.revenue_365d))
        if self.as_of.tzinfo is None or self.generated_at.tzinfo is None:
            raise LiftlineError("A report's times need a time zone.")

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes, at full precision."""
        return {"format": FORMAT, **encode_fields(self)}

    @property
    def is_only_planned(self) -> bool:
        """Whether the campaigns' numbers are a plan's, and nothing of it was carried out."""
        return self.run is None or self.run.status == "held"

    @property
    def is_experiment(self) -> bool:
        """Whether it is all about an experiment run elsewhere: results, and nobody known here."""
        return bool(self.lifts) and not (self.n_profiles or self.campaigns or self.run)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ReportData:
        """The inverse of :meth:`to_json`.

        Raises:
            LiftlineError: The document is of another format, or damaged.
        """
        if document.get("format") != FORMAT:
            raise LiftlineError(
                f"The report has format {document.get('format')}, this program reads {FORMAT}.",
                hint="Make the report again.",
            )
        return decode(cls, document)
