"""What every command shares: finding the configuration, progress, output and errors."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connector.errors import ConfigError, LiftlineError

if TYPE_CHECKING:
    from connector.pipeline.project import Project

CONFIG_NAMES = ("liftline.yaml", "liftline.yml", "config.yaml")
"""Where the configuration is looked for when none is named."""


class Output(enum.StrEnum):
    """How a command answers."""

    TEXT = "text"
    JSON = "json"


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The configuration file; liftline.yaml here, or $LIFTLINE_CONFIG, by default.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Output, typer.Option("--output", help="Text for people, JSON for programs.")
]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        help=(
            "Compute everything as of this day or instant, such as 2026-03-01;"
            " overrides project.as_of."
        ),
        show_default=False,
    ),
]
ApproveOption = Annotated[
    str,
    typer.Option(
        "--approve",
        help="Let guards pass that a person has looked at: names separated by commas, or all.",
        show_default=False,
    ),
]


def find_config(path: Path | None) -> Path:
    """The configuration file that is meant.

    Raises:
        ConfigError: None is named and none is there.
    """
    if path is not None:
        return path
    if os.environ.get("LIFTLINE_CONFIG"):
        return Path(os.environ["LIFTLINE_CONFIG"])
    for name in CONFIG_NAMES:
        if Path(name).is_file():
            return Path(name)
    raise ConfigError(
        f"there is no {CONFIG_NAMES[0]} in this folder.",
        hint="Name the file with --config, or copy config.example.yaml and change it.",
    )


def parse_as_of(text: str | None, project: Project) -> datetime | None:
    """A day or an instant from the command line, in the project's time zone where it names none.

    Raises:
        ConfigError: It is neither.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--as-of: '{text}' is neither a day nor an instant.",
            hint="Write 2026-03-01 or 2026-03-01T06:00:00+01:00.",
        ) from None
    zone = project.config.project.zone
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def parse_approvals(text: str) -> frozenset[str]:
    """Names of guards.

    Raises:
        typer.BadParameter: A name is no guard's; a misspelt approval would approve nothing.
    """
    from connector.report.words import GUARDS

    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if unknown := sorted(names - GUARDS.keys() - {"all"}):
        raise typer.BadParameter(
            f"there is no guard {', '.join(unknown)}; allowed: all, {', '.join(sorted(GUARDS))}.",
            param_hint="--approve",
        )
    return names


def approver() -> str:
    """Who approves: the operating system's user."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"


@contextlib.contextmanager
def open_project(config: Path | None) -> Iterator[Project]:
    """The project of a configuration, with progress shown on a terminal."""
    from connector.pipeline.project import Project

    with (
        progress() as report,
        Project.open(find_config(config), progress=report) as project,
    ):
        yield project


class Steps:
    """Shows what goes on, one line that replaces itself, on a terminal only."""

    def __init__(self) -> None:
        self._width = 0

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Show a step."""
        text = what if total is None else f"{what}: {done:,} of {total:,}"
        self._write(f"{text} ...")

    def clear(self) -> None:
        """Remove the line."""
        self._write("")

    def _write(self, text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r" + text.ljust(self._width) + ("\r" if not text else ""))
            sys.stderr.flush()
            self._width = len(text)


@contextlib.contextmanager
def progress() -> Iterator[Steps]:
    """A progress line that is gone when the work is."""
    steps = Steps()
    try:
        yield steps
    finally:
        steps.clear()


def emit(document: Any) -> None:  # noqa: ANN401 - anything JSON can hold
    """Print JSON."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def fail(error: LiftlineError, output: Output = Output.TEXT) -> None:
    """Tell an error and leave with its exit code."""
    if output is Output.JSON:
        emit(
            {"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}}
        )
    else:
        told, word = str(error), _word(error)
        if not told.startswith(f"{word} "):  # "source orders: ..." says so itself
            told = f"{word}: {told}"
        typer.secho(told, err=True, fg=typer.colors.RED)
    raise typer.Exit(error.exit_code)


def _word(error: LiftlineError) -> str:
    return {3: "configuration", 4: "source", 5: "model", 6: "plan", 7: "held", 8: "state"}.get(
        error.exit_code, "destination" if error.exit_code in {9, 10} else "error"
    )
