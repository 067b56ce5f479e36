"""The first act as far as it goes: what is broken is named and left out, the rest goes on.

A run stops at the first broken source, and rightly so. A check must not: somebody who repairs a
file wants to hear of everything at once. So when the first act fails, its parts are tried one by
one, those that fail are reported and taken out of the configuration, and it is tried again. A
result without consents or without an exclusion list is never used for anything but words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.config import Config
from connector.config.data import TableTest
from connector.domain import Finding, Level
from connector.errors import LiftlineError
from connector.models.rfm import RfmSpec
from connector.pipeline import specs
from connector.pipeline.scoring.grid import RFM
from connector.pipeline.understand.act import Understanding, understand
from connector.pipeline.understand.opening import Workspace, open_workspace, try_source
from connector.ports import Warehouse
from connector.profiles import exclusion
from connector.segments.rules import SegmentSpec, compile_segments
from connector.sources import checks, health, mapping
from connector.sources.spec import TableReport, TableSpec
from connector.state.database import State
from connector.state.journal import Journal

NEEDED = ("customers", "orders")
"""Tables without which nothing can be computed."""

_MOST_ATTEMPTS = 6


@dataclass(frozen=True, slots=True)
class Flaw:
    """One part that does not work.

    Attributes:
        finding: What is wrong with it.
        without: Takes it out of a configuration; None where nothing is left without it.
    """

    finding: Finding
    without: Callable[[Config], Config] | None


@dataclass(frozen=True, slots=True)
class Survey:
    """How far the first act came.

    Attributes:
        found: Its result; None when customers or orders cannot be read.
        config: What was left of the configuration.
        findings: What is broken; and, where there is no result, the tests of the tables that can
            be read.
    """

    found: Understanding | None
    config: Config
    findings: tuple[Finding, ...]


@contextlib.contextmanager
def survey(config: Config, state: State, *, as_of: datetime) -> Iterator[Survey]:
    """Run the first act, leaving out what does not work.

    Args:
        config: The configuration.
        state: Read, never written.
        as_of: The instant of everything.

    Yields:
        How far it came; its workspace is open inside the block.
    """
    findings: list[Finding] = []
    with contextlib.ExitStack() as stack:
        found = None
        for _ in range(_MOST_ATTEMPTS):
            workspace = None
            try:
                workspace = stack.enter_context(_workspace(config, state))
                found = understand(config, state, workspace, as_of=as_of)
                break
            except LiftlineError as problem:
                if workspace is None:
                    flaws = _source_flaws(config)
                else:
                    flaws = _flaws(config, workspace.engine)
                if not flaws:
                    flaws = [Flaw(_error("project", problem), None)]
            stack.close()
            findings += [flaw.finding for flaw in flaws]
            if any(flaw.without is None for flaw in flaws):
                findings += _tables_alone(config, state, as_of=as_of)
                break
            for flaw in flaws:
                config = flaw.without(config) if flaw.without else config
        yield Survey(found, config, tuple(findings))


def _workspace(config: Config, state: State) -> Workspace:
    return open_workspace(config, spill=state.folder / "spill")


# ---------------------------------------------------------------------- what is broken
def _source_flaws(config: Config) -> list[Flaw]:
    """Sources that cannot be opened, each tried by itself."""
    flaws = []
    for name, problem in _broken_sources(config).items():
        needed = {_source(getattr(config.tables, table).source) for table in NEEDED}
        without = None if name in needed else _without_source(name)
        flaws.append(Flaw(_error(f"sources.{name}", problem), without))
    return flaws


def _broken_sources(config: Config) -> dict[str, LiftlineError]:
    broken = {}
    for name in config.sources:
        try:
            try_source(config, name)
        except LiftlineError as problem:
            broken[name] = problem
    return broken


def _flaws(config: Config, warehouse: Warehouse) -> list[Flaw]:
    """Tables, tests, exclusion lists and segments that cannot be computed."""
    flaws = []
    for spec in specs.table_specs(config):
        try:
            mapping.map_table(warehouse, spec, timezone=config.project.timezone)
        except LiftlineError as problem:
            without = None if spec.name in NEEDED else _without_table(spec.name)
            flaws.append(Flaw(_error(_path(spec.name), problem), without))
    if flaws:
        return flaws
    for spec in specs.table_specs(config):
        for i, test in enumerate(spec.checks):
            try:
                checks.run_checks(warehouse, spec.name, [test])
            except LiftlineError as problem:
                without = _without_test(spec.name, getattr(config.tables, spec.name).tests[i])
                flaws.append(Flaw(_error(f"{_path(spec.name)}.tests.{i}", problem), without))
    columns = warehouse.columns("scored")
    if not columns:
        return flaws
    lists, rules = specs.exclusion_specs(config)
    for one, (own_lists, own_rules) in {
        **{entry.name: ([entry], []) for entry in lists},
        **{rule.name: ([], [rule]) for rule in rules},
    }.items():
        try:
            exclusion.build_exclusions(warehouse, own_lists, own_rules)
        except LiftlineError as problem:
            flaws.append(Flaw(_error(f"exclusion_lists.{one}", problem), _without_list(one)))
    return flaws + _segment_flaws(config, columns)


def _segment_flaws(config: Config, columns: Mapping[str, str]) -> list[Flaw]:
    """Segments with a broken rule, not those that are merely made of one."""
    model: RfmSpec = specs.rfm_spec(config)
    domains = {f"{RFM}.{label}": model.group_names for label in ("group", "previous_group")}
    flaws = []
    for one in specs.segment_specs(config):
        try:
            # Named by its own condition only: references are the configuration's to check.
            if one.where is not None:
                alone = SegmentSpec(one.name, where=one.where)
                compile_segments([alone], columns=columns, domains=domains)
        except LiftlineError as problem:
            subject = f"segments.{one.name}.where"
            hint = f"See {config.locate(subject)}. {problem.hint}".strip()
            finding = Finding(Level.ERROR, subject, problem.message, hint)
            flaws.append(Flaw(finding, _without_segment(one.name)))
    return flaws


# ---------------------------------------------------------------------- what is left
def _without_source(name: str) -> Callable[[Config], Config]:
    def without(config: Config) -> Config:
        for table, spec in config.tables.items():
            if table not in NEEDED and _source(spec.source) == name:
                config = _without_table(table)(config)
        if config.consent is not None and _source(config.consent.source) == name:
            config = _copy(config, consent=None)
        lists = tuple(one for one in config.exclusion_lists if _source(one.source or "") != name)
        sources = {key: source for key, source in config.sources.items() if key != name}
        return _copy(config, sources=sources, exclusion_lists=lists)

    return without


def _without_table(name: str) -> Callable[[Config], Config]:
    def without(config: Config) -> Config:
        if name == "consents":
            return _copy(config, consent=None)
        return _copy(config, tables=config.tables.model_copy(update={name: None}))

    return without


def _without_test(table: str, test: TableTest) -> Callable[[Config], Config]:
    def without(config: Config) -> Config:
        mapped = getattr(config.tables, table)
        kept = tuple(one for one in mapped.tests if one is not test)
        changed = mapped.model_copy(update={"tests": kept})
        return _copy(config, tables=config.tables.model_copy(update={table: changed}))

    return without


def _without_list(name: str) -> Callable[[Config], Config]:
    return lambda config: _copy(
        config, exclusion_lists=tuple(x for x in config.exclusion_lists if x.name != name)
    )


def _without_segment(name: str) -> Callable[[Config], Config]:
    """The configuration without a segment, those made of it, and their campaigns."""

    def without(config: Config) -> Config:
        gone = {name}
        while more := {
            key
            for key, one in config.segments.items()
            if key not in gone and gone & {*one.references}
        }:
            gone |= more
        return _copy(
            config,
            segments={key: one for key, one in config.segments.items() if key not in gone},
            campaigns={k: c for k, c in config.campaigns.items() if c.segment not in gone},
        )

    return without


def _copy(config: Config, **changes: object) -> Config:
    return config.model_copy(update=changes)


# ---------------------------------------------------------------------- tables alone
def _tables_alone(config: Config, state: State, *, as_of: datetime) -> list[Finding]:
    """Rows, tests and freshness of every table that can be read, when no more is possible."""
    for name in _broken_sources(config):
        config = _copy(config, sources={k: s for k, s in config.sources.items() if k != name})
    findings: list[Finding] = []
    with _workspace(config, state) as workspace:
        warehouse = workspace.engine
        mapped: list[tuple[TableSpec, TableReport]] = []
        for spec in specs.table_specs(config):
            # What cannot be mapped was reported by then.
            with contextlib.suppress(LiftlineError):
                mapped.append(
                    (spec, mapping.map_table(warehouse, spec, timezone=config.project.timezone))
                )
        findings += health.check_rows(
            [report for _, report in mapped],
            Journal(state).table_counts(),
            max_drop_share=config.guards.source_rows_drop_above,
        )
        for spec, report in mapped:
            findings += _tests(warehouse, spec)
            if spec.freshness is not None:
                findings.append(health.check_freshness(report, spec.freshness, now=as_of))
    return findings


def _tests(warehouse: Warehouse, spec: TableSpec) -> Sequence[Finding]:
    found: list[Finding] = []
    for test in spec.checks:
        with contextlib.suppress(LiftlineError):
            found += checks.run_checks(warehouse, spec.name, [test])
    return found


def _source(text: str) -> str:
    return text.partition(".")[0]


def _path(table: str) -> str:
    """Where a table stands in the file."""
    return "consent" if table == "consents" else f"tables.{table}"


def _error(subject: str, problem: LiftlineError) -> Finding:
    return Finding(Level.ERROR, subject, problem.message, problem.hint)
