"""``liftline backtest``: how models would have done on the shop's own past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from connector.pipeline.show.backtesting import ClvBacktest, DemandResult

_MOST_PARTS = 20
"""Categories and segments that are listed; the JSON has all."""

app = typer.Typer(
    help="Try models on the shop's own past, beside naive rules.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Try models on the shop's own past, beside naive rules."""


@app.command()
def clv(
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="Name of a model; all of type clv by default.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TEXT,
    as_of: AsOfOption = None,
) -> None:
    """Every contender for lifetime value, window by window.

    Absolute error, error of the total and correlation, and who is chosen and why.
    """
    from connector.pipeline.show.backtesting import backtest_clv

    with open_project(config) as project:
        tried = backtest_clv(project, model=model, as_of=parse_as_of(as_of, project))
        currency = project.config.project.currency
    if output is Output.JSON:
        emit({"models": [one.to_json() for one in tried]})
        return
    for one in tried:
        _show(one, currency)


def _show(tried: ClvBacktest, currency: str) -> None:
    from rich.text import Text

    from connector.cli.screen import console, say, table
    from connector.numbers import NONE, gain
    from connector.report.model_words import algorithm, rule

    out = console()
    numbers = (f"absolute\nerror {currency}", f"RMSE\n{currency}", "total", "correlation")
    title = f"{tried.model}: {tried.value.replace('_', ' ')} of a person"
    made = table(title, "window", "contender", *numbers, "", numbers=numbers)
    for window in tried.windows:
        when = f"{window.first_day} to {window.last_day}"
        for i, one in enumerate(window.results):
            made.add_row(
                when if i == 0 else "",
                rule(one.name) if one.is_rule else algorithm(one.name),
                f"{one.mae:,.2f}",
                f"{one.rmse:,.2f}",
                NONE if one.bias is None else gain(one.bias),
                f"{one.correlation:.2f}",
                "chosen" if one.name == tried.chosen else "naive rule" if one.is_rule else "",
            )
        people = f"{window.results[0].people:,} people" if window.results else ""
        made.add_row(Text(people, style="dim"), *[""] * 6)
    out.print(made)
    if tried.chosen is None:
        say(out, "!", "yellow", tried.why)
    else:
        say(out, "✓", "green", f"{algorithm(tried.chosen)} is chosen. {tried.why}")
    for name, reason in tried.refusals.items():
        say(out, "·", "dim", f"{algorithm(name)}: {reason}")
    if tried.demand is not None:
        _show_demand(tried.demand)


def _show_demand(demand: DemandResult) -> None:
    from connector.cli.screen import console, say, table
    from connector.numbers import NONE, count, gain, percent

    out = console()
    numbers = ("orders\nthat came", "off by", "as in the\nlast period")
    made = table("Orders foretold in the same windows", "of", "", *numbers, numbers=numbers)
    for what, parts in (("segment", demand.segments), ("category", demand.categories)):
        for i, one in enumerate(parts[:_MOST_PARTS]):
            errors = (one.wape, one.wape_last_period)
            made.add_row(
                what if i == 0 else "",
                one.name,
                count(one.actual),
                *(NONE if error is None else percent(error) for error in errors),
            )
    out.print()
    out.print(made)
    say(
        out,
        "·",
        "dim",
        f"Orders by category ({demand.n_categories}): off by {percent(demand.wape)} in all,"
        f" {gain(demand.total_error)} in total; as many as in the last period would be off by"
        f" {percent(demand.wape_last_period)}. Worst of the busy ones: {demand.worst}.",
    )
    if demand.untried:
        say(
            out,
            "·",
            "dim",
            f"Not tried, for they read scores of other models: {', '.join(demand.untried)}.",
        )
