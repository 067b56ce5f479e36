"""The RFM model of a run: which cut points are used, and where people were before."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

from connector.config import Config
from connector.errors import ModelError
from connector.models import rfm, store
from connector.pipeline.located import text_table
from connector.ports import Warehouse
from connector.state.database import State, parse_utc
from connector.state.journal import Journal

RFM = "rfm"


def choose_cuts(
    config: Config,
    journal: Journal,
    warehouse: Warehouse,
    spec: rfm.RfmSpec,
    *,
    as_of: datetime,
    retrain: bool,
) -> tuple[rfm.RfmModel, int | None]:
    """The stored model, or a new one where it is due; a changed map needs no refit.

    Returns:
        The model, and its version in the state; None when it is new.
    """
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


def load_known_labels(warehouse: Warehouse, state: State) -> None:
    """Make ``known_labels``: what every model called each person at the last applied run."""
    rows = state.arrow(
        {
            "labels": "SELECT l.model AS model,"
            " coalesce(m.into_profile_id, l.profile_id) AS profile_id, l.label AS label,"
            " coalesce(l.previous_label, '') AS previous_label FROM labels l"
            " LEFT JOIN profile_merges m ON m.from_profile_id = l.profile_id"
        }
    )["labels"]
    warehouse.load("known_labels", text_table(rows))


def previous_groups(warehouse: Warehouse) -> None:
    """Make ``rfm_history``: each person's group before the present one."""
    warehouse.create_table_as(
        "rfm_history",
        f'SELECT s.profile_id AS profile_id, CASE WHEN l.label <> s."{RFM}.group" THEN l.label'
        f" ELSE nullif(l.previous_label, '') END AS \"{RFM}.previous_group\""
        " FROM rfm_scores AS s LEFT JOIN (SELECT k.profile_id AS profile_id, min(k.label) AS label,"
        f" min(k.previous_label) AS previous_label FROM known_labels AS k WHERE k.model = '{RFM}'"
        " GROUP BY k.profile_id) AS l ON l.profile_id = s.profile_id",
    )


def migration(
    journal: Journal, warehouse: Warehouse, model: rfm.RfmModel
) -> tuple[rfm.Migration, ...]:
    """Whom the model moves, compared with the one that the last run used."""
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
