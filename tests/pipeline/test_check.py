"""``liftline check``: everything is told at once, reckoned rightly, and nothing is written."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import sqlalchemy as sa

from connector.domain import Arm, Finding, Level
from connector.numbers import gain
from connector.pipeline.check.findings import Vendors, check
from connector.pipeline.project import Project
from connector.pipeline.prove import detectable
from connector.pipeline.prove.detectable import Basis, Prospect
from connector.pipeline.understand.act import Understanding
from connector.state import schema
from destinations.hubspot import HubSpot
from destinations.sandbox.hubspot import HubSpotSandbox
from tests.pipeline import small_shop
from tests.pipeline.small_shop import AS_OF, CONFIG, Facts

WITHOUT_DATA = CONFIG.replace("path: shop.duckdb", "path: gone.duckdb")

GROUPS = 0.9
"""Share of people whom the global holdout leaves to campaigns."""


@dataclass
class Place:
    folder: Path
    facts: Facts
    sandbox: HubSpotSandbox

    def open(self, text: str = CONFIG, **options: str) -> Project:
        token = options.pop("token", self.sandbox.token)
        return small_shop.open_project(self.folder, self.sandbox.url, token, text=text, **options)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("check")
    facts = small_shop.build(folder)
    with HubSpotSandbox(per_10s=10_000) as sandbox:
        yield Place(folder, facts, sandbox)


@dataclass
class Healthy:
    findings: list[Finding]
    before: object
    after: object

    def of(self, subject: str) -> Finding:
        (found,) = [f for f in self.findings if f.subject == subject]
        return found


def traces(place: Place, project: Project) -> object:
    """Everything that a check might have touched."""
    files = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix != ".db" else ""
        for path in place.folder.rglob("*")
        if path.is_file() and not path.name.startswith("state.db-")
    }
    with project.state.engine.connect() as connection:
        rows = {
            table.name: connection.execute(sa.select(table)).all()
            for table in schema.metadata.sorted_tables
        }
    vendor = place.sandbox.controls.dump()
    return files, rows, {key: vendor[key] for key in ("contacts", "lists", "properties")}


@pytest.fixture(scope="module")
def healthy(place: Place) -> Healthy:
    with place.open() as project:
        before = traces(place, project)
        findings = check(project).findings
        return Healthy(findings, before, traces(place, project))


def test_a_sound_project_has_no_errors_and_covers_the_whole_file(healthy: Healthy) -> None:
    assert [f for f in healthy.findings if f.level is Level.ERROR] == []
    subjects = {f.subject for f in healthy.findings}
    assert {
        "holdouts.assign.salt",
        "sources.shop",
        "tables.customers.tests.unique",
        "tables.orders.tests.non_negative",
        "tables.orders.freshness",
        "consent",
        "exclusion_lists.suppressed",
        "models.rfm.groups",
        "segments.lapsing",
        "destinations.hubspot.requires",
        "destinations.hubspot.properties",
        "campaigns.winback.arms",
        "destinations.hubspot",
    } <= subjects
    assert "125 cells" in healthy.of("models.rfm.groups").message
    assert "no cut points are stored yet" in healthy.of("models.rfm").message.lower()


def test_nothing_is_written_anywhere(healthy: Healthy) -> None:
    assert healthy.before == healthy.after


def test_no_finding_names_anybody(healthy: Healthy) -> None:
    text = repr(healthy.findings)
    assert "canary" not in text
    assert small_shop.SALT not in text


def test_subjects_are_key_paths_of_the_file(place: Place, healthy: Healthy) -> None:
    with place.open() as project:
        lines = {f.subject: project.config.locate(f.subject) for f in healthy.findings}
    assert all(re.fullmatch(r".*liftline\.yaml:\d+", line) for line in lines.values()), lines


def test_sizes_overlap_and_empty_segments(place: Place, healthy: Healthy) -> None:
    facts = place.facts
    recency = (
        AS_OF.replace(tzinfo=None) - facts.orders.groupby("customer_id").ordered_at.max()
    ) // (timedelta(days=1))
    n_lapsing = int(recency.between(60, 300).sum())
    assert healthy.of("segments.lapsing").message.startswith(f"{n_lapsing:,} people")
    assert healthy.of("segments.nobody").level is Level.WARNING
    assert "idle" in healthy.of("segments.nobody").message

    year = facts.orders[facts.orders.ordered_at >= AS_OF.replace(tzinfo=None) - timedelta(days=365)]
    revenue = year.groupby("customer_id").total.sum().round(2)
    n_orders = facts.orders.groupby("customer_id").size()
    big = set(revenue[revenue >= 150].index)
    both = facts.eligible(AS_OF, "lapsing") & big
    assert both
    overlap = [
        f
        for f in healthy.findings
        if f.subject == "campaigns.spenders.segment" and "winback" in f.message
    ]
    assert [f.message.split()[0] for f in overlap] == [f"{len(both):,}"]
    vips = {c for c in facts.eligible(AS_OF, "regular") & big if n_orders[c] < 9}
    overlap = [
        f
        for f in healthy.findings
        if f.subject == "campaigns.spenders.segment" and "vip" in f.message
    ]
    assert [f.message.split()[0] for f in overlap] == [f"{len(vips):,}"]


def test_what_is_over_or_over_budget_is_said(place: Place, healthy: Healthy) -> None:
    assert "2026-02-01" in healthy.of("campaigns.over.end").message
    n = round(len(place.facts.eligible(AS_OF, "lapsing")) * GROUPS * 0.7)
    budget = healthy.of("campaigns.winback.budget")
    assert budget.level is Level.WARNING
    assert f"{n}" in budget.message.replace(",", "")


# ---------------------------------------------------------------------- detectable effects
@pytest.fixture(scope="module")
def prospects(place: Place) -> dict[tuple[str, Arm], Prospect]:
    with place.open() as project:
        return {(p.campaign, p.arm): p for p in foresee(project)}


def foresee(project: Project) -> Sequence[Prospect]:
    config = project.config

    @contextlib.contextmanager
    def earlier(instant: datetime) -> Iterator[Understanding]:
        with project.workspace() as workspace:
            yield project.understand(workspace, as_of=instant, looking_back=found)

    with project.workspace() as warehouse:
        found = project.understand(warehouse)
        detectable.load_candidates(
            found,
            config,
            detectable.plain_destinations(config),
            detectable.coming_campaigns(config, as_of=AS_OF),
        )
        return detectable.foresee(config, found, earlier)


@pytest.mark.parametrize(
    ("campaign", "segment", "arm", "shares"),
    [
        ("winback", "lapsing", Arm.NO_CONTACT, (0.7, 0.25)),
        ("winback", "lapsing", Arm.BUSINESS_AS_USUAL, (0.7, 0.05)),
        ("vip", "regular", Arm.NO_CONTACT, (0.5, 0.5)),
    ],
)
def test_the_smallest_effect_is_the_textbooks(
    place: Place,
    healthy: Healthy,
    prospects: dict[tuple[str, Arm], Prospect],
    campaign: str,
    segment: str,
    arm: Arm,
    shares: tuple[float, float],
) -> None:
    """Everything again from the raw rows, with pandas, numpy and the normal distribution."""
    facts, began = place.facts, AS_OF - timedelta(days=30)
    then, now = facts.eligible(began, segment), facts.eligible(AS_OF, segment)
    if campaign == "vip":  # the exclusion rule counts orders as of each instant
        then, now = (
            {
                c
                for c in who
                if (
                    facts.orders.customer_id.eq(c)
                    & (facts.orders.ordered_at < at.replace(tzinfo=None))
                ).sum()
                < 9
            }
            for who, at in ((then, began), (now, AS_OF))
        )
    window = facts.orders[facts.orders.ordered_at >= began.replace(tzinfo=None)]
    spent = window.groupby("customer_id").total.sum().reindex(sorted(then), fill_value=0.0)
    x = spent.to_numpy() if campaign == "winback" else (spent.to_numpy() > 0).astype(float)
    treated, held = (round(len(now) * GROUPS * share) for share in shares)
    z = NormalDist().inv_cdf
    factor = z(0.95) + z(0.9)  # confidence and power of 90 %
    variation = np.std(x, ddof=1) / np.mean(x)
    mde = factor * variation * np.sqrt(1 / treated + 1 / held)
    rate = np.mean(x > 0)
    smaller = min(treated, held)
    buyers = smaller * rate if campaign == "winback" else smaller * min(rate, 1 - rate)

    p = prospects[campaign, arm]
    assert p.basis is Basis.ELIGIBLE_THEN
    assert (p.n_past, p.n_eligible, p.n_treatment, p.n_holdout) == (
        len(then),
        len(now),
        treated,
        held,
    )
    assert p.mean == pytest.approx(np.mean(x), rel=1e-12)
    assert p.rate == pytest.approx(rate, rel=1e-12)
    assert p.lift == pytest.approx(mde, rel=1e-9)
    assert p.buyers == pytest.approx(buyers, rel=1e-9)
    assert p.n_weekly == pytest.approx(len(now - then) * 7 / 30)

    # With so many people, the effect that can be shown is the one asked for.
    assert p.n_required is not None
    n_t, n_h = (p.n_required * GROUPS * share for share in shares)
    assert factor * variation * np.sqrt(1 / n_t + 1 / n_h) == pytest.approx(0.20, rel=1e-3)

    finding = healthy.of(f"campaigns.{campaign}.arms.{arm}")
    assert gain(mde) in finding.message
    assert f"{len(now):,} people can be addressed" in finding.message
    words = (
        "no verdict"
        if buyers < 20
        else "directional only"
        if buyers < 45
        else "enough for a verdict"
    )
    assert words in finding.message
    assert finding.level is (Level.OK if mde <= 0.2 and buyers >= 45 else Level.WARNING)


def test_a_win_back_has_a_base_rate(prospects: dict[tuple[str, Arm], Prospect]) -> None:
    """Nobody who was silent for 60 days bought in the last 30: of the people of now, none."""
    assert prospects["winback", Arm.NO_CONTACT].rate > 0.03


def test_a_young_shop_is_judged_by_the_people_of_now(place: Place) -> None:
    text = CONFIG.replace("orders_365d >= 2 and recency_days < 60", "first_order_age_days < 25")
    with place.open(text) as project:
        vip = next(p for p in foresee(project) if p.campaign == "vip")
    assert vip.basis is Basis.ELIGIBLE_NOW
    assert vip.rate == 1.0
    assert vip.lift is None
    assert "all did the same" in vip.obstacle


def test_weeks_until_there_are_enough() -> None:
    def prospect(required: int, weekly: float) -> Prospect:
        metric = detectable.MetricSpec("m", detectable.MetricKind.SHARE, "orders >= 1", 30)
        return Prospect(
            campaign="c", metric=metric, arm=Arm.NO_CONTACT, n_eligible=1000, n_treatment=500,
            n_holdout=500, n_kept_back=0, basis=Basis.ELIGIBLE_THEN, n_past=900, mean=0.3, rate=0.3,
            lift=2.5, even_lift=2.5, buyers=150.0, n_required=required, n_weekly=weekly,
        )  # fmt: skip

    assert prospect(3000, 100.0).weeks == 20.0
    assert prospect(900, 0.0).weeks == 0.0
    assert prospect(3000, 0.0).weeks is None
    assert prospect(3000, 1.0).impossible  # 30 % more by 250 % is more than everybody


# ---------------------------------------------------------------------- what is broken
def subjects(findings: Sequence[Finding], level: Level) -> set[str]:
    return {f.subject for f in findings if f.level is level}


def test_every_broken_part_is_told_at_once_and_the_rest_goes_on(
    place: Place,
) -> None:
    text = (
        CONFIG.replace("sources:\n", "sources:\n  away: {type: duckdb, path: away.duckdb}\n")
        .replace(
            "quality:",
            "  products: {from: shop.no_such_table, columns: {product_id: sku}}\n"
            "  order_items:\n    from: away.items\n"
            "    columns: {order_id: a, product_id: b, quantity: c, price: d}\nquality:",
        )
        .replace("lifetime_orders >= 9", "lifetime_ordres >= 9")
        .replace("revenue_365d >= 150", "revenue_36d >= 150")
        .replace("liftline_group: rfm.group", "liftline_group: rfm.group, liftline_aov: aov_366d")
        .replace("liftline_offer:", "hs_email_optout_1:")
        .replace("measurement:", "metrics:\n  odd: {sum: net_revenu, window: 30d}\nmeasurement:")
    )
    with place.open(text, token="pat-na1-wrong") as project:
        findings = check(project).findings
    assert subjects(findings, Level.ERROR) == {
        "sources.away",
        "tables.products",
        "exclusion_lists.no_vip",
        "segments.big.where",
        "metrics.odd",
        "destinations.hubspot.properties.liftline_aov",
        "campaigns.winback.properties.hs_email_optout_1",
        "destinations.hubspot",
    }
    by_subject = {f.subject: f for f in findings}
    assert (
        "revenue_"
        in by_subject["segments.big.where"].message + by_subject["segments.big.where"].hint
    )
    assert "aov_365d" in by_subject["destinations.hubspot.properties.liftline_aov"].hint
    assert by_subject["segments.lapsing"].level is Level.OK
    assert "smallest effect" in by_subject["campaigns.winback.arms.no_contact"].message
    assert by_subject["campaigns.spenders"].level is Level.NOTE


def test_without_customers_the_other_tables_are_still_tested(place: Place) -> None:
    text = CONFIG.replace("from: shop.customers", "from: shop.nowhere").replace(
        "{non_negative: gross}", "{accepted_values: {column: order_id, values: [x]}}"
    )
    with place.open(text) as project:
        findings = check(project, vendors=Vendors.LEAVE).findings
    assert subjects(findings, Level.ERROR) == {
        "tables.customers",
        "tables.orders.tests.accepted_values",
    }
    assert "tables.orders.freshness" in subjects(findings, Level.OK)
    assert "destinations.hubspot.properties" in subjects(findings, Level.OK)
    assert any("were not looked at" in f.message for f in findings)


def test_a_missing_source_and_a_changed_salt(place: Place) -> None:
    with place.open(WITHOUT_DATA) as project:
        project.state.put("salt_digest", "of-another-salt")
        findings = check(project).findings
        with project.state.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM meta WHERE name = 'salt_digest'")
    assert subjects(findings, Level.ERROR) == {"sources.shop", "holdouts.assign.salt"}
    assert "destinations.hubspot" in subjects(findings, Level.OK)


def test_a_missing_scope_is_named(place: Place) -> None:
    place.sandbox.controls.add_token(
        "pat-na1-reader", ["crm.objects.contacts.read", "crm.lists.read"]
    )
    with place.open(WITHOUT_DATA, token="pat-na1-reader") as project:
        findings = [f for f in check(project).findings if f.subject == "destinations.hubspot"]
    errors = [f for f in findings if f.level is Level.ERROR]
    assert any("crm.lists.write" in f.hint for f in errors)
    assert "pat-na1-reader" not in repr(findings)


def test_a_foreign_error_is_told_without_its_text(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: HubSpot) -> Sequence[Finding]:
        raise ValueError("canary0001@mail1.example has no name")

    monkeypatch.setattr(HubSpot, "check", broken)
    with place.open(WITHOUT_DATA) as project:
        (finding,) = [f for f in check(project).findings if f.subject == "destinations.hubspot"]
    assert finding.level is Level.ERROR
    assert "ValueError in test_check.py" in finding.message
    assert "canary" not in repr(finding)
