"""Everything that a report shows, and nothing else: its only input, as frozen values.

The renderers read no database, no clock and no configuration, so that a report can be made again
from its JSON, on another machine, years later. There is no personal data in here by construction:
no field holds an address or a profile.

**Small cells.** What fewer than :data:`SMALL_CELL` people spent comes close to what a person spent.
Counts are kept, money is dropped as soon as such a row is made, so that neither the page nor the
JSON can show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from connector.errors import LiftlineError
from connector.report.codec import decode, encode_fields

FORMAT = 1
"""Version of the JSON's shape."""

SMALL_CELL = 10
"""Groups of fewer people have no money figure."""


def money_of_group(people: int, amount: float | None) -> float | None:
    """The amount, or None where so few people stand behind it that it must not be shown."""
    return None if 0 < people < SMALL_CELL else amount


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
class SegmentRow:
    """One segment. Segments may overlap, so shares need not add up to 1.

    Attributes:
        name: Its name.
        people: Members.
        share: Members as a share of all profiles (0-1).
        revenue_365d: Net revenue of its members in the last 365 days, in the project's currency;
            None where it is not shown.
        previous_people: Members at the run before; None when there was none.
        campaigns: Names of the campaigns that address it.
        rule: Its rule, in the words of the configuration; may be empty.
    """

    name: str
    people: int
    share: float
    revenue_365d: float | None
    previous_people: int | None = None
    campaigns: tuple[str, ...] = ()
    rule: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "revenue_365d", money_of_group(self.people, self.revenue_365d))


@dataclass(frozen=True, slots=True)
class RfmAxis:
    """The cut points of one dimension, with the fields of a stored model, to be copied from one.

    Attributes:
        dimension: ``recency`` (days), ``frequency`` (orders) or ``monetary`` (currency).
        method: ``quantile`` puts a value that equals an edge below it, every other method above it.
        edges: Ascending; one fewer than there are scores.
        reverse: Small values score high (recency).
        empty_bins: Scores that nobody had when the edges were fitted.
    """

    dimension: str
    method: str
    edges: tuple[float, ...]
    reverse: bool = False
    empty_bins: tuple[int, ...] = ()

    @property
    def bins(self) -> int:
        """Number of scores."""
        return len(self.edges) + 1

    @classmethod
    def of(cls, dimension: str, cuts: Mapping[str, Any]) -> RfmAxis:
        """From a stored model's cut points (their ``to_dict``), whose edges are texts.

        Args:
            dimension: ``recency``, ``frequency`` or ``monetary``.
            cuts: ``method``, ``edges``, ``reverse`` and ``empty_bins``.
        """
        return cls(
            dimension,
            str(cuts["method"]),
            tuple(float(edge) for edge in cuts["edges"]),
            bool(cuts["reverse"]),
            tuple(int(score) for score in cuts["empty_bins"]),
        )


@dataclass(frozen=True, slots=True)
class RfmCell:
    """The people of one recency and one frequency score, over all money scores.

    Attributes:
        r, f: Scores from 1 upwards; 5 of 5 is the best.
        people: How many.
        revenue: Net revenue within the model's window; None where it is not shown.
    """

    r: int
    f: int
    people: int
    revenue: float | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "revenue", money_of_group(self.people, self.revenue))


@dataclass(frozen=True, slots=True)
class RfmGroup:
    """One named group of the grid; ``lapsed`` and people who never bought have no cells.

    Attributes:
        name: Its name.
        people: How many.
        revenue: Net revenue within the model's window; None where it is not shown.
        previous_people: How many at the run before; None when there was none.
    """

    name: str
    people: int
    revenue: float | None
    previous_people: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "revenue", money_of_group(self.people, self.revenue))


@dataclass(frozen=True, slots=True)
class RfmSummary:
    """One RFM model's grid.

    Attributes:
        name: The model's name.
        window_days: Orders older than so many days do not count.
        fitted_at: The instant whose data the cut points come from, aware.
        recency, frequency, monetary: The cut points.
        cells: Cells that have people; the others are taken as empty.
        groups: In the map's order, without those of no order in the window.
        n_lapsed: People whose last order is older than the window.
        n_prospects: People who never ordered.
    """

    name: str
    window_days: int
    fitted_at: datetime
    recency: RfmAxis
    frequency: RfmAxis
    monetary: RfmAxis
    cells: tuple[RfmCell, ...]
    groups: tuple[RfmGroup, ...]
    n_lapsed: int = 0
    n_prospects: int = 0


@dataclass(frozen=True, slots=True)
class AudienceRow:
    """One list at a destination, by the ledger after the run.

    Attributes:
        destination: Where.
        name: The list's name there.
        arm: Whose list it is.
        people: Our people on it now.
        joins: Joined with this run.
        leaves: Left with this run.
        held: Wanted, but blocked since an earlier refusal or without a record at the vendor.
        foreign: Members that were on it before us; never touched.
        status: ``new``, ``adopted``, ``kept`` or ``deleted``.
    """

    destination: str
    name: str
    arm: str
    people: int
    joins: int = 0
    leaves: int = 0
    held: int = 0
    foreign: int = 0
    status: str = "kept"


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One campaign: whom it addresses, whom it does not and why, and who is held out.

    Attributes:
        name: Its name.
        segment: The segment that it addresses.
        destinations: Where its lists are.
        in_segment: Members of the segment.
        eligible: Of them, those who have an arm.
        blocked: Reason code -> members of the segment without an arm.
        arms: Arm -> people.
        new_arms: Arm -> people who got it in this run.
        shares: Arm -> intended share (0-1).
        cost: Of this run's new contacts, in the project's currency.
        budget: For one run; None without one.
        audiences: Its lists.
        strategy, offer: What is done for these people; may be empty.
        goal: The metric that it is judged on; may be empty.
        starts_on: First day; None when it has always run.
        first_result_at: When the first people's window closes, aware; None when nobody has been
            assigned.
        all_results_at: When the last assigned person's window closes.
    """

    name: str
    segment: str
    destinations: tuple[str, ...]
    in_segment: int
    eligible: int
    blocked: Mapping[str, int] = field(default_factory=dict)
    arms: Mapping[str, int] = field(default_factory=dict)
    new_arms: Mapping[str, int] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    cost: float = 0.0
    budget: float | None = None
    audiences: tuple[AudienceRow, ...] = ()
    strategy: str = ""
    offer: str = ""
    goal: str = ""
    starts_on: date | None = None
    first_result_at: datetime | None = None
    all_results_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """Changes of one kind that ended alike, as the run's own report counts them.

    Attributes:
        kind: ``record`` (properties) or ``membership``.
        action: ``add``, ``update`` or ``remove``.
        outcome: ``delivered``, ``deferred``, ``rejected``, ``suppressed``, ``missing`` or
            ``skipped``.
        people: How many.
    """

    kind: str
    action: str
    outcome: str
    people: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """What became of one destination's changes.

    Attributes:
        destination: Its name.
        outcomes: Every combination that occurred.
        unsent: Changes that were never tried because the destination was given up.
        error: Why it was given up; None when it was not.
    """

    destination: str
    outcomes: tuple[OutcomeCount, ...]
    unsent: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class IssueRow:
    """Changes that did not get through for one cause.

    Attributes:
        destination: Where.
        outcome: ``rejected``, ``suppressed``, ``missing``, ``deferred`` or ``skipped``.
        code: The vendor's or our word for the cause.
        message: One sentence without personal data; may be empty.
        people: How many.
    """

    destination: str
    outcome: str
    code: str
    message: str
    people: int


@dataclass(frozen=True, slots=True)
class GuardRow:
    """One guard that tripped.

    Attributes:
        name: Its key in the configuration.
        subject: What tripped it.
        message: What was found against what is allowed.
        approved: A person let it pass; otherwise it held the run.
    """

    name: str
    subject: str
    message: str
    approved: bool = False


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
class Estimate:
    """A number that is never shown without its interval.

    Attributes:
        estimate: The point estimate.
        low, high: Bounds.
        confidence: How often such an interval holds the truth (0-1).
    """

    estimate: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm of a comparison.

    Attributes:
        arm: ``treatment``, ``business_as_usual`` or ``no_contact``.
        n: People whose window has closed; the numbers below are about them.
        n_open: People whose window has not closed yet.
        n_buyers: People whose outcome is not zero.
        mean: Outcome per person; None while there is nobody.
        total: Sum of the outcome.
    """

    arm: str
    n: int
    n_open: int
    n_buyers: int
    mean: float | None
    total: float


@dataclass(frozen=True, slots=True)
class LiftRow:
    """One campaign, epoch, metric and comparison, with the fields of the analysis' own result.

    Attributes:
        campaign: Name of the campaign or of the global holdout.
        epoch: Randomisation epoch.
        metric: Name of the metric.
        kind: ``sum`` (currency), ``count`` (orders) or ``share`` (0-1) per person.
        window_days: Length of a person's window.
        is_goal: Whether the campaign is judged on it.
        as_of: Aware.
        treatment, holdout: The two arms.
        difference: Treatment minus holdout, per person; decides the verdict.
        relative: As a fraction of the holdout's mean; stands beside it.
        incremental: The difference times the treated people counted.
        cost: Money spent on these people; None where it is not fixed.
        incremental_roas: Incremental revenue for each unit of cost.
        expected_buyers: In the smaller arm.
        srm_p: p-value of the split; None while it cannot be tested.
        verdict: ``win``, ``loss``, ``flat``, ``directional_only``, ``not_enough_data`` or
            ``do_not_trust``.
        reason: The sentence behind the verdict.
    """

    campaign: str
    epoch: int
    metric: str
    kind: str
    window_days: int
    is_goal: bool
    as_of: datetime
    treatment: ArmResult
    holdout: ArmResult
    difference: Estimate | None
    relative: Estimate | None
    incremental: Estimate | None
    cost: float | None
    incremental_roas: Estimate | None
    expected_buyers: float | None
    srm_p: float | None
    verdict: str
    reason: str

    @property
    def n_open(self) -> int:
        """People of both arms whose window has not closed yet."""
        return self.treatment.n_open + self.holdout.n_open

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> LiftRow:
        """From the analysis' own JSON form of a result.

        Raises:
            LiftlineError: A value is missing or of another type.
        """
        return decode(cls, document)


@dataclass(frozen=True, slots=True)
class GlobalHoldout:
    """The people whom no campaign addresses, which shows what all campaigns together bring.

    Attributes:
        name: Its name.
        share: Intended share (0-1).
        n_held: People in it.
        lifts: Everybody else against them.
    """

    name: str
    share: float
    n_held: int
    lifts: tuple[LiftRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules behind the verdicts, to be printed beside them.

    Attributes:
        confidence: Of every interval (0-1).
        flat_margin: Largest difference that counts as none, as a share of the holdout's mean.
        directional_from: Expected buyers in the smaller arm below which nothing is said.
        verdict_from: Expected buyers from which there is a verdict.
        srm_below: p-value of the split below which nothing is believed.
    """

    confidence: float = 0.95
    flat_margin: float = 0.01
    directional_from: float = 20.0
    verdict_from: float = 45.0
    srm_below: float = 0.001


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
        guards: Those that tripped.
        quality: The data's health.
        lifts: Every campaign, epoch, metric and comparison.
        global_holdout: None without one.
        rules: The rules behind the verdicts.
        history: The last runs, latest first, this one included.
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
    guards: tuple[GuardRow, ...] = ()
    quality: QualitySummary = QualitySummary()
    lifts: tuple[LiftRow, ...] = ()
    global_holdout: GlobalHoldout | None = None
    rules: Rules = Rules()
    history: tuple[Run, ...] = ()

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
