"""The limiter's promise, against a vendor that counts arrivals in a rolling window."""

from __future__ import annotations

import heapq
import random
import threading
import time
from bisect import bisect_right
from collections import deque
from itertools import pairwise

import pytest

from connector.domain import Rate
from destinations.pacing import Gate, Stop, SystemClock, paced

from .clock import FakeClock


def most_in_any_window(arrivals, seconds):
    """The most arrivals in any half-open window of that length."""
    arrivals = sorted(arrivals)
    return max(
        bisect_right(arrivals, start + seconds - 1e-9) - n for n, start in enumerate(arrivals)
    )


def simulate(rates, workers, n_requests, latency):
    """Arrival times of requests sent by workers that each wait for their answer."""
    clock = FakeClock()
    gate = Gate(rates, workers=workers, clock=clock)
    free = [clock.now()] * workers
    arrivals = []
    for _ in range(n_requests):
        ready = heapq.heappop(free)
        clock.time = max(clock.time, ready)
        assert gate.enter() is None
        there, back = latency()
        arrivals.append(clock.now() + there)
        heapq.heappush(free, clock.now() + there + back)
    return arrivals


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("rate", "workers"),
    [(Rate(190, 10.0), 8), (Rate(100, 10.0), 4), (Rate(250, 10.0), 10)],
    ids=["190", "100", "250"],
)
def test_no_window_ever_holds_more_than_allowed_and_nine_tenths_are_used(rate, workers, seed):
    rng = random.Random(seed)

    def latency():
        # Mostly brisk, sometimes stuck for long on the way there: the worst case for arrivals.
        return (rng.choice([0.01, 0.05, 0.1, 0.4]), rng.uniform(0.0, 0.2))

    arrivals = simulate([rate], workers, rate.requests * 6, latency)
    assert most_in_any_window(arrivals, rate.seconds) <= rate.requests
    assert len(arrivals) / (max(arrivals) - min(arrivals)) >= 0.9 * rate.requests / rate.seconds


def test_a_network_that_holds_back_and_lets_go_at_once_stays_within_the_limit():
    """Adversary: arrivals wait for the next full second, all workers bunched together."""
    rate, workers = Rate(190, 10.0), 8
    clock = FakeClock()
    gate = Gate([rate], workers=workers, clock=clock)
    in_flight: deque[float] = deque()
    arrivals: list[float] = []
    while len(arrivals) < 1000:
        if len(in_flight) == workers:
            arrivals += [in_flight[-1]] * workers  # all arrive with the last
            in_flight.clear()
        gate.enter()
        in_flight.append(clock.now())
    assert most_in_any_window(arrivals, rate.seconds) <= rate.requests


def test_several_rates_hold_at_once():
    rates = [Rate(10, 1.0), Rate(150, 60.0)]
    arrivals = simulate(rates, 1, 400, lambda: (0.0, 0.0))
    for rate in rates:
        assert most_in_any_window(arrivals, rate.seconds) <= rate.requests
    assert len(arrivals) / (arrivals[-1] - arrivals[0]) >= 0.9 * 150 / 60


def test_pacing_is_even_not_in_bursts():
    arrivals = simulate([Rate(190, 10.0)], 8, 300, lambda: (0.0, 0.0))
    gaps = [after - before for before, after in pairwise(arrivals[2:])]
    assert max(gaps) <= 0.06
    assert min(gaps) >= 0.05


def test_the_margin_is_at_most_a_tenth():
    assert [one.limit for one in paced([Rate(190, 10.0)], workers=8)] == [180]
    assert [one.limit for one in paced([Rate(10, 1.0)], workers=8)] == [9]
    assert [one.limit for one in paced([Rate(1, 60.0)], workers=8)] == [1]


def test_without_rates_nothing_waits():
    clock = FakeClock()
    gate = Gate([], workers=1, clock=clock)
    for _ in range(1000):
        assert gate.enter() is None
    assert clock.sleeps == []


def test_a_pause_holds_everybody():
    clock = FakeClock()
    gate = Gate([Rate(190, 10.0)], workers=8, clock=clock)
    gate.enter()
    gate.pause(10.0)
    gate.pause(3.0)  # a shorter one does not end a longer one
    gate.enter()
    assert clock.now() >= 1010.0


def test_a_stop_lets_nobody_out_and_the_first_reason_counts():
    gate = Gate([], workers=1, clock=FakeClock())
    gate.stop(Stop("the quota is used up"))
    gate.stop(Stop("something else"))
    assert gate.enter() == Stop("the quota is used up")


def test_a_quota_is_counted_not_paced():
    clock = FakeClock()
    gate = Gate([Rate(3, 86_400.0), Rate(5, 3600.0)], workers=1, clock=clock)
    assert [gate.enter() is None for _ in range(5)] == [True, True, True, False, False]
    assert clock.now() - 1000.0 < 1.0
    stop = gate.enter()
    assert stop is not None
    assert "3 requests in 86400 s" in stop.message


def test_threads_share_one_pace():
    """Eight real threads on the real clock: the rate holds between them."""
    gate = Gate([Rate(200, 1.0)], workers=8, clock=SystemClock())
    departures: list[float] = []

    def work():
        for _ in range(20):
            gate.enter()
            departures.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = max(departures) - min(departures)
    assert len(departures) / elapsed <= 200
