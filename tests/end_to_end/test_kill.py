"""``kill -9`` at every boundary of a request, and the next process takes over.

The vendor itself kills the process: before it applies the n-th request that it gets, or after it
has applied it and before it answers. Nothing is simulated: a real process, a real socket, a real
SIGKILL.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.errors import LedgerError
from destinations.sandbox.hubspot import RemoteSandbox
from tests.end_to_end.conftest import KILLED, Bench, Parent, is_push
from tests.end_to_end.oracle import query
from tests.end_to_end.shop import WINBACK, Campaign, Shop

PUSH = "^(PUT|POST (?!.*/batch/read))"
READ = "^GET|/batch/read"
WRITE = re.compile("/objects/contacts/batch/(update|create)$|/memberships/")
RECORDS_A_BATCH = 100
PEOPLE = 180

Lanes = list[tuple[Parent, RemoteSandbox]]


@contextmanager
def _bench(lane: tuple[Parent, RemoteSandbox], folder: Path, **shop: Any) -> Iterator[Bench]:
    name = f"k{uuid.uuid4().hex[:8]}"
    made = Shop(folder / name, name, creates=True, **shop)
    made.populate(PEOPLE)
    bench = Bench(*lane, made, pause=timedelta(0))
    bench.open()
    bench.controls.clear_log()
    yield bench
    bench.close()


def _work(bench: Bench) -> int:
    """Requests that wrote records or members."""
    return sum(bool(WRITE.search(entry["path"])) for entry in bench.log())


def _writes(bench: Bench) -> dict[str, int]:
    """Property writes of each contact."""
    return {key: contact["writes"] for key, contact in bench.controls.contacts().items()}


def _runs(bench: Bench, status: str) -> int:
    return len(query(bench.shop, "SELECT 1 FROM runs WHERE status = ?", status))


def _kill_and_take_over(bench: Bench, n: int, when: str, path: str, undisturbed: int) -> None:
    """One run killed at its n-th matching request, then a run without harm."""
    bench.controls.clear_log()
    before = _writes(bench)
    pid, job = bench.begin()
    bench.controls.kill_at(pid, n, path, when)
    bench.go(pid)
    assert bench.end(pid, job).code == KILLED, (n, when)
    killed_at = bench.log()[-1]
    in_apply = _runs(bench, "running")
    assert in_apply or path != PUSH
    dead = _runs(bench, "interrupted")
    bench.sync()
    bench.check()

    assert _runs(bench, "interrupted") == dead + in_apply
    assert _runs(bench, "running") == 0
    workers = bench.shop.workers
    assert _work(bench) <= undisturbed + workers, killed_at
    # Undisturbed, nobody's properties are written twice in a run.
    times = [n - before.get(key, 0) for key, n in _writes(bench).items()]
    assert max(times) <= 2
    assert times.count(2) <= workers * RECORDS_A_BATCH


def _in_lanes(
    lanes: Lanes, numbers: Sequence[int], case: Callable[[tuple[Parent, RemoteSandbox], int], None]
) -> None:
    """Spread the cases over the lanes; a lane does one after the other."""
    with ThreadPoolExecutor(len(lanes)) as pool:
        runs = [
            pool.submit(lambda i=i: [case(lanes[i], n) for n in numbers[i :: len(lanes)]])
            for i in range(len(lanes))
        ]
        for one in runs:
            one.result()


FIRST_CAMPAIGNS = [WINBACK, Campaign("vip", "loyal", 50, 0, 50)]


@pytest.fixture(scope="module")
def first_run(lanes: Lanes, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], int]:
    """What an undisturbed first run asks for, and how many requests write records or members."""
    with _bench(lanes[0], tmp_path_factory.mktemp("first"), campaigns=FIRST_CAMPAIGNS) as bench:
        bench.sync()
        bench.check()
        return [f"{entry['method']} {entry['path']}" for entry in bench.log()], _work(bench)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_first_run_killed_at_any_push(
    lanes: Lanes, first_run: tuple[list[str], int], tmp_path: Path, when: str
) -> None:
    requests, undisturbed = first_run
    pushes = [re.sub(r"\d+", "0", request) for request in requests if re.search(PUSH, request)]
    assert {push: pushes.count(push) for push in pushes} == {
        "POST /crm/v0/properties/contacts/groups": 1,
        "POST /crm/v0/properties/contacts/batch/create": 1,
        "POST /crm/v0/objects/contacts/batch/create": 1,
        "POST /crm/v0/objects/contacts/batch/update": 2,
        "POST /crm/v0/lists/": 2,
        "PUT /crm/v0/lists/0/memberships/add-and-remove": 2,
    }

    def case(lane: tuple[Parent, RemoteSandbox], n: int) -> None:
        with _bench(lane, tmp_path, campaigns=FIRST_CAMPAIGNS) as bench:
            _kill_and_take_over(bench, n, when, PUSH, undisturbed)

    _in_lanes(lanes, range(1, len(pushes) + 1), case)


def test_a_first_run_killed_while_it_reads(
    lanes: Lanes, first_run: tuple[list[str], int], tmp_path: Path
) -> None:
    """In the middle of looking people up, and while lists are made."""
    requests, undisturbed = first_run
    n_reads = sum(re.search(PUSH, request) is None for request in requests)

    def case(lane: tuple[Parent, RemoteSandbox], n: int) -> None:
        with _bench(lane, tmp_path, campaigns=FIRST_CAMPAIGNS) as bench:
            _kill_and_take_over(bench, n, "after", READ, undisturbed)

    _in_lanes(lanes, [2, n_reads], case)


@pytest.mark.slow
def test_a_later_run_killed_at_any_push(lanes: Lanes, tmp_path: Path) -> None:
    """Between two states of the shop: there, killed before; back, killed after the n-th request.

    The requests that take away come first; those that add were all killed in a first run already,
    so only the first and the last of them are here. Then the same with several requests in flight.
    """
    with _turning(lanes[0], tmp_path / "undisturbed") as bench:
        undisturbed, kinds = [], []
        for _ in range(2):
            bench.controls.clear_log()
            _turn(bench.shop)
            bench.sync()
            bench.check()
            pushes = [re.sub(r"\d+", "0", entry["path"]) for entry in bench.log() if is_push(entry)]
            undisturbed.append((len(pushes), _work(bench)))
            kinds.append(pushes)
    update, members = (
        "/crm/v0/objects/contacts/batch/update",
        "/crm/v0/lists/0/memberships/add-and-remove",
    )
    for pushes in kinds:
        assert pushes.count(members) >= 4, "both lists should lose and gain people"
        assert pushes.count(update) >= 2
    n_most = max(n for n, _ in undisturbed)

    def some(lane: tuple[Parent, RemoteSandbox], numbers: Sequence[int], workers: int) -> None:
        with _turning(lane, tmp_path / f"{workers}-{numbers[0]}", workers) as bench:
            for n in numbers:
                for (n_pushes, n_writes), when in zip(
                    undisturbed, ("before", "after"), strict=True
                ):
                    _turn(bench.shop)
                    _kill_and_take_over(bench, min(n, n_pushes), when, PUSH, n_writes)

    cases = [([1, 3, n_most], 1), ([2, 4], 1), ([n_most - 2], 3)]
    _in_lanes(lanes, range(len(cases)), lambda lane, i: some(lane, *cases[i]))


@contextmanager
def _turning(lane: tuple[Parent, RemoteSandbox], folder: Path, workers: int = 1) -> Iterator[Bench]:
    with _bench(lane, folder, workers=workers, campaigns=FIRST_CAMPAIGNS) as bench:
        bench.sync()
        bench.check()
        yield bench


def _turn(shop: Shop) -> None:
    """Some change kind, some the value of their orders, some are suppressed; again: all is back."""
    swap = {"lost": "loyal", "loyal": "lost"}
    for person in shop.people:
        if person.number % 3 == 0:
            person.kind = swap.get(person.kind, person.kind)
        if person.number % 5 == 0:
            person.amount += 100_000 if person.amount < 100_000 else -100_000
        if person.number % 29 == 4:
            person.suppressed = not person.suppressed
    shop.write()


def test_a_second_process_is_refused_and_changes_nothing(bench: Bench) -> None:
    bench.shop.populate(60)
    bench.open()
    bench.controls.add_fault("stall_before", "batch/update", seconds=3.0)
    first, job = bench.begin()
    second, other = bench.begin("plan")
    bench.go(first)
    _wait_until(lambda: any(entry["path"].endswith("batch/update") for entry in bench.log()))
    n_requests = len(bench.log())
    state = query(bench.shop, "SELECT * FROM records ORDER BY match_key")
    bench.go(second)
    refused = bench.end(second, other)
    assert refused.code == LedgerError.exit_code
    assert f"in use by sync (process {first}, since " in refused.result["error"]
    assert len(bench.log()) == n_requests
    assert query(bench.shop, "SELECT * FROM records ORDER BY match_key") == state
    assert bench.end(first, job).code == 0
    bench.check()


def _wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
