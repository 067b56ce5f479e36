"""``liftline lift``: an experiment that was run elsewhere, judged by the same rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connector.cli.context import Output, OutputOption, emit
from connector.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connector.lift.result import CampaignLift


def lift(
    assignments: Annotated[
        Path, typer.Option("--assignments", help="CSV or Parquet: a person and an arm in each row.")
    ],
    outcomes: Annotated[
        Path,
        typer.Option(
            "--outcomes", help="CSV or Parquet: a person and numbers; several rows are added up."
        ),
    ],
    control: Annotated[
        str, typer.Option("--control", help="The arm that the others are compared with.")
    ] = "control",
    covariates: Annotated[
        Path | None,
        typer.Option(
            "--covariates",
            help="What was known before: numbers sharpen the comparison, texts class people.",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="A column, or a ratio such as revenue/orders; the first one decides. May be"
            " repeated; every number by default.",
            show_default=False,
        ),
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(
            "--share",
            help="Intended share of an arm, such as control=10%; of every arm, or of none.",
            show_default=False,
        ),
    ] = None,
    person: Annotated[
        str, typer.Option("--person", help="Column of people.", show_default=False)
    ] = "",
    arm: Annotated[str, typer.Option("--arm", help="Column of arms.", show_default=False)] = "",
    currency: Annotated[str, typer.Option("--currency", help="Of amounts.")] = "EUR",
    confidence: Annotated[float, typer.Option("--confidence", help="Of every interval.")] = 0.95,
    count: Annotated[
        list[str] | None,
        typer.Option("--count", help="A column that counts things.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Write a page here, and the numbers as JSON and Parquet beside it.",
            show_default=False,
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Analyse an experiment that was run elsewhere: who was in which arm, and what they did.

    Everybody assigned counts. Every arm is compared with the control and with each other, corrected
    for their number; the rules are those of campaigns.
    """
    from connector.lift.compare import MeasurementSpec
    from connector.pipeline.prove.foreign import Asked, Files, read_and_analyse

    if not 0.5 <= confidence < 1:
        raise ConfigError(f"--confidence lies between 0.5 and 1, not at {confidence}.")
    as_of = datetime.now(UTC)
    found = read_and_analyse(
        Files(assignments, outcomes, covariates, person, arm),
        Asked(control, tuple(metric or ()), _shares(share or ()), frozenset(count or ())),
        as_of=as_of,
        rules=MeasurementSpec(
            confidence=confidence,
            currency=currency,
            covariate_days=1 if covariates is not None else 0,
        ),
    )
    if out is not None:
        from connector.pipeline.show.experiment import write_experiment

        write_experiment(found, out, name=assignments.stem, currency=currency, as_of=as_of)
    if output is Output.JSON:
        emit({"comparisons": [one.to_json() for one in found]})
        return
    _show(found)
    if out is not None:
        typer.echo(f"The page is {out}.")


def _shares(texts: Sequence[str]) -> Mapping[str, float]:
    """Arm -> share, of texts such as ``control=10%``."""
    shares = {}
    for text in texts:
        arm, _, number = text.rpartition("=")
        try:
            value = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
        except ValueError:
            arm = ""
        if not arm:
            raise ConfigError(f"--share {text!r} is not like control=10%.")
        if arm in shares:
            raise ConfigError(f"--share names {arm} twice.")
        shares[arm] = value
    return shares


def _show(found: Sequence[CampaignLift]) -> None:
    from rich.text import Text

    from connector.cli.screen import console, say, table
    from connector.numbers import NONE, difference_digits
    from connector.report.words import VERDICTS

    out = console()
    numbers = ("people", "treated", "control", "difference", "interval", "p")
    for metric in dict.fromkeys(one.metric for one in found):
        rows = [one for one in found if one.metric == metric]
        title = f"{metric}, {rows[0].unit}" + (", which decides" if rows[0].is_goal else "")
        made = table(title, "comparison", *numbers, "verdict", numbers=numbers)
        for one in rows:
            difference = interval = NONE
            if one.difference is not None:
                shown = [one.scale * x for x in (one.difference.low, one.difference.high)]
                digits = difference_digits(*shown, usual=one.digits)
                difference = f"{one.scale * one.difference.estimate:+,.{digits}f}"
                interval = f"{shown[0]:+,.{digits}f} to {shown[1]:+,.{digits}f}"
            p = one.p_value if one.p_adjusted is None else one.p_adjusted
            made.add_row(
                one.comparison,
                f"{one.treatment.n:,} / {one.holdout.n:,}",
                _mean(one.treatment.mean, one.scale, one.digits),
                _mean(one.holdout.mean, one.scale, one.digits),
                difference,
                interval,
                NONE if p is None else f"{p:.2g}",
                Text(VERDICTS[one.verdict.value].title, style="bold"),
            )
        out.print(made)
    for one in (one for one in found if one.is_goal):
        say(out, "·", "dim", Text(f"{one.comparison}: {one.reason}"))
    for note in dict.fromkeys((h.message, h.alarm) for one in found for h in one.health):
        say(out, "✗" if note[1] else "·", "red" if note[1] else "dim", note[0])


def _mean(mean: float | None, scale: float, digits: int) -> str:
    from connector.numbers import NONE

    return NONE if mean is None else f"{scale * mean:,.{digits}f}"
