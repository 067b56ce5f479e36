"""Scores that another tool made: a table of a source, judged like a model of our own."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from connector.config.models import ExternalScores, PropensityModel
from connector.models.propensity.external import ExternalModel, ExternalSpec, accept, judge
from connector.models.propensity.snapshots import Snapshot
from connector.models.propensity.spec import Profit, PublishIf
from connector.pipeline.scoring.btyd import BTYD
from connector.pipeline.scoring.context import ScoringContext, load_frame
from connector.warehouse.render import quote

KEYS = {
    "customer_id": ("profile_customers", "customer_id"),
    "email": ("profile_emails", "email"),
    "profile_id": ("profiles", "profile_id"),
}
"""What the table's person is -> where its profile is found."""


def judged(
    context: ScoringContext, name: str, settings: PropensityModel, past: list[Snapshot]
) -> ExternalModel:
    """The scores of the table, judged on earlier exports whose outcome is known.

    Args:
        context: The run's data.
        name: The model's name.
        settings: With ``external``.
        past: Cut-offs with outcomes and naive rules; their features are replaced by the scores.

    Raises:
        InsufficientDataError: There is no earlier export to judge by.
    """
    spec = _spec(name, settings)
    export = _export(context, name, settings)
    snapshots = []
    for one in past:
        then = accept(spec, export, people=one.label.index, as_of=one.as_of).scores
        if then.empty:
            continue
        rules = None if one.baselines is None else one.baselines.loc[then.index]
        snapshots.append(Snapshot(one.as_of, then, one.label.loc[then.index], rules))
    now = accept(spec, export, people=_people(context, name, settings), as_of=context.as_of)
    return judge(spec, snapshots, now, as_of=context.as_of)


def score(
    context: ScoringContext,
    name: str,
    settings: PropensityModel,
    model: ExternalModel,
    output: str,
) -> None:
    """Pass today's scores on, with their percentile."""
    people = _people(context, name, settings)
    found = accept(
        _spec(name, settings), _export(context, name, settings), people=people, as_of=context.as_of
    )
    load_frame(context.warehouse, output, model.predict(found.scores).add_prefix(f"{name}."))


def profit_of(settings: PropensityModel) -> Profit | None:
    """What a response brings and a contact costs, where the file says so."""
    said = settings.profit
    return None if said is None else Profit(float(said.value), float(said.cost))


def _table(settings: PropensityModel) -> ExternalScores:
    if settings.external is None:
        raise TypeError(settings)
    return settings.external


def _spec(name: str, settings: PropensityModel) -> ExternalSpec:
    gates = settings.publish_if
    table = _table(settings)
    return ExternalSpec(
        name=name,
        window_days=settings.predict_window.days,
        scale=float(table.scale),
        max_age_days=table.max_age.days,
        publish_if=PublishIf(
            gates.positives_at_least, gates.auc_at_least, gates.beats, gates.ece_at_most
        ),
        leakage_alarm_at=settings.leakage_alarm_at,
        probability_baselines=(BTYD,),
        profit=profit_of(settings),
    )


def _people(context: ScoringContext, name: str, settings: PropensityModel) -> pd.Index:
    where = context.condition(settings.eligible, f"models.{name}.eligible")
    return context.frame([], where=where).index


def _export(context: ScoringContext, name: str, settings: PropensityModel) -> pd.DataFrame:
    """Every export that the table holds, under profile ids.

    Raises:
        ConfigError: The table or a column of it does not exist; the line is named.
    """
    table = _table(settings)
    path = f"models.{name}.external"
    columns = context.warehouse.columns(table.source)
    for key in ("person", "score", "scored_at"):
        if getattr(table, key) not in columns:
            raise context.config.config_error(
                f"{path}.{key}" if columns else f"{path}.from",
                f"{table.source} has no column {getattr(table, key)}"
                if columns
                else f"there is no table {table.source}",
                f"It has {', '.join(columns)}." if columns else "Check `from` and the source.",
            )
    relation, key = KEYS[table.key]
    source = ".".join(quote(part) for part in table.source.split("."))
    person = f"as_text(e.{quote(table.person)})"
    if table.key == "email":
        person = f"lower(trim({person}))"
    reader = context.warehouse.batches(
        f"SELECT k.profile_id AS profile_id, CAST(e.{quote(table.score)} AS DOUBLE) AS score,"
        f" CAST(e.{quote(table.scored_at)} AS TIMESTAMP) AS scored_at"
        f" FROM {source} AS e JOIN {relation} AS k ON k.{quote(key)} = {person}"
    )
    frame: pd.DataFrame = pa.Table.from_batches(list(reader), reader.schema).to_pandas()
    return frame
