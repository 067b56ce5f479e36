"""``liftline holdout``: how many people to hold out, and who is."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from connector.cli.context import (
    AsOfOption,
    ConfigOption,
    Output,
    OutputOption,
    emit,
    open_project,
    parse_as_of,
)

DRAW_ANEW = (
    "Arms are drawn anew for everybody by a higher `epoch` of the campaign in the configuration"
    " file; each epoch is measured by itself."
)

app = typer.Typer(
    help=f"How many people to hold out, and who is held out. {DRAW_ANEW}", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    pass


CampaignOption = Annotated[
    str | None,
    typer.Option("--campaign", help="One campaign; all by default.", show_default=False),
]


@app.command()
def power(
    campaign: CampaignOption = None,
    holdout: Annotated[
        str,
        typer.Option("--holdout", help="Shares of people held out to try, beside the file's own."),
    ] = "1%,5%,10%,20%,50%",
    weeks: Annotated[
        str, typer.Option("--weeks", help="Weeks of newcomers to wait for, beside none.")
    ] = "4,13,26,52",
    people: Annotated[
        str,
        typer.Option(
            "--people",
            help="Numbers of eligible people to assume, as 10000,100000.",
            show_default=False,
        ),
    ] = "",
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    as_of: AsOfOption = None,
) -> None:
    """Before a campaign starts: the smallest effect that would show.

    For each comparison by how many people are held out, now and after weeks of newcomers, and how
    many people it takes for the effect that is wanted. Warns where that is too few.
    """
    from connector.pipeline.prove.power_plan import plan_power

    shares, after, assumed = (
        _shares(holdout),
        _wholes(weeks, "--weeks"),
        _wholes(people, "--people"),
    )
    with open_project(config) as project:
        plans = plan_power(
            project,
            campaign=campaign,
            shares=shares,
            weeks=after,
            people=assumed,
            as_of=parse_as_of(as_of, project),
        )
        file = project.config
    if output is Output.JSON:
        emit(
            {
                "detect": file.detect,
                "power": file.power,
                "on_underpowered": file.holdouts.power.on_underpowered,
                "min_people_per_arm": file.holdouts.power.min_people_per_arm,
                "comparisons": [
                    {**one.to_json(), "underpowered": not one.prospect.is_enough(file.detect)}
                    for one in plans
                ],
            }
        )
        return
    from connector.cli.holdout_views import show_power

    show_power(plans, file)


@app.command("log")
def log_(
    campaign: CampaignOption = None,
    epoch: Annotated[
        int | None,
        typer.Option("--epoch", min=1, help="One epoch; all by default.", show_default=False),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(
            "--person",
            help="One person's entries and decisions, by profile id; `liftline explain` tells it.",
            show_default=False,
        ),
    ] = None,
    entries: Annotated[
        bool, typer.Option("--entries", help="List assignments instead of counting them.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Entries a page.")] = 50,
    page: Annotated[int, typer.Option("--page", min=1, help="Which page of entries.")] = 1,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """The log of assignments: who was drawn into which arm, when, and who would be sent something.

    Counts by default. Append-only: an entry is written before the first push and never changed.
    """
    from connector.errors import PlanError
    from connector.state.experiments import ExperimentLog, Wanted

    with open_project(config) as project:
        log = ExperimentLog(project.state)
        profiles = log.merged_with(person) if person is not None else None
        wanted = Wanted(campaign, epoch, profiles)
        n = log.n_assignments(wanted)
        file = project.config
        told: dict[str, Any] = {"assignments": n}
        if person is not None and n == 0:
            raise PlanError(
                f"nobody of the profile id {person} has an arm"
                f"{f' of {campaign}' if campaign else ''}.",
                hint="`liftline explain` takes an e-mail address or a customer id, and tells the"
                " profile id.",
            )
        if person is not None or entries:
            offset = (page - 1) * limit
            told |= {
                "page": page,
                "pages": max(math.ceil(n / limit), 1),
                "entries": log.assignments(wanted, limit=limit, offset=offset),
            }
        else:
            told["counts"] = log.counts(wanted)
        if profiles is not None:
            told["profiles"] = list(profiles)
            told["decisions"] = log.decisions(wanted, limit=limit, offset=offset)
    if output is Output.JSON:
        emit(told)
        return
    from connector.cli.holdout_views import show_log

    show_log(told, file)


def _shares(text: str) -> list[float]:
    """Shares such as ``1%,5%``.

    Raises:
        typer.BadParameter: One is no percent between 0 and 100.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            share = float(part.removesuffix("%")) / 100
        except ValueError:
            share = 0.0
        if not (part.endswith("%") and 0 < share < 1):
            raise typer.BadParameter(
                f"'{part}' is no share; write 5%, or several as 1%,5%,10%.",
                param_hint="--holdout",
            )
        found.append(share)
    return found


def _wholes(text: str, option: str) -> list[int]:
    """Whole numbers such as ``4,13``.

    Raises:
        typer.BadParameter: One is none.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if bad := [part for part in parts if not (part.isascii() and part.isdigit() and int(part))]:
        raise typer.BadParameter(
            f"'{bad[0]}' is no whole number of 1 or more; write several as 4,13.",
            param_hint=option,
        )
    return [int(part) for part in parts]
