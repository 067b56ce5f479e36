"""Peers in environments of their own, made for the run, so that their pins are nobody else's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
"""Processor time of one thread is compared: a busy machine must not decide."""


def run_peer(requirements: Sequence[str], script: str, *arguments: object) -> dict[str, Any] | None:
    """Run a script in a new virtual environment and return the JSON of its last line.

    Args:
        requirements: What pip installs there, with versions.
        script: Python source; its ``sys.argv[1:]`` are the arguments.
        arguments: Passed as text.

    Returns:
        None where the requirements cannot be installed; the bench then says so.
    """
    with tempfile.TemporaryDirectory() as home:
        venv.create(home, with_pip=True)
        python = Path(home) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        install = [python, "-m", "pip", "install", "--quiet", *requirements]
        if subprocess.run(install, capture_output=True, check=False).returncode:
            return None
        environment = {**os.environ, **ONE_THREAD, "PYTHONWARNINGS": "ignore"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            [python, "-c", script, *map(str, arguments)],
            capture_output=True,
            check=True,
            text=True,
            env=environment,
        )
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer
