"""The understanding half of a run on the engine's own functions, for tests that look inside it.

It maps a configuration to the steps' specs and keeps every step's report. The product's pipeline
does the same and more; tests of single steps need no state, ledger or clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pandas as pd

from connector.config.data import Table
from connector.config.rfm import Scale
from connector.config.root import Config
from connector.features.build import build_features
from connector.features.orders import orders_pack, rfm_pack
from connector.models.cuts import CutSpec
from connector.models.rfm import RfmModel, RfmSpec, fit, predict
from connector.models.scored import build_scored
from connector.profiles.consent import ConsentReport, grant_permissions, resolve_consent
from connector.profiles.customers import clean_customers
from connector.profiles.exclusion import ExclusionReport, build_exclusions
from connector.profiles.identity import IdentityReport, stitch
from connector.profiles.orders import clean_items, clean_orders
from connector.profiles.people import build_profiles
from connector.profiles.spec import (
    ConsentSpec,
    CustomersSpec,
    ExclusionList,
    IdentitySpec,
    OrdersSpec,
    PersonKey,
    SharedEmail,
    StepReport,
)
from connector.sources.mapping import map_table
from connector.sources.spec import Dedupe, TableReport, TableSpec
from connector.warehouse.duckdb import DuckDBWarehouse


@dataclass(frozen=True)
class Understood:
    warehouse: DuckDBWarehouse
    tables: Mapping[str, TableReport]
    customers: StepReport
    identity: IdentityReport
    consent: ConsentReport
    orders: StepReport
    items: StepReport
    exclusions: tuple[ExclusionReport, ...]
    n_granted: int
    model: RfmModel

    def frame(self, sql: str) -> pd.DataFrame:
        return self.warehouse.batches(sql).read_all().to_pandas()


def understand(warehouse: DuckDBWarehouse, config: Config, as_of: datetime) -> Understood:
    """Everything from the sources to ``scored`` and ``exclusions``."""
    for name, source in config.sources.items():
        path = config.resolve(source.path)
        if source.type == "duckdb":
            warehouse.attach(name, config.folder / path)
        else:
            warehouse.attach_parquet(name, path)
    specs = [_table(name, table) for name, table in config.tables.items()]
    consent, quality, identity = config.consent, config.quality, config.identity
    specs.append(TableSpec("consents", consent.source, dict(consent.columns)))
    reports = {
        spec.name: map_table(warehouse, spec, timezone=config.project.timezone) for spec in specs
    }
    customers = clean_customers(
        warehouse, CustomersSpec(exclude=quality.exclude or ""), as_of=as_of
    )
    identity_spec = IdentitySpec(
        SharedEmail(identity.shared_email),
        identity.max_customers_per_email,
        identity.never_merge_on.email,
    )
    stitched = stitch(warehouse, identity_spec, mint_key="mint")
    consent_spec = ConsentSpec(
        PersonKey(consent.key), consent.granted, consent.withdrawn, purposes=("marketing",)
    )
    standing = resolve_consent(warehouse, consent_spec, as_of=as_of)
    build_profiles(warehouse, consent_spec)
    n_granted = grant_permissions(warehouse, consent_spec)
    table, limit = config.tables.orders, quality.max_order_value
    orders = clean_orders(
        warehouse,
        OrdersSpec(
            net_revenue=table.net_revenue or OrdersSpec().net_revenue,
            cancelled=table.cancelled or "",
            max_order_value=None if limit is None else Decimal(str(limit)),
        ),
        as_of=as_of,
    )
    items = clean_items(warehouse)
    rfm = config.models.rfm
    build_features(warehouse, [rfm_pack(rfm.window.days), orders_pack()], as_of=as_of)
    spec = RfmSpec(
        window_days=rfm.window.days,
        recency=_cut(rfm.recency),
        frequency=_cut(rfm.frequency),
        monetary=_cut(rfm.monetary),
        groups=rfm.boxes,
    )
    model = fit(warehouse, spec, as_of=as_of)
    predict(warehouse, model)
    build_scored(warehouse, ["rfm_scores"])
    exclusions = build_exclusions(
        warehouse,
        [
            ExclusionList(one.name, one.source, PersonKey(one.key), one.column or "")
            for one in config.exclusion_lists
        ],
    )
    return Understood(
        warehouse,
        reports,
        customers,
        stitched,
        standing,
        orders,
        items,
        exclusions,
        n_granted,
        model,
    )


def _table(name: str, table: Table) -> TableSpec:
    return TableSpec(
        name=name,
        relation=table.source,
        columns=dict(table.columns),
        dedupe=Dedupe.EXACT if table.dedupe else Dedupe.KEEP,
        filter=table.filter or "",
        quarantine=dict(table.quarantine),
        group_by=tuple(table.group_by),
    )


def _cut(scale: Scale) -> CutSpec:
    if scale.edges is not None:
        return CutSpec.fixed(scale.edges)
    return CutSpec.quantile(scale.n_scores)
