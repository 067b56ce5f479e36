"""The commands of ``liftline``."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connector import log
from connector.cli import backtest, holdout, lift
from connector.cli.context import (
    ApproveOption,
    AsOfOption,
    ConfigOption,
    Output,
    OutputOption,
    approver,
    emit,
    fail,
    open_project,
    parse_approvals,
    parse_as_of,
)
from connector.cli.personas import personas
from connector.errors import (
    EXIT_WITH_REJECTIONS,
    GuardError,
    LiftlineError,
    PlanError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connector.pipeline.activate.applying import ApplyReport
    from connector.plan.document import Guard

app = typer.Typer(
    name="liftline",
    help=(
        "Customer segments to campaigns: plan, push only what changed, hold some people out,"
        " prove the lift."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(backtest.app, name="backtest")
app.command()(personas)
app.add_typer(holdout.app, name="holdout")
app.command("lift")(lift.lift)

_ALL_RUNS = 1_000_000_000
"""More runs than there will ever be."""

EXIT_INTERRUPTED = 130
"""Exit code after ^C, as shells have it."""


@app.callback()
def _options(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Tell more; twice for details.")
    ] = 0,
) -> None:
    log.configure(verbose)


@app.command()
def check(
    config: ConfigOption = None, output: OutputOption = Output.TEXT, as_of: AsOfOption = None
) -> None:
    """Look at everything before anything is sent.

    File, sources, consent, models, segments, what each campaign could prove, and credentials.
    """
    from connector.domain import Level
    from connector.pipeline.check.findings import check as run_check

    with open_project(config) as project:
        checked = run_check(project, as_of=parse_as_of(as_of, project))
    if output is Output.JSON:
        emit(checked.to_json())
    else:
        from connector.cli.findings import show_findings

        show_findings(checked)
    if any(finding.level is Level.ERROR for finding in checked.findings):
        raise typer.Exit(4)


@app.command()
def plan(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    as_of: AsOfOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Also keep the plan in this folder.", show_default=False),
    ] = None,
    people: Annotated[
        int | None,
        typer.Option(
            "--people",
            help="List so many people with reason and arm, addresses masked.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show every change that a run would make, and send nothing."""
    with open_project(config) as project:
        made = project.plan(out=out, as_of=parse_as_of(as_of, project))
    from connector.cli import plans

    if output is Output.JSON:
        emit(made.header.to_json() | {"people": plans.people_rows(made, people) if people else []})
    else:
        plans.show_plan(made)
        if people:
            plans.show_people(made, people)
        plans.show_next(made, out)
    if made.header.unreadable:
        raise typer.Exit(made.header.unreadable[0].exit_code)


@app.command()
def apply(
    folder: Annotated[
        Path | None,
        typer.Argument(help="The plan's folder; the newest plan by default.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    approve: ApproveOption = "",
) -> None:
    """Carry out a plan that was looked at."""
    with open_project(config) as project:
        report = project.apply(folder, approved=parse_approvals(approve), approver=approver())
    _told(report, output, report.guards)


@app.command()
def sync(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    as_of: AsOfOption = None,
    approve: ApproveOption = "",
) -> None:
    """Plan and apply in one go, for a scheduler.

    Guards hold what a person must look at first.
    """
    with open_project(config) as project:
        made, report = project.sync(
            as_of=parse_as_of(as_of, project),
            approved=parse_approvals(approve),
            approver=approver(),
        )
    if output is Output.TEXT:
        from connector.cli.plans import show_plan

        show_plan(made, passed=report.status != "held")
    _told(report, output)


def _told(report: ApplyReport, output: Output, guards: Sequence[Guard] = ()) -> None:
    """Show what a run did, and which guards held it, and leave with its exit code."""
    if output is Output.JSON:
        emit(report.to_json())
    else:
        from connector.cli.runs import show_run

        show_run(report, guards)
    if report.status == "held":
        raise typer.Exit(GuardError.exit_code)
    if report.errors:
        raise typer.Exit(report.errors[0].exit_code)
    if report.n_blocked:
        raise typer.Exit(EXIT_WITH_REJECTIONS)
    if report.n_deferred:
        raise typer.Exit(TransientError.exit_code)
    if report.n_left and output is Output.TEXT:
        typer.echo(f"Left out: {report.n_left:,} changes; the next plan decides them anew.")


@app.command()
def train(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    as_of: AsOfOption = None,
    accept_labels: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-labels",
            help=(
                "Use this model's new labels however many people change theirs, after a look at"
                " the review; may be given again."
            ),
            show_default=False,
        ),
    ] = None,
) -> None:
    """Fit every model anew.

    Shows how good each is beside the best naive rule, which are used, and whom that moves.
    """
    with open_project(config) as project:
        done = project.train(
            as_of=parse_as_of(as_of, project), accept_labels=tuple(accept_labels or ())
        )
        currency = project.config.project.currency
    if output is Output.JSON:
        emit(done.to_json())
        return
    from connector.cli.models import show_training

    show_training(done, currency)


@app.command()
def status(config: ConfigOption = None, output: OutputOption = Output.TEXT) -> None:
    """What waits for somebody, the last run, and the lists."""
    from connector.pipeline.show.overview import overview

    with open_project(config) as project:
        found = overview(project)
    if output is Output.JSON:
        emit(found)
        return
    from connector.cli.standing import show_status

    show_status(found)


@app.command()
def history(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many runs.")] = 20,
) -> None:
    """The runs, newest first."""
    with open_project(config) as project:
        runs = project.journal.runs(limit)
    if output is Output.JSON:
        emit({"runs": runs})
        return
    from connector.cli.runs import show_history

    show_history(runs)


@app.command()
def issues(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    run: Annotated[
        str | None,
        typer.Option("--run", help="A run's id; the last run by default.", show_default=False),
    ] = None,
) -> None:
    """What did not get through, grouped by cause."""
    with open_project(config) as project:
        runs = project.journal.runs(_ALL_RUNS if run else 1)
        found = next((one for one in runs if run in {None, one["run_id"]}), None)
        if run and found is None:
            raise PlanError(f"there is no run {run}.", hint="`liftline history` lists the runs.")
        rows = project.journal.issues(found["run_id"]) if found else []
    if output is Output.JSON:
        emit({"run_id": found["run_id"] if found else None, "issues": rows})
        return
    from connector.cli.runs import show_issues

    show_issues(found, rows)


@app.command()
def explain(
    who: Annotated[str, typer.Argument(help="A profile id, a customer id or an e-mail address.")],
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    as_of: AsOfOption = None,
) -> None:
    """Why one person is where they are, and what would change it.

    Scores, rules with the person's values, arms, consent and lists.
    """
    from connector.pipeline.person.explain import explain as run_explain

    with open_project(config) as project:
        found = run_explain(project, who, as_of=parse_as_of(as_of, project))
    if output is Output.JSON:
        emit(found.to_json())
        return
    from connector.cli.person import show_explanation

    show_explanation(found)


@app.command()
def report(
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    as_of: AsOfOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Where the page goes; report.out of the file by default.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Lift, segments and deliveries: here, and as an HTML page."""
    from connector.pipeline.show.report import gather_report, write_report

    with open_project(config) as project:
        data = gather_report(project, as_of=parse_as_of(as_of, project))
        path = write_report(project, data, out)
    if output is Output.JSON:
        emit(data.to_json())
        return
    from connector.cli.screen import console
    from connector.report.terminal import render_terminal

    render_terminal(data, console())
    typer.echo(f"\nThe page: {path}")


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option("--folder", help="Where the demo's shop, state and report go.")
    ] = Path("demo"),
    customers: Annotated[
        int, typer.Option("--customers", min=500, help="Size of the shop.")
    ] = 20_000,
) -> None:
    """A made-up shop, a sandbox HubSpot, five weeks in a minute.

    Runs check, plan, apply, sync and report; needs no account.
    """
    from connector.cli.demo import run_demo

    run_demo(folder, customers)


def main() -> None:
    """Run the command line; errors of ours become one sentence and an exit code."""
    output = Output.JSON if "--output=json" in sys.argv or _asks_json(sys.argv) else Output.TEXT
    try:
        try:
            app(standalone_mode=True)
        except LiftlineError as error:
            fail(error, output)
    except typer.Exit as leaving:
        raise SystemExit(leaving.exit_code) from None
    except SystemExit as leaving:
        if leaving.code == EXIT_INTERRUPTED:
            typer.echo("interrupted: run it again, it takes up where it stopped.", err=True)
        raise


def _asks_json(arguments: list[str]) -> bool:
    return any(pair == ("--output", "json") for pair in pairwise(arguments))
