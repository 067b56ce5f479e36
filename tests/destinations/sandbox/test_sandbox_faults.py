"""Every fault of the sandbox has its effect, where it is meant to and nowhere else."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from destinations.sandbox.hubspot import HubSpotSandbox, spawn

UPDATE = "/crm/v3/objects/contacts/batch/update"
CREATE = "/crm/v3/objects/contacts/batch/create"
READ = "/crm/v3/objects/contacts/batch/read"


@pytest.fixture
def clock() -> list[float]:
    return [1_770_000_000.0]


@pytest.fixture
def sandbox(clock: list[float]) -> Iterator[HubSpotSandbox]:
    with HubSpotSandbox(per_10s=10_000, search_per_s=1000, clock=lambda: clock[0]) as made:
        made.controls.preload_contacts([{"email": f"p{n}@demo.example"} for n in range(3)])
        yield made


@pytest.fixture
def http(sandbox: HubSpotSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    with httpx.Client(base_url=sandbox.url, headers=headers, timeout=10.0) as client:
        yield client


def ids(sandbox: HubSpotSandbox) -> list[str]:
    return list(sandbox.controls.contacts())


def names(sandbox: HubSpotSandbox) -> set[str]:
    return {
        each["properties"].get("firstname", "") for each in sandbox.controls.contacts().values()
    }


def update(http: httpx.Client, keys: list[str], name: str, path: str = UPDATE) -> httpx.Response:
    inputs = [{"id": key, "properties": {"firstname": name}} for key in keys]
    return http.post(path, json={"inputs": inputs})


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, "INVALID_AUTHENTICATION"),
        (403, "MISSING_SCOPES"),
        (409, "CONFLICT"),
        (423, "LOCKED"),
        (429, "RATE_LIMITS"),
        (500, "INTERNAL_ERROR"),
        (502, "GATEWAY_ERROR"),
    ],
)
def test_planned_statuses_hit_the_next_matching_requests_only(
    sandbox: HubSpotSandbox, http: httpx.Client, status: int, category: str
) -> None:
    sandbox.controls.fail_next(2, status, path="POST .*/batch/update", skip=1)
    keys = ids(sandbox)
    assert update(http, keys, "first").status_code == 200
    for _ in range(2):
        assert http.post(READ, json={"inputs": [{"id": keys[0]}]}).status_code == 200
        refused = update(http, keys, "refused")
        assert refused.status_code == status
        assert refused.json()["category"] == category
        assert "retry-after" not in refused.headers
    assert names(sandbox) == {"first"}
    assert update(http, keys, "last").status_code == 200
    faults = [each["fault"] for each in sandbox.controls.log() if each["status"] == status]
    assert len(faults) == 2


@pytest.mark.parametrize(("when", "applied"), [("before", False), ("after", True)])
def test_connections_break_before_or_after_the_write(
    sandbox: HubSpotSandbox, http: httpx.Client, when: str, applied: bool
) -> None:
    getattr(sandbox.controls, f"drop_{when}")("batch/update")
    with pytest.raises(httpx.TransportError):
        update(http, ids(sandbox), "maybe")
    assert names(sandbox) == ({"maybe"} if applied else {""})
    assert [each["status"] for each in sandbox.controls.log()] == [0]
    assert update(http, ids(sandbox), "again").status_code == 200


def test_a_time_out_after_the_write(sandbox: HubSpotSandbox, http: httpx.Client) -> None:
    sandbox.controls.stall_after(5.0, "batch/update")
    inputs = [{"id": ids(sandbox)[0], "properties": {"firstname": "heard"}}]
    with pytest.raises(httpx.ReadTimeout):
        http.post(UPDATE, json={"inputs": inputs}, timeout=0.2)
    assert "heard" in names(sandbox)


def test_a_stall_before_the_write(sandbox: HubSpotSandbox, http: httpx.Client) -> None:
    sandbox.controls.add_fault("stall_before", "batch/update", seconds=0.2)
    inputs = [{"id": ids(sandbox)[0], "properties": {"firstname": "late"}}]
    with pytest.raises(httpx.ReadTimeout):
        http.post(UPDATE, json={"inputs": inputs}, timeout=0.05)
    assert "late" not in names(sandbox)
    deadline = time.monotonic() + 5
    while "late" not in names(sandbox) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "late" in names(sandbox), "a server does not notice that its client has given up"


def test_latency(sandbox: HubSpotSandbox, http: httpx.Client) -> None:
    sandbox.controls.set_latency(0.15)
    began = time.monotonic()
    update(http, ids(sandbox), "slow")
    assert time.monotonic() - began >= 0.15
    sandbox.controls.set_latency(0.0)
    began = time.monotonic()
    update(http, ids(sandbox), "quick")
    assert time.monotonic() - began < 0.15


def test_a_poisoned_record_refuses_every_batch_that_holds_it(
    sandbox: HubSpotSandbox, http: httpx.Client
) -> None:
    keys = ids(sandbox)
    sandbox.controls.poison(["P1@demo.example"], "INVALID_EMAIL")
    refused = update(http, keys, "x")
    assert refused.status_code == 400
    assert refused.json()["category"] == "VALIDATION_ERROR"
    assert "INVALID_EMAIL" in refused.json()["message"]
    assert names(sandbox) == {""}
    assert update(http, [keys[1]], "x").status_code == 400
    assert update(http, [keys[0], keys[2]], "x").status_code == 200
    sandbox.controls.poison([keys[0], "new@demo.example"])
    assert update(http, [keys[0]], "x").status_code == 400
    entry = {"properties": {"email": "new@demo.example"}, "objectWriteTraceId": "t"}
    assert http.post(CREATE, json={"inputs": [entry]}).status_code == 400
    sandbox.controls.clear_faults()
    assert update(http, keys, "fine").status_code == 200


def test_a_rejected_record_is_refused_alone(sandbox: HubSpotSandbox, http: httpx.Client) -> None:
    keys = ids(sandbox)
    sandbox.controls.reject(["p1@demo.example", "new@demo.example"], "INVALID_EMAIL")
    partly = update(http, keys, "x")
    assert partly.status_code == 207
    assert {each["id"] for each in partly.json()["results"]} == {keys[0], keys[2]}
    [error] = partly.json()["errors"]
    assert (error["category"], error["context"]) == ("VALIDATION_ERROR", {"ids": [keys[1]]})
    dated = update(http, keys, "y", "/crm/objects/2026-09/contacts/batch/update")
    assert (dated.status_code, dated.json()["numErrors"]) == (200, 1)
    inputs = [
        {"properties": {"email": f"{name}@demo.example"}, "objectWriteTraceId": name}
        for name in ("new", "other")
    ]
    created = http.post(CREATE, json={"inputs": inputs})
    assert created.status_code == 207
    assert created.json()["errors"][0]["context"] == {"objectWriteTraceId": ["new"]}
    assert [each["objectWriteTraceId"] for each in created.json()["results"]] == ["other"]


def test_a_swallowed_record_is_written_but_not_answered_for(
    sandbox: HubSpotSandbox, http: httpx.Client
) -> None:
    keys = ids(sandbox)
    sandbox.controls.swallow([keys[1]])
    answer = update(http, keys, "x")
    assert answer.status_code == 200
    assert {each["id"] for each in answer.json()["results"]} == {keys[0], keys[2]}
    assert names(sandbox) == {"x"}


class TestMembershipLag:
    def members(self, http: httpx.Client, key: str) -> set[str]:
        answer = http.get(f"/crm/v3/lists/{key}/memberships").json()
        assert answer["total"] == len(answer["results"])
        return {each["recordId"] for each in answer["results"]}

    def test_by_seconds(
        self, sandbox: HubSpotSandbox, http: httpx.Client, clock: list[float]
    ) -> None:
        keys = ids(sandbox)
        key = sandbox.controls.preload_list("L", keys[:1])
        sandbox.controls.set_membership_lag(seconds=5)
        change = {"recordIdsToAdd": keys[1:], "recordIdsToRemove": keys[:1]}
        done = http.put(f"/crm/v3/lists/{key}/memberships/add-and-remove", json=change).json()
        assert done["recordsIdsAdded"] == keys[1:]
        clock[0] += 4.9
        assert self.members(http, key) == {keys[0]}
        assert http.get(f"/crm/v3/lists/{key}").json()["list"]["size"] == 1
        assert set(sandbox.controls.lists()[key]["members"]) == set(keys[1:]), "the truth"
        clock[0] += 0.2
        assert self.members(http, key) == set(keys[1:])

    def test_by_reads(self, sandbox: HubSpotSandbox, http: httpx.Client) -> None:
        keys = ids(sandbox)
        key = sandbox.controls.preload_list("L")
        sandbox.controls.set_membership_lag(reads=2)
        http.put(f"/crm/v3/lists/{key}/memberships/add", json=keys)
        seen = [len(self.members(http, key)) for _ in range(4)]
        assert seen == [0, 0, 3, 3]


def test_search_lags_behind_by_seconds(
    sandbox: HubSpotSandbox, http: httpx.Client, clock: list[float]
) -> None:
    def total(email: str) -> tuple[int, int]:
        group = {"filters": [{"propertyName": "email", "operator": "EQ", "value": email}]}
        found = http.post("/crm/v3/objects/contacts/search", json={"filterGroups": [group]}).json()
        return found["total"], len(found["results"])

    sandbox.controls.set_search_lag(10)
    http.post(CREATE, json={"inputs": [{"properties": {"email": "new@demo.example"}}]})
    gone = ids(sandbox)[0]
    http.delete(f"/crm/v3/objects/contacts/{gone}")
    clock[0] += 9.9
    assert total("new@demo.example") == (0, 0)
    assert total("p0@demo.example") == (1, 0), "counted, but not there to be shown"
    clock[0] += 0.2
    assert total("new@demo.example") == (1, 1)
    assert total("p0@demo.example") == (0, 0)


def test_a_colleague_deletes_things(sandbox: HubSpotSandbox, http: httpx.Client) -> None:
    keys = ids(sandbox)
    key = sandbox.controls.preload_list("L", keys)
    sandbox.controls.write_members(key, remove=keys[:1])
    assert sandbox.controls.members("L") == ["p1@demo.example", "p2@demo.example"]
    sandbox.controls.delete_contacts(keys[:1])
    assert update(http, keys, "x").json()["errors"][0]["context"]["ids"] == keys[:1]
    sandbox.controls.delete_list(key)
    gone = http.put(f"/crm/v3/lists/{key}/memberships/add", json=keys)
    assert (gone.status_code, gone.json()["category"]) == (404, "OBJECT_NOT_FOUND")


def test_the_log_and_the_write_counts(sandbox: HubSpotSandbox, http: httpx.Client) -> None:
    keys = ids(sandbox)
    update(http, keys, "x")
    update(http, keys[:1], "y")
    key = sandbox.controls.preload_list("L")
    http.put(f"/crm/v3/lists/{key}/memberships/add", json=keys)
    shown = [
        (each["n"], each["method"], each["inputs"], each["status"])
        for each in sandbox.controls.log()
    ]
    assert shown == [(1, "POST", 3, 200), (2, "POST", 1, 200), (3, "PUT", 3, 200)]
    counts = [
        (each["writes"], each["member_writes"]) for each in sandbox.controls.contacts().values()
    ]
    assert counts == [(2, 1), (1, 1), (1, 1)]
    dump = sandbox.controls.dump()
    assert set(dump) == {"contacts", "lists", "properties", "blocklist", "traffic", "log"}
    assert dump["traffic"] == {"accepted": 3, "refused": {}, "peak_per_10s": 3}
    sandbox.controls.clear_log()
    assert sandbox.controls.log() == []


def test_preloading_refuses_what_cannot_be(sandbox: HubSpotSandbox) -> None:
    for impossible in (
        {"no_such_property": "1"},
        {"email": "P0@demo.example"},
        {"email": "z@demo.example", "hs_additional_emails": "p1@demo.example"},
    ):
        with pytest.raises(ValueError, match=r"in use|do not exist"):
            sandbox.controls.preload_contacts([impossible])


CLIENT = """
    import sys, httpx
    url, token, path = sys.argv[1:]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as http:
        for n in range(1, 6):
            http.post(path, json={"inputs": [{"properties": {"email": f"k{n}@demo.example"}}]})
    print("survived")
"""


@pytest.mark.parametrize(("when", "created"), [("before", 2), ("after", 3)])
def test_the_client_is_killed_at_its_third_write(
    sandbox: HubSpotSandbox, when: str, created: int
) -> None:
    """Client and server are strangers: the server is told the client's process id."""
    gate = "import sys; sys.stdin.readline()\n"
    arguments = [
        sys.executable,
        "-c",
        gate + textwrap.dedent(CLIENT),
        sandbox.url,
        sandbox.token,
        CREATE,
    ]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        sandbox.controls.kill_at(client.pid, 3, "POST .*/batch/create", when)
        out, _ = client.communicate("go\n", timeout=30)
    assert client.returncode == -signal.SIGKILL
    assert out == ""
    emails = {each["properties"]["email"] for each in sandbox.controls.contacts().values()}
    assert emails >= {f"k{n}@demo.example" for n in range(1, created + 1)}
    assert len(emails) == 3 + created


class TestProcess:
    def test_the_process_gives_the_same_controls(self) -> None:
        with spawn(["--per-10s", "5", "--token", "pat-x", "--daily", "100"]) as remote:
            assert remote.token == "pat-x"
            assert remote.url.startswith("http://127.0.0.1:")
            made = remote.controls.preload_contacts([{"email": "a@demo.example"}])
            remote.controls.define_property("score", "number")
            with httpx.Client(
                base_url=remote.url, headers={"Authorization": "Bearer pat-x"}
            ) as http:
                remote.controls.fail_next(1, 423)
                inputs = [{"id": made[0], "properties": {"score": "7"}}]
                statuses = [
                    http.post(UPDATE, json={"inputs": inputs}).status_code for _ in range(6)
                ]
                unknown = http.post("/_sandbox/format_disk", json={})
                wrong = http.post("/_sandbox/preload_list", json={"members": 3})
            assert statuses == [423, 200, 200, 200, 200, 429]
            assert remote.controls.contacts()[made[0]]["properties"]["score"] == "7"
            assert remote.controls.traffic()["refused"] == {"TEN_SECONDLY_ROLLING": 1}
            assert remote.controls.dump()["log"][-1]["status"] == 429
            assert (unknown.status_code, wrong.status_code) == (404, 400)
            with pytest.raises(ValueError, match="in use"):
                remote.controls.preload_contacts([{"email": "a@demo.example"}])
            assert remote.stop() == 0

    @pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc to see processes")
    def test_it_ends_with_its_parent(self) -> None:
        """A parent that is killed leaves no server behind."""
        code = (
            "from destinations.sandbox.hubspot import spawn; import os, signal\n"
            "remote = spawn(); print(remote.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
        )
        parent = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        server = int(parent.stdout)
        deadline = time.monotonic() + 20
        while _is_running(server) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _is_running(server)

    def test_it_says_so_when_it_cannot_start(self, sandbox: HubSpotSandbox) -> None:
        port = sandbox.url.rpartition(":")[2]
        with pytest.raises(RuntimeError, match="before it was ready"):
            spawn(["--port", port])


def _is_running(pid: int) -> bool:
    """Whether the process lives; one that waits to be reaped does not."""
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_starting_and_stopping_leaves_nothing_behind() -> None:
    """Neither threads nor warnings, with requests hanging and connections open."""
    before = threading.active_count()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            with HubSpotSandbox() as sandbox:
                sandbox.controls.set_latency(30)
                headers = {"Authorization": f"Bearer {sandbox.token}"}
                with (
                    httpx.Client(base_url=sandbox.url, headers=headers, timeout=0.1) as client,
                    pytest.raises(httpx.ReadTimeout),
                ):
                    client.get("/crm/v3/objects/contacts")
        gc.collect()
    assert threading.active_count() == before


def test_only_loopback_is_served(sandbox: HubSpotSandbox) -> None:
    assert sandbox.url.startswith("http://127.0.0.1:")


def test_it_is_quick(sandbox: HubSpotSandbox, http: httpx.Client) -> None:
    """20,000 contacts are there within a second, and thousands of full batches a minute go through.

    In CPU time of this process, client included: other load on the machine must not fail it.
    """
    began = time.process_time()
    keys = sandbox.controls.preload_contacts({"email": f"q{n}@demo.example"} for n in range(20_000))
    assert time.process_time() - began < 1.0
    began, batches = time.process_time(), 40
    for n in range(batches):
        assert update(http, keys[n * 100 : n * 100 + 100], "q").status_code == 200
    per_minute = batches / (time.process_time() - began) * 60
    assert per_minute > 3000


def test_threads_may_share_it(sandbox: HubSpotSandbox) -> None:
    """Concurrent writers, and readers of the state: every write counts once, dumps are whole."""
    keys = ids(sandbox)

    def work(n: int) -> Any:
        headers = {"Authorization": f"Bearer {sandbox.token}"}
        with httpx.Client(base_url=sandbox.url, headers=headers) as client:
            for _ in range(20):
                assert update(client, keys, f"w{n}").status_code == 200
                assert len(sandbox.controls.dump()["contacts"]) == 3

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert {each["writes"] for each in sandbox.controls.contacts().values()} == {120}
