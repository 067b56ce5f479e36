"""Logging: to standard error, without personal data.

HTTP libraries log full URLs at INFO, and vendors put e-mail addresses into URLs; they are held at
WARNING whatever the verbosity. Our own messages carry profile ids only.
"""

from __future__ import annotations

import logging
import sys

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
