"""Everything that ``liftline check`` looks at before anything is sent; it writes nothing anywhere.

The order is that of the file: what is read, the model, the segments, the destinations, the
campaigns. A part that fails is a finding of its own and never stops the others, because somebody
who sets up a project wants to hear of everything at once. Vendors are asked for credentials and
scopes only; whom they know is the plan's business.
"""

from __future__ import annotations

import contextlib
import enum
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from connector import holdouts
from connector.config import Config, lint
from connector.config.problems import did_you_mean
from connector.domain import Finding, Level
from connector.errors import ConfigError, LiftlineError
from connector.lift.metrics import ORDERS, MetricKind
from connector.pipeline import detectable, prospects, specs
from connector.pipeline.diagnose import Survey, survey
from connector.pipeline.project import build_destination
from connector.pipeline.understand import RFM, Understanding, open_warehouse, understand
from connector.ports import Destination
from connector.report.format import percent
from connector.report.words import BLOCKED, label, left_out, phrase
from connector.state.database import parse_utc

if TYPE_CHECKING:
    from connector.pipeline.project import Project


class Vendors(enum.Enum):
    """Whether destinations are asked."""

    ASK = "ask"
    """Try credentials and scopes over the network."""
    LEAVE = "leave"
    """Build the adapters, which checks their options, and call nobody."""


def check(
    project: Project, *, as_of: datetime | None = None, vendors: Vendors = Vendors.ASK
) -> list[Finding]:
    """Look at everything before anything is sent.

    Args:
        project: The project; neither its state nor any source or vendor is written to.
        as_of: Overrides the file's instant.
        vendors: Whether destinations are called.

    Returns:
        Findings in the order of the file. Subjects are key paths of the configuration.
    """
    config = project.config
    instant = as_of or config.project.instant(project.now)
    report = _Report()
    report.part("project", lambda: _file(config))
    report.part("holdouts.assign.salt", lambda: _salt(project))
    with contextlib.ExitStack() as stack:
        seen: list[Survey] = []
        report.part(
            "sources",
            lambda: _first_act(
                seen, stack.enter_context(survey(config, project.state, as_of=instant))
            ),
        )
        report.part(f"models.{RFM}.groups", lambda: _grid(config))
        reached = seen[0] if seen else None
        if reached is not None and reached.found is not None:
            found, usable = reached.found, reached.config
            report.part(f"models.{RFM}", lambda: _model(project, found))
            report.part("metrics", lambda: _metrics(config, found))
            report.part("segments", lambda: _segments(usable, found))
            report.part("campaigns", lambda: _reachable(usable, found))
            report.part("priority_lists", lambda: _overlaps(usable, found))
            report.part("campaigns", lambda: _skipped(config, usable))
            report.part("campaigns", lambda: _provable(project, usable, found))
        columns = reached.found.columns if reached and reached.found else None
    for name in config.destinations:
        report.part(f"destinations.{name}", lambda: _destination(config, name, columns, vendors))  # noqa: B023 - called at once
    return report.findings


class _Report:
    """Findings, each once, of parts that may fail."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def part(self, subject: str, look: Callable[[], Iterable[Finding]]) -> None:
        """Add what a part finds, up to the point where it fails, and that it failed."""
        try:
            for finding in look():
                self._add(finding)
        except LiftlineError as problem:
            self._add(Finding(Level.ERROR, subject, problem.message, problem.hint))
        except Exception as problem:  # noqa: BLE001 - an adapter may be anybody's, and may raise anything
            # The text of a foreign error may quote a person's data; its kind and place do not.
            frames = traceback.extract_tb(problem.__traceback__)
            where = Path(frames[-1].filename).name if frames else ""
            line = frames[-1].lineno if frames else 0
            what = f"{type(problem).__name__} in {where}, line {line}"
            message = f"This could not be looked at ({what})."
            self._add(Finding(Level.ERROR, subject, message, "Report it as a bug, with this line."))

    def _add(self, finding: Finding) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


# ---------------------------------------------------------------------- the file
def _file(config: Config) -> Iterator[Finding]:
    found = lint(config)
    yield from found
    if not found:
        yield Finding(Level.OK, "project", f"{config.path.name} says nothing odd.")


def _salt(project: Project) -> Iterator[Finding]:
    salt = project.config.holdouts.assign.salt.get_secret_value()
    stored = project.state.get("salt_digest")
    holdouts.check_salt(stored, salt)
    message = "The salt is the one that arms were drawn with."
    if stored is None:
        message = "No arm has been drawn yet; this salt must be kept from the first plan on."
    yield Finding(Level.OK, "holdouts.assign.salt", message)


# ---------------------------------------------------------------------- what is read
def _first_act(seen: list[Survey], reached: Survey) -> Iterator[Finding]:
    """Sources, tables, consent and quality; the survey is kept for the parts that follow."""
    seen.append(reached)
    yield from reached.findings
    found = reached.found
    if found is None:
        yield Finding(
            Level.NOTE,
            "segments",
            "Segments, campaigns and models were not looked at: their data cannot be read.",
        )
        return
    for name, source in reached.config.sources.items():
        tables = found.warehouse.tables(name) if source.type == "duckdb" else [name]
        n = len(tables)
        what = f"{n} table{'' if n == 1 else 's'}" if source.type == "duckdb" else "its rows"
        yield Finding(Level.OK, f"sources.{name}", f"Reachable ({source.type}, {what}).")
    for finding in found.findings:
        if not finding.subject.startswith("models."):
            yield _renamed(finding)
    yield from _quality(found)


def _renamed(finding: Finding) -> Finding:
    """Consents are a table like others, but stand elsewhere in the file."""
    subject = finding.subject
    if subject.startswith("tables.consents"):
        subject = subject.replace("tables.consents", "consent", 1)
    return Finding(finding.level, subject, finding.message, finding.hint)


_COUNTS = frozenset({"source_rows", "rows", "entries", "profiles", "new_profiles"})
_PLACES = {"consents": "consent", "profiles": "identity"}


def _quality(found: Understanding) -> Iterator[Finding]:
    """What became of the rows that did not come through, one note for each step."""
    steps: dict[str, dict[str, int]] = {}
    for line in found.quality.lines:
        steps.setdefault(line.table, {})[line.measure] = line.n
    for step, measures in steps.items():
        if step.startswith("exclusion:"):
            name = step.removeprefix("exclusion:")
            yield Finding(
                Level.OK,
                f"exclusion_lists.{name}",
                f"{measures.get('profiles', 0):,} people are on it"
                f" ({measures.get('entries', 0):,} entries).",
            )
            continue
        rows = measures.get("source_rows", measures.get("rows", 0))
        set_aside = {
            name: n
            for name, n in measures.items()
            if n and name not in _COUNTS and name != "kept" and not name.startswith("standing_")
        }
        if not set_aside:
            continue
        table = step.removeprefix("in_")
        subject = _PLACES.get(table, table if table == "identity" else f"tables.{table}")
        listed = ", ".join(f"{n:,} {left_out(name)}" for name, n in set_aside.items())
        when = "When the table was read" if step.startswith("in_") else "When it was cleaned"
        total = f", of {rows:,} rows" if rows else ""
        yield Finding(Level.NOTE, subject, f"{when}{total}: {listed}.")


# ---------------------------------------------------------------------- models and metrics
def _grid(config: Config) -> Iterator[Finding]:
    spec = specs.rfm_spec(config)
    found = spec.check()
    yield from found
    if not found:
        r, f, m = spec.bins
        message = f"All {r * f * m} cells have a group, and every group can be reached."
        yield Finding(Level.OK, f"models.{RFM}.groups", message)


def _model(project: Project, found: Understanding) -> Iterator[Finding]:
    subject, card = f"models.{RFM}", found.rfm_model.card
    stored = project.journal.model(RFM)
    people = f"{card.n_people:,} people with an order within {card.window_days} days"
    level, message = (
        Level.NOTE,
        f"No cut points are stored yet; the first plan fits them on {people}.",
    )
    if stored is not None and found.rfm_version is None:
        message = f"The cut points are due: the next plan fits them anew on {people}."
    elif stored is not None:
        version, _, fitted_at = stored
        fitted = f"{parse_utc(fitted_at):%Y-%m-%d} (version {version})"
        level, message = Level.OK, f"Cut points of {fitted}, fitted on {people}."
    yield Finding(level, subject, message)
    moved = sum(m.n_people for m in found.migration)
    if moved:
        message = f"{moved:,} people change their group because of new cut points."
        yield Finding(Level.NOTE, subject, message, "`liftline plan` shows from where to where.")
    for finding in found.findings:
        # The map of groups is looked at whether or not there is data.
        if finding.subject.startswith(subject) and finding.subject != f"{subject}.groups":
            yield finding


def _metrics(config: Config, found: Understanding) -> Iterator[Finding]:
    columns = found.warehouse.columns(ORDERS)
    for name, metric in config.metrics.items():
        try:
            spec = specs.metric_spec(name, metric)
            if spec.kind is MetricKind.SUM:
                spec.order_value(columns)
        except LiftlineError as problem:
            yield Finding(Level.ERROR, f"metrics.{name}", problem.message, problem.hint)


# ---------------------------------------------------------------------- segments
def _segments(config: Config, found: Understanding) -> Iterator[Finding]:
    con = found.warehouse.connection
    (n_people,) = con.execute("SELECT count(*) FROM profiles").fetchall()[0]
    sizes = dict(con.execute("SELECT segment, count(*) FROM segment_members GROUP BY 1").fetchall())
    for name in config.segments:
        n = sizes.get(name, 0)
        users = [key for key, one in config.campaigns.items() if one.segment == name]
        if n:
            share = percent(n / n_people)
            yield Finding(Level.OK, f"segments.{name}", f"{n:,} people ({share} of everybody).")
        elif users:
            yield Finding(
                Level.WARNING,
                f"segments.{name}",
                f"Nobody is in it, so {_and(users)} would address nobody.",
                "Loosen the rule; `liftline explain` shows for one person what is missing.",
            )
        else:
            yield Finding(Level.NOTE, f"segments.{name}", "Nobody is in it.")


def _reachable(config: Config, found: Understanding) -> Iterator[Finding]:
    """Whom each destination may be used for; makes ``candidates`` for the parts that follow."""
    detectable.load_candidates(
        found,
        config,
        detectable.plain_destinations(config),
        detectable.coming_campaigns(config, as_of=found.as_of),
    )
    rows = found.warehouse.connection.execute(
        "SELECT destination, blocked, count(*) FROM reach GROUP BY ALL ORDER BY 3 DESC, 2"
    ).fetchall()
    for name, one in config.destinations.items():
        mine = {blocked: n for destination, blocked, n in rows if destination == name}
        free, total = mine.pop(None, 0), sum(n for d, _, n in rows if d == name)
        needs = "no consent is needed"
        if one.requires is not None:
            needs = f"{one.requires.purpose} by {one.requires.channel}"
        why = ", ".join(f"{n:,} {phrase(BLOCKED, b).title.lower()}" for b, n in mine.items())
        yield Finding(
            Level.OK if free else Level.WARNING,
            f"destinations.{name}.requires",
            f"{free:,} of {total:,} people may be written to ({needs}){f'; {why}' if why else ''}.",
            "" if free else "Check consent.columns, and the words of consent.granted.",
        )


def _overlaps(config: Config, found: Understanding) -> Iterator[Finding]:
    """People whom two campaigns would address at one time; a priority list has settled the rest."""
    rows = found.warehouse.connection.execute(
        "SELECT a.campaign, b.campaign, count(*) FROM candidates a JOIN candidates b"
        " ON b.profile_id = a.profile_id AND a.campaign < b.campaign"
        " WHERE a.blocked IS NULL AND b.blocked IS NULL GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    clashes = [(one, other, n) for one, other, n in rows if _meet(config, one, other)]
    for one, other, n in clashes:
        first, second = config.campaigns[one].segment, config.campaigns[other].segment
        both = f"{first} and {second}" if first != second else f"{first}, which both address"
        yield Finding(
            Level.WARNING,
            f"campaigns.{one}.segment",
            f"{n:,} people would get this campaign and {other}: they are in {both}.",
            f"Put {first} and {second} in one priority list, if one message is enough."
            if first != second
            else "Give them different segments, or make them one campaign.",
        )
    if config.campaigns and not clashes:
        yield Finding(Level.OK, "priority_lists", "Nobody would get two campaigns at a time.")


def _meet(config: Config, one: str, other: str) -> bool:
    """Whether two campaigns ever run on one day."""
    a, b = config.campaigns[one], config.campaigns[other]
    return not any(
        first.end is not None and second.start is not None and first.end < second.start
        for first, second in ((a, b), (b, a))
    )


# ---------------------------------------------------------------------- campaigns
def _skipped(config: Config, usable: Config) -> Iterator[Finding]:
    for name, one in config.campaigns.items():
        if name not in usable.campaigns:
            message = f"Not looked at: its segment {one.segment} cannot be computed."
            yield Finding(Level.NOTE, f"campaigns.{name}", message)
    if config.consent is not None and usable.consent is None:
        message = "Consents cannot be read, so nobody counts as having agreed in what follows."
        yield Finding(Level.NOTE, "consent", message)


def _provable(project: Project, config: Config, found: Understanding) -> Iterator[Finding]:
    """Arms, and the smallest effect that each campaign can show."""

    @contextlib.contextmanager
    def earlier(instant: datetime) -> Iterator[Understanding]:
        spill = project.state.folder / "spill"
        with open_warehouse(config, spill=spill) as warehouse:
            yield understand(config, project.state, warehouse, as_of=instant.astimezone(UTC))

    coming = {spec.name for spec in detectable.coming_campaigns(config, as_of=found.as_of)}
    for name, one in config.campaigns.items():
        shares = ", ".join(f"{label(arm)} {percent(s)}" for arm, s in one.arms.items() if s)
        yield Finding(Level.OK, f"campaigns.{name}.arms", f"Add up to 100 %: {shares}.")
        if name not in coming:
            yield Finding(Level.NOTE, f"campaigns.{name}.end", f"Ended on {one.end}.")
    for prospect in detectable.foresee(config, found, earlier):
        yield prospects.sensitivity(prospect, config)
        yield from prospects.budget(prospect, config)


# ---------------------------------------------------------------------- destinations
def _destination(
    config: Config, name: str, columns: Mapping[str, str] | None, vendors: Vendors
) -> Iterator[Finding]:
    """Options, properties and credentials of one destination."""
    written = specs.written(config, name)
    if columns is not None:
        for prop, (path, column) in written.items():
            if column is not None and column not in columns:
                message = f"There is no column {column!r} to fill {prop} with."
                yield Finding(Level.ERROR, path, message, did_you_mean(column, columns))
    refused: list[Finding] = []
    with contextlib.closing(_built(config, name, written, refused)) as adapter:
        yield from refused
        if written and not refused:
            message = f"{len(written)} properties, each with one owner and a good name."
            yield Finding(Level.OK, f"destinations.{name}.properties", message)
        if vendors is Vendors.ASK:
            yield from adapter.check()


def _built(
    config: Config,
    name: str,
    written: Mapping[str, tuple[str, str | None]],
    refused: list[Finding],
) -> Destination:
    """The adapter, told of campaigns' properties too: only it knows which names are good.

    Args:
        config: The configuration.
        name: The destination.
        written: From :func:`connector.pipeline.specs.written`.
        refused: Gets a finding for each property that the adapter refuses.
    """
    try:
        return build_destination(config, name, written)
    except ConfigError:
        build_destination(
            config, name, ()
        ).close()  # Where the options themselves are wrong, that is the error to tell.
    good = []
    for prop, (path, _) in written.items():
        try:
            build_destination(config, name, [prop]).close()
        except ConfigError as problem:
            refused.append(Finding(Level.ERROR, path, problem.message, problem.hint))
        else:
            good.append(prop)
    return build_destination(config, name, good)


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
