"""One run of a project as a process of its own; and a warm parent that forks such processes.

Starting an interpreter and importing the engine takes seconds, a run of a small shop a fraction of
one. So ``serve`` imports everything once, stays single-threaded, and forks a child for each run. A
child is a real process: it can be killed with SIGKILL in the middle of a request, and nothing of
it survives but files and what the vendor has heard.

The parent speaks lines of JSON: ``{"start": job}`` -> ``{"pid": n}`` (the child waits), ``{"go":
n}``, and ``{"wait": n}`` -> ``{"code": exit code, or minus the signal}``; and ``{"render":
statements}``, which the children to come then need not parse again.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi  # noqa: F401 - imported before the fork, so that no child pays for it
import alembic.command
import alembic.config  # noqa: F401
import httpcore  # noqa: F401
import hubspot  # noqa: F401
import pyarrow.dataset
import pyarrow.parquet  # noqa: F401

import connector.cli.app
import connector.warehouse.duckdb
import connector.warehouse.render as rendering
import destinations.hubspot
from connector.errors import LiftlineError
from connector.pipeline.project import Project
from destinations.hubspot.client import Api

UNEXPECTED = 99
"""Exit code of a run that raised something that is not an error of ours."""


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Plan, apply or both; returns what became of it.

    Args:
        job: ``config`` (path), ``now`` (ISO), ``do`` (plan, apply or sync), ``approved`` (guards),
            ``plan`` (folder to apply), ``out`` (folder to copy the plan to). With ``do`` = cli:
            ``arguments`` of the command line.
    """
    if job["do"] == "cli":
        sys.argv = ["liftline", *job["arguments"]]
        connector.cli.app.main()
        return {}
    now = datetime.fromisoformat(job["now"])
    with Project.open(Path(job["config"]), clock=lambda: now, identity_key="end-to-end") as project:
        approved = set(job.get("approved", ()))
        plan = report = None
        match job["do"]:
            case "plan":
                out = job.get("out")
                plan = project.plan(out=None if out is None else Path(out))
            case "apply":
                folder = job.get("plan")
                report = project.apply(
                    None if folder is None else Path(folder), approved=approved, approver="tester"
                )
            case "sync":
                plan, report = project.sync(approved=approved, approver="tester")
    told: dict[str, Any] = {}
    if plan is not None:
        told |= {"folder": str(plan.folder), "plan": plan.header.to_json()}
    if report is not None:
        told |= {
            "report": report.to_json(),
            "status": report.status,
            "error_codes": [e.exit_code for e in report.errors],
        }
    return told


def child(job: dict[str, Any]) -> int:
    """Run with the output in files, as a scheduler would."""
    os.environ.update(job["environment"])
    noted = _note_statements()
    for name, number in (("stdout", 1), ("stderr", 2)):
        file = os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)
    code = 0
    try:
        told = run(job)
        print(json.dumps(told, indent=1, default=str))
    except LiftlineError as error:
        traceback.print_exc()
        told = {"error": str(error), "kind": type(error).__name__}
        code = error.exit_code
    except SystemExit as leaving:
        told, code = {}, leaving.code if isinstance(leaving.code, int) else 0
    except BaseException:  # noqa: BLE001 - the test must see whatever it was
        traceback.print_exc()
        told, code = {"error": traceback.format_exc(), "kind": "unexpected"}, UNEXPECTED
    if job.get("note"):
        told["statements"] = noted
    Path(job["result"]).write_text(json.dumps(told, default=str), encoding="utf-8")
    return code


def _fork(job: dict[str, Any]) -> tuple[int, int]:
    """A child that waits for one byte; returns its id and the pipe to write it to."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(read)
        return pid, write
    os.close(write)
    code = UNEXPECTED
    try:
        if os.read(read, 1):
            code = child(job)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _warm() -> None:
    """Import what a run imports on first use."""
    destinations.hubspot.HubSpot  # noqa: B018
    Api("warm", None, "v3")


def _note_statements() -> list[tuple[str, str]]:
    """Note every statement that a run renders: most are the same in the next run."""
    noted: list[tuple[str, str]] = []

    def render(sql: str, dialect: str) -> str:
        noted.append((sql, dialect))
        return rendering.render(sql, dialect)

    connector.warehouse.duckdb.render = render
    return noted


def serve() -> None:
    """Fork a child for every line that asks for one."""
    _warm()
    # A fork keeps the calling thread only, so there must be no other; Arrow's allocator, which
    # has one that Python does not know of, minds forks itself.
    print(json.dumps({"threads": threading.active_count()}), flush=True)
    pipes: dict[int, int] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "start" in asked:
            pid, pipe = _fork(asked["start"])
            pipes[pid] = pipe
            answer = {"pid": pid}
        elif "go" in asked:
            pipe = pipes.pop(asked["go"])
            os.write(pipe, b"!")
            os.close(pipe)
            answer = {}
        elif "render" in asked:
            for sql, dialect in asked["render"]:
                rendering.render(sql, dialect)
            answer = {}
        else:
            _, status = os.waitpid(asked["wait"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(child(json.loads(sys.argv[1])))
    serve()
