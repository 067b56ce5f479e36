"""The vendor as a process, and a warm parent of runs; both serve a whole module."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from destinations.sandbox.hubspot import RemoteSandbox, spawn
from tests.end_to_end.oracle import Oracle
from tests.end_to_end.shop import NOW, SALT, Shop

ROOT = Path(__file__).parents[2]
TOKEN = "pat-canary-token-77e0"
KILLED = -9


@dataclass
class Parent:
    """Forks runs; see :mod:`tests.end_to_end.run_sync`."""

    process: subprocess.Popen[str]

    def is_ready(self) -> bool:
        """Waits for it, once; a parent with threads must not fork."""
        return json.loads(self.process.stdout.readline()) == {"threads": 1}

    def ask(self, **asked: object) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@dataclass
class Told:
    """What one run left behind."""

    code: int
    result: dict[str, Any]
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        return self.result["report"]

    def outcomes(self, outcome: str) -> int:
        return sum(
            row["people"]
            for destination in self.report["destinations"]
            for row in destination["outcomes"]
            if row["outcome"] == outcome
        )


@dataclass
class Bench:
    """One shop, its vendor and its runs; each run happens ``pause`` after the one before."""

    parent: Parent
    sandbox: RemoteSandbox
    shop: Shop
    now: datetime = NOW
    pause: timedelta = timedelta(minutes=1)
    runs: int = 0
    oracle: Oracle = field(init=False)

    def __post_init__(self) -> None:
        self.oracle = Oracle(self.shop)

    @property
    def controls(self) -> Any:
        return self.sandbox.controls

    def open(self) -> None:
        """Write the shop's files and give the vendor its contacts."""
        self.shop.write()
        ids = self.controls.preload_contacts(self.shop.contacts())
        self.ids = dict(zip((c["email"] for c in self.shop.contacts()), ids, strict=True))

    def close(self) -> None:
        """Take the shop out of the vendor's account."""
        own = {
            key
            for key, contact in self.controls.contacts().items()
            if contact["properties"].get("email", "").endswith(f"@{self.shop.name}.example")
        }
        self.controls.delete_contacts(sorted(own))
        for key, one in self.controls.lists().items():
            if one["name"].startswith(f"{self.shop.name} | "):
                self.controls.delete_list(key)

    def begin(
        self, do: str = "sync", *, url: str = "", token: str = TOKEN, **job: object
    ) -> tuple[int, dict[str, Any]]:
        """Fork a run that waits; its process id and its job."""
        self.runs += 1
        self.now += self.pause
        files = {
            name: str(self.shop.folder / f"run{self.runs}.{name}")
            for name in ("stdout", "stderr", "result")
        }
        environment = {
            "HUBSPOT_TOKEN": token,
            "HUBSPOT_URL": url or self.sandbox.url,
            "HOLDOUT_SALT": SALT,
        }
        whole = {
            "do": do,
            "config": str(self.shop.config),
            "now": self.now.isoformat(),
            "approved": ["all"],
            "environment": environment,
            **files,
            **job,
        }
        return self.parent.ask(start=whole)["pid"], whole

    def go(self, pid: int) -> None:
        self.parent.ask(go=pid)

    def end(self, pid: int, job: dict[str, Any]) -> Told:
        code = self.parent.ask(wait=pid)["code"]
        result = Path(job["result"])
        return Told(
            code,
            json.loads(result.read_text()) if result.exists() else {},
            Path(job["stdout"]).read_text() if Path(job["stdout"]).exists() else "",
            Path(job["stderr"]).read_text() if Path(job["stderr"]).exists() else "",
        )

    def run(self, do: str = "sync", **job: Any) -> Told:
        """A whole run."""
        pid, whole = self.begin(do, **job)
        self.go(pid)
        return self.end(pid, whole)

    def sync(self, **job: Any) -> Told:
        """A run that must succeed; the oracle takes notice of it."""
        told = self.run("sync", **job)
        assert told.code == 0, told.stderr[-3000:]
        self.oracle.assign()
        return told

    def cli(self, *arguments: str) -> Told:
        """A command as a person types it; its clock is the real one."""
        command, *rest = arguments
        return self.run("cli", arguments=["-vv", command, "--config", str(self.shop.config), *rest])

    def check(self) -> None:
        """The vendor's account is as the oracle says."""
        self.oracle.check(self.controls.dump())

    def log(self) -> list[dict[str, Any]]:
        return self.controls.log()


def is_push(entry: dict[str, Any]) -> bool:
    """Whether a request of the log changes something at the vendor."""
    return entry["method"] != "GET" and not entry["path"].endswith("/batch/read")


@contextlib.contextmanager
def warm_parent() -> Iterator[Parent]:
    """A process that forks runs."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.end_to_end.run_sync"],
        cwd=ROOT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Parent(process)
        process.stdin.close()


def vendor_process() -> RemoteSandbox:
    """A vendor without limits, as a process."""
    return spawn(["--token", TOKEN, "--per-10s", "1000000", "--daily", "100000000"])


@pytest.fixture(scope="session")
def lanes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Parent, RemoteSandbox]]]:
    """Two vendors, each with a parent of runs, for tests of many cases.

    Half of a small run's time is parsing the SQL that every run has in common: two runs tell their
    statements, and the parents parse them once for all.
    """
    with (
        warm_parent() as first,
        warm_parent() as second,
        vendor_process() as one,
        vendor_process() as two,
    ):
        assert first.is_ready()
        assert second.is_ready()
        shop = Shop(tmp_path_factory.mktemp("warm"), "warm")
        shop.populate(40)
        bench = Bench(first, one, shop, pause=timedelta(0))
        bench.open()
        for _ in range(3):
            statements = bench.sync(note=True).result["statements"]
            bench.pause = timedelta(minutes=1)
            for parent in (first, second):
                parent.ask(render=statements)
        bench.close()
        yield [(first, one), (second, two)]


@pytest.fixture
def parent(lanes: list[tuple[Parent, RemoteSandbox]]) -> Parent:
    return lanes[0][0]


@pytest.fixture
def sandbox(lanes: list[tuple[Parent, RemoteSandbox]]) -> Iterator[RemoteSandbox]:
    """The shared account, without the faults and the log of the test before."""
    vendor = lanes[0][1]
    vendor.controls.clear_log()
    yield vendor
    vendor.controls.clear_faults()


@pytest.fixture
def bench(parent: Parent, sandbox: RemoteSandbox, tmp_path: Path) -> Iterator[Bench]:
    """A shop without people yet, and everything around it."""
    bench = Bench(parent, sandbox, Shop(tmp_path, f"s{uuid.uuid4().hex[:8]}"))
    yield bench
    bench.close()
