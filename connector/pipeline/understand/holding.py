"""Segments over clusters and topics whose label nobody knows yet, or any more.

Labels come and go: a cluster has no name of its own before somebody writes one, and may come apart
later. A segment that names such a label is not wrong, it is early or late. It keeps its members as
they are and says so, rather than fail the run of everybody else or tell a vendor that all of its
members have left.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from connector.config import Config
from connector.domain import Finding, Level
from connector.models.labels import Registry, slug
from connector.pipeline import specs
from connector.segments.rules import SegmentSpec, unknown_labels
from connector.warehouse.dialect import ExpressionError, parse_condition


@dataclass(frozen=True, slots=True)
class Book:
    """The labels of one model as segments may name them.

    Attributes:
        model: Its name.
        column: Column of the label's id, without the model's name.
        text: Column of the label's name, likewise.
        registry: Every label that the model ever had.
        used: Ids of the labels of the model in use; none where no model is.
    """

    model: str
    column: str
    text: str
    registry: Registry
    used: tuple[str, ...]

    @property
    def references(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """``personas.deal_hunters`` -> the column of the id, and the id; for each way to write."""
        for label in self.registry.require(self.used):
            for written in dict.fromkeys((label.id, label.shown, slug(label.shown))):
                yield f"{self.model}.{written}", (f"{self.model}.{self.column}", label.id)

    @property
    def domains(self) -> dict[str, tuple[str, ...]]:
        """What the label columns may hold."""
        return {
            f"{self.model}.{self.column}": self.used,
            f"{self.model}.{self.text}": self.registry.shown(self.used),
        }

    def why(self, label: str) -> str:
        """Why a label is not there, and what may be meant, in a sentence."""
        for one in self.registry.labels:
            if one.retired is not None and label in (one.id, one.shown, slug(one.shown)):
                heirs = [x.shown for x in self.registry.labels if one.id in x.parents]
                became = f"; of it came {' and '.join(f'«{x}»' for x in heirs)}" if heirs else ""
                return f"«{one.shown}» is found no longer since {one.retired}{became}."
        known = [x.shown for x in self.registry.require(self.used)]
        near = difflib.get_close_matches(label, [*known, *map(slug, known)], n=1, cutoff=0.8)
        meant = f" Did you mean '{near[0]}'?" if near else ""
        if not self.used:
            return f"{self.model} has no model in use yet."
        return f"{self.model} has no label '{label}'.{meant}"


def held_segments(
    config: Config, columns: Mapping[str, str], books: Iterable[Book]
) -> dict[str, str]:
    """Segment -> why it is held, those included that are made of a held one.

    Args:
        config: The configuration.
        columns: Columns of ``scored`` with their types.
        books: Of every model with labels.
    """
    shelf = {book.model: book for book in books}
    held: dict[str, str] = {}
    for spec in specs.segment_specs(config):
        reason = next(_reasons(spec, config.segments, columns, shelf), None)
        if reason is not None:
            held[spec.name] = reason
    while more := {
        spec.name: f"it is made of {source}, which is held."
        for spec in specs.segment_specs(config)
        if spec.name not in held
        for source in spec.members_of
        if source in held
    }:
        held |= more
    return held


def held_findings(held: Mapping[str, str]) -> list[Finding]:
    """What is held, and what to do."""
    return [
        Finding(
            Level.WARNING,
            f"segments.{name}",
            f"Held with its members as they are: {reason}",
            "Write a label that there is, or give one this name in the registry of labels.",
        )
        for name, reason in held.items()
    ]


def _reasons(
    spec: SegmentSpec,
    segments: Collection[str],
    columns: Mapping[str, str],
    shelf: Mapping[str, Book],
) -> Iterator[str]:
    for reference in spec.members_of:
        model, _, label = reference.partition(".")
        if model in shelf and reference not in {*segments, *dict(shelf[model].references)}:
            yield shelf[model].why(label)
    if spec.where is None:
        return
    lost = _lost_columns(spec.where, columns, shelf)
    try:
        condition = parse_condition(
            spec.where, columns={**columns, **dict.fromkeys(lost, "DOUBLE")}, what=spec.name
        )
    except ExpressionError:
        return  # Wrong for another reason, which the compiler tells with its line.
    for column in sorted(lost & condition.columns):
        model, _, label = column.partition(".")
        yield shelf[model].why(label)
    for book in shelf.values():
        for _, label in unknown_labels(condition, book.domains):
            yield book.why(label)


def _lost_columns(text: str, columns: Mapping[str, str], shelf: Mapping[str, Book]) -> set[str]:
    """Columns of topics that a condition names and that are not there."""
    found: set[str] = set()
    for model in shelf:
        found |= set(re.findall(rf"(?<![\w.]){re.escape(model)}\.\w+", text))
    return found - set(columns)
