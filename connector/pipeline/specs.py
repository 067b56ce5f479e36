"""From the configuration to the plain values that each step takes.

Steps never see the configuration; this is the one place where its names meet theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from connector.audiences.rationing import Ration
from connector.audiences.specs import (
    CampaignSpec,
    DestinationSpec,
    ListSpec,
    OfferSpec,
    PriorityList,
)
from connector.config import Config
from connector.config.activation import Campaign, Strategy
from connector.config.data import Freshness as FreshnessConfig
from connector.config.data import Table, TableTest
from connector.config.holdouts import GlobalHoldout
from connector.config.measurement import Metric
from connector.domain import Arm, Capabilities, Field, FieldType, PropertyValue
from connector.features.build import FeatureMeta
from connector.lift.metrics import MetricKind, MetricSpec, Source
from connector.models.cuts import CutSpec
from connector.models.rfm import RfmSpec
from connector.plan.summary import GuardLimits
from connector.ports import Destination, FindsRecords
from connector.profiles import spec as profiles
from connector.segments.rules import SegmentSpec
from connector.sources import spec as sources
from connector.warehouse.dialect import ExpressionError, parse_expression
from connector.warehouse.macros import Kind

ARM_SUFFIX = {
    Arm.TREATMENT: "",
    Arm.BUSINESS_AS_USUAL: " | business as usual",
    Arm.NO_CONTACT: " | no contact",
}
"""What follows a campaign's list name for each arm's own list."""

LABELS = {"cluster": "cluster", "lda": "top_id"}
"""Kind of model -> column of the stable label that it gives a person."""

LABEL_NAMES = {"cluster": "name", "lda": "top_name"}
"""Kind of model -> column of what that label is called."""

CONTENT, STRATEGY = "content.", "strategy."
"""Prefixes of campaign properties that hold the strategy's values rather than a column."""


# ---------------------------------------------------------------------- sources
def table_specs(config: Config) -> list[sources.TableSpec]:
    """Every table that the file maps, consents last."""
    specs = [_table(name, table) for name, table in config.tables.items()]
    if config.consent is not None:
        consent = config.consent
        specs.append(
            sources.TableSpec(
                name="consents",
                relation=consent.source,
                columns=dict(consent.columns),
                freshness=_freshness(consent.freshness),
            )
        )
    return specs


def _table(name: str, table: Table) -> sources.TableSpec:
    return sources.TableSpec(
        name=name,
        relation=table.source,
        columns=dict(table.columns),
        dedupe=sources.Dedupe.EXACT if table.dedupe == "exact" else sources.Dedupe.KEEP,
        filter=table.filter or "",
        quarantine=dict(table.quarantine),
        group_by=tuple(table.group_by),
        checks=tuple(_check(test) for test in table.tests),
        freshness=_freshness(table.freshness),
    )


def _check(test: TableTest) -> sources.TableCheck:
    inner = test.test
    return sources.TableCheck(
        kind=sources.CheckKind(test.kind),
        column=inner.column,
        to=getattr(inner, "to", ""),
        values=tuple(str(value) for value in getattr(inner, "values", ())),
        warn_above=inner.warn_above,
    )


def _freshness(freshness: FreshnessConfig | None) -> sources.Freshness | None:
    if freshness is None:
        return None
    return sources.Freshness(freshness.column, freshness.warn_after, freshness.error_after)


# ---------------------------------------------------------------------- profiles
def customers_spec(config: Config) -> profiles.CustomersSpec:
    """How customers are cleaned."""
    return profiles.CustomersSpec(
        duplicates=profiles.Duplicates(config.quality.duplicates),
        exclude=config.quality.exclude or "",
        max_orders=config.quality.outliers.exclude_people_above_orders,
    )


def identity_spec(config: Config) -> profiles.IdentitySpec:
    """How customers become people."""
    identity = config.identity
    limits = identity.limits
    return profiles.IdentitySpec(
        shared_email=profiles.SharedEmail(identity.shared_email),
        max_customers_per_email=identity.max_customers_per_email,
        never_merge_on=identity.never_merge_on.email,
        ids=identity.ids,
        never_merge_phones=identity.never_merge_on.phone,
        never_merge_devices=identity.never_merge_on.anonymous_id,
        country=identity.country or "",
        max_customers=limits.customer_id_per_person,
        max_emails=limits.email_per_person,
        max_phones=limits.phone_per_person,
        max_devices=limits.anonymous_id_per_person,
        when_apart=profiles.WhenApart(identity.parting),
    )


def stitches_devices(config: Config) -> bool:
    """Whether events tell who is who."""
    return profiles.DEVICE in config.identity.ids


def orders_spec(config: Config) -> profiles.OrdersSpec:
    """How orders are cleaned."""
    orders = config.tables.orders
    limit = config.quality.max_order_value
    return profiles.OrdersSpec(
        duplicates=profiles.Duplicates(config.quality.duplicates),
        net_revenue=orders.net_revenue or "gross - discount - refund",
        cancelled=orders.cancelled or "",
        max_order_value=None if limit is None else Decimal(str(limit)),
        margin=margin_of(config) or profiles.MarginFrom.ORDERS,
    )


def margin_of(config: Config) -> profiles.MarginFrom | None:
    """Where margins come from: the orders' own column, else the costs of their lines, else none."""
    if "margin" in config.tables.orders.columns:
        return profiles.MarginFrom.ORDERS
    items = config.tables.order_items
    if items is not None and "unit_cost" in items.columns:
        return profiles.MarginFrom.ITEMS
    return None


def consent_spec(config: Config) -> profiles.ConsentSpec:
    """How consent records are read."""
    consent = config.consent
    if consent is None:
        return profiles.ConsentSpec()
    return profiles.ConsentSpec(
        key=profiles.PersonKey(consent.key),
        granted=tuple(consent.granted),
        withdrawn=tuple(consent.withdrawn),
        purposes=tuple(consent.purposes or ()),
    )


def exclusion_specs(
    config: Config,
) -> tuple[list[profiles.ExclusionList], list[profiles.ExclusionRule]]:
    """Lists in sources, and rules over features."""
    lists, rules = [], []
    for one in config.exclusion_lists:
        if one.where is not None:
            rules.append(profiles.ExclusionRule(one.name, one.where, tuple(one.applies_to or ())))
        else:
            lists.append(
                profiles.ExclusionList(
                    name=one.name,
                    relation=one.source or "",
                    key=profiles.PersonKey(one.key),
                    column=one.column or "",
                    applies_to=tuple(one.applies_to or ()),
                )
            )
    return lists, rules


# ---------------------------------------------------------------------- models and segments
def rfm_spec(config: Config) -> RfmSpec:
    """What the file says about the RFM model."""
    rfm = config.models.rfm

    def cut(scale: object) -> CutSpec:
        edges = getattr(scale, "edges", None)
        return CutSpec.fixed(edges) if edges else CutSpec.quantile(getattr(scale, "n_scores", 5))

    return RfmSpec(
        window_days=rfm.window.days,
        recency=cut(rfm.recency),
        frequency=cut(rfm.frequency),
        monetary=cut(rfm.monetary),
        groups=rfm.boxes,
        no_orders=rfm.no_orders,
        lapsed=rfm.lapsed,
    )


def label_columns(config: Config) -> dict[str, str]:
    """Model -> column of the label whose present and previous value the state keeps."""
    columns = {"rfm": "rfm.group"}
    for name, model in config.models.named():
        if model.type in LABELS:
            columns[name] = f"{name}.{LABELS[model.type]}"
    return columns


def labelled_models(config: Config) -> tuple[str, ...]:
    """Models whose labels stay with people from one fit to the next."""
    return tuple(name for name, model in config.models.named() if model.type in LABELS)


def segment_specs(config: Config) -> list[SegmentSpec]:
    """Every segment."""
    return [
        SegmentSpec(name, members_of=tuple(one.references), where=one.where)
        for name, one in config.segments.items()
    ]


# ---------------------------------------------------------------------- activation
def destination_specs(config: Config, adapters: Mapping[str, Destination]) -> list[DestinationSpec]:
    """Every destination as the planner sees it."""
    specs = []
    for name, one in config.destinations.items():
        able: Capabilities = adapters[name].capabilities
        specs.append(
            DestinationSpec(
                name=name,
                purpose=None if one.requires is None else one.requires.purpose,
                channel=None if one.requires is None else one.requires.channel,
                match_on=one.match_on,
                creates=able.creates and one.create_missing,
                looks_up=isinstance(adapters[name], FindsRecords),
                needs_record_id=able.needs_record_id,
                records=able.records,
                memberships=able.memberships and one.membership is not None,
                properties=dict(one.properties),
                clears=one.on_leave == "clear",
                to_holdouts=one.send_scores_to_holdouts,
                recheck_missing_days=one.recheck_missing_after.total_seconds() / 86_400,
            )
        )
    return specs


def reconcile_every(config: Config) -> dict[str, timedelta]:
    """How old the last reading of a destination's lists may be, where they are read again."""
    ages = {name: one.oldest_reading for name, one in config.destinations.items()}
    return {name: age for name, age in ages.items() if age is not None}


def campaign_specs(
    config: Config,
    *,
    as_of: datetime,
    drawn: Collection[tuple[str, int, str]] = (),
    scored: Mapping[str, str] = MappingProxyType({}),
    proved: Mapping[str, str] = MappingProxyType({}),
) -> list[CampaignSpec]:
    """Every campaign as the planner sees it.

    Active are those whose days include that of ``as_of`` in the project's time zone; measured are
    they until the longest window of somebody who qualified on the last day has closed.

    Args:
        config: The configuration.
        as_of: The instant.
        drawn: (campaign, epoch, arm) of every arm that people were ever drawn into.
        scored: Columns of ``scored`` with their types; without them nobody is ranked.
        proved: Campaign -> the offer of another that has proved best for it.

    Raises:
        ConfigError: A ranking is no number over these columns; the line is named.
    """
    today = as_of.astimezone(config.project.zone).date()
    longest = max((metric.window for metric in config.measured.values()), default=timedelta())
    held = config.holdouts.global_on(today)
    exempt = exempt_campaigns(config, held) if held else set()
    specs = []
    for name, one in config.campaigns.items():
        strategy = strategy_of(config, one, proved.get(name))
        # Of several offers each has fixed values of its own; the columns are the same.
        constants, columns = campaign_properties(one, strategy or _some_strategy(config, name))
        specs.append(
            CampaignSpec(
                name=name,
                segment=one.segment,
                destinations=tuple(one.to),
                shares=dict(one.arms),
                lists=tuple(_lists(config, name, one, drawn)),
                epoch=one.epoch,
                active=(one.start is None or one.start <= today)
                and (one.end is None or today <= one.end),
                is_measured=one.end is None or today <= one.end + longest,
                constants={} if one.offers else constants,
                columns=columns,
                exempt_from_global=name in exempt,
                cost_per_contact=_price(strategy),
                budget_per_run=None if one.budget is None else float(one.budget.per_run),
                rank_by=ranking(config, name, one, scored) if scored else "",
                offers={
                    offer: OfferSpec(
                        share,
                        campaign_properties(one, config.strategies[offer])[0],
                        _price(config.strategies[offer]),
                    )
                    for offer, share in one.offers.items()
                },
            )
        )
    return specs


def exempt_campaigns(config: Config, held: GlobalHoldout) -> set[str]:
    """Campaigns that reach the people of a global holdout: by name, by tag, or by segment's tag."""
    tags = set(held.exempt_tags)
    return {
        name
        for name, one in config.campaigns.items()
        if name in held.exempt_campaigns
        or tags.intersection(one.tags)
        or (one.segment in config.segments and tags.intersection(config.segments[one.segment].tags))
    }


def strategy_of(config: Config, campaign: Campaign, proved: str | None = None) -> Strategy | None:
    """What a campaign gives to everybody; of one with offers None, for each has its own.

    Args:
        config: The configuration.
        campaign: The campaign.
        proved: The offer that has proved best for it, where its strategy asks for one.
    """
    named = config.strategies.get(campaign.strategy or "")
    if named is None or named.best_offer_of is None:
        return named
    return config.strategies.get(proved or named.otherwise or "")


def _price(strategy: Strategy | None) -> float:
    """Of one contact; 0 where nothing says."""
    return float(strategy.cost_per_contact or 0.0) if strategy else 0.0


def ranking(config: Config, name: str, campaign: Campaign, columns: Mapping[str, str]) -> str:
    """``rank_by`` as SQL of the workspace; empty where the campaign ranks nobody.

    Raises:
        ConfigError: It is no number over the columns; the line is named.
    """
    if campaign.rank_by is None:
        return ""
    path = f"campaigns.{name}.rank_by"
    try:
        found = parse_expression(campaign.rank_by, columns=columns, what=path)
    except ExpressionError as problem:
        raise config.config_error(path, problem.message, problem.hint) from problem
    if found.kind not in (Kind.NUMBER, Kind.ANY):
        raise config.config_error(
            path,
            f"people are ranked by a number, and this is {found.kind}.",
            "Name a score such as purchase_30d.probability.",
        )
    return found.sql("duckdb")


def rations(config: Config) -> list[Ration]:
    """Budgets that go to those who rank first: campaigns' own, and shared ones."""
    own = [
        Ration(float(one.budget.per_run), (name,))
        for name, one in config.campaigns.items()
        if one.budget is not None and one.rank_by is not None
    ]
    return own + [
        Ration(float(one.per_run), tuple(one.campaigns), name)
        for name, one in config.budgets.items()
    ]


def _lists(
    config: Config, name: str, campaign: Campaign, drawn: Collection[tuple[str, int, str]]
) -> list[ListSpec]:
    """The list of each arm that has a share, or had one: whoever has an arm keeps it."""
    arms = [
        arm
        for arm in Arm
        if campaign.arms.get(arm) or (name, campaign.epoch, arm.value) in drawn
        if arm is not Arm.NO_CONTACT or campaign.no_contact_list
    ]
    lists = []
    for destination in campaign.to:
        membership = config.destinations[destination].membership
        if membership is None:
            continue
        base = membership.name.format(
            project=config.project.name,
            campaign=name,
            segment=campaign.segment,
            strategy=campaign.strategy or "",
            destination=destination,
        )
        for arm in arms:
            if arm is Arm.TREATMENT and campaign.offers:
                lists += [
                    ListSpec(destination, arm, f"{base} | {offer}", offer)
                    for offer in campaign.offers
                ]
            else:
                lists.append(ListSpec(destination, arm, base + ARM_SUFFIX[arm]))
    return lists


def campaign_properties(
    campaign: Campaign, strategy: Strategy | None
) -> tuple[dict[str, PropertyValue], dict[str, str]]:
    """A campaign's properties, split into fixed values of a strategy and columns of people."""
    constants: dict[str, PropertyValue] = {}
    columns: dict[str, str] = {}
    for prop, value in campaign.properties.items():
        if strategy is not None and value.startswith(STRATEGY):
            found = getattr(strategy, value.removeprefix(STRATEGY), None)
            constants[prop] = float(found) if isinstance(found, Decimal) else found
        elif strategy is not None and value.startswith(CONTENT):
            constants[prop] = strategy.content.get(value.removeprefix(CONTENT))
        else:
            columns[prop] = value
    return constants, columns


def _some_strategy(config: Config, campaign: str) -> Strategy | None:
    """One of those that a campaign may give: all have the same properties, of the same types."""
    return next((config.strategies[name] for name in config.given(campaign)), None)


def written(config: Config, name: str) -> dict[str, tuple[str, str | None]]:
    """Property -> where the file says so, and the column that fills it (None: a fixed value)."""
    written: dict[str, tuple[str, str | None]] = {
        prop: (f"destinations.{name}.properties.{prop}", column)
        for prop, column in config.destinations[name].properties.items()
    }
    for key, campaign in config.campaigns.items():
        if name in campaign.to:
            constants, mapped = campaign_properties(campaign, _some_strategy(config, key))
            for prop in (*constants, *mapped):
                written[prop] = (f"campaigns.{key}.properties.{prop}", mapped.get(prop))
    return written


def priority_lists(config: Config) -> list[PriorityList]:
    """Every priority list."""
    return [PriorityList(one.name, tuple(one.order)) for one in config.priority_lists]


def guard_limits(config: Config) -> GuardLimits:
    """The guards."""
    guards = config.guards
    return GuardLimits(
        removals_above=guards.removals_above,
        additions_above=guards.additions_above,
        new_billable_profiles_above=guards.new_billable_profiles_above,
        hold_empty_segment=guards.empty_segment == "hold",
        first_sync_needs_approval=guards.needs_approval.first_sync,
        over_people=guards.needs_approval.over_people,
    )


def fields(
    config: Config, columns: Mapping[str, str], meanings: Mapping[str, FeatureMeta]
) -> dict[str, list[Field]]:
    """Destination -> the properties that must exist there.

    Args:
        config: The configuration.
        columns: Columns of ``scored`` with their types.
        meanings: Feature name -> its unit and meaning, shown at the vendor.
    """
    found: dict[str, list[Field]] = {}
    for name, destination in config.destinations.items():
        wanted: dict[str, Field] = {}
        for prop, column in destination.properties.items():
            wanted[prop] = _column_field(prop, column, columns, meanings)
        for key, campaign in config.campaigns.items():
            if name not in campaign.to:
                continue
            constants, mapped = campaign_properties(campaign, _some_strategy(config, key))
            for prop, value in constants.items():
                wanted[prop] = Field(prop, _label(prop), _value_type(value), "Set by Liftline.")
            for prop, column in mapped.items():
                wanted[prop] = _column_field(prop, column, columns, meanings)
        found[name] = list(wanted.values())
    return found


def _column_field(
    prop: str, column: str, columns: Mapping[str, str], meanings: Mapping[str, FeatureMeta]
) -> Field:
    meta = meanings.get(column)
    about = f"{meta.meaning} ({meta.unit}). Set by Liftline." if meta else "Set by Liftline."
    return Field(prop, _label(prop), _column_type(columns.get(column, "VARCHAR")), about)


def _column_type(kind: str) -> FieldType:
    kind = kind.upper()
    if kind.startswith("TIMESTAMP"):
        return FieldType.DATETIME
    if kind == "DATE":
        return FieldType.DATE
    if kind == "BOOLEAN":
        return FieldType.BOOL
    if kind == "VARCHAR":
        return FieldType.TEXT
    return FieldType.NUMBER


def _value_type(value: PropertyValue) -> FieldType:
    if isinstance(value, bool):
        return FieldType.BOOL
    return FieldType.NUMBER if isinstance(value, int | float | Decimal) else FieldType.TEXT


def _label(prop: str) -> str:
    return prop.replace("_", " ").capitalize()


# ---------------------------------------------------------------------- lift
def metric_spec(name: str, metric: Metric) -> MetricSpec:
    """One metric as the lift engine takes it.

    Raises:
        ConfigError: It cannot be measured.
    """
    top, bottom = metric.ratio_of or ("", "")
    counted = metric.count_of or ""
    return MetricSpec(
        name,
        MetricKind(metric.kind),
        metric.sum_of or metric.share_of or counted or top or metric.delta_of or "",
        metric.window.days,
        denominator=bottom,
        source=Source(counted if counted in set(Source) else metric.source),
        where=metric.where or "",
        winsorise=metric.winsorise,
        max_increase=None if metric.guardrail is None else metric.guardrail.max_increase,
    )
