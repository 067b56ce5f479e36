"""What ``liftline check`` says of what is read: sources, tables, cut points, metrics, segments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from connector.config import Config
from connector.config.data import DATABASES
from connector.domain import Finding, Level
from connector.errors import LiftlineError
from connector.lift.metrics import ORDERS, MetricKind
from connector.lift.units import units_sql
from connector.models.card import ModelCard
from connector.numbers import percent, several
from connector.pipeline import specs
from connector.pipeline.prove.measure import mapped
from connector.pipeline.scoring.grid import RFM
from connector.pipeline.show.standing import Standing, Use, standings
from connector.pipeline.understand.act import Understanding
from connector.pipeline.understand.diagnose import Survey
from connector.report import model_words
from connector.report.data import UNREADABLE
from connector.report.format import iso_day
from connector.report.words import left_out
from connector.state.database import parse_utc

if TYPE_CHECKING:
    from connector.pipeline.project import Project


# ---------------------------------------------------------------------- what is read
def first_act(seen: list[Survey], reached: Survey) -> Iterator[Finding]:
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
        if source.type in DATABASES:
            n_tables = len(found.warehouse.tables(name))
            message = f"The database can be read: {several(n_tables, 'table')}."
        else:
            message = f"The {_KINDS[source.type]} can be read."
        yield Finding(Level.OK, f"sources.{name}", message)
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
_KINDS = {"csv": "CSV files", "parquet": "Parquet files"}
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
                f"{several(measures.get('profiles', 0), 'person is', 'people are')} on it"
                f" ({several(measures.get('entries', 0), 'entry', 'entries')}).",
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
        parts = ", ".join(f"{n:,} {left_out(name)}" for name, n in set_aside.items())
        done = "Read" if step.startswith("in_") else "Cleaned"
        total = f" {several(rows, 'row')}, among them" if rows else ":"
        # A rule of the file sets rows aside on purpose; a value that cannot be read is a fault.
        is_fault = any(name.startswith(UNREADABLE) for name in set_aside)
        yield Finding(
            Level.WARNING if is_fault else Level.NOTE,
            subject,
            f"{done}{total} {parts}.",
            "Look at how the source writes the column that could not be read." if is_fault else "",
        )


# ---------------------------------------------------------------------- models and metrics
def grid(config: Config) -> Iterator[Finding]:
    """The map of RFM groups."""
    spec = specs.rfm_spec(config)
    found = spec.check()
    yield from found
    if not found:
        r, f, m = spec.bins
        message = f"All {r * f * m} cells have a group, and every group can be reached."
        yield Finding(Level.OK, f"models.{RFM}.groups", message)


def model(project: Project, found: Understanding) -> Iterator[Finding]:
    """The RFM model's cut points, and whom new ones move."""
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
        day = iso_day(parse_utc(fitted_at), project.config.project.timezone)
        fitted = f"{day} (version {version})"
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


def models(project: Project, found: Understanding, kept: list[Standing]) -> Iterator[Finding]:
    """Every other model: how good it is beside the best naive rule, and what is wrong with it.

    Args:
        project: Whose state knows earlier fits.
        found: The first act.
        kept: Gets every model as the next plan would use it.
    """
    kept += standings(found, project.journal)
    currency = project.config.project.currency
    for one in kept:
        if one.kind == RFM:
            continue
        subject = f"models.{one.name}"
        if one.card is not None:
            said = _fitted(one, one.card, currency, project.config.project.timezone)
            yield Finding(Level.OK, subject, said)
        for finding in found.findings:
            if finding.subject == subject or finding.subject.startswith(f"{subject}."):
                yield finding


def _fitted(one: Standing, card: ModelCard, currency: str, timezone: str) -> str:
    """One model in a sentence."""
    when = f"of {iso_day(card.as_of, timezone)} (version {one.version})"
    if one.use is Use.NEW:
        when = "as the next plan would fit it"
    people = several(card.n_people, "person", "people")
    text = f"{model_words.algorithm(card.algorithm)} {when}, {people}"
    told = one.contest
    if told is not None:
        value = model_words.figure(told.measure, told.value, currency)
        text += f"; {model_words.measure(told.measure)} {value}"
        if told.baseline is not None:
            beside = model_words.figure(told.measure, told.baseline, currency)
            text += f", best naive rule {beside} ({model_words.rule(told.rule)})"
    gates = several(len(card.gates), "gate holds", "gates hold")
    return f"{text}; {gates}." if card.gates else f"{text}."


def metrics(config: Config, found: Understanding) -> Iterator[Finding]:
    """Metrics whose columns are not there."""
    columns = found.warehouse.columns(ORDERS)
    inputs = mapped(config, found.context.warehouse)
    for name, metric in config.measured.items():
        try:
            spec = specs.metric_spec(name, metric)
            if spec.kind is not MetricKind.DELTA:
                units_sql(
                    [spec],
                    order_columns=columns,
                    as_of=found.as_of,
                    campaigns=["any"],
                    inputs=inputs,
                )
        except LiftlineError as problem:
            yield Finding(Level.ERROR, f"metrics.{name}", problem.message, problem.hint)


# ---------------------------------------------------------------------- segments
def segments(config: Config, found: Understanding) -> Iterator[Finding]:
    """How large each segment is."""
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
                f"Nobody is in it, so {listed(users)} would address nobody.",
                "Loosen the rule; `liftline explain` shows for one person what is missing.",
            )
        else:
            yield Finding(Level.NOTE, f"segments.{name}", "Nobody is in it.")


def listed(names: list[str]) -> str:
    """Names in a row, such as ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
