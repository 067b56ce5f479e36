"""Segments of a run: the rules of the file, and who is in them after margins and waiting times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time

import pyarrow as pa
import pyarrow.compute as pc

from connector.config import Config
from connector.config.stability import Stability as StabilityConfig
from connector.models import rfm
from connector.pipeline import specs
from connector.pipeline.located import located, text_table
from connector.pipeline.scoring.grid import RFM
from connector.ports import Warehouse
from connector.segments.rules import Segment, build_segment_members, compile_segments
from connector.segments.stability import Stability, settle
from connector.state.database import State


def compiled(
    config: Config,
    columns: Mapping[str, str],
    spec: rfm.RfmSpec,
    labels: Mapping[str, tuple[str, ...]],
) -> tuple[Segment, ...]:
    """The rules of the file, checked.

    Args:
        config: The configuration.
        columns: Of ``scored``, with their types.
        spec: Of the RFM model.
        labels: Label columns of other models -> what they may hold.

    Raises:
        ConfigError: A rule cannot be read; the line is named.
    """
    references = {f"{RFM}.group": spec.group_names, **labels}
    domains = {**references, f"{RFM}.previous_group": spec.group_names}
    for one in specs.segment_specs(config):
        # One at a time first, so that an error names the line of its own rule.
        if one.where is not None:
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
        return compile_segments(specs.segment_specs(config), columns=columns, domains=references)


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
    zone = config.project.zone
    settle(
        warehouse,
        segments,
        {segment.name: stability_of(config, segment.name) for segment in segments},
        as_of=as_of,
        today=datetime.combine(as_of.astimezone(zone).date(), time(), zone),
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
