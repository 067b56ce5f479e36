"""What the views say, and that it fits: small headers and rows, no shop."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connector.cli import models, person, plans, runs, standing
from connector.cli.findings import show_findings
from connector.cli.screen import console
from connector.domain import Arm, Finding, Level
from connector.lift.metrics import MetricKind, MetricSpec
from connector.models.card import ModelCard
from connector.pipeline.check.findings import Checked
from connector.pipeline.person.explanation import (
    CampaignView,
    Condition,
    ConsentView,
    DestinationView,
    Explanation,
    Person,
    Rfm,
    SegmentView,
)
from connector.pipeline.prove.detectable import Basis, Prospect
from connector.pipeline.show.standing import Standing, Use
from connector.plan.document import (
    AudiencePlan,
    CampaignPlan,
    Effort,
    Guard,
    Header,
    Plan,
    RecordsPlan,
)
from connector.plan.remarks import Abandoned, Unreadable

AT = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)


def header() -> Header:
    """A plan of two campaigns, one with a budget and a second arm."""
    return Header(
        plan_id="plan-20260302-050000-5f1c3a", project="northwind-home", created_at=AT, as_of=AT,
        config_digest="d", currency="EUR",
        audiences=(
            AudiencePlan("hubspot", "northwind-home | winback", "winback", "treatment",
                         41_829, 12_116, 1_128, 25, 3, "kept", taken_off=17),
            AudiencePlan("hubspot", "northwind-home | vip_early", "vip_early", "treatment",
                         0, 992, 0, 0, 0, "new"),
        ),
        records=(RecordsPlan("hubspot", 114_443, 120, 1_186, 212_826, 18),),
        campaigns=(
            CampaignPlan("winback", "lapsing", 119_421, 112_040, {"no_consent": 7_000,
                         "consent_withdrawn": 381}, {"treatment": 82_900, "business_as_usual": 681,
                         "no_contact": 28_459}, {"treatment": 1_204}, 1_658.0, 9_000.0),
            CampaignPlan("vip_early", "regulars", 1_899, 1_186, {"no_consent": 713},
                         {"treatment": 992, "no_contact": 194}, {"treatment": 992}, 19.84, None),
        ),
        efforts=(Effort("hubspot", 1_249, 12.4),),
        guards=(Guard("removals_above", "hubspot: northwind-home | winback",
                      "1,128 of 3,000 people would leave."),),
        segments={}, n_changes=129_985,
        unreadable=(Unreadable("mailer", 10, "mailer: no answer after 5 tries.", "Run again."),),
        abandoned=(Abandoned("old_crm", 1_204, (), "it holds 1,204 people.", "Put it back."),),
        quality=({"table": "in_orders", "measure": "unreadable_gross", "n": 17},),
    )  # fmt: skip


@pytest.fixture
def shown(monkeypatch, capsys):
    def show(view, *arguments, columns=80, **named):
        monkeypatch.setenv("COLUMNS", str(columns))
        view(*arguments, **named)
        return capsys.readouterr().out.replace("\u00a0", " ")

    return show


@pytest.mark.parametrize("columns", [80, 100])
def test_a_plan_fits_its_window_without_a_broken_name(shown, columns):
    told = shown(plans.show_plan, Plan(Path("nowhere"), header()), columns=columns)
    assert max(map(len, told.splitlines())) <= columns
    for whole in ("winback", "vip_early", "lapsing", "119,421", "82,900", "1,658.00", "12 min"):
        assert whole in told
    assert "7,381 7,000 never gave consent, 381 withdrew consent" in " ".join(told.split())
    assert "17 with an unreadable gross" in told
    assert "removals_above" in told
    words = " ".join(told.split())
    assert "mailer could not be read, so this plan leaves it as it is" in words
    assert "old_crm it holds 1,204 people. → Put it back." in words
    assert "17 people were taken off at the destination, not by us." in words


def test_columns_that_would_be_empty_are_left_out(shown):
    full = header()
    plain = dataclasses.replace(
        full, campaigns=full.campaigns[1:], audiences=full.audiences[1:], guards=()
    )
    told = shown(plans.show_plan, Plan(Path("nowhere"), plain))
    assert "usual" not in told
    assert "ours" not in told
    told = shown(plans.show_plan, Plan(Path("nowhere"), full))
    assert "of 9,000.00" in told
    assert "ours" in told


def prospect(**changes) -> Prospect:
    metric = MetricSpec("m", MetricKind.SHARE, "orders >= 1", 30)
    usual = Prospect(
        campaign="winback", metric=metric, arm=Arm.NO_CONTACT, n_eligible=1000, n_treatment=500,
        n_holdout=500, n_kept_back=0, basis=Basis.ELIGIBLE_THEN, n_past=900, mean=0.3, rate=0.3,
        lift=1.034, even_lift=0.91, buyers=30.0, n_required=3000, n_weekly=100.0,
    )  # fmt: skip
    return dataclasses.replace(usual, **changes)


@pytest.mark.parametrize(
    ("changes", "row", "sentence"),
    [
        ({}, "+103 % in 20 weeks", "A direction at most: a verdict takes 45 buyers"),
        ({"buyers": 4.0}, "4 +103 %", "Too few buyers for any verdict: it takes 20"),
        ({"buyers": 90.0, "lift": 0.08, "even_lift": 0.078}, "90 +8.0 % in 20 weeks",
         "Enough buyers for a verdict on effects from +8.0 %."),
        ({"n_required": 900}, "+103 % now", ""),
        ({"n_required": 900_000}, "+103 % in over 2 years", ""),
        ({"n_required": 1050}, "+103 % in 1 week", ""),
        ({"lift": None, "obstacle": "Nobody can be addressed yet."}, "30 – –", "Nobody can be"),
    ],
)  # fmt: skip
def test_what_a_campaign_could_show_is_one_row_and_one_line(shown, changes, row, sentence):
    one = prospect(**changes)
    long = Finding(Level.WARNING, one.subject, "A long paragraph.", "And a long hint.")
    told = shown(show_findings, Checked((long,), (one,), 0.8, 0.03))
    words = " ".join(told.split())
    assert row in words
    assert sentence in words
    assert "long" not in words
    assert "0 errors, 1 warning, 0 notes, 0 fine." in told


def test_an_effect_of_nearly_everything_is_no_share(shown):
    one = prospect(buyers=4.0, lift=1.9, even_lift=0.998)
    told = shown(show_findings, Checked((), (one,), 0.8, 0.03))
    assert "+100 % would show" in " ".join(told.split())
    assert ">" not in told


def test_issues_say_the_cause_and_what_happens_next(shown):
    row = {
        "n": 14, "destination": "hubspot", "kind": "record", "action": "update",
        "outcome": "rejected", "code": "INVALID_EMAIL", "message": "HubSpot refuses 'email'.",
        "example": "p_1234567890",
    }  # fmt: skip
    run = {"run_id": "run-1", "status": "partial", "summary": {"destinations": []}}
    told = " ".join(shown(runs.show_issues, run, [row]).split())
    assert "14 × address refused hubspot, properties: refused" in told
    assert "HubSpot refuses 'email'. (INVALID_EMAIL)" in told
    assert "For example p_1234567890." in told


def test_one_change_is_no_changes(shown):
    found = {
        "project": "p", "now": "2026-03-02T07:00:00+00:00", "last_run": None,
        "global_holdout": None, "abandoned": ["mailer"],
        "unfinished_runs": [], "lists": [], "records": [], "arms": [],
        "data_age_days": None, "freshness": [], "models": [], "currency": "EUR",
        "waiting_plan": {
            "plan_id": "plan-1", "status": "planned", "n_changes": 1, "replaced": 0,
            "created_at": "2026-03-02T05:00:00+00:00", "expires_at": "2026-03-03T05:00:00+00:00",
            "guards": [], "obstacle": "", "advice": "", "command": "liftline apply",
        },
    }  # fmt: skip
    told = " ".join(shown(standing.show_status, found).split())
    assert "mailer the configuration does not name it any more" in told
    assert "plan-1 1 change, made 2 hours ago; not applied" in told
    assert "liftline apply until 2026-03-03 05:00 UTC" in told


def test_a_status_tells_how_old_its_data_are_and_names_the_models(shown):
    model = {
        "name": "purchase_30d", "kind": "propensity", "use": "stored", "version": 3,
        "algorithm": "logistic", "as_of": "2026-03-01T23:30:00+00:00", "day": "2026-03-02",
        "people": 900, "measure": "auc", "value": 0.8, "rule": "rfm_score", "baseline": 0.7,
        "gates": [["auc_at_least", True]], "refused": [],
    }  # fmt: skip
    found = {
        "project": "p", "now": "2026-03-12T07:00:00+00:00", "global_holdout": None,
        "last_run": {"run_id": "run-1", "status": "succeeded", "as_of": "2026-03-02T05:00:00Z"},
        "abandoned": [], "unfinished_runs": [], "lists": [], "records": [], "arms": [],
        "waiting_plan": None, "data_age_days": 10, "currency": "EUR", "models": [model],
        "freshness": [{"level": "warning", "subject": "tables.orders.freshness",
                       "message": "The newest updated_at is 30 h old; expected within 26 h."}],
    }  # fmt: skip
    words = " ".join(shown(standing.show_status, found, columns=120).split())
    assert "No run has taken new data for 10 days" in words
    assert "tables.orders.freshness The newest updated_at is 30 h old" in words
    assert "purchase_30d logistic regression 900 AUC 0.800" in words
    assert "in use of 2026-03-02, version 3" in words
    young = {**found, "data_age_days": 1, "freshness": []}
    assert "No run has taken" not in shown(standing.show_status, young)


def test_a_plan_without_campaigns_has_no_empty_table(shown):
    without = dataclasses.replace(header(), campaigns=())
    told = shown(plans.show_plan, Plan(Path("plan"), without))
    assert "No campaign is configured" in told
    assert "Campaigns" not in told


def explained(*segments: SegmentView) -> Explanation:
    why = "In a campaign that goes first (winback). A campaign higher on the list addresses them."
    return Explanation(
        person=Person("p_1234567890", "c•••@s•••.example", 1, AT),
        as_of=AT,
        rfm=Rfm("loyal", None, None, "", (), "No order ever, so there are no scores."),
        segments=segments,
        campaigns=(CampaignView("vip", "blocked", why, "outranked", "regulars", None, "", None),),
        global_holdout="none.",
        consents=(ConsentView("hubspot", "marketing by email: granted", "m", "e", "granted", AT),),
        exclusions=(),
        destinations=(DestinationView("hubspot", "May be written to.", "", "known", "yes", "",
                                      (), ()),),
    )  # fmt: skip


def test_a_member_shows_only_ticks_and_what_would_end_it(shown):
    conditions = (
        Condition("rfm.group not in ('champions', 'loyal')", True, "'at_risk'"),
        Condition("lifetime_orders >= 2", True, "7"),
    )
    member = SegmentView(
        "lapsing", True, AT, conditions, ("recency_days < 90 (now 205; takes an order)",), ()
    )
    told = shown(person.show_explanation, explained(member))
    assert max(map(len, told.splitlines())) <= 80
    words = " ".join(told.split())
    assert "✓ lapsing member since 2026-03-02" in words
    assert "✓ rfm.group not in ('champions', 'loyal') (now 'at_risk')" in words
    assert "leaves when recency_days < 90 (now 205; takes an order)" in words
    assert "✗ vip In a campaign that goes first (winback)." in words
    assert words.count("✗") == 1


def test_what_cannot_change_is_said_to_be_so(shown):
    once = SegmentView(
        "one_time", False, None, (Condition("lifetime_orders = 1", False, "3"),), (), ()
    )
    words = " ".join(shown(person.show_explanation, explained(once)).split())
    assert "· one_time not a member ✗ lifetime_orders = 1 (now 3)" in words
    assert "never enters under this rule" in words


def test_days_are_those_of_the_projects_zone(shown):
    """23:30 in UTC is the next day in Berlin."""
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    one = dataclasses.replace(
        explained(SegmentView("lapsing", True, late, (), (), ())),
        person=Person("p_1234567890", None, 1, late),
        as_of=late,
        timezone="Europe/Berlin",
        data_until=late,
    )
    told = shown(person.show_explanation, one)
    assert "2026-03-01" not in told
    words = " ".join(told.split())
    assert "customer since 2026-03-02" in words
    assert "as of 2026-03-02 00:30 (Europe/Berlin); the newest order is of 2026-03-02" in words
    assert "member since 2026-03-02" in words


def test_a_group_in_no_run_yet_is_not_since_the_first_run(shown):
    moved = dataclasses.replace(explained(), rfm=Rfm("lapsed", "lost", None, "", (), ""))
    words = " ".join(shown(person.show_explanation, moved).split())
    assert "before: lost; this one new, in no run yet" in words
    since = dataclasses.replace(explained(), rfm=Rfm("lapsed", "lost", AT, "", (), ""))
    words = " ".join(shown(person.show_explanation, since).split())
    assert "before: lost; this one since 2026-03-02" in words


def test_old_data_who_waits_and_where_tiers_begin_are_told(shown):
    waiting = CampaignView(
        "push", "waiting", "Waits for the budget: place 41 of 90.", "over_budget", "ready",
        "treatment", "next_run", None, 41, 40,
    )  # fmt: skip
    tiers = SegmentView(
        "valuable", False, None, (), (), ("clv.tier in ('gold') (now 'rest')",),
        figures=("clv.tier by expected value: gold from 145 EUR; now 62.00 EUR",),
    )  # fmt: skip
    one = dataclasses.replace(
        explained(tiers), campaigns=(waiting,), stale=("This is how it was 9 days ago.",)
    )
    words = " ".join(shown(person.show_explanation, one, columns=100).split())
    assert "… push Waits for the budget: place 41 of 90." in words
    assert "! This is how it was 9 days ago." in words
    assert "gold from 145 EUR; now 62.00 EUR" in words


def test_a_model_is_of_the_day_in_the_projects_zone(shown):
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    card = ModelCard("clv", "clv", "zero", as_of=late, n_people=10)
    one = Standing("clv", "clv", Use.NEW, None, card, zone=ZoneInfo("Europe/Berlin"))
    told = shown(lambda: models.show_models(console(), [one.short()], "EUR"), columns=120)
    assert "new of 2026-03-02" in told
