"""The result's JSON: nothing is lost or rounded on the way to the report, whatever it holds."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime, timedelta, timezone

from connector.lift.intervals import Interval
from connector.lift.metrics import MetricKind
from connector.lift.result import (
    Alternative,
    ArmSummary,
    CampaignLift,
    GuardrailCheck,
    HealthFinding,
    Look,
    Money,
    OpenInterval,
    Outlook,
    Role,
    SegmentLift,
    Stage,
)
from connector.lift.verdict import Verdict
from connector.report.codec import encode
from connector.report.lift import LiftRow

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
TENTH = Interval(0.1 + 0.2, 1e-17, 2 / 3, 0.95)
TREATED = ArmSummary("offer_a", 900, 4, 90, 6.5, 5850.0, 1 / 3, 120.0)
HELD = ArmSummary("control", 300, 2, 20, 5.0, 1500.0, 2.0)
OPEN = OpenInterval(4.0, 1.1, None, 0.95, "It has no upper bound.")
FULL = CampaignLift(
    *("winback", 2, "aov_30d", MetricKind.RATIO, 30, False, NOON, TREATED, HELD),
    *(TENTH, TENTH, TENTH.scaled(900), 18.0, TENTH, 27.5, 0.7),
    *(Verdict.WIN, "More.", "offer A against control", "EUR per order", 1.0, 2, False),
    *(0.01, 0.04, "delta", "By the delta method.", Stage.RUNNING),
    series=(Look(NOON - timedelta(days=7), 10, 5, 0.1, -1.0, 1.0),),
    segments=(
        SegmentLift(
            *("rfm.group", "lost", TREATED, HELD, TENTH, None, 0.02, 0.08, 31.0),
            *(Verdict.DIRECTIONAL_ONLY, "It points up."),
        ),
    ),
    segments_note="Scores were not published.",
    sensitivities=(Alternative("welch", "Welch's interval", None, "nobody differs"),),
    health=(HealthFinding("assigned", 0.3, False, "As drawn."),),
    guardrail=GuardrailCheck(0.003, "kept", "Below the limit."),
    is_surrogate=True,
    money=Money(18.0, "0.02 a person", True, TENTH, None, TENTH, OPEN, None, OPEN, "no costs"),
    outlook=Outlook(date(2026, 5, 1), "", 0.3, 0.03, "Half of it."),
)  # fmt: skip


def test_every_number_comes_back_as_it_was():
    text = json.dumps(FULL.to_json(), allow_nan=False)
    row = LiftRow.from_json(json.loads(text))
    assert encode(row) == {
        key: value for key, value in json.loads(text).items() if key not in ("n_open", "role")
    }
    assert row.difference.estimate == 0.1 + 0.2
    assert row.segments[0].treatment.variance == 1 / 3
    assert row.money.roas.high is None
    assert row.outlook.registered_end == date(2026, 5, 1)
    assert row.series[0].at == NOON - timedelta(days=7)


def test_every_part_of_the_result_has_the_reports_fields():
    """Nested values too: a field that the report does not know would be dropped in silence."""
    row = LiftRow.from_json(FULL.to_json())

    def names(one: object, other: object) -> None:
        assert {f.name for f in dataclasses.fields(one)} == {
            f.name for f in dataclasses.fields(other)
        }

    names(FULL, row)
    for field in ("treatment", "difference", "guardrail", "money", "outlook"):
        names(getattr(FULL, field), getattr(row, field))
    for field in ("series", "segments", "sensitivities", "health"):
        names(getattr(FULL, field)[0], getattr(row, field)[0])
    names(FULL.money.roas, row.money.roas)


def test_times_are_written_in_utc():
    east = dataclasses.replace(FULL, as_of=NOON.astimezone(timezone(timedelta(hours=2))))
    assert east.to_json()["as_of"] == "2026-04-01T12:00:00+00:00"


def test_what_a_metric_is_to_its_campaign():
    assert FULL.role is Role.GUARDRAIL
    assert dataclasses.replace(FULL, guardrail=None).role is Role.ALSO
    goal = dataclasses.replace(FULL, is_goal=True)
    assert goal.role is Role.GOAL
    assert goal.to_json()["role"] == LiftRow.from_json(goal.to_json()).role == "goal"
