"""The first act: from sources to scores and segment members, as of one instant.

Reads the user's data and the state; writes nothing but the workspace. What the run has learned
(new profile ids, a newly fitted model) is in the result, and :func:`remember` stores it when a plan
is made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.config import Config
from connector.domain import Finding, Level
from connector.errors import ModelError
from connector.features.build import FeatureMeta, build_features
from connector.features.orders import orders_pack, rfm_pack
from connector.models import rfm, store
from connector.models.scored import build_scored
from connector.pipeline import specs
from connector.plan.document import Guard
from connector.profiles import consent, customers, exclusion, identity, orders, people, quarantine
from connector.profiles.quality import QualitySummary, Reports
from connector.segments.rules import Segment, build_segment_members, compile_segments
from connector.sources import checks, health, mapping
from connector.sources.spec import TableReport
from connector.state.database import State, parse_utc
from connector.state.journal import SOURCE_GUARD, Journal
from connector.warehouse.dialect import ExpressionError
from connector.warehouse.duckdb import DuckDBWarehouse

if TYPE_CHECKING:
    import pyarrow as pa

RFM = "rfm"
CONSENT_SUBJECTS = (consent.SUBJECT, f"tables.{consent.TABLE}")
"""How the findings about the consent source begin."""

RFM_COLUMNS = (
    f"{RFM}.r",
    f"{RFM}.f",
    f"{RFM}.m",
    f"{RFM}.cell",
    f"{RFM}.group",
    f"{RFM}.previous_group",
)


RESERVED = frozenset(
    {
        *("profiles", "profile_customers", "profile_emails", "profile_merges", "new_keys"),
        *("known_keys", "known_labels", "permissions", "exclusions", "quarantine", "features"),
        *("withdrawn_addresses", "excluded_addresses", "refused"),
        *("scored", "segment_members", "assignments", "clean_customers", "clean_orders"),
        *("clean_items", "rfm_scores", "rfm_history", "candidates", "arms", "changes", "reach"),
    }
)
"""Relations that steps make; a source of files with such a name would be overwritten."""


@dataclass(frozen=True, slots=True)
class Understanding:
    """What the first act found.

    Attributes:
        warehouse: Holds every relation of the run.
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


def open_warehouse(config: Config, *, spill: Path | None = None) -> DuckDBWarehouse:
    """A workspace with every source of the file attached, sealed against anything else.

    Raises:
        SourceError: A source cannot be read; the message names it.
    """
    from connector.warehouse.duckdb import Settings

    warehouse = DuckDBWarehouse(None, Settings(temp_directory=spill))
    try:
        for name, source in config.sources.items():
            if source.type != "duckdb" and name in RESERVED:
                raise config.config_error(
                    f"sources.{name}",
                    f"a source of files may not be called '{name}': Liftline makes a table of"
                    f" that name",
                    hint=f"Call it {name}_files, here and in every `from`.",
                )
            path = config.resolve(source.path)
            if source.type == "duckdb":
                warehouse.attach(name, Path(path))
            elif source.type == "parquet":
                warehouse.attach_parquet(name, path)
            else:
                warehouse.attach_csv(name, path)
        warehouse.seal()
    except BaseException:
        warehouse.close()
        raise
    return warehouse


def understand(
    config: Config,
    state: State,
    warehouse: DuckDBWarehouse,
    *,
    as_of: datetime,
    retrain: bool = False,
    progress: Callable[[str], None] = lambda _step: None,
) -> Understanding:
    """Compute everything up to the segment members.

    Args:
        config: The configuration.
        state: Read for known people, stored models, labels and row counts.
        warehouse: From :func:`open_warehouse`.
        as_of: The instant; nothing at or after it is seen.
        retrain: Fit models anew, as ``liftline train`` does.
        progress: Told the name of each step.

    Raises:
        ConfigError: An expression of the file cannot be read; the message names its line.
        SourceError, SchemaError: A table is missing or has another shape.
    """
    journal = Journal(state)
    progress("reading sources")
    reports = _sources(config, warehouse)
    findings = _source_findings(config, warehouse, reports, journal, as_of=as_of)

    progress("cleaning and stitching people")
    steps: list[Reports] = list(reports)
    with _located(config, "quality.exclude"):
        steps.append(
            customers.clean_customers(warehouse, specs.customers_spec(config), as_of=as_of)
        )
    _load_known_people(warehouse, state)
    steps.append(
        identity.stitch(warehouse, specs.identity_spec(config), mint_key=state.identity_key)
    )
    consent_spec = specs.consent_spec(config)
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
    with _located(config, "tables.orders"):
        steps.append(orders.clean_orders(warehouse, specs.orders_spec(config), as_of=as_of))
    steps.append(orders.clean_items(warehouse))

    progress("computing features")
    rfm_spec = specs.rfm_spec(config)
    features = build_features(
        warehouse,
        [rfm_pack(rfm_spec.window_days, config.models.rfm.monetary.value), orders_pack()],
        as_of=as_of,
    )
    progress("scoring")
    model, version = _rfm(config, journal, warehouse, rfm_spec, as_of=as_of, retrain=retrain)
    findings += model.findings()
    rfm.predict(warehouse, model)
    _previous_groups(warehouse, state)
    build_scored(warehouse, ["rfm_scores", "rfm_history"])
    columns = warehouse.columns("scored")

    progress("forming segments")
    lists, rules = specs.exclusion_specs(config)
    with _located(config, "exclusion_lists"):
        steps += exclusion.build_exclusions(warehouse, lists, rules)
    segments = _segments(config, columns, rfm_spec)
    build_segment_members(warehouse, segments)
    quarantine.collect_quarantine(
        warehouse,
        [
            *(report.quarantine_relation for report in reports),
            *(getattr(step, "quarantine_relation", "") for step in steps if step not in reports),
        ],
    )
    order = [Level.ERROR, Level.WARNING, Level.NOTE, Level.OK]
    return Understanding(
        warehouse=warehouse,
        as_of=as_of,
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.level))),
        quality=QualitySummary.of(steps),
        table_counts={report.table: report.n_kept for report in reports},
        features=features,
        columns=columns,
        segments=segments,
        rfm_model=model,
        rfm_version=version,
        migration=_migration(journal, warehouse, model),
    )


def remember(state: State, understanding: Understanding, *, now: datetime) -> dict[str, int]:
    """Store what the first act has learned: people and newly fitted models.

    Returns:
        Model -> version, for the plan's header.
    """
    journal = Journal(state)
    warehouse = understanding.warehouse
    journal.learn_people(
        _rows(warehouse, "SELECT kind, key_digest, profile_id FROM new_keys"),
        _rows(warehouse, "SELECT from_profile_id, into_profile_id, reason FROM profile_merges"),
        now=now,
    )
    version = understanding.rfm_version
    if version is None:
        version = journal.store_model(
            RFM, store.dumps(understanding.rfm_model), as_of=understanding.as_of, now=now
        )
    return {RFM: version}


def _rows(warehouse: DuckDBWarehouse, sql: str) -> list[dict[str, Any]]:
    return [row for batch in warehouse.batches(sql) for row in batch.to_pylist()]


# ---------------------------------------------------------------------- steps
def _sources(config: Config, warehouse: DuckDBWarehouse) -> list[TableReport]:
    reports = []
    for spec in specs.table_specs(config):
        path = "consent" if spec.name == "consents" else f"tables.{spec.name}"
        with _located(config, path):
            reports.append(mapping.map_table(warehouse, spec, timezone=config.project.timezone))
    return reports


def _source_findings(
    config: Config,
    warehouse: DuckDBWarehouse,
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


def _load_known_people(warehouse: DuckDBWarehouse, state: State) -> None:
    warehouse.load(
        "known_keys",
        _text_table(
            state.arrow({"keys": "SELECT kind, key_digest, profile_id FROM profile_keys"})["keys"]
        ),
    )


def _rfm(
    config: Config,
    journal: Journal,
    warehouse: DuckDBWarehouse,
    spec: rfm.RfmSpec,
    *,
    as_of: datetime,
    retrain: bool,
) -> tuple[rfm.RfmModel, int | None]:
    """The stored model, or a new one where it is due; a changed map needs no refit."""
    stored = journal.model(RFM)
    if stored is None or retrain or _due(config, spec, stored, as_of=as_of):
        return rfm.fit(warehouse, spec, as_of=as_of), None
    version, document, _ = stored
    model = store.loads(document)
    mapped = dataclasses.replace(
        model, groups=spec.groups, no_orders=spec.no_orders, lapsed=spec.lapsed
    )
    return mapped, version if mapped == model else None


def _due(
    config: Config, spec: rfm.RfmSpec, stored: tuple[int, str, str], *, as_of: datetime
) -> bool:
    _, document, fitted_at = stored
    model = store.loads(document)
    same_cuts = model.card.window_days == spec.window_days and all(
        cuts.method is cut.method
        and cuts.bins == cut.bins
        and (not cut.edges or [float(e) for e in cuts.edges] == [float(e) for e in cut.edges])
        for cuts, cut in (
            (model.recency, spec.recency),
            (model.frequency, spec.frequency),
            (model.monetary, spec.monetary),
        )
    )
    refit = config.models.rfm.refit
    if not same_cuts or refit == "every_run":
        return True
    return isinstance(refit, timedelta) and as_of - parse_utc(fitted_at) >= refit


def _previous_groups(warehouse: DuckDBWarehouse, state: State) -> None:
    """Each person's group before the present one, from the labels that the last run stored."""
    rows = state.arrow(
        {
            "labels": "SELECT coalesce(m.into_profile_id, l.profile_id) AS profile_id,"
            " l.label AS label,"
            " coalesce(l.previous_label, '') AS previous_label FROM labels l"
            f" LEFT JOIN profile_merges m ON m.from_profile_id = l.profile_id WHERE l.model ="
            f" '{RFM}'"
        }
    )["labels"]
    warehouse.load("known_labels", _text_table(rows))
    warehouse.create_table_as(
        "rfm_history",
        f'SELECT s.profile_id AS profile_id, CASE WHEN l.label <> s."{RFM}.group" THEN l.label'
        f" ELSE nullif(l.previous_label, '') END AS \"{RFM}.previous_group\""
        " FROM rfm_scores AS s LEFT JOIN (SELECT k.profile_id AS profile_id, min(k.label) AS label,"
        " min(k.previous_label) AS previous_label FROM known_labels AS k GROUP BY k.profile_id)"
        " AS l"
        " ON l.profile_id = s.profile_id",
    )


def _segments(config: Config, columns: Mapping[str, str], spec: rfm.RfmSpec) -> tuple[Segment, ...]:
    domains = {f"{RFM}.group": spec.group_names, f"{RFM}.previous_group": spec.group_names}
    for one in specs.segment_specs(config):
        # One at a time first, so that an error names the line of its own rule.
        if one.where is not None:
            with _located(config, f"segments.{one.name}.where"):
                compile_segments([one], columns=columns, domains=domains)
    with _located(config, "segments"):
        return compile_segments(
            specs.segment_specs(config), columns=columns, domains={f"{RFM}.group": spec.group_names}
        )


def _migration(
    journal: Journal, warehouse: DuckDBWarehouse, model: rfm.RfmModel
) -> tuple[rfm.Migration, ...]:
    applied = journal.model(RFM, applied=True)
    if applied is None:
        return ()
    try:
        before = store.loads(applied[1])
    except ModelError:
        # It cannot be read any more, so nobody can say whom its successor moves.
        return ()
    if before == model:
        return ()
    return tuple(m for m in rfm.migration(warehouse, before, model) if m.before != m.after)


def _text_table(rows: pa.Table) -> pa.Table:
    """ADBC guesses the types of an empty result; every column here is text."""
    import pyarrow as pa

    return rows.cast(pa.schema([(name, pa.string()) for name in rows.column_names]))


class _located:  # noqa: N801 - reads as a statement
    """Give an expression's error the line of the file that it was written on."""

    def __init__(self, config: Config, path: str) -> None:
        self._config = config
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ExpressionError):
            raise self._config.config_error(self._path, error.message, error.hint) from error
