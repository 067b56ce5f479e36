"""The request limits: the law of the rolling window, against a brute-force count."""

from __future__ import annotations

import random
from collections.abc import Iterator

import httpx
import pytest

from destinations.sandbox.hubspot import HubSpotSandbox
from destinations.sandbox.hubspot.limits import DAILY, ROLLING, SECONDLY, RateLimiter


def accepted_times(limiter: RateLimiter, times: list[float]) -> list[float]:
    return [at for at in times if limiter.admit(at) is None]


@pytest.mark.parametrize("seed", range(5))
def test_never_more_than_n_in_any_ten_seconds(seed: int) -> None:
    """Whatever the arrivals, no half-open window of ten seconds holds more than N."""
    rng = random.Random(seed)
    times, now = [], 0.0
    for _ in range(3000):
        now += rng.choice([0.0, 0.001, 0.05, 0.3, 2.0]) * rng.random()
        times.append(now)
    limiter = RateLimiter(per_10s=37)
    accepted = accepted_times(limiter, times)
    most = max(sum(1 for at in accepted if start <= at < start + 10.0) for start in accepted)
    assert most == limiter.peak <= 37
    assert limiter.accepted == len(accepted)
    assert limiter.refused.get(ROLLING, 0) == len(times) - len(accepted)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_refused_without_need(seed: int) -> None:
    """A request is refused only while N accepted ones are less than ten seconds old."""
    rng = random.Random(seed)
    limiter, accepted, now = RateLimiter(per_10s=20), list[float](), 0.0
    for _ in range(1000):
        now += rng.random()
        recent = sum(1 for at in accepted if now - at < 10.0)
        policy = limiter.admit(now)
        assert (policy is None) == (recent < 20)
        if policy is None:
            accepted.append(now)


def test_a_fixed_window_would_let_twice_as_many_through() -> None:
    """Full bursts on either side of a boundary: the rolling window refuses the second."""
    limiter = RateLimiter(per_10s=100)
    assert len(accepted_times(limiter, [9.9] * 100)) == 100
    assert accepted_times(limiter, [10.1] * 100) == []
    assert len(accepted_times(limiter, [19.95] * 150)) == 100


def test_the_daily_quota_ends_with_the_day() -> None:
    limiter = RateLimiter(per_10s=1000, daily=5)
    assert [limiter.admit(float(n)) for n in range(7)] == [None] * 5 + [DAILY] * 2
    assert limiter.admit(86_400.0) is None
    assert limiter.refused == {DAILY: 2}


def test_search_has_a_limit_of_its_own() -> None:
    limiter = RateLimiter(per_10s=2, search_per_s=3)
    assert [limiter.admit(0.0, is_search=True) for _ in range(4)] == [None, None, None, SECONDLY]
    assert limiter.admit(0.0) is None, "searches do not use up the ten-second window"
    assert limiter.admit(1.0, is_search=True) is None


@pytest.fixture
def clock() -> list[float]:
    return [1_770_000_000.0]


@pytest.fixture
def sandbox(clock: list[float]) -> Iterator[HubSpotSandbox]:
    with HubSpotSandbox(per_10s=20, daily=60, search_per_s=2, clock=lambda: clock[0]) as made:
        yield made


@pytest.fixture
def http(sandbox: HubSpotSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    with httpx.Client(base_url=sandbox.url, headers=headers) as client:
        yield client


def test_over_http_the_ten_second_limit_refuses_and_recovers(
    sandbox: HubSpotSandbox, http: httpx.Client, clock: list[float]
) -> None:
    answers = [http.get("/crm/v3/lists") for _ in range(25)]
    assert [each.status_code for each in answers] == [200] * 20 + [429] * 5
    assert [each.headers["x-hubspot-ratelimit-remaining"] for each in answers[:3]] == [
        "19",
        "18",
        "17",
    ]
    assert answers[0].headers["x-hubspot-ratelimit-max"] == "20"
    body = answers[-1].json()
    assert (body["policyName"], body["category"], body["errorType"]) == (
        "TEN_SECONDLY_ROLLING",
        "RATE_LIMITS",
        "RATE_LIMIT",
    )
    assert "retry-after" not in answers[-1].headers
    assert sandbox.controls.traffic() == {
        "accepted": 20,
        "refused": {"TEN_SECONDLY_ROLLING": 5},
        "peak_per_10s": 20,
    }
    clock[0] += 9.99
    assert http.get("/crm/v3/lists").status_code == 429
    clock[0] += 0.02
    assert http.get("/crm/v3/lists").status_code == 200


def test_over_http_the_daily_limit_stops_everything(
    sandbox: HubSpotSandbox, http: httpx.Client, clock: list[float]
) -> None:
    sandbox.controls.set_limits(daily_remaining=1)
    last = http.get("/crm/v3/lists")
    assert last.headers["x-hubspot-ratelimit-daily-remaining"] == "0"
    clock[0] += 11
    refused = http.get("/crm/v3/lists")
    assert (refused.status_code, refused.json()["policyName"]) == (429, "DAILY")
    clock[0] += 86_400
    assert http.get("/crm/v3/lists").status_code == 200


def test_over_http_search_answers_as_recorded(http: httpx.Client) -> None:
    """The recorded refusals: no policyName, and no headers of the ten-second window."""
    answers = [http.post("/crm/v3/objects/contacts/search", json={}) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert set(answers[-1].json()) == {"status", "message", "category", "correlationId"}
    assert answers[-1].json()["message"] == "You have reached your secondly limit."
    for each in answers:
        kept = {name for name in each.headers if name.startswith("x-hubspot-ratelimit-")}
        assert kept == {"x-hubspot-ratelimit-daily", "x-hubspot-ratelimit-daily-remaining"}


def test_refused_credentials_cost_nothing(sandbox: HubSpotSandbox) -> None:
    with httpx.Client(base_url=sandbox.url) as stranger:
        for _ in range(30):
            assert stranger.get("/crm/v3/lists").status_code == 401
    assert sandbox.controls.traffic()["accepted"] == 0
