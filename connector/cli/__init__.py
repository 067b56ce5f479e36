"""The command line: thin, quick to start, and honest in its exit codes.

Nothing heavy is imported here; each command imports what it needs when it runs, so that
``liftline --help`` answers at once.
"""

from __future__ import annotations

from connector.cli.app import main

__all__ = ["main"]
