"""Published artifacts: what the report, the web page and BI tools read, without personal data.

Each run writes ``state/runs/<run_id>/``: ``summary.json`` (segments, RFM grid, quality, the plan's
header, what was delivered), ``scores.parquet`` (features and scores under profile ids),
``memberships.parquet`` (segments with reasons, and arms), ``models.json`` (the card of every model)
and ``segments.json`` (sizes, joins, leaves and who moved since the run before, so that trends can
be drawn); ``demand.parquet`` (orders to expect by segment and category, with an 80 % range and
the error of such numbers in the past) where a value model and order lines tell them;
``outliers.parquet`` and ``pairs.parquet`` (:mod:`.crowds`). They are
computed with the plan and published when it is applied.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from connector.config.models import ClvModel
from connector.pipeline.show.crowds import OUTLIERS, PAIRS, write_crowds
from connector.pipeline.show.movement import Flow, Move, flows, moves
from connector.pipeline.show.standing import Standing, standings
from connector.plan.document import Plan

if TYPE_CHECKING:
    from connector.pipeline.activate.applying import ApplyReport
    from connector.pipeline.scoring.demand import Demand
    from connector.pipeline.understand.act import Understanding
    from connector.state.journal import Journal

PRIVATE = frozenset(
    {
        *("email", "phone", "customer_id"),
        # A birth year and a town under one pseudonym often single a person out.
        *("birth_year", "city", "country", "acquisition_channel", "created_at"),
    }
)
"""Columns of ``scored`` that are never published: scores go out, people do not."""

FOLDER = "published"

COPIED = (
    *("scores.parquet", "memberships.parquet", "demand.parquet", OUTLIERS, PAIRS),
    *("models.json", "segments.json"),
)
"""Files of a plan that its run publishes as they are."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a plan shows of models and segments.

    Attributes:
        models: Every model as it stands.
        changed: Every segment against the last applied run.
        moved: People who are elsewhere than at the last applied run.
    """

    models: tuple[Standing, ...]
    changed: tuple[Flow, ...]
    moved: tuple[Move, ...]

    @property
    def short(self) -> tuple[dict[str, Any], ...]:
        """The models, as a plan's header has them."""
        return tuple(one.short() for one in self.models)

    @property
    def flows(self) -> tuple[dict[str, object], ...]:
        """The segments, as a plan's header has them."""
        return tuple(one.to_json() for one in self.changed)

    @property
    def moves(self) -> tuple[dict[str, object], ...]:
        """Who moved, as a plan's header has it."""
        return tuple(one.to_json() for one in self.moved)


def describe_models(
    found: Understanding, journal: Journal, versions: Mapping[str, int] | None = None
) -> Shown:
    """Models with their cards, and who is elsewhere than at the last applied run.

    Args:
        found: The first act.
        journal: Read for models that were refused earlier.
        versions: Model -> version in the state, where new ones have been stored meanwhile.
    """
    config, warehouse = found.context.config, found.warehouse
    return Shown(
        standings(found, journal, versions), flows(config, warehouse), moves(config, warehouse)
    )


def write_published(found: Understanding, plan: Plan, shown: Shown) -> None:
    """Write the artifacts of a plan into a folder of the plan's own."""
    folder = plan.folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    con = found.warehouse.connection
    kept = ", ".join(f'"{name}"' for name in found.columns if name not in PRIVATE)
    queries = {
        "scores": f"SELECT {kept} FROM scored ORDER BY profile_id",
        "memberships": "SELECT m.segment, m.profile_id, m.reason, k.campaign, a.arm, a.offer,"
        " k.blocked FROM segment_members m"
        " LEFT JOIN candidates k ON k.segment = m.segment AND k.profile_id = m.profile_id"
        " LEFT JOIN arms a ON a.campaign = k.campaign AND a.profile_id = k.profile_id"
        " ORDER BY m.segment, m.profile_id, k.campaign",
    }
    for name, sql in queries.items():
        reader = con.sql(sql).to_arrow_reader(100_000)
        with pq.ParquetWriter(
            folder / f"{name}.parquet", reader.schema, compression="zstd"
        ) as writer:
            for batch in reader:
                writer.write_batch(batch)
    _write_demand(found, folder)
    write_crowds(found, folder)
    documents: Mapping[str, Any] = {
        "understanding": describe(found),
        "models": [one.to_json() for one in shown.models],
        "segments": {
            "as_of": found.as_of.isoformat(),
            "segments": shown.flows,
            "moves": shown.moves,
        },
    }
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(
            json.dumps(document, ensure_ascii=False, indent=2, default=str), encoding="utf-8"
        )


def _write_demand(found: Understanding, folder: Path) -> None:
    """Write orders to expect by segment and category, where a value model and lines tell them."""
    tables = [
        pa.Table.from_pandas(one.table, preserve_index=False)
        for one in demands(found).values()
        if len(one.table)
    ]
    if tables:
        pq.write_table(
            pa.concat_tables(tables, promote_options="permissive"),
            folder / "demand.parquet",
            compression="zstd",
        )


def demands(found: Understanding) -> dict[str, Demand]:
    """Value model -> orders to expect, with the errors of the backtest."""
    config, made = found.context.config, {}
    for name, settings in config.models.named():
        if isinstance(settings, ClvModel) and name in found.scores.models:
            # Imported here: it takes scikit-learn along, which is loaded for models alone.
            from connector.pipeline.scoring import demand

            members = found.warehouse.connection.sql(
                "SELECT profile_id, segment FROM segment_members"
            ).to_arrow_table()
            scores: Any = found.scores.models[name]
            made[name] = demand.forecast(
                found.context, name, settings, members.to_pandas(), scores, found.segments
            )
    return made


def describe(found: Understanding) -> dict[str, Any]:
    """Counts and money of segments and the RFM grid, and the data's health, as plain values."""
    con = found.warehouse.connection
    model = found.rfm_model
    r, f, m, _, group = (f'"{name}"' for name in model.columns)
    (n_profiles, revenue) = con.execute(
        "SELECT count(*), coalesce(sum(revenue_365d), 0) FROM scored"
    ).fetchall()[0]
    return {
        "as_of": found.as_of.isoformat(),
        "n_profiles": n_profiles,
        "revenue_365d": float(revenue),
        "segments": [
            {"name": name, "people": people, "revenue_365d": float(revenue or 0)}
            for name, people, revenue in con.execute(
                "SELECT m.segment, count(*), sum(s.revenue_365d) FROM segment_members m"
                " JOIN scored s USING (profile_id) GROUP BY 1 ORDER BY 1"
            ).fetchall()
        ],
        "rfm": {
            "model": model.to_dict(),
            "cells": [
                {"r": score_r, "f": score_f, "people": people, "revenue": float(revenue or 0)}
                for score_r, score_f, people, revenue in con.execute(
                    f"SELECT {r}, {f}, count(*), sum(monetary) FROM scored WHERE {r} IS NOT NULL"
                    f" GROUP BY 1, 2"
                    " ORDER BY 1, 2"
                ).fetchall()
            ],
            "money": [
                {"m": score, "people": people, "revenue": float(revenue or 0)}
                for score, people, revenue in con.execute(
                    f"SELECT {m}, count(*), sum(monetary) FROM scored WHERE {m} IS NOT NULL"
                    " GROUP BY 1 ORDER BY 1"
                ).fetchall()
            ],
            "groups": [
                {"name": name, "people": people, "revenue": float(revenue or 0)}
                for name, people, revenue in con.execute(
                    f"SELECT {group}, count(*), sum(monetary) FROM scored GROUP BY 1 ORDER BY 1"
                ).fetchall()
            ],
        },
        "findings": [
            {"level": x.level.value, "subject": x.subject, "message": x.message, "hint": x.hint}
            for x in found.findings
        ],
        "quality": [
            {"table": line.table, "measure": line.measure, "n": line.n}
            for line in found.quality.lines
        ],
    }


def publish_run(state_folder: Path, plan: Plan, report: ApplyReport) -> Path:
    """Publish a plan's artifacts under the run that carried it out; returns the folder."""
    folder = state_folder / "runs" / report.run_id
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    source = plan.folder / FOLDER
    for name in COPIED:
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)
    understanding = source / "understanding.json"
    (folder / "summary.json").write_text(
        json.dumps(
            {
                "understanding": json.loads(understanding.read_text(encoding="utf-8"))
                if understanding.exists()
                else None,
                "plan": plan.header.to_json(),
                "apply": report.to_json(),
            },
            ensure_ascii=False,
            indent=2,
            default=str,
        ),
        encoding="utf-8",
    )
    return folder
