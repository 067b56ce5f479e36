"""Logging: to standard error, without personal data.

HTTP libraries log full URLs at INFO, and vendors put e-mail addresses into URLs; they are held at
WARNING whatever the verbosity. Our own messages carry profile ids only.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

QUIET = ("httpx", "httpcore", "urllib3", "hubspot", "sqlalchemy", "alembic", "pyrate_limiter")


def configure(verbosity: int = 0) -> None:
    """Send log records to standard error.

    Args:
        verbosity: 0 shows warnings, 1 what goes on, 2 and more the details.
    """
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def place(problem: BaseException) -> str:
    """Kind and place of a foreign error, such as ``ValueError in binning.py, line 12``.

    Its text is left out: it may quote a person's data; its kind and place do not.
    """
    frames = traceback.extract_tb(problem.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(problem).__name__}{where}"


def trace(problem: BaseException) -> str:
    """The calls that led to an error, without its text."""
    return "".join(traceback.format_tb(problem.__traceback__)) + type(problem).__name__
