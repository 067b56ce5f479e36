"""Segments of a run: the rules of the file, and who is in them after margins and waiting times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connector.config import Config
from connector.config.models import AffinityModel, ClusterModel
from connector.config.stability import Stability as StabilityConfig
from connector.models import rfm
from connector.models.labels import Label, Registry
from connector.pipeline import specs
from connector.pipeline.located import located, text_table
from connector.pipeline.scoring.context import ScoringContext
from connector.pipeline.scoring.grid import RFM
from connector.pipeline.scoring.registers import newest_registry
from connector.pipeline.scoring.run import Scores
from connector.pipeline.understand.holding import Book, held_segments
from connector.ports import Warehouse
from connector.segments.rules import Segment, build_segment_members, compile_segments
from connector.segments.stability import Stability, settle
from connector.state.database import State
from connector.warehouse.render import literal

KEPT = "stays while the segment is held"
"""How the reason of members of a held segment begins."""


def compiled(
    config: Config,
    columns: Mapping[str, str],
    spec: rfm.RfmSpec,
    labels: Mapping[str, tuple[str, ...]],
    books: Sequence[Book] = (),
) -> tuple[Segment, ...]:
    """The rules of the file, checked.

    Args:
        config: The configuration.
        columns: Of ``scored``, with their types.
        spec: Of the RFM model.
        labels: Label columns of other models -> what they may hold.
        books: Labels of clusters and topics; a segment over one that is not there is held.

    Raises:
        ConfigError: A rule cannot be read; the line is named.
    """
    references = {f"{RFM}.group": spec.group_names, **labels}
    domains = {**references, f"{RFM}.previous_group": spec.group_names}
    further = dict(pair for book in books for pair in book.references)
    held = held_segments(config, columns, books)
    for one in specs.segment_specs(config):
        # One at a time first, so that an error names the line of its own rule.
        if one.where is not None and one.name not in held:
            path = f"segments.{one.name}.where"
            with located(config, path):
                (segment,) = compile_segments([one], columns=columns, domains=domains)
            kept = sorted(set(config.features.report_only) & set(segment.columns))
            if kept:
                raise config.config_error(
                    path,
                    f"{kept[0]} may describe a segment, but not form it",
                    "Take it out of the rule, or out of features.report_only.",
                )
    with located(config, "segments"):
        return compile_segments(
            specs.segment_specs(config),
            columns=columns,
            domains=references,
            references=further,
            held=held,
        )


def label_books(context: ScoringContext, scores: Scores) -> list[Book]:
    """The labels of every model of clusters or topics, as the file may name them."""
    books = []
    for name, settings in context.config.models.named():
        if isinstance(settings, ClusterModel | AffinityModel):
            column = specs.LABELS[settings.type]
            model: Any = scores.models.get(name)
            used = () if model is None else tuple(model.ids)
            registry = newest_registry(context, name, settings.labels, scores.files)
            if model is not None and not {label.id for label in registry.labels} >= set(used):
                registry = Registry(name, tuple(map(_label, used, model.names)))
            books.append(Book(name, column, specs.LABEL_NAMES[settings.type], registry, used))
    return books


def _label(label_id: str, name: str) -> Label:
    """A label of a model that keeps no registry."""
    return Label(label_id, "", name, date.min)


def build_members(
    config: Config,
    state: State,
    warehouse: Warehouse,
    segments: Sequence[Segment],
    *,
    as_of: datetime,
) -> None:
    """Make ``segment_members``, and ``segment_progress``: what apply will remember of it."""
    build_segment_members(warehouse, segments)
    warehouse.load("known_segments", _known(state))
    if held := [segment for segment in segments if segment.held]:
        _keep(warehouse, held)
    zone = config.project.zone
    settle(
        warehouse,
        segments,
        {segment.name: stability_of(config, segment.name) for segment in segments},
        as_of=as_of,
        today=datetime.combine(as_of.astimezone(zone).date(), time(), zone),
    )


def _keep(warehouse: Warehouse, held: Sequence[Segment]) -> None:
    """Make those who were members of held segments members by rule."""
    reasons = " ".join(
        f"WHEN {literal(one.name)} THEN {literal(f'{KEPT}: {one.held}')}" for one in held
    )
    names = ", ".join(literal(one.name) for one in held)
    warehouse.create_table_as(
        "segment_members",
        "SELECT m.segment AS segment, m.profile_id AS profile_id, m.reason AS reason"
        " FROM segment_members AS m"
        " UNION ALL SELECT k.segment AS segment, k.profile_id AS profile_id,"
        f" CASE k.segment {reasons} ELSE '' END AS reason"
        " FROM known_segments AS k JOIN scored AS s ON s.profile_id = k.profile_id"
        f" WHERE k.is_member = 1 AND k.segment IN ({names})",
    )


def stability_of(config: Config, name: str) -> Stability:
    """How slowly people move in and out of a segment."""
    one: StabilityConfig = config.segments[name].stability or config.stability
    sides = {"probability": one.margin.probability, "percentile": one.margin.percentile}
    return Stability(
        enter_after=one.enter_after,
        exit_after=one.exit_after,
        min_stay=one.min_stay,
        leaves_on_purchase="goal_reached" in one.bypass,
        margins={part: float(side.leave) for part, side in sides.items() if side.leave},
        enter_margins={part: float(side.enter) for part, side in sides.items() if side.enter},
    )


def _known(state: State) -> pa.Table:
    """Segment states of the last applied run, under the present profile ids.

    Of merged people the one who is a member counts, and the longest stay.
    """
    rows = text_table(
        state.arrow(
            {
                "known": "SELECT s.segment AS segment,"
                " coalesce(m.into_profile_id, s.profile_id) AS profile_id,"
                " CAST(max(s.is_member) AS TEXT) AS is_member, min(s.since) AS since,"
                " CAST(max(s.streak) AS TEXT) AS streak, max(s.last_as_of) AS last_as_of"
                " FROM segment_state s"
                " LEFT JOIN profile_merges m ON m.from_profile_id = s.profile_id"
                " GROUP BY 1, 2"
            }
        )["known"]
    )
    for name in ("is_member", "streak"):
        rows = rows.set_column(rows.column_names.index(name), name, pc.cast(rows[name], pa.int64()))
    for name in ("since", "last_as_of"):
        # The state's texts end in Z, which an instant without a zone does not.
        instants = pc.cast(pc.utf8_rtrim(rows[name], "Z"), pa.timestamp("us"))
        rows = rows.set_column(rows.column_names.index(name), name, instants)
    return rows
