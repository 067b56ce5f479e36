"""What a scheduler learns of a run from its exit code, by the table of the README."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import typer

from connector.cli.app import _told
from connector.cli.context import Output
from connector.domain import Action, Kind, Outcome
from connector.errors import PermanentError, TransientError
from connector.pipeline.activate.applying import ApplyReport
from connector.push import DestinationReport, Issue

README = Path(__file__).parents[2] / "README.md"


def run(*outcomes: str, error: Exception | None = None, status: str = "partial") -> ApplyReport:
    """A run with one change of each outcome."""
    report = DestinationReport(
        "hubspot",
        outcomes=Counter({("record", "update", outcome): 1 for outcome in outcomes}),
        issues=[
            Issue("hubspot", Kind.RECORD, Action.UPDATE, None, "p1", outcome, "moved", "")
            for outcome in outcomes
        ],
        error=error,
    )
    return ApplyReport("run-1", "plan-1", status, (report,))


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (run(Outcome.DELIVERED, status="succeeded"), 0),
        (run(Outcome.DELIVERED, Outcome.REJECTED), 11),
        (run(Outcome.DELIVERED, Outcome.SUPPRESSED), 11),
        (run(Outcome.DELIVERED, Outcome.DEFERRED), 10),
        (run(Outcome.REJECTED, Outcome.DEFERRED), 11),
        (run(Outcome.DEFERRED, error=TransientError("busy")), 10),
        (run(Outcome.REJECTED, error=PermanentError("no such property")), 9),
        (run(Outcome.DELIVERED, "skipped"), 0),
        (run(Outcome.DELIVERED, Outcome.MISSING, status="succeeded"), 0),
        (run(Outcome.DEFERRED, status="held"), 7),
    ],
)
@pytest.mark.parametrize("output", list(Output))
def test_a_run_leaves_with_the_code_of_what_is_to_be_done(
    report: ApplyReport, code: int, output: Output
) -> None:
    left_with = 0
    try:
        _told(report, output)
    except typer.Exit as leaving:
        left_with = leaving.exit_code
    assert left_with == code
    assert code == 0 or re.search(rf"^\| {code} \|", README.read_text(), re.MULTILINE)


@pytest.mark.parametrize("outcome", ["skipped", Outcome.MISSING])
def test_what_was_left_out_is_said(outcome: str, capsys: pytest.CaptureFixture[str]) -> None:
    _told(run(Outcome.DELIVERED, outcome), Output.TEXT)
    assert "Left out: 1 changes" in capsys.readouterr().out
