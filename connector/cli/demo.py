"""``liftline demo``: a seeded shop and a sandbox HubSpot, from check to measured campaign.

The sandbox is a process of its own on loopback, started by its module's name: the engine never
imports a destination, and neither does its demo. Dates and effects are the story's
(:mod:`connector.demo.story`); the clock is told, so five weeks pass in a moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from connector.cli import findings, plans, runs, screen
from connector.cli.context import progress
from connector.demo import contacts, outcomes, shop, story
from connector.errors import LiftlineError
from connector.numbers import minus
from connector.pipeline.check.findings import check
from connector.pipeline.project import Project
from connector.pipeline.prove.measure import load_assignments
from connector.pipeline.show.report import gather_report, write_report
from connector.report.format import spoken_per_person
from connector.report.terminal import render_terminal
from connector.report.words import metric_label, unit_of

MARK = ".liftline-demo"
"""Marks a folder that the demo may empty."""

SALT = "the-demo-draws-the-same-arms-every-day"
"""What arms are drawn with; a real project keeps its own secret."""

VARIABLES = "demo.env"
"""Sets what the demo's configuration asks for, so that the folder can be looked at afterwards."""

SANDBOX = "destinations.sandbox.hubspot"
PER_10S = 190


def run_demo(folder: Path, n_customers: int) -> None:
    """Run the whole story in a folder, which is emptied when an earlier demo made it.

    Raises:
        LiftlineError: The folder holds something else.
    """
    started = time.monotonic()
    _empty(folder)
    out = screen.console()
    shop_file = folder / "shop.duckdb"
    made = shop.build_shop(
        shop_file,
        seed=story.SEED,
        start=story.OPENED,
        until=story.FIRST_RUN,
        n_customers=n_customers,
    )
    (folder / "liftline.yaml").write_text(story.config_text(), encoding="utf-8")
    out.rule("[bold]A home-goods shop")
    out.print(
        f"{made.n_customers:,} customers, {made.n_orders:,} orders, three years, in {shop_file}."
        f"\nThe configuration is {folder / 'liftline.yaml'}."
    )
    with sandbox() as (url, token):
        account = contacts.account_contents(shop_file, seed=story.SEED)
        _tell(url, "preload_contacts", contacts=account.contacts)
        out.print(
            f"Its HubSpot account is a sandbox at {url} with {len(account.contacts):,} contacts."
        )
        variables = {"HUBSPOT_TOKEN": token, "HUBSPOT_URL": url, "HOLDOUT_SALT": SALT}
        os.environ |= variables
        keep_variables(folder, variables)
        clock = _Clock(story.FIRST_RUN)
        with (
            progress() as steps,
            Project.open(
                folder / "liftline.yaml", clock=clock, identity_key="demo", progress=steps
            ) as project,
        ):
            out.rule("[bold]liftline check")
            checked = check(project)
            steps.clear()
            findings.show_findings(checked)

            out.rule("[bold]liftline plan")
            plan = project.plan()
            steps.clear()
            plans.show_plan(plan)
            plans.show_people(plan, 3)

            out.rule("[bold]liftline apply --approve first_sync")
            run = project.apply(approved={"first_sync"}, approver="demo")
            steps.clear()
            runs.show_run(run)

            out.rule(f"[bold]Five weeks pass; it is {story.SECOND_RUN:%d %B %Y}")
            advance = outcomes.advance_shop(
                shop_file,
                seed=story.SEED,
                from_=story.FIRST_RUN,
                until=story.SECOND_RUN,
                assignments=_assignments(project),
                effects=story.EFFECTS,
                treated_from=story.FIRST_RUN,
            )
            out.print(
                f"{advance.n_orders:,} orders came in, {advance.n_withdrawals:,} people withdrew"
                f" consent, {advance.n_new_customers:,} became customers."
            )
            clock.now = story.SECOND_RUN

            out.rule("[bold]liftline sync")
            plan, run = project.sync()
            steps.clear()
            plans.show_plan(plan)
            runs.show_run(run)

            out.rule("[bold]liftline report")
            data = gather_report(project)
            path = write_report(project, data)
            steps.clear()
        render_terminal(data, out)
        _show_truth(out, data.lifts, advance.true_effects, data.currency)
        traffic = _tell(url, "traffic")
    out.rule("[bold]Done")
    out.print(
        f"The sandbox answered {traffic['accepted']:,} requests and refused"
        f" {sum(traffic['refused'].values()):,} for coming too fast."
        f"\nThe report: [bold]{path}[/bold]"
        f"\nTo look around: [bold]cd {folder} && . ./{VARIABLES} && liftline status[/bold] (or"
        " history, issues, report; the sandbox itself is gone)."
        f"\nEverything took {time.monotonic() - started:.0f} s."
    )


class _Clock:
    """A clock that stands still until it is told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def _empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise LiftlineError(
                f"{folder} exists and was not made by the demo.",
                hint="Name another folder with --folder.",
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def keep_variables(folder: Path, variables: Mapping[str, str]) -> None:
    """Write what a shell has to read before it can use the demo's folder."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    path = folder / VARIABLES
    path.touch(mode=0o600)
    path.write_text("".join(lines), encoding="utf-8")


@contextlib.contextmanager
def sandbox() -> Iterator[tuple[str, str]]:
    """A HubSpot on loopback in a process of its own; yields its address and a token."""
    command = [sys.executable, "-m", SANDBOX, "--port", "0", "--per-10s", str(PER_10S)]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    try:
        line = process.stdout.readline()
        if not line:
            raise LiftlineError(
                "the sandbox did not start.",
                hint="Install its extra: pip install 'liftline[sandbox]'.",
            )
        ready = json.loads(line)
        yield ready["url"], ready["token"]
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


def _tell(url: str, method: str, **arguments: Any) -> Any:  # noqa: ANN401 - JSON both ways
    answer = httpx.post(f"{url}/_sandbox/{method}", json=arguments, timeout=60)
    answer.raise_for_status()
    return answer.json()["result"]


def _assignments(project: Project) -> Any:  # noqa: ANN401 - an Arrow table
    """Who has which arm, one row a customer: the outcomes act on customers."""
    with project.people(as_of=project.now) as warehouse:
        load_assignments(project.state, warehouse)
        return warehouse.connection.sql(
            "SELECT a.campaign, a.profile_id, a.arm, c.customer_id FROM assignments a"
            " JOIN profile_customers c USING (profile_id) ORDER BY ALL"
        ).to_arrow_table()


def _show_truth(out: Any, lifts: Sequence[Any], truth: Any, currency: str) -> None:  # noqa: ANN401
    """What the simulation knows and a real shop never does, beside what was measured."""
    made = screen.table(
        "The truth, which only a simulation knows",
        "campaign", "metric", "measured", "interval", "true effect", "inside",
        numbers=("measured", "true effect"),
    )  # fmt: skip
    for lift in lifts:
        effect = truth.get(lift.campaign)
        if effect is None or lift.difference is None or lift.holdout.arm != "no_contact":
            continue
        true = {"sum": effect.revenue_per_person, "share": effect.conversion}.get(lift.kind)
        if true is None:
            continue
        d, unit = lift.difference, unit_of(lift.kind, currency)
        said = spoken_per_person(d, unit=unit.per_person, scale=unit.scale, digits=unit.digits)
        made.add_row(
            lift.campaign,
            f"{metric_label(lift)}, {unit.per_person}",
            said.estimate,
            f"{said.low} to {said.high}",
            minus(f"{true * unit.scale:+.{unit.digits}f}"),
            "yes" if d.low <= true <= d.high else "no",
        )
    out.print()
    out.print(made)
