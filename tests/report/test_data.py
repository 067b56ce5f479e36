"""The report's input: JSON and back, small cells, and the shapes of what it is filled from."""

import dataclasses
import json
from datetime import datetime

import pytest

from connector.errors import LiftlineError
from connector.models.cuts import Cuts, Method
from connector.report.data import ReportData
from connector.report.lift import LiftRow
from connector.report.people import SMALL_CELL, RfmAxis, RfmCell, RfmGroup, SegmentRow
from tests.report import sample


@pytest.mark.parametrize("make", [sample.sample, sample.first_run, sample.empty])
def test_a_report_survives_json_unchanged(make):
    data = make()
    text = json.dumps(data.to_json(), allow_nan=False)
    assert ReportData.from_json(json.loads(text)) == data


def test_json_keeps_full_precision():
    data = sample.sample()
    shown = json.loads(json.dumps(data.to_json()))
    assert shown["lifts"][0]["difference"]["low"] == data.lifts[0].difference.low
    assert shown["as_of"] == "2026-04-06T04:00:00+00:00"


@pytest.mark.parametrize("people", range(1, SMALL_CELL))
def test_money_of_few_people_is_dropped_wherever_it_is_given(people):
    assert SegmentRow("s", people, 0.1, 812.5).revenue_365d is None
    assert RfmCell(1, 1, people, 812.5).revenue is None
    assert RfmGroup("g", people, 812.5).revenue is None
    assert (
        dataclasses.replace(sample.empty(), n_profiles=people, revenue_365d=1.0).revenue_365d
        is None
    )


def test_money_of_ten_people_and_of_nobody_is_kept():
    assert SegmentRow("s", SMALL_CELL, 0.1, 812.5).revenue_365d == 812.5
    assert SegmentRow("s", 0, 0.0, 0.0).revenue_365d == 0.0


def test_a_stored_money_figure_of_few_people_is_dropped_as_well():
    document = sample.sample().to_json()
    document["segments"][0] |= {"people": 3, "revenue_365d": 61_200.0}
    assert ReportData.from_json(document).segments[0].revenue_365d is None


def test_the_analysis_own_json_is_read():
    from connector.domain import Arm
    from connector.lift.analysis import ArmSummary, CampaignLift
    from connector.lift.intervals import Interval
    from connector.lift.metrics import MetricKind
    from connector.lift.verdict import Verdict

    interval = Interval(1.5, 0.25, 2.5, 0.95)
    lift = CampaignLift(
        "winback", 1, "revenue_per_person_30d", MetricKind.SUM, 30, True, sample.AS_OF,
        ArmSummary(Arm.TREATMENT, 900, 4, 90, 6.5, 5850.0),
        ArmSummary(Arm.NO_CONTACT, 300, 2, 20, 5.0, 1500.0),
        interval, None, interval.scaled(900), None, None, 27.5, None,
        Verdict.DIRECTIONAL_ONLY, "It points up.",
    )  # fmt: skip
    row = LiftRow.from_json(lift.to_json())
    assert (row.kind, row.verdict, row.holdout.arm) == ("sum", "directional_only", "no_contact")
    assert row.incremental.high == 2250.0
    assert row.n_open == lift.n_open == 6
    assert row.as_of == lift.as_of


def test_every_field_of_the_analysis_has_a_place():
    from connector.lift.analysis import CampaignLift

    names = {f.name for f in dataclasses.fields(CampaignLift)}
    assert names == {f.name for f in dataclasses.fields(LiftRow)}


def test_a_models_cut_points_are_copied():
    from decimal import Decimal

    cuts = Cuts(Method.QUANTILE, (Decimal("46"), Decimal("118.5")), reverse=True, empty_bins=(2,))
    axis = RfmAxis.of("recency", cuts.to_dict())
    assert axis == RfmAxis("recency", "quantile", (46.0, 118.5), True, (2,))
    assert axis.bins == cuts.bins


def test_times_without_a_zone_are_refused():
    naive = datetime(2026, 4, 6)  # noqa: DTZ001
    with pytest.raises(LiftlineError, match="time zone"):
        dataclasses.replace(sample.empty(), as_of=naive)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda d: d.update(format=99), "format 99"),
        (lambda d: d.pop("project"), "ReportData"),
        (lambda d: d.update(project=7), "ReportData.project"),
        (lambda d: d["segments"].__setitem__(0, "regulars"), "ReportData.segments"),
        (lambda d: d["lifts"][0].update(is_goal="yes"), "LiftRow.is_goal"),
    ],
)
def test_a_damaged_document_is_named(damage, said):
    document = json.loads(json.dumps(sample.sample().to_json()))
    damage(document)
    with pytest.raises(LiftlineError, match=said):
        ReportData.from_json(document)


def test_the_sample_adds_up():
    for campaign in sample.campaigns():
        assert campaign.in_segment == campaign.eligible + sum(campaign.blocked.values())
        assert campaign.eligible == sum(campaign.arms.values())
    rfm = sample.rfm()
    n_scored = sum(cell.people for cell in rfm.cells)
    assert n_scored == sum(g.people for g in rfm.groups)
    assert n_scored + rfm.n_lapsed + rfm.n_prospects == sample.sample().n_profiles


def test_the_runs_own_json_is_read():
    from collections import Counter

    from connector.errors import TransientError
    from connector.pipeline.activate.applying import ApplyReport
    from connector.push import DestinationReport
    from connector.report.codec import decode
    from connector.report.sent import DeliveryRow, OutcomeCount

    done = DestinationReport(
        "hubspot",
        outcomes=Counter({("membership", "add", "delivered"): 7}),
        error=TransientError("hubspot: no answer."),
        n_unsent=3,
    )
    document = ApplyReport("run-1", "plan-1", "partial", (done,)).to_json()
    (row,) = (decode(DeliveryRow, one) for one in document["destinations"])
    outcome = OutcomeCount("membership", "add", "delivered", 7)
    assert row == DeliveryRow("hubspot", (outcome,), 3, "hubspot: no answer.")
