"""Uplift: people of past randomised arms as they were when their arm was drawn, and what followed.

Features are computed as of the instant at which each person's clock started, never later: what
treatment has done since must not be among what it is explained by. A run assigns everybody new at
one instant, so there are as many instants as runs; a long history of them is cut into stretches
(:data:`MOST_INSTANTS`), and features are then those at a stretch's first instant, which is earlier
than the person's own and so gives nothing away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC

import pandas as pd
import pyarrow as pa

from connector.config.models import UpliftModel as Settings
from connector.domain import Arm
from connector.errors import InsufficientDataError
from connector.lift.metrics import ASSIGNMENTS, ORDERS, MetricKind, MetricSpec
from connector.lift.outcome import outcome_of
from connector.lift.units import units_sql
from connector.models.card import ScoreColumn
from connector.models.uplift import PublishIf, Trials, UpliftModel, UpliftSpec, fit
from connector.models.uplift.model import columns
from connector.pipeline import specs
from connector.pipeline.prove.measure import mapped
from connector.pipeline.prove.outcomes import load_withdrawals
from connector.pipeline.scoring.context import ScoringContext, load_frame
from connector.pipeline.scoring.kinds import Fitted, Kind
from connector.pipeline.scoring.past_arms import PastArms
from connector.warehouse.render import quote

MOST_INSTANTS = 60
"""So many instants are computed for training; more are cut into as many stretches."""

LEARNED = (MetricKind.SUM, MetricKind.COUNT, MetricKind.SHARE)
"""Kinds of metrics that are a number of one person, and something that happened."""

OUTCOMES = "training_units"


def _fit(
    context: ScoringContext, name: str, settings: Settings, _before: UpliftModel | None
) -> Fitted:
    metric = _metric(context, name, settings)
    past = context.past_arms(settings.train_on.campaign)
    control = _control(settings, past)
    people = _people(context, name, settings, metric, past, control)
    inputs = context.model_inputs(settings.features, f"models.{name}.features")
    rules = context.model_rules(settings.publish_if.beats, f"models.{name}.publish_if.beats")
    instants = _instants(people["first_eligible_at"])
    known = _known_then(context, name, tuple(dict.fromkeys((*inputs, *rules))), people, instants)
    people, instants = people.loc[known.index], instants.loc[known.index]
    stale = (people["first_eligible_at"] - instants).max()
    gates = settings.publish_if
    model = fit(
        UpliftSpec(
            name=name,
            campaign=settings.train_on.campaign,
            metric=metric.name,
            unit=_unit(context, metric),
            learner=settings.learner,
            algorithm=settings.algorithm,
            publish_if=PublishIf(
                qini_ci_low_above=float(gates.qini_ci_low_above),
                min_per_arm=settings.train_on.min_per_arm,
            ),
            confidence=context.config.measurement.confidence,
            missing=context.missing,
        ),
        Trials(
            features=known[list(inputs)],
            outcome=people["outcome"],
            treated=people["treated"],
            chance=people["chance"],
            rules=known[list(rules)],
        ),
        as_of=context.as_of,
        data_from=people["first_eligible_at"].min().to_pydatetime().replace(tzinfo=UTC),
        rng=context.rng(name),
        notes=_notes(settings, control, stale),
    )
    return Fitted(model)


def _metric(context: ScoringContext, name: str, settings: Settings) -> MetricSpec:
    """The outcome: the one that the model names, or the campaign's goal.

    Raises:
        ConfigError: It is no number of one person.
    """
    config = context.config
    chosen = settings.metric or config.campaigns[settings.train_on.campaign].goal
    metric = specs.metric_spec(chosen, config.metrics[chosen])
    if metric.kind not in LEARNED:
        path = f"models.{name}.{'metric' if settings.metric else 'train_on'}"
        raise config.config_error(
            path,
            f"{chosen} is no number of one person that an effect could be learned of",
            f"Name a metric that is a {', a '.join(LEARNED)}.",
        )
    return metric


def _unit(context: ScoringContext, metric: MetricSpec) -> str:
    """What one person's outcome is in."""
    if metric.kind is MetricKind.SHARE:
        return "share (0-1)"
    is_money = outcome_of(metric, context.config.project.currency).is_money
    return "currency" if is_money else metric.expression.replace("_", " ")


def _control(settings: Settings, past: PastArms) -> Arm:
    """The arm that treatment is compared with: as the file says, else no contact where there is."""
    if settings.train_on.control is not None:
        return Arm(settings.train_on.control)
    there = set(past.people["arm"].to_pylist())
    bau_alone = Arm.BUSINESS_AS_USUAL.value in there and Arm.NO_CONTACT.value not in there
    return Arm.BUSINESS_AS_USUAL if bau_alone else Arm.NO_CONTACT


def _people(
    context: ScoringContext,
    name: str,
    settings: Settings,
    metric: MetricSpec,
    past: PastArms,
    control: Arm,
) -> pd.DataFrame:
    """Everybody of the two arms whose window has closed.

    Returns:
        Index ``profile_id`` and ``epoch``; ``outcome``, ``treated``, ``chance`` and
        ``first_eligible_at``.

    Raises:
        InsufficientDataError: There is nobody.
    """
    warehouse, campaign = context.warehouse, settings.train_on.campaign
    warehouse.load(ASSIGNMENTS, past.people)
    warehouse.create_table_as(
        OUTCOMES,
        units_sql(
            [metric],
            order_columns=warehouse.columns(ORDERS),
            as_of=context.as_of,
            campaigns=[campaign],
            inputs=replace(
                mapped(context.config, warehouse),
                has_withdrawals=load_withdrawals([metric], context.config, warehouse),
            ),
        ),
    )
    reader = warehouse.batches(
        "SELECT u.profile_id AS profile_id, CAST(u.epoch AS BIGINT) AS epoch, u.arm AS arm,"
        " a.offer AS offer,"
        f" a.config_version AS config_version, a.first_eligible_at AS first_eligible_at,"
        f" u.{quote(metric.name)} AS outcome FROM {OUTCOMES} AS u JOIN {ASSIGNMENTS} AS a"
        " ON a.campaign = u.campaign AND a.epoch = u.epoch AND a.profile_id = u.profile_id"
    )
    rows: pd.DataFrame = pa.Table.from_batches(list(reader), reader.schema).to_pandas()
    offer = settings.train_on.offer
    is_treated = rows["arm"] == Arm.TREATMENT.value
    # Of several offers the others are another treatment, and no part of this comparison.
    mine = is_treated if offer is None else is_treated & (rows["offer"] == offer)
    rows = rows[mine | (rows["arm"] == control.value)]
    drawn = [
        past.chance(int(epoch), str(version), control, offer)
        for epoch, version in zip(rows["epoch"], rows["config_version"], strict=True)
    ]
    rows = rows.assign(chance=drawn, treated=(rows["arm"] == Arm.TREATMENT.value).astype("float64"))
    # What somebody brought is not always known, and where an arm had no share nothing was drawn.
    rows = rows[rows["outcome"].notna() & rows["chance"].between(0, 1, inclusive="neither")]
    if rows.empty:
        raise InsufficientDataError(
            f"The campaign {campaign!r} that {name!r} learns from has nobody in treatment or"
            f" {control.value} whose window of {metric.window_days} days has closed.",
            hint="Wait until it has, or learn from a campaign that has run.",
        )
    wanted = ["outcome", "treated", "chance", "first_eligible_at"]
    return rows.set_index(["profile_id", "epoch"])[wanted].sort_index()


def _instants(times: pd.Series) -> pd.Series:
    """The instant that features are computed as of, for each person: their own, or one before."""
    distinct = pd.Series(sorted(times.unique()))
    if len(distinct) <= MOST_INSTANTS:
        return times
    first, width = distinct.iloc[0], (distinct.iloc[-1] - distinct.iloc[0]) / MOST_INSTANTS
    stretch = ((times - first) // width).clip(upper=MOST_INSTANTS - 1)
    return times.groupby(stretch).transform("min")


def _known_then(
    context: ScoringContext,
    name: str,
    wanted: Sequence[str],
    people: pd.DataFrame,
    instants: pd.Series,
) -> pd.DataFrame:
    """Features of everybody as of their instant; whoever is no profile any more is left out."""
    found = []
    for instant, mine in people.groupby(instants, sort=True):
        moment = pd.Timestamp(str(instant), tz=UTC).to_pydatetime()
        context.progress(f"training {name} as of {moment:%Y-%m-%d}")
        frame = context.frame(wanted, relation=context.features_at(moment))
        there = mine.index[mine.index.get_level_values("profile_id").isin(frame.index)]
        found.append(frame.loc[there.get_level_values("profile_id")].set_axis(there, axis=0))
    return pd.concat(found)


def _notes(settings: Settings, control: Arm, stale: pd.Timedelta) -> tuple[str, ...]:
    control_words = control.value.replace("_", " ")
    what = (
        "Treatment" if settings.train_on.offer is None else f"The offer {settings.train_on.offer}"
    )
    about = f"{what} is compared with {control_words}."
    found = [about]
    if stale > pd.Timedelta(0):
        found.append(
            f"There were more than {MOST_INSTANTS} instants of assignment, so features are as of up"
            f" to {stale.total_seconds() / 86_400:.1f} days before a person's own."
        )
    if settings.eligible is None:
        found.append(
            "Everybody is scored; of people unlike those of the campaign's segment it is a guess."
            " `eligible` says whom the model is about."
        )
    return tuple(found)


def _score(
    context: ScoringContext, name: str, settings: Settings, model: UpliftModel, output: str
) -> None:
    where = context.condition(settings.eligible, f"models.{name}.eligible")
    frame = context.frame(model.inputs.features, where=where)
    load_frame(context.warehouse, output, model.predict(frame).add_prefix(f"{name}."))


def _columns(settings: Settings) -> tuple[ScoreColumn, ...]:
    return columns(settings.metric or f"the goal of {settings.train_on.campaign}", "metric")


KIND = Kind(fit=_fit, score=_score, columns=_columns)
