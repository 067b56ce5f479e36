"""Runs on a terminal: what one did, what did not get through, and the last ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from connector.cli.screen import (
    console,
    count,
    reason_words,
    say,
    show_guards,
    subject,
    table,
    utc,
)
from connector.report.approving import advice
from connector.report.words import ISSUES, OUTCOMES, RUN_STATUS, phrase

if TYPE_CHECKING:
    from connector.pipeline.activate.applying import ApplyReport
    from connector.plan.document import Guard

_MOST_CAUSES = 5
"""Causes that are told right after a run; ``liftline issues`` tells all."""

_ENDS = {
    "succeeded": ("Delivered.", "bold green"),
    "partial": (
        "Delivered in part; the next run sends what is missing. See `liftline issues`.",
        "bold yellow",
    ),
    "held": ("Held.", "bold yellow"),
}


def show_run(report: ApplyReport, guards: Sequence[Guard] = ()) -> None:
    """What a run did, one line a destination and outcome.

    Args:
        report: The run.
        guards: Those that held it; none where they were named with its plan already.
    """
    out = console()
    made = table(
        f"Run {report.run_id}", "destination", "what", "outcome", "people", numbers=("people",)
    )
    for one in report.destinations:
        for (kind, action, outcome), n in sorted(one.outcomes.items()):
            told = phrase(OUTCOMES, str(outcome)).title.lower()
            made.add_row(one.destination, deed(kind, action), told, f"{n:,}")
        if one.n_unsent:
            made.add_row(one.destination, "", "not sent", f"{one.n_unsent:,}")
    if made.row_count:
        out.print(made)
    elif report.status == "succeeded":
        out.print("Nothing was to be sent.")
    for one in report.destinations:
        if one.problem is not None:
            say(out, "✗", "red", subject(one.destination, str(one.problem)))
        codes = Counter(issue.code for issue in one.issues)
        for code, n in codes.most_common(_MOST_CAUSES):
            say(out, "!", "yellow", f"{n:,} × {reason_words(code).lower()}")
    show_guards(out, guards)
    text, style = _ENDS[report.status]
    if report.status == "held":
        sent = "only withdrawals were sent" if made.row_count else "nothing was sent"
        then = advice({guard.name for guard in report.guards})
        text = f"Held: {sent}. {then or 'Look at the plan, then apply with --approve.'}"
    if report.status != "succeeded" or made.row_count:
        out.print(Text(text, style=style))


def deed(kind: str, action: str) -> str:
    """What a change does, in a word or two."""
    if kind == "membership":
        return {"add": "joins", "remove": "leaves"}[action]
    return {"add": "new contacts", "update": "properties", "clear": "properties cleared"}[action]


def show_history(runs: Sequence[Mapping[str, Any]]) -> None:
    """The runs, newest first; a run's name says when it began."""
    numbers = ("delivered", "refused")
    made = table("Runs", "run", "as of (UTC)", "ended", *numbers, numbers=numbers)
    for run in runs:
        totals = Counter[str]()
        for destination in run["summary"].get("destinations", ()):
            for one in destination["outcomes"]:
                totals[one["outcome"]] += one["people"]
        made.add_row(
            run["run_id"],
            utc(run["as_of"]),
            phrase(RUN_STATUS, run["status"]).title.lower(),
            count(totals["delivered"]),
            count(sum(totals[name] for name in ("rejected", "suppressed", "missing"))),
        )
    console().print(made if runs else "No run yet. `liftline plan` shows what the first would do.")


def show_issues(run: Mapping[str, Any] | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Causes, most frequent first: what the vendor said, and what happens next."""
    out = console()
    if run is None:
        out.print("No run yet.")
        return
    run_id, ended = run["run_id"], phrase(RUN_STATUS, run["status"])
    if run["status"] == "succeeded" and not rows:
        out.print(f"Everything of {run_id} got through.")
        return
    if not rows:
        out.print(f"{run_id}: {ended.title.lower()}, without an issue of a single person.")
    for one in run["summary"].get("destinations", ()):
        if one["error"]:
            say(out, "✗", "red", subject(one["destination"], one["error"]))
    if not rows:
        return
    out.print(Text(f"What did not get through in {run_id}", style="bold"))
    for row in rows:
        cause, outcome = phrase(ISSUES, row["code"]), phrase(OUTCOMES, row["outcome"])
        head = Text.assemble(
            (f"{row['n']:,} × {cause.title.lower()}", "bold"),
            f"  {row['destination']}, {deed(row['kind'], row['action'])}: {outcome.title.lower()}",
        )
        code = f" ({row['code']})" if cause.title != row["code"] else ""
        say(
            out,
            "!",
            "yellow",
            head,
            f"{row['message'] or cause.sentence}{code}",
            Text(f"{outcome.sentence} For example {row['example']}.".strip(), style="dim"),
        )
    out.print("`liftline explain PROFILE` tells more of one person.")
