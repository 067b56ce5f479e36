"""Everything that ``liftline check`` looks at before anything is sent; it writes nothing anywhere.

The order is that of the file: what is read, the model, the segments, the destinations, the
campaigns. A part that fails is a finding of its own and never stops the others, because somebody
who sets up a project wants to hear of everything at once. Vendors are asked for credentials and
scopes only; whom they know is the plan's business.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connector import holdouts
from connector.config import Config, lint
from connector.config.problems import did_you_mean
from connector.domain import Finding, Level
from connector.errors import ConfigError, LiftlineError
from connector.log import place, trace
from connector.numbers import several
from connector.pipeline import specs
from connector.pipeline.activate.notes import changed_in_file
from connector.pipeline.check import campaigns as check_campaigns
from connector.pipeline.check import data as check_data
from connector.pipeline.project import build_destination
from connector.pipeline.prove.detectable import Prospect
from connector.pipeline.scoring.grid import RFM
from connector.pipeline.show.standing import Standing
from connector.pipeline.understand.diagnose import Survey, survey
from connector.ports import Destination

if TYPE_CHECKING:
    from connector.pipeline.project import Project

logger = logging.getLogger(__name__)


class Vendors(enum.Enum):
    """Whether destinations are asked."""

    ASK = "ask"
    """Try credentials and scopes over the network."""
    LEAVE = "leave"
    """Build the adapters, which checks their options, and call nobody."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        findings: In the order of the file. Subjects are key paths of the configuration.
        prospects: What each comparison of each campaign will be able to show; each has a finding of
            the same subject.
        power: The probability with which an effect is to be found (0-1).
        wanted: The effect that somebody wants to see (0.03 = 3 %).
        models: Every model as the next plan would use it.
        currency: Of errors in money.
    """

    findings: tuple[Finding, ...]
    prospects: tuple[Prospect, ...]
    power: float
    wanted: float
    models: tuple[Standing, ...] = ()
    currency: str = ""

    @property
    def has_models(self) -> bool:
        """Whether the file has other models than RFM."""
        return any(one.kind != RFM for one in self.models)

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "prospects": [prospect.to_json() for prospect in self.prospects],
            "power": self.power,
            "detect": self.wanted,
            "models": [one.to_json() for one in self.models],
        }


def check(
    project: Project, *, as_of: datetime | None = None, vendors: Vendors = Vendors.ASK
) -> Checked:
    """Look at everything before anything is sent.

    Args:
        project: The project; neither its state nor any source or vendor is written to.
        as_of: Overrides the file's instant.
        vendors: Whether destinations are called.

    Returns:
        What was found, and what each campaign will be able to show.
    """
    config = project.config
    instant = as_of or config.project.instant(project.now)
    report, foreseen, standing = _Report(), list[Prospect](), list[Standing]()
    report.part("project", lambda: _file(config))
    report.part("holdouts.assign.salt", lambda: _salt(project))
    with contextlib.ExitStack() as stack:
        seen: list[Survey] = []
        report.part(
            "sources",
            lambda: check_data.first_act(
                seen, stack.enter_context(survey(config, project.state, as_of=instant))
            ),
        )
        report.part(f"models.{RFM}.groups", lambda: check_data.grid(config))
        reached = seen[0] if seen else None
        if reached is not None and reached.found is not None:
            found, usable = reached.found, reached.config
            report.part(f"models.{RFM}", lambda: check_data.model(project, found))
            report.part("models", lambda: check_data.models(project, found, standing))
            report.part("metrics", lambda: check_data.metrics(config, found))
            report.part("segments", lambda: check_data.segments(usable, found))
            report.part("campaigns", lambda: check_campaigns.reachable(usable, found))
            report.part("priority_lists", lambda: check_campaigns.overlaps(usable, found))
            report.part("campaigns", lambda: check_campaigns.skipped(config, usable))
            report.part(
                "campaigns",
                lambda: changed_in_file(project.journal, usable, as_of=found.as_of),
            )
            report.part("campaigns", lambda: check_campaigns.rankings(usable, found))
            report.part(
                "campaigns", lambda: check_campaigns.provable(project, usable, found, foreseen)
            )
        columns = reached.found.columns if reached and reached.found else None
    for name in config.destinations:
        report.part(f"destinations.{name}", lambda: _destination(config, name, columns, vendors))  # noqa: B023 - called at once
    return Checked(
        tuple(report.findings),
        tuple(foreseen),
        config.power,
        config.detect,
        tuple(standing),
        config.project.currency,
    )


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
            logger.info("looking at %s failed:\n%s", subject, trace(problem))
            message = f"This could not be looked at ({place(problem)})."
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
            named = "with one owner and a good name"
            each = named if len(written) == 1 else f"each {named}"
            message = f"{several(len(written), 'property', 'properties')}, {each}."
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
