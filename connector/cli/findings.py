"""``liftline check`` on a terminal: what was found, what each campaign could show, a last word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from connector.cli.models import show_models
from connector.cli.screen import MARKS, console, say, subject, table
from connector.domain import Arm, Level
from connector.numbers import NONE, count, gain, percent, several, short_of
from connector.pipeline.prove.prospects import TWO_YEARS, consequence

if TYPE_CHECKING:
    from rich.console import Console

    from connector.pipeline.check.findings import Checked
    from connector.pipeline.prove.detectable import Prospect

_WEEKS_OF_A_MONTH = 365.25 / 12 / 7

_LEVELS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "note"}


def show_findings(checked: Checked) -> None:
    """Findings in the order of the file, the models, what could be shown, then the verdict."""
    out = console()
    in_table = {prospect.subject for prospect in checked.prospects}
    for finding in checked.findings:
        if finding.subject in in_table:
            continue
        hint = finding.hint if finding.level is not Level.OK else ""
        say(
            out,
            *MARKS[finding.level],
            subject(finding.subject, finding.message),
            *([Text(f"→ {hint}", style="dim")] if hint else []),
        )
    if checked.has_models:
        out.print()
        show_models(out, [one.short() for one in checked.models], checked.currency)
    _show_prospects(out, checked.prospects, checked.power, checked.wanted)
    totals = {level: sum(f.level is level for f in checked.findings) for level in Level}
    verdict = "Not ready: mend the errors first." if totals[Level.ERROR] else "Ready."
    counted = ", ".join(several(totals[level], word) for level, word in _LEVELS.items())
    out.print()
    out.print(f"{verdict} {counted}, {totals[Level.OK]:,} fine.")


def _show_prospects(
    out: Console, prospects: Sequence[Prospect], power: float, wanted: float
) -> None:
    """What each campaign could show, one row a comparison, and what follows from it."""
    if not prospects:
        return
    goal = f"{percent(wanted)}\nshows"
    numbers = ("eligible\nnow", "new a\nmonth", "held\nout", "buyers\nthere", "shows\nfrom")
    made = table("What each campaign could show", "campaign", *numbers, goal, numbers=numbers)
    for p in prospects:
        made.add_row(
            _name(p),
            count(p.n_eligible),
            count(p.n_weekly * _WEEKS_OF_A_MONTH),
            count(p.n_holdout),
            short_of(p.buyers),
            NONE if p.lift is None or p.impossible else gain(p.lift),
            _away(p),
        )
    out.print()
    out.print(made)
    for p in prospects:
        is_enough = p.is_enough(wanted)
        sign, style = MARKS[Level.OK if is_enough else Level.WARNING]
        say(out, sign, style, subject(_name(p), consequence(p)))
    chance = percent(power)
    out.print(
        Text(
            "Buyers: to be expected among those held out, going by the people who would have been"
            " eligible one window ago. Shows from: the smallest effect that would be found with"
            f" {chance} probability.",
            style="dim",
        )
    )


def _name(p: Prospect) -> str:
    """The campaign, and whom it is compared with where that is not nobody contacted."""
    return f"{p.campaign}, vs usual" if p.arm is Arm.BUSINESS_AS_USUAL else p.campaign


def _away(p: Prospect) -> str:
    """When enough people will have qualified to see the effect that is wanted."""
    if p.lift is None or p.impossible or p.n_required is None:
        return NONE
    weeks = p.weeks
    if weeks is None or weeks > TWO_YEARS:
        return "in over 2 years"
    return "now" if not weeks else f"in {several(math.ceil(weeks), 'week')}"
