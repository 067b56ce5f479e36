"""The first act: from sources to scores and segment members, as of one instant.

Reads the user's data and the state; writes nothing but the workspace. What the run has learned
(new profile ids, a newly fitted model) is in the result, and :func:`remember` stores it when a plan
is made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.config import Config
from connector.domain import Finding, Level
from connector.features.build import FeatureMeta, build_features
from connector.models import rfm, store
from connector.models.scored import build_scored
from connector.numbers import several
from connector.pipeline import specs
from connector.pipeline.located import located
from connector.pipeline.scoring.context import ScoringContext
from connector.pipeline.scoring.grid import (
    RFM,
    choose_cuts,
    load_known_labels,
    migration,
    previous_groups,
)
from connector.pipeline.scoring.past_arms import read_past_arms
from connector.pipeline.scoring.run import Scores, score_models
from connector.pipeline.understand import featuring
from connector.pipeline.understand.holding import held_findings
from connector.pipeline.understand.opening import RESULTS, Workspace
from connector.pipeline.understand.segmenting import build_members, compiled, label_books
from connector.pipeline.understand.stitching import remember_people, stitch_people
from connector.plan.document import Guard
from connector.ports import Warehouse
from connector.profiles import consent, customers, exclusion, orders, people, quarantine
from connector.profiles.quality import QualitySummary, Reports
from connector.segments.rules import Segment
from connector.sources import checks, health, mapping
from connector.sources.spec import TableReport
from connector.state.database import State
from connector.state.journal import SOURCE_GUARD, Journal
from connector.warehouse.duckdb import DuckDBWarehouse

CONSENT_SUBJECTS = (consent.SUBJECT, f"tables.{consent.TABLE}")
"""How the findings about the consent source begin."""


@dataclass(frozen=True, slots=True)
class Understanding:
    """What the first act found.

    Attributes:
        warehouse: The workspace; holds :data:`.opening.RESULTS`.
        as_of: The instant of all features.
        findings: Table tests, freshness, lost rows, consent health, model lint; worst first.
        quality: What became of every row.
        table_counts: Table -> rows, compared with at the next run.
        features: Meaning and unit of each feature.
        columns: Columns of ``scored`` with their types.
        segments: Compiled rules.
        rfm_model: Used in this run.
        rfm_version: Its version in the state; None when it was fitted just now.
        migration: People whose group changes because cut points were refitted.
        scores: What the other models of the file have made.
        context: What they could read.
    """

    warehouse: DuckDBWarehouse
    as_of: datetime
    findings: tuple[Finding, ...]
    quality: QualitySummary
    table_counts: Mapping[str, int]
    features: tuple[FeatureMeta, ...]
    columns: Mapping[str, str]
    segments: tuple[Segment, ...]
    rfm_model: rfm.RfmModel
    rfm_version: int | None
    migration: tuple[rfm.Migration, ...]
    scores: Scores
    context: ScoringContext

    @property
    def guards(self) -> list[Guard]:
        """Source failures as guards: they hold everything but explicit withdrawals."""
        return [
            Guard(SOURCE_GUARD, finding.subject, f"{finding.message} {finding.hint}".strip())
            for finding in self.findings
            if finding.level is Level.ERROR
        ]

    @property
    def doubts_consent(self) -> bool:
        """Whether the consent source is broken: shrunk, empty, stale or unreadable."""
        return any(
            finding.level is Level.ERROR and finding.subject.startswith(CONSENT_SUBJECTS)
            for finding in self.findings
        )


def understand(
    config: Config,
    state: State,
    workspace: Workspace,
    *,
    as_of: datetime,
    retrain: bool = False,
    accepted: Collection[str] = (),
    looking_back: Understanding | None = None,
    progress: Callable[[str], None] = lambda _step: None,
) -> Understanding:
    """Compute everything up to the segment members, where the data lies.

    Args:
        config: The configuration.
        state: Read for known people, stored models, labels and row counts.
        workspace: From :func:`.opening.open_workspace`.
        as_of: The instant; nothing at or after it is seen.
        retrain: Fit models anew, as ``liftline train`` does.
        accepted: Models whose new labels are used however many people change theirs.
        looking_back: The present, when asked how things were at an earlier instant: its models are
            used as they are, and consent is that of the instant, for nobody is written to.
        progress: Told the name of each step.

    Raises:
        ConfigError: An expression of the file cannot be read; the message names its line.
        SourceError, SchemaError: A table is missing or has another shape.
    """
    with workspace.computing(RESULTS) as engine:
        return _first_act(
            config,
            state,
            workspace,
            engine,
            as_of=as_of,
            retrain=retrain,
            accepted=accepted,
            looking_back=looking_back,
            progress=progress,
        )


def _first_act(
    config: Config,
    state: State,
    workspace: Workspace,
    warehouse: Warehouse,
    *,
    as_of: datetime,
    retrain: bool,
    accepted: Collection[str],
    looking_back: Understanding | None,
    progress: Callable[[str], None],
) -> Understanding:
    """Compute in an engine what will be read in the workspace."""
    journal = Journal(state)
    progress("reading sources")
    reports = _sources(config, warehouse)
    findings = _source_findings(config, warehouse, reports, journal, as_of=as_of)

    progress("cleaning and stitching people")
    steps: list[Reports] = list(reports)
    with located(config, "quality.exclude"):
        steps.append(
            customers.clean_customers(warehouse, specs.customers_spec(config), as_of=as_of)
        )
    findings += _bulk_findings(config, warehouse)
    steps.append(stitch_people(config, state, warehouse, as_of=as_of))
    consent_spec = dataclasses.replace(
        specs.consent_spec(config), hears_later_no=looking_back is None
    )
    consents = consent.resolve_consent(warehouse, consent_spec, as_of=as_of)
    steps.append(consents)
    if config.consent is not None:
        findings += consent.check_consent(
            consents,
            previous_rows=journal.table_counts().get("consents"),
            max_drop_share=config.guards.source_rows_drop_above,
        )
    people.build_profiles(warehouse, consent_spec)
    consent.grant_permissions(warehouse, consent_spec)
    with located(config, "tables.orders"):
        steps.append(orders.clean_orders(warehouse, specs.orders_spec(config), as_of=as_of))
    steps += featuring.clean_behaviour(config, warehouse, as_of=as_of)

    progress("computing features")
    rfm_spec = specs.rfm_spec(config)
    chosen = featuring.choose_features(config, warehouse)
    findings += [*chosen.findings, *featuring.mutable_findings(config)]
    features = build_features(
        warehouse, chosen.packs, as_of=as_of, history_days=chosen.history_days
    )

    def features_at(instant: datetime) -> str:
        name = f"features_{instant:%Y%m%d%H%M%S}"
        if not warehouse.columns(name):
            build_features(
                warehouse,
                chosen.packs,
                as_of=instant,
                history_days=chosen.history_days,
                output=name,
            )
        return name

    progress("scoring")
    model, version = choose_cuts(config, journal, warehouse, rfm_spec, as_of=as_of, retrain=retrain)
    findings += model.findings()
    rfm.predict(warehouse, model)
    load_known_labels(warehouse, state)
    previous_groups(warehouse)
    context = ScoringContext(
        config=config,
        warehouse=warehouse,
        as_of=as_of,
        features={meta.name: meta for meta in features},
        features_at=features_at,
        rules=featuring.input_rules(config, chosen.packs),
        rfm=model,
        past_arms=lambda campaign: read_past_arms(state, campaign),
        registries={} if looking_back is None else looking_back.scores.files,
        accepted=accepted,
        progress=progress,
    )
    given = None if looking_back is None else looking_back.context.documents
    scores = score_models(context, journal, retrain=retrain, given=given)
    findings += scores.findings
    build_scored(warehouse, ["rfm_scores", "rfm_history", *scores.relations])
    columns = warehouse.columns("scored")

    progress("forming segments")
    lists, rules = specs.exclusion_specs(config)
    with located(config, "exclusion_lists"):
        steps += exclusion.build_exclusions(warehouse, lists, rules)
    books = label_books(context, scores)
    segments = compiled(config, columns, rfm_spec, scores.domains, books)
    findings += held_findings({one.name: one.held for one in segments if one.held})
    build_members(config, state, warehouse, segments, as_of=as_of)
    findings += featuring.proxy_findings(
        config,
        warehouse,
        [f"{RFM}.group", *featuring.outcomes(scores.meanings, scores.domains)],
        [segment.name for segment in segments],
    )
    quarantine.collect_quarantine(
        warehouse,
        [
            *(report.quarantine_relation for report in reports),
            *(getattr(step, "quarantine_relation", "") for step in steps if step not in reports),
        ],
    )
    order = [Level.ERROR, Level.WARNING, Level.NOTE, Level.OK]
    return Understanding(
        warehouse=workspace,
        as_of=as_of,
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.level))),
        quality=QualitySummary.of(steps),
        table_counts={report.table: report.n_kept for report in reports},
        features=(*features, *scores.meanings.values()),
        columns=columns,
        segments=segments,
        rfm_model=model,
        rfm_version=version,
        migration=migration(journal, warehouse, model),
        scores=scores,
        context=context,
    )


def remember(state: State, understanding: Understanding, *, now: datetime) -> dict[str, int]:
    """Store what the first act has learned: people and newly fitted models.

    Returns:
        Model -> version, for the plan's header.
    """
    journal = Journal(state)
    warehouse = understanding.warehouse
    remember_people(journal, warehouse, now=now)
    version = understanding.rfm_version
    if version is None:
        version = journal.store_model(
            RFM, store.dumps(understanding.rfm_model), as_of=understanding.as_of, now=now
        )
    scores = understanding.scores
    for path, text in scores.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    stored = {
        name: journal.store_model(name, document, as_of=understanding.as_of, now=now)
        for name, document in scores.fresh.items()
    }
    used = {name: known or stored[name] for name, known in scores.versions.items()}
    return {RFM: version, **used}


def _rows(warehouse: DuckDBWarehouse, sql: str) -> list[dict[str, Any]]:
    return [row for batch in warehouse.batches(sql) for row in batch.to_pylist()]


# ---------------------------------------------------------------------- steps
def _sources(config: Config, warehouse: Warehouse) -> list[TableReport]:
    reports = []
    for spec in specs.table_specs(config):
        path = "consent" if spec.name == "consents" else f"tables.{spec.name}"
        with located(config, path):
            reports.append(mapping.map_table(warehouse, spec, timezone=config.project.timezone))
    return reports


def _bulk_findings(config: Config, warehouse: Warehouse) -> list[Finding]:
    """Whoever is left out for having more orders than people have."""
    most = config.quality.outliers.exclude_people_above_orders
    if most is None:
        return []
    ((n, largest),) = warehouse.rows(
        f"SELECT count(*) AS n, max(b.n_orders) AS largest FROM {customers.BULK} AS b"
    )
    if not n:
        return []
    return [
        Finding(
            Level.NOTE,
            "quality.outliers",
            f"{several(int(n), 'customer')} with more than {most:,} orders (the most has"
            f" {int(largest):,}) {'is' if n == 1 else 'are'} left out as resellers or machines",
        )
    ]


def _source_findings(
    config: Config,
    warehouse: Warehouse,
    reports: Sequence[TableReport],
    journal: Journal,
    *,
    as_of: datetime,
) -> list[Finding]:
    tables = [report for report in reports if report.table != "consents"]
    findings = health.check_rows(
        tables, journal.table_counts(), max_drop_share=config.guards.source_rows_drop_above
    )
    for report, spec in zip(reports, specs.table_specs(config), strict=True):
        findings += checks.run_checks(warehouse, spec.name, spec.checks)
        if spec.freshness is not None:
            findings.append(health.check_freshness(report, spec.freshness, now=as_of))
    return findings
